"""How much of the request quota a stream of creates uses, and how often the server has to refuse.

    python -m benchmarks.quota [--json] [--full] [--operations N]

Real time, with the quota scaled to 250 requests per 6 s. The witness is a sandbox in a process of
its own, with a strict rolling window: the figures are read from its log, not from the clients.
Three clients send the same creates in batches of 25, each to a sandbox of its own: first the
library, then, side by side, two as one would write them by hand with aiohttp, one behind
``AsyncLimiter(250, 6)``, the other with a plain retry on 429.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
import random
import sys
import time
from base64 import b64encode
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiolimiter import AsyncLimiter
from yarl import URL

from chargeover_async import ChargeOver, QuotaSettings

LIMIT = 250
WINDOW_S = 6.0
BATCH = 25
WORKERS = 24
"""As many requests in flight as the library's own default."""

DEFAULT_OPERATIONS = 20_000
FULL_OPERATIONS = 100_000

PACKAGES = ("chargeover-async", "aiohttp", "aiolimiter", "msgspec", "yarl")


@dataclass(frozen=True)
class Account:
    """Where a sandbox listens, and what opens it."""

    url: str
    username: str
    password: str


@contextlib.asynccontextmanager
async def sandbox() -> AsyncGenerator[Account, None]:
    """A fresh sandbox in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chargeover_async.sandbox",
        f"--quota-limit={LIMIT}",
        f"--quota-window-s={WINDOW_S}",
        "--quota-kind=rolling",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        yield Account(*line.decode().split())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


# -- the three clients ---------------------------------------------------------------------------


async def library(account: Account, operations: int) -> int:
    """The library, as the README shows it; the number of records it says it has created."""
    done = 0
    quota = QuotaSettings(limit=LIMIT, window_s=WINDOW_S)
    async with ChargeOver(account.url, account.username, account.password, quota=quota) as co:
        creates = (
            co.customers.create(company=f"c{i}", external_key=f"k{i}") for i in range(operations)
        )
        async for outcome in co.stream(creates):
            done += outcome.error is None
    return done


async def behind_aiolimiter(account: Account, operations: int) -> int:
    """By hand: workers behind a leaky bucket of the quota's size, and a retry on 429."""
    bucket = AsyncLimiter(LIMIT, WINDOW_S)
    return await by_hand(account, operations, bucket.acquire)


async def with_plain_retry(account: Account, operations: int) -> int:
    """By hand: workers that send what they have, and try again on 429."""

    async def at_once() -> None:
        pass

    return await by_hand(account, operations, at_once)


async def by_hand(account: Account, operations: int, permit: Callable[[], Awaitable[None]]) -> int:
    """Workers that share an iterator of batches; the number of records created."""
    chance = random.Random(0)
    batches = batches_of_creates(operations)
    done = 0

    async def send(session: aiohttp.ClientSession, batch: list[dict[str, Any]]) -> int:
        for attempt in itertools.count():
            await permit()
            async with session.post(f"{account.url}/_bulk", json=batch) as answer:
                if answer.status != 429:
                    answer.raise_for_status()
                    entries = (await answer.json())["response"]["_bulk"]
                    return sum(entry["code"] == 201 for entry in entries)
            await asyncio.sleep(chance.uniform(0, min(WINDOW_S, 0.25 * 2**attempt)))
        raise AssertionError("unreachable")

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal done
        for batch in batches:
            created = await send(session, batch)
            done += created

    secret = b64encode(f"{account.username}:{account.password}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}"}
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.TaskGroup() as workers:
        for _ in range(WORKERS):
            workers.create_task(work(session))
    return done


def batches_of_creates(operations: int) -> Iterator[list[dict[str, Any]]]:
    """What goes into each request, made when it is needed."""
    for first in range(0, operations, BATCH):
        yield [
            {
                "request_method": "POST",
                "uri": "/api/v3/customer",
                "payload": {"company": f"c{i}", "external_key": f"k{i}"},
                "id": None,
            }
            for i in range(first, min(first + BATCH, operations))
        ]


