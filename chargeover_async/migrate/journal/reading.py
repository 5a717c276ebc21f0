"""What a journal knows, also while a job writes it: to go on, and to look into it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from chargeover_async.errors import JournalError
from chargeover_async.migrate.check.found import Finding, Remembered
from chargeover_async.migrate.mask import printable
from chargeover_async.migrate.plan.plan import Plan, plan_digest
from chargeover_async.migrate.rows import Problem

from .file import VERSION, is_begun, journal_errors, lock_of, open_to_read

Verb = Literal["create", "update"]
FINAL = frozenset({"created", "updated", "existing", "refused", "not_sent"})
IN_DOUBT = frozenset({"sent", "unknown"})
NEVER: tuple[str, Verb] = ("", "create")  # state and verb of a row that was never under way
CHUNK = 20_000  # rows read at a time, so that no reading holds up the tidying of the log

_decode_problem = msgspec.json.Decoder(Problem).decode

_THERE = """
FROM rows WHERE load = ? AND row BETWEEN ? AND ? AND state IN ('created', 'updated', 'existing')
"""
_ROW = """
SELECT l.file, r.row, l.object, r.key, r.state, r.verb, r.id, r.error, r.message, r.data,
  r.sends, r.sent_at, r.settled_at, r.load FROM rows r JOIN loads l USING (load)
