"""A stream: operations from an iterable of any length, outcomes as they settle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any, TypeVar

from chargeover_async._send.pipeline import Pipeline
from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.operation import Operation, Outcome

from .engine import Engine
from .entry import Entry
from .journal import StreamJournal
from .settings import BulkSettings

T = TypeVar("T")

# Operations taken from a plain iterable before others have their turn. A whole number of batches:
# with less, an engine without a quota would send what it has, half full.
BREATH = 1_000


class _Feed:
    """Takes operations from the source while there is room, and keeps what is to be yielded.

    At most ``window`` operations are taken and not yielded, so memory is bounded whatever the
    length of the source and however slow the consumer.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        settings: BulkSettings,
        source: Iterable[Operation[Any]] | AsyncIterable[Operation[Any]],
        *,
        ordered: bool,
        window: int,
        journal: StreamJournal | None,
    ) -> None:
        self.engine = Engine(pipeline, settings, self._on_settled, journal)
        self._source = source
        self._ordered = ordered
        self._window = window
        self._taken = 0  # and not yielded
        self._must_wait: Entry | None = None  # an operation that was offered, and found no room
        self._in_order: deque[Operation[Any]] = deque()
        self._settled: deque[Outcome[Any]] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self.task = asyncio.create_task(self._feed(), name="chargeover-feed")
        self.task.add_done_callback(lambda _: self._news.set())

    def _on_settled(self, outcome: Outcome[Any]) -> None:
        if not self._ordered:
            self._settled.append(outcome)
        self._news.set()

    async def _feed(self) -> None:
        source = self._source
        if isinstance(source, AsyncIterable):
            try:
                async for operation in source:
                    if not self._try_take(operation):
                        await self._take(operation)
            finally:
                if isinstance(source, AsyncGenerator):  # let it clean up now, not some day
                    await source.aclose()
        else:
            for number, operation in enumerate(source, start=1):
                if number % BREATH == 0:
                    await asyncio.sleep(0)  # a source without end must not hold up the rest
                if not self._try_take(operation):
                    await self._take(operation)

    def _try_take(self, operation: Operation[Any]) -> bool:
        """Take an operation at once; False, and nothing done, if that is not so simple."""
        if self._taken >= self._window or not isinstance(operation, Operation) or operation.done:
            return False
        try:
            self._must_wait = self.engine.offer(operation)
        except ChargeOverError as error:
            self._refused(operation, error)
            return True
        if self._must_wait is not None:
            return False
        self._count(operation)
        return True

    async def _take(self, operation: Operation[Any]) -> None:
        if not isinstance(operation, Operation):
            raise UsageError(f"a stream takes operations, not {type(operation).__name__}")
        entry, self._must_wait = self._must_wait, None
        while self._taken >= self._window:
            self._room.clear()
            try:
                await self._room.wait()
            except asyncio.CancelledError:
                operation.close()
                raise
        fresh = not operation.done
        try:
            entry = entry or self.engine.offer(operation)
            if entry is not None:
                await self.engine.wait_for_room(entry)
        except ChargeOverError as error:
            if not fresh:
                raise  # somebody else has it: a mistake of the caller's program
            self._refused(operation, error)
        else:
            self._count(operation)

    def _refused(self, operation: Operation[Any], error: ChargeOverError) -> None:
        outcome = operation.outcome
        if outcome is None or outcome.error is not error:
            raise error  # somebody else has it: a mistake of the caller's program
        self._count(operation)
        self._on_settled(outcome)

    def _count(self, operation: Operation[Any]) -> None:
        self._taken += 1
        if self._ordered:
            self._in_order.append(operation)

    def pop(self) -> Outcome[Any] | None:
        """An outcome that is there to be yielded, if any."""
        if self._ordered:
            if not self._in_order or not self._in_order[0].done:
                return None
            outcome = self._in_order.popleft().outcome
        elif self._settled:
            outcome = self._settled.popleft()
        else:
            return None
        if self._taken == self._window:
            self._room.set()
        self._taken -= 1
        return outcome

    async def wait(self) -> bool:
        """Wait for the next outcome; False at the end, then raises what the source raised."""
        if self.task.done() and self._taken == 0:
            self.task.result()
            return False
        self._news.clear()
        await self._news.wait()
        return True

    async def aclose(self) -> None:
        """Take nothing more from the source and send nothing more; await what is in flight.

        Cancelling breaks off what is in flight, at whichever step it comes.
        """
        self.engine.stop("the stream was left")
        self.task.cancel()
        try:
            await asyncio.gather(self.task, return_exceptions=True)
        except asyncio.CancelledError:
            self.engine.break_off()
            raise
        finally:
            await self.engine.aclose()


async def stream(
    pipeline: Pipeline,
    settings: BulkSettings,
    source: Iterable[Operation[T]] | AsyncIterable[Operation[T]],
    *,
    ordered: bool,
    window: int,
    journal: StreamJournal | None = None,
) -> AsyncIterator[Outcome[T]]:
    """See `ChargeOver.stream`."""
    feed = _Feed(pipeline, settings, source, ordered=ordered, window=window, journal=journal)
    try:
        while True:
            while (outcome := feed.pop()) is not None:
                yield outcome
            if not await feed.wait():
                return
    finally:
        await feed.aclose()
