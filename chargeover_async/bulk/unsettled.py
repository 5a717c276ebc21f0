"""What was accepted and is not settled: who waits for whom, and how everything ended.

Plain bookkeeping, without tasks, time and sending. Nothing here recurses, so that a chain of any
length settles; and nothing keeps a settled operation alive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from chargeover_async._refs import Answered, resolve, resolve_in_path
from chargeover_async._send.result import End
from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.operation import Operation, Outcome

from .entry import Entry, Stage, refs_of
from .settings import BulkReport

SETTLED = Stage.SETTLED


class Unsettled:
    """The operations of one engine that have no outcome yet.

    ``on_ready`` is told of an entry that waits for nothing any more, ``on_settled`` of each
    outcome, with the entry and the stage it was in.
    """

    def __init__(
        self,
        *,
        existing_will_do: bool,
        on_ready: Callable[[Entry], None],
        on_settled: Callable[[Entry, Stage, Outcome[Any]], None],
    ) -> None:
        self.entries: dict[int, Entry] = {}
        self._existing_will_do = existing_will_do
        self._on_ready = on_ready
        self._on_settled = on_settled
        self._last: dict[Any, Entry] = {}  # the latest unsettled entry on each record
        self._ended = {"done": 0, "refused": 0, "not_sent": 0, "unknown": 0}
        self._settling: deque[tuple[Entry, End]] | None = None

    @property
    def report(self) -> BulkReport:
        """How the operations settled so far ended."""
        return BulkReport(**self._ended)

    def is_open(self, record: Any) -> bool:
        """Whether an operation on that record is unsettled."""
        return record is not None and record in self._last

    # -- coming in -----------------------------------------------------------------------------

    def targets(self, entry: Entry) -> list[Entry]:
        """The unsettled entries it refers to, each once; raises UsageError for what cannot be.

        A target is there before its users, so a circle cannot be built.
        """
        operation = entry.operation
        if operation.refs is None and operation.path_ref is None:
            return _NONE
        targets = dict[Entry, None]()
        for ref in refs_of(operation):
            target = ref.target
            if target is operation:
                raise UsageError(f"{operation.label} refers to itself")
            if target.done:
                continue
            if target.entry is None or target.entry.engine is not entry.engine:
                raise UsageError(
                    f"{operation.label} refers to {target.label}, which was not submitted before "
                    "it to the same bulk scope or stream, and is not settled either"
                )
            targets[target.entry] = None
        return list(targets)

    def admit(self, entry: Entry, targets: list[Entry]) -> None:
        """Take an entry in; it is ready at once, or when what it waits for is settled."""
        operation = entry.operation
        operation.entry = entry
        self.entries[entry.seq] = entry
        if targets:
            for target in targets:
                if target.dependants is None:
                    target.dependants = []
                target.dependants.append(entry)
            entry.blockers = len(targets)
        record = operation.record
        if record is not None:
            before = self._last.get(record)
            if before is not None:
                before.after, entry.before = entry, before
                entry.blockers += 1
            self._last[record] = entry
        if operation.refs is not None or operation.path_ref is not None:
            try:
                for settled in dict.fromkeys(ref.target for ref in refs_of(operation)):
                    if settled.done:
                        self._put_values(entry, settled)
            except ChargeOverError as error:
                self.settle(entry, entry.behind(operation, error.with_traceback(None)))
                return
        if entry.blockers == 0:
            self._on_ready(entry)

    # -- settling ------------------------------------------------------------------------------

    def settle(self, entry: Entry, end: End) -> None:
        """Settle an entry and all that follows from it; one that is settled stays as it is."""
        if self._settling is not None:
            self._settling.append((entry, end))
            return
        if entry.dependants is None and entry.after is None:  # nothing can follow from it
            self._settle_one(entry, end)
            return
        self._settling = deque([(entry, end)])
        try:
            while self._settling:
                self._settle_one(*self._settling.popleft())
        finally:
            self._settling = None

    def _settle_one(self, entry: Entry, end: End) -> None:
        was = entry.stage
        if was is SETTLED:
            return
        operation, outcome = entry.operation, end.outcome
        entry.stage = SETTLED
        del self.entries[entry.seq]
        operation.entry = None
        operation.settle(outcome, end.answer)
        if not entry.rides:
            self._ended[outcome.state] += 1
        self._on_settled(entry, was, outcome)
        if entry.dependants is not None:
            dependants, entry.dependants = entry.dependants, None
            for child in dependants:
                self._target_settled(child, operation)
        if operation.record is not None:
            self._leave_record(entry, operation.record)

    def _leave_record(self, entry: Entry, record: Any) -> None:
        """Who stands behind it now stands behind the one before it, which may still be open."""
        before, after = entry.before, entry.after
        if before is None and after is None:  # as nearly always
            del self._last[record]
            return
        entry.before = entry.after = None
        if after is None:
            assert before is not None
            self._last[record], before.after = before, None
            return
        after.before = before
        if before is None:
            self._unblock(after)
        else:
            before.after = after

    def _target_settled(self, child: Entry, target: Operation[Any]) -> None:
        if child.stage is Stage.SETTLED:
            return
        try:
            self._put_values(child, target)
        except ChargeOverError as error:
            child.failed_by = error.with_traceback(None)
            # In a request, or with an open question, it first learns what came of that.
            open_ = child.stage is Stage.PAUSED and child.in_doubt
            if child.stage is not Stage.FLYING and not open_:
                child.blockers -= 1
                self.settle(child, child.behind(child.operation, child.failed_by))
                return
        self._unblock(child)

    def _unblock(self, entry: Entry) -> None:
        entry.blockers -= 1
        if entry.blockers == 0 and (entry.stage is Stage.BLOCKED or entry.asks_later):
            self._on_ready(entry)

    def _put_values(self, entry: Entry, target: Answered) -> None:
        """Note the values of the references to a settled target; raises if there are none."""
        operation = entry.operation
        if operation.path_ref is not None and operation.path_ref.target is target:
            entry.path_value = resolve_in_path(
                operation.path_ref, operation.label, existing_will_do=self._existing_will_do
            )
        for path, ref in operation.refs or ():
            if ref.target is target:
                value = resolve(ref, operation.label, existing_will_do=self._existing_will_do)
                if entry.values is None:
                    entry.values = []
                entry.values.append((path, value))


_NONE: list[Entry] = []


__all__ = ("Unsettled",)