"""


class Input(msgspec.Struct, frozen=True):
    """One file of a plan, as a journal is bound to it: ``stamp`` changes with its contents."""

    object: str
    file: str
    stamp: str
    rows: int


class JournalRow(msgspec.Struct, frozen=True):
    """All that a journal knows of a row; times in seconds since 1970, UTC.

    ``data`` is what was sent, masked, as JSON text; kept for rows in state ``unknown``.
    """

    file: str
    row: int
    object: str
    key: str
    state: str
    verb: str
    id: int | None
    error: str | None
    message: str | None
    data: str | None
    sends: int
    sent_at: float | None
    settled_at: float | None
    load: int


class JournalLoad(msgspec.Struct, frozen=True):
    """Where one file stands: ``rows`` in all, and how many are in which state."""

    object: str
    file: str
    rows: int
    states: dict[str, int]

    @property
    def untouched(self) -> int:
        """Rows that were never under way."""
        return max(0, self.rows - sum(self.states.values()))


class JournalState(msgspec.Struct, frozen=True):
    """Where a job stands. ``running`` says who has it in hand now, ``""`` for nobody."""

    path: str
    version: int
    created: str
    account: str
    plan: str
    running: str
    loads: tuple[JournalLoad, ...]


def count_settled(
    path: Path, plan: str, plan_name: str, inputs: Sequence[Input]
) -> dict[int, int] | None:
    """How many rows of each file are settled in the journal at ``path``; None if it is not begun.

    Raises JournalError as `Journal.bind` does for one that does not belong to plan and inputs.
    """
    if not is_begun(path):
        return None
    with journal_errors(path, "read"), open_reader(path) as reader:
        if not reader.execute("SELECT count(*) FROM meta WHERE name = 'plan'").fetchone()[0]:
            return None
        refuse_changed(reader, path, plan, plan_name, inputs)
        counts = count_states(reader)
    return {
        load: sum(count for state, count in states.items() if state in FINAL)
        for load, states in counts.items()
    }


def refuse_changed(
    connection: sqlite3.Connection, path: Path, plan: str, plan_name: str, inputs: Sequence[Input]
) -> None:
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    changed = "" if meta["plan"] == plan else f"the plan {plan_name} has changed"
    held = connection.execute("SELECT object, file, stamp, rows FROM loads ORDER BY load")
    if not changed:
        for was, now in zip(held.fetchall(), inputs, strict=True):
            if Input(*was) != now:
                changed = f"{now.file} has changed"
                break
    if changed:
        raise JournalError(
            f"{changed} since the journal {path} was begun on {meta['created']}. "
            "Either put it back as it was, to go on; or begin anew with another journal: rows "
            "that have a key and are there already are then found by it "
            "(--continue-on-existing). Settle unknown rows first (journal show --unknown)"
        )


class States:
    """The states of the rows of one load, read in chunks along with the file.

    They must be asked in rising order of rows.
    """

    def __init__(self, path: Path, load: int) -> None:
        self._path = path
        self._load = load
        self._there: Container[int] = ()
        self._others: dict[int, tuple[str, Verb]] = {}
        self._known_to = -1

    def is_there(self, row: int) -> bool:
        """Whether the record of a row is there for good."""
        if row > self._known_to:
            self._read(row)
        return row in self._there

    def of(self, row: int) -> tuple[str, Verb]:
        """State and verb of a row that is not there; ``""`` for one that was never under way."""
        if row > self._known_to:
            self._read(row)
        return self._others.get(row, NEVER)

    def is_settled(self, row: int) -> bool:
        """Whether nothing is to be done with a row any more."""
        return self.is_there(row) or self.of(row)[0] in FINAL

    def _read(self, row: int) -> None:
        self._known_to = row + CHUNK - 1
        span = (self._load, row, self._known_to)
        with journal_errors(self._path, "read"), open_reader(self._path) as reader:
            count, low, high = reader.execute(
                f"SELECT count(*), min(row), max(row) {_THERE}", span
            ).fetchone()
            if count and count == high - low + 1:  # as a rule, and much faster
                self._there = range(low, high + 1)
            else:
                there = reader.execute(f"SELECT row {_THERE}", span)
                self._there = frozenset(row for (row,) in there)
            others = reader.execute(
                "SELECT row, state, verb FROM rows WHERE load = ? AND row BETWEEN ? AND ? "
                "AND state NOT IN ('created', 'updated', 'existing')",
                span,
            )
            self._others = {row: (state, verb) for row, state, verb in others}


def recall_check(plan: Plan, path: Path) -> Remembered | None:
    """What the journal at ``path`` keeps of the check of this plan and these very files, if so."""
    if not is_begun(path):
        return None
    files = [*plan.loads, *(child for load in plan.loads for child in load.children)]
    digests = [rows.source.digest() for rows in files]
    with journal_errors(path, "read"), open_reader(path) as reader:
        meta = dict(reader.execute("SELECT name, value FROM meta WHERE name = 'plan'"))
        held = reader.execute("SELECT stamp, rows FROM loads ORDER BY load").fetchall()
    if meta.get("plan") != plan_digest(plan) or [stamp for stamp, _ in held] != digests:
        return None
    return Remembered(tuple(rows for _, rows in held), _findings(path))


def _findings(path: Path) -> Iterator[Finding]:
    with journal_errors(path, "read"), open_reader(path) as reader:
        for load, line, number, text in reader.execute(
            "SELECT load, row, round, problem FROM findings ORDER BY rowid"
        ):
            problem = None if text is None else _decode_problem(text)
            yield Finding(load, line, problem, number)


def read_state(path: Path) -> JournalState:
    """Where the job of a journal stands, also while it runs; raises JournalError."""
    with journal_errors(path, "read"), open_reader(path) as reader:
        meta = dict(reader.execute("SELECT name, value FROM meta"))
        counts = count_states(reader)
        loads = tuple(
            JournalLoad(name, file, rows, counts.get(load, {}))
            for load, name, file, rows in reader.execute(
                "SELECT load, object, file, rows FROM loads ORDER BY load"
            )
        )
    return JournalState(
        path=printable(str(path)),
        version=VERSION,
        created=meta.get("created", ""),
        account=meta.get("account", ""),
        plan=meta.get("plan_name", ""),
        running=meta.get("owner", "") if _is_held(path) else "",
        loads=loads,
    )


def read_rows(path: Path, states: Iterable[str] | None = None) -> Iterator[JournalRow]:
    """The rows of a journal in the order of the input, those in ``states`` or all."""
    wanted = None if states is None else sorted(states)
    where = "" if wanted is None else f" AND r.state IN ({', '.join('?' * len(wanted))})"
    statement = f"{_ROW} WHERE (r.load, r.row) > (?, ?){where} ORDER BY r.load, r.row LIMIT {CHUNK}"
    after = (-1, -1)
    while True:
        with journal_errors(path, "read"), open_reader(path) as reader:
            found = reader.execute(statement, (*after, *(wanted or ()))).fetchall()
        for row in found:
            yield JournalRow(*row)
        if len(found) < CHUNK:
            return
        after = (found[-1][-1], found[-1][1])


def count_states(reader: sqlite3.Connection) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = {}
    for load, state, number in reader.execute(
        "SELECT load, state, count(*) FROM rows GROUP BY load, state"
    ):
        counts.setdefault(load, {})[state] = number
    return counts


def _is_held(path: Path) -> bool:
    lock = lock_of(path)
    if not lock.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(lock, isolation_level=None, timeout=0)) as reader:
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return True
    return False


@contextlib.contextmanager
def open_reader(path: Path) -> Generator[sqlite3.Connection]:
    with contextlib.closing(open_to_read(path)) as reader:
        yield reader


__all__ = (
    "Input",
    "JournalLoad",
    "JournalRow",
    "JournalState",
    "States",
    "count_settled",
    "read_rows",
    "read_state",
    "recall_check",
)
