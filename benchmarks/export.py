"""How long a whole object takes to come out of an account, and how many requests.

    python -m benchmarks.export [--json] [--full] [--records N]

A sandbox in a process of its own is filled with customers; then each contender writes all of them
to a file of JSON Lines, in a process of its own, one after the other against the same server.
Beside the library: dlt's REST API source with its offset paginator and its filesystem destination;
and by hand with aiohttp, by offset, once one page after the other and once four pages at a time
(which needs to know how many there are). What the server takes for a page in the last tenth,
against the first, tells whether pages grow slower with depth.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from benchmarks._common import Account, finish, options_of, report, server
from chargeover_async import ChargeOver
from chargeover_async.export import ExportJob
from chargeover_async.limits import NoLimit

PAGE = 500
AT_ONCE = 4
TO_REACH = {"over_dlt": 5.0, "over_by_hand": 2.0, "requests_share": 1 / 20}


async def library(account: Account, out: Path) -> int:
    """The library; the number of records it says it has written."""
    url, username, password = account.url, account.username, account.password
    async with ChargeOver(url, username, password, limiter=NoLimit()) as co:
        summary = await ExportJob("customer", out / "customers.jsonl").run(co)
    return summary.records


def _session(account: Account) -> aiohttp.ClientSession:
    secret = b64encode(f"{account.username}:{account.password}".encode()).decode()
    return aiohttp.ClientSession(headers={"Authorization": f"Basic {secret}"})


async def _page(session: aiohttp.ClientSession, account: Account, offset: int) -> list[Any]:
    query = {"limit": PAGE, "offset": offset, "order": "customer_id:ASC"}
    async with session.get(f"{account.url}/customer", params=query) as answer:
        answer.raise_for_status()
        records: list[Any] = (await answer.json())["response"]
        return records


async def by_hand(account: Account, out: Path) -> int:
    """One page after the other, until one is short."""
    done = 0
    with (out / "customers.jsonl").open("w", encoding="utf-8") as file:
        async with _session(account) as session:
            while True:
                records = await _page(session, account, done)
                file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
                done += len(records)
                if len(records) < PAGE:
                    return done


async def by_hand_at_once(account: Account, out: Path) -> int:
    """The number first, then four pages at a time, written in order."""
    done = 0
    with (out / "customers.jsonl").open("w", encoding="utf-8") as file:
        async with _session(account) as session:
            async with session.get(f"{account.url}/customer/_count") as answer:
                total = (await answer.json())["response"]
            for first in range(0, total, PAGE * AT_ONCE):
                offsets = range(first, min(first + PAGE * AT_ONCE, total), PAGE)
                for records in await asyncio.gather(
                    *(_page(session, account, offset) for offset in offsets)
                ):
                    file.writelines(
                        json.dumps(record, ensure_ascii=False) + "\n" for record in records
                    )
                    done += len(records)
    return done


async def with_dlt(account: Account, out: Path) -> int:
    """A pipeline from the REST API source to files of JSON Lines."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    import dlt
    from dlt.sources.helpers.rest_client.auth import HttpBasicAuth
    from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {
                "base_url": f"{account.url}/",
                "auth": HttpBasicAuth(account.username, account.password),
                "paginator": OffsetPaginator(limit=PAGE, total_path=None),
            },
            "resources": [
                {
                    "name": "customer",
                    "primary_key": "customer_id",
                    "endpoint": {
                        "path": "customer",
                        "data_selector": "response",
                        "params": {"order": "customer_id:ASC"},
                    },
                }
            ],
        }
    )
    done = 0

    def count(record: Any) -> Any:
        nonlocal done
        done += 1
        return record

    source.resources["customer"].add_map(count)
    pipeline = dlt.pipeline(
        "export",
        pipelines_dir=str(out / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=str(out / "files")),
        dataset_name="customers",
    )
    await asyncio.to_thread(pipeline.run, source, loader_file_format="jsonl")
    return done


CONTENDERS = {
    "library": library,
    "dlt": with_dlt,
    "by_hand": by_hand,
    "by_hand_at_once": by_hand_at_once,
}


