"""How the time for one operation grows with the number of operations and the size of families.

    python -m benchmarks.scale [--json] [--full] [--most N]

A stream of creates against a server that answers and does no work; the time is the processor time
of the client, so that what else the machine does counts little. A family is a customer with
invoices that refer to it, so one of 60 does not fit a request. Sizes go up by tens to ``--most``,
by default 100,000; ``--full`` goes to 1,000,000, and a run of it takes minutes. The smaller sizes
are run several times, before the largest and after it, and the median counts.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from benchmarks._common import answering, finish, options_of, report, seconds_of
from chargeover_async import ChargeOver, Operation
from chargeover_async.limits import NoLimit

FAMILIES = (1, 5, 25, 60)
LEAST = 1_000
FROM = 10_000
SHARE = 20
"""Before the largest and after it, a size is run as often as makes so great a part of it."""
TO_REACH = 1.1
LINES = [{"item_id": 1, "line_rate": "2.95"}]


def families(co: ChargeOver, operations: int, size: int) -> Iterator[Operation[Any]]:
    """Customers, each followed by its invoices."""
    for number in range(operations):
        if number % size == 0:
            customer = co.customers.create(company=f"Company {number}", external_key=f"c{number}")
            of_customer = customer.ref() if size > 1 else None
            yield customer
        else:
            yield co.invoices.create(
                customer_id=of_customer, external_key=f"i{number}", line_items=LINES
            )


async def stream(co: ChargeOver, operations: int, size: int) -> None:
    """One run."""
    done = 0
    async for outcome in co.stream(families(co, operations, size)):
        done += outcome.error is None
    if done != operations:
        raise SystemExit(f"{done} of {operations} were created: these figures mean nothing")


def sizes(most: int) -> list[int]:
    """1,000, 10,000 and so on; ``most`` is the last."""
    found = []
    operations = LEAST
    while operations < most:
        found.append(operations)
        operations *= 10
    return [*found, most]


def order(most: int) -> list[int]:
    """The sizes in the order in which they are run."""
    *smaller, largest = sizes(most)
    before = [size for size in smaller for _ in range(max(1, most // SHARE // size))]
    return [*before, largest, *reversed(before)]


async def measure(co: ChargeOver, most: int, size: int) -> dict[str, float]:
    """Microseconds for one operation, for each number of them."""
    seen: dict[int, list[float]] = {operations: [] for operations in sizes(most)}
    for operations in order(most):
        run = partial(stream, co, operations, size)
        seen[operations].append(1e6 * await seconds_of(run, time.process_time) / operations)
    return {str(number): round(statistics.median(times), 1) for number, times in seen.items()}


async def run(most: int) -> dict[str, Any]:
    """Microseconds for one operation, for each size and family; and how they grow."""
    figures: dict[str, Any] = {}
    async with answering() as account:
        for size in FAMILIES:
            url, username, password = account.url, account.username, account.password
            async with ChargeOver(url, username, password, limiter=NoLimit()) as co:
                each = await measure(co, most, size)
            base = each.get(str(FROM), each[str(min(LEAST, most))])
            figures[str(size)] = {
                "microseconds": each,
                "growth": round(each[str(most)] / base, 3),
            }
    return report("scale", {"most": most, "families": figures, "to_reach": TO_REACH})


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The figures for a reader."""
    yield "microseconds for one operation"
    columns = next(iter(result["families"].values()))["microseconds"]
    yield f"{'family of':12}" + "".join(f"{name:>12}" for name in columns) + f"{'growth':>12}"
    for size, row in result["families"].items():
        cells = "".join(f"{value:>12.1f}" for value in row["microseconds"].values())
        yield f"{size:12}{cells}{row['growth']:>10.2f} x"
    yield f"growth is from {FROM} operations on (to reach {TO_REACH:g})"


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    options = options_of("scale", __doc__, arguments, most=(100_000, 1_000_000))
    result = asyncio.run(run(options.most))
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
