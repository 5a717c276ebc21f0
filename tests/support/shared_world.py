"""Several processes that share one ledger, in a loop whose time is a number: nothing sleeps."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable

from support.quota_world import worst_window

from chargeover_async.errors import NotSent
from chargeover_async.limits import Priority, QuotaSettings
from chargeover_async.limits.books import BooksAway
from chargeover_async.limits.ledger import Call, Ledger, Reply, exchange
from chargeover_async.limits.shared import SharedLimiter

DIRECT, BULK = Priority.DIRECT, Priority.BULK
START_US = 1_790_000_000_000_000


def now() -> float:
    return asyncio.get_running_loop().time()


class Store:
    """Where the ledger is, with a clock of its own that can be set."""

    def __init__(self, trip_s: Callable[[], float] = lambda: 0.0005) -> None:
        self.ledger: Ledger | None = None
        self.server = "one"
        self.ahead_s = 0.0
        self.away = False
        self.exchanges = 0
        self.trip_s = trip_s

    async def exchange(self, call: Call) -> Reply:
        self.exchanges += 1
        await asyncio.sleep(self.trip_s())
        if self.away:
            raise BooksAway("not there")
        clock = START_US + round((now() + self.ahead_s) * 1e6)
        self.ledger, reply = exchange(self.ledger, clock, self.server, call)
        await asyncio.sleep(self.trip_s())
        if self.away:
            raise BooksAway("gone before the answer")
        return reply


class View:
    """One process's way to the store."""

    place = "memory"

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cut = False
        self.closed = False

    async def exchange(self, call: Call) -> Reply:
        if self.cut:
            raise BooksAway("cut off")
        return await self.store.exchange(call)

    async def aclose(self) -> None:
        self.closed = True


class World:
    """Processes, what they send, and what arrives."""

    def __init__(self, settings: QuotaSettings | None = None, store: Store | None = None) -> None:
        self.settings = settings or QuotaSettings()
        self.store = store or Store()
        self.arrivals: list[float] = []
        self.by_process: dict[str, list[float]] = {}
        self.direct_waits: list[float] = []

    def limiter(self, skew_s: float = 0.0, **options) -> SharedLimiter:
        loop = asyncio.get_running_loop()
        options.setdefault("trust_empty", True)
        return SharedLimiter(
            View(self.store),
            self.settings,
            clock=lambda: loop.time() + skew_s,
            random=random.Random(1),
            **options,
        )

    async def send(
        self, limiter: SharedLimiter, name: str, priority=BULK, way_s=0.0, answer_s=0.05
    ) -> None:
        asked_at = now()
        permit = await limiter.acquire(priority)
        if priority is DIRECT:
            self.direct_waits.append(now() - asked_at)
        try:
            permit.sent()
        except NotSent:
            permit.unused()
            return
        self.by_process.setdefault(name, []).append(now())
        self.arrivals.append(now() + min(way_s, answer_s))
        await asyncio.sleep(answer_s)
        permit.done()

    async def greedy(self, limiter: SharedLimiter, name: str, until: float, **fate) -> None:
        while now() < until:
            await self.send(limiter, name, **fate)

    async def saturate(self, limiter, name, until, workers=20, **fate) -> None:
        """Ends at ``until``; whoever waits then is cancelled."""
        tasks = [
            asyncio.ensure_future(self.greedy(limiter, name, until, **fate)) for _ in range(workers)
        ]
        await asyncio.sleep(max(0.0, until - now()))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def worst(self) -> int:
        return worst_window(sorted(self.arrivals), self.settings.window_s)

    def used(self, since: float, until: float) -> float:
        allowed = self.settings.limit * (until - since) / self.settings.window_s
        return sum(since <= at < until for at in self.arrivals) / allowed

    def longest_gap(self, since: float) -> float:
        times = sorted(at for at in self.arrivals if at >= since)
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)
