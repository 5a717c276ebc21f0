"""An import: check all files, send their rows through `ChargeOver.stream`, account for each.

Every row ends in exactly one of created, updated, existing, failed and unknown, or counts as not
reached. With a journal the import can be killed at any moment and goes on where it was: a row is
noted before it is sent (`Told.sending`, called by the stream before each request) and when its
outcome is known (`Told.settled`).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from chargeover_async.bulk import BulkSettings
from chargeover_async.client import ChargeOver
from chargeover_async.errors import ChargeOverError, OutcomeUnknown, UsageError
from chargeover_async.migrate.check.check import check, recheck
from chargeover_async.migrate.check.found import Checked, Forecast
from chargeover_async.migrate.check.load import Done
from chargeover_async.migrate.difference.change import Change
from chargeover_async.migrate.difference.plan import Outlook, look_ahead
from chargeover_async.migrate.journal import Journal
from chargeover_async.migrate.journal.reading import (
    FINAL,
    Input,
    States,
    count_settled,
    recall_check,
)
from chargeover_async.migrate.mask import mask_payload, printable
from chargeover_async.migrate.plan.plan import Plan, plan_digest
from chargeover_async.migrate.rows import Row
from chargeover_async.operation import Operation, Outcome

from .books import Books, Progress, Summary
from .feed import Feed, InHand, Stop
from .first import every, first_contact, open_readings, read_stage
from .outputs import FailureFile, ResultFile
from .told import Told, failure_of
from .verdict import Existing, Verdict, of_change, verdict

WINDOW = 2_000  # rows between file and answer; fills every connection with full batches
CAREFUL_WINDOW = 100  # four batches: what may still be sent after the first failure

logger = logging.getLogger("chargeover_async.migrate")


class Preview(msgspec.Struct, frozen=True):
    """A row as it will be sent, with card and bank numbers masked."""

    file: str
    row: int
    object: str
    data: dict[str, Any]


class ImportJob:
    """One run of one plan.

    ``skip_bad_rows`` sends the good rows although others are bad; ``stop_on_failure`` reaches for
    no further row after the first that fails (what is under way is finished and counted).

    What becomes of a row whose key is taken: it fails; with ``allow_existing`` it counts as
    existing, neither changed nor compared; with ``continue_on_existing`` the record is looked up
    and compared, the row counts as existing when it holds the same values and fails when not, and
    what refers to it is sent in either case; with ``update`` the record is changed to what the row
    says, as far as the API lets these fields be changed (an object that has no update is compared).

    In these three ways what is there is read first, where that saves requests, and only what is new
    or differs is sent (``read_first=False`` sends every row). What was read more than ``max_age_s``
    seconds before it is to be changed is looked up again.

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
        read_first: bool = True,
        max_age_s: float = 600,
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
        self._read_first = read_first and self._existing != "fail"
        self._max_age_s = max_age_s
        self._plan = plan
        self._skip_bad_rows = skip_bad_rows
        self._stop_on_failure = stop_on_failure
        self._failures = FailureFile(failures)
        self._results = ResultFile(results)
        self._journal_path = journal
        self._told: Told | None = None
        self._observe: Callable[[Progress], None] | None = None
        self._clock = clock
        self._checked: Checked | None = None
        self._books: Books | None = None
        self._settled_before: dict[int, int] = {}  # rows of each load, by earlier runs
        self._stop = Stop()

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
            digest, name = plan_digest(self._plan), printable(self._plan.path.name)
            before = count_settled(path, digest, name, _inputs(checked))
        if path is None or before is None:
            return checked.forecast()
        done: list[Done] = []
        for load in checked.loads:
            states = States(path, load.number)
            orphans = sum(before.get(number, 0) for number in load.child_numbers)
            settled = before.get(load.number, 0)
            done.append(load.done(settled, orphans, states.is_settled))
        return checked.forecast(done)

    def _check(self) -> Checked:
        skip = self._skip_bad_rows
        known = None if self._journal_path is None else recall_check(self._plan, self._journal_path)
        if known is None:
            checked = check(self._plan, skip_bad_rows=skip)
        else:
            checked = recheck(self._plan, known, skip_bad_rows=skip)
        self._checked = checked
        self._books = Books(checked, self._clock)
        return checked

    async def look_ahead(self, co: ChargeOver) -> Outlook:
        """What `run` would do now, found out by reading; a journal is of no account to it."""
        return await look_ahead(self._checked or self._check(), co, self._existing)

    def preview(self, count: int = 3) -> list[Preview]:
        """The first ``count`` good rows of each file as they will be sent, secrets masked."""
        checked = self._checked or self._check()
        shown: list[Preview] = []
        for found in checked.loads:
            notes = found.notes()
            rows = (row for row in found.load.source.rows() if isinstance(row, Row))
            good = (row for row in rows if not notes.problems(row.line))
            for row in itertools.islice(good, count):
                load, prepared = found.load, found.prepare(row)
                keep = InHand(0, 0, load, row, prepared.key, prepared.payload).identifiers
                data = mask_payload(prepared.payload, keep)
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
        books = self._books
        assert books is not None
        with contextlib.ExitStack() as files:
            files.callback(checked.close)
            journal = None
            if self._journal_path is not None:
                journal = files.enter_context(Journal(self._journal_path))
                self._go_on(checked, journal, books, co)
            files.enter_context(self._failures)
            files.enter_context(self._results)
            if journal is not None:
                path = self._failures.path
                append = None if path is None else self._failures.append
                journal.start(append, path, self._failures.has)
                files.callback(self._finish, journal)
                self._told = Told(journal, self._judge, wants_lines=path is not None)
            books.begin(co)
            count = await first_contact(contact or co)
            if contact is not None and contact is not co:
                books.requests_elsewhere = contact.stats.requests
            readings = None
            if self._read_first:
                readings = open_readings(co, self._clock, self._existing, self._max_age_s, count)
                files.callback(readings.close)
            feed = self._feed = Feed(
                co, checked, journal, self._stop, self._not_sent, self._leave, readings
            )
            try:
                for stage in checked.stages():
                    if readings is not None:
                        await read_stage(readings, checked, feed, stage, self._settled_before)
                    await self._send(co, feed.operations(stage))
                    while feed.to_update and not self._stop.why:
                        await self._send(co, feed.updates())
                    if self._stop.why:
                        break
            except Exception as error:
                self._stop.because(f"interrupted by {error!r}")
                raise
            except BaseException:  # cancelled, as by Ctrl-C
                self._stop.because("interrupted")
                raise
            finally:
                self._give_up(feed)
        return self.summary()

    def _finish(self, journal: Journal) -> None:
        """Commit what is left, and make the results of it."""
        try:
            journal.finish()
            self._results.write_all(journal.path)
        except ChargeOverError as error:
            self._stop.why = str(error)

    async def _send(self, co: ChargeOver, operations: Iterator[Operation[Any] | None]) -> None:
        window = WINDOW if not self._stop_on_failure else CAREFUL_WINDOW
        settings = None
        if self._existing in {"continue", "update"}:
            settings = BulkSettings(on_existing="continue")
        outcomes = cast(
            "AsyncGenerator[Outcome[Any]]",
            co.stream(
                every(operations, may_pause=self._read_first),
                window=window,
                settings=settings,
                journal=self._told,
            ),
        )
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                self._settle(outcome)

    def _go_on(self, checked: Checked, journal: Journal, books: Books, co: ChargeOver) -> None:
        """Tie the journal to this import, or take over what it says of earlier runs."""
        plan, name = plan_digest(self._plan), printable(self._plan.path.name)
        if journal.bind(plan, name, co.url, _inputs(checked), checked.findings()):
            counts = journal.counts()
            books.take_over(counts)
            self._settled_before = {
                load: sum(states.get(state, 0) for state in FINAL)
                for load, states in counts.items()
            }
        failures = self._failures.path
        if failures is not None and journal.knows(failures):
            self._failures.goes_on = True
        if self._results.path is not None:
            self._results.is_ours = journal.knows(self._results.path)
            self._results.later = True
            journal.will_write(self._results.path)

    def summary(self) -> Summary:
        """What came of it so far, earlier runs included; all zero before `check`."""
        if self._books is None:
            return Summary(operations=0)
        failures = printable(str(self._failures.path)) if self._failures.count else ""
        troubles = (self._stop.why, self._failures.trouble, self._results.trouble)
        return self._books.summary("; ".join(filter(None, troubles)), failures)

    # -- accounting --------------------------------------------------------------------------

    def _judge(self, outcome: Outcome[Any]) -> Verdict:
        row: InHand = outcome.operation.tag
        existing = self._existing
        if existing == "update" and outcome.error:
            if not self._feed.can_update(row):
                existing = "continue"  # nothing of it can be changed: it is compared
            elif self._feed.fields_to_change(row, outcome.error) == frozenset():
                existing = "pass"  # nothing of it need be changed
        return verdict(
            outcome,
            updating=row.verb == "update",
            existing=existing,
            resumable=self._told is not None,
            cut_off=self._told is not None and self._told.journal.has_failed,
            went=row.went,
        )

    def _settle(self, outcome: Outcome[Any]) -> None:
        row: InHand = outcome.operation.tag
        del self._feed.open[id(outcome.operation)]
        found = self._judge(outcome)
        match found.became:
            case "to_update":
                assert found.error is not None
                fields = self._feed.fields_to_change(row, found.error)
                again = msgspec.structs.replace(row, verb="update", was_sent=False, fields=fields)
                self._feed.to_update.append(again)
            case "to_create":
                again = msgspec.structs.replace(
                    row, verb="create", was_sent=False, fields=None, went=True
                )
                self._feed.to_update.append(again)
            case "created" | "updated" | "existing":
                self._is_there(row, found)
            case "open":
                self._stop.because(f"{row.place} was not sent: {found.message}")
            case _:
                self._failed(row, found)

    def _is_there(self, row: InHand, found: Verdict) -> None:
        self._results.write(
            row.load.object, row.shown_key, found.id, found.became, row.file, row.row.line
        )
        self._count(row, found)

    def _leave(self, row: InHand, change: Change) -> bool:
        """Settle a row of which nothing is to be sent; False if something is."""
        found = of_change(row.load.object, change, self._existing, updating=row.verb == "update")
        if found is None:
            return False
        if self._told is not None:
            self._told.not_sent(row, found)
        if found.became == "refused":
            self._failed(row, found)
        else:
            self._is_there(row, found)
        return True

    def _not_sent(self, row: InHand, error: ChargeOverError) -> None:
        found = Verdict("not_sent", error=error)
        if self._told is not None:
            self._told.not_sent(row, found)
        self._failed(row, found)

    def _failed(self, row: InHand, found: Verdict) -> None:
        if not found.there:
            final = found.became != "unknown" or self._told is None
            self._feed.withhold(row, found.became, final=final)
        if self._told is None:
            self._failures.write(failure_of(row, found), row.identifiers)
        if self._stop_on_failure:
            self._stop.because(f"{row.ended(found.became)}: {found.message}")
        self._count(row, found)

    def _count(self, row: InHand, found: Verdict) -> None:
        assert self._books is not None
        self._books.count(row.index, found.became)
        if self._observe is not None:
            try:
                self._observe(self._books.progress())
            except Exception:
                logger.exception("the observer of an import failed")

    def _give_up(self, feed: Feed) -> None:
        """Account for rows that were handed over and did not come back through the stream."""
        for operation in list(feed.open.values()):
            if operation.outcome is None:
                operation.settle_error(
                    OutcomeUnknown("interrupted before its answer came; look it up", attempts=1)
                )
            if operation.outcome is not None:
                self._settle(operation.outcome)


def _inputs(checked: Checked) -> list[Input]:
    return [Input(name, source.name, stamp, rows) for name, source, stamp, rows in checked.inputs()]


__all__ = ("ImportJob", "Preview")
