"""The request quota: which of the requests that arrive are answered with 429."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quota:
    """So many requests in so many seconds; a ``_bulk`` is one request.

    The vendor's text gives 250 a minute; which kind of window is not shown (UNVERIFIED), so all
    three can be played. ``kind=None`` counts nothing.

    Attributes:
        limit: requests that are let through per window.
        window_s: length of the window, in seconds.
        kind: "rolling" counts the last ``window_s`` seconds; "fixed" counts from whole multiples
            of ``window_s``; "bucket" holds ``limit`` requests and fills evenly in ``window_s``.
        count_rejected: whether a request answered with 429 uses up quota as well.
        retry_after: whether a 429 carries a Retry-After header (none is shown by any source).
    """

    limit: int = 250
    window_s: float = 60.0
    kind: Literal["rolling", "fixed", "bucket"] | None = "rolling"
    count_rejected: bool = False
    retry_after: bool = False

    def __post_init__(self) -> None:
        if self.limit < 1 or not 0 < self.window_s < float("inf"):
            raise ValueError("a quota needs limit >= 1 and a finite window_s > 0")
        if self.kind not in ("rolling", "fixed", "bucket", None):
            raise ValueError(f"unknown kind of quota: {self.kind!r}")


class QuotaMeter:
    """Decides, arrival by arrival, what a `Quota` lets through; times are seconds of one clock."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._arrivals: deque[float] = deque()
        self._window = -1.0
        self._used = 0
        self._level = float(quota.limit)
        self._filled_at: float | None = None

    def admit(self, now: float) -> float | None:
        """None if the request that arrives at ``now`` is let through, else the seconds to wait."""
        kind = self.quota.kind
        if kind is None:
            return None
        if kind == "rolling":
            return self._rolling(now)
        if kind == "fixed":
            return self._fixed(now)
        return self._bucket(now)

    def used(self, now: float) -> float:
        """How much of the limit is used up at ``now``, which is no earlier than any arrival."""
        quota = self.quota
        if quota.kind == "rolling":
            self._forget(now)
            return len(self._arrivals)
        if quota.kind == "fixed":
            return self._used if now // quota.window_s == self._window else 0
        if quota.kind == "bucket" and self._filled_at is not None:
            gained = (now - self._filled_at) * quota.limit / quota.window_s
            return quota.limit - min(quota.limit, self._level + gained)
        return 0

    def _forget(self, now: float) -> None:
        while self._arrivals and self._arrivals[0] <= now - self.quota.window_s:
            self._arrivals.popleft()

    def _rolling(self, now: float) -> float | None:
        quota, arrivals = self.quota, self._arrivals
        self._forget(now)
        wait = None
        if len(arrivals) >= quota.limit:
            wait = arrivals[len(arrivals) - quota.limit] + quota.window_s - now
        if wait is None or quota.count_rejected:
            arrivals.append(now)
        return wait

    def _fixed(self, now: float) -> float | None:
        quota = self.quota
        window = now // quota.window_s
        if window != self._window:
            self._window, self._used = window, 0
        wait = None if self._used < quota.limit else (window + 1) * quota.window_s - now
        if wait is None or quota.count_rejected:
            self._used += 1
        return wait

    def _bucket(self, now: float) -> float | None:
        quota = self.quota
        rate = quota.limit / quota.window_s
        if self._filled_at is not None:
            self._level = min(quota.limit, self._level + (now - self._filled_at) * rate)
        self._filled_at = now
        # Refilling in binary fractions leaves 0.999...: a hair of tolerance keeps it a whole one.
        if self._level >= 1 - 1e-9:
            self._level -= 1
            return None
        wait = (1 - self._level) / rate
        if quota.count_rejected:
            self._level = max(-float(quota.limit), self._level - 1)
        return wait


def use_over_time(quota: Quota, arrivals: Sequence[float], times: Sequence[float]) -> list[float]:
    """How much of the limit was used up at each of ``times``; both sequences rise."""
    meter = QuotaMeter(quota)
    used: list[float] = []
    position = 0
    for time in times:
        while position < len(arrivals) and arrivals[position] <= time:
            meter.admit(arrivals[position])
            position += 1
        used.append(meter.used(time))
    return used
