"""The quota under asyncio, in a loop whose time is a number; nothing sleeps."""

import asyncio
import gc
import itertools
import logging
import random

import pytest
from support.quota_world import worst_window

from chargeover_async.errors import NotSent, UsageError
from chargeover_async.limits import Limiter, LocalLimiter, Priority, QuotaSettings

PERMIT_S = 60 / 250
DIRECT, BULK = Priority.DIRECT, Priority.BULK

pytestmark = pytest.mark.looptime


def now():
    return asyncio.get_running_loop().time()


async def settle():
    """Let everything run that can run without time passing."""
    for _ in range(5):
        await asyncio.sleep(0)


async def greedy(limiter, until, sends, answer_s=0.05, priority=BULK):
    """One worker that always wants the next permit."""
    while True:
        permit = await limiter.acquire(priority)
        if now() >= until:
            permit.unused()
            return
        permit.sent()
        sends.append(now())
        await asyncio.sleep(answer_s)
        permit.done()


def still_limiter(**options):
    """A limiter of one permit per 10 s, and none left."""
    return LocalLimiter(QuotaSettings(limit=1, window_s=10.0, margin_s=0.0, **options))


# -- the promise, end to end ---------------------------------------------------------------------


@pytest.mark.parametrize(("answer_s", "least"), [(0.05, 0.99), (0.3, 0.99), (5.0, 0.98)])
async def test_1_2_greedy_load_over_ten_minutes_uses_the_quota_and_never_more(answer_s, least):
    """Forty greedy workers: never above 250 in any 60 s, and at least 99 % (98 %) used."""
    limiter = LocalLimiter()
    sends: list[float] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(greedy(limiter, 600.0, sends, answer_s))
    assert worst_window(sends, 60.0) <= 250
    assert len(sends) >= least * 2500
    assert max(b - a for a, b in itertools.pairwise(sends)) <= 3 * PERMIT_S


async def test_3_a_direct_call_waits_two_permits_at_most_while_bulk_saturates():
    """The worst of 200 direct calls in ten saturated minutes waits at most 0.48 s."""
    limiter = LocalLimiter()
    chance = random.Random(11)
    waits: list[float] = []

    async def direct():
        await asyncio.sleep(chance.uniform(0, 590))
        asked_at = now()
        permit = await limiter.acquire(DIRECT)
        waits.append(now() - asked_at)
        permit.sent()
        await asyncio.sleep(0.2)
        permit.done()

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(greedy(limiter, 600.0, [], 0.3))
        for _ in range(200):
            group.create_task(direct())
    assert len(waits) == 200
    assert max(waits) <= 2 * PERMIT_S


async def test_an_idle_limiter_grants_without_suspending():
    """A direct burst from unused quota, and the first bulk permit, take no time and no tick."""
    limiter = LocalLimiter()
    ticks = 0

    def tick():
        nonlocal ticks
        ticks += 1

    asyncio.get_running_loop().call_soon(tick)
    for _ in range(50):
        (await limiter.acquire(DIRECT)).done()
    (await LocalLimiter().acquire(BULK)).done()
    assert ticks == 0
    stats = limiter.stats
    assert (stats.granted, stats.granted_direct, stats.granted_early) == (50, 50, 49)
    assert (stats.waiting, stats.waited_s) == (0, 0.0)


async def test_beyond_the_burst_direct_calls_are_paced():
    """The fifty-second of sixty simultaneous direct calls is the first to wait."""
    limiter = LocalLimiter()
    waits: list[float] = []

    async def call():
        (await limiter.acquire(DIRECT)).done()
        waits.append(now())

    await asyncio.gather(*(call() for _ in range(60)))
    assert waits[:51] == [0.0] * 51
    assert waits[51] > 0.2
    gaps = [b - a for a, b in itertools.pairwise(waits[51:])]
    assert all(gap <= 2 * PERMIT_S for gap in gaps)


