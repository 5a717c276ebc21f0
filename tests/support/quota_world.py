"""A world for the pure core: three servers, the way to them, and somebody who always wants more.

The servers know nothing of the library; they count arrivals, each in its own way.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from chargeover_async.limits import Priority, QuotaSettings
from chargeover_async.limits.window import QuotaWindow, Slot

ROUNDING_S = 1e-7
"""Sums of floats at t + 60 differ from those at t by less than this; the margin is far above it."""


class RollingServer:
    """At most ``limit`` in any ``window_s``, the strictest reading: both ends count."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit, self.window_s = limit, window_s
        self.seen: deque[float] = deque()
        self.worst = 0
        self.refused = 0

    def arrive(self, at: float) -> bool:
        while self.seen and self.seen[0] < at - self.window_s:
            self.seen.popleft()
        self.seen.append(at)
        self.worst = max(self.worst, len(self.seen))
        if len(self.seen) > self.limit:
            self.refused += 1
            return False
        return True


class FixedServer:
    """At most ``limit`` in each window that begins at a multiple of ``window_s`` plus a phase."""

    def __init__(self, limit: int, window_s: float, phase: float = 0.0) -> None:
        self.limit, self.window_s, self.phase = limit, window_s, phase
        self.number: float | None = None
        self.count = 0
        self.refused = 0

    def arrive(self, at: float) -> bool:
        number = (at - self.phase) // self.window_s
        if number != self.number:
            self.number, self.count = number, 0
        self.count += 1
        if self.count > self.limit:
            self.refused += 1
            return False
        return True


class BucketServer:
    """A bucket of ``limit`` tokens, full at first, refilled ``limit`` per ``window_s``."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit, self.rate = limit, limit / window_s
        self.tokens = float(limit)
        self.last: float | None = None
        self.refused = 0

    def arrive(self, at: float) -> bool:
        if self.last is not None:
            self.tokens = min(self.limit, self.tokens + (at - self.last) * self.rate)
        self.last = at
        if self.tokens < 1 - 1e-6:
            self.refused += 1
            return False
        self.tokens -= 1
        return True


def all_servers(limit: int, window_s: float) -> list[RollingServer | FixedServer | BucketServer]:
    return [
        RollingServer(limit, window_s),
        *(FixedServer(limit, window_s, phase * window_s / 4) for phase in range(4)),
        BucketServer(limit, window_s),
    ]


def worst_window(arrivals: Iterable[float], window_s: float) -> int:
    """The most arrivals in any window of this length, both ends included."""
    recent: deque[float] = deque()
    worst = 0
    for at in sorted(arrivals):
        recent.append(at)
        while recent[0] < at - window_s:
            recent.popleft()
        worst = max(worst, len(recent))
    return worst


@dataclass
class Way:
    """What happens to one request after its grant; seconds. ``refused`` is a 429."""

    connect: float = 0.0
    out: float = 0.0
    answer: float = 0.05
    unused: bool = False
    refused: bool = False
    says_sent: bool = True


@dataclass
class World:
    """Plays requests against a `QuotaWindow`, jumping from event to event."""

    settings: QuotaSettings
    way: Callable[[int], Way] = lambda number: Way()
    bulk_workers: int = 0
    may_burst: Callable[[float], bool] = lambda now: True
    retry_after_s: float | None = None

    now: float = 0.0
    sends: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    by_class: dict[Priority, list[float]] = field(
        default_factory=lambda: {Priority.DIRECT: [], Priority.BULK: []}
    )
    direct_waits: list[float] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        self.window = QuotaWindow(self.settings)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._direct: deque[float] = deque()
        self._bulk = self.bulk_workers
        self._number = 0

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def ask_direct(self, when: float, calls: int = 1) -> None:
        self.at(when, lambda: self._direct.extend([when] * calls))

    def give_up_direct(self, when: float) -> None:
        self.at(when, lambda: self._direct.pop() and None if self._direct else None)

    def ask_bulk(self, when: float, calls: int = 1) -> None:
        def more() -> None:
            self._bulk += calls

        self.at(when, more)

    def give_up_bulk(self, when: float) -> None:
        def less() -> None:
            self._bulk = max(0, self._bulk - 1)

        self.at(when, less)

    def run(self, until: float) -> World:
        while True:
            self._serve()
            wake = self.window.wake_at(self.now) if self._direct or self._bulk else None
            event = self._events[0][0] if self._events else None
            times = [t for t in (wake, event) if t is not None]
            if not times or min(times) > until:
                self.now = until
                return self
            self.now = max(self.now, min(times))
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()

    def _serve(self) -> None:
        while True:
            self.looks += 1
            slot = self.window.grant(
                self.now,
                direct=bool(self._direct),
                bulk=self._bulk > 0,
                may_burst=self.may_burst(self.now),
            )
            if slot is None:
                return
            if slot.priority is Priority.DIRECT:
                self.direct_waits.append(self.now - self._direct.popleft())
            else:
                self._bulk -= 1
            self._send(slot)

    def _send(self, slot: Slot) -> None:
        way = self.way(self._number)
        self._number += 1
        window = self.window
        again = slot.priority is Priority.BULK and self.bulk_workers > 0

        def ended() -> None:
            if way.unused:
                window.unused(slot, self.now)
            else:
                window.done(slot, self.now)
                if way.refused:
                    window.throttled(self.now, self.retry_after_s, slot, 0.5)
            if again:
                self._bulk += 1

        if way.unused:
            self.at(self.now + way.connect, ended)
            return
        leaves = self.now + way.connect
        self.sends.append(leaves)
        self.by_class[slot.priority].append(leaves)
        self.arrivals.append(leaves + min(way.out, way.answer))
        if way.says_sent:
            self.at(leaves, lambda: window.sent(slot, self.now))
        self.at(leaves + way.answer, ended)

    def longest_gap(self, since: float = 0.0) -> float:
        times = [t for t in self.sends if t >= since]
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)

    def used(self, windows: int) -> float:
        until = windows * self.settings.window_s
        return sum(t < until for t in self.sends) / (windows * self.settings.limit)
