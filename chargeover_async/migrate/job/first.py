"""What a run does before it sends rows: make contact, and read what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

from chargeover_async.client import ChargeOver
from chargeover_async.migrate.check.found import Checked
from chargeover_async.migrate.difference.reading import Readings
from chargeover_async.operation import Operation

from .feed import Feed
from .verdict import Existing


async def first_contact(co: ChargeOver) -> int:
    """Show with one request that URL and credentials are right; returns the number of customers.

    It is a count and no "teapot", whose answer no source shows.
    """
    return int(await co.customers.count())


def open_readings(
    co: ChargeOver,
    clock: Callable[[], float],
    existing: Existing,
    max_age_s: float,
    customers: int,
) -> Readings:
    """What is known of the account, no more yet than that it has so many ``customers``."""
    readings = Readings(
        co,
        clock,
        compares=existing != "pass",
        changes=existing == "update",
        max_age_s=max_age_s,
    )
    readings.counts["customer"] = customers
    return readings


async def read_stage(
    readings: Readings,
    checked: Checked,
    feed: Feed,
    stage: Sequence[tuple[int, int]],
    settled: Mapping[int, int],
) -> None:
    """Find out what the rows of a stage are about, just before they are sent.

    ``settled`` of each load are so by earlier runs.
    """
    for index in dict.fromkeys(index for index, _ in stage):
        found = checked.loads[index]
        count = found.rows - found.bad - settled.get(index, 0)
        await readings.read(found.load, partial(feed.rows, index), count)


def every(
    operations: Iterator[Operation[Any] | None], *, may_pause: bool
) -> Iterable[Operation[Any]] | AsyncGenerator[Operation[Any]]:
    """The operations for a stream; where None stands among them, others have their turn."""
    if not may_pause:
        return cast("Iterator[Operation[Any]]", operations)

    async def pausing() -> AsyncGenerator[Operation[Any]]:
        for operation in operations:
            if operation is None:
                await asyncio.sleep(0)
            else:
                yield operation

    return pausing()


__all__ = ("every", "first_contact", "open_readings", "read_stage")