async def test_a_burst_leaves_the_bucket_within_a_window():
    """Half a window later, half of the burst is there again."""
    limiter = LocalLimiter()
    for _ in range(51):
        (await limiter.acquire(DIRECT)).done()
    await asyncio.sleep(30.0)
    granted_at = []
    for _ in range(26):
        (await limiter.acquire(DIRECT)).done()
        granted_at.append(now())
    assert granted_at[24] == granted_at[0]


async def test_without_burst_everything_is_paced():
    """With burst=0 direct calls go out one by one, too."""
    limiter = LocalLimiter(QuotaSettings(burst=0))
    for _ in range(5):
        (await limiter.acquire(DIRECT)).done()
    assert now() == pytest.approx(4 * PERMIT_S, rel=1e-3)


async def test_an_unsent_permit_is_not_counted_as_gone():
    """A connection that takes a minute holds its permit until a window after the answer."""
    limiter = still_limiter()
    permit = await limiter.acquire(BULK)
    waiter = asyncio.ensure_future(limiter.acquire(BULK))
    await asyncio.sleep(60.0)
    assert not waiter.done()
    permit.sent()
    permit.done()
    await waiter
    assert now() == pytest.approx(70.0, abs=0.001)


async def test_an_answer_moves_the_wake_up_of_whoever_waits_for_its_slot():
    """Told of the sending, then of the answer: the next goes a window after the answer."""
    limiter = still_limiter(guard_s=5.0)
    permit = await limiter.acquire(BULK)
    waiter = asyncio.ensure_future(limiter.acquire(BULK))
    await settle()
    permit.sent()
    await asyncio.sleep(1.0)
    permit.done()
    await waiter
    assert now() == pytest.approx(11.0, abs=0.001)


async def test_the_guard_ends_the_wait_for_an_answer_that_never_comes():
    """A permit that was sent while others waited, and is never ended, holds up nobody for good."""
    limiter = still_limiter(guard_s=5.0)
    permit = await limiter.acquire(BULK)
    waiter = asyncio.ensure_future(limiter.acquire(BULK))
    await asyncio.sleep(2.0)
    permit.sent()
    await waiter
    assert now() == pytest.approx(17.0, abs=0.001)


# -- 8: order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", Priority)
async def test_8_waiters_of_one_class_are_served_in_order(priority):
    """First come, first served."""
    limiter = LocalLimiter(QuotaSettings(limit=5, window_s=1.0))
    order: list[int] = []

    async def call(number):
        (await limiter.acquire(priority)).done()
        order.append(number)

    await asyncio.gather(*(call(i) for i in range(30)))
    assert order == list(range(30))


async def test_8_direct_overtakes_bulk_that_waits():
    """A direct call that comes last goes before bulk that has waited."""
    limiter = still_limiter()
    (await limiter.acquire(BULK)).done()
    order: list[str] = []

    async def call(name, priority):
        (await limiter.acquire(priority)).done()
        order.append(name)

    await asyncio.gather(call("bulk 1", BULK), call("bulk 2", BULK), call("direct", DIRECT))
    assert order == ["direct", "bulk 1", "bulk 2"]


# -- 9: cancelling -------------------------------------------------------------------------------


async def test_9_a_cancelled_waiter_passes_its_turn_on():
    """Two would need 20 s; the first is cancelled, so the second is done at 10 s."""
    limiter = still_limiter()
    (await limiter.acquire(BULK)).done()
    first = asyncio.ensure_future(limiter.acquire(BULK))
    second = asyncio.ensure_future(limiter.acquire(BULK))
    await asyncio.sleep(5.0)
    first.cancel()
    await second
    assert now() == pytest.approx(10.0, abs=0.001)
    assert limiter.stats.granted == 2
    assert first.cancelled()


