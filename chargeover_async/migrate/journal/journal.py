"""The journal of an import: what is about to be sent, before it is; what came of it, afterwards.

One SQLite file. It holds for each row that was ever under way: its place in the input, its key, and
its state. What a row is sent as follows from the plan and the files, to which a journal is bound.
Card and bank numbers and secrets are masked or left out; the data of a row is kept, masked, only
where somebody must look at it.

States of a row: ``sent`` (no answer yet), ``created``, ``updated``, ``existing``, ``refused``,
``not_sent`` (never will be: it refers to a row that failed, or is bad), ``unknown`` (it may be
there), ``open`` (surely not there: it is sent when the import goes on). A row without an entry was
never under way.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import time
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from chargeover_async.errors import JournalError, UsageError
from chargeover_async.migrate.check.check import Finding, Remembered
from chargeover_async.migrate.mask import masked_payload, masked_text
from chargeover_async.migrate.plan.plan import Plan, plan_digest
from chargeover_async.migrate.plan.record import Problem

from .file import (
    VERSION,
    Lock,
    journal_errors,
    lock_of,
    open_to_read,
    open_to_write,
    owner,
)
from .writer import Line, Writer, forget

Verb = Literal["create", "update"]
FINAL = frozenset({"created", "updated", "existing", "refused", "not_sent"})
IN_DOUBT = frozenset({"sent", "unknown"})
NEVER: tuple[str, Verb] = ("", "create")  # state and verb of a row that was never under way
CHUNK = 20_000  # rows read at a time, so that no reading holds up the tidying of the log

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode_problem = msgspec.json.Decoder(Problem).decode


# What stands before the rows, a row, and what stands behind; see `Writer`.
_SENDING = (
    "INSERT INTO rows (load, row, key, verb, sent_at, state, sends) VALUES",
    "(?, ?, ?, ?, ?, 'sent', 1)",
    """
ON CONFLICT (load, row) DO UPDATE SET state = 'sent', verb = excluded.verb, sends = sends + 1,
  sent_at = excluded.sent_at, id = NULL, error = NULL, message = NULL, data = NULL,
  settled_at = NULL
""",
)
_SETTLED = (
    """
INSERT INTO rows (load, row, key, state, verb, id, error, message, data, settled_at, sends) VALUES
""",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
    """
ON CONFLICT (load, row) DO UPDATE SET state = excluded.state, id = excluded.id,
  error = excluded.error, message = excluded.message, data = excluded.data,
  settled_at = excluded.settled_at
""",
)
_OUTBOX = ("INSERT OR REPLACE INTO outbox (load, row, line) VALUES", "(?, ?, ?)", "")
_THERE = """
FROM rows WHERE load = ? AND row BETWEEN ? AND ? AND state IN ('created', 'updated', 'existing')
"""
_ROW = """
SELECT l.file, r.row, l.object, r.key, r.state, r.verb, r.id, r.error, r.message, r.data,
  r.sends, r.sent_at, r.settled_at, r.load FROM rows r JOIN loads l USING (load)
