"""How an engine comes to its end: drained, past a deadline, left by an exception, or broken off."""

from __future__ import annotations

import asyncio
from typing import Protocol

from .sending import Sender


class Closable(Protocol):
    """The engine, as far as its end is concerned."""

    @property
    def is_drained(self) -> bool:
        """Whether nothing is unsettled or under way."""
        ...

    def shut(self) -> None:
        """Accept nothing more."""
        ...

    def stop(self, why: str) -> None:
        """Send nothing more: what is not in flight settles now, what is runs to its end."""
        ...

    def tell_journal(self) -> None:
        """Tell what has settled since."""
        ...


class Closing:
    """Sees an engine to its end."""

    __slots__ = ("_closers", "_engine", "_sender", "drains")

    def __init__(self, sender: Sender, engine: Closable) -> None:
        self._sender = sender
        self._engine = engine
        self.drains: list[asyncio.Future[None]] = []  # who waits until nothing is left to do
        self._closers = 0  # calls of `aclose` under way

    async def aclose(self, deadline_s: float | None) -> None:
        """See `Engine.aclose`."""
        engine = self._engine
        engine.shut()
        if self._closers:
            self.break_off()
        self._closers += 1
        try:
            if not await self._drained(deadline_s):
                engine.stop("the deadline for closing passed")
                await self._drained(None)
        except BaseException:
            self.break_off()
            raise
        finally:
            try:
                await self._end_tasks()
            finally:
                engine.tell_journal()
                self._closers -= 1

    def break_off(self) -> None:
        """Send nothing more, and do not wait for what is in flight: it ends as unknown."""
        self._engine.stop("the bulk scope was closed by force")
        for task in self._sender.flights:
            task.cancel()

    async def _drained(self, deadline_s: float | None) -> bool:
        if self._engine.is_drained:
            return True
        drain: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.drains.append(drain)
        try:
            async with asyncio.timeout(deadline_s):
                await drain
        except TimeoutError:
            return False
        return True

    def check(self) -> None:
        """Something settled or landed: wake who waits if nothing is left."""
        if self._engine.is_drained:
            for drain in self.drains:
                if not drain.done():
                    drain.set_result(None)
            self.drains.clear()

    async def _end_tasks(self) -> None:
        """See every task end, whoever cancels us meanwhile."""
        cancelled: asyncio.CancelledError | None = None
        sealer = self._sender.sealer
        if sealer is not None:
            sealer.cancel()
        while True:
            tasks = set(self._sender.flights)
            if sealer is not None and not sealer.done():
                tasks.add(sealer)
            if not tasks:
                break
            try:
                await asyncio.wait(tasks)
                await asyncio.sleep(0)  # their callbacks
            except asyncio.CancelledError as error:
                self.break_off()
                cancelled = error
        if cancelled is not None:
            raise cancelled


__all__ = ("Closing",)
