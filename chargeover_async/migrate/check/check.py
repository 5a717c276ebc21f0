"""The first reading of all files: everything that can be known before anything is sent.

Memory does not grow with the files: keys, references, mistakes and the rows of child files are kept
on disk (`scratch`).
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from chargeover_async._hints import did_you_mean
from chargeover_async.errors import UsageError
from chargeover_async.migrate.plan.plan import Children, Load, Plan, Rows
from chargeover_async.migrate.plan.record import (
    Problem,
    Record,
    RecordMaker,
    match_value,
    named_columns,
)
from chargeover_async.migrate.rows.source import BadFile, BadRow, Row, Source

from .scratch import Notes, Scratch

BATCH = 25  # operations in one _bulk request (vendor's text, "Batch requests")
REQUESTS_PER_MINUTE = 250  # the default quota (vendor's text, "Rate limiting")
SHOWN = 50  # problems in one message; enough to see the pattern

HINTS = 50  # unknown references for which a near key is looked for


class BadInput(UsageError):
    """The files cannot be imported as they are; nothing was sent.

    ``problems`` are the first ones, ``count`` is how many there are.
    """

    def __init__(self, problems: Sequence[Problem], count: int) -> None:
        lines = [str(one) for one in problems]
        if count > len(lines):
            lines.append(f"... and {count - len(lines)} more")
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)
        self.count = count


class Forecast(msgspec.Struct, frozen=True):
    """What an import will take: ``requests`` in full batches, ``seconds`` at 250 a minute.

    ``before`` of the operations were settled by earlier runs with the same journal.
    """

    operations: int
    requests: int
    seconds: float
    bad_rows: int
    before: int = 0


class Finding(msgspec.Struct, frozen=True):
    """What a check found of one row: a problem, or the round in which it is sent."""

    load: int
    line: int
    problem: Problem | None = None
    round: int = 0


class Remembered(msgspec.Struct, frozen=True):
    """What a journal has kept of a check, so that a second run need not read everything again.

    ``rows`` are the numbers of rows by file, in the order of `Checked.inputs`.
    """

    rows: tuple[int, ...]
    findings: Iterable[Finding]


class Done(msgspec.Struct, frozen=True):
    """What earlier runs have settled of a load: ``rows`` in all, and good ones by round."""

    rows: int
    rounds: dict[int, int]


class LoadCheck:
    """What is known about one load; ``number`` is its place in the plan."""

    def __init__(self, load: Load, number: int, children: range, scratch: Scratch) -> None:
        self.load = load
        self.number = number
        self.child_numbers = children
        self.stamp = load.source.stamp()
        self.digest = load.source.digest()
        self.child_digests = [one.source.digest() for one in load.children]
        self.rows = 0
        self.bad = 0  # how many of its rows must not be sent
        self.orphans = [0] * len(load.children)  # child rows without a parent
        self.rounds: dict[int, int] = {}  # how many rows are sent in each round from 1 on
        self._scratch = scratch
        self._child_columns = [[child for child, _ in one.match] for one in load.children]
        self._parent_columns = [[parent for _, parent in one.match] for one in load.children]
        self._has_children = [False] * len(load.children)
        self._make = RecordMaker(load)

    @property
    def operations(self) -> int:
        """Rows that stand for a record, orphans among the child rows included."""
        return self.rows + sum(self.orphans)

    def children_of(self, row: Row) -> dict[str, list[Row]]:
        """The child rows of a row, by field."""
        if not self._has_children:
            return {}
        found: dict[str, list[Row]] = {}
        for i, one in enumerate(self.load.children):
            value = match_value(self._parent_columns[i], row)
            rows = self._scratch.children(self.child_numbers[i], value)
            found[one.field] = rows if self._has_children[i] else []
        return found

    def record(self, row: Row, children: dict[str, list[Row]] | None = None) -> Record:
        """The record that a row stands for; its child rows are looked for unless they are given."""
        return self._make(row, self.children_of(row) if children is None else children)

    def claim(self, row: Row, children: dict[str, list[Row]]) -> None:
        """Note that the child rows of ``row`` have a parent."""
        for i, one in enumerate(self.load.children):
            if children[one.field]:
                value = match_value(self._parent_columns[i], row)
                self._scratch.add_claim(self.child_numbers[i], value, row.line)

    def read_children(self) -> None:
        """Keep the rows of all child files."""
        for i, one in enumerate(self.load.children):
            name = one.source.name
            for row in one.source.rows():
                if isinstance(row, BadRow):
                    # Whose child it was cannot be known, so no parent can be sent with certainty.
                    raise BadFile(f"{name} row {row.line}: {row.message}")
                value = match_value(self._child_columns[i], row)
                self._scratch.add_child(self.child_numbers[i], value, row)
                self._has_children[i] = True

    def compare_children(self) -> None:
        """Find parents that share their children, and children without a parent."""
        name = self.load.source.name
        for i, one in enumerate(self.load.children):
            number = self.child_numbers[i]
            for line, first in self._scratch.two_parents(number):
                column = ", ".join(self._parent_columns[i])
                message = f"row {first} has the same value, so {one.field} have two parents"
                self._scratch.add_problem(self.number, line, Problem(name, line, message, column))
            columns = ", ".join(self._child_columns[i])
            for line, value in self._scratch.orphans(number):
                shown = ", ".join(f'"{part}"' for part in value)
                message = f"{shown} is in no row of {name}: it has no parent"
                problem = Problem(one.source.name, line, message, columns)
                self._scratch.add_problem(number, line, problem)

    def count(self) -> None:
        """Take over the numbers, once all is known."""
        self.bad = self._scratch.bad_count(self.number)
        self.orphans = [self._scratch.bad_count(number) for number in self.child_numbers]
        self.rounds = self._scratch.round_counts(self.number)

    def notes(self) -> Notes:
        """Problems and rounds, to be asked for along with the rows."""
        return self._scratch.notes(self.number)

    def done(self, settled: int, orphans: int, is_settled: Callable[[int], bool]) -> Done:
        """What earlier runs have done of it: they ``settled`` so many rows, and ``orphans``.

        ``is_settled`` tells of a line; it is asked in rising order.
        """
        rounds = dict.fromkeys(self.rounds, 0)
        noted = heapq.merge(
            self._scratch.rounds(self.number),
            ((line, -1) for line in self._scratch.bad_lines(self.number)),
        )
        good = settled
        for line, number in noted:
            if is_settled(line):
                good -= 1
                if number > 0:
                    rounds[number] += 1
        return Done(settled + orphans, {0: good, **rounds})

    def problems(self) -> Iterator[Problem]:
        """What is wrong with its rows, then with the rows of its child files."""
        for number in (self.number, *self.child_numbers):
            for _, problem in self._scratch.problems(number):
                yield problem

    def orphan_rows(self) -> Iterator[tuple[int, Children, Row, Problem]]:
        """(number of the file, the file, row, problem) of child rows without a parent."""
        for i, one in enumerate(self.load.children):
            number = self.child_numbers[i]
            for line, problem in self._scratch.problems(number):
                yield number, one, self._scratch.child(number, line), problem


class Checked:
    """The result of the first reading. It holds a temporary file until `close`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loads: list[LoadCheck] = []
        self.fatal: list[Problem] = []
        self.scratch = Scratch(len(plan.loads))

    def close(self) -> None:
        """Give the temporary file back."""
        self.scratch.close()

    def load_check(self, index: int) -> LoadCheck:
        """What is to be known of a load; raises BadFile if it cannot be read."""
        before = sum(len(one.children) for one in self.plan.loads[:index])
        begin = len(self.plan.loads) + before
        load = self.plan.loads[index]
        return LoadCheck(load, index, range(begin, begin + len(load.children)), self.scratch)

    @property
    def operations(self) -> int:
        """Rows that stand for a record, bad ones and orphans among the child rows included."""
        return sum(one.operations for one in self.loads)

    def inputs(self) -> Iterator[tuple[str, Source, str, int]]:
        """(object, source, digest, rows) of every file, loads first, then the files of children.

        Of a file of children only the rows without a parent count.
        """
        for one in self.loads:
            yield one.load.object, one.load.source, one.digest, one.rows
        for one in self.loads:
            for i, child in enumerate(one.load.children):
                digest = one.child_digests[i]
                yield f"{one.load.object}.{child.field}", child.source, digest, one.orphans[i]

    def findings(self) -> Iterator[Finding]:
        """Every problem and round, for a journal to keep."""
        for one in self.loads:
            for number in (one.number, *one.child_numbers):
                for line, problem in self.scratch.problems(number):
                    yield Finding(number, line, problem)
            for line, number in self.scratch.rounds(one.number):
                yield Finding(one.number, line, None, number)

    def problems(self) -> Iterator[Problem]:
        """Everything that is wrong, file by file."""
        yield from self.fatal
        for one in self.loads:
            yield from one.problems()

    def stages(self) -> list[list[tuple[int, int]]]:
        """What may be sent at the same time, as (index of the load, round), stage after stage.

        A load that refers to records of an earlier one starts when that one is settled; loads that
        do not are sent together, so that no batch leaves half empty between them.
        """
        stages: list[list[tuple[int, int]]] = [[]]
        objects: set[str] = set()
        for index, one in enumerate(self.loads):
            if one.load.references() & objects:
                stages.append([])
                objects = set()
            for number in range(1 + max(one.rounds, default=0)):
                if number:
                    stages.append([])
                    objects = set()
                stages[-1].append((index, number))
            objects.add(one.load.object)
        return stages

    def forecast(self, done: Sequence[Done] = ()) -> Forecast:
        """The requests that the good rows need, one for the first contact included.

        ``done`` tells for each load what earlier runs have settled.
        """
        requests = 1
        for stage in self.stages():
            rows = 0
            for index, number in stage:
                one = self.loads[index]
                if number:
                    rows += one.rounds[number]
                else:
                    rows += one.rows - one.bad - sum(one.rounds.values())
                if done:
                    rows -= done[index].rounds.get(number, 0)
            requests += math.ceil(rows / BATCH)
        bad = sum(one.bad + sum(one.orphans) for one in self.loads)
        seconds = requests * 60 / REQUESTS_PER_MINUTE
        before = sum(one.rows for one in done)
        return Forecast(self.operations, requests, seconds, bad, before)


