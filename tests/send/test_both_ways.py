"""The same answers through a direct call and through a bulk scope come to the same end."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from support.fake_loop import run
from support.scripted import (
    URL,
    Counted,
    broken,
    created,
    envelope,
    gateway,
    lost,
    missing,
    never_left,
    refused,
    taken,
    throttled,
)

from chargeover_async import ChargeOver, RetryPolicy
from chargeover_async._wire.envelope import Answer, NoAnswer
from chargeover_async._wire.request import Request
from chargeover_async.errors import (
    AlreadyExists,
    BadRequest,
    ConnectFailed,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    TransportError,
    UsageError,
)
from chargeover_async.limits import Permit
from chargeover_async.observe import Event, RetryPlanned, Settled
from chargeover_async.operation import Operation

HELD = {"customer_id": 7, "company": "Acme", "external_key": "k-1"}
CALLS: dict[str, Callable[[Any], Operation[Any]]] = {
    "get": lambda co: co.customers.get(7),
    "update": lambda co: co.customers.update(7, company="Acme"),
    "delete": lambda co: co.customers.delete(7),
    "keyed": lambda co: co.customers.create(company="Acme", external_key="k-1"),
    "create": lambda co: co.customers.create(company="Acme"),
}
ANSWERS: dict[str, Callable[[], Answer | NoAnswer | Exception]] = {
    "never left": never_left,
    "429": throttled,
    "lost": lost,
    "502": gateway,
    "500": broken,
    "400": refused,
    "404": missing,
    "taken": taken,
    "proxy 302": lambda: gateway(302),
    "proxy 303": lambda: gateway(303),
    "proxy 400": lambda: gateway(400),
    "proxy 401": lambda: gateway(401),
    "proxy 404": lambda: gateway(404),
    "proxy 413": lambda: gateway(413),
    "proxy 429": lambda: gateway(429),
    "gateway's JSON": lambda: Answer(404, {}, b'{"code":404,"message":"no route"}'),
    "OK under 404": lambda: envelope(200, True, http=404),
    "raises": lambda: ZeroDivisionError("a bug"),
}

FOREIGN = [*list(ANSWERS)[list(ANSWERS).index("proxy 302") :], "502"]


class Answering:
    """A transport that plays a script, and is good from then on; each answer takes ``delay_s``."""

    def __init__(self, script: tuple[str, ...], delay_s: float) -> None:
        self.script = script
        self.delay_s = delay_s
        self.requests: list[str] = []

    async def send(self, request: Request, permit: Permit) -> Answer | NoAnswer:
        number = len(self.requests)
        self.requests.append(f"{request.method} {request.target}")
        permit.sent()
        await asyncio.sleep(self.delay_s)
        answer: Any
        if number < len(self.script):
            answer = ANSWERS[self.script[number]]()
        elif request.method == "POST":
            answer = created(7)
        elif request.method == "PUT":
            answer = envelope(202, {"id": 7})
        else:
            answer = envelope(200, HELD if request.method == "GET" else True)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        pass


class Story(msgspec.Struct, frozen=True):
    """All that can be seen of one call."""

    state: str
    error: str
    message: str
    may_have_happened: bool
    cause: str
    attempts: int
    requests: list[str]
    stats: dict[str, int]
    events: list[Any]


async def tell(
    way: str,
    call: str,
    *script: str,
    policy: RetryPolicy | None = None,
    limiter: Any = None,
    delay_s: float = 0.0,
    cut_after_s: float | None = None,
) -> Story:
    """What came of a call that was answered so."""
    transport, events = Answering(script, delay_s), list[Event]()
    async with ChargeOver(
        URL,
        "user",
        "password",
        transport=transport,
        limiter=limiter or Counted(),
        retry=policy or RetryPolicy(),
        on_event=events.append,
        random=random.Random(1),
    ) as co:
        if way == "direct":
            operation = CALLS[call](co)
            waiting = asyncio.create_task(operation.wait())
            await asyncio.wait([waiting], timeout=cut_after_s)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        else:
            async with co.bulk() as bulk:
                operation = CALLS[call](bulk)
                waiting = asyncio.create_task(operation.wait())
                await asyncio.wait([waiting], timeout=cut_after_s)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
        outcome = operation.outcome
        assert outcome is not None
        error = outcome.error
        if error is not None:
            assert (error.operation, error.attempts) == (operation.label, outcome.attempts)
        return Story(
            outcome.state,
            type(error).__name__,
            error.message if error is not None else "",
            error is not None and error.may_have_happened,
            type(error.__cause__).__name__ if error is not None else "",
            outcome.attempts,
            transport.requests,
            co.stats.as_dict(),
            [
                {**msgspec.to_builtins(event), "duration_s": 0, "kind": type(event).__name__}
                for event in events
            ],
        )


def both(call: str, *script: str, **more: Any) -> Story:
    """The story, which must be the same both ways."""
    make = more.pop("make_limiter", None)
    stories = []
    for way in ("direct", "bulk"):
        if make is not None:
            more["limiter"] = make()
        stories.append(run(tell(way, call, *script, **more)))
    assert stories[0] == stories[1], (call, script)
    return stories[0]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("policy", [RetryPolicy(), RetryPolicy(attempts=2, attempts_after_500=2)])
def test_every_script_of_up_to_four_answers(call: str, policy: RetryPolicy) -> None:
    """State, error, words, sends, counters and events are the same, event for event."""
    count, scripts = 0, list[Any]([()])
    for _ in range(4):
        longer: list[Any] = []
        for script, answer in itertools.product(scripts, ANSWERS):
            if answer in FOREIGN:  # to the call they are as if lost
                continue
            whole = (*script, answer)
            story = both(call, *whole, policy=policy)
            count += 1
            if len(story.requests) > len(whole):  # it asked for more
                longer.append(whole)
        scripts = longer
    print(f"{count} scripts, each both ways")
    assert count > 50


@pytest.mark.parametrize(
    ("script", "state", "error", "words"),
    [
        # Absent, and sent again: a plain refusal is one.
        (("lost", "404", "400"), "refused", BadRequest, "Missing or invalid"),
        # Absent, sent again, taken after all: the first came late.
        (("lost", "404", "taken", "400"), "unknown", OutcomeUnknown, "already exists"),
        # Both the lost send and the look-up are named.
        (("500", "400"), "unknown", OutcomeUnknown, "the server failed: Internal error"),
        (
            ("500", "400"),
            "unknown",
            OutcomeUnknown,
            "could not be looked up: the API said: Missing",
        ),
    ],
)
def test_what_a_keyed_create_comes_to(
    script: tuple[str, ...], state: str, error: type[Exception], words: str
) -> None:
    """Nothing that the server may hold is called unsent, and nothing else is called unknown."""
    story = both("keyed", *script)
    assert (story.state, story.error) == (state, error.__name__)
    assert words in story.message


def test_a_key_that_is_taken_is_no_server_that_failed() -> None:
    """The words are those of the API."""
    story = both("keyed", "lost", "404", "taken", "400")
    assert "the server failed" not in story.message


@pytest.mark.parametrize("answer", FOREIGN)
def test_an_answer_that_is_not_the_apis_says_nothing(answer: str) -> None:
    """A proxy's 404 is no record that is missing, its 303 no refusal."""
    assert both("get", answer).requests == ["GET /customer/7"] * 2
    assert both("update", answer).state == "done"
    assert both("create", answer).state == "unknown"
    keyed = both("keyed", answer)
    assert (keyed.state, len(keyed.requests)) == ("done", 2)
    assert "external_key" in keyed.requests[1]
    gone = both("delete", "lost", answer, "404")
    assert (gone.state, len(gone.requests)) == ("done", 3)
    asked = both("keyed", "lost", answer)
    assert (asked.state, len(asked.requests)) == ("done", 3)
    assert "external_key" in asked.requests[2]
    policy = RetryPolicy(attempts=1, total_s=0)
    assert both("delete", answer, policy=policy).state == "unknown"


