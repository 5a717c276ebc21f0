"""What a check has found in all files of a plan, and what an import of them will take."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from chargeover_async.errors import UsageError
from chargeover_async.migrate.plan.columns import used_columns
from chargeover_async.migrate.plan.plan import Plan, Rows
from chargeover_async.migrate.rows import Held, Problem, Source

from .load import Done, LoadCheck
from .scratch import Scratch

BATCH = 25  # operations in one _bulk request (vendor's text, "Batch requests")
REQUESTS_PER_MINUTE = 250  # the default quota (vendor's text, "Rate limiting")

SHOWN = 50  # problems in one message; enough to see the pattern

R = TypeVar("R", bound=Rows)


class BadInput(UsageError):
    """The files cannot be imported as they are; nothing was sent.

    ``problems`` are the first ones, ``count`` is how many there are.
    """

    def __init__(self, problems: Sequence[Problem], count: int) -> None:
        lines = [*map(str, problems)]
        if count > len(lines):
            lines.append(f"... and {count - len(lines)} more")
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)
        self.count = count


class Forecast(msgspec.Struct, frozen=True):
    """What an import will take: ``requests`` in full batches, ``seconds`` at 250 a minute.

    ``before`` of the operations were settled by earlier runs with the same journal. ``warnings``
    are the first of what is sent although it may not be meant, ``problems`` of what is not sent.
    """

    operations: int
    requests: int
    seconds: float
    bad_rows: int
    before: int = 0
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()


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


class Checked:
    """The result of the first reading. It holds a temporary file until `close`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loads: list[LoadCheck] = []
        self.fatal: list[Problem] = []
        self.scratch = Scratch(len(plan.loads))
        self._measured: dict[Held, Held] = {}
        self._warnings: list[Problem] = []

    def warn(self, problem: Problem) -> None:
        """Something is as likely a mistake as not."""
        if len(self._warnings) < SHOWN:
            self._warnings.append(problem)

    def close(self) -> None:
        """Give the temporary file back."""
        self.scratch.close()

    def load_check(self, index: int) -> LoadCheck:
        """What is to be known of a load; raises BadFile if it cannot be read."""
        before = sum(len(load.children) for load in self.plan.loads[:index])
        begin = len(self.plan.loads) + before
        load = self.plan.loads[index]
        children = tuple(self._measure(child) for child in load.children)
        load = msgspec.structs.replace(self._measure(load), children=children)
        return LoadCheck(load, index, range(begin, begin + len(load.children)), self.scratch)

    def _measure(self, rows: R) -> R:
        """With its file as it is now: what is checked is what will be sent."""
        held = rows.source.held
        if held in self._measured:
            source = msgspec.structs.replace(rows.source, held=self._measured[held])
        else:
            source = rows.source.measure()
            self._measured[held] = source.held
        source = msgspec.structs.replace(source, wanted=used_columns(rows))
        return msgspec.structs.replace(rows, source=source)

    @property
    def operations(self) -> int:
        """Rows that stand for a record, bad ones and orphans among the child rows included."""
        return sum(load.operations for load in self.loads)

    def inputs(self) -> Iterator[tuple[str, Source, str, int]]:
        """(object, source, digest, rows) of every file, loads first, then the files of children.

        Of a file of children only the rows without a parent count.
        """
        for load in self.loads:
            yield load.load.object, load.load.source, load.digest, load.rows
        for load in self.loads:
            for i, child in enumerate(load.load.children):
                digest = load.child_digests[i]
                yield f"{load.load.object}.{child.field}", child.source, digest, load.orphans[i]

    def findings(self) -> Iterator[Finding]:
        """Every problem and round, for a journal to keep."""
        for load in self.loads:
            for number in (load.number, *load.child_numbers):
                for line, problem in self.scratch.problems(number):
                    yield Finding(number, line, problem)
            for line, number in self.scratch.rounds(load.number):
                yield Finding(load.number, line, None, number)

    def problems(self) -> Iterator[Problem]:
        """Everything that is wrong, file by file."""
        yield from self.fatal
        for load in self.loads:
            yield from load.problems()

    def stages(self) -> list[list[tuple[int, int]]]:
        """What may be sent at the same time, as (index of the load, round), stage after stage.

        A load that refers to records of an earlier one starts when that is settled; loads that do
        not are sent together, so that no batch leaves half empty between them.
        """
        stages: list[list[tuple[int, int]]] = [[]]
        objects: set[str] = set()
        for index, found in enumerate(self.loads):
            if found.load.references() & objects:
                stages.append([])
                objects = set()
            for number in range(1 + max(found.rounds, default=0)):
                if number:
                    stages.append([])
                    objects = set()
                stages[-1].append((index, number))
            objects.add(found.load.object)
        return stages

    def forecast(self, done: Sequence[Done] = ()) -> Forecast:
        """The requests that the good rows need, one for the first contact included.

        ``done`` tells for each load what earlier runs have settled.
        """
        requests = 1
        for stage in self.stages():
            rows = 0
            for index, number in stage:
                load = self.loads[index]
                if number:
                    rows += load.rounds[number]
                else:
                    rows += load.rows - load.bad - sum(load.rounds.values())
                if done:
                    rows -= done[index].rounds.get(number, 0)
            requests += math.ceil(rows / BATCH)
        bad = sum(load.bad + sum(load.orphans) for load in self.loads)
        seconds = requests * 60 / REQUESTS_PER_MINUTE
        before = sum(load.rows for load in done)
        warnings, problems = tuple(self._warnings), tuple(itertools.islice(self.problems(), SHOWN))
        return Forecast(self.operations, requests, seconds, bad, before, warnings, problems)


__all__ = ("SHOWN", "BadInput", "Checked", "Finding", "Forecast", "Remembered")
