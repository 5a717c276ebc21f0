"""Many processes on one ledger, in a loop whose time is a number; numbers are the invariants'."""

from __future__ import annotations

import asyncio
import copy
import logging
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_loop import run
from support.shared_world import BULK, DIRECT, START_US, Store, World, now

from chargeover_async.errors import NotSent, UsageError
from chargeover_async.limits import Limiter, Permit, QuotaSettings
from chargeover_async.limits.books import BooksAway
from chargeover_async.limits.ledger import SECOND, Rules
from chargeover_async.limits.shared import SharedLimiter

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
    """Four minutes: at most 250 in any 60 s, 99 % (98 %) used, no gap of 3 permits, fair."""

    async def main():
        world = World()
        limiters = [world.limiter(skew_s=30.0 * n) for n in range(processes)]
        jobs = [
            world.saturate(limiter, str(n), 240.0, workers=40, answer_s=answer_s)
            for n, limiter in enumerate(limiters)
        ]
        await asyncio.gather(*jobs)
        exchanges = world.store.exchanges
        await close(*limiters)
        assert world.worst <= 250
        assert world.used(0, 240) >= least
        assert world.longest_gap(0) <= 3 * PERMIT_S
        fair = len(world.arrivals) / processes
        assert min(len(sent) for sent in world.by_process.values()) >= 0.9 * fair
        assert exchanges / 240 < 20

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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    limit=st.integers(1, 12),
    burst=st.integers(0, 6),
    processes=st.integers(1, 4),
    workers=st.sampled_from([0, 3, 30]),
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
    limit, burst, processes, workers, plan, calls, trips, troubles
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
            """Whether it got as far as a permit."""
            limiter = limiters[process % processes]
            kind, way_s, answer_s, connect_s = plan[next(number) % len(plan)]
            try:
                async with asyncio.timeout(connect_s if kind == "cancel" else None):
                    permit = await limiter.acquire(priority)
            except (TimeoutError, NotSent):
                return False
            if process % processes in dead:
                return False
            await asyncio.sleep(connect_s)
            if kind == "unused":
                permit.unused()
                return True
            try:
                permit.sent()
            except NotSent:
                permit.unused()
                return True
            world.arrivals.append(now() + way_s)
            if kind == "lost":
                await asyncio.sleep(30.0)
            await asyncio.sleep(way_s + answer_s)
            if process % processes not in dead:
                permit.done()
            return True

        async def begin(at, count, direct, process):
            await asyncio.sleep(at)
            await asyncio.gather(*(one(process, DIRECT if direct else BULK) for _ in range(count)))

        async def trouble(at, what, seconds):
            await asyncio.sleep(at)
            store = world.store
            if what == "lose":
                store.ledger = None
                for limiter in limiters:
                    limiter._exchanges.reports.trust_empty = False
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

        async def greedy(process):
            while now() < 100:
                # Those that are cancelled at once would else come back millions of times.
                got = await one(process, BULK)
                await asyncio.sleep(0.001 if got else 0.1)

        tasks = [asyncio.ensure_future(begin(*call)) for call in calls]
        tasks += [
            asyncio.ensure_future(greedy(process))
            for process in range(processes)
            for _ in range(workers)
        ]
        tasks += [asyncio.ensure_future(trouble(*case)) for case in troubles]
        await asyncio.sleep(120)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close(*limiters)
        assert world.worst <= limit

    run(main())


# -- each piece of the promise by itself ---------------------------------------------------------


