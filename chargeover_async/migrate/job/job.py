"""An import: check all files, send their rows through `ChargeOver.stream`, account for each.

Every row ends in exactly one of created, updated, existing, failed and unknown, or counts as not
reached. With a journal the import can be killed at any moment and goes on where it was: a row is
noted before it is sent (`_Told.sending`, called by the stream before each request) and when its
outcome is known (`_Told.settled`).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from chargeover_async.bulk import BulkSettings
from chargeover_async.errors import (
    ChargeOverError,
    DependencyFailed,
    OutcomeUnknown,
    UsageError,
)
from chargeover_async.migrate.check.check import Checked, Done, Forecast, LoadCheck, check, recall
from chargeover_async.migrate.check.scratch import Notes, Scratch
from chargeover_async.migrate.journal.journal import (
    FINAL,
    IN_DOUBT,
    NEVER,
    Input,
    Journal,
    Sent,
    Settled,
    States,
    Verb,
    remembered,
    settled_before,
)
from chargeover_async.migrate.mask import masked_payload
from chargeover_async.migrate.plan.fields import KEY
from chargeover_async.migrate.plan.plan import Children, Plan, Rows, plan_digest
from chargeover_async.migrate.plan.record import Problem
from chargeover_async.migrate.rows.source import BadFile, BadRow, Row
from chargeover_async.models._json.shape import shape_of
from chargeover_async.operation import Operation, Outcome
from chargeover_async.resources import RESOURCES, ExternalKey
from chargeover_async.resources._calls.base import create_checked

from .outputs import Failure, FailureFile, LoadSummary, ResultFile, Summary
from .verdict import Existing, Verdict, verdict

if TYPE_CHECKING:
    from chargeover_async.client import ChargeOver

WINDOW = 2_000  # rows between file and answer; fills every connection with full batches
CAREFUL_WINDOW = 100  # four batches: what may still be sent after the first failure

logger = logging.getLogger("chargeover_async.migrate")

State = Literal["refused", "not_sent", "unknown"]
_ENDED = {"refused": "was refused", "not_sent": "was not sent", "unknown": "is in doubt"}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where an import stands: counts of rows, ``requests`` since it began, ``seconds`` likewise.

    ``before`` rows of the counts were settled by earlier runs with the same journal. ``limit`` is
    the number of requests that the quota allows in ``window_s`` seconds, 0 for no quota.
    """

    operations: int
    created: int
    existing: int
    failed: int
    unknown: int
    requests: int
    rate_limited: int
    seconds: float
    updated: int = 0
    before: int = 0
    in_window: int = 0
    limit: int = 0

    @property
    def settled(self) -> int:
        """Rows whose outcome is known, or known to be unknown."""
        return self.created + self.updated + self.existing + self.failed + self.unknown


class Preview(msgspec.Struct, frozen=True):
    """A row as it will be sent, with card and bank numbers masked."""

    file: str
    row: int
    object: str
    data: dict[str, Any]


class _Row(msgspec.Struct, frozen=True):
    """What the job must know of a row between sending and answer."""

    index: int
    row: Row | BadRow
    key: str
    payload: dict[str, Any] | None
    children: Children | None = None  # for a child row that has no parent
    verb: Verb = "create"
    was_sent: bool = False  # by an earlier run, which did not learn what came of it


class _Tally:
    __slots__ = ("created", "existing", "failed", "unknown", "updated")

    def __init__(self, states: dict[str, int] | None = None) -> None:
        counts = states or {}
        self.created = counts.get("created", 0)
        self.updated = counts.get("updated", 0)
        self.existing = counts.get("existing", 0)
        self.failed = counts.get("refused", 0) + counts.get("not_sent", 0)
        self.unknown = 0  # what is in doubt is taken up again

    @property
    def settled(self) -> int:
        return self.created + self.updated + self.existing + self.failed + self.unknown