def check(plan: Plan, *, skip_bad_rows: bool = False) -> Checked:
    """Read every file of ``plan`` and check every row; nothing is sent.

    Raises BadInput with all that is wrong; with ``skip_bad_rows`` only for what is wrong with a
    file as a whole (unreadable, a missing column).
    """
    checked = Checked(plan)
    try:
        for index, load in enumerate(plan.loads):
            try:
                missing = [*_missing_columns(load), *_missing_match(load)]
                if missing:
                    checked.fatal += missing
                    continue
                found = checked.load_check(index)
                checked.loads.append(found)
                _read(checked, found)
            except BadFile as error:
                checked.fatal.append(Problem("", 0, error.message))
        if checked.fatal:
            raise _bad_input(checked.fatal, len(checked.fatal))
        checked.scratch.end_check()
        _refuse_bad_rows(checked, skip_bad_rows=skip_bad_rows)
    except BaseException:
        checked.close()
        raise
    return checked


def recall(plan: Plan, known: Remembered, *, skip_bad_rows: bool = False) -> Checked:
    """What a check of the same plan and files has found before.

    Only child files are read again. Raises as `check` does.
    """
    checked = Checked(plan)
    try:
        for index in range(len(plan.loads)):
            found = checked.load_check(index)
            found.rows = known.rows[index]
            found.read_children()
            checked.loads.append(found)
        checked.scratch.children_are_there()
        for one in known.findings:
            if one.problem is None:
                checked.scratch.add_round(one.load, one.line, one.round)
            else:
                checked.scratch.add_problem(one.load, one.line, one.problem)
        checked.scratch.end_check()
        _refuse_bad_rows(checked, skip_bad_rows=skip_bad_rows)
    except BaseException:
        checked.close()
        raise
    return checked


