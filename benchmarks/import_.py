"""How many rows a second a keyed import takes, with a journal and without, and no quota.

    python -m benchmarks.import_ [--json] [--full] [--rows N] [--rounds N]

A CSV of customers with a key, from the file to the last outcome: the library reads it, checks every
row before the first request, sends it, and with a journal notes on disk what it is about to send
and what came of it. Beside it, as one would write it by hand: `csv.DictReader` and aiohttp in
batches of 25, without a check and without a journal. Two servers, each in a process of its own: one
that answers and does no work, so that the clients are what is measured, and the sandbox, which
checks and stores what it is sent.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks._common import Account, answering, finish, options_of, rates, report, sandbox
from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
from chargeover_async.migrate import ImportJob, read_plan

BATCH = 25
IN_FLIGHT = 24
SERVERS = {"answering": answering, "sandbox": sandbox}
TO_REACH = {"without_journal": 0.7, "by_hand": 0.5}
COLUMNS = ("Account", "Firm", "Street", "City", "State", "Email")
PLAN = """
[[load]]
object = "customer"
file = "customers.csv"

[load.fields]
external_key = "RUN-{Account}"
company = "{Firm}"
bill_addr1 = "{Street}"
bill_city = "{City}"
bill_state = "{State}"
superuser_email = "{Email}"
"""


def write_rows(path: Path, rows: int) -> None:
    """The file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(rows):
            writer.writerow(
                [
                    number,
                    f"Company {number}",
                    f"{number % 300} Dog Lane",
                    "Storrs",
                    "CT",
                    f"office-{number}@example.com",
                ]
            )


_runs = itertools.count()  # a sandbox takes each key once


async def library(account: Account, folder: Path, rows: int, *, journal: bool) -> None:
    """An import, as the documentation shows it."""
    run = next(_runs)
    plan = folder / f"{run}.toml"
    plan.write_text(PLAN.replace("RUN", f"r{run}"))
    job = ImportJob(read_plan(plan), journal=folder / f"{run}.journal" if journal else None)
    url, username, password = account.url, account.username, account.password
    async with ChargeOver(url, username, password, limiter=NoLimit()) as co:
        summary = await job.run(co)
    _all(summary.created, rows)


async def by_hand(account: Account, folder: Path, rows: int) -> None:
    """csv and aiohttp."""
    secret = b64encode(f"{account.username}:{account.password}".encode()).decode()
    done, run = 0, next(_runs)

    def batches() -> Iterator[list[dict[str, Any]]]:
        with (folder / "customers.csv").open(newline="") as file:
            reader = csv.DictReader(file)
            while batch := [
                {
                    "request_method": "POST",
                    "uri": "/api/v3/customer",
                    "payload": {
                        "external_key": f"r{run}-{row['Account']}",
                        "company": row["Firm"],
                        "bill_addr1": row["Street"],
                        "bill_city": row["City"],
                        "bill_state": row["State"],
                        "superuser_email": row["Email"],
                    },
                    "id": None,
                }
                for row in itertools.islice(reader, BATCH)
            ]:
                yield batch

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal done
        for batch in todo:
            async with session.post(f"{account.url}/_bulk", json=batch) as answer:
                answer.raise_for_status()
                entries = (await answer.json())["response"]["_bulk"]
            done += sum(entry["code"] == 201 for entry in entries)

    todo = batches()
    headers = {"Authorization": f"Basic {secret}"}
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.TaskGroup() as workers:
        for _ in range(IN_FLIGHT):
            workers.create_task(work(session))
    _all(done, rows)


def _all(done: int, rows: int) -> None:
    if done != rows:
        raise SystemExit(f"{done} of {rows} were created: these figures mean nothing")


async def measure(account: Account, rows: int, rounds: int) -> dict[str, float]:
    """Rows a second of everyone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "customers.csv", rows)
        return await rates(
            {
                "with_journal": (rows, partial(library, account, folder, rows, journal=True)),
                "without_journal": (rows, partial(library, account, folder, rows, journal=False)),
                "by_hand": (rows, partial(by_hand, account, folder, rows)),
            },
            rounds,
        )


async def run(rows: int, rounds: int) -> dict[str, Any]:
    """All figures; ratios are the import's rate with a journal over the other's."""
    figures: dict[str, Any] = {}
    for name, start in SERVERS.items():
        async with start() as account:
            seen = await measure(account, rows, rounds)
        figures[name] = {
            "per_second": {who: round(rate) for who, rate in seen.items()},
            "with_journal_over": {
                who: round(seen["with_journal"] / seen[who], 2) for who in TO_REACH
            },
        }
    return report("import_", {"rows": rows, "rounds": rounds, **figures, "to_reach": TO_REACH})


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The figures for a reader."""
    yield f"{result['rows']} rows, median of {result['rounds']} rounds"
    for server in SERVERS:
        figures = result[server]
        yield f"{server} server"
        for who, rate in figures["per_second"].items():
            over, reach = figures["with_journal_over"].get(who), TO_REACH.get(who)
            ratio = "" if over is None else f"   with_journal is {over:.2f} x (to reach {reach:g})"
            yield f"  {who:16}{rate:>9} rows/s{ratio}"


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    options = options_of("import_", __doc__, arguments, rows=(10_000, 200_000), rounds=(3, 3))
    result = asyncio.run(run(options.rows, options.rounds))
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
