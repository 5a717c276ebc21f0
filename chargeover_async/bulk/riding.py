"""Direct calls that travel at the head of a batch (`BulkSettings.carry_direct_calls`)."""

from __future__ import annotations

from typing import Any

from chargeover_async._send.pipeline import Carrier, Pipeline
from chargeover_async.errors import UsageError
from chargeover_async.operation import Operation

from .batch import measure
from .entry import Entry, Home
from .settings import ServerAssumptions


class Riding:
    """Makes riders of direct calls, which stand before all that waits."""

    __slots__ = ("_assumptions", "_last", "_most_bytes", "_pipeline")

    def __init__(self, pipeline: Pipeline, assumptions: ServerAssumptions, most_bytes: int) -> None:
        self._pipeline = pipeline
        self._assumptions = assumptions
        self._most_bytes = most_bytes
        self._last = 0  # the number of the latest: all are below those of other entries

    def begin(self, carrier: Carrier) -> None:
        """Direct calls are offered to ``carrier`` from now on."""
        self._pipeline.carriers.append(carrier)

    def end(self, carrier: Carrier) -> None:
        """And no more."""
        if carrier in self._pipeline.carriers:
            self._pipeline.carriers.remove(carrier)

    def rider(self, engine: Home, operation: Operation[Any]) -> Entry | None:
        """An entry for a copy of a direct call, or None if it had better go alone.

        What waits for another operation, here or anywhere, goes alone; so does what no batch takes.
        """
        if operation.refs is not None or operation.path_ref is not None:
            return None
        copy = operation.copy()
        copy.take()
        entry = Entry(engine, copy, self._last - 1)
        try:
            measure(entry, self._assumptions)
        except UsageError:
            return None  # going alone, it meets the same error
        if entry.alone or entry.size > self._most_bytes:
            return None
        self._last -= 1
        entry.rides = True
        return entry


__all__ = ("Riding",)
