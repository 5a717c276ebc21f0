"""What the rest of the library knows of a request quota: a permit for each request, two classes.

A limiter may keep its books in this process (`LocalLimiter`), or anywhere else that answers the
same four questions; nothing here knows about clocks, tasks or stores.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Protocol

from chargeover_async.errors import UsageError

# What `window` and `ledger` have in common; `ledger.lua` repeats it, and a test compares.

STRETCH = 2
"""Early grants may slow the schedule down by this factor and no more."""

RAMP_FROM = 0.2
"""Share of the rate at which sending restarts after a pause."""

RAMP_PART = 6
"""The restart takes this part of a window (a sixth) until the full rate is reached."""

LONGEST_PAUSE_WINDOWS = 10
"""Longest pause that a Retry-After can ask for, in windows; beyond that we rather try once."""


class Priority(enum.Enum):
    """Who is waiting for the answer."""

    DIRECT = "direct"
    """Somebody is: goes first, and may burst from quota that is not used."""

    BULK = "bulk"
    """A job is: goes out evenly, with a guaranteed share."""


class Permit(Protocol):
    """The right to send one HTTP request, and the account of when it may have reached the server.

    Whoever holds a permit ends it with `done` or `unused`, in a ``finally``: one that is never
    ended occupies its part of the quota for good (``stats.in_flight`` shows it).
    """

    def sent(self) -> None:
        """The bytes are leaving now: the guard for their way to the server starts.

        Called by the transport, as late as it can and at most a few turns of the event loop before
        it writes. The guard starts when those turns are over: a loop that is blocked in between
        makes the request count for longer. Without this call the permit counts until the answer,
        however long that takes, which is safe and costs quota when answers are slow. When the HTTP
        layer repeats the request by itself, call it again: the repeat is charged as one more.
        Raises NotSent if the permit may not be used any more: nothing may be sent then.
        """
        ...

    def done(self) -> None:
        """The answer is in, or the attempt has failed. Calling it again changes nothing."""
        ...

    def unused(self) -> None:
        """Nothing was sent: the permit costs nothing, and whoever is next may have it."""
        ...


class Limiter(Protocol):
    """Hands out permits so that the server never sees more requests than the quota allows."""

    @property
    def stats(self) -> QuotaStats:
        """What was granted, who waits, and what the server has taught us."""
        ...

    async def acquire(self, priority: Priority) -> Permit:
        """Wait for the permit to send one request; ask again for each repeat.

        First come, first served within a class. Cancelling the wait costs nothing. Raises NotSent
        once the limiter is closed.
        """
        ...

    def throttled(
        self, retry_after_s: float | None = None, *, permit: Permit | None = None
    ) -> None:
        """The server answered 429: every sender pauses once.

        ``permit`` is the one of the request that was refused. It tells a new refusal from one that
        was under way before the pause began, which prolongs nothing.
        """
        ...

    async def aclose(self) -> None:
        """Grant nothing more; whoever waits gets NotSent. Calling it again changes nothing."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotaStats:
    """A snapshot of a limiter; times in seconds."""

    granted: int = 0
    """Permits granted, those given back unused not counted."""

    granted_direct: int = 0
    """How many of them went to direct calls."""

    granted_early: int = 0
    """How many of those went ahead of the even schedule (the burst)."""

    throttled: int = 0
    """Answers with 429 that were reported."""

    pauses: int = 0
    """How often they made every sender pause."""

    waiting: int = 0
    """Calls that wait for a permit now."""

    waited_s: float = 0.0
    """Seconds that all granted calls have waited, summed."""

    in_flight: int = 0
    """Permits granted and not yet ended, nor settled by the guard."""

    in_window: int = 0
    """Permits that count against the limit now, those in flight included."""

    limit: int = 0
    """Requests per window in use now: the configured limit, or what 429s have left of it."""

    paused_for_s: float = 0.0
    """Seconds until sending goes on after a 429; 0 when not paused."""

    @property
    def is_paused(self) -> bool:
        """Whether a 429 holds back every sender at this moment."""
        return self.paused_for_s > 0


@dataclass(frozen=True, init=False, slots=True)
class QuotaSettings:
    """How many requests the server allows, and how far to trust the way to it.

    ``limit`` requests in any ``window_s`` seconds is what the account has; a raised account limit
    is this one argument. The rest has safe defaults, derived from these two where given:

    - ``burst`` (limit / 5): how many direct calls may go at once after an idle time; at most
      limit / 2, for a larger one would be paid back with pauses that somebody notices.
    - ``guard_s`` (1): the longest time from sending to the server's own count that is covered.
      A larger guard costs quota only where answers take that long: guard / window.
    - ``bulk_share`` (0.2): what bulk work gets, at least, while direct calls ask for everything;
      above 0, so that it is never starved, and at most 0.5.
    - ``margin_s`` (window / 5000): covers rounding, and clocks that drift apart by 200 ppm.
    - ``pause_s`` (window / 12): the pause after a first 429 that does not say how long.

    Raises UsageError for values that cannot be right.
    Source of 250 in 60 s: the vendor's text on rate limiting.
    UNVERIFIED: whether the window rolls, is fixed to the minute or is a token bucket; the promise
    of `LocalLimiter` covers all three.
    """

    limit: int
    window_s: float
    burst: int
    guard_s: float
    bulk_share: float
    margin_s: float
    pause_s: float

    def __init__(
        self,
        limit: int = 250,
        window_s: float = 60.0,
        *,
        burst: int | None = None,
        guard_s: float = 1.0,
        bulk_share: float = 0.2,
        margin_s: float | None = None,
        pause_s: float | None = None,
    ) -> None:
        _whole("limit", limit, at_least=1)
        _number("window_s", window_s, above=0.0)
        if burst is None:
            burst = max(1, limit // 5)
        _whole("burst", burst, at_least=0)
        if burst > max(1, limit // 2):
            msg = f"burst may be at most half the limit, {max(1, limit // 2)}, not {burst}"
            raise UsageError(msg)
        _number("guard_s", guard_s, at_least=0.0)
        _number("bulk_share", bulk_share, above=0.0)
        if bulk_share > 0.5:
            msg = f"bulk_share may be at most 0.5, for direct calls go first, not {bulk_share}"
            raise UsageError(msg)
        if margin_s is None:
            margin_s = window_s / 5000
        _number("margin_s", margin_s, at_least=0.0)
        if pause_s is None:
            pause_s = window_s / 12
        _number("pause_s", pause_s, above=0.0)
        store = object.__setattr__
        store(self, "limit", limit)
        store(self, "window_s", float(window_s))
        store(self, "burst", burst)
        store(self, "guard_s", float(guard_s))
        store(self, "bulk_share", float(bulk_share))
        store(self, "margin_s", float(margin_s))
        store(self, "pause_s", float(pause_s))


def _whole(name: str, value: object, *, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        msg = f"{name} must be a whole number of at least {at_least}, not {value!r}"
        raise UsageError(msg)


def _number(
    name: str, value: object, *, above: float | None = None, at_least: float | None = None
) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"{name} must be a number of seconds or a share, not {value!r}"
        raise UsageError(msg)
    if above is not None and value <= above:
        msg = f"{name} must be above {above:g}, not {value!r}"
        raise UsageError(msg)
    if at_least is not None and value < at_least:
        msg = f"{name} must be at least {at_least:g}, not {value!r}"
        raise UsageError(msg)


__all__ = ("Limiter", "Permit", "Priority", "QuotaSettings", "QuotaStats")