class _Told:
    """What the stream tells the journal of its operations."""

    def __init__(self, job: ImportJob, journal: Journal) -> None:
        self._job = job
        self._journal = journal

    def was_sent(self, operation: Operation[Any]) -> bool:
        return cast("_Row", operation.tag).was_sent

    async def sending(self, operations: Sequence[Operation[Any]]) -> None:
        rows = (cast("_Row", one.tag) for one in operations)
        await self._journal.sending(
            Sent(one.index, one.row.line, one.key, one.verb) for one in rows
        )

    def settled(self, outcomes: Sequence[Outcome[Any]]) -> None:
        self._journal.settled(filter(None, map(self._job._entry, outcomes)))


class ImportJob:
    """One run of one plan.

    ``skip_bad_rows`` sends the good rows although others are bad; ``stop_on_failure`` reaches for
    no further row after the first that fails (what is under way is finished and counted).

    What becomes of a row whose key is taken: it fails; with ``allow_existing`` it counts as
    existing, neither changed nor compared; with ``continue_on_existing`` the record is looked up
    and compared, the row counts as existing when it holds the same values and fails when not, and
    what refers to it is sent in either case; with ``update`` the record is changed to what the row
    says, as far as the API lets these fields be changed (an object that has no update is compared).

    ``failures`` is the file for the rows that were not imported, ``results`` the CSV file of those
    that were, with their new ids. ``journal`` is the file by which a later run goes on where this
    one was stopped or killed.

    Memory: the rows between sending and answer; what is known of all rows is on disk.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        skip_bad_rows: bool = False,
        stop_on_failure: bool = False,
        allow_existing: bool = False,
        continue_on_existing: bool = False,
        update: bool = False,
        failures: Path | None = None,
        results: Path | None = None,
        journal: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        said: dict[Existing, bool] = {
            "pass": allow_existing,
            "continue": continue_on_existing,
            "update": update,
        }
        ways: list[Existing] = [way for way, wanted in said.items() if wanted]
        if len(ways) > 1:
            raise UsageError("only one of allow_existing, continue_on_existing, update can be")
        self._existing: Existing = ways[0] if ways else "fail"
        self._plan = plan
        self._skip_bad_rows = skip_bad_rows
        self._stop_on_failure = stop_on_failure
        self._failures = FailureFile(failures)
        self._results = ResultFile(results)
        self._journal_path = journal
        self._journal: Journal | None = None
        self._observe: Callable[[Progress], None] | None = None
        self._clock = clock
        self._checked: Checked | None = None
        self._tallies: list[_Tally] = []
        self._before = 0
        self._open: dict[int, Operation[Any]] = {}
        self._to_update: deque[_Row] = deque()
        # Without `update`, too: an earlier run with the same journal may have left one under way.
        self._updatable = {one.object: _updatable(one.object) for one in plan.loads}
        self._elsewhere = 0
        self._stopped = ""
        self._began = 0.0
        self._counters = (0, 0, 0)
        self._co: ChargeOver | None = None

    def check(self) -> Forecast:
        """Read all files and check every row; sends nothing, and blocks while it reads.

        What an earlier run with the same journal has settled is counted, and needs no request.
        Raises BadInput with everything that is wrong, and JournalError for a journal that belongs
        to another plan or other files, or cannot be read.
        """
        checked = self._check()
        path = self._journal_path
        before = None
        if path is not None:
            digest, name = plan_digest(self._plan), self._plan.path.name
            before = settled_before(path, digest, name, _inputs(checked))
        if path is None or before is None:
            return checked.forecast()
        done: list[Done] = []
        for one in checked.loads:
            states = States(path, one.number)
            orphans = sum(before.get(number, 0) for number in one.child_numbers)
            done.append(one.done(before.get(one.number, 0), orphans, partial(_is_settled, states)))
        return checked.forecast(done)

    def _check(self) -> Checked:
        skip = self._skip_bad_rows
        known = None if self._journal_path is None else remembered(self._plan, self._journal_path)
        if known is None:
            checked = check(self._plan, skip_bad_rows=skip)
        else:
            checked = recall(self._plan, known, skip_bad_rows=skip)
        self._checked = checked
        self._tallies = [_Tally() for _ in checked.loads]
        return checked

    @property
    def _scratch(self) -> Scratch:
        assert self._checked is not None
        return self._checked.scratch

    def preview(self, count: int = 3) -> list[Preview]:
        """The first ``count`` good rows of each file as they will be sent, secrets masked."""
        checked = self._checked or self._check()
        shown: list[Preview] = []
        for found in checked.loads:
            notes = found.notes()
            rows = (one for one in found.load.source.rows() if isinstance(one, Row))
            good = (one for one in rows if not notes.problems(one.line))
            for row in itertools.islice(good, count):
                record = found.record(row)
                load = found.load
                data = masked_payload(record.payload)
                shown.append(Preview(load.source.name, row.line, load.object, data))
        return shown

    async def run(
        self,
        co: ChargeOver,
        *,
        contact: ChargeOver | None = None,
        observe: Callable[[Progress], None] | None = None,
    ) -> Summary:
        """Check, unless that was done, and import; to be called once.

        ``contact`` makes the first request, if given: a client of the same account that gives up
        sooner. ``observe`` is called after every row; an error in it is logged and goes no further.

        Raises BadInput, UsageError for a failure file that cannot be written, JournalError for a
        journal that cannot be used or does not belong to this import, and AuthFailed,
        TransportError or DecodeError when the first request shows that there is no account to
        import to: in all these cases nothing was imported. After that, errors are accounted for
        in the summary. If the job is cancelled, nothing more is sent and what is under way is
        awaited; cancelled once more, it is not awaited, and such rows count as unknown.
        """
        self._observe = observe
        checked = self._checked or self._check()
        with contextlib.ExitStack() as files:
            files.callback(checked.close)
            if self._journal_path is not None:
                self._journal = files.enter_context(Journal(self._journal_path))
                self._continue(checked, self._journal, co)
            files.enter_context(self._failures)
            files.enter_context(self._results)
            if self._journal is not None:
                path = self._failures.path
                append = None if path is None else self._failures.append
                self._journal.start(append, path, self._failures.has)
                files.callback(self._finish, self._journal)
            self._co = co
            self._counters = _counters(co.stats)
            self._began = self._clock()
            await first_contact(contact or co)
            if contact is not None and contact is not co:
                self._elsewhere = contact.stats.requests
            try:
                for stage in checked.stages():
                    await self._send(co, self._operations(co, checked, stage))
                    while self._to_update and not self._stopped:
                        await self._send(co, self._updates(co))
                    if self._stopped:
                        break
            except Exception as error:
                self._stopped = self._stopped or f"interrupted by {error!r}"
                raise
            except BaseException:  # cancelled, as by Ctrl-C
                self._stopped = self._stopped or "interrupted"
                raise
            finally:
                self._give_up()
        return self.summary()

    def _finish(self, journal: Journal) -> None:
        """Commit what is left, and make the results of it."""
        try:
            journal.finish()
            self._results.write_all(journal.path)
        except ChargeOverError as error:
            self._stopped = str(error)

    async def _send(self, co: ChargeOver, operations: Iterator[Operation[Any]]) -> None:
        window = WINDOW if not self._stop_on_failure else CAREFUL_WINDOW
        settings = None
        if self._existing in {"continue", "update"}:
            settings = BulkSettings(on_existing="continue")
        told = None if self._journal is None else _Told(self, self._journal)
        outcomes = cast(
            "AsyncGenerator[Outcome[Any]]",
            co.stream(operations, window=window, settings=settings, journal=told),
        )
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                self._settle(outcome)

    def _continue(self, checked: Checked, journal: Journal, co: ChargeOver) -> None:
        """Tie the journal to this import, or take over what it says of earlier runs."""
        path = self._plan.path
        plan = plan_digest(self._plan)
        if journal.bind(plan, path.name, co.url, _inputs(checked), checked.findings()):
            counts = journal.counts()
            self._tallies = [_Tally(counts.get(i)) for i in range(len(checked.loads))]
            for tally, found in zip(self._tallies, checked.loads, strict=True):
                told = (counts.get(number, {}) for number in found.child_numbers)
                tally.failed += sum(one.get("not_sent", 0) for one in told)
            self._before = sum(one.settled for one in self._tallies)
        failures = self._failures.path
        if failures is not None and journal.knows(failures):
            self._failures.goes_on = True
        if self._results.path is not None:
            self._results.is_ours = journal.knows(self._results.path)
            self._results.later = True
            journal.will_write(self._results.path)

    def summary(self) -> Summary:
        """What came of it so far, earlier runs included; all zero before `check`."""
        checked = self._checked
        if checked is None:
            return Summary(operations=0)
        progress = self._progress(checked)
        _, retries, _ = self._since()
        return Summary(
            operations=progress.operations,
            created=progress.created,
            updated=progress.updated,
            existing=progress.existing,
            failed=progress.failed,
            unknown=progress.unknown,
            not_reached=progress.operations - progress.settled,
            before=progress.before,
            requests=progress.requests,
            retries=retries,
            rate_limited=progress.rate_limited,
            seconds=round(progress.seconds, 3),
            stopped=self._stopped,
            failures=str(self._failures.path) if self._failures.count else "",
            loads=tuple(
                LoadSummary(
                    one.load.object,
                    one.load.source.name,
                    one.operations,
                    tally.created,
                    tally.updated,
                    tally.existing,
                    tally.failed,
                    tally.unknown,
                )
                for one, tally in zip(checked.loads, self._tallies, strict=True)
            ),
        )

    # -- sending -----------------------------------------------------------------------------

    def _operations(
        self, co: ChargeOver, checked: Checked, stage: Iterable[tuple[int, int]]
    ) -> Iterator[Operation[Any]]:
        """The operations of one stage, made row by row as the stream has room."""
        for index, number in stage:
            found = checked.loads[index]
            source = found.load.source
            states = None
            if self._journal is not None and self._journal.was_begun:
                states = self._journal.states(index)
            if number == 0:
                self._report_orphans(checked, index)
            notes = found.notes()
            try:
                if source.stamp() != found.stamp:
                    raise BadFile(f"{source.path} changed after it was checked")
                for row in source.rows(None if states is None else states.is_there):
                    if self._to_update:
                        yield from self._updates(co)
                    if self._stopped:
                        return
                    if notes.round(row.line) == number:
                        one = self._ready(found, row, notes, states)
                        if one is not None:
                            yield self._offer(co, one)
            except BadFile as error:
                self._stopped = error.message
                return

    def _updates(self, co: ChargeOver) -> Iterator[Operation[Any]]:
        """The changes of records that turned out to exist."""
        while self._to_update and not self._stopped:
            yield self._offer(co, self._to_update.popleft())

    def _ready(
        self, found: LoadCheck, row: Row | BadRow, notes: Notes, states: States | None
    ) -> _Row | None:
        """The row as it will be sent, or None if it must not be, or was."""
        state, verb = NEVER if states is None else states.of(row.line)
        index, load = found.number, found.load
        if state in FINAL:
            if state in {"refused", "not_sent"} and isinstance(row, Row):
                key = found.record(row).key
                self._remember(_Row(index, row, key, None), state, final=True)
            return None
        problems = notes.problems(row.line)
        if isinstance(row, BadRow):
            self._not_sent(_Row(index, row, "", None), problems)
            return None
        record = found.record(row)
        if problems:
            self._not_sent(_Row(index, row, record.key, None), problems)
            return None
        one = _Row(index, row, record.key, record.payload, verb=verb, was_sent=state in IN_DOUBT)
        for target, key, field in () if one.was_sent else record.references:
            cause, final = self._scratch.failed(target, key)
            if cause and final:
                message = f'{target} "{key}" is not there: {cause}'
                problem = Problem(load.source.name, row.line, message, field=field)
                self._not_sent(one, [problem], DependencyFailed)
                return None
            if cause:  # it is held back until that is known
                if one.key:
                    waits = f"it waits for {target} {key}"
                    self._scratch.fail(load.object, one.key, waits, final=False)
                return None
        return one

    def _offer(self, co: ChargeOver, row: _Row) -> Operation[Any]:
        name = self._plan.loads[row.index].object
        resource = getattr(co, RESOURCES[name].attribute)
        payload = row.payload or {}
        operation: Operation[Any]
        if row.verb == "update":
            known = self._updatable[name]
            fields = {field: value for field, value in payload.items() if field in known}
            operation = resource.update(ExternalKey(row.key), **fields)
        elif resource.needs is None:  # it may send other names than it takes
            operation = resource.create(**payload)
        else:
            operation = create_checked(resource, payload)
        operation.tag = row
        self._open[id(operation)] = operation
        return operation

    # -- accounting --------------------------------------------------------------------------

    def _verdict(self, outcome: Outcome[Any]) -> Verdict:
        row: _Row = outcome.operation.tag
        existing = self._existing
        if existing == "update" and outcome.error is not None:
            fields = self._updatable[self._plan.loads[row.index].object]
            if fields.isdisjoint(row.payload or ()):
                existing = "continue"  # nothing of it can be changed: it is compared
        return verdict(
            outcome,
            updating=row.verb == "update",
            existing=existing,
            resumable=self._journal_path is not None,
        )

    def _entry(self, outcome: Outcome[Any]) -> Settled | None:
        """What the journal notes of an outcome; None for a row that goes on to be changed."""
        row: _Row = outcome.operation.tag
        found = self._verdict(outcome)
        became = found.became
        if became == "to_update":
            return None
        line = ""
        match became:
            case "refused" | "not_sent" if self._failures.path is not None:
                line = self._failure(row, became, type(found.error), found.message).text()
            case _:
                pass
        return Settled(
            row.index,
            row.row.line,
            row.key,
            row.verb,
            became,
            row.payload,
            found.id,
            None if found.error is None else type(found.error).__name__,
            found.message or None,
            line,
        )

    def _settle(self, outcome: Outcome[Any]) -> None:
        row: _Row = outcome.operation.tag
        del self._open[id(outcome.operation)]
        found = self._verdict(outcome)
        tally, became = self._tallies[row.index], found.became
        match became:
            case "to_update":
                again = msgspec.structs.replace(row, verb="update", was_sent=False)
                self._to_update.append(again)
            case "created" | "updated" | "existing":
                setattr(tally, became, getattr(tally, became) + 1)
                if self._results.path is not None:
                    load, line = self._plan.loads[row.index], row.row.line
                    file = load.source.name
                    self._results.write(load.object, row.key, found.id, became, file, line)
                self._tell()
            case "open":
                why = f"{self._place(row)} was not sent: {found.message}"
                self._stopped = self._stopped or why
            case _:
                error = type(found.error)
                self._failed(row, became, error, found.message, there=found.there)

    def _not_sent(
        self,
        row: _Row,
        problems: Sequence[Problem],
        error: type[ChargeOverError] = UsageError,
        number: int | None = None,
    ) -> None:
        message = "; ".join(str(one) for one in problems)
        if self._journal is not None:
            line = ""
            if self._failures.path is not None:
                line = self._failure(row, "not_sent", error, message).text()
            index = row.index if number is None else number
            self._journal.settled(
                [
                    Settled(
                        index,
                        row.row.line,
                        row.key,
                        row.verb,
                        "not_sent",
                        row.payload,
                        error=error.__name__,
                        message=message,
                        line=line,
                    )
                ]
            )
        self._failed(row, "not_sent", error, message)

    def _report_orphans(self, checked: Checked, index: int) -> None:
        states: dict[int, States] = {}
        for number, children, row, problem in checked.loads[index].orphan_rows():
            if self._journal is not None:
                if number not in states:
                    states[number] = self._journal.states(number)
                if states[number].of(row.line)[0] in FINAL:
                    continue
            one = _Row(index, row, "", None, children)
            self._not_sent(one, [problem], number=number)

    def _failed(
        self,
        row: _Row,
        state: State,
        error: type[ChargeOverError | None],
        message: str,
        *,
        there: bool = False,
    ) -> None:
        tally = self._tallies[row.index]
        if state == "unknown":
            tally.unknown += 1
        else:
            tally.failed += 1
        if not there:
            self._remember(row, state, final=state != "unknown" or self._journal is None)
        if self._journal is None:
            self._failures.write(self._failure(row, state, error, message))
        if self._stop_on_failure and not self._stopped:
            self._stopped = f"{self._place(row)} {_ENDED[state]}: {message}"
        self._tell()

    def _failure(
        self, row: _Row, state: State, error: type[ChargeOverError | None], message: str
    ) -> Failure:
        load = self._plan.loads[row.index]
        rows: Rows = row.children or load
        return Failure(
            file=rows.source.name,
            row=row.row.line,
            object=f"{load.object}.{row.children.field}" if row.children else load.object,
            key=row.key,
            state=state,
            error=error.__name__,
            message=message,
            data=row.payload,
            source=row.row.raw if isinstance(row.row, BadRow) else row.row.cells,
        )

    def _remember(self, row: _Row, state: str, *, final: bool) -> None:
        """Keep in mind that what refers to this row cannot be sent, or not yet."""
        if row.key:
            load = self._plan.loads[row.index]
            cause = f"{self._place(row)} {_ENDED[state]}"
            self._scratch.fail(load.object, row.key, cause, final=final)

    def _place(self, row: _Row) -> str:
        rows: Rows = row.children or self._plan.loads[row.index]
        return f"{rows.source.name} row {row.row.line}"

    def _give_up(self) -> None:
        """Account for rows that were handed over and did not come back through the stream."""
        for operation in list(self._open.values()):
            if operation.outcome is None:
                operation.settle_error(
                    OutcomeUnknown("interrupted before its answer came; look it up", attempts=1)
                )
            if operation.outcome is not None:
                self._settle(operation.outcome)

    def _tell(self) -> None:
        if self._observe is not None and self._checked is not None:
            try:
                self._observe(self._progress(self._checked))
            except Exception:
                logger.exception("the observer of an import failed")

    def _progress(self, checked: Checked) -> Progress:
        requests, _, rate_limited = self._since()
        quota = None if self._co is None else self._co.limiter.stats
        return Progress(
            operations=checked.operations,
            created=sum(one.created for one in self._tallies),
            updated=sum(one.updated for one in self._tallies),
            existing=sum(one.existing for one in self._tallies),
            failed=sum(one.failed for one in self._tallies),
            unknown=sum(one.unknown for one in self._tallies),
            before=self._before,
            requests=requests,
            rate_limited=rate_limited,
            seconds=self._clock() - self._began if quota is not None else 0.0,
            in_window=0 if quota is None else quota.in_window,
            limit=0 if quota is None else quota.limit,
        )

    def _since(self) -> tuple[int, int, int]:
        """Requests, retries and 429s of this job (of everything the client did meanwhile)."""
        if self._co is None:
            return 0, 0, 0
        now, before = _counters(self._co.stats), self._counters
        return now[0] - before[0] + self._elsewhere, now[1] - before[1], now[2] - before[2]


def _inputs(checked: Checked) -> list[Input]:
    return [Input(name, source.name, stamp, rows) for name, source, stamp, rows in checked.inputs()]


def _is_settled(states: States, line: int) -> bool:
    return states.is_there(line) or states.of(line)[0] in FINAL


async def first_contact(co: ChargeOver) -> int:
    """Show with one request that URL and credentials are right; returns the number of customers.

    It is a count and no "teapot", whose answer no source shows.
    """
    return int(await co.customers.count())


def _updatable(name: str) -> frozenset[str]:
    """The fields of an object that an update takes, its key apart, which it is addressed by."""
    written = RESOURCES[name].writes.get("update")
    return (
        frozenset() if written is None else frozenset(shape_of(cast("Any", written)).kinds) - {KEY}
    )


def _counters(stats: Any) -> tuple[int, int, int]:
    return stats.requests, stats.retries, stats.rate_limited


__all__ = ("ImportJob", "Preview", "Progress", "first_contact")
