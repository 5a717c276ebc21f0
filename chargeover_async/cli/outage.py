"""Tells that the server does not answer, why, and when it does again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from typing import NoReturn

from chargeover_async.observe import Event, RequestSent, RetryPlanned, Stats
from chargeover_async.retry import Fault

from .say import say

EVERY_S = 5.0  # between two lines
LOOK_S = 1.0  # between two looks at the clock
_NO_ANSWER = {Fault.NEVER_LEFT.value, Fault.LOST.value, Fault.SERVER.value}


class Outage:
    """An observer of one client; it writes to the error output."""

    def __init__(
        self,
        tell: Callable[[str], object] = lambda text: say(text, err=True),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._due = 0.0
        self._is_down = False
        self._answers = 0  # to requests that left, bad ones included
        self._heard = clock()

    def __call__(self, event: Event) -> None:
        """Take note of what happened."""
        if isinstance(event, RequestSent):
            self._heard = self._clock()
            self._answers += event.fault != Fault.NEVER_LEFT.value
            if event.fault in _NO_ANSWER:
                self._is_down = True
            elif self._is_down:
                self._is_down, self._due = False, 0.0
                self._tell("The server answers again.")
        elif isinstance(event, RetryPlanned) and self._is_down:
            self._tell_at_times(f"No good answer: {event.reason}. It is tried again.")

    def look(self, stats: Stats) -> None:
        """See whether what has left waits for an answer."""
        waits = self._clock() - self._heard
        if stats.requests <= self._answers:
            self._heard = self._clock()
        elif waits >= EVERY_S - LOOK_S:
            self._is_down = True
            self._tell_at_times(f"No answer for {waits:.0f} s. It is waited for.")

    def _tell_at_times(self, text: str) -> None:
        if self._clock() >= self._due:
            self._due = self._clock() + EVERY_S
            self._tell(text)

    @contextlib.asynccontextmanager
    async def watch(self, stats: Stats) -> AsyncGenerator[None]:
        """Look at the clock meanwhile: nothing happens where nothing is answered."""

        async def look() -> NoReturn:
            while True:
                await asyncio.sleep(LOOK_S)
                self.look(stats)

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()


__all__ = ("Outage",)