def only(name: str, account: Account, records: int) -> dict[str, Any]:
    """Run one contender in this process."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = asyncio.run(CONTENDERS[name](account, Path(folder)))
        seconds = time.perf_counter() - began
        cpu = time.process_time()
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        written = sum(
            lines_in(path)
            for path in Path(folder).rglob("*.jsonl")
            if "_dlt" not in str(path) and "pipelines" not in str(path)
        )
    if (done, written) != (records, records):
        raise SystemExit(f"{name}: {done} read, {written} written of {records}: it means nothing")
    return {
        "seconds": round(seconds, 3),
        "per_second": round(records / seconds),
        "cpu_s": round(cpu, 3),
        "peak_mb": round(kilobytes / (2**20 if sys.platform == "darwin" else 2**10), 1),
    }


def lines_in(path: Path) -> int:
    """How many lines a file has."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


async def _log(account: Account) -> list[dict[str, Any]]:
    url = URL(account.url).origin() / "_sandbox" / "log"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


def depth(log: list[dict[str, Any]]) -> float | None:
    """The server's time for a page among the last tenth of full requests, as a ratio to the first.

    A request for several pages counts by the page; short ones, as for the count, do not.
    """
    most = max((len(entry["items"]) for entry in log), default=0)
    pages = [
        entry["took"] / max(1, len(entry["items"]))
        for entry in log
        if (len(entry["items"]) == most > 3) or (most <= 3 and f"limit={PAGE}" in entry["query"])
    ]
    tenth = max(1, len(pages) // 10)
    if len(pages) < 2:
        return None
    return round(statistics.median(pages[-tenth:]) / statistics.median(pages[:tenth]), 2)


async def measure(name: str, account: Account, records: int) -> dict[str, Any]:
    """One contender in a process of its own; its requests from the server's log."""
    before = len(await _log(account))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.export",
        f"--only={name}",
        f"--account={account.url} {account.username} {account.password}",
        f"--records={records}",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{name} failed")
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    log = (await _log(account))[before:]
    return figures | {"requests": len(log), "last_tenth_over_first": depth(log)}


async def run(records: int) -> dict[str, Any]:
    """Everyone's figures, and the library's beside them."""
    filled = server("benchmarks._filled", f"--records={records}", within_s=600)
    async with filled as account:
        figures = {name: await measure(name, account, records) for name in CONTENDERS}
    ours = figures["library"]
    result = {
        "records": records,
        **figures,
        "library_over": {
            name: round(figures[name]["seconds"] / ours["seconds"], 2)
            for name in CONTENDERS
            if name != "library"
        },
        "requests_share": round(ours["requests"] / figures["by_hand"]["requests"], 4),
        "to_reach": TO_REACH,
    }
    return report("export", result, ("dlt",))


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The figures for a reader."""
    yield f"{result['records']} customers to a file of JSON Lines"
    heads = ("seconds", "its own CPU", "requests", "last/first tenth", "peak MB", "library is")
    yield f"{'':16}" + "".join(f"{head:>18}" for head in heads)
    for name in CONTENDERS:
        row = result[name]
        over = result["library_over"].get(name)
        cells = (
            f"{row['seconds']:.1f}",
            f"{row['cpu_s']:.1f} s",
            f"{row['requests']}",
            f"{row['last_tenth_over_first'] or '-'}",
            f"{row['peak_mb']:.0f}",
            f"{over:.1f} x faster" if over else "",
        )
        yield f"{name:16}" + "".join(f"{cell:>18}" for cell in cells)
    yield "to reach: 5 x dlt, 2 x by hand, last tenth as the first, a twentieth of the requests"


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    inner = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    inner.add_argument("--only", choices=CONTENDERS)
    inner.add_argument("--account", default="")
    this, rest = inner.parse_known_args(arguments)
    options = options_of("export", __doc__, rest, records=(200_000, 1_000_000))
    if this.only:
        print(json.dumps(only(this.only, Account(*this.account.split()), options.records)))
        return
    result = asyncio.run(run(options.records))
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
