"""One exchange at a time with the ledger: what is told, what is asked for, what is reserved."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random as _random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Protocol

from chargeover_async.errors import UsageError

from .away import Away
from .base import QuotaSettings
from .books import Books, BooksAway
from .ledger import SECOND, Call, Reply, Report, Rules
from .reports import Keeper, Reports, SharedPermit
from .waiters import Waiters

_log = logging.getLogger("chargeover_async.limits")

_GIVE_BACK_S = 0.1
"""How long slots that nobody wants any more are kept for whoever comes next."""

_GAP_S = 0.005
"""Least time between two exchanges, so that what happens together is told together."""

_CLOSE_S = 2.0
_TICK_S = 1e-5
"""Timers are set this much late, so that the rounding of a clock does not wake us for nothing."""


class Timer:
    """Calls ``then`` once, at a time of ``clock``; setting it again moves it."""

    def __init__(self, clock: Callable[[], float], then: Callable[[], None]) -> None:
        self._clock = clock
        self._then = then
        self._handle: asyncio.TimerHandle | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def set(self, at: float | None) -> None:
        """Call at ``at``, not at the time that was set before; never for None."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if at is not None and self.loop is not None:
            self._handle = self.loop.call_later(max(0.0, at - self._clock()) + _TICK_S, self._fire)

    def at(self, now: float) -> float:
        """When it will call; infinity if it is not set."""
        if self._handle is None or self.loop is None:
            return math.inf
        return now + max(0.0, self._handle.when() - self.loop.time())

    def _fire(self) -> None:
        self._handle = None
        self._then()


class Owner(Keeper, Protocol):
    """The limiter whose exchanges these are."""

    def grant_due(self) -> None:
        """There may be something to grant."""
        ...