def arrivals_with(way, seconds=200.0, processes=1, trip_s=0.0005, during=None, workers=30):
    """What a server with 10 in 10 s sees of saturating processes; ``way`` is each request's."""
    world = World(QuotaSettings(10, 10.0, guard_s=0.5), Store(lambda: trip_s))

    async def worker(limiter, number):
        while now() < seconds:
            permit = await limiter.acquire(BULK)
            connect_s, out_s, answer_s = way(number, now())
            await asyncio.sleep(connect_s)
            try:
                permit.sent()
            except NotSent:
                permit.unused()
                continue
            world.arrivals.append(now() + out_s)
            await asyncio.sleep(max(out_s, answer_s))
            permit.done()

    async def main():
        limiters = [world.limiter() for _ in range(processes)]
        tasks = [
            asyncio.ensure_future(worker(limiter, number))
            for number, limiter in enumerate(limiters)
            for _ in range(workers)
        ]
        if during is not None:
            tasks.append(asyncio.ensure_future(during(world, limiters)))
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(
            result is None or isinstance(result, asyncio.CancelledError) for result in results
        )
        await close(*limiters)

    run(main())
    return world


def test_the_guard_covers_the_way_out():
    """Half of the time requests take the whole guard to arrive, then none: never 11 in 10 s."""
    world = arrivals_with(lambda _, at: (0.0, 0.5 if at % 20 < 10 else 0.0, 3.0))
    assert world.worst == 10
    assert world.used(0, 200) >= 0.9


def test_1_a_permit_is_sent_within_its_lease_or_not_at_all():
    """While nothing can renew it, the lease of 10 / 12 s is all there is, way out included."""

    async def cut(world, limiters):
        await asyncio.sleep(50.0)
        world.store.away = True
        await asyncio.sleep(40.0)
        world.store.away = False

    # They connect for 7 s in the second lap, so that permits are held when the ledger goes away.
    def way(_, at):
        return (7.0 if 40 < at < 51 else 0.0, 0.5, 0.5)

    assert arrivals_with(way, during=cut).worst <= 10


def test_1_a_lease_is_renewed_while_the_ledger_is_there():
    """Connections that take 15 s cost their quota, and are not refused in the end."""
    world = arrivals_with(lambda _, at: (15.0 if at < 25 else 0.0, 0.0, 0.1))
    assert world.worst <= 10
    early = [at for at in world.arrivals if at < 41]
    assert len(early) >= 10
    assert len(world.arrivals) >= 150


@pytest.mark.parametrize("trip_s", [0.0, 0.05, 0.4])
def test_no_slot_is_used_before_it_is_due_where_the_ledger_is(trip_s):
    """However long the answer takes: what is due in 0.2 s is due 0.2 s after it has come."""

    async def main():
        world = World(store=Store(lambda: trip_s))
        limiter = world.limiter()
        unreported = Rules.of(QuotaSettings()).unreported

        async def one():
            permit = await limiter.acquire(BULK)
            due_at = (world.store.ledger.slots[permit.slot] - unreported - START_US) / SECOND
            assert due_at - 1e-5 <= now()

        await asyncio.gather(*(one() for _ in range(20)))
        await close(limiter)

    run(main())


def test_1_what_is_out_is_known_to_the_ledger():
    """A repeat that the ledger has not made, and a permit that is held for long."""

    async def main():
        world = World()
        limiter = world.limiter()
        repeated, held = [await limiter.acquire(BULK) for _ in range(2)]
        repeated.sent()
        repeated.sent()
        await asyncio.sleep(0.9)
        limiter.throttled(0.0)  # something to tell, before the guard settles it
        await asyncio.sleep(0.05)
        assert repeated.slot in world.store.ledger.slots
        ends = world.store.ledger.slots[held.slot]
        await asyncio.sleep(20)
        assert world.store.ledger.slots[held.slot] >= ends + 15 * SECOND
        held.sent()  # its lease was renewed
        held.done()
        repeated.done()
        await close(limiter)

    run(main())


def test_1_the_lease_runs_from_before_asking():
    """A slow answer of the ledger is no longer lease."""

    async def main():
        world = World(store=Store(lambda: 1.0))
        limiter = world.limiter()
        permit = await limiter.acquire(BULK)
        assert now() == pytest.approx(2.0, abs=0.1)
        limiter._books.cut = True
        await asyncio.sleep(3.2)
        with pytest.raises(NotSent):
            permit.sent()
        permit.unused()
        await close(limiter)

    run(main())