def test_a_redirect_says_what_to_do() -> None:
    """Redirects are not followed; the URL is wrong."""
    story = both("get", "proxy 302", policy=RetryPolicy(attempts=1))
    assert story.error == "TransportError"
    assert "redirects are not followed: check the URL" in story.message


def test_the_time_to_try_again_begins_with_the_first_send() -> None:
    """Seven minutes in the queue take nothing from the five minutes of the policy."""

    class Late(Counted):
        async def acquire(self, priority: Any) -> Any:
            if not self.permits:
                await asyncio.sleep(420.0)
            return await super().acquire(priority)

    story = both("get", "lost", make_limiter=Late)
    assert (story.state, story.attempts) == ("done", 2)


def test_a_look_up_has_the_time_of_its_operation() -> None:
    """The create took 200 s, the look-up 200 s: there is no time for a second one."""
    story = both("keyed", "lost", "500", delay_s=200.0)
    assert (story.state, len(story.requests)) == ("unknown", 2)


def test_a_transport_that_raises_may_have_sent() -> None:
    """A read goes again, a key is looked up, and anything else is unknown."""
    assert both("get", "raises").state == "done"
    assert both("keyed", "raises").requests[1] == "GET /customer/external_key:k-1"
    story = both("create", "raises")
    assert (story.state, story.cause) == ("unknown", "ZeroDivisionError")
    assert "ZeroDivisionError: a bug" in story.message


