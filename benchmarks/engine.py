"""How many operations a second go through a stream and through awaited handles, without a quota.

    python -m benchmarks.engine [--json] [--full] [--operations N] [--rounds N]

Creates of five fields over loopback, in rounds in which every contender has its turn, against two
servers, each in a process of its own: one that answers and does no work, so that the clients are
what is measured, and the sandbox, which checks and stores what it is sent. Beside the library:
aiohttp that posts one constant body of 25 and reads the bytes (the limit of what aiohttp can
carry), and clients as one would write them by hand: aiohttp and json in batches of 25, httpx and
pydantic in batches of 25, and aiohttp with one call for each create, one after the other as the
vendor's clients do it, and side by side. All but the one after the other have the same number of
requests under way.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import aiohttp
import httpx
import pydantic

from benchmarks._common import Account, answering, finish, options_of, rates, report, sandbox
from chargeover_async import ChargeOver, Operation
from chargeover_async.limits import NoLimit

BATCH = 25
IN_FLIGHT = 24
"""Requests under way at once: the library's own default."""
SERVERS = {"answering": answering, "sandbox": sandbox}
HANDLES, WORKERS = 500, 8
"""Handles that a worker holds at once, and how many do that."""
ONE_CALL_EACH = 10
"""Who makes a call for each create gets one in so many, or that would take all the time."""

TO_REACH = {"by_hand": 1.0, "constant_body": 0.5, "httpx_pydantic": 4.0, "one_by_one": 15.0}
HANDLES_TO_REACH = 0.8


def fields(number: int) -> dict[str, str]:
    """What is sent for one create."""
    return {
        "company": f"Company {number}",
        "bill_addr1": "16 Dog Lane",
        "bill_city": "Storrs",
        "bill_state": "CT",
        "external_key": f"k{next(_KEYS)}",
    }


def _keys() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


_KEYS = _keys()  # a sandbox takes each key once


def entries(numbers: Iterable[int]) -> list[dict[str, Any]]:
    """A batch, as the vendor's text writes it."""
    return [
        {
            "request_method": "POST",
            "uri": "/api/v3/customer",
            "payload": fields(number),
            "id": None,
        }
        for number in numbers
    ]


def batches(operations: int) -> Iterator[range]:
    """The numbers of the creates of each request."""
    return (range(at, min(at + BATCH, operations)) for at in range(0, operations, BATCH))


async def at_once(work: Callable[[], Coroutine[Any, Any, None]], many: int = IN_FLIGHT) -> None:
    """So many workers, by default one for each request that may be under way."""
    async with asyncio.TaskGroup() as workers:
        for _ in range(many):
            workers.create_task(work())


# -- the library ---------------------------------------------------------------------------------


def creates(co: ChargeOver, operations: int) -> Iterator[Operation[Any]]:
    """Operations as a program would write them."""
    for number in range(operations):
        yield co.customers.create(
            company=f"Company {number}",
            bill_addr1="16 Dog Lane",
            bill_city="Storrs",
            bill_state="CT",
            external_key=f"k{next(_KEYS)}",
        )


async def by_stream(co: ChargeOver, operations: int) -> None:
    """Outcomes as they settle."""
    done = 0
    async for outcome in co.stream(creates(co, operations)):
        done += outcome.error is None
    _all(done, operations)


async def by_handles(co: ChargeOver, operations: int) -> None:
    """Handles of a bulk scope, which workers make and await."""
    chunks, done = iter(range(0, operations, HANDLES)), 0

    async with co.bulk() as bulk:

        async def work() -> None:
            nonlocal done
            for first in chunks:
                handles = [
                    bulk.customers.create(
                        company=f"Company {number}",
                        bill_addr1="16 Dog Lane",
                        bill_city="Storrs",
                        bill_state="CT",
                        external_key=f"k{next(_KEYS)}",
                    )
                    for number in range(first, min(first + HANDLES, operations))
                ]
                for handle in handles:
                    created = await handle
                    done += created.id > 0

        await at_once(work, WORKERS)
    _all(done, operations)


# -- the others ----------------------------------------------------------------------------------