def test_1_sent_after_the_lease_raises_and_what_is_held_is_not_sent():
    """With the reason, and nothing counted."""

    async def main():
        world = World()
        limiter = world.limiter()
        permit = await limiter.acquire(BULK)
        limiter._books.cut = True
        await asyncio.sleep(5.1)
        with pytest.raises(NotSent, match=r"lapsed before it could be sent.*memory.*5 s"):
            permit.sent()
        permit.unused()
        assert limiter.stats.granted == limiter.stats.in_flight == 0
        await close(limiter)

    run(main())


@pytest.mark.parametrize("trip_s", [0.0, 0.1, 0.4])
def test_a_slow_way_to_the_ledger_is_on_the_safe_side(trip_s):
    """Both legs of the round trip are added where the request could come too early or too late."""
    world = arrivals_with(lambda _, at: (0.0, 0.5 if at % 20 < 10 else 0.0, 0.5), trip_s=trip_s)
    assert world.worst <= 10
    assert len(world.arrivals) >= 120


@pytest.mark.parametrize("jump_s", [-3600.0, -30.0, -3.0, 3.0, 9.0, 30.0, 3600.0])
def test_the_ledgers_clock_may_be_set(jump_s):
    """Back or forth by seconds or an hour, in the middle: never 11 in 10 s, and it goes on."""

    async def set_clock(world, limiters):
        for _ in range(3):
            await asyncio.sleep(37.3)
            world.store.ahead_s += jump_s

    world = arrivals_with(lambda _, at: (0.0, 0.0, 0.3), processes=3, during=set_clock)
    assert world.worst <= 10
    assert world.used(0, 200) >= 0.9


@pytest.mark.parametrize("what", ["lost", "another server", "rolled back", "older"])
def test_lost_books_are_waited_out(what, caplog):
    """The quota counts as used up, whatever was still held; then all go on."""
    copies = []

    async def lose(world, limiters):
        await asyncio.sleep(40.0)
        copies.append(world.store.ledger and copy.deepcopy(world.store.ledger))
        if what == "older":
            # The books of before were lost, others have been kept for long, and those come back.
            world.store.ledger = None
            await asyncio.sleep(50.0)
        await asyncio.sleep(7.0)
        if what == "lost":
            world.store.ledger = None
        elif what == "another server":
            world.store.server = "two"
        else:
            world.store.ledger = copies[0]

    # Held for 0.8 s of the lease of 0.83 s, then half a second on the way.
    world = arrivals_with(lambda _, at: (0.8, 0.5, 0.5), processes=2, during=lose)
    assert world.worst <= 10
    recovery_s = Rules.of(QuotaSettings(10, 10.0, guard_s=0.5)).recovery / SECOND
    assert recovery_s >= 10 + 10 / 12 + 0.5  # a window, a lease and the guard
    lost_at = 97.0 if what == "older" else 47.0
    assert [at for at in world.arrivals if lost_at + 2.5 < at < lost_at + recovery_s] == []
    assert world.used(lost_at + 23, 190) >= 0.8
    assert "nothing is granted for 1" in caplog.text
    assert "is lost" in caplog.text


def test_an_empty_ledger_is_not_trusted_by_default(caplog):
    """The first process of all waits as if the quota had been used up, and says so."""

    async def main():
        world = World()
        limiter = world.limiter(trust_empty=False)
        await world.send(limiter, "a", DIRECT)
        assert world.arrivals[0] >= RECOVERY_S
        assert world.arrivals[0] < RECOVERY_S + 1
        assert world.store.exchanges <= 3
        await close(limiter)

    run(main())
    assert f"is new: as if it had been used up, nothing is granted for {RECOVERY_S:.0f} s" in (
        caplog.text
    )


