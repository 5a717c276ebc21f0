"""A loop that is blocked between the word that bytes leave and the bytes: the quota holds."""

from __future__ import annotations

import asyncio
import random

import pytest
from support.fake_loop import run
from support.quota_world import worst_window
from support.shared_world import BULK, DIRECT, World, now

from chargeover_async.errors import NotSent
from chargeover_async.limits import Limiter, LocalLimiter, QuotaSettings

SETTINGS = QuotaSettings(60, 12.0, guard_s=1.0, burst=30)


def limiter_of(kind: str) -> Limiter:
    return LocalLimiter(SETTINGS) if kind == "local" else World(SETTINGS).limiter()


def block(seconds: float) -> None:
    """As a slow call in C: time passes, and nothing runs."""
    asyncio.get_running_loop()._now += seconds


@pytest.mark.parametrize("kind", ["local", "shared"])
@pytest.mark.parametrize("turns", [0, 1, 2])
def test_1_the_guard_starts_when_the_bytes_have_left(kind: str, turns: int) -> None:
    """aiohttp writes a turn of the loop after it said so, and whatever blocks comes in between."""

    async def main() -> None:
        limiter = limiter_of(kind)
        arrivals: list[float] = []
        source = random.Random(turns)

        async def send(priority: object) -> None:
            permit = await limiter.acquire(priority)  # type: ignore[arg-type]
            try:
                permit.sent()
            except NotSent:
                permit.unused()
                return
            for _ in range(turns):
                await asyncio.sleep(0)
            arrivals.append(now())
            await asyncio.sleep(0.02)
            permit.done()

        async def worker() -> None:
            while now() < 120:
                await send(BULK)

        async def burst() -> None:
            while now() < 110:
                await asyncio.sleep(source.uniform(2, 6))
                calls = [asyncio.ensure_future(send(DIRECT)) for _ in range(15)]
                for _ in range(source.randrange(8)):
                    await asyncio.sleep(0)
                block(source.uniform(0.5, 5))
                await asyncio.gather(*calls)

        await asyncio.gather(burst(), *(worker() for _ in range(20)))
        assert worst_window(sorted(arrivals), SETTINGS.window_s) <= SETTINGS.limit
        assert len(arrivals) > 300
        await limiter.aclose()

    run(main())


@pytest.mark.parametrize("kind", ["local", "shared"])
def test_1_a_request_that_left_late_counts_from_then(kind: str) -> None:
    """Without an answer: the guard, and then a window, from the turn in which it can have left."""

    async def main() -> None:
        limiter = limiter_of(kind)
        permit = await limiter.acquire(BULK)
        permit.sent()
        block(5.0)
        await asyncio.sleep(0)
        left = now()
        await asyncio.sleep(SETTINGS.guard_s - 0.1)
        assert limiter.stats.in_flight == 1
        await asyncio.sleep(0.2)
        others = [await limiter.acquire(BULK) for _ in range(2)]
        assert limiter.stats.in_window == 3
        for other in others:
            other.unused()
        assert now() < left + SETTINGS.window_s
        permit.done()
        await limiter.aclose()

    run(main())
