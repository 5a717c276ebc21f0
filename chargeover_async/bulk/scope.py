"""A bulk scope: ``async with co.bulk() as bulk``."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypeVar

from chargeover_async._send.pipeline import Pipeline
from chargeover_async.operation import Operation
from chargeover_async.resources import Resources
from chargeover_async.resources._calls.options import Options

from .engine import Engine
from .settings import BulkReport, BulkSettings

T = TypeVar("T")


class Bulk(Resources):
    """Queues operations and sends them in as few requests as possible.

    Its resources take an operation at once and give it back as a handle: await it for its value,
    or pass ``handle.ref()`` (or the handle itself, as a target) to another operation. Leaving the
    block drains the queue; leaving it by an exception sends nothing more. Either way every handle
    is settled then. An error of one operation is raised by its handle, not by the block: look at
    ``report`` for the sums.
    """

    def __init__(self, pipeline: Pipeline, settings: BulkSettings, options: Options) -> None:
        self._engine = Engine(pipeline, settings)
        self._set_resources(self._engine, options)

    async def submit(self, operation: Operation[T]) -> Operation[T]:
        """Queue an operation built by the client, waiting while the queue is full.

        Raises UsageError for one that was handed over before, or that can never fit.
        """
        await self._engine.submit(operation)
        return operation

    @property
    def report(self) -> BulkReport:
        """How the operations settled so far ended."""
        return self._engine.report

    @property
    def unsettled(self) -> int:
        """How many operations are queued or under way."""
        return self._engine.unsettled

    async def aclose(self, deadline_s: float | None = None) -> BulkReport:
        """Drain the queue, within ``deadline_s`` seconds if given, and say how everything ended.

        Past the deadline nothing more is sent, and what is in flight is awaited. A second call
        while the first is under way breaks off what is in flight, too.
        """
        return await self._engine.aclose(deadline_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self._engine.aclose()
        else:
            await self._engine.abort()

    def __repr__(self) -> str:
        return f"<Bulk {self.unsettled} unsettled, {self.report}>"


__all__ = ("Bulk",)
