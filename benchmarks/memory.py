"""How much memory a stream takes, and whether it grows with the number of operations.

    python -m benchmarks.memory [--json] [--full] [--small N] [--large N]

Each contender runs in a process of its own, once with few operations and once with ten times as
many, against a server that answers and does no work. The peak is what the system says of the
process. Beside the library, as one would write it by hand with aiohttp: a task for each batch and
`asyncio.gather` over all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp

from benchmarks._common import Account, answering, finish, options_of, report
from chargeover_async import ChargeOver, Operation
from chargeover_async.limits import NoLimit

BATCH = 25
GROWTH_TO_REACH = 0.05
PEAK_MB_TO_REACH = 120.0


def creates(co: ChargeOver, operations: int) -> Iterator[Operation[Any]]:
    """Operations that are made when they are wanted."""
    for number in range(operations):
        yield co.customers.create(
            company=f"Company {number}",
            bill_addr1="16 Dog Lane",
            bill_city="Storrs",
            bill_state="CT",
            external_key=f"k{number}",
        )


async def stream(account: Account, operations: int) -> int:
    """The library; the number of records it says it has created."""
    done = 0
    url, username, password = account.url, account.username, account.password
    async with ChargeOver(url, username, password, limiter=NoLimit()) as co:
        async for outcome in co.stream(creates(co, operations)):
            done += outcome.error is None
    return done


async def gather(account: Account, operations: int) -> int:
    """By hand: everything at once, as many connections as aiohttp has by default."""
    secret = b64encode(f"{account.username}:{account.password}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}"}

    async def send(session: aiohttp.ClientSession, first: int) -> int:
        batch = [
            {
                "request_method": "POST",
                "uri": "/api/v3/customer",
                "payload": {
                    "company": f"Company {number}",
                    "bill_addr1": "16 Dog Lane",
                    "bill_city": "Storrs",
                    "bill_state": "CT",
                    "external_key": f"k{number}",
                },
                "id": None,
            }
            for number in range(first, min(first + BATCH, operations))
        ]
        async with session.post(f"{account.url}/_bulk", json=batch) as answer:
            entries = (await answer.json())["response"]["_bulk"]
        return sum(entry["code"] == 201 for entry in entries)

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        sends = [send(session, first) for first in range(0, operations, BATCH)]
        return sum(await asyncio.gather(*sends))


CONTENDERS = {"stream": stream, "gather": gather}


def peak_mb() -> float:
    """The most memory this process has held so far."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1024 * 1024 if sys.platform == "darwin" else 1024)


async def peak_of(name: str, account: Account, operations: int) -> float:
    """The peak of one contender in a process of its own, in MB."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.memory",
        f"--only={name}",
        f"--account={account.url} {account.username} {account.password}",
        f"--small={operations}",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{name} with {operations} operations failed")
    return float(out)


async def run(small: int, large: int) -> dict[str, Any]:
    """Peaks and growth of everyone, in MB."""
    figures: dict[str, Any] = {}
    async with answering() as account:
        for name in CONTENDERS:
            few = await peak_of(name, account, small)
            many = await peak_of(name, account, large)
            figures[name] = {
                "peak_mb_small": round(few, 1),
                "peak_mb_large": round(many, 1),
                "growth": round(many / few - 1, 4),
            }
    reach = {"growth": GROWTH_TO_REACH, "peak_mb": PEAK_MB_TO_REACH}
    return report("memory", {"small": small, "large": large, **figures, "to_reach": reach})


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The figures for a reader."""
    yield f"{'peak of the process':20}{result['small']:>12}{result['large']:>12}   growth"
    for name in CONTENDERS:
        row = result[name]
        few, many = row["peak_mb_small"], row["peak_mb_large"]
        yield f"{name:20}{few:>9.1f} MB{many:>9.1f} MB{row['growth']:>9.1%}"
    yield f"to reach: growth {GROWTH_TO_REACH:.0%}, peak {PEAK_MB_TO_REACH:g} MB"


def only(name: str, account: Account, operations: int) -> None:
    """One contender, in this process; prints its peak."""
    done = asyncio.run(CONTENDERS[name](account, operations))
    if done != operations:
        raise SystemExit(f"{done} of {operations} were created: this figure means nothing")
    print(peak_mb())


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    inner = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    inner.add_argument("--only", choices=CONTENDERS)
    inner.add_argument("--account", default="")
    this, rest = inner.parse_known_args(arguments)
    options = options_of(
        "memory", __doc__, rest, small=(20_000, 100_000), large=(200_000, 1_000_000)
    )
    if this.only:
        only(this.only, Account(*this.account.split()), options.small)
        return
    result = asyncio.run(run(options.small, options.large))
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