"""


class Sent(msgspec.Struct, frozen=True):
    """A row that is about to be sent: ``load`` is the index of its file in the plan."""

    load: int
    row: int
    key: str
    verb: Verb


class Settled(msgspec.Struct, frozen=True):
    """What came of a row; ``line`` is its entry for the failure file, if it has one."""

    load: int
    row: int
    key: str
    verb: Verb
    state: str
    payload: dict[str, Any] | None = None
    id: int | None = None
    error: str | None = None
    message: str | None = None
    line: str = ""


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


class Journal:
    """A journal that is open for writing, by one process at a time; use it with ``with``.

    Raises JournalError on entering when another process has it, or it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Lock | None = None
        self._connection: Any = None
        self._writer: Writer | None = None
        self.was_begun = False  # by an earlier run

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo, journal_errors(self.path, "opened"):
            self._lock = Lock(self.path)
            undo.callback(self._lock.release)
            self._connection = open_to_write(self.path)
            undo.callback(self._connection.close)
            self._set(owner=owner(), touched=_now())
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.finish()
        except JournalError:
            if error is None:
                raise
        finally:
            self._connection.close()
            assert self._lock is not None
            self._lock.release()

    # -- what it belongs to --------------------------------------------------------------------

    def bind(
        self,
        plan: str,
        plan_name: str,
        account: str,
        inputs: Sequence[Input],
        findings: Iterable[Finding],
    ) -> bool:
        """Tie a new journal to a plan, an account and inputs, or see that it belongs to them.

        ``findings`` of the check are kept with a new one. Returns whether it was begun before.
        Raises JournalError that says what has changed, and what can be done.
        """
        meta = self._meta()
        with journal_errors(self.path, "written"):
            if "plan" not in meta:
                with self._transaction():
                    self._connection.executemany(
                        "INSERT INTO loads VALUES (?, ?, ?, ?, ?)",
                        [
                            (i, one.object, one.file, one.stamp, one.rows)
                            for i, one in enumerate(inputs)
                        ],
                    )
                    self._connection.executemany(
                        "INSERT INTO findings VALUES (?, ?, ?, ?)", map(_kept, findings)
                    )
                    self._set(plan=plan, plan_name=plan_name, account=account, created=_now())
                return False
        if meta["account"] != account:
            raise JournalError(
                f"the journal {self.path} is of an import into {meta['account']}, not into "
                f"{account}; name another journal"
            )
        _refuse_changed(self._connection, self.path, plan, plan_name, inputs)
        self.was_begun = True
        return True

    def knows(self, path: Path) -> bool:
        """Whether a failure file or a results file was written by this import."""
        return f"writes:{path.absolute()}" in self._meta()

    def will_write(self, path: Path) -> None:
        """Note that a file is written by this import."""
        with journal_errors(self.path, "written"):
            self._set(**{f"writes:{path.absolute()}": _now()})

    def start(
        self,
        append: Callable[[list[str]], None] | None,
        failures: Path | None,
        has_line: Callable[[str], bool],
    ) -> None:
        """Begin to write: with the lines that a killed process could not append any more.

        ``append`` writes lines to the failure file ``failures``; ``has_line`` says whether it has
        one already.
        """
        with journal_errors(self.path, "written"):
            if append is not None and failures is not None:
                self.will_write(failures)
                left = self._connection.execute("SELECT load, row, line FROM outbox").fetchall()
                append([line for _, _, line in left if not has_line(line)])
                forget(self._connection, left)
        statements = (_SENDING, _SETTLED, _OUTBOX)
        self._writer = Writer(self._connection, self.path, statements, append)

    # -- while the job runs --------------------------------------------------------------------

    async def sending(self, rows: Iterable[Sent]) -> None:
        """Note rows that are about to be sent; returns when that is on disk."""
        assert self._writer is not None
        now = time.time()
        self._writer.add(
            _SENDING,
            [(one.load, one.row, masked_text(one.key), one.verb, now) for one in rows],
            (),
        )
        await self._writer.durable()

    def settled(self, rows: Iterable[Settled]) -> None:
        """Note what came of rows; it is on disk before anything else is sent."""
        assert self._writer is not None
        now, lines, values = time.time(), list[Line](), list[tuple[Any, ...]]()
        for one in rows:
            unknown = one.state == "unknown" and one.payload is not None
            values.append(
                (
                    one.load,
                    one.row,
                    masked_text(one.key),
                    one.state,
                    one.verb,
                    one.id,
                    one.error,
                    None if one.message is None else masked_text(one.message),
                    _encode(masked_payload(one.payload)).decode() if unknown else None,
                    now,
                )
            )
            if one.line:
                lines.append((one.load, one.row, one.line))
        self._writer.add(_SETTLED, values, ())
        if lines:
            self._writer.add(_OUTBOX, lines, lines)

    def finish(self) -> None:
        """Commit what is left; raises JournalError if something could not be written."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    # -- reading -------------------------------------------------------------------------------

    def counts(self) -> dict[int, dict[str, int]]:
        """For each load, how many rows are in which state."""
        with journal_errors(self.path, "read"), _reader(self.path) as reader:
            return _counts(reader)

    def states(self, load: int) -> States:
        """The states of the rows of one load, to be asked for in the order of the file."""
        return States(self.path, load)

    def load_of(self, file: str) -> int:
        """The number of the file with this name; raises UsageError if there is none, or two."""
        with journal_errors(self.path, "read"):
            found = self._connection.execute("SELECT load, file FROM loads").fetchall()
        loads = [load for load, name in found if name == file or str(load) == file]
        if len(loads) != 1:
            names = ", ".join(f"{load} = {name}" for load, name in found)
            raise UsageError(
                f"{file!r} names {'no file' if not loads else 'several files'} of the journal "
                f"{self.path}; name it by its number ({names})"
            )
        return int(loads[0])

    def resolve(self, load: int, row: int, identity: int | None) -> None:
        """Settle a row in doubt: it is there as the record ``identity``, or, if None, is not there.

        A row that is not there is sent when the import goes on. Raises UsageError for a row that is
        not in doubt.
        """
        with journal_errors(self.path, "written"), self._transaction():
            found = self._connection.execute(
                "SELECT state, verb FROM rows WHERE load = ? AND row = ?", (load, row)
            ).fetchone()
            if found is None or found[0] not in IN_DOUBT:
                state = "was never under way" if found is None else f"is {found[0]}"
                raise UsageError(f"row {row} is not in doubt: it {state}")
            done = "updated" if found[1] == "update" else "created"
            self._connection.execute(
                "UPDATE rows SET state = ?, id = ?, settled_at = ?, data = NULL, "
                "message = 'settled by the operator' WHERE load = ? AND row = ?",
                ("open" if identity is None else done, identity, time.time(), load, row),
            )

    # ------------------------------------------------------------------------------------------

    def _meta(self) -> dict[str, str]:
        with journal_errors(self.path, "read"):
            return dict(self._connection.execute("SELECT name, value FROM meta"))

    def _set(self, **values: str) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items())
        )

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _refuse_changed(
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


def settled_before(
    path: Path, plan: str, plan_name: str, inputs: Sequence[Input]
) -> dict[int, int] | None:
    """How many rows of each file are settled in the journal at ``path``; None if it is not begun.

    Raises JournalError as `Journal.bind` does for one that does not belong to plan and inputs.
    """
    if not path.is_file() or not path.stat().st_size:
        return None
    with journal_errors(path, "read"), _reader(path) as reader:
        if not reader.execute("SELECT count(*) FROM meta WHERE name = 'plan'").fetchone()[0]:
            return None
        _refuse_changed(reader, path, plan, plan_name, inputs)
        counts = _counts(reader)
    return {
        load: sum(count for state, count in states.items() if state in FINAL)
        for load, states in counts.items()
    }


class States:
    """The states of the rows of one load, read in chunks along with the file.

    `is_there` and `of` must be asked in rising order of rows.
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

    def _read(self, row: int) -> None:
        self._known_to = row + CHUNK - 1
        span = (self._load, row, self._known_to)
        with journal_errors(self._path, "read"), _reader(self._path) as reader:
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