@pytest.mark.parametrize("call", CALLS)
def test_a_quota_that_fails_sent_nothing(call: str) -> None:
    """Whatever a limiter of one's own raises."""

    class Broken(Counted):
        async def acquire(self, priority: Any) -> Any:
            raise ConnectionError("the store is away")

    story = both(call, make_limiter=Broken)
    assert (story.state, story.error, story.attempts) == ("not_sent", "NotSent", 0)
    assert story.message == (
        "the quota failed: ConnectionError: the store is away; nothing came of it"
    )


@pytest.mark.parametrize("way", ["direct", "bulk"])
@pytest.mark.parametrize("first", ["lost", "500", "502"])
@pytest.mark.parametrize("kind", [NotSent, UsageError, ConnectionError])
def test_a_quota_that_fails_after_a_lost_answer_leaves_it_unknown(
    way: str, first: str, kind: type[Exception]
) -> None:
    """What may be there is never called unsent, whatever kept it from being looked up."""

    class Breaking(Counted):
        async def acquire(self, priority: Any) -> Any:
            if self.permits:
                raise kind("the quota is that of another account")
            return await super().acquire(priority)

    story = run(tell(way, "keyed", first, limiter=Breaking()))
    assert (story.state, story.error, story.attempts) == ("unknown", "OutcomeUnknown", 1)
    assert "the quota is that of another account" in story.message
    assert story.stats["unknown"] == 1


def test_a_limiter_that_cannot_be_told_of_a_429_costs_no_answer() -> None:
    """It is logged; the call goes on."""

    class Deaf(Counted):
        def throttled(self, *_: Any, **__: Any) -> None:
            raise ConnectionError("the store is away")

    assert both("create", "429", make_limiter=Deaf).state == "done"


def test_cancelled_after_a_429_it_was_sent_once_and_nothing_came_of_it() -> None:
    """It waits for its second permit."""

    class Second(Counted):
        async def acquire(self, priority: Any) -> Any:
            if self.permits:
                await asyncio.sleep(1_000.0)
            return await super().acquire(priority)

    story = both("create", "429", make_limiter=Second, cut_after_s=10.0)
    assert (story.state, story.error, story.attempts) == ("not_sent", "NotSent", 1)
    assert "before it was sent again" in story.message


