"""Counters, events, and observers whose faults stay their own."""

from __future__ import annotations

import msgspec
import pytest

from chargeover_async import Stats, observe


def test_the_counters_begin_at_zero_and_show_themselves():
    """By name, as a dict, and as the mean fill of a request."""
    stats = Stats()
    assert set(stats.as_dict().values()) == {0}
    assert stats.operations_per_request == 0.0
    stats.requests, stats.operations = 2, 50
    assert stats.operations_per_request == 25.0
    assert "'requests': 2" in repr(stats)


def test_an_event_is_frozen():
    """Whoever keeps it keeps what happened."""
    event = observe.Throttled(retry_after_s=2.0)
    with pytest.raises(AttributeError):
        event.retry_after_s = 3.0  # type: ignore[misc]


def test_no_observer_is_no_fault_and_a_faulty_one_is_logged(caplog: pytest.LogCaptureFixture):
    """Its exception goes to the log, no further."""
    event = observe.Throttled(retry_after_s=None)
    seen: list[observe.Event] = []
    observe.notify(None, event)
    observe.notify(seen.append, event)
    assert seen == [event]

    def fail(_: observe.Event) -> None:
        raise KeyError("x")

    observe.notify(fail, event)
    assert "an observer failed on Throttled" in caplog.text


def test_no_event_has_room_for_a_payload():
    """Names, numbers and words only."""
    for kind in (observe.RequestSent, observe.RetryPlanned, observe.Settled, observe.Throttled):
        for field in msgspec.structs.fields(kind):
            assert field.name not in {"body", "payload", "headers", "response", "answer"}