# -- what the witness saw ------------------------------------------------------------------------


async def witnessed(account: Account) -> list[tuple[float, int]]:
    """Arrival time and status of each request, in order of arrival."""
    url = URL(account.url).origin() / "_sandbox" / "log"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return [(entry["at"], entry["status"]) for entry in await answer.json()]


def quota_used(accepted: list[float]) -> float:
    """Requests let through in the whole windows since the first, as a share of what they allow.

    A run that ends within the first window is measured on the part it took.
    """
    if len(accepted) < 2:
        return 0.0
    since, until = accepted[0], accepted[-1]
    windows = (until - since) // WINDOW_S
    if not windows:
        return (len(accepted) - 1) / (LIMIT * (until - since) / WINDOW_S)
    within = sum(at < since + windows * WINDOW_S for at in accepted)
    return within / (LIMIT * windows)


def worst_window(arrivals: list[float]) -> int:
    """The most arrivals, refused ones included, in any window."""
    recent: deque[float] = deque()
    worst = 0
    for at in arrivals:
        recent.append(at)
        while recent[0] <= at - WINDOW_S:
            recent.popleft()
        worst = max(worst, len(recent))
    return worst


async def measure(
    client: Callable[[Account, int], Awaitable[int]], operations: int
) -> dict[str, Any]:
    """Run one client against a fresh sandbox; figures from the sandbox's log and one clock."""
    async with sandbox() as account:
        began = time.perf_counter()
        done = await client(account, operations)
        seconds = time.perf_counter() - began
        seen = await witnessed(account)
    accepted = [at for at, status in seen if status != 429]
    return {
        "requests": len(seen),
        "operations": operations,
        "created": done,
        "seconds": round(seconds, 3),
        "http_429": len(seen) - len(accepted),
        "quota_used": round(quota_used(accepted), 4),
        "worst_window": worst_window([at for at, _ in seen]),
    }


async def run(operations: int) -> dict[str, Any]:
    """Measure all three; the library's figures on top, the others in ``beside``."""
    report = await measure(library, operations)
    aiolimiter, plain_retry = await asyncio.gather(
        measure(behind_aiolimiter, operations), measure(with_plain_retry, operations)
    )
    return {
        "benchmark": "quota",
        "limit": LIMIT,
        "window_s": WINDOW_S,
        **report,
        "beside": {"aiolimiter": aiolimiter, "plain_retry": plain_retry},
        "versions": versions(),
        "machine": {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "system": platform.system(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        },
    }


def versions() -> dict[str, str | None]:
    """What is installed; None for the library when it is run from a checkout."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def show(report: dict[str, Any]) -> None:
    """The figures as a table."""
    rows = [("chargeover_async", report), *report["beside"].items()]
    print(f"{report['operations']} creates, {LIMIT} requests per {WINDOW_S:g} s, rolling")
    print(f"{'':18}{'seconds':>9}{'requests':>10}{'429':>7}{'used':>9}{'worst window':>14}")
    for name, row in rows:
        print(
            f"{name:18}{row['seconds']:>9.1f}{row['requests']:>10}{row['http_429']:>7}"
            f"{row['quota_used']:>9.1%}{row['worst_window']:>14}"
        )


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quota",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--full", action="store_true", help=f"{FULL_OPERATIONS} creates")
    parser.add_argument("--operations", type=int, help=f"creates; default {DEFAULT_OPERATIONS}")
    options = parser.parse_args(arguments)
    operations = FULL_OPERATIONS if options.full else DEFAULT_OPERATIONS
    if options.operations is not None:
        operations = options.operations
    if operations < 1:
        parser.error("--operations must be at least 1")
    report = asyncio.run(run(operations))
    if options.json:
        print(json.dumps(report))
    else:
        show(report)


if __name__ == "__main__":
    main()
