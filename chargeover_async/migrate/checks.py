"""The first reading of all files: everything that can be known before anything is sent.

Memory: the external keys of all rows with their row numbers, all rows of child files, and what is
wrong with the bad rows. The rows of the main files are not kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from chargeover_async.errors import UsageError

from ._names import did_you_mean
from .mapping import Problem, Record, map_record, match_value, named_columns
from .plan import Children, Load, Plan, Rows
from .sources import BadFile, BadRow, Row, Source

BATCH = 25  # operations in one _bulk request (vendor's text, "Batch requests")
REQUESTS_PER_MINUTE = 250  # the default quota (vendor's text, "Rate limiting")
SHOWN = 50  # problems in one message; enough to see the pattern

Place = tuple[int, int]  # index of the load, line of its file
Reference = tuple[str, str, str]  # object, key, field


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
    """What an import will take: ``requests`` in full batches, ``seconds`` at 250 a minute."""

    operations: int
    requests: int
    seconds: float
    bad_rows: int


class LoadCheck:
    """What is known about one load.

    ``bad`` maps the line of a row that must not be sent to its problems, ``rounds`` the line of a
    row that refers to a row of its own file to how many rows must be done before it. ``orphans``
    are child rows without a parent.
    """

    def __init__(self, load: Load) -> None:
        self.load = load
        self.stamp = load.source.stamp()
        self.digest = load.source.digest()
        self.child_digests = [one.source.digest() for one in load.children]
        self.rows = 0
        self.bad: dict[int, tuple[Problem, ...]] = {}
        self.rounds: dict[int, int] = {}
        self.orphans: list[tuple[Children, Row, Problem]] = []
        self._children = [_ChildRows(one) for one in load.children]

    def children_of(self, row: Row) -> dict[str, list[Row]]:
        """The child rows of a row, by field."""
        return {one.children.field: one.of(row) for one in self._children}

    def claim(self, row: Row) -> list[Problem]:
        """Note that the child rows of ``row`` have a parent; a second parent is a problem."""
        found = (one.claim(row, self.load) for one in self._children)
        return [one for one in found if one is not None]

    def find_orphans(self) -> None:
        """Fill ``orphans``, once all rows have been read."""
        for one in self._children:
            self.orphans += one.orphans(self.load)


class Checked:
    """The result of the first reading."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loads: list[LoadCheck] = []
        self.fatal: list[Problem] = []
        self.keys: dict[str, dict[str, Place]] = {}

    @property
    def operations(self) -> int:
        """Rows that stand for a record, bad ones and orphans among the child rows included."""
        return sum(one.rows + len(one.orphans) for one in self.loads)

    def inputs(self) -> Iterator[tuple[str, Source, str, int]]:
        """(object, source, digest, rows) of every file, loads first, then the files of children."""
        for one in self.loads:
            yield one.load.object, one.load.source, one.digest, one.rows
        for one in self.loads:
            for child, digest in zip(one.load.children, one.child_digests, strict=True):
                orphans = sum(1 for children, _, _ in one.orphans if children is child)
                yield f"{one.load.object}.{child.field}", child.source, digest, orphans

    def orphan_loads(self) -> list[range]:
        """For each load, the numbers of its child files in the order of `inputs`."""
        numbers, begin = list[range](), len(self.loads)
        for one in self.loads:
            numbers.append(range(begin, begin + len(one.load.children)))
            begin += len(one.load.children)
        return numbers

    def journal_load(self, index: int, children: Children | None) -> int:
        """The place in `inputs` of a load, or of one of its child files."""
        if children is None:
            return index
        return self.orphan_loads()[index][self.plan.loads[index].children.index(children)]

    def problems(self) -> Iterator[Problem]:
        """Everything that is wrong, file by file."""
        yield from self.fatal
        for one in self.loads:
            for found in one.bad.values():
                yield from found
            for _, _, problem in one.orphans:
                yield problem

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
            for number in range(1 + max(one.rounds.values(), default=0)):
                if number:
                    stages.append([])
                    objects = set()
                stages[-1].append((index, number))
            objects.add(one.load.object)
        return stages

    def forecast(self) -> Forecast:
        """The requests that the good rows need, one for the first contact included."""
        requests = 1
        for stage in self.stages():
            rows = 0
            for index, number in stage:
                one = self.loads[index]
                if number:
                    rows += sum(1 for found in one.rounds.values() if found == number)
                else:
                    rows += one.rows - len(one.bad) - len(one.rounds)
            requests += math.ceil(rows / BATCH)
        bad = sum(len(one.bad) + len(one.orphans) for one in self.loads)
        seconds = requests * 60 / REQUESTS_PER_MINUTE
        return Forecast(self.operations, requests, seconds, bad)


def check(plan: Plan, *, skip_bad_rows: bool = False) -> Checked:
    """Read every file of ``plan`` and check every row; nothing is sent.

    Raises BadInput with all that is wrong; with ``skip_bad_rows`` only for what is wrong with a
    file as a whole (unreadable, a missing column).
    """
    checked = Checked(plan)
    for index, load in enumerate(plan.loads):
        try:
            found = LoadCheck(load)
            missing = [*_missing_columns(load), *_missing_match(load)]
            if missing:
                checked.fatal += missing
                continue
            checked.loads.append(found)
            _read(checked, index, found)
        except BadFile as error:
            checked.fatal.append(Problem("", 0, error.message))
    if checked.fatal:
        raise _bad_input(checked.fatal)
    if not skip_bad_rows:
        problems = list(checked.problems())
        if problems:
            raise _bad_input(problems)
    return checked