def _refuse_bad_rows(checked: Checked, *, skip_bad_rows: bool) -> None:
    for one in checked.loads:
        one.count()
    count = checked.scratch.problem_count()
    if count and not skip_bad_rows:
        raise _bad_input(list(itertools.islice(checked.problems(), SHOWN)), count)


def _bad_input(problems: Sequence[Problem], count: int) -> BadInput:
    return BadInput(problems[:SHOWN], count)


def _missing_columns(load: Load) -> Iterator[Problem]:
    for rows in (load, *load.children):
        columns = rows.source.columns()
        if columns is None:
            continue
        for field, column in named_columns(rows):
            if column not in columns:
                yield _no_column(rows, column, columns, field)


def _missing_match(load: Load) -> Iterator[Problem]:
    for child in load.children:
        for rows, side in ((child, 0), (load, 1)):
            columns = rows.source.columns()
            for pair in child.match:
                if columns is not None and pair[side] not in columns:
                    yield _no_column(rows, pair[side], columns, f"match of {child.field}")


def _no_column(rows: Rows, column: str, columns: Sequence[str], field: str) -> Problem:
    hint = did_you_mean(column, columns)
    if len(columns) == 1 and (found := re.search(r"[;\t|,]", columns[0])):
        hint = f'; its first line is the one column "{columns[0]}": say delimiter = {found[0]!r}'
    elif not hint:
        hint = f"; it has {', '.join(columns)[:200]}"
    return Problem(
        rows.source.name, 0, f"the file has no such column ({rows.where}){hint}", column, field
    )


