"""The books of a request quota: pure arithmetic, no clock, no tasks; each method is told the time.

Words: the quota is ``L`` requests in any ``W`` seconds at the server. A *slot* is one granted
request. ``g`` is the guard (``guard_s``), ``m`` the margin (``margin_s``).

**What counts when.** A request reaches the server at a time we do not see: after it was sent,
before its answer, and at most ``g`` after sending. A slot is *open* from its grant, is *settled* at
``e`` = the answer, or ``g`` after sending if that is earlier, and counts until ``e + W + m``. So
the arrival ``a`` of each request lies in ``[grant, e]``, and its slot counts in all of
``[a, a + W + m)``. At most ``L`` slots count at any time. Let ``x`` be any moment: a request that
arrived in ``[x - W, x]`` still counts at ``x``, hence at most ``L`` have. That is the rolling
window; a window fixed to the minute is one of the rolling ones; and a token bucket of capacity
``L``, refilled ``L`` per ``W``, admits any sequence with at most ``L + L * t / W`` arrivals in each
span ``t``, while ours has at most ``L * ceil(t / W)``, which is no more.

**When bulk goes.** Each counting slot comes back at a known time, ``f1 <= f2 <= ...`` (one that is
open not before ``grant + W + m``). With ``k`` slots free now and the last paced grant at ``p``, the
next grants at ``p + T, p + 2T, ...`` find a slot each if the (k + j)th of them is not before
``fj``. The even interval is the smallest that manages this as far as we can see, and never less
than what can be kept up for ever::

    T = max( (W + m) / L,   max over j of (fj - p) / (k + j) )

A burst at one moment is thus paid back evenly over the following minute instead of by a stall, and
a change of the latency is met a minute ahead. Let ``hold`` be the time from grant to settling.
Slots come back ``W + m + hold`` after they were granted, so in a steady state T is
``(W + m + hold) / L`` without anybody estimating the latency, no gap of ``hold`` appears at the end
of each lap, and the share of the quota in use is ``W / (W + m + hold)``: 99.5 % with answers in
0.3 s, 98.3 % with any beyond a guard of 1 s. Where latencies scatter, the largest ``hold`` of the
last minute counts rather than the mean.

**When direct calls go.** At the next paced turn, before any bulk; or at once, ahead of the
schedule, from a slot that is free, as long as T stays below twice its least value, so that whoever
comes next, of either class, need not wait for more than two permits. How many at once is further
bounded by the caller's bucket (``may_burst``).

Invariants, each with a test that bears its number:

1. At most ``limit`` slots count at any time, so no rolling window of ``W`` at the server holds more
   than ``limit`` arrivals, whatever the latencies, if each way out is at most ``guard_s``.
2. Under saturation the share of the quota in use is ``W / (W + m + hold)``, and two grants are
   never further apart than three permits (3 W / L).
3. While both classes wait, bulk gets at least ``bulk_share`` of the grants, less at most what one
   burst of direct calls may owe it; never two turns in a row. Otherwise direct is first.
4. A slot given back unused leaves counts, schedule and shares as if it had not been granted.
5. A pause holds back both classes; 429s of requests granted before it began do not prolong it.
6. After a pause grants restart slowly; each pause shrinks the learnt limit, grants grow it back.
7. Time that runs backwards stands still.
"""

from __future__ import annotations

import math
from collections import deque

from .base import (
    LONGEST_PAUSE_WINDOWS,
    RAMP_FROM,
    RAMP_PART,
    STRETCH,
    Priority,
    QuotaSettings,
)
from .waiters import Turns

_CATCH_UP_S = 0.1
"""How late the event loop may wake us without losing turns (or two intervals, if that is longer):
a collection of garbage or a large body being encoded takes tens of milliseconds."""

_CATCH_UP_WINDOWS = 1 / 60
"""The same as a share of the window, so that scaled quotas stay in proportion."""

_SAMPLES = 256
"""How many of the slots that come back are looked at to find T: all of them at the usual limits."""

_SHRINK = 0.8
"""What a pause leaves of the learnt limit."""

_LEAST_SHARE = 0.1
"""The learnt limit never falls below this share of the configured one."""

_GROWTH = 0.1
"""Slots that each grant gives back to the learnt limit: a tenth of it in each full window."""

