"""The quota of one process: `QuotaWindow` under asyncio, with one timer and no task."""

from __future__ import annotations

import asyncio
import logging
import random as _random
from collections.abc import Callable
from functools import partial

from aiolimiter import AsyncLimiter

from chargeover_async.errors import NotSent, UsageError

from .base import Permit, Priority, QuotaSettings, QuotaStats
from .waiters import Waiters, when_left
from .window import QuotaWindow, Slot

_log = logging.getLogger("chargeover_async.limits")

_TICK_S = 2e-6
"""Timers are set this much late, so that the rounding of a clock does not wake us for nothing."""


class LocalLimiter:
    """Grants permits to the tasks of one event loop; see `window` for when, and for the promise.

    ``clock`` gives seconds that only grow; by default it is the running loop's ``time()``.
    ``random`` draws the jitter of pauses. Direct calls burst from an `aiolimiter.AsyncLimiter` of
    ``burst`` per window, on the loop's own clock.

    Invariants, each with a test that bears its number (1 to 7 are those of `window`):

    8. Waiters of one class are served first in, first out.
    9. A waiter that is cancelled costs nothing, and its turn passes on at once, also when the
       cancellation meets the grant in the same tick of the loop.
    10. One timer at most is set, only while somebody waits; nothing polls and no task is started.
    11. After `aclose` nothing is granted, and every waiter gets NotSent.
    12. One limiter serves one running event loop; a second one is refused while the first is alive.
    """

    __slots__ = (
        "_burst",
        "_clock",
        "_closed",
        "_loop",
        "_pending",
        "_random",
        "_settings",
        "_timer",
        "_timer_at",
        "_waiters",
        "_window",
    )

    def __init__(
        self,
        settings: QuotaSettings | None = None,
        *,
        clock: Callable[[], float] | None = None,
        random: _random.Random | None = None,
    ) -> None:
        self._settings = settings or QuotaSettings()
        self._window = QuotaWindow(self._settings)
        self._clock = clock
        self._random = random or _random.Random()  # noqa: S311 - jitter is no secret
        self._waiters: Waiters[LocalPermit] = Waiters()
        self._burst: AsyncLimiter | None = None
        self._pending = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closed = False

    def __repr__(self) -> str:
        window = self._window
        return (
            f"<LocalLimiter {window.in_window}/{window.limit} per {self._settings.window_s:g} s, "
            f"{self._waiters}>"
        )

    @property
    def settings(self) -> QuotaSettings:
        """What the limiter was built with."""
        return self._settings

    @property
    def stats(self) -> QuotaStats:
        """What was granted, who waits, and what the server has taught us; as of now."""
        window = self._window
        return QuotaStats(
            granted=window.granted,
            granted_direct=window.granted_direct,
            granted_early=window.granted_early,
            throttled=window.throttled_answers,
            pauses=window.pauses,
            waiting=len(self._waiters),
            waited_s=self._waiters.waited_s,
            in_flight=window.in_flight,
            in_window=window.in_window,
            limit=window.limit,
            paused_for_s=window.paused_for_s(self._now()) if window.pauses else 0.0,
        )

    async def acquire(self, priority: Priority) -> Permit:
        """Wait for the permit to send one request.

        Raises NotSent once the limiter is closed, UsageError in a second event loop.
        """
        if self._closed:
            raise NotSent("the quota is closed; nothing more is sent")
        loop = self._bind()
        queue = self._waiters.queue(priority)
        turn: asyncio.Future[LocalPermit] = loop.create_future()
        queue[turn] = None
        if len(queue) == 1:
            # Behind others of its class there is nothing to decide: the timer is set for the first.
            self._grant()
        if turn.done():
            permit = turn.result()
        else:
            permit = await self._waiters.wait(turn, self._now, self._withdraw)
        if permit.is_early and self._burst is not None:
            # There is room, `_may_burst` has seen to it: this does not suspend.
            self._pending -= 1
            await self._burst.acquire()
        return permit

    def throttled(
        self, retry_after_s: float | None = None, *, permit: Permit | None = None
    ) -> None:
        """The server answered 429: every sender pauses once, then sending restarts slowly.

        ``permit`` is the one of the refused request. Without it, a refusal is taken for a new one
        unless nothing was granted since the last pause began.
        """
        slot = permit.slot if isinstance(permit, LocalPermit) else None
        chance = self._random.random()
        pause = self._window.throttled(self._now(), retry_after_s, slot, chance)
        if pause is not None:
            _log.warning(
                "the server refused a request with 429: all requests pause for %.1f s,"
                " then restart slowly with %d per %g s",
                pause,
                self._window.limit,
                self._settings.window_s,
            )
            self._grant()

    async def aclose(self) -> None:
        """Grant nothing more; whoever waits gets NotSent. Calling it again changes nothing."""
        self._closed = True
        self._set_timer(None, 0.0)
        self._waiters.fail(lambda: NotSent("the quota was closed before this was its turn"))

    # -- for permits -------------------------------------------------------------------------

    def sent(self, slot: Slot) -> None:
        self._window.sent(slot, self._now(), is_leaving=True)
        when_left(self._loop or asyncio.get_running_loop(), partial(self._left, slot))

    def _left(self, slot: Slot) -> None:
        self._window.left(slot, self._now())
        self._grant_if_full()

    def done(self, slot: Slot) -> None:
        self._window.done(slot, self._now())
        self._grant_if_full()

    def unused(self, slot: Slot) -> None:
        self._window.unused(slot, self._now())
        self._grant()

    # -- inside ------------------------------------------------------------------------------

    def _now(self) -> float:
        if self._clock is not None:
            return self._clock()
        return (self._loop or asyncio.get_running_loop()).time()

    def _bind(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return loop
        if self._loop is not None and not self._loop.is_closed():
            raise UsageError(
                "this quota serves another event loop; give each loop its own, or share one by a"
                " limiter made for several processes"
            )
        self._loop = loop
        self._timer = None
        self._waiters.clear()
        self._pending = 0
        burst = self._settings.burst
        self._burst = AsyncLimiter(burst, self._settings.window_s) if burst else None
        return loop

    def _may_burst(self) -> bool:
        # Early permits that were granted and not yet taken from the bucket count, too.
        pending = self._pending + 1
        return self._burst is not None and self._burst.has_capacity(pending)

    def _grant(self) -> None:
        """Grant what may go now, and set the timer for the rest."""
        waiters, window = self._waiters, self._window
        while waiters:
            now = self._now()
            direct = bool(waiters.direct)
            may_burst = direct and self._may_burst()
            slot = window.grant(now, direct=direct, bulk=bool(waiters.bulk), may_burst=may_burst)
            if slot is None:
                self._set_timer(window.wake_at(now), now)
                return
            turn = waiters.next(slot.priority)
            if slot.early:
                self._pending += 1
            if turn is None:
                self._return(slot)
            else:
                turn.set_result(LocalPermit(self, slot))
        self._set_timer(None, 0.0)

    def _grant_if_full(self) -> None:
        # News of a request moves the time at which its slot comes back. That matters only to
        # whoever waits for one; for the rest the timer is right, and looking would halve the speed.
        if self._waiters and self._window.is_full:
            self._grant()

    def _withdraw(self, permit: LocalPermit | None) -> None:
        """A waiter has left, whose permit this is if it had been granted already."""
        if permit is not None:
            self._return(permit.slot)
            self._grant()
        elif not self._waiters:
            self._set_timer(None, 0.0)

    def _return(self, slot: Slot) -> None:
        if slot.early:
            self._pending -= 1
        self._window.unused(slot, self._now())

    def _set_timer(self, at: float | None, now: float) -> None:
        timer = self._timer
        if timer is not None:
            if at is not None and self._timer_at == at:
                return
            timer.cancel()
            self._timer = None
        if at is not None and self._loop is not None:
            self._timer_at = at
            self._timer = self._loop.call_later(max(0.0, at - now) + _TICK_S, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._grant()


class LocalPermit:
    """A permit of a `LocalLimiter`."""

    __slots__ = ("_limiter", "slot")

    def __init__(self, limiter: LocalLimiter, slot: Slot) -> None:
        self._limiter = limiter
        self.slot = slot

    @property
    def is_early(self) -> bool:
        """Whether it was granted ahead of the even schedule."""
        return self.slot.early

    def sent(self) -> None:
        """The bytes are leaving now; again if the HTTP layer repeats the request by itself."""
        self._limiter.sent(self.slot)

    def done(self) -> None:
        """The answer is in, or the attempt has failed."""
        self._limiter.done(self.slot)

    def unused(self) -> None:
        """Nothing was sent: the permit costs nothing."""
        self._limiter.unused(self.slot)


__all__ = ("LocalLimiter", "LocalPermit")
