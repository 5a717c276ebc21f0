"""What the tests of tasks share: an account they reach, and a part written in a process of its own.

Run as a script, ``cluster_world.py URL SHARE ATTEMPT ROWS STOP_AT``, it writes ROWS customers as
one part and prints its report. At row STOP_AT it waits for a line on its standard input: "die" ends
it without a word (`os._exit`), anything else lets it go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.request import urlopen

import msgspec
from support.places import TESTS
from support.waiting import wait_until

from chargeover_async import QuotaSettings, RetryPolicy
from chargeover_async.cluster import Connect, PartReport, write_part
from chargeover_async.sandbox import Faults, Sandbox, Variant

FAST = QuotaSettings(limit=2_000, window_s=1.0, guard_s=0.1)
NO_WAITS = RetryPolicy(attempts=4, base_s=0, cap_s=0)


class Plain(msgspec.Struct, frozen=True):
    """A login that travels as it is: fit for a sandbox."""

    username: str
    password: str

    def __call__(self) -> tuple[str, str]:
        return self.username, self.password


def connect_to(sandbox: Sandbox, **options: Any) -> Connect:
    login = Plain(sandbox.username, sandbox.password)
    return Connect(
        **{"url": sandbox.url, "login": login, "quota": FAST, "retry": NO_WAITS} | options
    )


@contextlib.asynccontextmanager
async def account(
    *,
    variant: Variant | None = None,
    faults: Faults | None = None,
    login: Mapping[str, str] = MappingProxyType({}),
    **options: Any,
) -> AsyncGenerator[tuple[Sandbox, Connect]]:
    """A sandbox without a quota, and how to reach it."""
    async with Sandbox(
        quota=None, variant=variant, faults=faults, max_log=100_000, **login
    ) as sandbox:
        yield sandbox, connect_to(sandbox, **options)


def customers(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"external_key": f"c-{number}", "company": f"Company {number}", **more}
        for number in range(count)
    ]


def keys(sandbox: Sandbox, name: str = "customer") -> list[str]:
    """The keys of all records, as often as they are there."""
    return [str(record["external_key"]) for record in sandbox.store.records(name)]


def wait_for_customers(url: str, count: int) -> None:
    """Come back when a sandbox in another process holds that many."""
    state = url.replace("/api/v3", "/_sandbox/state")

    def there() -> bool:
        with urlopen(state) as answer:  # noqa: S310 - loopback
            return bool(json.load(answer)["records"]["customer"] >= count)

    wait_until(there)


def start_part(
    sandbox: Sandbox,
    share: Path,
    *,
    attempt: int,
    rows: int,
    stop_at: int = 0,
) -> subprocess.Popen[str]:
    """`write_part` in a process of its own."""
    import chargeover_async

    root = Path(chargeover_async.__file__).parents[1]
    arguments = (sandbox.url, share, attempt, rows, stop_at)
    return subprocess.Popen(  # noqa: S603 - the interpreter that runs this, and this file
        [sys.executable, __file__, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": f"{root}{os.pathsep}{TESTS}",
            "CHARGEOVER_USERNAME": sandbox.username,
            "CHARGEOVER_PASSWORD": sandbox.password,
        },
    )


def report_of(process: subprocess.Popen[str], line: str = "go on") -> PartReport:
    """What it says at its end, once it is told to go on."""
    out, errors = process.communicate(f"{line}\n", timeout=600)
    assert process.returncode == 0, errors
    return msgspec.json.decode(out, type=PartReport)


def _rows(count: int, stop_at: int) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(customers(count)):
        if stop_at and number == stop_at and sys.stdin.readline() == "die\n":
            os._exit(9)
        yield row


def _main(url: str, share: str, attempt: int, rows: int, stop_at: int) -> None:
    connect = Connect(url=url, quota_share=share, quota=FAST)
    report = write_part(_rows(rows, stop_at), "customer", connect, attempt=attempt, parts=2)
    print(msgspec.json.encode(report).decode(), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:3], *map(int, sys.argv[3:]))
