"""Sends what is ready, and takes in what comes back: tasks, slots, sealing, requests under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from chargeover_async._hints import describe
from chargeover_async._send.pipeline import Pipeline, retry_after, tell_limiter
from chargeover_async._send.result import End, Result
from chargeover_async._wire.envelope import Answer, NoAnswer
from chargeover_async.errors import AlreadyExists, ChargeOverError, UsageError
from chargeover_async.limits import Permit, Priority
from chargeover_async.observe import logger
from chargeover_async.operation import Outcome
from chargeover_async.retry import Fault, Next, Repeat

from .batch import NoVerdict, read_batch, request_of, unwritable
from .entry import Entry, Flight, Stage
from .journal import Teller
from .lookups import Lookups
from .planner import Waiting
from .settings import BulkSettings, ServerAssumptions
from .unsettled import Unsettled

CLOSED = "the bulk scope was closed"
FLYING, PAUSED, SETTLED = Stage.FLYING, Stage.PAUSED, Stage.SETTLED


class Sender:
    """One task seals batches (`_seal`), one sends each (`_send`).

    ``on_settled`` is told of each outcome, with the entry and the stage it was in, ``on_landed``
    when a request has ended, and ``on_failed`` why nothing can be sent any more: it calls `stop`.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        settings: BulkSettings,
        assumptions: ServerAssumptions,
        journal: Teller | None,
        *,
        on_settled: Callable[[Entry, Stage, Outcome[Any]], None],
        on_landed: Callable[[], None],
        on_failed: Callable[[str, BaseException | None], None],
    ) -> None:
        self._pipeline = pipeline
        self._assumptions = assumptions
        self._journal = journal
        self._continue_on_existing = settings.on_existing == "continue"
        self._on_landed = on_landed
        self._on_failed = on_failed
        self.books = Unsettled(
            existing_will_do=self._continue_on_existing,
            on_ready=self.ready,
            on_settled=on_settled,
        )
        self.waiting = Waiting(assumptions, settings.max_batch_ops, settings.max_batch_bytes)
        self.lookups = Lookups(assumptions, pipeline.dates, self.ready, self.waiting.drop)
        self._goes_on = assumptions.later_items == "run"
        self.waiting.suspects_lead = not self._goes_on
        self._batches = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.sealer: asyncio.Task[None] | None = None
        self.flights: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()  # something is ready
        self._works = False  # whether it is set
        self.slots = asyncio.Semaphore(settings.max_in_flight)
        self._timers: set[asyncio.TimerHandle] = set()
        self.stopped = ""  # why nothing more is sent

    def start(self) -> None:
        """Begin to seal; a second call does nothing."""
        if self.sealer is None:
            self._loop = asyncio.get_running_loop()
            self.sealer = self._loop.create_task(self._seal(), name="chargeover-seal")

    def stop(self, why: str, cause: BaseException | None = None) -> None:
        """Send nothing more: what is not in flight settles now, what is runs to its end."""
        self.stopped = self.stopped or why
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for entry in list(self.books.entries.values()):
            travels = entry.lookup or entry
            if travels.stage not in {FLYING, SETTLED}:
                self.give_up(travels, why, cause)

    def ready(self, entry: Entry) -> None:
        """It waits for nothing but a permit."""
        if entry.asks_later:
            entry.asks_later = False
            self._look_up(entry)
            return
        if entry.ask_first and self._ask_first(entry):
            return
        self.waiting.add(entry)
        if not self._works:
            self._works = True
            self._work.set()

    def _ask_first(self, entry: Entry) -> bool:
        """An earlier process sent it: learn what came of that, unless it may simply be repeated."""
        assert self._loop is not None
        repeat = entry.operation.repeat
        entry.ask_first = False
        entry.since = self._loop.time()
        if repeat is Repeat.ONCE:
            self.give_up(entry, "an earlier process sent it, and it has no key to look up")
        elif repeat is Repeat.KEYED:
            self._pipeline.stats.lookups += 1
            self._look_up(entry)
        return repeat in {Repeat.ONCE, Repeat.KEYED}

    # -- sending -------------------------------------------------------------------------------

    async def _seal(self) -> None:
        """A free slot and a permit first; what waits then is the batch."""
        try:
            while True:
                await self._work.wait()
                await self.slots.acquire()
                permit = await self._pipeline.permit(Priority.BULK)
                batch = self.waiting.take()
                if batch:
                    self._launch(batch, permit)
                else:  # all was withdrawn meanwhile
                    tell_limiter(permit.unused)
                    self.slots.release()
                if not self.waiting.count:
                    self._works = False
                    self._work.clear()
        except asyncio.CancelledError:  # we are closed, or the event loop is
            self._on_failed(CLOSED, None)
            raise
        except ChargeOverError as error:  # the client was closed under us, or the quota failed
            self._on_failed(error.message, error)
        except Exception as error:  # noqa: BLE001 - nobody may wait for what cannot come
            logger.exception("batches could not be sealed; a bulk scope sends nothing more")
            self._on_failed(f"the engine failed: {describe(error)}", error)
            for entry in list(self.books.entries.values()):
                self.give_up(entry, self.stopped, cut_off=True)

    def _launch(self, batch: list[Entry], permit: Permit) -> None:
        assert self._loop is not None
        number = 0
        if len(batch) > 1:
            self._batches += 1
            number = self._batches
        flight = Flight(batch, permit, number)
        task = self._loop.create_task(self._send(flight), name="chargeover-send")
        self.flights.add(task)
        task.add_done_callback(partial(self._sent, flight))

    async def _send(self, flight: Flight) -> None:
        assert self._loop is not None
        batch = flight.batch
        if self._journal is not None and not self.stopped:
            await self._journal.sending(batch)
        if self.stopped:
            return  # between the permit and the first byte: `_sent` sees to it
        try:
            request = request_of(batch)
        except Exception as error:  # noqa: BLE001 - a payload may have been changed since
            flight.batch = []
            self._set_apart(batch, error)
            return
        now = self._loop.time()
        for entry in batch:
            entry.batch = flight.number
            entry.leaves(now)
        flight.started = True
        try:
            answer = await self._pipeline.exchange(request, flight.permit, len(batch))
            self._take_in(flight, answer)
        except BaseException as error:
            why = "the request was broken off"
            if isinstance(error, Exception):
                logger.exception("an answer could not be taken in")
                why = f"the engine failed: {describe(error)}"
            for entry in batch:
                if entry.stage is FLYING:
                    self.give_up(entry, why, cut_off=True)
            raise

    def _set_apart(self, batch: list[Entry], error: Exception) -> None:
        """A batch cannot be written: what cannot by itself fails, and the rest goes once more."""
        bad = unwritable(batch)
        for entry in batch:
            operation = entry.operation
            if bad and entry not in bad:
                self._again(entry)
            else:
                text = f"{operation.label} cannot be written as JSON: {error}"
                self.books.settle(entry, entry.stopped_by(operation, UsageError(text), text))

    def _sent(self, flight: Flight, task: asyncio.Task[None]) -> None:
        self.flights.discard(task)
        self.slots.release()
        if not flight.started:
            tell_limiter(flight.permit.unused)
            for entry in flight.batch:
                if entry.stage is FLYING:
                    self.give_up(entry, self.stopped or CLOSED)
        if not task.cancelled():
            task.exception()  # it was logged
        self._on_landed()

    # -- what came back ------------------------------------------------------------------------

    def _take_in(self, flight: Flight, answer: Answer | NoAnswer) -> None:
        """Settle each operation of a batch, or plan its next step."""
        assert self._loop is not None
        batch, now = flight.batch, self._loop.time()
        reading = read_batch(
            batch, answer, retry_after(answer), self._assumptions, goes_on=self._goes_on
        )
        if reading.goes_on:
            self._goes_on = True
            self.waiting.suspects_lead = False
        if reading.throttled:
            self._pipeline.throttled(permit=flight.permit)
        steps: list[tuple[Entry, Next, Result]] = []
        for entry, (result, verdict) in zip(batch, reading.results, strict=True):
            if reading.halves:
                # One of them may be what the server stumbles over: it is found by halves.
                entry.cap = max(1, len(batch) // 2)
            try:
                if entry.looks_up is not None:
                    step = self._looked_up(entry, entry.looks_up, result, verdict, now)
                elif verdict is None or entry.failed_by is not None or self.stopped:
                    step = self._answered(entry, result, now)
                else:
                    step = verdict
            except Exception as error:  # noqa: BLE001 - the others go on
                logger.exception("an answer could not be taken in")
                why = f"the engine failed: {describe(error)}"
                self.give_up(entry, why, cut_off=True)
                continue
            if step is None:
                continue
            if isinstance(step, NoVerdict):
                self._once_more(entry, step, len(batch))
            else:
                steps.append((entry, step, result))
        if steps:
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

    def _answered(self, entry: Entry, result: Result, now: float) -> Next | None:
        """One send of one entry has ended: settle it, or say what is to be done next."""
        step = entry.answered(entry.operation, result, self._pipeline.policy, now)
        if not isinstance(step, End):
            if not self.stopped:
                return step
            self.give_up(entry, self.stopped)
            return None
        error = step.outcome.error
        if result.fault is Fault.REFUSED and error is not None:
            if entry.failed_by is not None:
                step = entry.behind(entry.operation, entry.failed_by)
            elif entry.blockers and not self.stopped:
                # It went out with its target, whose own fate is open: it waits, and goes again.
                self._again(entry)
                return None
            elif (
                isinstance(error, AlreadyExists)
                and not error.may_have_happened
                and self._continue_on_existing
                and entry.operation.key is not None
                and not self.stopped
            ):
                entry.existing = error
                self._pipeline.stats.lookups += 1
                self._look_up(entry)
                return None
        self.books.settle(entry, step)
        return None

    def _looked_up(
        self, lookup: Entry, entry: Entry, result: Result, verdict: NoVerdict | None, now: float
    ) -> Next | NoVerdict | None:
        """A look-up was answered: found, absent, or it is to be sent again."""
        absent, sure = result.status == 404, True
        if verdict is not None and not self.stopped:
            # Taken for what it says, or 25 absent keys would cost 25 requests. The create goes
            # out at once, which is safe if this is wrong, for the key is taken then.
            sure = False
            if entry.found is not None or not (
                absent and verdict is NoVerdict.SUSPECT and entry.may_leave
            ):
                return verdict
        if absent and self.stopped:
            self.give_up(lookup, self.stopped)
            return None
        policy, operation = self._pipeline.policy, entry.operation
        step = entry.looked_up(operation, lookup, result, entry.payload, policy, now, sure=sure)
        if step is Next.LOOK_UP:
            if not self.stopped:
                return Next.AGAIN  # the question
            self.give_up(lookup, self.stopped)
            return None
        self.lookups.end(lookup)
        if isinstance(step, End):
            self.books.settle(entry, step)
        elif step is Next.LOOK_ON:
            self._look_up(entry)
        else:
            self._again(entry)
        return None

    def give_up(
        self, entry: Entry, why: str, cause: BaseException | None = None, *, cut_off: bool = False
    ) -> None:
        """Settle an entry that will not be sent again and has no answer of its own.

        ``cut_off`` says that it is in a request whose answer is not waited for.
        """
        asked = entry.looks_up
        if asked is not None:
            self.lookups.end(entry)
            entry, cut_off, why = asked, False, f"its key could not be looked up: {why}"
        give_up = entry.cut_off if cut_off else entry.given_up
        self.books.settle(entry, give_up(entry.operation, why, cause))

    # -- once more -----------------------------------------------------------------------------

    def _plan(self, steps: list[tuple[Entry, Next, Result]]) -> None:
        """One pause for all of a request that go on, so that they travel together again."""
        groups: dict[bool, list[tuple[Entry, Next, Result]]] = {}
        for planned in steps:
            groups.setdefault(planned[2].fault is Fault.THROTTLED, []).append(planned)
        for group in groups.values():
            tries = max(entry.tries for entry, _, _ in group)
            delay = self._pipeline.retry_delay(group[0][2], tries)
            for entry, step, result in group:
                entry.stage = PAUSED
                label = entry.operation.label if self._pipeline.observer is not None else ""
                self._pipeline.tell_retry(label, step, result, entry, delay)
            self._resume_after(delay, [(entry, step) for entry, step, _ in group])

    def _resume_after(self, delay_s: float, steps: list[tuple[Entry, Next]]) -> None:
        assert self._loop is not None
        timer: asyncio.TimerHandle | None = None

        def resume() -> None:
            if timer is not None:
                self._timers.discard(timer)
            for entry, step in steps:
                if entry.stage is PAUSED:
                    (self._look_up if step is Next.LOOK_UP else self._again)(entry)

        if delay_s <= 0:
            resume()
            return
        timer = self._loop.call_later(delay_s, resume)
        self._timers.add(timer)

    def _again(self, entry: Entry) -> None:
        """An entry goes back into the queue, to the place of its age."""
        if self.stopped:
            self.give_up(entry, self.stopped)
        elif entry.failed_by is not None:
            self.books.settle(entry, entry.behind(entry.operation, entry.failed_by))
        elif entry.blockers:
            entry.stage = Stage.BLOCKED
        else:
            self.ready(entry)

    def _look_up(self, entry: Entry) -> None:
        entry.stage = PAUSED
        if self.stopped:
            self.give_up(entry, self.stopped)
        elif entry.blockers:  # what it sent is known, and can be compared, when these are settled
            entry.asks_later = True
        else:
            self.lookups.ask(entry)


__all__ = ("Sender",)
