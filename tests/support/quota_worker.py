"""One process that wants as many requests as it can get, through a shared quota.

Run as a program with one JSON object as argument; prints ``ready`` when it begins and its figures
at the end. Its wall clock is skewed on request: nothing may depend on it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any

from chargeover_async import BulkSettings, ChargeOver, QuotaSettings
from chargeover_async.limits.file import FileLimiter
from chargeover_async.limits.redis import RedisLimiter
from chargeover_async.limits.shared import SharedLimiter, steady_clock


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


async def work(job: dict[str, Any]) -> dict[str, Any]:
    ends = time.monotonic() + job["seconds"]

    def operations():
        for _ in itertools.takewhile(lambda _: time.monotonic() < ends, itertools.count()):
            yield co.request("GET", f"/customer/{job['number']}")

    async with (
        limiter_of(job) as limiter,
        ChargeOver(job["url"], job["username"], job["password"], limiter=limiter) as co,
    ):
        print("ready", flush=True)
        settings = BulkSettings(max_batch_ops=1)
        async for _ in co.stream(operations(), window=24, settings=settings):
            pass
        stats = limiter.stats
        return {"requests": co.stats.requests, "http_429": stats.throttled, "limit": stats.limit}


def main() -> None:
    job = json.loads(sys.argv[1])
    if job.get("skew_s"):
        real = time.time
        time.time = lambda: real() + job["skew_s"]
    print(json.dumps(asyncio.run(work(job))), flush=True)


if __name__ == "__main__":
    main()
