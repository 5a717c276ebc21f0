"""What is told while the server does not answer."""

from __future__ import annotations

import pytest

from chargeover_async.cli.account import PATIENT
from chargeover_async.cli.outage import EVERY_S, LOOK_S, Outage
from chargeover_async.observe import Event, RequestSent, RetryPlanned, Stats, Throttled
from chargeover_async.retry import Fault


def sent(fault: Fault | None = None) -> RequestSent:
    return RequestSent(
        method="POST",
        path="/_bulk",
        status=0 if fault else 200,
        duration_s=0.1,
        operations=25,
        fault=fault.value if fault else None,
    )


def again(reason: str) -> RetryPlanned:
    return RetryPlanned(operation="o", step="s", reason=reason, attempts=1, delay_s=1.0)


class World:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.said: list[tuple[float, str]] = []
        self.stats = Stats()
        self.outage = Outage(self.tell, lambda: self.now)

    def tell(self, text: str) -> None:
        self.said.append((self.now - 1_000.0, text))

    def happen(self, *events: Event) -> None:
        for event in events:
            if isinstance(event, RequestSent) and event.fault != Fault.NEVER_LEFT.value:
                self.stats.requests += 1
            self.outage(event)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.now += LOOK_S
            self.outage.look(self.stats)


@pytest.mark.parametrize("fault", [Fault.NEVER_LEFT, Fault.LOST, Fault.SERVER])
def test_an_outage_is_told_at_once_with_its_cause_and_its_end(fault: Fault) -> None:
    """Once in a while as long as it lasts, and anew when there is another."""
    world = World()
    for _ in range(12):
        world.happen(sent(fault), again("no route"), again("no route"))
        world.wait(1)
    world.happen(sent(), sent())
    world.happen(sent(fault), again("no route"))
    cause = "No good answer: no route. It is tried again."
    assert world.said == [
        (0.0, cause),
        (5.0, cause),
        (10.0, cause),
        (12.0, "The server answers again."),
        (12.0, cause),
    ]


def test_silence_is_told_within_five_seconds() -> None:
    """A request has left, and nothing comes back, not even an error."""
    world = World()
    world.happen(sent())
    world.stats.requests += 1
    world.wait(12)
    world.outage(sent())
    assert world.said == [
        (4.0, "No answer for 4 s. It is waited for."),
        (9.0, "No answer for 9 s. It is waited for."),
        (12.0, "The server answers again."),
    ]
    assert world.said[0][0] < EVERY_S


def test_waiting_for_the_quota_is_no_outage() -> None:
    """Nor are a 429 and a refusal."""
    world = World()
    world.happen(sent(), sent(Fault.THROTTLED), Throttled(retry_after_s=60), again("429"))
    world.happen(sent(Fault.REFUSED))
    world.wait(60)
    assert world.said == []


def test_nobody_waits_for_long_once_the_server_is_back() -> None:
    """An import tries again every two seconds, for as long as others are patient."""
    assert PATIENT.cap_s <= 2.0
    assert PATIENT.attempts * PATIENT.cap_s / 2 > PATIENT.total_s