def _read(checked: Checked, found: LoadCheck) -> None:
    load, number, scratch = found.load, found.number, checked.scratch
    name = load.source.name
    found.read_children()
    if load.children:
        scratch.children_are_there()
    earlier = checked.plan.loads[: number + 1]
    targets = {one.object for one in earlier if load.unknown_references == "refuse"}
    targets.add(load.object)  # who refers to rows of its own file goes behind them
    unseen = dict(_json_columns(load))
    for row in load.source.rows():
        found.rows += 1
        if isinstance(row, BadRow):
            scratch.add_problem(number, row.line, Problem(name, row.line, row.message))
            continue
        if unseen:
            for column in unseen.keys() & row.cells.keys():
                del unseen[column]
        children = found.children_of(row)
        record = found.record(row, children)
        for problem in record.problems:
            scratch.add_problem(number, row.line, problem)
        if children:
            found.claim(row, children)
        if record.key:
            scratch.add_key(number, record.key, row.line)
        for target, key, field in record.references:
            if target in targets:
                scratch.add_reference(number, target, key, row.line, field)
    if found.rows and unseen:
        column, field = min(unseen.items())
        raise BadFile(f'{name}: no row has the column "{column}" (field {field}, {load.where})')
    scratch.is_read(number)
    found.compare_children()
    _compare(checked, found, targets)


def _json_columns(load: Load) -> Iterator[tuple[str, str]]:
    """(column, field) of a file without header, to see whether any row has them."""
    if load.source.format == "jsonl":
        for field, column in named_columns(load):
            yield column, field


def _compare(checked: Checked, found: LoadCheck, targets: set[str]) -> None:
    """Find keys that are taken, references to nobody, and the order among rows of one file."""
    load, number, scratch = found.load, found.number, checked.scratch
    name = load.source.name
    loads = checked.plan.loads
    same = [
        one.number for one in checked.loads if one.load.object == load.object and one is not found
    ]
    for line, key, other, first in scratch.taken_keys(number, same):
        message = f'the key "{key}" is taken by {loads[other].source.name} row {first}'
        problem = Problem(name, line, message, field="external_key")
        scratch.add_problem(number, line, problem)
    hints = HINTS
    if load.unknown_references == "refuse":
        for target in sorted(targets):
            holders = [one.number for one in checked.loads if one.load.object == target]
            files = ", ".join(one.source.name for one in loads if one.object == target)
            near: list[str] = []
            for line, key, field in scratch.unknown_references(number, target, holders):
                hint = ""
                if hints:
                    hints -= 1
                    near = near or [key for one in holders for key in scratch.some_keys(one, 1000)]
                    hint = did_you_mean(key, near)
                message = f'"{key}" is the key of no row of {files}{hint}'
                scratch.add_problem(number, line, Problem(name, line, message, field=field))
    for line in scratch.number_rounds(number, load.object, same):
        message = "it refers to itself, by way of rows of its own file"
        scratch.add_problem(number, line, Problem(name, line, message))


__all__ = (
    "BadInput",
    "Checked",
    "Finding",
    "Forecast",
    "LoadCheck",
    "Remembered",
    "check",
    "recall",
)
