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

Parts, each of which knows one thing: `gate` room for producers, `ledger` who waits for whom and how
it ended, `planner` which operations make the next batch, `wire` what goes out for them, `reading`
what an answer says of each. This module adds time and tasks: one assembles batches (`_assemble`),
one flies each request (`_fly`); all else is plain calls in the event loop's thread, so nothing here
needs a lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from chargeover_async._refs import with_values
from chargeover_async._send.life import (
    Result,
    adopt,
    asks_again,
    decide,
    failure,
    gone_after_delete,
    success,
    unknown,
)
from chargeover_async._send.pipeline import Pipeline, lookup_request, retry_after
from chargeover_async._wire.envelope import Answer, NoAnswer, Reply
from chargeover_async.errors import (
    AlreadyExists,
    ChargeOverError,
    NotSent,
    QueueFull,
    UsageError,
)
from chargeover_async.limits import Permit, Priority
from chargeover_async.observe import Settled, logger, notify
from chargeover_async.operation import Operation, Outcome
from chargeover_async.retry import Fault, Next, Repeat

from .batch_body import measure, request_of
from .endings import behind, given_up, withdrawn
from .entry import Entry, Stage
from .gate import Gate
from .journal import StreamJournal
from .planner import Waiting
from .reading import NoVerdict, read_batch
from .settings import BulkReport, BulkSettings
from .unsettled import Unsettled

CLOSED = "the bulk scope was closed"
READY = Stage.READY
_TRUE = Reply(200, response=msgspec.Raw(b"true"))