@pytest.mark.parametrize(("call", "unknown"), [("update", 1), ("create", 1), ("get", 0)])
def test_a_direct_call_that_is_cancelled_in_flight_is_counted(call: str, unknown: int) -> None:
    """What may have happened is in the counter of what is unknown, and told."""
    story = run(tell("direct", call, delay_s=100.0, cut_after_s=10.0))
    assert story.stats["unknown"] == unknown
    assert story.state == ("unknown" if unknown else "not_sent")
    assert story.attempts == 1
    assert [event["kind"] for event in story.events] == ["Settled"]


def test_a_direct_call_that_is_cancelled_in_doubt_keeps_its_sends() -> None:
    """A create that met a 500 and waits to be looked up was sent once."""

    class Second(Counted):
        async def acquire(self, priority: Any) -> Any:
            if self.permits:
                await asyncio.sleep(1_000.0)
            return await super().acquire(priority)

    story = run(tell("direct", "keyed", "500", limiter=Second(), cut_after_s=10.0))
    assert (story.state, story.attempts, story.stats["unknown"]) == ("unknown", 1, 1)


@pytest.mark.parametrize("call", CALLS)
def test_429s_use_up_no_try(call: str) -> None:
    """Five of them leave a policy of two tries both."""
    policy = RetryPolicy(attempts=2, attempts_after_500=2)
    story = both(call, *["429"] * 5, "never left", policy=policy)
    assert (story.state, story.attempts) == ("done", 6)


def test_each_call_that_settles_is_told() -> None:
    """Once, with its state and its sends."""

    async def main() -> list[Event]:
        events: list[Event] = []
        co = ChargeOver(
            URL,
            "user",
            "password",
            transport=Answering(("429",), 0.0),
            limiter=Counted(),
            on_event=events.append,
        )
        await CALLS["keyed"](co)
        return [event for event in events if isinstance(event, Settled)]

    label = "POST /customer external_key='k-1'"
    assert run(main()) == [Settled(operation=label, state="done", attempts=2, batch=0)]


def test_a_planned_retry_says_how_often_it_was_sent() -> None:
    """429s count, as they were sends; what never left does not."""
    story = both("update", "429", "never left", "lost")
    planned = [event for event in story.events if event["kind"] == RetryPlanned.__name__]
    assert [event["attempts"] for event in planned] == [1, 1, 2]


@pytest.mark.parametrize(
    ("last", "policy"),
    [("never left", RetryPolicy(attempts=2)), ("429", RetryPolicy(total_s=25.0))],
)
def test_with_no_try_left_an_absent_record_is_unknown_all_the_same(
    last: str, policy: RetryPolicy
) -> None:
    """The lost send may still be under way somewhere."""
    story = both("keyed", "lost", "404", last, policy=policy, delay_s=9.0)
    assert (story.state, story.error) == ("unknown", "OutcomeUnknown")


@pytest.mark.parametrize(
    ("answer", "error"),
    [("never left", ConnectFailed), ("429", RateLimited), ("lost", TransportError)],
)
def test_a_read_is_never_unknown(answer: str, error: type[Exception]) -> None:
    """Whatever ends it."""
    policy = RetryPolicy(attempts=2, total_s=25.0)
    story = both("get", answer, answer, answer, policy=policy, delay_s=10.0)
    assert (story.error, story.may_have_happened) == (error.__name__, False)


def test_a_record_that_is_held_otherwise_is_named() -> None:
    """The same words both ways."""
    held = {**HELD, "company": "Other"}
    ANSWERS["other"] = lambda: envelope(200, held)
    try:
        story = both("keyed", "lost", "other")
    finally:
        del ANSWERS["other"]
    assert (story.state, story.error) == ("unknown", AlreadyExists.__name__)
    assert "company sent 'Acme' held 'Other'" in story.message