def _bad_input(problems: Sequence[Problem]) -> BadInput:
    return BadInput(problems[:SHOWN], len(problems))


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
    return Problem(
        rows.source.name, 0, f"the file has no such column ({rows.where}){hint}", column, field
    )


def _read(checked: Checked, index: int, found: LoadCheck) -> None:
    load = found.load
    name = load.source.name
    own = checked.keys.setdefault(load.object, {})
    unseen = dict(_json_columns(load))
    parents: dict[int, list[tuple[str, str]]] = {}
    for row in load.source.rows():
        found.rows += 1
        if isinstance(row, BadRow):
            found.bad[row.line] = (Problem(name, row.line, row.message),)
            continue
        for column in unseen.keys() & row.cells.keys():
            del unseen[column]
        record = map_record(load, row, found.children_of(row))
        problems = [*record.problems, *found.claim(row)]
        if record.key:
            problems += _note_key(checked, index, record)
        for target, key, field in record.references:
            if target == load.object and own.get(key, (index, 0))[0] == index:
                parents.setdefault(row.line, []).append((key, field))
            elif _is_unknown(checked, index, target, key):
                problems.append(_unknown(checked, load, row.line, (target, key, field)))
        if problems:
            found.bad[row.line] = tuple(problems)
    if found.rows and unseen:
        column, field = min(unseen.items())
        raise BadFile(f'{name}: no row has the column "{column}" (field {field}, {load.where})')
    found.find_orphans()
    _rounds(checked, found, parents)


def _json_columns(load: Load) -> Iterator[tuple[str, str]]:
    """(column, field) of a file without header, to see whether any row has them."""
    if load.source.format == "jsonl":
        for field, column in named_columns(load):
            yield column, field


def _note_key(checked: Checked, index: int, record: Record) -> Iterator[Problem]:
    load = checked.plan.loads[index]
    here = (index, record.row.line)
    first = checked.keys[load.object].setdefault(record.key, here)
    if first != here:
        other = checked.plan.loads[first[0]].source.name
        message = f'the key "{record.key}" is taken by {other} row {first[1]}'
        yield Problem(load.source.name, record.row.line, message, field="external_key")


def _is_unknown(checked: Checked, index: int, target: str, key: str) -> bool:
    load = checked.plan.loads[index]
    loaded = any(one.object == target for one in checked.plan.loads[: index + 1])
    refuse = load.unknown_references == "refuse"
    return loaded and refuse and key not in checked.keys.get(target, {})


def _unknown(checked: Checked, load: Load, line: int, reference: Reference) -> Problem:
    target, key, field = reference
    files = [one.source.name for one in checked.plan.loads if one.object == target]
    near = did_you_mean(key, list(checked.keys.get(target, {}))[:1000])
    message = f'"{key}" is the key of no row of {", ".join(files)}{near}'
    return Problem(load.source.name, line, message, field=field)


def _rounds(checked: Checked, found: LoadCheck, parents: dict[int, list[tuple[str, str]]]) -> None:
    """Number the rows that refer to rows of their own file, so that parents go first."""
    load = found.load
    own = checked.keys[load.object]
    name = load.source.name
    above: dict[int, list[int]] = {}
    for line, references in parents.items():
        for key, field in references:
            place = own.get(key)
            if place is not None:
                above.setdefault(line, []).append(place[1])
            elif load.unknown_references == "refuse":
                problem = _unknown(checked, load, line, (load.object, key, field))
                found.bad[line] = (*found.bad.get(line, ()), problem)
    waiting = set(above)
    number = 0
    while waiting:
        number += 1
        ready = {line for line in waiting if not any(one in waiting for one in above[line])}
        if not ready:
            for line in sorted(waiting):
                message = "it refers to itself, by way of rows of its own file"
                found.bad[line] = (*found.bad.get(line, ()), Problem(name, line, message))
            return
        for line in ready:
            if line not in found.bad:
                found.rounds[line] = number
        waiting -= ready


class _ChildRows:
    """The rows of a child file by what pairs them with their parent; all in memory."""

    def __init__(self, children: Children) -> None:
        self.children = children
        self._parent_columns = [parent for _, parent in children.match]
        child_columns = [child for child, _ in children.match]
        self._rows: dict[tuple[str, ...], list[Row]] = {}
        self._claimed: dict[tuple[str, ...], int] = {}
        name = children.source.name
        for row in children.source.rows():
            if isinstance(row, BadRow):
                # Whose child it was cannot be known, so no parent can be sent with certainty.
                raise BadFile(f"{name} row {row.line}: {row.message}")
            self._rows.setdefault(match_value(child_columns, row), []).append(row)

    def of(self, row: Row) -> list[Row]:
        return self._rows.get(match_value(self._parent_columns, row), [])

    def claim(self, row: Row, load: Load) -> Problem | None:
        value = match_value(self._parent_columns, row)
        if value not in self._rows:
            return None
        first = self._claimed.setdefault(value, row.line)
        if first == row.line:
            return None
        column = ", ".join(self._parent_columns)
        message = f"row {first} has the same value, so {self.children.field} have two parents"
        return Problem(load.source.name, row.line, message, column)

    def orphans(self, load: Load) -> Iterator[tuple[Children, Row, Problem]]:
        columns = ", ".join(child for child, _ in self.children.match)
        name = self.children.source.name
        for value, rows in self._rows.items():
            if value not in self._claimed:
                for row in rows:
                    shown = ", ".join(f'"{one}"' for one in value)
                    message = f"{shown} is in no row of {load.source.name}: it has no parent"
                    yield self.children, row, Problem(name, row.line, message, columns)


__all__ = ("BadInput", "Checked", "Forecast", "LoadCheck", "check")
