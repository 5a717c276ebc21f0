"""How much of the request quota mixed work uses, and how often the server has to refuse.

    python -m benchmarks.quota [--json] [--full] [--operations N]

Real time, with the quota scaled to 250 requests per 6 s. The witness is a sandbox in a process of
its own, with a strict rolling window: the figures are read from its log, not from the clients.
Half of the operations are creates, three tenths updates, two tenths reads of customers. Four
clients do the same, each on a sandbox of its own: first the library, then, side by side, two as one
would write them by hand with aiohttp in batches of 25, one behind ``AsyncLimiter(250, 6)``, the
other with a plain retry on 429, and one that makes a call for each operation, one after the other,
and waits on 429, as with the vendor's clients. That one gets one operation in 25.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
from aiolimiter import AsyncLimiter
from yarl import URL

from benchmarks._common import Account, finish, options_of, report, server
from chargeover_async import ChargeOver, Operation, QuotaSettings

LIMIT = 250
WINDOW_S = 6.0
BATCH = 25
WORKERS = 24
"""As many requests in flight as the library's own default."""

SEEDED = 1_000
"""Customers that are there before, to be updated and read."""

DEFAULT_OPERATIONS = 20_000
FULL_OPERATIONS = 100_000


def sandbox() -> contextlib.AbstractAsyncContextManager[Account]:
    """A fresh sandbox with the scaled quota, in a process of its own."""
    return server(
        "chargeover_async.sandbox",
        f"--quota-limit={LIMIT}",
        f"--quota-window-s={WINDOW_S}",
        "--quota-kind=rolling",
    )


# -- what is to be done ----------------------------------------------------------------------------


def kind(number: int) -> str:
    """What the operation of this number is: half creates, three tenths updates, the rest reads."""
    return "POST" if number % 10 < 5 else "PUT" if number % 10 < 8 else "GET"


def target(number: int) -> int:
    """The id of the customer that is updated or read; the same one comes again late."""
    return 1 + number % SEEDED


async def seed(account: Account) -> None:
    """The customers that are there before, by the control plane: no request counts."""
    url = URL(account.url).origin() / "_sandbox" / "seed"
    customers = [{"company": f"s{number}"} for number in range(SEEDED)]
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"customer": customers}) as answer,
    ):
        answer.raise_for_status()


# -- the four clients ------------------------------------------------------------------------------


async def library(account: Account, operations: int) -> int:
    """The library, as the README shows it; the number of operations it says are done."""
    done = 0
    quota = QuotaSettings(limit=LIMIT, window_s=WINDOW_S)
    async with ChargeOver(account.url, account.username, account.password, quota=quota) as co:

        def operation(number: int) -> Operation[Any]:
            if kind(number) == "POST":
                return co.customers.create(company=f"c{number}", external_key=f"k{number}")
            if kind(number) == "PUT":
                return co.customers.update(target(number), company=f"u{number}")
            return co.customers.get(target(number))

        async for outcome in co.stream(operation(number) for number in range(operations)):
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
    """Workers that share an iterator of batches; the number of operations done."""
    chance = random.Random(0)
    batches = batches_of(operations)
    done = 0

    async def send(session: aiohttp.ClientSession, batch: list[dict[str, Any]]) -> int:
        for attempt in itertools.count():
            await permit()
            async with session.post(f"{account.url}/_bulk", json=batch) as answer:
                if answer.status != 429:
                    answer.raise_for_status()
                    entries = (await answer.json())["response"]["_bulk"]
                    return sum(200 <= entry["code"] < 300 for entry in entries)
            await asyncio.sleep(chance.uniform(0, min(WINDOW_S, 0.25 * 2**attempt)))
        raise AssertionError("unreachable")

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal done
        for batch in batches:
            created = await send(session, batch)
            done += created

    async with session_of(account) as session, asyncio.TaskGroup() as workers:
        for _ in range(WORKERS):
            workers.create_task(work(session))
    return done


