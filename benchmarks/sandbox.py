"""How fast the sandbox is by itself, and how it bears many records.

    python -m benchmarks.sandbox [--json] [--full] [--records N] [--store FILE]

A sandbox in a process of its own, without a quota, and a client that costs next to nothing:
requests that were built beforehand, over four connections. First what a client of the API sends in
bulk, then what it asks of an account with many records (``--full``: a million). With ``--store``
the records live in that file, which is loaded once more at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yarl import URL

from benchmarks._common import report

BATCH = 25
CONNECTIONS = 4
DEFAULT_RECORDS = 20_000
FULL_RECORDS = 1_000_000
_PAGES = 100


@dataclass(frozen=True)
class Server:
    """A sandbox in a process of its own."""

    url: URL
    authorization: str
    pid: int
    starting_s: float

    def cpu_s(self) -> float | None:
        """The processor time it has used so far; None where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float | None:
        """The memory it holds; None where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except OSError:
            return None
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)

    def request(self, method: str, target: str, payload: Any = None) -> bytes:
        """The bytes of a request."""
        body = b"" if payload is None else json.dumps(payload).encode()
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {self.url.host}:{self.url.port}\r\n"
            f"Authorization: {self.authorization}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def batch(self, items: list[dict[str, Any]]) -> bytes:
        """The bytes of a ``_bulk``."""
        return self.request("POST", "/api/v3/_bulk", items)


@contextlib.asynccontextmanager
async def sandbox(store: str | None) -> AsyncGenerator[Server, None]:
    """A sandbox in a process of its own, until the block ends."""
    began = time.perf_counter()
    options = [] if store is None else ["--store", store]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chargeover_async.sandbox", "--quota-kind=none", *options),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 600)
        url, username, password = line.decode().split()
        secret = b64encode(f"{username}:{password}".encode()).decode()
        seconds = time.perf_counter() - began
        yield Server(URL(url), f"Basic {secret}", process.pid, round(seconds, 2))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def send(server: Server, requests: Iterable[bytes]) -> list[bytes]:
    """Send all, a few at a time; the first and last of the answers."""
    waiting = iter(requests)
    answers: list[bytes] = []

    async def work() -> None:
        reader, writer = await asyncio.open_connection(
            server.url.host, server.url.port, limit=2**24
        )
        try:
            for request in waiting:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                assert head.startswith(b"HTTP/1.1 20"), head + body
                if b'"code":4' in body or b'"code":5' in body:
                    raise AssertionError(body)
                answers[1:] = [body]
        finally:
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return answers


async def measure(server: Server, items: int, requests: list[bytes]) -> dict[str, Any]:
    """Send all; items a second by the clock, and by the processor time of the server alone."""
    cpu = server.cpu_s()
    began = time.perf_counter()
    await send(server, requests)
    seconds = time.perf_counter() - began
    after = server.cpu_s()
    figures: dict[str, Any] = {"items_per_s": round(items / seconds)}
    if cpu is not None and after is not None and after > cpu:
        figures["items_per_cpu_s"] = round(items / (after - cpu))
    return figures


def creates(server: Server, count: int) -> Iterator[bytes]:
    """Customers, with a main contact each."""
    for first in range(0, count, BATCH):
        yield server.batch(
            [
                {
                    "request_method": "POST",
                    "uri": "/api/v3/customer",
                    "payload": {
                        "company": f"Company {number}",
                        "external_key": f"c{number}",
                        "bill_city": "Vienna",
                        "superuser_name": "Jo Miller",
                        "superuser_email": f"jo{number}@example.com",
                    },
                }
                for number in range(first, min(first + BATCH, count))
            ]
        )


def others(server: Server, count: int) -> dict[str, list[bytes]]:
    """What else is sent in bulk: users alone, updates, invoices, reads."""

    def batches(method: str, uri: str, payload: Any) -> list[bytes]:
        return [
            server.batch(
                [
                    {
                        "request_method": method,
                        "uri": uri.format(number + 1),
                        "payload": json.loads(json.dumps(payload).replace("%", str(number + 1))),
                    }
                    for number in range(first, min(first + BATCH, count))
                ]
            )
            for first in range(0, count, BATCH)
        ]

    line = {"item_id": 1, "line_rate": "9.95", "line_quantity": 2}
    return {
        "create_user": batches("POST", "/api/v3/user", {"name": "Al", "external_key": "u%"}),
        "update_customer": batches("PUT", "/api/v3/customer/{}", {"bill_city": "Graz"}),
        "create_invoice": batches(
            "POST", "/api/v3/invoice", {"customer_id": "%", "line_items": [line, line]}
        ),
        "get_customer": batches("GET", "/api/v3/customer/{}", None),
    }


async def milliseconds(server: Server, targets: Iterable[str]) -> float:
    """How long one GET takes on average, one after the other."""
    requests = [server.request("GET", f"/api/v3/{target}") for target in targets]
    began = time.perf_counter()
    for request in requests:
        await send(server, [request])
    return round(1000 * (time.perf_counter() - began) / len(requests), 2)


async def run(records: int, store: str | None = None) -> dict[str, Any]:
    """Measure everything once."""
    small = min(records, DEFAULT_RECORDS)
    async with sandbox(store) as server:
        empty = server.memory_mb()
        bulk = {"create_customer": await measure(server, small, list(creates(server, small)))}
        item = {"name": "Tea", "pricemodel": {"base": "2.95"}}
        await send(server, [server.request("POST", "/api/v3/item", item)])
        for name, requests in others(server, small).items():
            bulk[name] = await measure(server, small, requests)
    many: dict[str, Any] = {}
    file = None if store is None else f"{store}.many"
    async with sandbox(file) as server:
        await send(server, creates(server, records))
        memory = server.memory_mb()
        if memory is not None and empty is not None:
            many["memory_mb"] = memory
            many["bytes_per_record"] = round((memory - empty) * 2**20 / (2 * records))
        spread = [records * number // _PAGES + 1 for number in range(_PAGES)]
        asked = {
            "get_by_id": [f"customer/{id_}" for id_ in spread],
            "get_by_key": [f"customer/external_key:c{id_ - 1}" for id_ in spread],
            "where_key": [f"customer?where=external_key:EQUALS:c{id_ - 1}" for id_ in spread],
            "where_reference": [f"user?where=customer_id:EQUALS:{id_}" for id_ in spread],
            "page_of_500_behind_id": [
                f"customer?where=customer_id:GT:{id_}&order=customer_id:ASC&limit=500"
                for id_ in spread[:20]
            ],
            "page_of_500_by_offset": [f"customer?limit=500&offset={id_}" for id_ in spread[:20]],
            "page_of_500_since_by_mod_datetime": [
                "customer?where=mod_datetime:GTE:2020-01-01&order=mod_datetime:ASC&limit=500"
                f"&offset={id_}"
                for id_ in spread[:5]
            ],
            "page_of_500_by_company": [f"customer?order=company:ASC&limit=500&offset={spread[9]}"],
            "count": ["customer/_count"] * 10,
            "count_where_company_contains": ["customer/_count?where=company:CONTAINS:99"],
        }
        many["milliseconds"] = {
            name: await milliseconds(server, targets) for name, targets in asked.items()
        }
    if file is not None:
        many["file_mb"] = size_mb(file)
        async with sandbox(file) as server:
            many["loading_s"] = server.starting_s
    figures = {"records": records, "store": "memory" if store is None else "file"}
    return report("sandbox", {**figures, "bulk": bulk, "many": many})


def size_mb(file: str) -> float:
    """What a file takes on the disk."""
    return round(Path(file).stat().st_size / 2**20, 1)


def show(result: dict[str, Any]) -> None:
    """The figures as text."""
    print(f"bulk items of {result['store']} sandbox{'':20} by the clock   by its processor time")
    for name, figures in result["bulk"].items():
        cpu = figures.get("items_per_cpu_s", "")
        print(f"  {name:42}{figures['items_per_s']:>10}/s{cpu:>20}/s")
    print(f"an account of {result['records']} customers with a contact each")
    for name, value in result["many"].items():
        if name != "milliseconds":
            print(f"  {name:42}{value:>10}")
    for name, value in result["many"]["milliseconds"].items():
        print(f"  {name:42}{value:>10} ms")


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sandbox",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--full", action="store_true", help=f"{FULL_RECORDS} customers")
    parser.add_argument("--records", type=int, help=f"customers; default {DEFAULT_RECORDS}")
    parser.add_argument("--store", metavar="FILE", help="a new file for the records")
    options = parser.parse_args(arguments)
    records = FULL_RECORDS if options.full else DEFAULT_RECORDS
    if options.records is not None:
        records = options.records
    if records < 1:
        parser.error("--records must be at least 1")
    if options.store and (Path(options.store).exists() or Path(f"{options.store}.many").exists()):
        parser.error("--store must name a file that is not there")
    result = asyncio.run(run(records, options.store))
    if options.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
