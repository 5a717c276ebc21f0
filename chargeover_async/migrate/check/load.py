"""What is known about one file of a plan, and what was found in its rows."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import msgspec

from chargeover_async.migrate.plan.columns import match_value
from chargeover_async.migrate.plan.plan import Children, Load
from chargeover_async.migrate.plan.record import Prepared, Preparer
from chargeover_async.migrate.rows import BadFile, BadRow, Problem, Row

from .scratch import Notes, Scratch


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
        self.digest = load.source.digest()
        self.child_digests = [child.source.digest() for child in load.children]
        self.rows = 0
        self.bad = 0  # how many of its rows must not be sent
        self.orphans = [0] * len(load.children)  # child rows without a parent
        self.rounds: dict[int, int] = {}  # how many rows are sent in each round from 1 on
        self._scratch = scratch
        self._child_columns = [[child for child, _ in rows.match] for rows in load.children]
        self._parent_columns = [[parent for _, parent in rows.match] for rows in load.children]
        self._has_children = [False] * len(load.children)
        self._make = Preparer(load)

    @property
    def operations(self) -> int:
        """Rows that stand for a record, orphans among the child rows included."""
        return self.rows + sum(self.orphans)

    def children_of(self, row: Row) -> dict[str, list[Row]]:
        """The child rows of a row, by field."""
        if not self._has_children:
            return {}
        found: dict[str, list[Row]] = {}
        for i, children in enumerate(self.load.children):
            value = match_value(self._parent_columns[i], row)
            rows = self._scratch.children(self.child_numbers[i], value)
            found[children.field] = rows if self._has_children[i] else []
        return found

    def prepare(self, row: Row, children: dict[str, list[Row]] | None = None) -> Prepared:
        """The record that a row stands for; its child rows are looked for unless they are given."""
        return self._make(row, self.children_of(row) if children is None else children)

    def claim(self, row: Row, children: dict[str, list[Row]]) -> None:
        """Note that the child rows of ``row`` have a parent."""
        for i, rows in enumerate(self.load.children):
            if children[rows.field]:
                value = match_value(self._parent_columns[i], row)
                self._scratch.add_claim(self.child_numbers[i], value, row.line)

    def read_children(self) -> None:
        """Keep the rows of all child files."""
        for i, child in enumerate(self.load.children):
            name = child.source.name
            for row in child.source.rows():
                if isinstance(row, BadRow):
                    # Whose child it was cannot be known, so no parent can be sent with certainty.
                    raise BadFile(f"{name} row {row.line}: {row.message}")
                value = match_value(self._child_columns[i], row)
                self._scratch.add_child(self.child_numbers[i], value, row)
                self._has_children[i] = True

    def compare_children(self) -> None:
        """Find parents that share their children, and children without a parent."""
        name = self.load.source.name
        for i, rows in enumerate(self.load.children):
            number = self.child_numbers[i]
            for line, first in self._scratch.two_parents(number):
                column = ", ".join(self._parent_columns[i])
                message = f"row {first} has the same value, so {rows.field} have two parents"
                self._scratch.add_problem(self.number, line, Problem(name, line, message, column))
            columns = ", ".join(self._child_columns[i])
            for line, value in self._scratch.orphans(number):
                shown = ", ".join(f'"{part}"' for part in value)
                message = f"{shown} is in no row of {name}: it has no parent"
                problem = Problem(rows.source.name, line, message, columns)
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
        for i, rows in enumerate(self.load.children):
            number = self.child_numbers[i]
            for line, problem in self._scratch.problems(number):
                yield number, rows, self._scratch.child(number, line), problem


__all__ = ("Done", "LoadCheck")
