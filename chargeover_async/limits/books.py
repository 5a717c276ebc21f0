"""Where a ledger is kept, as far as a shared limiter knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from .ledger import Call, Reply


class BooksAway(Exception):
    """The ledger cannot be reached. ``lasting``: no waiting will help, the setup is wrong."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class Books(Protocol):
    """Where a ledger is kept."""

    @property
    def place(self) -> str:
        """Its name for people; never credentials."""
        ...

    async def exchange(self, call: Call) -> Reply:
        """What `ledger.exchange` does, atomically. Raises BooksAway; may have happened then."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


def steady_clock() -> Callable[[], float]:
    """Seconds that nobody sets, counting while the machine sleeps where the system can do that."""
    boot: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    if boot is None:
        return time.monotonic
    return lambda: time.clock_gettime(boot)


__all__ = ("Books", "BooksAway", "steady_clock")
