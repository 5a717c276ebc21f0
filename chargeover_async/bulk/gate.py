"""Room for accepted operations, by count and bytes; who waits for it is served in turn."""

from __future__ import annotations

import asyncio
from collections import deque


class Gate:
    """Counts what is inside and keeps the queue of those who wait to come in.

    A place is taken in the moment in which it is granted, so the bounds hold whatever happens
    between a grant and the next step of the task that waited for it. Until that step nobody else
    comes in, or one who came later would be in first.
    """

    __slots__ = ("_closed", "_granted", "_queue", "bytes", "count", "most", "most_bytes")

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.count = 0
        self.bytes = 0
        self._queue: deque[tuple[asyncio.Future[bool], int]] = deque()
        self._granted = 0  # places whose owners have not taken their next step
        self._closed = False

    def try_enter(self, size: int) -> bool:
        """Take a place of ``size`` bytes at once, if there is one and nobody waits for it."""
        if (
            self._queue
            or self._granted
            or self.count >= self.most
            or self.bytes + size > self.most_bytes
        ):
            return False
        self.count += 1
        self.bytes += size
        return True

    async def enter(self, size: int) -> bool:
        """Wait for a place of ``size`` bytes, first come, first served; False once closed."""
        if self._closed or self.try_enter(size):
            return not self._closed
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append((turn, size))
        try:
            came = await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.done() and turn.result():
                self._granted -= 1
                self.leave(size)  # the grant came in the same tick: pass it on
            else:
                self._grant()  # who stands behind may fit where this one did not
            raise
        self._granted -= came
        self._grant()  # who came since the grant, and was kept out for it
        return came

    def leave(self, size: int) -> None:
        """Give a place back."""
        self.count -= 1
        self.bytes -= size
        if self._queue:
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

    def _grant(self) -> None:
        while self._queue:
            turn, size = self._queue[0]
            # A cancelled one stays here until somebody looks: its task has not run yet.
            if not turn.done():
                if not self._fits(size):
                    return
                self.count += 1
                self.bytes += size
                self._granted += 1
                turn.set_result(True)
            self._queue.popleft()


__all__ = ("Gate",)