def remembered(plan: Plan, path: Path) -> Remembered | None:
    """What the journal at ``path`` keeps of the check of this plan and these very files, if so."""
    if not path.is_file() or not path.stat().st_size:
        return None
    files = [*plan.loads, *(child for load in plan.loads for child in load.children)]
    digests = [one.source.digest() for one in files]
    with journal_errors(path, "read"), _reader(path) as reader:
        meta = dict(reader.execute("SELECT name, value FROM meta WHERE name = 'plan'"))
        held = reader.execute("SELECT stamp, rows FROM loads ORDER BY load").fetchall()
    if meta.get("plan") != plan_digest(plan) or [stamp for stamp, _ in held] != digests:
        return None
    return Remembered(tuple(rows for _, rows in held), _findings(path))


def _kept(one: Finding) -> tuple[int, int, int, str | None]:
    if one.problem is None:
        return one.load, one.line, one.round, None
    message = masked_text(one.problem.message)
    problem = msgspec.structs.replace(one.problem, message=message)
    return one.load, one.line, 0, _encode(problem).decode()


def _findings(path: Path) -> Iterator[Finding]:
    with journal_errors(path, "read"), _reader(path) as reader:
        for load, line, number, text in reader.execute(
            "SELECT load, row, round, problem FROM findings ORDER BY rowid"
        ):
            problem = None if text is None else _decode_problem(text)
            yield Finding(load, line, problem, number)


def read_state(path: Path) -> JournalState:
    """Where the job of a journal stands, also while it runs; raises JournalError."""
    with journal_errors(path, "read"), _reader(path) as reader:
        meta = dict(reader.execute("SELECT name, value FROM meta"))
        counts = _counts(reader)
        loads = tuple(
            JournalLoad(name, file, rows, counts.get(load, {}))
            for load, name, file, rows in reader.execute(
                "SELECT load, object, file, rows FROM loads ORDER BY load"
            )
        )
    return JournalState(
        path=str(path),
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
        with journal_errors(path, "read"), _reader(path) as reader:
            found = reader.execute(statement, (*after, *(wanted or ()))).fetchall()
        for one in found:
            yield JournalRow(*one)
        if len(found) < CHUNK:
            return
        after = (found[-1][-1], found[-1][1])


def _counts(reader: sqlite3.Connection) -> dict[int, dict[str, int]]:
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
def _reader(path: Path) -> Generator[sqlite3.Connection]:
    with contextlib.closing(open_to_read(path)) as reader:
        yield reader


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(" ", "seconds")


__all__ = (
    "Input",
    "Journal",
    "JournalLoad",
    "JournalRow",
    "JournalState",
    "Sent",
    "Settled",
    "States",
    "read_rows",
    "read_state",
    "remembered",
    "settled_before",
)
