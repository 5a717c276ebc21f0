"""How long a direct call takes while a stream uses up the quota.

    python -m benchmarks.fairness [--json] [--full] [--seconds N]

Real time, with the quota scaled to 250 requests per 30 s, so that a permit comes every 120 ms. A
stream of creates takes all it can get; beside it somebody makes a direct call now and then, at
random times, about two a second, and waits for its answer. Two clients do that side by side, each
on a sandbox of its own in a process of its own: the library, and one as one would write it by hand
with aiohttp, where 24 workers and the direct calls wait for one shared ``AsyncLimiter(250, 30)``
and try again on 429. Latencies are in permits, from the call to its answer, all included; those of
the first seconds, while the quota is not yet used up, are left out.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
from aiolimiter import AsyncLimiter
from yarl import URL

from benchmarks._common import Account, finish, options_of, report, server
from benchmarks.quota import session_of
from chargeover_async import ChargeOver, QuotaSettings

LIMIT = 250
WINDOW_S = 30.0
GUARD_S = WINDOW_S / 60
PERMIT_S = WINDOW_S / LIMIT
BATCH = 25
WORKERS = 24
CALLS_A_SECOND = 2.0
SETTLE_S = 3.0
"""Latencies from here on count: by then the shared bucket of the rival is empty."""

TO_REACH = {"median": 1.0, "p99": 2.0}

Call = Callable[[], Awaitable[None]]


async def ask(call: Call, seconds: float) -> list[float]:
    """Calls at random times, one after the other; how long those took that count, in seconds.

    On a machine that is too slow for one that counts in ``seconds``, it goes on until there is one.
    """
    chance = random.Random(7)
    began = time.perf_counter()
    took = []
    while True:
        await asyncio.sleep(chance.expovariate(CALLS_A_SECOND))
        asked_at = time.perf_counter()
        if asked_at >= began + seconds and took:
            return took
        await call()
        if asked_at >= began + min(SETTLE_S, seconds / 4):
            took.append(time.perf_counter() - asked_at)


async def library(account: Account, seconds: float) -> list[float]:
    """A stream, and direct calls of the same client, as the README shows them."""
    quota = QuotaSettings(limit=LIMIT, window_s=WINDOW_S, guard_s=GUARD_S)
    async with ChargeOver(account.url, account.username, account.password, quota=quota) as co:
        first = await co.customers.create(company="first")

        async def stream() -> None:
            creates = (co.customers.create(company=f"c{n}") for n in itertools.count())
            async for _ in co.stream(creates):
                pass

        async def call() -> None:
            await co.customers.get(first.id)

        saturating = asyncio.create_task(stream())
        try:
            return await ask(call, seconds)
        finally:
            await ended(saturating)


async def by_hand(account: Account, seconds: float) -> list[float]:
    """Workers and direct calls that wait for one limiter."""
    bucket = AsyncLimiter(LIMIT, WINDOW_S)
    numbers = itertools.count()
    chance = random.Random(0)

    async def send(method: str, url: str, payload: Any = None) -> None:
        for attempt in itertools.count():
            await bucket.acquire()
            async with session.request(method, url, json=payload) as answer:
                await answer.read()
            if answer.status != 429:
                answer.raise_for_status()
                return
            await asyncio.sleep(chance.uniform(0, min(2.0, 0.25 * 2**attempt)))

    async def work() -> None:
        while True:
            payload = [
                {
                    "request_method": "POST",
                    "uri": "/api/v3/customer",
                    "payload": {"company": f"c{next(numbers)}"},
                    "id": None,
                }
                for _ in range(BATCH)
            ]
            await send("POST", f"{account.url}/_bulk", payload)

    async def call() -> None:
        await send("GET", f"{account.url}/customer/1")

    async with session_of(account) as session:
        await send("POST", f"{account.url}/customer", {"company": "first"})
        workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
        try:
            return await ask(call, seconds)
        finally:
            for worker in workers:
                await ended(worker)


async def ended(task: asyncio.Task[None]) -> None:
    """It is cancelled and gone."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def measure(
    client: Callable[[Account, float], Awaitable[list[float]]], seconds: float
) -> dict[str, Any]:
    """One client on a fresh sandbox: latencies in permits, and what the sandbox saw."""
    async with server(
        "chargeover_async.sandbox",
        f"--quota-limit={LIMIT}",
        f"--quota-window-s={WINDOW_S}",
        "--quota-kind=rolling",
    ) as account:
        took = sorted(seconds / PERMIT_S for seconds in await client(account, seconds))
        url = URL(account.url).origin() / "_sandbox" / "log"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            statuses = [entry["status"] for entry in await answer.json()]
    return {
        "direct_calls": len(took),
        "median": round(statistics.median(took), 3),
        "p99": round(took[min(len(took) - 1, int(0.99 * len(took)))], 3),
        "longest": round(took[-1], 3),
        "requests": len(statuses),
        "http_429": statuses.count(429),
    }


async def run(seconds: float) -> dict[str, Any]:
    """Measure both, side by side."""
    ours, rival = await asyncio.gather(measure(library, seconds), measure(by_hand, seconds))
    return report(
        "fairness",
        {
            "limit": LIMIT,
            "window_s": WINDOW_S,
            "permit_s": PERMIT_S,
            "seconds": seconds,
            **ours,
            "to_reach": TO_REACH,
            "beside": {"shared_limiter": rival},
        },
        ("aiolimiter",),
    )


def table(result: dict[str, Any]) -> Iterator[str]:
    """The figures as a table."""
    yield f"direct calls beside a saturating stream, in permits of {1000 * PERMIT_S:g} ms"
    yield f"{'':18}{'calls':>7}{'median':>9}{'p99':>9}{'longest':>9}{'requests':>10}{'429':>7}"
    for name, row in (("chargeover_async", result), *result["beside"].items()):
        yield (
            f"{name:18}{row['direct_calls']:>7}{row['median']:>9.2f}{row['p99']:>9.2f}"
            f"{row['longest']:>9.2f}{row['requests']:>10}{row['http_429']:>7}"
        )


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    options = options_of("fairness", __doc__, arguments, seconds=(45, 300))
    result = asyncio.run(run(options.seconds))
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
