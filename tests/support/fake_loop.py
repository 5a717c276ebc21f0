"""An event loop whose time jumps to the next timer when there is nothing to do.

No sockets, no threads, no waiting: a program of hours runs in milliseconds, always in the same
order. When nothing is ready and no timer is set, nothing can ever happen again: that is a hang, and
it is an error at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_000_000.0
"""A monotonic clock starts anywhere: whoever takes it to start at 0 is found out here."""


class Hang(AssertionError):
    """Somebody waits for what will never come."""


class FakeLoop(asyncio.BaseEventLoop):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._now = START
        self._selector = self
        self.complaints: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Hang("nothing is ready, and nothing will ever be")
        self._now += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def run(main: Coroutine[Any, Any, T], *, debug: bool = False) -> T:
    """Run to the end in a loop of its own; fails if a task is left or anything complained."""
    loop = FakeLoop()
    loop.set_debug(debug)
    try:
        value = loop.run_until_complete(main)
        left = [task.get_name() for task in asyncio.all_tasks(loop)]
        assert not left, f"tasks are left: {left}"
        assert not loop.complaints, loop.complaints
        return value
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def elapsed() -> float:
    """The seconds since the loop began."""
    return asyncio.get_running_loop().time() - START


__all__ = ("START", "FakeLoop", "Hang", "elapsed", "run")
