"""What can be seen from outside: counters, and one frozen event per thing that happens.

An observer is any callable that takes an event. It runs inside the event loop and must be quick;
an exception in it is logged to the logger ``chargeover_async`` and goes no further. Events never
hold payloads or credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

import msgspec

logger = logging.getLogger("chargeover_async")


class RequestSent(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request went out and was answered, or failed.

    ``status`` is 0 without an answer; ``operations`` counts what travelled in it.
    """

    method: str
    path: str
    status: int
    duration_s: float
    operations: int
    fault: str | None


class RetryPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """An operation will be sent again, or its key looked up, after ``delay_s`` seconds.

    ``attempts`` counts the sends that have left.
    """

    operation: str
    step: str
    reason: str
    attempts: int
    delay_s: float


class Throttled(msgspec.Struct, frozen=True, kw_only=True):
    """The API answered 429; every sender pauses."""

    retry_after_s: float | None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """An operation ended as ``state``; ``batch`` is 0 for one that went alone."""

    operation: str
    state: str
    attempts: int
    batch: int


Event: TypeAlias = RequestSent | RetryPlanned | Throttled | Settled
Observer: TypeAlias = Callable[[Event], None]


class Stats:
    """Counters of one client, all from 0; read them at any time.

    ``requests`` counts HTTP requests that left, ``operations`` what travelled in them (so
    ``operations / requests`` is the mean fill), ``retries`` operations sent again, ``lookups`` keys
    looked up after a lost answer, ``rate_limited`` answers with 429, ``unknown`` operations whose
    outcome stayed unknown. ``limit`` is no counter: it is how many requests a window takes
    now, what the account allows or what 429s have left of it (0 without a quota), as of
    ``co.stats``.
    """

    __slots__ = (
        "limit",
        "lookups",
        "operations",
        "rate_limited",
        "requests",
        "retries",
        "unknown",
    )

    def __init__(self) -> None:
        self.limit = 0
        self.requests = 0
        self.operations = 0
        self.retries = 0
        self.lookups = 0
        self.rate_limited = 0
        self.unknown = 0

    @property
    def operations_per_request(self) -> float:
        """Mean fill of the requests sent; 0 before the first."""
        return self.operations / self.requests if self.requests else 0.0

    def as_dict(self) -> dict[str, int]:
        """All counters by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self) -> str:
        return f"<Stats {self.as_dict()}>"


def notify(observer: Observer | None, event: Event) -> None:
    """Hand ``event`` to ``observer``, whose faults stay its own."""
    if observer is None:
        return
    try:
        observer(event)
    except Exception:
        logger.exception("an observer failed on %s", type(event).__name__)


__all__ = (
    "Event",
    "Observer",
    "RequestSent",
    "RetryPlanned",
    "Settled",
    "Stats",
    "Throttled",
)