def test_a_crashed_process_frees_its_share():
    """What it held counts until its lease, the guard and a window are over, and no longer."""

    async def main():
        world = World(QuotaSettings(10, 10.0, guard_s=0.5))
        crashed, other = world.limiter(), world.limiter()
        for _ in range(10):
            await crashed.acquire(BULK)
        crashed._books.cut = True
        taken = now()
        await world.saturate(other, "b", taken + 60, workers=5)
        assert world.arrivals[0] <= taken + 10 + 0.5 + 10 / 12 + 0.1
        assert world.used(taken + 20, taken + 60) >= 0.95
        await close(crashed, other)

    run(main())


# -- classes, cancelling, closing ----------------------------------------------------------------


def test_2_first_in_first_out_and_direct_first():
    """Within a class by arrival; direct calls pass waiting bulk, which keeps its share."""

    async def main():
        world = World(QuotaSettings(10, 10.0, burst=0))
        limiter = world.limiter()
        order = []

        async def one(name, priority):
            permit = await limiter.acquire(priority)
            order.append(name)
            permit.done()

        bulk = [asyncio.ensure_future(one(("bulk", n), BULK)) for n in range(20)]
        await asyncio.sleep(3.1)
        before = len(order)
        direct = [asyncio.ensure_future(one(("direct", n), DIRECT)) for n in range(20)]
        await asyncio.gather(*bulk, *direct)
        for kind in ("bulk", "direct"):
            assert [n for name, n in order if name == kind] == list(range(20))
        flood = [name for name, _ in order[before : before + 20]]
        assert flood[0] == "direct"
        assert 3 <= flood.count("bulk") <= 5
        await close(limiter)

    run(main())


def test_2_an_idle_quota_answers_direct_calls_at_once():
    """A burst from unused quota takes one round trip; beyond it calls are paced."""

    async def main():
        world = World()
        limiter = world.limiter()
        await asyncio.gather(*(world.send(limiter, "a", DIRECT) for _ in range(50)))
        assert max(world.direct_waits) <= 0.02
        await close(limiter)

    run(main())


