"""Uploading usage: 1,000 records a call, never twice, and every row in one outcome."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from support.scripted import (
    Gate,
    World,
    broken,
    created,
    envelope,
    lost,
    never_left,
    refused,
    throttled,
)

from chargeover_async import (
    BadRequest,
    ConnectFailed,
    F,
    NotSent,
    OutcomeUnknown,
    Repeat,
    RetryPolicy,
    ServerError,
    UsageError,
)
from chargeover_async.resources import UploadOutcome

ONE: Any = {"line_item_id": 5, "usage_value": Decimal("1.5")}


def records(number: int) -> Iterator[Any]:
    for n in range(number):
        yield {"line_item_id": n + 1, "usage_value": n}


async def collect(outcomes: AsyncIterator[UploadOutcome]) -> list[UploadOutcome]:
    return [outcome async for outcome in outcomes]


def rows_of(outcomes: list[UploadOutcome]) -> list[int]:
    return sorted(row for outcome in outcomes for row in outcome.rows)


# -- calls ---------------------------------------------------------------------------------------


async def test_an_upload_goes_in_calls_of_a_thousand():
    """The last one is not full; every row is in one outcome, with its record."""
    world = World(*[created(n) for n in (1, 2, 3)])
    outcomes = await collect(world.co.usage.upload(records(2_500)))
    assert world.sent == ["POST /usage/_action/bulk"] * 3
    assert [len(world.script.body(n)) for n in range(3)] == [1000, 1000, 500]
    assert rows_of(outcomes) == list(range(2_500))
    assert all(outcome.records[0]["line_item_id"] == outcome.rows[0] + 1 for outcome in outcomes)
    assert {outcome.unwrap().id for outcome in outcomes} == {1, 2, 3}
    assert {outcome.state for outcome in outcomes} == {"done"}
    world.check()


async def test_nothing_to_upload_sends_nothing():
    """An empty iterable."""
    world = World()
    assert await collect(world.co.usage.upload([])) == []
    world.check()


async def test_an_async_iterable_is_taken():
    """And closed."""
    closed = []

    async def source() -> AsyncIterator[Any]:
        try:
            for record in records(3):
                yield record
        finally:
            closed.append(True)

    world = World(created())
    assert rows_of(await collect(world.co.usage.upload(source()))) == [0, 1, 2]
    assert closed == [True]


async def test_a_source_is_taken_lazily():
    """At most `concurrency` calls are under way, and one chunk more is taken."""
    taken = 0

    def source() -> Iterator[Any]:
        nonlocal taken
        for record in records(1_000):
            taken += 1
            yield record

    gate = Gate(created())
    world = World(gate, gate, *[created() for _ in range(98)])
    upload = world.co.usage.upload(source(), rows_per_call=10, concurrency=2)
    first = asyncio.ensure_future(anext(upload))
    await gate.reached.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(world.sent) == 2
    assert taken <= 30
    gate.open.set()
    outcomes = [await first, *await collect(upload)]
    assert rows_of(outcomes) == list(range(1_000))
    world.check()


async def test_an_outcome_does_not_wait_for_a_slow_source():
    """It is yielded while the next record is awaited."""
    more = asyncio.Event()

    async def source() -> AsyncIterator[Any]:
        yield ONE
        await more.wait()
        yield ONE

    world = World(created(1), created(2))
    upload = world.co.usage.upload(source(), rows_per_call=1)
    assert (await anext(upload)).rows == (0,)
    more.set()
    assert rows_of(await collect(upload)) == [1]


async def test_every_call_passes_the_limiter():
    """One permit for a thousand records."""
    world = World(*[created() for _ in range(4)])
    await collect(world.co.usage.upload(records(4_000)))
    assert len(world.limiter.permits) == 4
    world.check()


# -- what goes wrong ---------------------------------------------------------------------------


async def test_a_lost_answer_is_never_sent_again():
    """Its rows may be stored; the other calls go on."""
    world = World(created(1), lost(), created(3))
    outcomes = await collect(world.co.usage.upload(records(6), rows_per_call=2, concurrency=1))
    assert [outcome.state for outcome in outcomes] == ["done", "unknown", "done"]
    assert outcomes[1].rows == (2, 3)
    assert outcomes[1].may_have_happened
    with pytest.raises(OutcomeUnknown):
        outcomes[1].unwrap()
    world.check()


async def test_a_lost_answer_is_not_looked_up_by_key():
    """No source shows usage being read by its key."""
    world = World(lost())
    (outcome,) = await collect(world.co.usage.upload([{**ONE, "external_key": "u-1"}]))
    assert outcome.state == "unknown"
    world.check()


async def test_what_never_left_and_what_was_throttled_is_sent_again():
    """Nothing was stored by either."""
    world = World(never_left(), throttled(), created(), retry=RetryPolicy(base_s=0, cap_s=0))
    (outcome,) = await collect(world.co.usage.upload([ONE]))
    assert outcome.state == "done"
    world.check()


async def test_a_refused_call_is_refused_as_a_whole():
    """It is not split: whether it took some rows is not known."""
    world = World(refused())
    (outcome,) = await collect(world.co.usage.upload(records(3)))
    assert outcome.state == "refused"
    assert isinstance(outcome.error, BadRequest)
    assert outcome.rows == (0, 1, 2)
    assert not outcome.may_have_happened
    world.check()


async def test_an_error_of_the_server_may_have_stored_the_rows():
    """500 in its own words."""
    world = World(broken())
    (outcome,) = await collect(world.co.usage.upload([ONE]))
    assert isinstance(outcome.error, ServerError)
    assert outcome.may_have_happened
    world.check()


async def test_a_call_that_never_leaves_ends_as_not_sent():
    """When the policy gives up."""
    world = World(never_left(), retry=RetryPolicy(attempts=1))
    (outcome,) = await collect(world.co.usage.upload([ONE]))
    assert outcome.state == "not_sent"
    assert isinstance(outcome.error, ConnectFailed)
    assert not outcome.may_have_happened


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"line_item_id": 5, "usage_valu": 1}, "usage_value"),
        ({"line_item_id": 5}, "usage.bulk needs usage_value"),
        ({"usage_value": 1}, "one of line_item_id"),
        ({"line_item_id": "5", "usage_value": 1}, "line_item_id must be a whole number"),
        ({"line_item_id": 5, "usage_value": 1.5}, "exact"),
        ({"line_item_id": 5, "usage_value": 1, "from": "yesterday"}, "from must be"),
        ({**ONE, "from": "2026-01-01", "from_": "2026-01-01"}, "given twice"),
        ({**ONE, "external_key": ""}, "external_key must not be empty"),
        ({"line_item": {"item_external_ky": "a"}, "usage_value": 1}, "item_external_key"),
        (5, "a record is a mapping"),
        (None, "a record is a mapping"),
    ],
)
async def test_a_record_that_cannot_be_right_is_left_out(record: Any, words: str):
    """With its row and its reason; its neighbours go."""
    world = World(created())
    outcomes = await collect(world.co.usage.upload([ONE, record, ONE]))
    bad, good = sorted(outcomes, key=lambda one: len(one.rows))
    assert (bad.rows, bad.records, bad.state) == ((1,), (record,), "not_sent")
    assert isinstance(bad.error, UsageError)
    assert words in str(bad.error)
    assert "row 1" in str(bad.error)
    assert good.rows == (0, 2)
    assert len(world.script.body(0)) == 2
    world.check()


async def test_a_reference_cannot_stand_in_an_upload():
    """One failed target would take 999 neighbours with it."""
    world = World()
    made = world.co.customers.create(company="A")
    (outcome,) = await collect(
        world.co.usage.upload([{"line_item_id": made.ref(), "usage_value": 1}])
    )
    assert "no references" in str(outcome.error)
    made.close()


async def test_nothing_but_bad_records_sends_nothing():
    """However many."""
    world = World()
    bad: Any = {"usage_value": 1}
    outcomes = await collect(world.co.usage.upload([bad] * 25, rows_per_call=10))
    assert rows_of(outcomes) == list(range(25))
    world.check()


async def test_an_error_of_the_source_comes_after_the_outcomes():
    """Of everything that was taken before it."""

    def source() -> Iterator[Any]:
        yield from records(3)
        raise RuntimeError("the file ends here")

    world = World(created(1), created(2))
    seen: list[UploadOutcome] = []

    async def keep() -> None:
        async for outcome in world.co.usage.upload(source(), rows_per_call=2):
            seen.append(outcome)  # noqa: PERF401 - kept although the loop raises

    with pytest.raises(RuntimeError, match="ends here"):
        await keep()
    assert rows_of(seen) == [0, 1, 2]
    world.check()


async def test_leaving_early_leaves_nothing_under_way():
    """Neither a call nor the source."""
    closed = []

    async def source() -> AsyncIterator[Any]:
        try:
            while True:
                yield ONE
        finally:
            closed.append(True)

    gate = Gate(created())
    world = World(created(), gate)
    upload = world.co.usage.upload(source(), rows_per_call=1, concurrency=2)
    await anext(upload)
    await gate.reached.wait()
    await upload.aclose()
    assert closed == [True]
    assert len(asyncio.all_tasks()) == 1
    assert all(permit.is_ended for permit in world.limiter.permits)


async def test_a_closed_client_says_so_for_every_row():
    """In its outcomes; the loop ends."""
    hold = asyncio.Event()
    world = World(hold=hold)

    async def closed(*_: Any) -> Any:
        raise NotSent("the client is closed")

    world.limiter.acquire = closed  # type: ignore[method-assign]
    outcomes = await collect(world.co.usage.upload(records(4), rows_per_call=2))
    assert rows_of(outcomes) == [0, 1, 2, 3]
    assert {outcome.state for outcome in outcomes} == {"not_sent"}


@pytest.mark.parametrize(
    "options",
    [{"rows_per_call": 0}, {"rows_per_call": 1_001}, {"concurrency": 0}],
)
def test_bounds_that_cannot_be_are_refused(options: Any):
    """At once, not when the loop begins."""
    with pytest.raises(UsageError):
        World().co.usage.upload([], **options)


# -- one by one ----------------------------------------------------------------------------------


async def test_one_call_takes_a_thousand_records():
    """As one operation of its own, not to be repeated."""
    world = World(created(9))
    call = world.co.usage.bulk(records(1_000))
    assert call.repeat is Repeat.ONCE
    assert (await call).id == 9
    assert len(world.script.body(0)) == 1_000


@pytest.mark.parametrize("number", [0, 1_001])
def test_one_call_takes_no_more_and_no_less(number: int):
    """Nothing is sent."""
    with pytest.raises(UsageError, match="1 to 1000"):
        World().co.usage.bulk(records(number))


def test_a_bad_record_of_one_call_is_named_by_its_place():
    """Here it stops the call, which nobody has sent."""
    with pytest.raises(UsageError, match=r"usage.bulk: \[1\]: .*usage_value"):
        World().co.usage.bulk([ONE, {"line_item_id": 5}])


async def test_a_record_is_written_as_the_vendor_names_it():
    """``from_`` goes out as ``from``; datetimes keep their offset, amounts are exact."""
    zone = dt.timezone(dt.timedelta(hours=-5))
    world = World(created(), created())
    await world.co.usage.create(
        line_item_external_key="line-1",
        usage_value=Decimal("0.10"),
        type="max",
        from_=dt.datetime(2026, 1, 1, tzinfo=zone),
        to=dt.date(2026, 2, 1),
        custom_1="a",
    )
    assert world.sent == ["POST /usage"]
    assert world.script.body(0) == {
        "line_item_external_key": "line-1",
        "usage_value": Decimal("0.10"),
        "type": "max",
        "from": "2026-01-01T00:00:00-05:00",
        "to": "2026-02-01",
        "custom_1": "a",
    }
    await world.co.usage.bulk(
        [
            {
                "customer": {"external_key": "c-1"},
                "line_item": {"item_external_key": "i-1"},
                "usage_value": "3",
                "from": "2026-01-01",
            },
            {
                "customer.external_key": "c-1",
                "line_item.item_external_key": "i-1",
                "usage_value": 3,
                "from_": "2026-01-01",
            },
        ]
    )
    assert json.loads(world.script.requests[1].body or b"") == [
        {
            "customer": {"external_key": "c-1"},
            "line_item": {"item_external_key": "i-1"},
            "usage_value": "3",
            "from": "2026-01-01",
        },
        {
            "customer.external_key": "c-1",
            "line_item.item_external_key": "i-1",
            "usage_value": 3,
            "from": "2026-01-01",
        },
    ]


async def test_a_single_record_with_a_key_is_not_repeated_either():
    """Its look-up is shown by no source, and usage stored twice is billed twice."""
    world = World(lost())
    call = world.co.usage.create(line_item_id=1, usage_value=1, external_key="u-1")
    with pytest.raises(OutcomeUnknown):
        await call
    world.check()


async def test_usage_is_paged_by_offset():
    """Its page does not filter by the primary key."""
    page = [{"usage_history_id": n, "line_item_id": "5", "from": "2026-01-01"} for n in (1, 2)]
    world = World(envelope(200, page), envelope(200, page[:1]))
    found = [record async for record in world.co.usage.iterate(where=F.line_item_id == 5, page=2)]
    assert world.sent == [
        f"GET /usage?where=line_item_id:EQUALS:5&order=usage_history_id:ASC&limit=2&offset={n}"
        for n in (0, 2)
    ]
    assert found[0].from_ == dt.datetime(2026, 1, 1)  # noqa: DTZ001 - the API's are naive
    assert found[0].line_item_id == 5
