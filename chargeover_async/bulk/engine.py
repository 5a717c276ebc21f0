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
5. Operations on one record leave one after the other, each when the one before is settled.
6. Withdrawing one operation never disturbs its neighbours; one that was sent runs to its end.
7. The quota is asked once for each HTTP request, before the batch is put together.
8. Leaving by an exception, or past the deadline, sends nothing more; what is in flight is awaited.
9. The queue is bounded by count and bytes; producers wait first come, first served.

Tasks: one assembles batches (`_assemble`), one flies each request (`_fly`); all else is plain
calls in the event loop's thread, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from chargeover_async._judge import (
    Result,
    adopt,
    decide,
    failure,
    gone_after_delete,
    result_of,
    success,
    unknown,
)
from chargeover_async._pipeline import Pipeline, lookup_request, retry_after
from chargeover_async._wire.bulk import MAX_ITEMS, PATH, decode_entries, encode_batch, encode_item
from chargeover_async._wire.envelope import Answer, Fault, NoAnswer, Reply, entry_fault
from chargeover_async._wire.request import Request, query_string
from chargeover_async.errors import (
    AlreadyExists,
    ChargeOverError,
    DependencyFailed,
    NotSent,
    OutcomeUnknown,
    QueueFull,
    UsageError,
)
from chargeover_async.limits import Permit, Priority
from chargeover_async.models._codec import encode
from chargeover_async.observe import Settled, logger, notify
from chargeover_async.operation import (
    REF_IN_PATH,
    Operation,
    Outcome,
    resolve,
    state_of,
    with_values,
)
from chargeover_async.retry import Next, Repeat

from .assumptions import ServerAssumptions
from .planner import Entry, Stage, Waiting, jsonpath_key

ITEM_OVERHEAD = 96  # bytes of an item beside its payload and URI, rounded up
API_PATH = "/api/v3"
_TRUE = msgspec.Raw(b"true")


class BulkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and choices of a bulk scope or a stream.

    ``max_batch_ops`` (1 to 25) and ``max_batch_bytes`` bound a request, ``max_waiting`` and
    ``max_waiting_bytes`` what is accepted and not settled, ``max_in_flight`` the requests under way
    at once (latency / 0.24 s of them use up the quota). ``references="client"`` never uses the
    server's ``*_jsonpath``. ``on_existing="continue"`` lets an operation go on whose target was
    refused because its external key is taken: it then refers to the record that has the key.
    """

    max_batch_ops: int = MAX_ITEMS
    max_batch_bytes: int = 1_000_000
    max_waiting: int = 10_000
    max_waiting_bytes: int = 64_000_000
    max_in_flight: int = 24
    references: Literal["server", "client"] = "server"
    on_existing: Literal["fail", "continue"] = "fail"
    assumptions: ServerAssumptions = ServerAssumptions()

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch_ops <= MAX_ITEMS:
            raise UsageError(f"max_batch_ops must be 1 to {MAX_ITEMS}, not {self.max_batch_ops}")
        for name in ("max_batch_bytes", "max_waiting", "max_waiting_bytes", "max_in_flight"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} must be a whole number from 1, not {value!r}")
        for name, allowed in (
            ("references", {"server", "client"}),
            ("on_existing", {"fail", "continue"}),
        ):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} must be one of {sorted(allowed)}")


class BulkReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the operations of a closed scope ended; the numbers add up to what was accepted."""

    done: int = 0
    refused: int = 0
    not_sent: int = 0
    unknown: int = 0