def test_2_a_direct_call_beside_saturating_processes_waits_few_permits():
    """Another process's web service, while four importers take all they can: 4 permits at most."""

    async def main():
        world = World()
        limiters = [world.limiter() for _ in range(5)]
        chance = random.Random(5)

        async def serve():
            while now() < 300:
                await asyncio.sleep(chance.expovariate(0.5))
                await world.send(limiters[4], "web", DIRECT)

        await asyncio.gather(
            serve(),
            *(world.saturate(limiter, str(n), 300.0) for n, limiter in enumerate(limiters[:4])),
        )
        waits = sorted(world.direct_waits)
        assert len(waits) >= 80
        assert waits[len(waits) // 2] <= 3 * PERMIT_S, waits
        assert waits[-1] <= 6 * PERMIT_S
        assert world.worst <= 250
        await close(*limiters)

    run(main())


def test_2_direct_calls_of_one_process_do_not_starve_the_bulk_of_another():
    """A flood of direct calls leaves bulk work elsewhere a fifth of the quota, at least."""

    async def main():
        world = World()
        flood, job = world.limiter(), world.limiter()
        await asyncio.gather(
            world.saturate(flood, "flood", 300.0, workers=300, priority=DIRECT),
            world.saturate(job, "job", 300.0),
        )
        sent = {name: len(times) for name, times in world.by_process.items()}
        assert sent["job"] >= 0.18 * sum(sent.values())
        assert sent["flood"] > sent["job"]
        assert world.worst <= 250
        await close(flood, job)

    run(main())


def test_3_a_cancelled_waiter_costs_nothing():
    """Before its turn, in the tick of its turn, and after: what it had is used by the next."""

    async def main():
        world = World(QuotaSettings(10, 10.0, burst=0))
        limiter = world.limiter()
        waiters = [asyncio.ensure_future(limiter.acquire(BULK)) for _ in range(30)]
        last = asyncio.ensure_future(limiter.acquire(BULK))
        await asyncio.sleep(1.5)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        await last
        assert now() <= 2.5
        stats = limiter.stats
        assert stats.waiting == 0
        done = [w.result() for w in waiters if w.done() and not w.cancelled()]
        assert stats.granted == len(done) + 1
        for permit in done:
            permit.unused()
        last.result().unused()
        assert limiter.stats.granted == limiter.stats.in_flight == 0
        await asyncio.sleep(1)
        assert world.store.ledger.slots == {}
        await close(limiter)

    run(main())


def test_3_a_cancellation_that_meets_the_grant_passes_it_on():
    """In the very tick: the next waiter has it."""

    async def main():
        world = World(QuotaSettings(1, 10.0))
        limiter = world.limiter()
        first = await limiter.acquire(BULK)
        meets = asyncio.ensure_future(limiter.acquire(BULK))
        next_ = asyncio.ensure_future(limiter.acquire(BULK))
        await asyncio.sleep(0.1)
        first.unused()  # grants `meets` at once
        meets.cancel()
        permit = await next_
        assert now() < 0.2
        with pytest.raises(asyncio.CancelledError):
            await meets
        permit.done()
        await close(limiter)

    run(main())


def test_7_closing_gives_back_what_is_not_used():
    """Reserved slots and tickets are the others' at once; waiters and later calls get NotSent."""

    async def main():
        world = World()
        limiter, other = world.limiter(), world.limiter()
        waiters = [asyncio.ensure_future(limiter.acquire(BULK)) for _ in range(40)]
        await asyncio.sleep(2)
        assert world.store.ledger.askers
        granted = sum(waiter.done() for waiter in waiters)
        await limiter.aclose()
        await limiter.aclose()
        for waiter in waiters[granted:]:
            with pytest.raises(NotSent):
                await waiter
        with pytest.raises(NotSent):
            await limiter.acquire(DIRECT)
        assert world.store.ledger.askers == {}
        assert len(world.store.ledger.slots) == granted
        assert limiter._books.closed
        for waiter in waiters[:granted]:
            waiter.result().done()  # late, and heard by nobody: their lease ends it
        await close(other)

    run(main())


# -- 429 -----------------------------------------------------------------------------------------


def test_5_a_429_pauses_everybody_and_is_learnt_from():
    """The refused process stops at once, the others within a second; then slowly again."""

    async def main():
        world = World()
        limiters = [world.limiter() for _ in range(3)]

        async def refuse():
            await asyncio.sleep(30)
            permit = await limiters[0].acquire(DIRECT)
            permit.sent()
            permit.done()
            limiters[0].throttled(12.0, permit=permit)
            limiters[0].throttled(12.0, permit=permit)  # under way before the pause: no second one
            assert limiters[0].stats.is_paused
            assert limiters[0].stats.paused_for_s <= 12.0

        await asyncio.gather(
            refuse(),
            *(world.saturate(limiter, str(n), 60.0) for n, limiter in enumerate(limiters)),
        )
        began = 30.0
        paused = [at for at in world.arrivals if began + 1.0 < at < began + 12.0]
        assert paused == []
        assert [at for at in world.by_process["0"] if began + 0.5 < at < began + 12] == []
        assert any(at > began + 12 for at in world.by_process["2"])
        ramp = [at for at in world.arrivals if began + 12 <= at < began + 20]
        assert 2 <= len(ramp) < 30
        for limiter in limiters:
            stats = limiter.stats
            assert 190 <= stats.limit < 250
            assert stats.pauses == 1
        assert limiters[0].stats.throttled == 2
        await close(*limiters)

    run(main())


@pytest.mark.parametrize("how", ["its permit", "a repeat's", "no permit"])
def test_5_a_429_is_told_once(how):
    """Not again with each exchange: one pause, and the whole rate after it."""

    async def main():
        world = World()
        limiter, other = world.limiter(), world.limiter()
        await asyncio.gather(world.saturate(limiter, "a", 5.0), world.saturate(other, "b", 5.0))
        permit = await limiter.acquire(DIRECT)
        permit.sent()
        if how == "a repeat's":
            permit.sent()
        permit.done()
        limiter.throttled(2.0, permit=None if how == "no permit" else permit)
        await asyncio.gather(world.saturate(limiter, "a", 200.0), world.saturate(other, "b", 200.0))
        assert world.store.ledger.pauses == 1
        assert other.stats.pauses == limiter.stats.pauses == 1
        assert world.used(100, 200) >= 0.95
        await close(limiter, other)

    run(main())


def test_5_refusals_that_come_together_are_one_pause():
    """Also where nobody says which requests they were of."""

    async def main():
        world = World()
        limiter = world.limiter()
        await world.send(limiter, "a")
        for _ in range(3):
            limiter.throttled(10.0)
            await asyncio.sleep(1)
        assert (limiter.stats.throttled, limiter.stats.pauses) == (3, 1)
        assert world.store.ledger.pauses == 1
        assert limiter.stats.paused_for_s < 10
        await close(limiter)

    run(main())


def test_5_nobody_asks_in_vain_during_a_pause():
    """Whoever comes while it lasts asks when it is over: one exchange."""

    async def main():
        world = World()
        limiter, other = world.limiter(), world.limiter()
        permit = await limiter.acquire(DIRECT)
        permit.sent()
        permit.done()
        await world.send(other, "b", BULK)
        limiter.throttled(30.0, permit=permit)
        await asyncio.sleep(5)  # all is told, nobody waits
        asked = world.store.exchanges
        waiters = [asyncio.ensure_future(quota.acquire(BULK)) for quota in (limiter, other) * 3]
        await asyncio.sleep(20)
        assert world.store.exchanges - asked <= 1  # the other's, which had not heard of it
        await asyncio.wait_for(asyncio.gather(*waiters), 60)
        await close(limiter, other)

    run(main())


def test_5_without_the_ledger_a_429_still_pauses_this_process():
    """It keeps what it has learnt until somebody hears it."""

    async def main():
        world = World()
        limiter = world.limiter()
        permit = await limiter.acquire(BULK)
        permit.done()
        limiter._books.cut = True
        limiter.throttled(None, permit=permit)
        assert limiter.stats.paused_for_s == pytest.approx(5.0)
        await asyncio.sleep(3)
        limiter._books.cut = False
        other = world.limiter()
        await asyncio.sleep(2)
        await world.send(other, "b", BULK)
        assert world.arrivals[0] >= 7.0
        await close(limiter, other)

    run(main())


# -- away ----------------------------------------------------------------------------------------


def test_6_while_the_ledger_is_away_all_wait(caplog):
    """Beyond what was reserved nothing goes; one warning a minute, and one when it is back."""

    async def main():
        world = World()
        limiter = world.limiter()
        job = asyncio.ensure_future(world.saturate(limiter, "a", 400.0))
        await asyncio.sleep(60)
        world.store.away = True
        tried = world.store.exchanges
        await asyncio.sleep(150)
        assert world.store.exchanges - tried < 150
        assert limiter.is_away
        world.store.away = False
        await job
        assert [at for at in world.arrivals if 62 < at < 210] == []
        assert world.used(215, 400) >= 0.98
        assert not limiter.is_away
        await close(limiter)

    with caplog.at_level(logging.INFO):
        run(main())
    away = [record for record in caplog.records if "is away" in record.message]
    assert len(away) == 3
    assert "not there" in away[0].message
    assert "wait until it is back" in away[0].message
    assert sum("is back after" in record.message for record in caplog.records) == 1


def test_6_alone_goes_on_at_its_share_once_nothing_counts_any_more(caplog):
    """Two processes at 0.4 each: never beyond the quota, before, during and after."""

    async def main():
        world = World()
        limiters = [world.limiter(when_away="alone", alone_share=0.4) for _ in range(2)]
        jobs = [
            asyncio.ensure_future(world.saturate(limiter, str(n), 500.0))
            for n, limiter in enumerate(limiters)
        ]
        await asyncio.sleep(60)
        world.store.away = True
        await asyncio.sleep(240)
        assert [limiter.stats.limit for limiter in limiters] == [100, 100]
        world.store.away = False
        await asyncio.gather(*jobs)
        assert world.worst <= 250
        assert [at for at in world.arrivals if 62 < at < 60 + RECOVERY_S] == []
        assert world.used(140, 300) == pytest.approx(0.8, abs=0.02)
        assert world.used(370, 500) >= 0.97
        await close(*limiters)

    run(main())
    assert "going on alone with 100 requests per 60 s" in caplog.text


# -- mistakes ------------------------------------------------------------------------------------


def test_others_with_other_settings_are_an_error_and_not_a_second_quota():
    """Named, with what to do; later, when nobody uses it, the new settings hold."""

    async def main():
        world = World()
        mine = world.limiter()
        await world.send(mine, "a")
        await mine.aclose()
        other = SharedLimiter(mine._books, QuotaSettings(500), clock=now, trust_empty=True)
        with pytest.raises(UsageError, match="other settings: limit=250, window_s=60") as caught:
            await other.acquire(DIRECT)
        assert "memory" in str(caught.value)
        await asyncio.sleep(70)
        (await other.acquire(DIRECT)).done()
        assert other.stats.limit == 500
        await other.aclose()

    run(main())


def test_what_will_never_work_is_an_error():
    """A ledger that refuses us for good fails those who wait, not only the log."""

    class Refusing:
        place = "nowhere"

        async def exchange(self, call):
            raise BooksAway("wrong password", lasting=True)

        async def aclose(self):
            pass

    async def main():
        limiter = SharedLimiter(Refusing(), clock=now)
        for _ in range(2):
            with pytest.raises(UsageError, match="nowhere: wrong password"):
                await limiter.acquire(BULK)
        await limiter.aclose()

    run(main())


def test_a_fault_of_the_books_does_not_hang_anybody(caplog):
    """It is logged, tried again, and works when it works."""

    class Faulty:
        place = "memory"
        failed = 0

        def __init__(self, world):
            self.world = world

        async def exchange(self, call):
            if self.failed < 3:
                self.failed += 1
                raise RuntimeError("a bug")
            return await self.world.store.exchange(call)

        async def aclose(self):
            pass

    async def main():
        limiter = SharedLimiter(Faulty(World()), clock=now, trust_empty=True)
        (await limiter.acquire(BULK)).done()
        assert now() < 2
        await limiter.aclose()

    run(main())
    assert "a bug" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"when_away": "go"}, 'when_away must be "wait" or "alone"'),
        ({"alone_share": 0}, "alone_share must be above 0"),
        ({"alone_share": 1.5}, "at most 1"),
    ],
)
def test_settings_that_cannot_be_right(options, message):
    """Refused by name, before anything is shared."""
    with pytest.raises(UsageError, match=message):
        SharedLimiter(None, **options)