async def one_call_each(account: Account, operations: int) -> int:
    """As with the vendor's clients: a call for each operation, one after the other."""
    done = 0
    async with session_of(account) as session:
        for number in range(operations):
            item = item_of(number)
            url = URL(account.url).origin().with_path(item["uri"])
            while True:
                async with session.request(
                    item["request_method"], url, json=item["payload"]
                ) as answer:
                    await answer.read()
                if answer.status != 429:
                    break
                await asyncio.sleep(WINDOW_S / 60)
            done += answer.ok
    return done


def session_of(account: Account) -> aiohttp.ClientSession:
    """A session with the account's credentials."""
    secret = b64encode(f"{account.username}:{account.password}".encode()).decode()
    return aiohttp.ClientSession(headers={"Authorization": f"Basic {secret}"})


def item_of(number: int) -> dict[str, Any]:
    """One operation as an item of a batch."""
    method, uri = kind(number), "/api/v3/customer"
    payload: dict[str, str] | None = None
    if method == "POST":
        payload = {"company": f"c{number}", "external_key": f"k{number}"}
    else:
        uri = f"{uri}/{target(number)}"
        payload = {"company": f"u{number}"} if method == "PUT" else None
    return {"request_method": method, "uri": uri, "payload": payload, "id": None}


def batches_of(operations: int) -> Iterator[list[dict[str, Any]]]:
    """What goes into each request, made when it is needed."""
    for first in range(0, operations, BATCH):
        yield [item_of(number) for number in range(first, min(first + BATCH, operations))]


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
        await seed(account)
        began = time.perf_counter()
        done = await client(account, operations)
        seconds = time.perf_counter() - began
        seen = await witnessed(account)
    accepted = [at for at, status in seen if status != 429]
    return {
        "requests": len(seen),
        "operations": operations,
        "done": done,
        "seconds": round(seconds, 3),
        "http_429": len(seen) - len(accepted),
        "quota_used": round(quota_used(accepted), 4),
        "worst_window": worst_window([at for at, _ in seen]),
        "operations_a_window": round(quota_used(accepted) * LIMIT * operations / len(accepted), 1),
    }


async def run(operations: int) -> dict[str, Any]:
    """Measure all four; the library's figures on top, the others in ``beside``."""
    figures = await measure(library, operations)
    names = ("aiolimiter", "plain_retry", "one_call_each")
    others = await asyncio.gather(
        measure(behind_aiolimiter, operations),
        measure(with_plain_retry, operations),
        measure(one_call_each, max(1, operations // BATCH)),
    )
    beside = dict(zip(names, others, strict=True))
    by_hand_seconds = min(beside[name]["seconds"] for name in names[:2])
    each = beside["one_call_each"]["operations_a_window"]
    return report(
        "quota",
        {
            "limit": LIMIT,
            "window_s": WINDOW_S,
            **figures,
            "times_one_call_each": round(figures["operations_a_window"] / each, 2) if each else 0.0,
            "seconds_over_by_hand": round(figures["seconds"] / by_hand_seconds, 3),
            "beside": beside,
        },
        ("aiolimiter",),
    )


def table(result: dict[str, Any]) -> Iterator[str]:
    """The figures as a table."""
    rows = [("chargeover_async", result), *result["beside"].items()]
    yield f"{result['operations']} mixed operations, {LIMIT} requests per {WINDOW_S:g} s, rolling"
    yield (
        f"{'':18}{'operations':>12}{'seconds':>9}{'requests':>10}{'429':>7}{'used':>9}"
        f"{'worst window':>14}{'a window':>10}"
    )
    for name, row in rows:
        yield (
            f"{name:18}{row['operations']:>12}{row['seconds']:>9.1f}{row['requests']:>10}"
            f"{row['http_429']:>7}{row['quota_used']:>9.1%}{row['worst_window']:>14}"
            f"{row['operations_a_window']:>10.0f}"
        )
    yield f"{result['times_one_call_each']:.1f} times as many operations a window as one call each"


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    options = options_of(
        "quota", __doc__, arguments, operations=(DEFAULT_OPERATIONS, FULL_OPERATIONS)
    )
    result = asyncio.run(run(options.operations))
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
