"""Questions for the key of a create that may be there, each an entry that travels like any other.

One has no place at the gate and none in the books: it ends with the entry that it asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chargeover_async.models import DateFormat
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat

from .batch import measure
from .entry import Entry, Stage
from .settings import ServerAssumptions


class Lookups:
    """Makes questions and ends them.

    ``on_ready`` is told of a question that may leave, ``on_dropped`` of one that was ready and is
    not to leave any more.
    """

    __slots__ = ("_assumptions", "_dates", "_on_dropped", "_on_ready")

    def __init__(
        self,
        assumptions: ServerAssumptions,
        dates: DateFormat | None,
        on_ready: Callable[[Entry], None],
        on_dropped: Callable[[], None],
    ) -> None:
        self._assumptions = assumptions
        self._dates = dates
        self._on_ready = on_ready
        self._on_dropped = on_dropped

    def ask(self, entry: Entry) -> None:
        """Ask for the record that has the key of a create, or more about one that was found."""
        asked = entry.question(entry.operation)
        operation: Operation[Any] = Operation(
            entry.operation.runner,
            entry.operation.object,
            asked.method,
            asked.path,
            lambda raw: raw,
            Repeat.READ,
        )
        operation.take()
        lookup = Entry(entry.engine, operation, entry.seq)
        lookup.dates = self._dates
        measure(lookup, self._assumptions)
        lookup.looks_up, entry.lookup = entry, lookup
        self._on_ready(lookup)

    def end(self, lookup: Entry) -> None:
        """It is answered, or its answer is not wanted any more."""
        if lookup.stage is Stage.READY:
            self._on_dropped()
        lookup.stage = Stage.SETTLED
        if lookup.looks_up is not None:
            lookup.looks_up.lookup = None


__all__ = ("Lookups",)