@pytest.mark.parametrize("priority", Priority)
async def test_9_cancelling_in_the_tick_of_the_grant_passes_it_on(priority):
    """Granted and cancelled before its task runs: the permit goes to the next, at once."""
    limiter = still_limiter(burst=1)
    first = await limiter.acquire(priority)
    second = asyncio.ensure_future(limiter.acquire(priority))
    third = asyncio.ensure_future(limiter.acquire(priority))
    await settle()
    first.unused()
    assert limiter.stats.waiting == 1
    second.cancel()
    await third
    assert now() == 0.0
    assert second.cancelled()
    assert (limiter.stats.granted, limiter.stats.in_window, limiter.stats.waiting) == (1, 1, 0)


async def test_9_a_waiter_cancelled_before_its_turn_but_not_yet_run_is_passed_over():
    """Cancelled first and granted in the same tick: the permit goes to the next."""
    limiter = still_limiter()
    first = await limiter.acquire(BULK)
    second = asyncio.ensure_future(limiter.acquire(BULK))
    third = asyncio.ensure_future(limiter.acquire(BULK))
    await settle()
    second.cancel()
    first.unused()
    await third
    assert now() == 0.0
    assert (limiter.stats.granted, limiter.stats.waiting) == (1, 0)


async def test_9_an_early_grant_that_is_cancelled_leaves_the_bucket_full():
    """Granted early and cancelled before its task runs: the burst goes to the next, at once."""
    limiter = LocalLimiter(QuotaSettings(limit=4, window_s=10.0, margin_s=0.0, burst=1))
    for _ in range(4):
        (await limiter.acquire(DIRECT)).done()
    assert limiter.stats.granted_early == 1

    async def first():
        await limiter.acquire(DIRECT)
        # Both are granted in one tick; the second has not run since.
        assert limiter.stats.granted_early == 2
        second.cancel()

    running = asyncio.ensure_future(first())
    second = asyncio.ensure_future(limiter.acquire(DIRECT))
    await running
    await asyncio.gather(second, return_exceptions=True)
    assert second.cancelled()
    assert limiter.stats.granted_early == 1
    at = now()
    await limiter.acquire(DIRECT)
    assert now() == at
    assert limiter.stats.granted_early == 2


async def test_9_cancelling_at_any_moment_loses_no_permit():
    """Of a hundred waiters half are cancelled at random; the rest keep the pace, none is lost."""
    chance = random.Random(5)
    limiter = LocalLimiter(QuotaSettings(limit=10, window_s=1.0))
    granted: list[float] = []

    async def call():
        permit = await limiter.acquire(chance.choice([DIRECT, BULK]))
        granted.append(now())
        permit.done()

    tasks = [asyncio.ensure_future(call()) for _ in range(100)]
    for task in chance.sample(tasks, 50):
        asyncio.get_running_loop().call_later(chance.uniform(0, 5), task.cancel)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert limiter.stats.granted == len(granted)
    assert limiter.stats.waiting == limiter.stats.in_flight == 0
    assert worst_window(granted, 1.0) <= 10
    assert now() <= len(granted) / 10 + 1


async def test_9_a_timeout_around_the_wait_costs_nothing():
    """Giving up after a while leaves the quota as it was."""
    limiter = still_limiter()
    (await limiter.acquire(BULK)).done()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3.0):
            await limiter.acquire(DIRECT)
    assert (limiter.stats.waiting, limiter.stats.granted) == (0, 1)


# -- 10: timers ----------------------------------------------------------------------------------


class CountingLoop:
    """Counts the timers that the limiter sets, and those that are still set."""

    def __init__(self, monkeypatch):
        loop = asyncio.get_running_loop()
        self.handles: list[asyncio.TimerHandle] = []
        call_later = loop.call_later

        def counted(delay, callback, *args, **kwargs):
            handle = call_later(delay, callback, *args, **kwargs)
            if getattr(callback, "__name__", "") == "_on_timer":
                self.handles.append(handle)
            return handle

        monkeypatch.setattr(loop, "call_later", counted)

    def set_now(self):
        return [h for h in self.handles if not h.cancelled() and h.when() > now()]