async def constant_body(session: aiohttp.ClientSession, url: str, operations: int) -> None:
    """The limit: one body for all requests, and answers that nobody reads."""
    body = json.dumps(entries(range(BATCH))).encode()
    todo = iter(range(operations // BATCH))

    async def work() -> None:
        for _ in todo:
            async with session.post(
                f"{url}/_bulk", data=body, headers={"Content-Type": "application/json"}
            ) as answer:
                await answer.read()

    await at_once(work)


async def by_hand(session: aiohttp.ClientSession, url: str, operations: int) -> None:
    """aiohttp and json, in batches of 25."""
    todo, ids = batches(operations), list[int]()

    async def work() -> None:
        for numbers in todo:
            async with session.post(f"{url}/_bulk", json=entries(numbers)) as answer:
                answer.raise_for_status()
                for entry in (await answer.json())["response"]["_bulk"]:
                    if entry["code"] == 201:
                        ids.append(entry["response"]["id"])

    await at_once(work)
    _all(len(ids), operations)


class Customer(pydantic.BaseModel):
    """What the pydantic client writes."""

    company: str
    bill_addr1: str
    bill_city: str
    bill_state: str
    external_key: str


class Created(pydantic.BaseModel):
    """What it reads of one create."""

    id: int


class Entry(pydantic.BaseModel):
    """One answer of a batch."""

    code: int
    status: str
    message: str
    response: Created


class Entries(pydantic.BaseModel):
    """The answers of a batch."""

    bulk: list[Entry] = pydantic.Field(alias="_bulk")


class Envelope(pydantic.BaseModel):
    """The answer as a whole."""

    code: int
    status: str
    message: str
    response: Entries


async def httpx_pydantic(client: httpx.AsyncClient, url: str, operations: int) -> None:
    """httpx and pydantic, in batches of 25."""
    todo, ids = batches(operations), list[int]()

    async def work() -> None:
        for numbers in todo:
            body = [
                {
                    "request_method": "POST",
                    "uri": "/api/v3/customer",
                    "payload": Customer(**fields(number)).model_dump(),
                    "id": None,
                }
                for number in numbers
            ]
            answer = await client.post(f"{url}/_bulk", json=body)
            answer.raise_for_status()
            envelope = Envelope.model_validate_json(answer.content)
            ids.extend(entry.response.id for entry in envelope.response.bulk if entry.code == 201)

    await at_once(work)
    _all(len(ids), operations)


async def one_by_one(session: aiohttp.ClientSession, url: str, operations: int) -> None:
    """aiohttp and json, a call for each create, one after the other."""
    for number in range(operations):
        async with session.post(f"{url}/customer", json=fields(number)) as answer:
            answer.raise_for_status()
            if (await answer.json())["code"] != 201:
                raise SystemExit("a create failed: these figures mean nothing")


async def one_call_each(session: aiohttp.ClientSession, url: str, operations: int) -> None:
    """aiohttp and json, a call for each create, side by side."""
    todo, ids = iter(range(operations)), list[int]()

    async def work() -> None:
        for number in todo:
            async with session.post(f"{url}/customer", json=fields(number)) as answer:
                answer.raise_for_status()
                ids.append((await answer.json())["response"]["id"])

    await at_once(work)
    _all(len(ids), operations)


def _all(done: int, operations: int) -> None:
    if done != operations:
        raise SystemExit(f"{done} of {operations} were created: these figures mean nothing")


# -- measuring -----------------------------------------------------------------------------------


async def measure(account: Account, operations: int, rounds: int) -> dict[str, float]:
    """Operations a second of everyone."""
    url = account.url
    secret = b64encode(f"{account.username}:{account.password}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}"}
    connections = aiohttp.TCPConnector(limit=IN_FLIGHT)
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with (
        ChargeOver(url, account.username, account.password, limiter=NoLimit()) as co,
        aiohttp.ClientSession(connector=connections, headers=headers) as session,
        httpx.AsyncClient(headers=headers, limits=limits, timeout=600) as client,
    ):
        few = max(operations // ONE_CALL_EACH, 1)
        whole = max(operations // BATCH, 1) * BATCH
        return await rates(
            {
                "stream": (operations, partial(by_stream, co, operations)),
                "handles": (operations, partial(by_handles, co, operations)),
                "constant_body": (whole, partial(constant_body, session, url, whole)),
                "by_hand": (operations, partial(by_hand, session, url, operations)),
                "httpx_pydantic": (operations, partial(httpx_pydantic, client, url, operations)),
                "one_call_each": (few, partial(one_call_each, session, url, few)),
                "one_by_one": (few, partial(one_by_one, session, url, few)),
            },
            rounds,
        )


async def run(operations: int, rounds: int) -> dict[str, Any]:
    """All figures; ratios are the library's rate over the other's."""
    figures: dict[str, Any] = {}
    for name, start in SERVERS.items():
        async with start() as account:
            seen = await measure(account, operations, rounds)
        figures[name] = {
            "per_second": {who: round(rate) for who, rate in seen.items()},
            "stream_over": {
                who: round(seen["stream"] / rate, 2)
                for who, rate in seen.items()
                if who not in {"stream", "handles"}
            },
            "handles_over_by_hand": round(seen["handles"] / seen["by_hand"], 2),
        }
    return report(
        "engine",
        {
            "operations": operations,
            "rounds": rounds,
            **figures,
            "to_reach": {"stream_over": TO_REACH, "handles_over_by_hand": HANDLES_TO_REACH},
        },
        ("httpx", "pydantic"),
    )


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The figures for a reader."""
    yield f"{result['operations']} creates, median of {result['rounds']} rounds"
    for server in SERVERS:
        figures = result[server]
        yield f"{server + ' server':20}{'operations/s':>14}{'stream is':>12}{'to reach':>10}"
        for name, rate in figures["per_second"].items():
            over, reach = figures["stream_over"].get(name), TO_REACH.get(name)
            ratio = "" if over is None else f"{over:>10.2f} x"
            yield f"{name:20}{rate:>14}{ratio:12}" + (f"{reach:>8g} x" if reach else "")
        yield (
            f"handles are {figures['handles_over_by_hand']:.2f} x by_hand "
            f"(to reach {HANDLES_TO_REACH:g})"
        )


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    options = options_of(
        "engine",
        __doc__,
        arguments,
        operations=(10_000, 100_000),
        rounds=(3, 5),
    )
    result = asyncio.run(run(options.operations, options.rounds))
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
