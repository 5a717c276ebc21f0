"""The first reading of all files: everything that can be known before anything is sent.

Memory does not grow with the files: keys, references, mistakes and the rows of child files are kept
on disk (`scratch`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from chargeover_async._hints import did_you_mean
from chargeover_async.migrate.plan.columns import list_columns
from chargeover_async.migrate.plan.look import look_of
from chargeover_async.migrate.plan.plan import Load, Plan, Rows
from chargeover_async.migrate.rows import BadFile, BadRow, Problem

from .found import SHOWN, BadInput, Checked, Remembered
from .load import LoadCheck

HINTS = 50  # unknown references for which a near key is looked for


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


def recheck(plan: Plan, known: Remembered, *, skip_bad_rows: bool = False) -> Checked:
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
        for finding in known.findings:
            if finding.problem is None:
                checked.scratch.add_round(finding.load, finding.line, finding.round)
            else:
                checked.scratch.add_problem(finding.load, finding.line, finding.problem)
        checked.scratch.end_check()
        _refuse_bad_rows(checked, skip_bad_rows=skip_bad_rows)
    except BaseException:
        checked.close()
        raise
    return checked


def _refuse_bad_rows(checked: Checked, *, skip_bad_rows: bool) -> None:
    for found in checked.loads:
        found.count()
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
        for field, column in list_columns(rows):
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
    targets = {other.object for other in earlier if load.unknown_references == "refuse"}
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
        prepared = found.prepare(row, children)
        for problem in prepared.problems:
            scratch.add_problem(number, row.line, problem)
        if children:
            found.claim(row, children)
        if key := prepared.key:
            scratch.add_key(number, key, row.line)
            if (" " in key or not key.isascii()) and (look := look_of(key)) != key:
                scratch.add_look(number, load.object, look, key, row.line)
        for target, key, field in prepared.references:
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
        for field, column in list_columns(load):
            yield column, field


def _compare(checked: Checked, found: LoadCheck, targets: set[str]) -> None:
    """Find keys that are taken, references to nobody, and the order among rows of one file."""
    load, number, scratch = found.load, found.number, checked.scratch
    name = load.source.name
    loads = checked.plan.loads
    same = [
        other.number
        for other in checked.loads
        if other.load.object == load.object and other is not found
    ]
    for line, key, other, first in scratch.taken_keys(number, same):
        message = f'the key "{key}" is taken by {loads[other].source.name} row {first}'
        problem = Problem(name, line, message, field="external_key", is_duplicate=True)
        scratch.add_problem(number, line, problem)
    for line, key, other, second, twin in scratch.lookalikes(number, load.object, same):
        late, early = (line, key), (second, twin)
        if other == number and second > line:
            late, early = early, late
        message = (
            f"the key {late[1]!a} looks like {early[1]!a} of {loads[other].source.name} row "
            f"{early[0]}: two records are made of them"
        )
        checked.warn(Problem(name, late[0], message, field="external_key"))
    hints = HINTS
    if load.unknown_references == "refuse":
        for target in sorted(targets):
            holders = [other.number for other in checked.loads if other.load.object == target]
            files = ", ".join(other.source.name for other in loads if other.object == target)
            near: list[str] = []
            for line, key, field in scratch.unknown_references(number, target, holders):
                hint = ""
                if hints:
                    hints -= 1
                    near = near or [
                        key for holder in holders for key in scratch.some_keys(holder, 1000)
                    ]
                    hint = did_you_mean(key, near)
                message = f'"{key}" is the key of no row of {files}{hint}'
                problem = Problem(name, line, message, field=field, is_unknown=True)
                scratch.add_problem(number, line, problem)
    for line in scratch.number_rounds(number, load.object, same):
        message = "it refers to itself, by way of rows of its own file"
        scratch.add_problem(number, line, Problem(name, line, message))


__all__ = ("check", "recheck")
