"""An event loop in a thread of its own, for functions that block.

So the caller's thread may have a loop of its own (a notebook, an actor of Ray), and what it must do
itself (pull rows from an iterator that belongs to it and that may block) holds no answer up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """What the caller's thread has of the loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._left = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="chargeover-loop", daemon=True)
        self._thread.start()

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._until_left())  # then it cancels and awaits what still runs

    async def _until_left(self) -> None:
        await self._left.wait()

    def end(self) -> None:
        """Cancel what still runs, and wait for that."""
        self.loop.call_soon_threadsafe(self._left.set)
        self._thread.join()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it to its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin with it."""

        async def begin() -> asyncio.Task[T]:
            return asyncio.create_task(coroutine)

        return self.run(begin())

    def finish(self, task: asyncio.Task[T]) -> T:
        """Wait for its end."""

        async def wait() -> T:
            return await task

        return self.run(wait())

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel it, once, and wait for its end."""

        async def wait() -> None:
            task.cancel()
            await asyncio.wait([task])

        self.run(wait())


@contextlib.contextmanager
def running_loop() -> Generator[Loop]:
    """A loop until the block is left; what still runs in it then is cancelled and awaited."""
    loop = Loop()
    try:
        yield loop
    finally:
        loop.end()


class Feed(AsyncIterator[T]):
    """Items from the caller's thread to the loop; ``put`` waits while ``room`` are on the way.

    Invariants: 1. items come out in the order in which they were put, each once. 2. `put` never
    waits for a loop that takes no more (`close`). 3. What `end` was told is raised behind the last
    item.
    """

    def __init__(self, loop: Loop, room: int = 1_000) -> None:
        self._loop = loop.loop
        self._room = room
        self._items: deque[T] = deque()
        self._lock = threading.Condition()
        self._news = asyncio.Event()
        self._waits = False
        self._ended = False
        self._closed = False

    def put(self, item: T) -> bool:
        """Wait for room and hand over; False if nobody takes it any more."""
        with self._lock:
            self._lock.wait_for(lambda: self._closed or len(self._items) < self._room)
            if self._closed:
                return False
            self._items.append(item)
            self._wake()
        return True

    def end(self) -> None:
        """There is nothing more to come."""
        with self._lock:
            self._ended = True
            self._wake()

    def _wake(self) -> None:
        if self._waits:
            self._waits = False
            self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        """Nothing more is taken."""
        with self._lock:
            self._closed = True
            self._items.clear()
            self._lock.notify_all()

    async def __anext__(self) -> T:
        while True:
            with self._lock:
                if self._items:
                    if len(self._items) == self._room:
                        self._lock.notify_all()
                    return self._items.popleft()
                if self._ended:
                    raise StopAsyncIteration
                self._news.clear()
                self._waits = True
            await self._news.wait()


__all__ = ("Feed", "Loop", "running_loop")