class _Flight:
    """One request with its batch."""

    __slots__ = ("batch", "number", "permit", "started")

    def __init__(self, batch: list[Entry], permit: Permit, number: int) -> None:
        self.batch = batch
        self.permit = permit
        self.number = number
        self.started = False


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
        self._journal = journal
        self._untold: list[Outcome[Any]] = []  # settled, and the journal is to be told
        self._gate = Gate(settings.max_waiting, settings.max_waiting_bytes)
        self._ledger = Unsettled(
            existing_will_do=settings.on_existing == "continue",
            on_ready=self._ready,
            on_settled=self._settled,
        )
        self._waiting = Waiting(assumptions, settings.max_batch_ops, settings.max_batch_bytes)
        self._goes_on = assumptions.later_items == "run"
        self._waiting.suspects_lead = not self._goes_on
        self._most_bytes = min(settings.max_batch_bytes, settings.max_waiting_bytes)
        self._seq = 0
        self._ride = 0  # the number of a direct call that is taken along: before all others
        self._batches = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._assembler: asyncio.Task[None] | None = None
        self._flights: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()  # something is ready
        self._works = False  # whether it is set
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._timers: set[asyncio.TimerHandle] = set()
        self._drains: list[asyncio.Future[None]] = []  # who waits until nothing is left to do
        self._closers = 0  # calls of `aclose` under way
        self._closing = False  # nothing more is accepted
        self._stopped = False  # nothing more is sent

    @property
    def unsettled(self) -> int:
        """How many accepted operations are not settled yet."""
        return len(self._ledger.unsettled)

    @property
    def report(self) -> BulkReport:
        """How the operations settled so far ended."""
        return self._ledger.report

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
            if self._closing:
                raise self._closed(operation)
            if self._assembler is None:
                self._start()
            entry = Entry(self, operation, self._seq)
            targets = self._ledger.targets(entry)
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
            if self._closing:
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
                targets = self._ledger.targets(entry)
            operation.take()
        except ChargeOverError:
            self._gate.leave(entry.size)
            raise
        entry.seq = self._seq
        self._seq += 1
        if self._journal is not None and self._journal.was_sent(operation):
            entry.sent_before = entry.in_doubt = entry.ask_first = True
        self._ledger.admit(entry, targets)

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._assembler = self._loop.create_task(self._assemble(), name="chargeover-assemble")
        if self._settings.carry_direct_calls:
            self._pipeline.carriers.append(self)

    def carry(self, operation: Operation[Any]) -> Operation[Any] | None:
        """Take a direct call along in the next batch, if one is about to leave and can hold it.

        It stands before all that waits, so it leaves with the next permit. What waits for another
        operation, here or anywhere, goes alone.
        """
        if (
            not self._waiting.count
            or self._closing
            or self._slots.locked()
            or operation.refs is not None
            or operation.path_ref is not None
            or self._ledger.is_open(operation.record)
        ):
            return None
        rider = operation.copy()
        rider.take()
        entry = Entry(self, rider, self._ride - 1)
        try:
            measure(entry, self._assumptions)
        except UsageError:
            return None  # going alone, it meets the same error
        if entry.alone or entry.size > self._most_bytes:
            return None
        self._ride -= 1
        entry.rides = True
        self._ledger.admit(entry, [])
        return rider

    def _carry_no_more(self) -> None:
        if self in self._pipeline.carriers:
            self._pipeline.carriers.remove(self)

    def _closed(self, operation: Operation[Any]) -> UsageError:
        return UsageError(f"this bulk scope is closed: {operation.label} was not queued")

    def _ready(self, entry: Entry) -> None:
        if entry.ask_first and self._ask_first(entry):
            return
        self._waiting.add(entry)
        if not self._works:
            self._works = True
            self._work.set()

    def _ask_first(self, entry: Entry) -> bool:
        """An earlier process sent it: learn what came of that, unless it may simply be repeated."""
        assert self._loop is not None
        repeat = entry.operation.repeat
        entry.ask_first = False
        entry.first_sent = self._loop.time()
        if repeat is Repeat.ONCE:
            self._give_up(entry, "it has no key to look up")
        elif repeat is Repeat.KEYED:
            entry.stage = Stage.PAUSED
            self._pipeline.stats.lookups += 1
            self._look_up(entry)
        return repeat in {Repeat.ONCE, Repeat.KEYED}

    # -- sending -------------------------------------------------------------------------------

    async def _assemble(self) -> None:
        """A free slot and a permit first; what waits then is the batch."""
        try:
            while True:
                await self._work.wait()
                await self._slots.acquire()
                permit = await self._pipeline.limiter.acquire(Priority.BULK)
                batch = self._waiting.take()
                if batch:
                    self._launch(batch, permit)
                else:  # all was withdrawn meanwhile
                    permit.unused()
                    self._slots.release()
                if not self._waiting.count:
                    self._works = False
                    self._work.clear()
        except asyncio.CancelledError:  # we are closed, or the event loop is
            self.stop(CLOSED)
            raise
        except ChargeOverError as error:  # the client was closed under us
            self.stop(error.message)
        except Exception as error:  # noqa: BLE001 - a limiter that somebody passed in
            logger.exception("the quota failed; a bulk scope sends nothing more")
            self.stop(f"the quota failed: {type(error).__name__}: {error}")

    def _launch(self, batch: list[Entry], permit: Permit) -> None:
        assert self._loop is not None
        number = 0
        if len(batch) > 1:
            self._batches += 1
            number = self._batches
        flight = _Flight(batch, permit, number)
        task = self._loop.create_task(self._fly(flight), name="chargeover-fly")
        self._flights.add(task)
        task.add_done_callback(partial(self._landed, flight))

    async def _fly(self, flight: _Flight) -> None:
        assert self._loop is not None
        batch = flight.batch
        if self._stopped:
            return  # between the permit and the first byte: `_landed` sees to it
        if self._journal is not None and not await self._noted(batch):
            return
        now = self._loop.time()
        for entry in batch:
            entry.batch = flight.number
            if not entry.attempts and not entry.tries:
                entry.first_sent = now
        request = request_of(batch)
        flight.started = True
        answer: Answer | NoAnswer
        try:
            answer = await self._pipeline.exchange(request, flight.permit, len(batch))
        except Exception as error:  # noqa: BLE001 - a transport that somebody passed in
            logger.exception("a request failed in an unforeseen way")
            answer = NoAnswer(Fault.LOST, f"{type(error).__name__}: {error}", error)
        except BaseException:
            for entry in batch:
                entry.attempts += 1
                entry.in_doubt = True
                self._give_up(entry, "the request was broken off")
            raise
        self._take_in(flight, answer)

    async def _noted(self, batch: list[Entry]) -> bool:
        """Whether the journal has a batch and it may leave; if not, `_landed` sees to it."""
        assert self._journal is not None
        operations = [
            entry.operation for entry in batch if entry.looks_up is None and not entry.rides
        ]
        try:
            if operations:
                await self._journal.sending(operations)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being noted
            self._journal_failed(batch, error)
        return not self._stopped

    def _journal_failed(self, batch: list[Entry], error: Exception) -> None:
        if not isinstance(error, ChargeOverError):
            logger.error("the journal failed; a stream sends nothing more", exc_info=error)
        why = f"the journal failed: {error}"
        self.stop(why)
        for entry in batch:
            self._give_up(entry, why)

    def _tell_journal(self) -> None:
        """Tell what has settled since: with one call for all that an answer brought."""
        outcomes, self._untold = self._untold, []
        if self._journal is not None and outcomes:
            try:
                self._journal.settled(outcomes)
            except Exception as error:  # noqa: BLE001 - what is settled stays settled
                self._journal_failed([], error)

    def _landed(self, flight: _Flight, task: asyncio.Task[None]) -> None:
        self._flights.discard(task)
        self._slots.release()
        failed = None if task.cancelled() else task.exception()
        if failed is not None:
            logger.error("a batch failed inside the engine", exc_info=failed)
        if not flight.started:
            flight.permit.unused()
        if failed is not None or not flight.started:
            for entry in flight.batch:
                if entry.stage is Stage.FLYING:
                    entry.in_doubt = entry.in_doubt or flight.started
                    self._give_up(entry, CLOSED if failed is None else "the engine failed")
        self._check_drained()

    # -- what came back ------------------------------------------------------------------------

    def _take_in(self, flight: _Flight, answer: Answer | NoAnswer) -> None:
        """Settle each operation of a batch, or plan its next step."""
        batch = flight.batch
        wait = retry_after(answer) if isinstance(answer, Answer) else None
        reading = read_batch(batch, answer, wait, self._assumptions, goes_on=self._goes_on)
        if reading.goes_on:
            self._goes_on = True
            self._waiting.suspects_lead = False
        if reading.throttled:
            self._pipeline.throttled(permit=flight.permit)
        steps: list[tuple[Entry, Next, Result]] = []
        for entry, (result, verdict) in zip(batch, reading.results, strict=True):
            if result.fault is None and entry.looks_up is None:
                assert result.reply is not None
                entry.attempts += 1
                entry.tries += 1
                self._done(entry, result.reply)
                continue
            if reading.mismatch:
                # One of them may be what the server stumbles over: it is found by halves.
                entry.cap = max(1, len(batch) // 2)
            asker = entry.looks_up if result.status == 404 else None
            if asker is not None and verdict is NoVerdict.SUSPECT and _may_leave(asker):
                # Taken for what it says, or 25 absent keys would cost 25 requests. The create goes
                # out at once, which is safe if this is wrong, for the key is taken then.
                self._absent(entry, sure=False)
                continue
            if verdict is not None and entry.failed_by is None and not self._stopped:
                self._once_more(entry, verdict, len(batch))
                continue
            conclude = self._conclude if entry.looks_up is None else self._conclude_lookup
            step = conclude(entry, result)
            if step is not None:
                steps.append((entry, step, result))
        self._plan(steps)

    def _once_more(self, entry: Entry, verdict: NoVerdict, together: int) -> None:
        """It did not run: send it again, in a way that tells more."""
        entry.attempts += 1
        self._pipeline.stats.retries += 1
        if verdict is NoVerdict.SPLIT:
            entry.cap = max(1, together // 2)
        elif verdict is NoVerdict.SUSPECT:
            entry.suspect = True
        self._again(entry)

    def _conclude(self, entry: Entry, result: Result) -> Next | None:
        """One send of one entry has ended: settle it, or say what is to be done next."""
        assert self._loop is not None
        operation, fault = entry.operation, result.fault
        if fault is not Fault.NEVER_LEFT:
            entry.attempts += 1
        if fault is not Fault.THROTTLED:
            entry.tries += 1
        assert fault is not None
        if gone_after_delete(operation, result, sent_before=entry.sent_before):
            self._done(entry, _TRUE)
            return None
        if fault in {Fault.LOST, Fault.SERVER}:
            entry.sent_before = entry.in_doubt = True
        step = decide(
            self._pipeline.policy,
            operation,
            result,
            tries=entry.tries,
            elapsed_s=self._loop.time() - entry.first_sent,
            sent_before=entry.sent_before,
        )
        if step is Next.LOOK_UP:  # "already exists" after a look-up found nothing is a doubt again
            entry.in_doubt = True
        if step is Next.FAIL:
            self._refused(entry, result)
        elif step is Next.UNKNOWN:
            error = unknown(result, operation.label, entry.attempts, entry.batch)
            self._ledger.fail(entry, error)
        elif self._stopped:
            self._give_up(entry, CLOSED)
        else:
            return step
        return None

    def _done(self, entry: Entry, reply: Reply) -> None:
        outcome = success(entry.operation, reply, entry.attempts, entry.batch)
        self._ledger.settle(entry, outcome, reply.response)

    def _refused(self, entry: Entry, result: Result) -> None:
        """The server said no, and nothing is to be sent again for that."""
        operation = entry.operation
        if result.fault is Fault.REFUSED:
            if entry.failed_by is not None:
                self._ledger.fail(entry, behind(entry))
                return
            if entry.blockers and not self._stopped:
                # It went out with its target, whose own fate is open: it waits, and goes again.
                self._again(entry)
                return
        error = failure(result, operation, entry.attempts, entry.batch)
        if entry.in_doubt and operation.repeat is not Repeat.READ:
            error.may_have_happened = True  # by an earlier send, whatever this one met
        elif (
            isinstance(error, AlreadyExists)
            and self._settings.on_existing == "continue"
            and operation.key is not None
            and not self._stopped
        ):
            entry.existing = error
            entry.stage = Stage.PAUSED
            self._pipeline.stats.lookups += 1
            self._look_up(entry)
            return
        self._ledger.fail(entry, error)

    def _give_up(self, entry: Entry, why: str) -> None:
        """Settle an entry that will not be sent again and has no answer of its own."""
        if entry.looks_up is not None:
            self._lookup_failed(entry, None)
        elif entry.existing is not None:
            self._ledger.fail(entry, entry.existing)
        else:
            self._ledger.fail(entry, given_up(entry, why))

    # -- once more -----------------------------------------------------------------------------

    def _plan(self, steps: list[tuple[Entry, Next, Result]]) -> None:
        """One pause for all of a request that go on, so that they travel together again."""
        groups: dict[bool, list[tuple[Entry, Next, Result]]] = {}
        for one in steps:
            groups.setdefault(one[2].fault is Fault.THROTTLED, []).append(one)
        for group in groups.values():
            tries = max(entry.tries for entry, _, _ in group)
            delay = self._pipeline.retry_delay(group[0][2], tries)
            for entry, step, result in group:
                entry.stage = Stage.PAUSED
                label = entry.operation.label if self._pipeline.observer is not None else ""
                self._pipeline.tell_retry(label, step, result, entry.tries, delay)
            self._resume_after(delay, [(entry, step) for entry, step, _ in group])

    def _resume_after(self, delay_s: float, steps: list[tuple[Entry, Next]]) -> None:
        assert self._loop is not None

        timer: asyncio.TimerHandle | None = None

        def resume() -> None:
            if timer is not None:
                self._timers.discard(timer)
            for entry, step in steps:
                if entry.stage is not Stage.PAUSED:
                    continue
                if step is Next.LOOK_UP:
                    self._look_up(entry)
                else:
                    self._again(entry)

        if delay_s <= 0:
            resume()
            return
        timer = self._loop.call_later(delay_s, resume)
        self._timers.add(timer)

    def _again(self, entry: Entry) -> None:
        """An entry goes back into the queue, to the place of its age."""
        if self._stopped:
            self._give_up(entry, CLOSED)
        elif entry.failed_by is not None:
            self._ledger.fail(entry, behind(entry))
        elif entry.blockers:
            entry.stage = Stage.BLOCKED
        else:
            self._ready(entry)

    # -- looking up a key ------------------------------------------------------------------------
    # A look-up is an entry of its own that travels like any other. It has no place at the gate and
    # none in the ledger: it is settled with the entry that it asks for.

    def _look_up(self, entry: Entry) -> None:
        """Ask for the record that has the key of a create."""
        if self._stopped:
            self._give_up(entry, CLOSED)
            return
        path = lookup_request(entry.operation).path
        operation: Operation[Any] = Operation(
            self._pipeline, entry.operation.object, "GET", path, lambda raw: raw, Repeat.READ
        )
        operation.take()
        lookup = Entry(self, operation, entry.seq)
        measure(lookup, self._assumptions)
        lookup.looks_up = entry
        entry.lookup = lookup
        self._ready(lookup)

    def _conclude_lookup(self, lookup: Entry, result: Result) -> Next | None:
        """A look-up was answered: found, absent, or it is to be sent again."""
        assert self._loop is not None
        entry, fault = lookup.looks_up, result.fault
        assert entry is not None
        if fault is not Fault.NEVER_LEFT:
            lookup.attempts += 1
        if fault is not Fault.THROTTLED:
            lookup.tries += 1
        if fault is None:
            assert result.reply is not None
            self._found(lookup, entry, result.reply.response)
            return None
        if fault is Fault.REFUSED and result.status == 404:
            self._absent(lookup)
            return None
        elapsed_s = self._loop.time() - lookup.first_sent
        again = asks_again(self._pipeline.policy, result, tries=lookup.tries, elapsed_s=elapsed_s)
        if not again or self._stopped:
            error = failure(result, lookup.operation, lookup.attempts, lookup.batch)
            self._lookup_failed(lookup, error)
            return None
        return Next.AGAIN

    def _found(self, lookup: Entry, entry: Entry, record: msgspec.Raw) -> None:
        self._end_lookup(lookup)
        payload = entry.operation.payload
        if entry.values:
            payload = with_values(payload, entry.values)
        found, answer = adopt(entry.operation, record, payload, entry.attempts, entry.batch)
        existing = entry.existing
        if existing is None:
            self._ledger.settle(entry, found, answer)
            return
        if found.value is not None:
            existing.existing_id = found.value.id
        elif isinstance(found.error, AlreadyExists):
            existing.existing_id = found.error.existing_id
            existing.differences = found.error.differences
        self._ledger.fail(entry, existing)

    def _absent(self, lookup: Entry, *, sure: bool = True) -> None:
        """No record has the key: the create was not done, and may be sent again."""
        assert self._loop is not None
        entry = lookup.looks_up
        assert entry is not None
        self._end_lookup(lookup)
        elapsed_s = self._loop.time() - entry.first_sent
        if entry.existing is not None:
            self._ledger.fail(entry, entry.existing)
        elif self._stopped:
            self._give_up(entry, CLOSED)
        elif self._pipeline.policy.may_repeat(Fault.LOST, Next.AGAIN, entry.tries, elapsed_s):
            entry.in_doubt = not sure
            self._again(entry)
        else:
            self._give_up(entry, "no try is left")

    def _lookup_failed(self, lookup: Entry, cause: ChargeOverError | None) -> None:
        entry = lookup.looks_up
        assert entry is not None
        self._end_lookup(lookup)
        error = entry.existing or given_up(entry, "its key could not be looked up")
        if cause is not None and entry.existing is None:
            error.__cause__ = cause
        self._ledger.fail(entry, error)

    def _end_lookup(self, lookup: Entry) -> None:
        if lookup.stage is Stage.READY:
            self._waiting.drop()
        lookup.stage = Stage.SETTLED
        if lookup.looks_up is not None:
            lookup.looks_up.lookup = None

    # -- settling, withdrawing and closing -------------------------------------------------------

    def _settled(self, entry: Entry, was: Stage, outcome: Outcome[Any]) -> None:
        """The ledger has settled an entry that was in stage ``was``."""
        if was is READY:
            self._waiting.drop()
        if entry.lookup is not None:
            self._end_lookup(entry.lookup)
        if outcome.state == "unknown":
            self._pipeline.stats.unknown += 1
        if entry.rides:  # neither its place nor its outcome is the scope's
            if self._drains:
                self._check_drained()
            return
        self._gate.leave(entry.size)
        if self._pipeline.observer is not None:
            notify(
                self._pipeline.observer,
                Settled(
                    operation=entry.operation.label,
                    state=outcome.state,
                    attempts=outcome.attempts,
                    batch=outcome.batch,
                ),
            )
        if self._journal is not None:
            if not self._untold and self._loop is not None:
                self._loop.call_soon(self._tell_journal)
            self._untold.append(outcome)
        if self._on_settled is not None:
            self._on_settled(outcome)
        if self._drains:
            self._check_drained()

    def withdraw(self, entry: Entry) -> None:
        """Nobody waits for an operation any more: settle it if nothing can have come of it.

        What is in flight, in doubt or looked up runs to its end.
        """
        if entry.stage is not Stage.FLYING and not entry.in_doubt and entry.lookup is None:
            self._ledger.fail(entry, withdrawn(entry))

    def stop(self, why: str) -> None:
        """Send nothing more: what is not in flight settles now, what is runs to its end."""
        self._closing = self._stopped = True
        self._carry_no_more()
        self._gate.close()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for entry in list(self._ledger.unsettled.values()):
            one = entry.lookup or entry
            if one.stage not in {Stage.FLYING, Stage.SETTLED}:
                self._give_up(entry, why)

    async def aclose(self, deadline_s: float | None = None) -> BulkReport:
        """Drain, within ``deadline_s`` seconds if given, and say how everything ended.

        Past the deadline nothing more is sent and what is in flight is awaited. A second call
        while the first is under way breaks off what is in flight, too; so does cancelling.
        """
        self._closing = True
        self._carry_no_more()
        self._gate.close()
        if self._closers:
            self.break_off()
        self._closers += 1
        try:
            if not await self._drained(deadline_s):
                self.stop("the deadline for closing passed")
                await self._drained(None)
        except BaseException:
            self.break_off()
            raise
        finally:
            try:
                await self._end_tasks()
            finally:
                self._tell_journal()
                self._closers -= 1
        return self.report

    async def abort(self) -> BulkReport:
        """Send nothing more, and wait for what is in flight."""
        self.stop("the bulk scope was left by an exception")
        return await self.aclose()

    async def _drained(self, deadline_s: float | None) -> bool:
        if self._is_drained:
            return True
        drain: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drains.append(drain)
        try:
            async with asyncio.timeout(deadline_s):
                await drain
        except TimeoutError:
            return False
        return True

    @property
    def _is_drained(self) -> bool:
        return not self._ledger.unsettled and not self._flights

    def _check_drained(self) -> None:
        if self._drains and self._is_drained:
            for drain in self._drains:
                if not drain.done():
                    drain.set_result(None)
            self._drains.clear()

    def break_off(self) -> None:
        """Send nothing more, and do not wait for what is in flight: it ends as unknown."""
        self.stop("the bulk scope was closed by force")
        for task in self._flights:
            task.cancel()

    async def _end_tasks(self) -> None:
        """See every task end, whoever cancels us meanwhile."""
        cancelled: asyncio.CancelledError | None = None
        if self._assembler is not None:
            self._assembler.cancel()
        while tasks := {*self._flights, *self._assemblers_left()}:
            try:
                await asyncio.wait(tasks)
                await asyncio.sleep(0)  # their callbacks
            except asyncio.CancelledError as error:
                self.break_off()
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _assemblers_left(self) -> list[asyncio.Task[None]]:
        task = self._assembler
        return [] if task is None or task.done() else [task]


def _may_leave(entry: Entry) -> bool:
    return not entry.blockers and entry.failed_by is None


__all__ = ("BulkReport", "BulkSettings", "Engine")