async def test_10_one_timer_however_many_wait(monkeypatch):
    """A thousand waiters share one timer, which is set about once for each grant."""
    loop = CountingLoop(monkeypatch)
    limiter = LocalLimiter()
    tasks_before = len(asyncio.all_tasks())
    waiters = [asyncio.ensure_future(limiter.acquire(BULK)) for _ in range(1000)]
    await settle()
    assert len(loop.set_now()) == 1
    assert len(asyncio.all_tasks()) == tasks_before + 999
    await asyncio.sleep(24.0)
    done = sum(waiter.done() for waiter in waiters)
    assert done == pytest.approx(24 / PERMIT_S, abs=2)
    assert len(loop.handles) <= 1.2 * done
    assert len(loop.set_now()) == 1
    await limiter.aclose()
    await asyncio.gather(*waiters, return_exceptions=True)


async def test_10_no_timer_when_nobody_waits(monkeypatch):
    """The timer goes with the last waiter, so an idle limiter does not keep a loop busy."""
    loop = CountingLoop(monkeypatch)
    limiter = still_limiter()
    permit = await limiter.acquire(BULK)
    assert not loop.handles
    permit.sent()
    waiter = asyncio.ensure_future(limiter.acquire(BULK))
    await settle()
    assert len(loop.set_now()) == 1
    waiter.cancel()
    await settle()
    assert not loop.set_now()
    permit.done()
    assert not loop.set_now()


async def test_10_news_that_changes_nothing_sets_no_timer(monkeypatch):
    """Sends and answers of others leave the timer of whoever waits for a turn alone."""
    loop = CountingLoop(monkeypatch)
    limiter = LocalLimiter()
    permits = [await limiter.acquire(DIRECT) for _ in range(10)]
    waiter = asyncio.ensure_future(limiter.acquire(BULK))
    await settle()
    assert len(loop.handles) == 1
    for permit in permits:
        permit.sent()
        permit.done()
    assert len(loop.handles) == 1
    await waiter


async def test_10_a_pause_is_one_timer(monkeypatch):
    """During a pause nothing looks at the clock."""
    loop = CountingLoop(monkeypatch)
    limiter = LocalLimiter()
    limiter.throttled(30.0, permit=await limiter.acquire(DIRECT))
    waiters = [asyncio.ensure_future(limiter.acquire(BULK)) for _ in range(100)]
    await asyncio.sleep(29.0)
    assert len(loop.handles) == 1
    await limiter.aclose()
    await asyncio.gather(*waiters, return_exceptions=True)


# -- 5, 6: 429 -----------------------------------------------------------------------------------


async def test_5_a_429_is_seen_in_stats_and_log(caplog):
    """One warning says how long and what is left; stats say the same."""
    limiter = LocalLimiter(random=random.Random(1))
    permit = await limiter.acquire(DIRECT)
    with caplog.at_level(logging.WARNING, logger="chargeover_async.limits"):
        limiter.throttled(8.0, permit=permit)
        limiter.throttled(8.0, permit=permit)
    assert len(caplog.records) == 1
    assert "pause" in caplog.text
    stats = limiter.stats
    assert (stats.throttled, stats.pauses, stats.limit, stats.is_paused) == (2, 1, 200, True)
    assert 8.0 <= stats.paused_for_s <= 10.0
    await asyncio.sleep(10.0)
    assert not limiter.stats.is_paused


async def test_5_the_jitter_is_drawn_from_the_given_source():
    """Two limiters with the same random source pause alike, with another one differently."""
    pauses = []
    for seed in (1, 1, 2):
        limiter = LocalLimiter(random=random.Random(seed))
        limiter.throttled()
        pauses.append(limiter.stats.paused_for_s)
    assert pauses[0] == pauses[1] != pauses[2]