class Engine:
    """Takes operations, sends them in batches, settles each; see the module for its invariants."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: BulkSettings,
        on_settled: Callable[[Outcome[Any]], None] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._on_settled = on_settled
        assumptions = settings.assumptions
        if settings.references == "client":
            assumptions = msgspec.structs.replace(assumptions, jsonpath_keys=frozenset())
        self._assumptions = assumptions
        self._waiting = Waiting(assumptions, settings.max_batch_ops, settings.max_batch_bytes)
        self._goes_on: bool | None = True if assumptions.later_items == "run" else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._assembler: asyncio.Task[None] | None = None
        self._flights: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._unsettled: dict[int, Entry] = {}
        self._bytes = 0
        self._by_record: dict[Any, Entry] = {}
        self._producers: deque[asyncio.Future[None]] = deque()
        self._granted = 0  # producers whose turn has come and who have not queued yet
        self._timers: dict[Entry, asyncio.TimerHandle] = {}
        self._idle: asyncio.Future[None] | None = None
        self._seq = 0
        self._batches = 0
        self._ended: dict[str, int] = {"done": 0, "refused": 0, "not_sent": 0, "unknown": 0}
        self._closing = False
        self._stopped = False  # nothing more is sent
        self._settling: deque[tuple[Entry, Outcome[Any], Any]] | None = None

    # -- taking operations ---------------------------------------------------------------------

    @property
    def unsettled(self) -> int:
        """How many accepted operations are not settled yet."""
        return len(self._unsettled)

    @property
    def report(self) -> BulkReport:
        """How the operations settled so far ended."""
        return BulkReport(**self._ended)

    def accept(self, operation: Operation[Any]) -> None:
        """Queue an operation at once; raises QueueFull when there is no room for it."""
        try:
            if self._producers or not self._has_room():
                raise QueueFull(
                    f"{len(self._unsettled)} operations wait already (max_waiting, "
                    f"max_waiting_bytes): {operation.label} was not queued; use await bulk.submit()"
                )
            self._admit(operation)
        except ChargeOverError as error:
            operation.refuse(error)
            raise

    async def run(self, operation: Operation[Any]) -> None:
        """Queue an operation that is awaited before it was queued, and wait for its outcome."""
        raise AssertionError(f"{operation!r} was not accepted")

    async def submit(self, operation: Operation[Any]) -> None:
        """Queue an operation when there is room; producers wait first come, first served.

        Raises UsageError for one that cannot be queued: it is then settled with that error.
        """
        if self._producers or not self._has_room():
            await self._turn(operation)
        try:
            self._admit(operation)
        except ChargeOverError as error:
            operation.refuse(error)
            raise
        finally:
            self._wake_producers()

    async def _turn(self, operation: Operation[Any]) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._producers.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            operation.refuse(NotSent("cancelled before it was queued", operation=operation.label))
            if turn.cancelled() or not turn.done():
                self._producers.remove(turn)
                raise
            self._granted -= 1  # the turn came in the same tick: pass it on
            self._wake_producers()
            raise
        self._granted -= 1

    def _has_room(self) -> bool:
        return (
            len(self._unsettled) + self._granted < self._settings.max_waiting
            and self._bytes < self._settings.max_waiting_bytes
        )

    def _wake_producers(self) -> None:
        while self._producers and (self._closing or self._has_room()):
            self._granted += 1
            self._producers.popleft().set_result(None)

    def _admit(self, operation: Operation[Any]) -> None:
        if self._closing:
            raise UsageError(f"this bulk scope is closed: {operation.label} was not queued")
        self._start()
        entry = Entry(self, operation, self._seq)
        targets = self._targets(operation)
        self._measure(entry)
        operation.take()
        self._seq += 1
        operation.entry = entry
        self._unsettled[entry.seq] = entry
        self._bytes += entry.size
        for target in targets:
            if target.dependants is None:
                target.dependants = []
            target.dependants.append(entry)
        entry.blockers = len(targets)
        self._queue_behind_record(entry)
        try:
            for ref in self._refs_of(operation):
                if ref.target.outcome is not None:
                    self._put_values(entry, ref.target)
        except ChargeOverError as error:
            self._fail(entry, error)
            return
        if entry.blockers == 0:
            self._waiting.add(entry)
        if self._waiting.count:
            self._work.set()

    def _start(self) -> None:
        if self._assembler is None:
            self._loop = asyncio.get_running_loop()
            self._assembler = self._loop.create_task(self._assemble(), name="chargeover-assemble")

    def _refs_of(self, operation: Operation[Any]) -> list[Any]:
        refs = [ref for _, ref in operation.refs] if operation.refs else []
        if operation.path_ref is not None:
            refs.append(operation.path_ref)
        return refs

    def _targets(self, operation: Operation[Any]) -> list[Entry]:
        """The unsettled entries it refers to; each once."""
        targets: dict[Entry, None] = {}
        for ref in self._refs_of(operation):
            target = ref.target
            if target is operation:
                raise UsageError(f"{operation.label} refers to itself")
            if target.outcome is not None:
                continue
            if target.entry is None or target.entry.engine is not self:
                raise UsageError(
                    f"{operation.label} refers to {target.label}, which was not submitted before "
                    "it to the same bulk scope or stream, and is not settled either"
                )
            targets[target.entry] = None
        return list(targets)

    def _measure(self, entry: Entry) -> None:
        """Encode what can be encoded now, and refuse what can never fit."""
        operation, assumptions = entry.operation, self._assumptions
        payload = operation.payload
        if operation.refs:
            payload = with_values(payload, [(path, 2**53) for path, _ in operation.refs])
        try:
            encoded = None if payload is None else encode(payload)
        except (TypeError, ValueError, UnicodeEncodeError) as error:
            raise UsageError(f"{operation.label} cannot be written as JSON: {error}") from None
        entry.alone = (
            (operation.method == "DELETE" and not assumptions.deletes)
            or ("/_action/" in operation.path and not assumptions.actions)
            or (
                bool(operation.query)
                and not (
                    assumptions.actions
                    if operation.query[0][0] == "action"
                    else assumptions.queries
                )
            )
        )
        item = encode_item(operation.method, _uri(operation.path, operation), encoded)
        if not operation.refs and operation.path_ref is None:
            entry.item = item
        entry.size = len(item) + ITEM_OVERHEAD * len(operation.refs or ())
        most = min(self._settings.max_batch_bytes, self._settings.max_waiting_bytes)
        if entry.size > most:
            raise UsageError(
                f"{operation.label} takes {entry.size} bytes and can never fit: "
                f"max_batch_bytes and max_waiting_bytes allow {most}; nothing was sent"
            )

    def _queue_behind_record(self, entry: Entry) -> None:
        record = entry.operation.record
        if record is None:
            return
        last = self._by_record.get(record)
        if last is not None:
            if last.followers is None:
                last.followers = []
            last.followers.append(entry)
            entry.blockers += 1
        self._by_record[record] = entry

    # -- sending -------------------------------------------------------------------------------

    async def _assemble(self) -> None:
        """A permit and a connection first; what waits then is the batch."""
        while True:
            await self._work.wait()
            await self._slots.acquire()
            permit: Permit | None = None
            try:
                permit = await self._pipeline.limiter.acquire(Priority.BULK)
                batch = self._waiting.take()
                if batch:
                    self._launch(batch, permit)
                    permit = None
                    continue
                self._work.clear()
            except NotSent as error:  # the client was closed under us
                self.stop(error.message)
                return
            finally:
                if permit is not None:
                    permit.unused()
                    self._slots.release()

    def _launch(self, batch: list[Entry], permit: Permit) -> None:
        assert self._loop is not None
        if not self._waiting.count:
            self._work.clear()
        number = 0
        if len(batch) > 1:
            self._batches += 1
            number = self._batches
        task = self._loop.create_task(self._fly(batch, permit, number), name="chargeover-fly")
        self._flights.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flights.discard(task)
        self._slots.release()
        if not task.cancelled() and task.exception() is not None:
            logger.error("a batch failed inside the engine", exc_info=task.exception())
        self._check_idle()

    async def _fly(self, batch: list[Entry], permit: Permit, number: int) -> None:
        assert self._loop is not None
        now = self._loop.time()
        for entry in batch:
            entry.batch = number
            if entry.attempts == 0 and entry.tries == 0:
                entry.first_sent = now
        try:
            request = self._request(batch)
            answer = await self._pipeline.exchange(request, permit, len(batch))
            self._take_in(batch, answer)
        except BaseException as error:
            permit.done()
            for entry in batch:
                if entry.stage is Stage.FLYING:
                    entry.attempts += 1
                    self._fail(entry, _interrupted(entry, error))
            raise

    def _request(self, batch: list[Entry]) -> Request:
        if len(batch) == 1:
            entry = batch[0]
            operation = entry.operation
            path, payload = self._path_and_payload(entry)
            body = None if payload is None else encode(payload)
            return Request(operation.method, path, operation.query, body)
        names: set[Entry] = set()
        for entry in batch:
            for _, ref in entry.open_refs():
                names.add(ref.target.entry)
        return Request("POST", PATH, (), encode_batch(self._item(one, names) for one in batch))

    def _path_and_payload(self, entry: Entry) -> tuple[str, Any]:
        operation = entry.operation
        path = operation.path
        if operation.path_ref is not None:
            path = path.replace(REF_IN_PATH, str(entry.path_value))
        payload = operation.payload
        if entry.values:
            payload = with_values(payload, entry.values)
        return path, payload

    def _item(self, entry: Entry, names: set[Entry]) -> bytes:
        """One item of a batch; the names sent are the engine's own, so callers may choose alike."""
        operation = entry.operation
        name = f"op{entry.seq}" if entry in names else None
        if entry.item is not None and name is None:
            return entry.item
        path, payload = self._path_and_payload(entry)
        for (key, *_), ref in entry.open_refs():
            assert isinstance(key, str)
            payload = {
                (jsonpath_key(k) if k == key else k): (
                    f"op{ref.target.entry.seq}:{ref.path}" if k == key else v
                )
                for k, v in payload.items()
            }
        encoded = None if payload is None else encode(payload)
        return encode_item(operation.method, _uri(path, operation), encoded, name)

    # -- what came back ------------------------------------------------------------------------

    def _take_in(self, batch: list[Entry], answer: Answer | NoAnswer) -> None:
        wait = retry_after(answer) if isinstance(answer, Answer) else None
        whole = result_of(answer, wait)
        if len(batch) == 1:
            self._conclude(batch[0], whole)
            return
        if whole.fault is Fault.REFUSED and whole.status in {400, 413}:
            self._split(batch)
            return
        if whole.fault is not None:
            for entry in batch:
                self._conclude(entry, whole)
            return
        assert whole.reply is not None
        replies = decode_entries(whole.reply.response)
        if replies is None or len(replies) != len(batch):
            self._mismatch(batch, replies)
            return
        self._conclude_all(batch, replies)

    def _split(self, batch: list[Entry]) -> None:
        """The whole was refused, so nothing was done: halves are tried, down to single ones."""
        half = max(1, len(batch) // 2)
        for entry in batch:
            entry.attempts += 1
            entry.cap = half
            self._pipeline.stats.retries += 1
            self._again(entry)

    def _mismatch(self, batch: list[Entry], replies: list[Reply] | None) -> None:
        count = "no" if replies is None else str(len(replies))
        lost = Result(
            Fault.LOST, reason=f"an answer with {count} entries for {len(batch)} operations"
        )
        if (
            replies
            and len(replies) < len(batch)
            and not replies[-1].ok
            and self._assumptions.later_items == "not_run"
        ):
            # As the account is said to behave: it stops at the first failure.
            self._conclude_all(batch[: len(replies)], replies)
            for entry in batch[len(replies) :]:
                self._not_run(entry)
            return
        for entry in batch:
            self._conclude(entry, lost)

    def _conclude_all(self, batch: list[Entry], replies: list[Reply]) -> None:
        failed = throttled = False
        for entry, reply in zip(batch, replies, strict=True):
            fault = entry_fault(reply)
            result = Result(fault, reply, reply.code)
            if fault is None and failed:
                self._goes_on = True
            if fault is not None and failed and self._behind_a_failure(entry, result):
                continue
            if fault is Fault.THROTTLED and not throttled:
                throttled = True
                self._pipeline.throttled()
            self._conclude(entry, result)
            failed = failed or fault is not None

    def _behind_a_failure(self, entry: Entry, result: Result) -> bool:
        """Whether an item was perhaps refused only because one before it failed."""
        if self._goes_on or entry.failed_by is not None or self._stopped:
            return False
        if self._assumptions.later_items == "not_run":
            self._not_run(entry)
            return True
        if result.fault is not Fault.REFUSED or entry.suspect:
            return False
        entry.suspect = True
        entry.attempts += 1
        self._pipeline.stats.retries += 1
        self._again(entry)
        return True

    def _not_run(self, entry: Entry) -> None:
        entry.attempts += 1
        self._pipeline.stats.retries += 1
        self._again(entry)

    def _conclude(self, entry: Entry, result: Result) -> None:
        """One send of one entry has ended: settle it, or plan the next step."""
        if entry.stage is not Stage.FLYING:
            return
        assert self._loop is not None
        operation, fault = entry.operation, result.fault
        if fault is not Fault.NEVER_LEFT:
            entry.attempts += 1
        if fault is not Fault.THROTTLED:
            entry.tries += 1
        if fault is None:
            assert result.reply is not None
            reply = result.reply
            outcome = success(operation, reply, entry.attempts, entry.batch)
            self._settle(entry, outcome, reply.response)
            return
        if gone_after_delete(operation, result, sent_before=entry.sent_before):
            reply = Reply(200, response=_TRUE)
            self._settle(entry, success(operation, reply, entry.attempts, entry.batch), _TRUE)
            return
        if fault in {Fault.LOST, Fault.SERVER}:
            entry.sent_before = True
        if fault is Fault.REFUSED and entry.failed_by is not None:
            self._fail(entry, _after(entry))
            return
        if fault is Fault.REFUSED and entry.blockers and not self._stopped:
            # It went out with its target, whose own fate is open: it waits, and goes out again.
            self._again(entry)
            return
        if fault is Fault.REFUSED and entry.looks_up is not None and result.status == 404:
            self._absent(entry)
            return
        step = decide(
            self._pipeline.policy,
            operation,
            result,
            tries=entry.tries,
            elapsed_s=self._loop.time() - entry.first_sent,
            sent_before=entry.sent_before,
        )
        if step is Next.FAIL:
            error = failure(result, operation, entry.attempts, entry.batch)
            if self._must_find_existing(entry, error):
                self._look_up(entry, error)
            else:
                self._fail(entry, error)
        elif step is Next.UNKNOWN:
            self._fail(entry, unknown(result, operation.label, entry.attempts, entry.batch))
        elif self._stopped:
            self._fail(entry, _given_up(entry))
        elif step is Next.LOOK_UP:
            self._pause(entry, step, result, lambda: self._look_up(entry, None))
        else:
            self._pause(entry, step, result, lambda: self._again(entry))

    def _pause(self, entry: Entry, step: Next, result: Result, then: Callable[[], None]) -> None:
        assert self._loop is not None
        entry.stage = Stage.PAUSED
        delay = self._pipeline.plan_retry(entry.operation.label, step, result, entry.tries)
        if delay <= 0:
            then()
            return

        def resume() -> None:
            self._timers.pop(entry, None)
            then()

        self._timers[entry] = self._loop.call_later(delay, resume)

    def _again(self, entry: Entry) -> None:
        """An entry goes back into the queue, before the new ones."""
        if self._stopped:
            self._fail(entry, _given_up(entry))
        elif entry.failed_by is not None:
            self._fail(entry, _after(entry))
        elif entry.blockers:
            entry.stage = Stage.BLOCKED
        else:
            self._waiting.add(entry, again=True)
            self._work.set()

    # -- looking up a key ------------------------------------------------------------------------

    def _must_find_existing(self, entry: Entry, error: ChargeOverError) -> bool:
        return (
            isinstance(error, AlreadyExists)
            and self._settings.on_existing == "continue"
            and entry.operation.key is not None
            and not self._stopped
        )

    def _look_up(self, entry: Entry, existing: ChargeOverError | None) -> None:
        """Ask for the record that has the key; ``existing`` is why, if it is no lost answer."""
        if self._stopped:
            self._fail(entry, existing or _given_up(entry))
            return
        assert self._loop is not None
        entry.stage = Stage.PAUSED
        request = lookup_request(entry.operation)
        operation: Operation[Any] = Operation(
            self._pipeline,
            entry.operation.object,
            request.method,
            request.path,
            lambda raw: raw,
            Repeat.READ,
        )
        operation.take()
        lookup = Entry(self, operation, self._seq)
        self._seq += 1
        lookup.looks_up = entry
        lookup.failed_by = None
        lookup.item = encode_item("GET", API_PATH + request.path, None)
        lookup.size = len(lookup.item)
        operation.tag = existing
        self._unsettled[lookup.seq] = lookup
        self._bytes += lookup.size
        self._waiting.add(lookup, again=True)
        self._work.set()

    def _absent(self, lookup: Entry) -> None:
        """No record has the key: the create was not done, and may be sent again."""
        entry = lookup.looks_up
        assert entry is not None
        assert self._loop is not None
        self._forget(lookup)
        policy = self._pipeline.policy
        elapsed_s = self._loop.time() - entry.first_sent
        existing: ChargeOverError | None = lookup.operation.tag
        lookup.operation.close()
        if existing is not None:
            self._fail(entry, existing)
        elif policy.may_repeat(Fault.LOST, Next.AGAIN, entry.tries, elapsed_s):
            self._again(entry)
        else:
            self._fail(entry, _given_up(entry))

    def _looked_up(self, lookup: Entry, outcome: Outcome[Any]) -> None:
        entry = lookup.looks_up
        assert entry is not None
        existing: ChargeOverError | None = lookup.operation.tag
        if outcome.error is not None:
            error = existing or _given_up(entry)
            if existing is None:
                error.__cause__ = outcome.error
            self._fail(entry, error)
            return
        payload = entry.operation.payload
        if entry.values:
            payload = with_values(payload, entry.values)
        record: Any = outcome.value
        found, answer = adopt(entry.operation, record, payload, entry.attempts, entry.batch)
        if isinstance(existing, AlreadyExists):
            if found.value is not None:
                existing.existing_id = found.value.id
            elif isinstance(found.error, AlreadyExists):
                existing.existing_id = found.error.existing_id
                existing.differences = found.error.differences
            self._fail(entry, existing)
            return
        self._settle(entry, found, answer)

    # -- settling ------------------------------------------------------------------------------

    def _fail(self, entry: Entry, error: ChargeOverError) -> None:
        error.operation = error.operation or entry.operation.label
        error.attempts = error.attempts or entry.attempts
        outcome: Outcome[Any] = Outcome(
            entry.operation, state_of(error), None, error, error.attempts, entry.batch
        )
        self._settle(entry, outcome, None)

    def _settle(self, entry: Entry, outcome: Outcome[Any], answer: Any) -> None:
        """Settle an entry and all that follows from it, without recursion."""
        if self._settling is not None:
            self._settling.append((entry, outcome, answer))
            return
        self._settling = deque([(entry, outcome, answer)])
        try:
            while self._settling:
                self._settle_one(*self._settling.popleft())
        finally:
            self._settling = None
        self._wake_producers()
        self._check_idle()

    def _settle_one(self, entry: Entry, outcome: Outcome[Any], answer: Any) -> None:
        if entry.stage is Stage.SETTLED:
            return
        operation = entry.operation
        self._forget(entry)
        operation.settle(outcome, answer)
        if entry.looks_up is not None:
            self._looked_up(entry, outcome)
            return
        if operation.record is not None and self._by_record.get(operation.record) is entry:
            del self._by_record[operation.record]
        self._ended[outcome.state] += 1
        if outcome.state == "unknown":
            self._pipeline.stats.unknown += 1
        if self._pipeline.observer is not None:
            notify(
                self._pipeline.observer,
                Settled(
                    operation=operation.label,
                    state=outcome.state,
                    attempts=outcome.attempts,
                    batch=outcome.batch,
                ),
            )
        dependants, entry.dependants = entry.dependants, None
        for child in dependants or ():
            self._target_settled(child, operation)
        followers, entry.followers = entry.followers, None
        for follower in followers or ():
            self._unblock(follower)
        if self._on_settled is not None:
            self._on_settled(outcome)

    def _forget(self, entry: Entry) -> None:
        """Take an entry out of every book."""
        if entry.stage is Stage.READY:
            self._waiting.drop(entry)
        entry.stage = Stage.SETTLED
        timer = self._timers.pop(entry, None)
        if timer is not None:
            timer.cancel()
        if self._unsettled.pop(entry.seq, None) is not None:
            self._bytes -= entry.size

    def _target_settled(self, child: Entry, target: Operation[Any]) -> None:
        if child.stage is Stage.SETTLED:
            return
        try:
            self._put_values(child, target)
        except ChargeOverError as error:
            child.failed_by = error
            child.blockers -= 1
            if child.stage is not Stage.FLYING and not child.sent_before:
                self._fail(child, error)
            elif child.stage is Stage.BLOCKED:
                self._fail(child, _after(child))
            return
        self._unblock(child)

    def _unblock(self, entry: Entry) -> None:
        entry.blockers -= 1
        if entry.blockers == 0 and entry.stage is Stage.BLOCKED:
            self._waiting.add(entry, again=True)
            self._work.set()

    def _put_values(self, entry: Entry, target: Operation[Any]) -> None:
        """Note the values of the references to a settled target; raises if there are none."""
        operation = entry.operation
        existing = self._settings.on_existing == "continue"
        if operation.path_ref is not None and operation.path_ref.target is target:
            entry.path_value = resolve(operation.path_ref, operation, existing_will_do=existing)
        for path, ref in operation.refs or ():
            if ref.target is target:
                value = resolve(ref, operation, existing_will_do=existing)
                if entry.values is None:
                    entry.values = []
                entry.values.append((path, value))

    # -- withdrawing and closing -----------------------------------------------------------------

    def withdraw(self, entry: Entry) -> None:
        """Nobody waits for an operation any more: settle it if it was never sent."""
        if entry.stage in {Stage.BLOCKED, Stage.READY} and not entry.attempts:
            self._fail(entry, NotSent("withdrawn before it was sent: nobody waited for it"))

    def stop(self, why: str) -> None:
        """Send nothing more: what is not in flight settles now, what is runs to its end."""
        self._closing = True
        self._stopped = True
        for entry in list(self._unsettled.values()):
            if entry.stage in {Stage.BLOCKED, Stage.READY, Stage.PAUSED}:
                if entry.looks_up is not None:
                    original = entry.looks_up
                    self._forget(entry)
                    entry.operation.close()
                    self._fail(original, _given_up(original))
                else:
                    self._fail(entry, _given_up(entry, why))
        self._wake_producers()

    async def aclose(self, deadline_s: float | None = None) -> BulkReport:
        """Drain, within ``deadline_s`` seconds if given, and say how everything ended.

        Past the deadline nothing more is sent and what is in flight is awaited. A second call
        while the first is under way breaks off what is in flight, too; so does cancelling.
        """
        if self._closing and self._idle is not None:
            self._break_off()
            return self.report
        self._closing = True
        self._wake_producers()
        try:
            if not await self._drained(deadline_s):
                self.stop("the deadline for closing passed")
                await self._drained(None)
        except BaseException:
            self._break_off()
            raise
        finally:
            await self._end_tasks()
        return self.report

    async def abort(self) -> BulkReport:
        """Send nothing more, and wait for what is in flight."""
        self.stop("the bulk scope was left by an exception")
        return await self.aclose()

    async def _drained(self, deadline_s: float | None) -> bool:
        if not self._unsettled and not self._flights:
            return True
        self._idle = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(deadline_s):
                await self._idle
        except TimeoutError:
            return False
        return True

    def _check_idle(self) -> None:
        if (
            self._idle is not None
            and not self._unsettled
            and not self._flights
            and not self._idle.done()
        ):
            self._idle.set_result(None)

    def _break_off(self) -> None:
        self.stop("the bulk scope was closed by force")
        for task in list(self._flights):
            task.cancel()

    async def _end_tasks(self) -> None:
        tasks = [*self._flights]
        if self._assembler is not None:
            self._assembler.cancel()
            tasks.append(self._assembler)
        # Twice cancelled is still closed: the tasks are ours and end at once.
        await asyncio.gather(*tasks, return_exceptions=True)
        for entry in list(self._unsettled.values()):
            self._fail(entry, _given_up(entry))


def _uri(path: str, operation: Operation[Any]) -> str:
    return API_PATH + path + query_string(operation.query)


def _after(entry: Entry) -> ChargeOverError:
    """The error of an operation that was refused, or given up, behind a failed target."""
    cause: ChargeOverError = entry.failed_by
    if isinstance(cause, DependencyFailed):
        error = DependencyFailed(
            cause.message,
            operation=entry.operation.label,
            attempts=entry.attempts,
            batch=entry.batch,
        )
        error.__cause__ = cause.__cause__
        return error
    return cause


def _given_up(entry: Entry, why: str = "the bulk scope was closed") -> ChargeOverError:
    """The error of an operation that will not be sent (again)."""
    label = entry.operation.label
    if entry.sent_before and entry.operation.repeat is not Repeat.READ:
        return OutcomeUnknown(
            "it was sent, its answer is lost, and it could not be settled: it may have happened. "
            "Look it up before you repeat it",
            operation=label,
            attempts=entry.attempts,
            batch=entry.batch,
        )
    return NotSent(f"{why}; nothing came of it", operation=label, attempts=entry.attempts)


def _interrupted(entry: Entry, error: BaseException) -> ChargeOverError:
    """The error of an operation whose request was broken off."""
    label = entry.operation.label
    if entry.operation.repeat is Repeat.READ:
        return NotSent("broken off while it was under way", operation=label)
    result = OutcomeUnknown(
        "broken off while it was under way: it may have happened. Look it up before you repeat it",
        operation=label,
        attempts=entry.attempts,
        batch=entry.batch,
    )
    if isinstance(error, Exception):
        result.__cause__ = error
    return result


__all__ = ("BulkReport", "BulkSettings", "Engine")
