"""How far an account was read, and what is read next: nothing missed, nothing twice."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from support.cluster_world import account
from support.export_world import fill

from chargeover_async import ChargeOver
from chargeover_async.cluster import Connect, Part, plan_parts
from chargeover_async.cluster.changes import Mark, since_mark, take_mark, tells_changes
from chargeover_async.sandbox import Sandbox

NOON = dt.datetime(2026, 5, 1, 12)  # noqa: DTZ001 - the account's own time
NOW = NOON.replace(tzinfo=dt.UTC)


def stamp(sandbox: Sandbox, number: int, when: dt.datetime | None) -> None:
    sandbox.store.seed("customer", {"customer_id": number, "mod_datetime": when, "company": "x"})


def part_of(connect: Connect) -> Part:
    return plan_parts("customer", connect)[0]


async def ids(co: ChargeOver, parts: list[Part]) -> list[int]:
    return [
        record.customer_id
        for part in parts
        for record in await co.customers.list(where=part.clauses() or None, limit=500)
        if record.customer_id > part.after
    ]


@pytest.mark.parametrize(
    ("times", "since"),
    [
        ([], None),
        ([None, None], None),
        ([NOON, None], NOON),
        ([NOON, dt.datetime(2099, 1, 1)], NOON),  # noqa: DTZ001
        ([dt.datetime(2099, 1, 1), None], None),  # noqa: DTZ001
        ([NOON, NOON + dt.timedelta(hours=13)], NOON + dt.timedelta(hours=13)),  # further east
    ],
)
async def test_a_mark_is_the_newest_change_that_can_be(
    times: list[dt.datetime | None], since: dt.datetime | None
):
    async with account() as (sandbox, connect), connect.open() as co:
        for number, when in enumerate(times, 5):
            stamp(sandbox, number, when)
        mark = await take_mark(part_of(connect), co, NOW)
        assert mark.since == (None if since is None else since.isoformat())
        assert mark.highest == (4 + len(times) if times else 0)


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_is_missed_and_nothing_comes_twice(seed: int):
    """Whatever the times of what is new or changed say, within a day of the clock's own errors."""
    source = random.Random(seed)

    def some_time() -> dt.datetime | None:
        return source.choice(
            [None, NOON - dt.timedelta(days=source.randrange(500)), dt.datetime(2099, 1, 1)]  # noqa: DTZ001
        )

    async with account() as (sandbox, connect), connect.open() as co:
        for number in range(1, 40):
            stamp(sandbox, number, some_time())
        stamp(sandbox, 40, NOON)
        mark = await take_mark(part_of(connect), co, NOW)
        fresh: set[int] = set()
        for number in source.sample(range(100, 200), 10):
            stamp(sandbox, number, some_time())
            fresh.add(number)
        for number in source.sample(range(200, 300), 5):  # late, or by a clock that was set back
            stamp(sandbox, number, NOON + dt.timedelta(hours=source.uniform(-24.9, 50)))
            fresh.add(number)
        found = await ids(co, since_mark(part_of(connect), mark))
        assert fresh <= set(found)
        assert len(found) == len(set(found))


async def test_an_account_without_a_mark_is_read_whole():
    async with account() as (sandbox, connect):
        fill(sandbox, [1])
        part = part_of(connect)
        assert since_mark(part, Mark()) == [part]
        assert tells_changes(part)
        assert not tells_changes(plan_parts("transaction", connect)[0])
        assert not tells_changes(plan_parts("note", connect)[0])
