"""Rows to operations, made one by one as the stream has room for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from chargeover_async.client import ChargeOver
from chargeover_async.errors import AlreadyExists, ChargeOverError, DependencyFailed, UsageError
from chargeover_async.migrate.check.found import Checked
from chargeover_async.migrate.check.load import LoadCheck
from chargeover_async.migrate.check.scratch import Notes
from chargeover_async.migrate.difference.change import Change, updatable_fields
from chargeover_async.migrate.difference.reading import BREATH, Readings
from chargeover_async.migrate.journal import Journal
from chargeover_async.migrate.journal.reading import FINAL, IN_DOUBT, NEVER, States, Verb
from chargeover_async.migrate.mask import find_identifiers, is_secret_column, mask_text
from chargeover_async.migrate.plan.columns import identifying_columns
from chargeover_async.migrate.plan.plan import Children, Load, Rows
from chargeover_async.migrate.rows import BadFile, BadRow, Problem, Row
from chargeover_async.models._json.checks import SECRETS
from chargeover_async.operation import Operation
from chargeover_async.resources import RESOURCES, ExternalKey
from chargeover_async.resources._calls.base import create_checked

TOGETHER = 500  # rows that are handed over together where many are left as they are
_ENDED = {"refused": "was refused", "not_sent": "was not sent", "unknown": "is in doubt"}


class InHand(msgspec.Struct, frozen=True):
    """What a job must know of a row between file and answer.

    ``index`` is that of its load, ``number`` that of its file: the same, but for a child row that
    has no parent, whose ``children`` says which file that is.
    """

    index: int
    number: int
    load: Load
    row: Row | BadRow
    key: str
    payload: dict[str, Any] | None = None
    children: Children | None = None
    verb: Verb = "create"
    was_sent: bool = False  # by an earlier run, which did not learn what came of it
    is_duplicate: bool = False  # its key means another row
    fields: frozenset[str] | None = None  # of a change: those that it sends, None for all
    went: bool = False  # its record was there, and is there no more

    @property
    def file(self) -> str:
        """The name of its file."""
        rows: Rows = self.children or self.load
        return rows.source.name

    @property
    def place(self) -> str:
        """Where it begins, for messages."""
        return f"{self.file} row {self.row.line}"

    @property
    def identifiers(self) -> frozenset[str]:
        """What it is found by, never to be masked but where the file itself calls it a secret."""
        cells = self.row.cells if isinstance(self.row, Row) else {}
        names = identifying_columns(self.children or self.load)
        texts = [str(cells[name]) for name in cells if cells[name] and is_secret_column(name)]
        secrets = [text for text in texts if mask_text(text) != text]
        found = {self.key, *find_identifiers(self.payload)}
        found.update(str(cells[name]) for name in names if cells.get(name))
        return frozenset(
            text for text in found if text and not any(secret in text for secret in secrets)
        )

    @property
    def shown_key(self) -> str:
        """Its key as it may be written down: masked only if it is made of a secret."""
        if mask_text(self.key) == self.key:
            return self.key
        return mask_text(self.key, self.identifiers)

    def ended(self, state: str) -> str:
        """That it was not imported, for messages."""
        return f"{self.place} {_ENDED[state]}"


class Stop:
    """Whether the import goes on: ``why`` is ``""`` as long as it does. The first reason counts."""

    def __init__(self) -> None:
        self.why = ""

    def because(self, why: str) -> None:
        """Take up no further row."""
        self.why = self.why or why


class Feed:
    """Makes the operations of an import.

    With ``readings`` a row is not sent if ``leave``, which is told of what is to be done with it,
    says that nothing is.

    ``open`` holds those that were handed over and are not settled, ``to_update`` the rows whose
    record turned out to exist and is to be changed.
    """

    def __init__(
        self,
        co: ChargeOver,
        checked: Checked,
        journal: Journal | None,
        stop: Stop,
        not_sent: Callable[[InHand, ChargeOverError], None],
        leave: Callable[[InHand, Change], bool],
        readings: Readings | None = None,
    ) -> None:
        self._co = co
        self._checked = checked
        self._scratch = checked.scratch
        self._journal = journal
        self._stop = stop
        self._not_sent = not_sent
        self._leave = leave
        self._readings = readings
        # Without `update`, too: an earlier run with the same journal may have left one under way.
        self._updatable = {
            load.object: updatable_fields(load.object) for load in checked.plan.loads
        }
        self.open: dict[int, Operation[Any]] = {}
        self.to_update: deque[InHand] = deque()

    def operations(self, stage: Iterable[tuple[int, int]]) -> Iterator[Operation[Any] | None]:
        """The operations of one stage.

        Where many rows are left as they are, those that are not are handed over together, to fill
        whole batches, and None stands for a moment in which others may have their turn.
        """
        together = TOGETHER if self._readings is not None else 1
        held: list[InHand] = []
        for passed, ready in enumerate(self._rows(stage)):
            if self.to_update:
                yield from self.updates()
            if self._stop.why:
                return
            if ready is not None:
                held.append(ready)
            if len(held) == together:
                yield from self._offers(held)
                held = []
            elif self._readings is not None and passed % BREATH == BREATH - 1:
                yield None
        yield from self._offers(held)

    def _offers(self, rows: Sequence[InHand]) -> Iterator[Operation[Any]]:
        for row in rows:
            if self._stop.why:
                return
            yield self._offer(row)

    def _rows(self, stage: Iterable[tuple[int, int]]) -> Iterator[InHand | None]:
        """The rows of one stage that are to be sent, and None for each that is not."""
        for index, number in stage:
            found = self._checked.loads[index]
            source = found.load.source
            states = None
            if self._journal is not None and self._journal.was_begun:
                states = self._journal.states(index)
            if number == 0:
                self._report_orphans(found)
            notes = found.notes()
            try:
                for row in source.rows(None if states is None else states.is_there):
                    if self._stop.why:
                        return
                    if notes.round(row.line) == number:
                        ready = self._ready(found, row, notes, states)
                        yield None if ready is None else self._decide(ready)
            except BadFile as error:
                self._stop.because(error.message)
                return

    def updates(self) -> Iterator[Operation[Any]]:
        """The changes of records that turned out to exist."""
        while self.to_update and not self._stop.why:
            yield self._offer(self.to_update.popleft())

    def can_update(self, row: InHand) -> bool:
        """Whether an update can change anything that the row says."""
        return not self._updatable[row.load.object].isdisjoint(row.payload or ())

    def fields_to_change(self, row: InHand, error: ChargeOverError) -> frozenset[str] | None:
        """What a change must send by what was found under the key; None if that is not known."""
        if not isinstance(error, AlreadyExists) or error.existing_id is None:
            return None
        wanted = (
            error.differences.keys() | set(error.unseen) | (SECRETS & (row.payload or {}).keys())
        )
        return self._updatable[row.load.object] & wanted

    def withhold(self, row: InHand, state: str, *, final: bool) -> None:
        """Keep in mind that what refers to this row cannot be sent, or not yet."""
        if row.key and not row.is_duplicate:
            self._scratch.fail(row.load.object, row.key, row.ended(state), final=final)

    def rows(self, index: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Key and payload of the rows of a load that are still to be sent."""
        found = self._checked.loads[index]
        states = None
        if self._journal is not None and self._journal.was_begun:
            states = self._journal.states(index)
        notes = found.notes()
        for row in found.load.source.rows(None if states is None else states.is_there):
            if isinstance(row, BadRow) or notes.problems(row.line):
                continue
            if states is None or states.of(row.line)[0] not in FINAL:
                prepared = found.prepare(row)
                yield prepared.key, prepared.payload

    def _decide(self, row: InHand) -> InHand | None:
        """The row with what is to be done with it by what was read; None if that is nothing."""
        if self._readings is None or (row.was_sent and row.verb == "create"):
            return row  # what came of an earlier run is asked by its key
        change = self._readings.change_of(row.load, row.key, row.payload or {})
        if change is None:
            return row
        if change.what == "create":
            return msgspec.structs.replace(row, verb="create", was_sent=False)
        if self._leave(row, change):
            return None
        return msgspec.structs.replace(row, verb="update", fields=frozenset(change.fields))

    def _ready(
        self, found: LoadCheck, row: Row | BadRow, notes: Notes, states: States | None
    ) -> InHand | None:
        """The row as it will be sent, or None if it must not be, or was."""
        state, verb = NEVER if states is None else states.of(row.line)
        index, load = found.number, found.load
        if state in {"created", "updated", "existing"}:
            return None
        problems = notes.problems(row.line)
        if isinstance(row, BadRow):
            if state not in FINAL:
                self._refuse(InHand(index, index, load, row, ""), problems)
            return None
        prepared = found.prepare(row)
        if problems or state in FINAL:
            # What the check of its failure would not find again is not made easy to send.
            is_found_again = prepared.problems or all(
                problem.is_duplicate or problem.is_unknown for problem in problems
            )
            bad = InHand(
                index,
                index,
                load,
                row,
                prepared.key,
                (prepared.payload or None) if is_found_again else None,
                is_duplicate=any(problem.is_duplicate for problem in problems),
            )
            if state in FINAL:
                self.withhold(bad, state, final=True)
            else:
                self._refuse(bad, problems)
            return None
        if prepared.problems:  # of a program: files are compared byte by byte
            raise BadFile(f"{load.source.name} row {row.line} changed after it was checked")
        ready = InHand(
            index,
            index,
            load,
            row,
            prepared.key,
            prepared.payload,
            verb=verb,
            was_sent=state in IN_DOUBT,
        )
        for target, key, field in () if ready.was_sent else prepared.references:
            cause, final = self._scratch.failed(target, key)
            if cause and final:
                message = f'{target} "{key}" is not there: {cause}'
                problem = Problem(load.source.name, row.line, message, field=field)
                self._not_sent(ready, DependencyFailed(str(problem)))
                return None
            if cause:  # it is held back until that is known
                if ready.key:
                    waits = f"it waits for {target} {key}"
                    self._scratch.fail(load.object, ready.key, waits, final=False)
                return None
        return ready

    def _offer(self, row: InHand) -> Operation[Any]:
        name = row.load.object
        resource = getattr(self._co, RESOURCES[name].attribute)
        payload = row.payload or {}
        operation: Operation[Any]
        if row.verb == "update":
            known = self._updatable[name]
            if row.fields is not None:
                known = known & row.fields
            fields = {field: value for field, value in payload.items() if field in known}
            operation = resource.update(ExternalKey(row.key), **fields)
        elif resource.needs is None:  # it may send other names than it takes
            operation = resource.create(**payload)
        else:
            operation = create_checked(resource, payload)
        operation.tag = row
        self.open[id(operation)] = operation
        return operation

    def _report_orphans(self, found: LoadCheck) -> None:
        states: dict[int, States] = {}
        for number, children, row, problem in found.orphan_rows():
            if self._journal is not None:
                if number not in states:
                    states[number] = self._journal.states(number)
                if states[number].of(row.line)[0] in FINAL:
                    continue
            orphan = InHand(found.number, number, found.load, row, "", children=children)
            self._refuse(orphan, [problem])

    def _refuse(self, row: InHand, problems: Sequence[Problem]) -> None:
        self._not_sent(row, UsageError("; ".join(map(str, problems))))


__all__ = ("Feed", "InHand", "Stop")
