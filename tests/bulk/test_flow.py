"""Latency, fill and fairness under the real quota, in fake time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from support.bulk_world import client, customer
from support.fake_loop import run
from support.server_model import ServerModel

from chargeover_async import LocalLimiter, QuotaSettings


def test_fifty_a_second_wait_under_a_second_and_batches_are_full() -> None:
    """0.5 s of server time, 250 a minute: 95th percentile of waiting under 1 s, fill over 10."""
    waits: list[float] = []
    fill: list[float] = []

    async def main() -> None:
        loop, dice = asyncio.get_running_loop(), random.Random(2)
        server = ServerModel(delay=0.25)
        limiter = LocalLimiter(QuotaSettings(250, 60.0), random=random.Random(1))
        co = client(server, limiter=limiter)
        async with co.bulk() as bulk:

            async def one(mark: int) -> None:
                began = loop.time()
                await customer(bulk.customers, mark)
                waits.append(loop.time() - began)

            tasks = []
            for mark in range(50 * 120):
                tasks.append(asyncio.create_task(one(mark)))
                await asyncio.sleep(dice.expovariate(50))
            await asyncio.gather(*tasks)
        fill.append(co.stats.operations_per_request)

    run(main())
    waits.sort()
    assert waits[int(len(waits) * 0.95)] < 1.0
    assert fill[0] > 10


def test_a_direct_call_waits_at_most_two_permits_while_a_stream_saturates_the_quota() -> None:
    """The worst of 200, one a second; the stream has all but all of what they leave."""
    waits: list[float] = []
    shares: list[float] = []

    async def main() -> None:
        loop, dice = asyncio.get_running_loop(), random.Random(4)
        server = ServerModel(delay=0.1)
        limiter = LocalLimiter(QuotaSettings(250, 60.0), random=random.Random(1))
        co = client(server, limiter=limiter)
        there = server.seed("customer")

        def endless() -> Any:
            mark = 0
            while True:
                mark += 1
                yield customer(co.customers, mark)

        async def job() -> None:
            async for _ in co.stream(endless()):
                pass

        task = asyncio.create_task(job())
        await asyncio.sleep(130.0)
        before, began = len(server.sent), loop.time()
        for _ in range(200):
            asked = loop.time()
            await co.customers.get(there)
            waits.append(loop.time() - asked - 0.2)
            await asyncio.sleep(max(0.0, asked + 0.5 + dice.random() - loop.time()))
        seconds = loop.time() - began
        rate = (len(server.sent) - before - 200) / seconds
        shares.append(rate / (250 / 60.0 - 200 / seconds))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await co.aclose()

    run(main())
    # A permit each 0.24 s, stretched by what the latency costs.
    assert max(waits) <= 2 * 0.26
    assert shares[0] >= 0.95