def test_one_limiter_serves_one_event_loop():
    """A second one is refused."""
    world = World()

    async def main(limiter):
        await world.send(limiter, "a")

    async def first():
        limiter = world.limiter()
        await main(limiter)
        await limiter.aclose()
        limiter._closed = False
        return limiter

    limiter = run(first())
    with pytest.raises(UsageError, match="another event loop"):
        run(main(limiter))


def test_it_is_a_limiter_whose_repr_says_what_is_going_on():
    """The Protocols, as the pipeline uses them."""

    async def main():
        limiter: Limiter = World().limiter()
        permit: Permit = await limiter.acquire(DIRECT)
        permit.sent()
        assert limiter.stats.in_flight == limiter.stats.granted == limiter.stats.in_window == 1
        permit.sent()  # the HTTP layer repeats: one more
        assert limiter.stats.granted == 2
        permit.done()
        permit.sent()  # and once more, after the end
        permit.done()
        permit.done()
        assert (
            repr(limiter) == "<SharedLimiter 250 per 60 s at memory, 0 direct and 0 bulk waiting>"
        )
        await asyncio.sleep(5)
        assert limiter.stats.in_flight == 0
        assert len(limiter._books.store.ledger.slots) == limiter.stats.granted == 3
        await limiter.aclose()

    run(main())
