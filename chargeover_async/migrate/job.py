"""An import: check all files, send their rows through `ChargeOver.stream`, account for each.

Every row ends in exactly one of created, existing, failed and unknown, or counts as not reached.
The two places where a durable journal would be told are `ImportJob._offer` (before a row may be
sent) and `ImportJob._settle` (once its outcome is known).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from chargeover_async.errors import (
    AlreadyExists,
    ChargeOverError,
    DependencyFailed,
    OutcomeUnknown,
    UsageError,
)
from chargeover_async.operation import Operation, Outcome
from chargeover_async.resources import RESOURCES

from .checks import Checked, Forecast, check
from .mapping import Problem, map_record
from .plan import Children, Plan, Rows
from .report import Failure, FailureFile, LoadSummary, Summary
from .sources import BadFile, BadRow, Row

if TYPE_CHECKING:
    from chargeover_async.client import ChargeOver

WINDOW = 2_000  # rows between file and answer; fills every connection with full batches
CAREFUL_WINDOW = 100  # four batches: what may still be sent after the first failure

logger = logging.getLogger("chargeover_async.migrate")

State = Literal["refused", "not_sent", "unknown"]
_ENDED = {"refused": "was refused", "not_sent": "was not sent", "unknown": "is in doubt"}


class Progress(msgspec.Struct, frozen=True):
    """Where an import stands: counts of rows, ``requests`` since it began, ``seconds`` likewise."""

    operations: int
    created: int
    existing: int
    failed: int
    unknown: int
    requests: int
    rate_limited: int
    seconds: float

    @property
    def settled(self) -> int:
        """Rows whose outcome is known, or known to be unknown."""
        return self.created + self.existing + self.failed + self.unknown


class _Sent(msgspec.Struct, frozen=True):
    """What the job must know of a row between sending and answer."""

    index: int
    row: Row | BadRow
    key: str
    payload: dict[str, Any] | None
    children: Children | None = None  # for a child row that has no parent


class _Tally:
    __slots__ = ("created", "existing", "failed", "unknown")

    def __init__(self) -> None:
        self.created = self.existing = self.failed = self.unknown = 0


class ImportJob:
    """One run of one plan.

    ``skip_bad_rows`` sends the good rows although others are bad; ``stop_on_failure`` reaches for
    no further row after the first that fails (what is under way is finished and counted);
    ``allow_existing`` counts a row whose key is taken as existing, neither changed nor compared,
    and not as failed, so that an interrupted import can be run again.
    ``failures`` is the file for the rows that were not imported.

    Memory: what `checks` keeps, the keys of failed rows, and the rows between sending and answer.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        skip_bad_rows: bool = False,
        stop_on_failure: bool = False,
        allow_existing: bool = False,
        failures: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._skip_bad_rows = skip_bad_rows
        self._stop_on_failure = stop_on_failure
        self._allow_existing = allow_existing
        self._failures = FailureFile(failures)
        self._observe: Callable[[Progress], None] | None = None
        self._clock = clock
        self._checked: Checked | None = None
        self._tallies: list[_Tally] = []
        self._not_done: dict[tuple[str, str], str] = {}
        self._open: dict[int, Operation[Any]] = {}
        self._elsewhere = 0
        self._stopped = ""
        self._began = 0.0
        self._before = (0, 0, 0)
        self._stats: Any = None

    def check(self) -> Forecast:
        """Read all files and check every row; sends nothing, and blocks while it reads.

        Raises BadInput with everything that is wrong.
        """
        return self._check().forecast()

    def _check(self) -> Checked:
        self._checked = checked = check(self._plan, skip_bad_rows=self._skip_bad_rows)
        self._tallies = [_Tally() for _ in checked.loads]
        return checked

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

        Raises BadInput, UsageError for a failure file that cannot be written, and AuthFailed,
        TransportError or DecodeError when the first request shows that there is no account to
        import to: in all these cases nothing was imported. After that, errors are accounted for
        in the summary. If the job is cancelled, the rows under way are reported as unknown.
        """
        self._observe = observe
        checked = self._checked or self._check()
        with self._failures:
            self._stats = co.stats
            self._before = _counters(co.stats)
            self._began = self._clock()
            await first_contact(contact or co)
            if contact is not None and contact is not co:
                self._elsewhere = contact.stats.requests
            window = WINDOW if not self._stop_on_failure else CAREFUL_WINDOW
            try:
                for stage in checked.stages():
                    operations = self._operations(co, checked, stage)
                    outcomes = cast(
                        "AsyncGenerator[Outcome[Any]]", co.stream(operations, window=window)
                    )
                    async with contextlib.aclosing(outcomes):
                        async for outcome in outcomes:
                            self._settle(checked, outcome)
                    if self._stopped:
                        break
            except Exception as error:
                self._stopped = self._stopped or f"interrupted by {error!r}"
                raise
            except BaseException:  # cancelled, as by Ctrl-C
                self._stopped = self._stopped or "interrupted"
                raise
            finally:
                self._give_up(checked)
        return self.summary()

    def summary(self) -> Summary:
        """What came of it so far; all zero before `check`."""
        checked = self._checked
        if checked is None:
            return Summary(operations=0)
        progress = self._progress(checked)
        _, retries, _ = self._since()
        return Summary(
            operations=progress.operations,
            created=progress.created,
            existing=progress.existing,
            failed=progress.failed,
            unknown=progress.unknown,
            not_reached=progress.operations - progress.settled,
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
                    one.rows + len(one.orphans),
                    tally.created,
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
            create = getattr(co, RESOURCES[found.load.object].attribute).create
            if number == 0:
                self._report_orphans(checked, index)
            try:
                if source.stamp() != found.stamp:
                    raise BadFile(f"{source.path} changed after it was checked")
                for row in source.rows():
                    if self._stopped:
                        return
                    if found.rounds.get(row.line, 0) == number:
                        sent = self._ready(checked, index, row)
                        if sent is not None:
                            yield self._offer(sent, create(**(sent.payload or {})))
            except BadFile as error:
                self._stopped = error.message
                return

    def _ready(self, checked: Checked, index: int, row: Row | BadRow) -> _Sent | None:
        """The row as it will be sent, or None, with the failure reported, if it must not be."""
        found = checked.loads[index]
        load = found.load
        problems = found.bad.get(row.line, ())
        if isinstance(row, BadRow):
            self._not_sent(checked, _Sent(index, row, "", None), problems)
            return None
        record = map_record(load, row, found.children_of(row))
        if problems:
            self._not_sent(checked, _Sent(index, row, record.key, None), problems)
            return None
        sent = _Sent(index, row, record.key, record.payload)
        for target, key, field in record.references:
            cause = self._not_done.get((target, key))
            if cause is not None:
                message = f'{target} "{key}" is not there: {cause}'
                problem = Problem(load.source.name, row.line, message, field=field)
                self._not_sent(checked, sent, [problem], DependencyFailed)
                return None
        return sent

    def _offer(self, sent: _Sent, operation: Operation[Any]) -> Operation[Any]:
        operation.tag = sent
        self._open[id(operation)] = operation
        return operation

    # -- accounting --------------------------------------------------------------------------

    def _settle(self, checked: Checked, outcome: Outcome[Any]) -> None:
        sent: _Sent = outcome.operation.tag
        del self._open[id(outcome.operation)]
        error = outcome.error
        if error is None:
            self._tallies[sent.index].created += 1
            self._tell(checked)
            return
        if self._allow_existing and isinstance(error, AlreadyExists):
            self._tallies[sent.index].existing += 1
            self._tell(checked)
            return
        # "done" with an error is an answer that could not be read: it must be looked at.
        state: State = "unknown" if outcome.state == "done" else outcome.state
        self._failed(checked, sent, state, type(error), error.message)

    def _not_sent(
        self,
        checked: Checked,
        sent: _Sent,
        problems: Sequence[Problem],
        error: type[ChargeOverError] = UsageError,
    ) -> None:
        message = "; ".join(str(one) for one in problems)
        self._failed(checked, sent, "not_sent", error, message)

    def _report_orphans(self, checked: Checked, index: int) -> None:
        for children, row, problem in checked.loads[index].orphans:
            sent = _Sent(index, row, "", None, children)
            self._not_sent(checked, sent, [problem])

    def _failed(
        self,
        checked: Checked,
        sent: _Sent,
        state: State,
        error: type[ChargeOverError],
        message: str,
    ) -> None:
        load = checked.loads[sent.index].load
        rows: Rows = sent.children or load
        tally = self._tallies[sent.index]
        if state == "unknown":
            tally.unknown += 1
        else:
            tally.failed += 1
        row = sent.row
        if sent.key:
            self._not_done[load.object, sent.key] = (
                f"{rows.source.name} row {row.line} {_ENDED[state]}"
            )
        self._failures.write(
            Failure(
                file=rows.source.name,
                row=row.line,
                object=f"{load.object}.{sent.children.field}" if sent.children else load.object,
                key=sent.key,
                state=state,
                error=error.__name__,
                message=message,
                data=sent.payload,
                source=row.raw if isinstance(row, BadRow) else row.cells,
            )
        )
        if self._stop_on_failure and not self._stopped:
            self._stopped = f"{rows.source.name} row {row.line} {_ENDED[state]}: {message}"
        self._tell(checked)

    def _give_up(self, checked: Checked) -> None:
        """Account for rows that were handed over and did not come back through the stream."""
        for operation in list(self._open.values()):
            if operation.outcome is None:
                operation.settle_error(
                    OutcomeUnknown("interrupted before its answer came; look it up", attempts=1)
                )
            if operation.outcome is not None:
                self._settle(checked, operation.outcome)

    def _tell(self, checked: Checked) -> None:
        if self._observe is not None:
            try:
                self._observe(self._progress(checked))
            except Exception:
                logger.exception("the observer of an import failed")

    def _progress(self, checked: Checked) -> Progress:
        requests, _, rate_limited = self._since()
        return Progress(
            operations=checked.operations,
            created=sum(one.created for one in self._tallies),
            existing=sum(one.existing for one in self._tallies),
            failed=sum(one.failed for one in self._tallies),
            unknown=sum(one.unknown for one in self._tallies),
            requests=requests,
            rate_limited=rate_limited,
            seconds=self._clock() - self._began if self._stats is not None else 0.0,
        )

    def _since(self) -> tuple[int, int, int]:
        """Requests, retries and 429s of this job (of everything the client did meanwhile)."""
        if self._stats is None:
            return 0, 0, 0
        now, before = _counters(self._stats), self._before
        return now[0] - before[0] + self._elsewhere, now[1] - before[1], now[2] - before[2]


async def first_contact(co: ChargeOver) -> int:
    """Show with one request that URL and credentials are right; returns the number of customers.

    It is a count and no "teapot", whose answer no source shows.
    """
    return int(await co.customers.count())


def _counters(stats: Any) -> tuple[int, int, int]:
    return stats.requests, stats.retries, stats.rate_limited


__all__ = ("ImportJob", "Progress", "first_contact")
