"""The bulk engine: many operations, as few requests as possible, each outcome known.

Invariants, each with a test that bears its number:

1. Every accepted operation settles exactly once, also when its batch fails, the engine closes or
   its task is cancelled.
2. A batch holds 1 to 25 operations; answers are matched by position, and an answer with another
   number of entries is matched not at all.
3. An operation is in flight at most once. Only what may be repeated (`retry.TABLE`) is sent again;
   a keyed create whose answer is lost is looked up; the rest ends as OutcomeUnknown.
4. An operation with a reference leaves only after its target succeeded, or in one batch with it
   and behind it. If the target failed it gets DependencyFailed, unsent.
5. Operations on one record leave one after the other, each when all before it are settled.
6. Withdrawing one operation never disturbs its neighbours; one that was sent runs to its end.
7. The quota is asked once for each HTTP request, before the batch is put together.
8. Leaving by an exception, or past the deadline, sends nothing more; what is in flight is awaited.
9. The queue is bounded by count and bytes; producers wait first come, first served.
10. With a journal, nothing is sent before the journal has it; each outcome is told to it once.

Parts, each of which knows one thing: `gate` room for producers, `unsettled` who waits for whom and
how it ended, `planner` which operations make the next batch, `batch` what goes out for them and
what the answer says of each, `_send.life` what becomes of it, `lookups` the questions for keys,
`riding` direct calls that are taken along, `journal` what a journal is told, `closing` the end.
Tasks and slots are in `sending` alone, where one task seals batches and one sends each; all
else is plain calls in the event loop's thread, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from chargeover_async._send.pipeline import Pipeline
from chargeover_async.errors import ChargeOverError, NotSent, QueueFull, UsageError
from chargeover_async.observe import logger
from chargeover_async.operation import Operation, Outcome

from .batch import measure
from .closing import Closing
from .entry import Entry, Stage
from .gate import Gate
from .journal import StreamJournal, Teller
from .riding import Riding
from .sending import Sender
from .settings import BulkReport, BulkSettings

READY, FLYING = Stage.READY, Stage.FLYING


class Engine:
    """Takes operations, sends them in batches, settles each; see the module for its invariants."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: BulkSettings,
        on_settled: Callable[[Outcome[Any]], None] | None = None,
        journal: StreamJournal | None = None,
    ) -> None:
        assumptions = settings.assumptions
        if settings.references == "client":
            assumptions = msgspec.structs.replace(assumptions, jsonpath_keys=frozenset())
        self._pipeline = pipeline
        self._settings = settings
        self._assumptions = assumptions
        self._on_settled = on_settled
        self._journal = Teller(journal, self.stop) if journal is not None else None
        self._gate = Gate(settings.max_waiting, settings.max_waiting_bytes)
        self._sender = Sender(
            pipeline,
            settings,
            assumptions,
            self._journal,
            on_settled=self._settled,
            on_landed=self._landed,
            on_failed=self.stop,
        )
        self._books, self._waiting = self._sender.books, self._sender.waiting
        self._most_bytes = min(settings.max_batch_bytes, settings.max_waiting_bytes)
        self._riding = Riding(pipeline, assumptions, self._most_bytes)
        self._closing = Closing(self._sender, self)
        self._seq = 0
        self._shut = False  # nothing more is accepted

    @property
    def unsettled(self) -> int:
        """How many accepted operations are not settled yet."""
        return len(self._books.entries)

    @property
    def report(self) -> BulkReport:
        """How the operations settled so far ended."""
        return self._books.report

    # -- taking operations ---------------------------------------------------------------------

    def accept(self, operation: Operation[Any]) -> None:
        """Queue an operation at once; raises QueueFull when there is no room for it."""
        if self.offer(operation) is not None:
            error = QueueFull(
                f"{self._gate.count} operations of {self._gate.bytes} bytes wait already "
                f"(max_waiting, max_waiting_bytes): {operation.label} was not queued; "
                "use await bulk.submit()"
            )
            operation.refuse(error)
            raise error

    async def run(self, operation: Operation[Any]) -> None:
        """Never called: an operation built in a scope is queued before anybody can await it."""
        raise AssertionError(f"{operation!r} was not accepted")

    async def submit(self, operation: Operation[Any]) -> None:
        """Queue an operation when there is room; producers wait first come, first served.

        Raises UsageError for one that cannot be queued: it is then settled with that error.
        """
        entry = self.offer(operation)
        if entry is not None:
            await self.wait_for_room(entry)

    def offer(self, operation: Operation[Any]) -> Entry | None:
        """Queue an operation if there is room; else its entry, to `wait_for_room` with.

        Raises UsageError for one that cannot be queued: it is then settled with that error.
        """
        try:
            if self._shut:
                raise self._closed(operation)
            if self._sender.sealer is None:
                self._start()
            entry = Entry(self, operation, self._seq)
            targets = self._books.targets(entry)
            measure(entry, self._assumptions)
            if entry.size > self._most_bytes:
                raise UsageError(
                    f"{operation.label} takes {entry.size} bytes and can never fit: "
                    f"max_batch_bytes and max_waiting_bytes allow {self._most_bytes}; "
                    "nothing was sent"
                )
            if not self._gate.try_enter(entry.size):
                return entry
            self._admit(entry, targets)
        except ChargeOverError as error:
            operation.refuse(error)
            raise
        return None

    async def wait_for_room(self, entry: Entry) -> None:
        """Queue an entry for which there was no room, first come, first served."""
        operation = entry.operation
        try:
            if not await self._gate.enter(entry.size):
                raise self._closed(operation)
            if self._shut:
                self._gate.leave(entry.size)
                raise self._closed(operation)
            self._admit(entry, None)  # what it refers to may be settled by now
        except ChargeOverError as error:
            operation.refuse(error)
            raise
        except asyncio.CancelledError:
            operation.refuse(NotSent("cancelled before it was queued"))
            raise

    def _admit(self, entry: Entry, targets: list[Entry] | None) -> None:
        """Take in an entry whose place is granted; ``targets`` if they are known already."""
        operation = entry.operation
        try:
            if targets is None:
                targets = self._books.targets(entry)
            sent_before = self._journal is not None and self._journal.was_sent(operation)
            operation.take()
        except ChargeOverError:
            self._gate.leave(entry.size)
            raise
        entry.seq = self._seq
        self._seq += 1
        if sent_before:
            entry.sent_before = entry.in_doubt = entry.ask_first = True
        self._books.admit(entry, targets)

    def _start(self) -> None:
        self._sender.start()
        if self._settings.carry_direct_calls:
            self._riding.begin(self)

    def carry(self, operation: Operation[Any]) -> Operation[Any] | None:
        """Take a direct call along in the next batch, if one is about to leave and can hold it.

        It stands before all that waits, so it leaves with the next permit.
        """
        if not self._waiting.count or self._shut or self._sender.slots.locked():
            return None
        if self._books.is_open(operation.record):
            return None
        rider = self._riding.rider(self, operation)
        if rider is None:
            return None
        self._books.admit(rider, [])
        return rider.operation

    def _closed(self, operation: Operation[Any]) -> UsageError:
        why = f" ({self._sender.stopped})" if self._sender.stopped else ""
        return UsageError(f"this bulk scope is closed{why}: {operation.label} was not queued")

    # -- settling, withdrawing and closing -------------------------------------------------------

    def _settled(self, entry: Entry, was: Stage, outcome: Outcome[Any]) -> None:
        """The books have settled an entry that was in stage ``was``."""
        if was is READY:
            self._waiting.drop()
        if entry.lookup is not None:
            self._sender.lookups.end(entry.lookup)
        if not entry.rides:  # neither the place nor the outcome of a rider is the scope's
            self._gate.leave(entry.size)
            if outcome.state == "unknown" or self._pipeline.observer is not None:
                self._pipeline.tell_settled(outcome)
            if self._journal is not None:
                self._journal.settled(outcome)
            if self._on_settled is not None:
                try:
                    self._on_settled(outcome)
                except Exception:  # noqa: BLE001 - what follows from it must not stay undone
                    logger.exception("who is told of outcomes failed")
        if self._closing.drains:
            self._closing.check()

    def _landed(self) -> None:
        if self._closing.drains:
            self._closing.check()

    def withdraw(self, entry: Entry) -> None:
        """Nobody waits for an operation any more: settle it if nothing can have come of it.

        What is in flight, in doubt or looked up runs to its end.
        """
        if entry.stage is not FLYING and entry.lookup is None:
            end = entry.withdrawn(entry.operation)
            if end is not None:
                self._books.settle(entry, end)

    def shut(self) -> None:
        """Accept nothing more."""
        self._shut = True
        self._riding.end(self)
        self._gate.close()

    def stop(self, why: str, cause: BaseException | None = None) -> None:
        """Send nothing more: what is not in flight settles now, what is runs to its end."""
        self.shut()
        self._sender.stop(why, cause)

    def break_off(self) -> None:
        """Send nothing more, and do not wait for what is in flight: it ends as unknown."""
        self._closing.break_off()

    async def aclose(self, deadline_s: float | None = None) -> BulkReport:
        """Drain, within ``deadline_s`` seconds if given, and say how everything ended.

        Past the deadline nothing more is sent and what is in flight is awaited. A second call
        while the first is under way breaks off what is in flight, too; so does cancelling.
        """
        await self._closing.aclose(deadline_s)
        return self.report

    async def abort(self) -> BulkReport:
        """Send nothing more, and wait for what is in flight."""
        self.stop("the bulk scope was left by an exception")
        return await self.aclose()

    @property
    def is_drained(self) -> bool:
        """Whether nothing is unsettled or under way."""
        return not self._books.entries and not self._sender.flights

    def tell_journal(self) -> None:
        """Tell what has settled since."""
        if self._journal is not None:
            self._journal.tell()


__all__ = ("BulkReport", "BulkSettings", "Engine")
