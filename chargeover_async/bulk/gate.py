"""Room for accepted operations, by count and bytes; who waits for it is served in turn."""

from __future__ import annotations

import asyncio
from collections import deque


class Gate:
    """Counts what is inside and keeps the queue of those who wait to come in.

    A place is taken in the moment in which it is granted, so the bounds hold whatever happens
    between a grant and the next step of the task that waited for it.
    """

    __slots__ = ("_closed", "_queue", "bytes", "count", "most", "most_bytes")

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.count = 0
        self.bytes = 0
        self._queue: deque[tuple[asyncio.Future[bool], int]] = deque()
        self._closed = False

    def try_enter(self, size: int) -> bool:
        """Take a place of ``size`` bytes at once, if there is one and nobody waits for it."""
        if self._queue or not self._fits(size):
            return False
        self._take(size)
        return True

    async def enter(self, size: int) -> bool:
        """Wait for a place of ``size`` bytes, first come, first served; False once closed."""
        if self._closed or self.try_enter(size):
            return not self._closed
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append((turn, size))
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.done() and turn.result():
                self.leave(size)  # the grant came in the same tick: pass it on
            else:
                self._grant()  # who stands behind may fit where this one did not
            raise

    def leave(self, size: int) -> None:
        """Give a place back."""
        self.count -= 1
        self.bytes -= size
        self._grant()

    def close(self) -> None:
        """Send home who waits, and everybody from now on."""
        self._closed = True
        while self._queue:
            turn, _ = self._queue.popleft()
            if not turn.done():
                turn.set_result(False)

    def _fits(self, size: int) -> bool:
        return self.count < self.most and self.bytes + size <= self.most_bytes

    def _take(self, size: int) -> None:
        self.count += 1
        self.bytes += size

    def _grant(self) -> None:
        while self._queue:
            turn, size = self._queue[0]
            # A cancelled one stays here until somebody looks: its task has not run yet.
            if not turn.done():
                if not self._fits(size):
                    return
                self._take(size)
                turn.set_result(True)
            self._queue.popleft()


__all__ = ("Gate",)
