"""One process's part of a shared quota: asks the ledger for a few slots, hands them to its waiters.

`ledger` holds the rules and says why they are exact; here are the event loop, the waiters and the
one exchange at a time with wherever the ledger is kept (`Books`).
"""

from __future__ import annotations

import asyncio
import logging
import math
import random as _random
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, TypedDict

from chargeover_async.errors import NotSent, UsageError

from .away import Away, WhenAway
from .base import LONGEST_PAUSE_WINDOWS, Permit, Priority, QuotaSettings, QuotaStats
from .books import Books, BooksAway, steady_clock
from .exchanges import Exchanges, Timer
from .reports import SharedPermit
from .waiters import Turns, Waiters, when_left

_log = logging.getLogger("chargeover_async.limits")


class SharedOptions(TypedDict, total=False):
    """What a `SharedLimiter` may be told beside its settings, wherever its ledger is kept."""

    when_away: WhenAway
    alone_share: float
    trust_empty: bool
    clock: Callable[[], float] | None
    random: _random.Random | None


class SharedLimiter:
    """Grants permits from a quota that several processes share.

    Use it as an async context manager, or call `aclose`, which gives back what is not used.

    ``settings`` must be the same for all who share. ``when_away`` says what happens while the
    ledger cannot be reached: ``"wait"``, or go on ``"alone"`` with ``alone_share`` of the quota,
    after the time it takes until nothing counts of what was granted before. The promise then holds
    if all lose the ledger together and their shares add up to 1 at most. ``trust_empty`` takes a
    ledger that does not exist for an unused quota, instead of waiting as if it had been lost.
    ``clock`` gives seconds that only grow, ``random`` draws jitter.

    Invariants beyond those of the ledger, each with a test that bears its number:

    1. A permit is sent within its lease or not at all: `Permit.sent` raises NotSent after it.
    2. Waiters of one class are served first in, first out; direct before bulk, which keeps its
       share.
    3. A waiter that is cancelled costs nothing: its slot is the next one's, or goes back.
    4. At most one exchange is under way, and none begins unless somebody waits for more than is
       reserved, or there is something to report; nothing polls.
    5. A 429 stops this process at once, and all others at their next exchange.
    6. While the ledger is away nothing beyond the reserved slots is granted, unless ``"alone"``.
    7. After `aclose` nothing is granted, every waiter gets NotSent, and unused slots are back.
    """

    def __init__(
        self,
        books: Books,
        settings: QuotaSettings | None = None,
        *,
        when_away: WhenAway = "wait",
        alone_share: float = 0.1,
        trust_empty: bool = False,
        clock: Callable[[], float] | None = None,
        random: _random.Random | None = None,
    ) -> None:
        self._books = books
        self._settings = settings or QuotaSettings()
        self._clock = clock or steady_clock()
        self._random = random or _random.Random()  # noqa: S311 - jitter is no secret
        self._waiters: Waiters[SharedPermit] = Waiters()
        self._turns = Turns(self._settings.bulk_share)
        self._away = Away(
            books,
            self._settings,
            when_away=when_away,
            alone_share=alone_share,
            random=self._random,
        )
        self._exchanges = Exchanges(
            self,
            books,
            self._settings,
            self._waiters,
            self._away,
            trust_empty=trust_empty,
            clock=self._clock,
            random=self._random,
        )
        self._timer = Timer(self._clock, self.grant_due)
        self._closed = False
        self._granted = 0
        self._granted_direct = 0
        self._granted_early = 0
        self._throttled = 0

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._settings.limit} per {self._settings.window_s:g} s"
            f" at {self._books.place}, {self._waiters}>"
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def settings(self) -> QuotaSettings:
        """What the limiter was built with."""
        return self._settings

    @property
    def is_away(self) -> bool:
        """Whether the ledger cannot be reached, as of the last try."""
        return self._away.since is not None

    @property
    def stats(self) -> QuotaStats:
        """This process's figures; ``limit`` and ``in_window`` are everybody's, as last heard."""
        alone, reply = self._away.alone, self._exchanges.reports.reply
        limit, in_window = self._settings.limit, 0
        if alone is not None:
            limit, in_window = alone.limit, alone.in_window
        elif reply is not None:
            limit, in_window = reply.limit, reply.in_window
        return QuotaStats(
            granted=self._granted,
            granted_direct=self._granted_direct,
            granted_early=self._granted_early,
            throttled=self._throttled,
            pauses=self._exchanges.pauses,
            waiting=len(self._waiters),
            waited_s=self._waiters.waited_s,
            in_flight=len(self._exchanges.open),
            in_window=in_window,
            limit=limit,
            paused_for_s=max(0.0, self._exchanges.paused_until - self._clock()),
        )

    # -- for those who send ------------------------------------------------------------------

    async def acquire(self, priority: Priority) -> Permit:
        """Wait for the permit to send one request.

        Raises NotSent once the limiter is closed; UsageError in a second event loop, when the
        ledger refuses us for good, or when others share it with other settings.
        """
        if self._closed:
            raise NotSent("the quota is closed; nothing more is sent")
        loop = self._bind()
        turn: asyncio.Future[SharedPermit] = loop.create_future()
        self._waiters.queue(priority)[turn] = None
        self.grant_due()
        if turn.done():
            return turn.result()
        return await self._waiters.wait(turn, self._clock, self._withdraw)

    def throttled(
        self, retry_after_s: float | None = None, *, permit: Permit | None = None
    ) -> None:
        """The server answered 429: this process pauses at once, the others when they hear of it.

        ``permit`` is the one of the refused request.
        """
        now = self._clock()
        exchanges = self._exchanges
        self._throttled += 1
        mine = permit if isinstance(permit, SharedPermit) else None
        if mine is not None and mine.granted_at <= exchanges.paused_at:
            return  # under way before the pause began
        if mine is None and now < exchanges.paused_until:
            return
        alone = self._away.alone
        if alone is not None:
            chance, slot = self._random.random(), mine.alone if mine else None
            pause = alone.throttled(now, retry_after_s, slot, chance)
        else:
            pause = self._settings.pause_s
            if retry_after_s is not None and 0 <= retry_after_s < math.inf:
                pause = min(retry_after_s, LONGEST_PAUSE_WINDOWS * self._settings.window_s)
        if pause is None:
            return
        exchanges.pause(now, pause, retry_after_s, mine.made if mine else -1)
        _log.warning(
            "the server refused a request with 429: all requests on the quota at %s pause for"
            " about %.1f s, then restart slowly",
            self._books.place,
            pause,
        )
        self.grant_due()

    async def aclose(self) -> None:
        """Grant nothing more, give back what is not used; whoever waits gets NotSent."""
        if self._closed:
            return
        self._closed = True
        self._timer.set(None)
        self._waiters.fail(lambda: NotSent("the quota was closed before this was its turn"))
        await self._exchanges.aclose()

    # -- for permits -------------------------------------------------------------------------

    def sent(self, permit: SharedPermit) -> None:
        now = self._clock()
        if permit.is_open and permit.sent_at is None:
            if now > permit.lapses_at:
                lease_s = self._exchanges.lease_s
                raise NotSent(
                    "its permit lapsed before it could be sent: the event loop or the way to the"
                    f" shared quota at {self._books.place} took longer than {lease_s:g} s"
                )
        else:
            # The HTTP layer repeats it: what went before counts as it did, this is one more.
            if permit.is_open:
                self._exchanges.reports.settled(permit.slot, now)
            permit.slot = self._exchanges.reports.own_slot()
            permit.made = -1
            permit.leased_at = -math.inf
            permit.is_open = True
            self._exchanges.open[permit] = None
            self._count(permit, 1)
        permit.sent_at = math.inf
        when_left(self._timer.loop or asyncio.get_running_loop(), partial(self._left, permit))

    def _left(self, permit: SharedPermit) -> None:
        if permit.is_open and permit.sent_at == math.inf:
            permit.sent_at = self._clock()

    def done(self, permit: SharedPermit) -> None:
        if permit.is_open:
            self._exchanges.settle(permit, self._clock())
            self.grant_due()

    def unused(self, permit: SharedPermit) -> None:
        if not permit.is_open:
            return
        self._count(permit, -1)
        self._exchanges.close_permit(permit)
        self._put_back(permit)
        self.grant_due()

    def _put_back(self, permit: SharedPermit) -> None:
        """Nothing was sent with this one: for the next waiter, or for the others."""
        if permit.alone is not None:
            if self._away.alone is not None:
                self._away.alone.unused(permit.alone, self._clock())
        elif self._closed or self._clock() >= permit.lapses_at:
            self._exchanges.reports.returned(permit.slot)
        else:
            self._exchanges.reserve(permit)

    def _count(self, permit: SharedPermit, by: int) -> None:
        self._granted += by
        if permit.priority is Priority.DIRECT:
            self._granted_direct += by
        if permit.is_early:
            self._granted_early += by

    # -- granting ----------------------------------------------------------------------------

    def grant_due(self) -> None:
        """Grant what may go now; set the timers for the rest."""
        if not self._closed:
            self._grant()
            self._exchanges.plan()

    def _grant(self) -> None:
        while self._waiters:
            now = self._clock()
            if now < self._exchanges.paused_until:
                self._timer.set(self._exchanges.paused_until)
                return
            permit = self._next_permit(now)
            if permit is None:
                return
            turn = self._waiters.next(permit.priority)
            if turn is None:
                self._put_back(permit)
                continue
            permit.is_open = True
            permit.granted_at = now
            self._exchanges.open[permit] = None
            self._count(permit, 1)
            turn.set_result(permit)
        self._timer.set(None)

    def _next_permit(self, now: float) -> SharedPermit | None:
        """The slot that is due, given to a class; else None, with the timer set."""
        direct, bulk = bool(self._waiters.direct), bool(self._waiters.bulk)
        while (due_at := self._exchanges.next_due_at()) is not None:
            if due_at > now:
                self._timer.set(due_at)
                return None
            permit = self._exchanges.take_due()
            if now < permit.lapses_at:
                permit.priority = self._turns.choose(direct=direct, bulk=bulk)
                self._turns.take(permit.priority, both=direct and bulk)
                return permit
            self._exchanges.reports.returned(permit.slot)
        alone = self._away.alone
        if alone is None:
            self._timer.set(None)
            return None
        slot = alone.grant(now, direct=direct, bulk=bulk)
        if slot is None:
            self._timer.set(alone.wake_at(now))
            return None
        name = self._exchanges.reports.own_slot()
        permit = SharedPermit(self, name, due_at=now, lapses_at=math.inf, alone=slot)
        permit.priority = slot.priority
        return permit

    def _withdraw(self, permit: SharedPermit | None) -> None:
        """A waiter has left, whose permit this is if it had been granted already."""
        if permit is not None:
            self.unused(permit)
        else:
            self.grant_due()

    # -- the event loop ----------------------------------------------------------------------

    def _bind(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._timer.loop is None:
            self._timer.loop = self._exchanges.timer.loop = loop
        elif self._timer.loop is not loop:
            raise UsageError("this quota serves another event loop; give each loop its own")
        return loop


__all__ = ("Books", "BooksAway", "SharedLimiter", "SharedOptions", "SharedPermit", "WhenAway")