class Exchanges:
    """What one process has reserved at the ledger and what is out, and the talk about both.

    A 429 of any process stops all: until ``paused_until`` nothing is to be granted.
    """

    def __init__(
        self,
        owner: Owner,
        books: Books,
        settings: QuotaSettings,
        waiters: Waiters[SharedPermit],
        away: Away,
        *,
        trust_empty: bool,
        clock: Callable[[], float],
        random: _random.Random,
    ) -> None:
        rules = Rules.of(settings)
        self._owner = owner
        self._books = books
        self._guard_s = settings.guard_s
        self._waiters = waiters
        self._away = away
        self._clock = clock
        self._random = random
        self._span_s = rules.span / SECOND
        self.lease_s = rules.lease / SECOND
        self.reports = Reports(rules, trust_empty=trust_empty)
        self.open: dict[SharedPermit, None] = {}
        # What is reserved, by the time it is due.
        self._reserved: list[tuple[float, int, SharedPermit]] = []
        self._order = itertools.count()
        # When it was asked last, when to ask for more, whether direct calls got less than asked.
        self._asked_at = -math.inf
        self._ask_at = -math.inf
        self._direct_unmet = False
        self.timer = Timer(clock, self._start)
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.paused_at = -math.inf
        self.paused_until = -math.inf
        self.pauses = 0

    # -- permits -----------------------------------------------------------------------------

    def reserve(self, permit: SharedPermit) -> None:
        """Keep a permit for whoever is next."""
        heappush(self._reserved, (permit.due_at, next(self._order), permit))

    def next_due_at(self) -> float | None:
        """When the next reserved permit is due; None if none is reserved."""
        return self._reserved[0][0] if self._reserved else None

    def take_due(self) -> SharedPermit:
        """The next reserved permit."""
        return heappop(self._reserved)[2]

    def give_back(self, *, keep: int = 0) -> None:
        """Return what is reserved to everybody, but for the first ``keep``."""
        self._reserved.sort()
        for _, _, permit in self._reserved[keep:]:
            self.reports.returned(permit.slot)
        del self._reserved[keep:]

    def close_permit(self, permit: SharedPermit) -> None:
        """It is not out any more."""
        permit.is_open = False
        self.open.pop(permit, None)

    def settle(self, permit: SharedPermit, now: float) -> None:
        """Its request has ended, or its guard has run out."""
        settled = now
        if permit.sent_at is not None:
            settled = min(now, permit.sent_at + self._guard_s)
        self.close_permit(permit)
        self.reports.settled(permit.slot, settled)
        if permit.alone is not None and self._away.alone is not None:
            self._away.alone.done(permit.alone, settled)

    def pause(self, now: float, seconds: float, retry_after_s: float | None, made: int) -> None:
        """A request of this process was answered with 429: stop, and tell the others."""
        self.reports.refused(retry_after_s, made)
        self.pauses += 1
        self.paused_at = now
        self.paused_until = max(self.paused_until, now + seconds)
        self.give_back()

    async def aclose(self) -> None:
        """Give back what is not used, and let go of the ledger."""
        self._closed = True
        self.timer.set(None)
        self.give_back()
        task = self._task
        try:
            async with asyncio.timeout(_CLOSE_S):
                if task is not None:
                    await asyncio.wait([task])
                self.give_back()  # what that exchange has brought
                if self.reports.told_books and self._away.since is None:
                    await self._books.exchange(self._call(self._clock()))
        except (BooksAway, TimeoutError) as error:
            _log.info("the quota at %s was not told the end: %s", self._books.place, error)
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
        await self._books.aclose()

    # -- exchanges ---------------------------------------------------------------------------

    def plan(self) -> None:
        """Set the timer for the next exchange, if there is anything to ask or to tell."""
        if self._task is not None or self._closed:
            return
        now = self._clock()
        missing = len(self._waiters) - len(self._reserved)
        reports = self.reports
        at = math.inf
        if missing > 0:
            at = now if self._may_ask_direct(now) else max(now, self._ask_at)
        if reports.has_refusals:
            at = now
        elif missing < 0 or reports.has_returned:
            at = min(at, now + _GIVE_BACK_S, self.timer.at(now))
        if self.open or reports.has_settled:
            at = min(at, max(now, self._asked_at + self.lease_s / 2))
        if self._away.since is not None:
            at = max(at, self._away.retry_at)
        at = max(at, self._asked_at + _GAP_S)
        self.timer.set(at if at < math.inf else None)

    def _may_ask_direct(self, now: float) -> bool:
        if now >= self._ask_at:
            return True
        return len(self._waiters.direct) > len(self._reserved) and not self._direct_unmet

    def _start(self) -> None:
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(
                self._exchange(), name="chargeover-quota"
            )

    async def _exchange(self) -> None:
        asked_at = self._clock()
        ticket = asked_at < self._ask_at
        call = self._call(asked_at)
        try:
            reply = await self._books.exchange(call)
        except BooksAway as error:
            self._went_away(error)
        except Exception as error:  # noqa: BLE001 - whoever waits must not wait for ever
            _log.exception("the shared quota at %s failed", self._books.place)
            self._went_away(BooksAway(f"{type(error).__name__}: {error}"))
        else:
            self._take(asked_at, call, reply, ticket=ticket)
        finally:
            self._task = None
        self._owner.grant_due()

    def _call(self, now: float) -> Call:
        """Everything there is to tell and to ask at this moment."""
        waiting = len(self._waiters)
        self.give_back(keep=waiting)
        direct = max(0, len(self._waiters.direct) - len(self._reserved))
        bulk = max(0, waiting - len(self._reserved) - direct)
        if self._closed:
            direct, bulk = 0, 0
        elif now < self._ask_at:
            direct, bulk = 0 if self._direct_unmet else direct, -1
        chance = self._random.randrange(1_000_000)
        return self.reports.call(now, self._held(now), direct=direct, bulk=bulk, chance=chance)

    def _held(self, now: float) -> list[Report]:
        """What is out and has to be leased anew; what the guard settles is settled."""
        held: list[Report] = []
        for permit in list(self.open):
            if permit.sent_at is not None:
                if now >= permit.sent_at + self._guard_s:
                    self.settle(permit, now)
                elif permit.leased_at == -math.inf:
                    held.append(Report("H", permit.slot))  # not known there yet
            elif now - permit.leased_at > self.lease_s / 4:
                held.append(Report("H", permit.slot))
        return held

    def _take(self, asked_at: float, call: Call, reply: Reply, *, ticket: bool) -> None:
        now = self._clock()
        self._asked_at = asked_at
        self._away.back(now)
        if reply.quarrel:
            self._away.retry_later(asked_at)
            self._waiters.fail(lambda: UsageError(self._quarrel(reply.quarrel)))
            return
        reports = self.reports
        reports.forget(call.reports)
        if reply.books != reports.told_books and reply.lost_in:
            _log.warning(
                "the quota at %s is %s: as if it had been used up, nothing is granted for %.0f s",
                self._books.place,
                "lost" if reports.told_books else "new",
                reply.lost_in / SECOND,
            )
        reports.heard(reply, asked_at)
        for report in call.reports:
            if report.kind == "H":
                self._renewed(report.slot, asked_at)
        for grant in reply.grants:
            due_at = now + grant.due_in / SECOND
            lapses_at = asked_at + grant.due_in / SECOND + self.lease_s
            permit = SharedPermit(self._owner, grant.slot, due_at=due_at, lapses_at=lapses_at)
            permit.made, permit.is_early, permit.leased_at = reply.now, grant.early, due_at
            self.reserve(permit)
        blocked = max(reply.paused_in, reply.lost_in)
        if reply.paused_in and not reports.has_refusals:
            if now >= self.paused_until:
                self.pauses += 1
                self.paused_at = now
            self.paused_until = now + reply.paused_in / SECOND
        elif not reports.has_refusals and self._away.alone is None:
            self.paused_until = min(self.paused_until, now)
        if reply.ask_in >= 0 or blocked:
            self._ask_at = now + max(reply.ask_in, blocked) / SECOND
            self._direct_unmet = bool(blocked) or call.direct > len(reply.grants)
        elif not ticket:
            self._ask_at = -math.inf
            self._direct_unmet = False

    def _renewed(self, slot: str, asked_at: float) -> None:
        for permit in self.open:
            if permit.slot == slot:
                permit.leased_at = asked_at
                permit.lapses_at = max(permit.lapses_at, asked_at + self.lease_s)

    def _quarrel(self, theirs: str) -> str:
        limit, window, margin, guard, _ = (int(word) for word in theirs.split())
        return (
            f"the quota at {self._books.place} is in use with other settings: limit={limit},"
            f" window_s={window / SECOND:g}, margin_s={margin / SECOND:g},"
            f" guard_s={guard / SECOND:g}. All who share it need the same; they may change when"
            " it has not been used for a window"
        )

    def _went_away(self, error: BooksAway) -> None:
        now = self._clock()
        if error.lasting:
            self._waiters.fail(lambda: UsageError(f"the quota at {self._books.place}: {error}"))
        self._away.failed(error, now, len(self._waiters))
        self.reports.forget_settled_before(now - 2 * self._span_s)


__all__ = ("Exchanges", "Owner", "Timer")