_JITTER = 0.25
"""A pause is prolonged by up to this share, so that several clients do not come back together."""

_EPSILON = 1e-9

_OPEN, _SENT, _SETTLED, _RETURNED = range(4)


class Slot:
    """One granted request. Only the window changes it."""

    __slots__ = ("debt", "due", "due_before", "granted_at", "priority", "sent_at", "state")

    def __init__(
        self,
        priority: Priority,
        granted_at: float,
        *,
        due: float | None,
        due_before: float,
        debt: float,
    ) -> None:
        self.priority = priority
        self.granted_at = granted_at
        self.due = due
        self.due_before = due_before
        self.debt = debt
        self.sent_at = math.inf
        self.state = _OPEN

    @property
    def early(self) -> bool:
        """Whether it was granted ahead of the even schedule."""
        return self.due is None

    @property
    def is_open(self) -> bool:
        """Whether it is on its way: not answered, not settled by the guard, not given back."""
        return self.state < _SETTLED


class QuotaWindow:
    """Decides who may send now, and when to ask again; see the module's text for the rules.

    Each operation is O(1) on average, but for finding T, which looks at up to 256 slots once per
    grant at usual limits, and once per ``limit / 256`` grants at large ones.
    """

    __slots__ = (
        "_anchor",
        "_catch_up",
        "_flights",
        "_guards",
        "_head",
        "_interval",
        "_learnt",
        "_most_debt",
        "_now",
        "_open",
        "_pause_began",
        "_paused_until",
        "_plan_left",
        "_planned_at",
        "_room",
        "_settings",
        "_settled",
        "_since_pause",
        "_span",
        "_stride",
        "_strikes",
        "_turns",
        "granted",
        "granted_direct",
        "granted_early",
        "limit",
        "pauses",
        "throttled_answers",
    )

    def __init__(self, settings: QuotaSettings) -> None:
        self._settings = settings
        self._span = settings.window_s + settings.margin_s
        self._stride = max(1, settings.limit // _SAMPLES)
        self._catch_up = min(_CATCH_UP_S, settings.window_s * _CATCH_UP_WINDOWS)
        self._now = -math.inf
        # Slots: how many are open, all of them in the order of granting and those that were sent in
        # the order of sending (both may hold others, which are skipped), when the rest settled.
        self._open = 0
        self._flights: deque[Slot] = deque()
        self._guards: deque[tuple[float, Slot]] = deque()
        self._settled: list[float] = []
        self._head = 0
        # The schedule: the last paced grant, the interval, and how many early grants it can bear.
        self._anchor = -math.inf
        self._interval = self._span / settings.limit
        self._room = 0.0
        self._plan_left = 0
        self._planned_at = -math.inf
        # What bulk is owed, in permits, and the most that early grants may add to it.
        self._turns = Turns(settings.bulk_share)
        self._most_debt = max(1.0, settings.burst * settings.bulk_share)
        # What the server has taught us.
        self.limit = settings.limit
        self._learnt = float(settings.limit)
        self._pause_began = -math.inf
        self._paused_until = -math.inf
        self._since_pause = 0
        self._strikes = 0
        self.granted = 0
        self.granted_direct = 0
        self.granted_early = 0
        self.throttled_answers = 0
        self.pauses = 0

    @property
    def in_flight(self) -> int:
        """Slots that are open: neither answered nor settled by the guard."""
        return self._open

    @property
    def in_window(self) -> int:
        """Slots that count now, as of the last call."""
        return self._open + len(self._settled) - self._head

    @property
    def is_full(self) -> bool:
        """Whether whoever waits, waits for a slot to come back, as of the last call."""
        return self.in_window >= self.limit

    def paused_for_s(self, now: float) -> float:
        """Seconds until a pause ends; 0 when there is none."""
        return max(0.0, self._paused_until - max(now, self._now))

    # -- who may go --------------------------------------------------------------------------

    def grant(
        self, now: float, *, direct: bool, bulk: bool, may_burst: bool = False
    ) -> Slot | None:
        """Grant one request at this moment, if anybody waits and may go; else None.

        ``direct`` and ``bulk`` say whether somebody of that class waits, ``may_burst`` whether a
        direct call may go ahead of the schedule as far as the caller's bucket is concerned.
        """
        now = self._advance(now)
        free = self.limit - self.in_window
        if free < 1 or now < self._paused_until or not (direct or bulk):
            return None
        due = self._due(now)
        both = direct and bulk
        if due <= now:
            priority = self._turns.choose(direct=direct, bulk=bulk)
            return self._open_slot(now, priority, due, both=both)
        if not (direct and may_burst) or self._room < 1 - _EPSILON or self._ramping(now):
            return None
        if both and not self._turns.can_owe_more(self._most_debt):
            return None
        return self._open_slot(now, Priority.DIRECT, None, both=both)

    def wake_at(self, now: float) -> float | None:
        """When to ask again if `grant` has just said no; None if only an answer can change it."""
        now = self._advance(now)
        if now < self._paused_until:
            return self._paused_until
        missing = 1 - (self.limit - self.in_window)
        if missing <= 0:
            return self._due(now)
        if missing <= len(self._settled) - self._head:
            return self._settled[self._head + missing - 1] + self._span
        if self._guards:
            return self._guards[0][0] + self._settings.guard_s + self._span
        return None

    def _open_slot(self, now: float, priority: Priority, due: float | None, *, both: bool) -> Slot:
        anchor = self._anchor
        if due is not None:
            self._anchor = due
        debt = self._turns.take(priority, both=both)
        slot = Slot(priority, now, due=due, due_before=anchor, debt=debt)
        self._flights.append(slot)
        self._open += 1
        self._room -= 1
        self._plan_left -= 1
        self._since_pause += 1
        self._count(slot, 1)
        if self._learnt < self._settings.limit:
            self._learnt = min(self._learnt + _GROWTH, float(self._settings.limit))
            self.limit = int(self._learnt)
        return slot

    def _count(self, slot: Slot, by: int) -> None:
        self.granted += by
        if slot.priority is Priority.DIRECT:
            self.granted_direct += by
        if slot.early:
            self.granted_early += by

    # -- what became of it -------------------------------------------------------------------

    def sent(self, slot: Slot, now: float, *, is_leaving: bool = False) -> None:
        """The bytes of this request are leaving; once more if the HTTP layer repeats it.

        With ``is_leaving`` they have not left before `left` says so, and the guard starts there.
        """
        now = self._advance(now)
        if slot.state == _SENT:
            # The first sending may have arrived until now; the repeat goes on as this slot.
            self._settled.append(now)
            self._count(slot, 1)
        elif slot.state != _OPEN:
            # A repeat after the end: of a settled request, or of one that was called unused.
            self._open += 1
            self._flights.append(slot)
            self._count(slot, 1)
        slot.state = _SENT
        slot.sent_at = math.inf
        if not is_leaving:
            self.left(slot, now)

    def left(self, slot: Slot, now: float) -> None:
        """All bytes have left by now: the guard starts."""
        now = self._advance(now)
        if slot.state == _SENT and slot.sent_at == math.inf:
            slot.sent_at = now
            self._guards.append((now, slot))

    def done(self, slot: Slot, now: float) -> None:
        """This request was answered, or its attempt has ended."""
        now = self._advance(now)
        if slot.is_open:
            self._settle(slot, now)

    def unused(self, slot: Slot, now: float) -> None:
        """Nothing was sent for this slot: it never was."""
        self._advance(now)
        if not slot.is_open:
            return
        slot.state = _RETURNED
        self._open -= 1
        if slot.due is not None:
            # The turn is free again: exactly it if it was the last one, else one more.
            last = slot.due == self._anchor
            self._anchor = slot.due_before if last else self._anchor - self._interval
        self._turns.give_back(slot.debt)
        self._count(slot, -1)
        self._plan_left = 0

    def throttled(
        self, now: float, retry_after_s: float | None, slot: Slot | None, chance: float
    ) -> float | None:
        """A request was answered with 429; the seconds of the pause that begins, or None.

        ``chance`` in [0, 1) is the jitter. The pause is Retry-After if there is one that can be
        right, else ``pause_s``, doubled for each pause that follows another within a window,
        up to a window.
        """
        now = self._advance(now)
        self.throttled_answers += 1
        if self.pauses and (
            slot.granted_at <= self._pause_began if slot else self._since_pause == 0
        ):
            return None
        window = self._settings.window_s
        follows = now < self._paused_until + window
        self._strikes = self._strikes + 1 if follows else 1
        if retry_after_s is not None and math.isfinite(retry_after_s) and retry_after_s >= 0:
            pause = min(max(retry_after_s, self._interval), LONGEST_PAUSE_WINDOWS * window)
        else:
            doubled = self._settings.pause_s * 2.0 ** min(self._strikes - 1, 32)
            pause = min(doubled, max(window, self._settings.pause_s))
        pause *= 1 + _JITTER * chance
        self.pauses += 1
        self._since_pause = 0
        self._pause_began = now
        self._paused_until = now + pause
        self._anchor = max(self._anchor, self._paused_until)
        self._learnt = max(self._learnt * _SHRINK, self._settings.limit * _LEAST_SHARE, 1.0)
        self.limit = int(self._learnt)
        self._plan_left = 0
        return pause

    # -- the arithmetic ----------------------------------------------------------------------

    def _advance(self, now: float) -> float:
        """Settle what the guard settles, let go what no longer counts; the time, only forwards."""
        if now <= self._now:
            return self._now
        self._now = now
        guards = self._guards
        while guards:
            sent_at, slot = guards[0]
            if slot.state == _SENT and slot.sent_at == sent_at:
                settles_at = sent_at + self._settings.guard_s
                if settles_at > now:
                    break
                self._settle(slot, settles_at)
            guards.popleft()
        settled, head, span = self._settled, self._head, self._span
        while head < len(settled) and settled[head] + span <= now:
            head += 1
        if len(self._flights) > 2 * self._open + _SAMPLES:
            # One that is never ended must not keep the others.
            self._flights = deque(slot for slot in self._flights if slot.is_open)
        if head > 1024 and 2 * head > len(settled):
            del settled[:head]
            head = 0
        self._head = head
        return now

    def _settle(self, slot: Slot, at: float) -> None:
        # Settling times only grow: guards run out in the order of sending, and before anything is
        # settled by an answer, `_advance` has settled all that ran out until then.
        slot.state = _SETTLED
        self._open -= 1
        self._settled.append(at)

    def _ramping(self, now: float) -> bool:
        return now < self._paused_until + self._settings.window_s / RAMP_PART

    def _due(self, now: float) -> float:
        """When the next paced grant is due."""
        if math.isinf(self._anchor):
            self._plan(now, now)
            return now
        # Turns that nobody took are lost, except for the little that covers a late timer.
        late = max(self._catch_up, 2 * self._interval)
        anchor = self._anchor = max(self._anchor, now - late - self._interval)
        stale = now - self._planned_at > self._span / _SAMPLES
        if self._plan_left <= 0 or stale:
            self._plan(now, anchor)
        interval = self._interval
        if self._ramping(now):
            ramp = (now - self._paused_until) / (self._settings.window_s / RAMP_PART)
            interval /= RAMP_FROM + (1 - RAMP_FROM) * max(0.0, ramp)
        return anchor + interval

    def _plan(self, now: float, anchor: float) -> None:
        """Find T, and the number of early grants that leave it below twice its least value."""
        settled, span = self._settled, self._span
        base = span / self.limit
        longest = STRETCH * base
        known = len(settled) - self._head
        free = self.limit - self._open - known
        offset = span - anchor
        interval = base
        room = float(free)
        first = max(1, 1 - free)
        have = free + first
        for index in range(self._head + first - 1, len(settled), self._stride):
            wait = settled[index] + offset
            if wait > interval * have:
                interval = wait / have
            if wait > longest * (have - room):
                room = have - wait / longest
            have += self._stride
        flights = self._flights
        while flights and not flights[0].is_open:
            flights.popleft()
        if flights and free + known + 1 > 0:
            # The oldest open slot stands for all of them; none comes back before a window from its
            # grant, and those behind it come back later.
            wait = flights[0].granted_at + offset
            interval = max(interval, wait / (free + known + 1))
        # The early grants themselves come back last, together.
        room = min(room, free + known + 1 - (now + offset) / longest)
        self._interval = interval
        self._room = room
        self._plan_left = self._stride
        self._planned_at = now


__all__ = ("QuotaWindow", "Slot")
