"""One process that wants as many requests as it can get, through a shared quota.

Run as a program with one JSON object as argument; prints ``ready``, begins when it is sent a line,
and prints its figures at the end. They tell how well the machine kept up, too: how late a timer
came, and how long the slowest answer took. Its wall clock is skewed on request: nothing may depend
on it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any

from chargeover_async import BulkSettings, ChargeOver, QuotaSettings
from chargeover_async.limits.books import steady_clock
from chargeover_async.limits.file import FileLimiter
from chargeover_async.limits.redis import RedisLimiter
from chargeover_async.limits.shared import SharedLimiter
from chargeover_async.observe import Event, RequestSent

TICK_S = 0.01


def limiter_of(job: dict[str, Any]) -> SharedLimiter:
    settings = QuotaSettings(job["limit"], job["window_s"], guard_s=job["guard_s"])
    steady, skew = steady_clock(), job.get("skew_s", 0.0)
    options: dict[str, Any] = {
        "trust_empty": job.get("trust_empty", True),
        "clock": lambda: steady() + skew,
    }
    if job["share"].startswith("redis"):
        return RedisLimiter(job["share"], "acme", settings, **options)
    return FileLimiter(job["share"], settings, **options)


class Machine:
    """How well it keeps up with us."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self.slowest_s = 0.0

    def see(self, event: Event) -> None:
        if isinstance(event, RequestSent):
            self.slowest_s = max(self.slowest_s, event.duration_s)

    async def tick(self) -> None:
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self.late_s = max(self.late_s, time.monotonic() - due)


async def work(job: dict[str, Any]) -> dict[str, Any]:
    machine = Machine()

    def operations():
        for _ in itertools.takewhile(lambda _: time.monotonic() < ends, itertools.count()):
            yield co.request("GET", f"/customer/{job['number']}")

    async with (
        limiter_of(job) as limiter,
        ChargeOver(
            job["url"], job["username"], job["password"], limiter=limiter, on_event=machine.see
        ) as co,
    ):
        print("ready", flush=True)
        sys.stdin.readline()
        ends = time.monotonic() + job["seconds"]
        ticking = asyncio.create_task(machine.tick())
        settings = BulkSettings(max_batch_ops=1)
        async for _ in co.stream(operations(), window=24, settings=settings):
            pass
        ticking.cancel()
        stats = limiter.stats
        return {
            "requests": co.stats.requests,
            "http_429": stats.throttled,
            "limit": stats.limit,
            "late_s": machine.late_s,
            "slowest_s": machine.slowest_s,
        }


def main() -> None:
    job = json.loads(sys.argv[1])
    if job.get("skew_s"):
        real = time.time
        time.time = lambda: real() + job["skew_s"]
    print(json.dumps(asyncio.run(work(job))), flush=True)


if __name__ == "__main__":
    main()
