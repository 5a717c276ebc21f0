"""Many processes on one ledger, in a loop whose time is a number; numbers are the invariants'."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_world import BULK, DIRECT, Store, World, now
from support.fake_loop import run

from chargeover_async.errors import NotSent
from chargeover_async.limits import QuotaSettings
from chargeover_async.limits.ledger import SECOND, Rules

PERMIT_S = 60 / 250
RECOVERY_S = Rules.of(QuotaSettings()).recovery / SECOND


async def close(*limiters):
    for limiter in limiters:
        await limiter.aclose()


# -- the promise ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processes", "answer_s", "least"),
    [(1, 0.05, 0.99), (4, 0.3, 0.99), (4, 5.0, 0.98), (20, 0.3, 0.99)],
)
def test_saturating_processes_use_the_quota_evenly_fairly_and_never_more(
    processes, answer_s, least
):
    """Ten minutes: at most 250 in any 60 s, 99 % (98 %) used, no gap of 3 permits, equal shares."""

    async def main():
        world = World()
        limiters = [world.limiter(skew_s=30.0 * n) for n in range(processes)]
        jobs = [
            world.saturate(limiter, str(n), 600.0, workers=60, answer_s=answer_s)
            for n, limiter in enumerate(limiters)
        ]
        await asyncio.gather(*jobs)
        exchanges = world.store.exchanges
        await close(*limiters)
        assert world.worst <= 250
        assert world.used(0, 600) >= least
        assert world.longest_gap(0) <= 3 * PERMIT_S
        fair = len(world.arrivals) / processes
        assert min(len(sent) for sent in world.by_process.values()) >= 0.9 * fair
        assert exchanges / 600 < 20

    run(main())


@pytest.mark.parametrize("processes", [1, 4, 50])
def test_4_a_thousand_waiters_cost_fewer_than_twenty_exchanges_a_second(processes):
    """In one process or in fifty; a waiter that only waits costs none."""

    async def main():
        world = World()
        limiters = [world.limiter() for _ in range(processes)]
        jobs = [
            world.saturate(limiter, str(n), 120.0, workers=1000 // processes)
            for n, limiter in enumerate(limiters)
        ]
        await asyncio.gather(*jobs)
        assert world.store.exchanges < 20 * 120
        assert world.used(0, 120) >= 0.99
        await close(*limiters)

    run(main())


def test_4_an_idle_limiter_is_silent():
    """No exchange before the first request, nor once everything is told."""

    async def main():
        world = World()
        limiter = world.limiter()
        await asyncio.sleep(100)
        assert world.store.exchanges == 0
        await world.send(limiter, "a", DIRECT)
        await asyncio.sleep(10)
        told = world.store.exchanges
        assert told <= 2
        await asyncio.sleep(1000)
        assert world.store.exchanges == told
        await close(limiter)

    run(main())


fates = st.tuples(
    st.sampled_from(["done", "done", "done", "unused", "lost", "cancel"]),
    st.floats(0, 0.5),  # on its way to the server
    st.sampled_from([0.0, 0.05, 0.5, 5.0]) | st.floats(0, 8),  # the answer after that
    st.sampled_from([0.0, 0.0, 0.1, 3.0]) | st.floats(0, 4),  # connecting
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    limit=st.integers(1, 12),
    burst=st.integers(0, 6),
    processes=st.integers(1, 4),
    plan=st.lists(fates, min_size=1, max_size=12),
    calls=st.lists(
        st.tuples(st.floats(0, 60), st.integers(1, 30), st.booleans(), st.integers(0, 3)),
        min_size=1,
        max_size=8,
    ),
    trips=st.lists(st.sampled_from([0.0005, 0.05, 0.4]) | st.floats(0, 1), min_size=1, max_size=5),
    troubles=st.lists(
        st.tuples(
            st.floats(0, 60),
            st.sampled_from(["lose", "restart", "away", "cut", "ahead", "behind", "crash"]),
            st.floats(0.1, 40),
        ),
        max_size=4,
    ),
)
def test_no_load_and_no_trouble_makes_the_server_see_too_many(
    limit, burst, processes, plan, calls, trips, troubles
):
    """Any arrivals, latencies, cancellations; books lost, clocks set, processes killed."""
    rules = QuotaSettings(limit, 10.0, burst=min(burst, max(1, limit // 2)), guard_s=0.5)

    async def main():
        legs = iter(lambda n=[0]: n.__setitem__(0, n[0] + 1) or trips[n[0] % len(trips)], None)
        world = World(rules, Store(lambda: next(legs)))
        limiters = [world.limiter(skew_s=1000.0 * n) for n in range(processes)]
        dead: set[int] = set()
        number = iter(range(10**6))

        async def one(process, priority):
            limiter = limiters[process % processes]
            kind, way_s, answer_s, connect_s = plan[next(number) % len(plan)]
            try:
                async with asyncio.timeout(connect_s if kind == "cancel" else None):
                    permit = await limiter.acquire(priority)
            except (TimeoutError, NotSent):
                return
            if process % processes in dead:
                return
            await asyncio.sleep(connect_s)
            if kind == "unused":
                permit.unused()
                return
            try:
                permit.sent()
            except NotSent:
                permit.unused()
                return
            world.arrivals.append(now() + min(way_s, way_s + answer_s))
            if kind == "lost":
                await asyncio.sleep(30.0)
            await asyncio.sleep(way_s + answer_s)
            if process % processes not in dead:
                permit.done()

        async def begin(at, count, direct, process):
            await asyncio.sleep(at)
            await asyncio.gather(*(one(process, DIRECT if direct else BULK) for _ in range(count)))

        async def trouble(at, what, seconds):
            await asyncio.sleep(at)
            store = world.store
            if what == "lose":
                store.ledger = None
                for limiter in limiters:
                    limiter._trust_empty = False
            elif what == "restart":
                store.server += "x"
            elif what == "ahead" and processes == 1:
                store.ahead_s += seconds
            elif what == "behind":
                store.ahead_s -= seconds
            elif what == "away":
                store.away = True
                await asyncio.sleep(seconds)
                store.away = False
            elif what == "cut":
                view = limiters[0]._books
                view.cut = True
                await asyncio.sleep(seconds)
                view.cut = False
            elif what == "crash" and processes > 1:
                # Killed: whatever it was about to tell or to send, it does not.
                dead.add(0)
                limiters[0]._books.cut = True

        tasks = [asyncio.ensure_future(begin(*call)) for call in calls]
        tasks += [asyncio.ensure_future(trouble(*one)) for one in troubles]
        await asyncio.sleep(120)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close(*limiters)
        assert world.worst <= limit

    run(main())