async def test_6_waiters_are_not_released_together_after_a_pause():
    """After a pause twenty direct calls go out one by one."""
    limiter = LocalLimiter()
    limiter.throttled(5.0, permit=await limiter.acquire(DIRECT))
    granted: list[float] = []

    async def call():
        (await limiter.acquire(DIRECT)).done()
        granted.append(now())

    await asyncio.gather(*(call() for _ in range(20)))
    assert granted[0] > 5.0
    assert min(b - a for a, b in itertools.pairwise(granted)) >= 0.9 * PERMIT_S


# -- 11, 12: ends --------------------------------------------------------------------------------


async def test_11_closing_ends_every_wait():
    """Waiters of both classes get NotSent, later calls too, and closing twice is fine."""
    limiter = still_limiter()
    permit = await limiter.acquire(BULK)
    waiters = [asyncio.ensure_future(limiter.acquire(p)) for p in (DIRECT, BULK, BULK)]
    await settle()
    await limiter.aclose()
    await limiter.aclose()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(result) for result in results] == [NotSent] * 3
    with pytest.raises(NotSent):
        await limiter.acquire(DIRECT)
    permit.sent()
    permit.done()
    permit.unused()
    limiter.throttled(1.0)
    assert limiter.stats.granted == 1


async def test_11_closing_in_the_tick_of_a_cancellation_leaves_no_trace(caplog):
    """A waiter that is closed and cancelled at once ends cancelled; nothing is logged later."""
    limiter = still_limiter()
    await limiter.acquire(BULK)
    waiters = [asyncio.ensure_future(limiter.acquire(BULK)) for _ in range(2)]
    await settle()
    waiters[0].cancel()
    await limiter.aclose()
    waiters[1].cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert all(waiter.cancelled() for waiter in waiters)
    del waiters
    gc.collect()
    assert not caplog.records


def test_12_a_limiter_follows_its_user_to_a_new_loop():
    """Its books go on when the first loop is closed and a second one runs."""
    limiter = LocalLimiter()

    async def take():
        (await limiter.acquire(DIRECT)).done()

    asyncio.run(take())
    asyncio.run(take())
    assert (limiter.stats.granted, limiter.stats.in_window) == (2, 2)


async def test_12_a_second_living_loop_is_refused():
    """Two loops at a time cannot share one limiter; the error says what to do."""
    limiter = LocalLimiter()
    (await limiter.acquire(DIRECT)).done()

    def elsewhere():
        with pytest.raises(UsageError, match="another event loop"):
            asyncio.run(limiter.acquire(DIRECT))

    await asyncio.to_thread(elsewhere)


# -- the rest ------------------------------------------------------------------------------------


async def test_a_clock_of_ones_own():
    """With a given clock, its time decides, not the loop's."""
    time_s = 1000.0
    limiter = LocalLimiter(QuotaSettings(limit=1, window_s=10.0), clock=lambda: time_s)
    (await limiter.acquire(BULK)).done()
    waiter = asyncio.ensure_future(limiter.acquire(BULK))
    await asyncio.sleep(100.0)
    assert not waiter.done()
    time_s = 1011.0
    await waiter


async def test_stats_count_the_waiting():
    """Waiting now, and seconds waited by those who were granted."""
    limiter = still_limiter()
    (await limiter.acquire(BULK)).done()
    waiters = [asyncio.ensure_future(limiter.acquire(BULK)) for _ in range(2)]
    await asyncio.sleep(4.0)
    assert limiter.stats.waiting == 2
    assert "2 bulk waiting" in repr(limiter)
    (await waiters[0]).done()
    (await waiters[1]).done()
    stats = limiter.stats
    assert stats.waited_s == pytest.approx(30.0, abs=0.01)
    assert (stats.granted, stats.waiting, stats.in_flight, stats.in_window) == (3, 0, 0, 1)


def test_stats_can_be_read_before_and_outside_a_loop():
    """A limiter that was never used has stats, settings and a repr."""
    limiter: Limiter = LocalLimiter()
    assert limiter.stats.limit == 250
    assert not limiter.stats.is_paused
    assert "0/250 per 60 s" in repr(limiter)
    assert LocalLimiter(QuotaSettings(limit=5)).settings.limit == 5
