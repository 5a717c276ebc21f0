"""What must be remembered of all rows of all files, on disk: keys, references, mistakes, children.

An SQLite database in a temporary file that vanishes with the process (SQLite puts it where
``SQLITE_TMPDIR`` or ``TMPDIR`` says). Rows are only appended while a file is read, and compared
afterwards in the order of an index, so that memory is bounded by SQLite's cache and time grows
hardly faster than the input.

Files are known by number: first the loads of a plan, then the files of their children.
"""

# ruff: noqa: S608 - the names of tables are made of our own numbers
from __future__ import annotations

import contextlib
import pickle
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from chargeover_async.errors import UsageError
from chargeover_async.migrate.rows import Problem, Row

CACHE_KB = 2_000
AT_ONCE = 500  # rows that are written, or read, together

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE bad (load INTEGER, line INTEGER, problem TEXT);
CREATE TABLE rounds (load INTEGER, line INTEGER, round INTEGER, PRIMARY KEY (load, line))
  WITHOUT ROWID;
CREATE TABLE ready (line INTEGER PRIMARY KEY);
CREATE TABLE children (load INTEGER, value TEXT, line INTEGER, cells BLOB);
CREATE TABLE claims (load INTEGER, value TEXT, line INTEGER);
CREATE TABLE looks (object TEXT, look TEXT, key TEXT, load INTEGER, line INTEGER);
CREATE TABLE failed (object TEXT, key TEXT, cause TEXT, final INTEGER, PRIMARY KEY (object, key))
  WITHOUT ROWID;
BEGIN;
"""
_TABLES_OF_LOAD = """
CREATE TABLE keys_{0} (key TEXT, line INTEGER);
CREATE TABLE refs_{0} (target TEXT, key TEXT, line INTEGER, field TEXT);
CREATE TABLE parents_{0} (line INTEGER, parent INTEGER);
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Problem).decode


class Scratch:
    """The tables; see the module. Raises UsageError when the temporary folder is full."""

    def __init__(self, loads: int) -> None:
        # A check may run in another thread than the import, and end in a third.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA cache_size = -{CACHE_KB}; {_TABLES}")
        for load in range(loads):
            self._db.executescript(_TABLES_OF_LOAD.format(load))
        self._waiting: dict[str, list[tuple[Any, ...]]] = {}
        self._any_failed = False

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def __del__(self) -> None:
        self._db.close()

    def _add(self, statement: str, row: tuple[Any, ...]) -> None:
        waiting = self._waiting.setdefault(statement, [])
        waiting.append(row)
        if len(waiting) >= AT_ONCE:
            self._write(statement)

    def _write(self, statement: str) -> None:
        waiting = self._waiting.pop(statement, ())
        with _room():
            self._db.executemany(statement, waiting)

    def _flush(self) -> None:
        for statement in list(self._waiting):
            self._write(statement)

    def _ask(self, statement: str, *values: Any) -> sqlite3.Cursor:
        with _room():
            return self._db.execute(statement, values)

    # -- while a file is read ------------------------------------------------------------------

    def add_problem(self, load: int, line: int, problem: Problem) -> None:
        """Something is wrong with a row."""
        text = _encode(problem).decode()
        self._add("INSERT INTO bad VALUES (?, ?, ?)", (load, line, text))

    def add_key(self, load: int, key: str, line: int) -> None:
        """A row has this external key."""
        self._add(f"INSERT INTO keys_{load:d} VALUES (?, ?)", (key, line))

    def add_look(self, load: int, name: str, look: str, key: str, line: int) -> None:
        """A key of an object ``name`` looks like this, which it is not."""
        self._add("INSERT INTO looks VALUES (?, ?, ?, ?, ?)", (name, look, key, load, line))

    def add_reference(self, load: int, target: str, key: str, line: int, field: str) -> None:
        """A row names the record of ``target`` with this key."""
        self._add(f"INSERT INTO refs_{load:d} VALUES (?, ?, ?, ?)", (target, key, line, field))

    def add_child(self, load: int, value: tuple[str, ...], row: Row) -> None:
        """A row of a file of children, by what pairs it with its parent."""
        cells = pickle.dumps(row.cells, 5)
        self._add("INSERT INTO children VALUES (?, ?, ?, ?)", (load, _join(value), row.line, cells))

    def add_claim(self, load: int, value: tuple[str, ...], line: int) -> None:
        """The row at ``line`` of the parents' file is the parent of the children with ``value``."""
        self._add("INSERT INTO claims VALUES (?, ?, ?)", (load, _join(value), line))

    def add_round(self, load: int, line: int, number: int) -> None:
        """A row is sent in this round (0 needs no note)."""
        self._add("INSERT INTO rounds VALUES (?, ?, ?)", (load, line, number))

    # -- children ------------------------------------------------------------------------------

    def children_are_there(self) -> None:
        """All rows of all files of children have been added."""
        self._flush()
        self._ask("CREATE INDEX IF NOT EXISTS children_by ON children (load, value, line)")

    def children(self, load: int, value: tuple[str, ...]) -> list[Row]:
        """The children with this value, in the order of their file."""
        found = self._ask(
            "SELECT line, cells FROM children WHERE load = ? AND value = ? ORDER BY line",
            load,
            _join(value),
        )
        return [Row(line, _unpickle(cells)) for line, cells in found]

    def child(self, load: int, line: int) -> Row:
        """One row of a file of children."""
        (cells,) = self._ask(
            "SELECT cells FROM children WHERE load = ? AND line = ?", load, line
        ).fetchone()
        return Row(line, _unpickle(cells))

    def two_parents(self, load: int) -> Iterator[tuple[int, int]]:
        """(line, line of the first) of parents whose children have one before them."""
        self._flush()
        self._ask("CREATE INDEX IF NOT EXISTS claims_by ON claims (load, value, line)")
        yield from self._ask(
            "SELECT c.line, d.first FROM (SELECT value, min(line) AS first FROM claims "
            "WHERE load = ?1 GROUP BY value HAVING count(*) > 1) d "
            "JOIN claims c ON c.load = ?1 AND c.value = d.value AND c.line > d.first",
            load,
        )

    def orphans(self, load: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """(line, value) of children that nobody is the parent of."""
        found = self._ask(
            "SELECT line, value FROM children c WHERE load = ?1 AND NOT EXISTS "
            "(SELECT 1 FROM claims WHERE load = ?1 AND value = c.value)",
            load,
        )
        for line, value in found:
            yield line, tuple(value.split("\x1f"))

    # -- once a file is read -------------------------------------------------------------------

    def is_read(self, load: int) -> None:
        """All rows of a load have been added."""
        self._flush()
        self._ask(f"CREATE INDEX keys_{load:d}_by ON keys_{load:d} (key, line)")
        self._ask(f"CREATE INDEX refs_{load:d}_by ON refs_{load:d} (target, key, line, field)")

    def taken_keys(self, load: int, same: Sequence[int]) -> Iterator[tuple[int, str, int, int]]:
        """(line, key, load, line) of rows whose key another row has before them.

        ``same`` are the earlier loads of the same object.
        """
        for position, other in enumerate(same):
            yield from self._ask(
                f"SELECT k.line, k.key, {other:d}, min(o.line) FROM keys_{load:d} k "
                f"JOIN keys_{other:d} o USING (key) WHERE 1{_in_none('k', same[:position])} "
                "GROUP BY k.key, k.line"
            )
        yield from self._ask(
            f"SELECT k.line, k.key, {load:d}, d.first FROM (SELECT key, min(line) AS first "
            f"FROM keys_{load:d} GROUP BY key HAVING count(*) > 1) d "
            f"JOIN keys_{load:d} k ON k.key = d.key AND k.line > d.first "
            f"WHERE 1{_in_none('k', same)}"
        )

    def lookalikes(
        self, load: int, name: str, same: Sequence[int]
    ) -> Iterator[tuple[int, str, int, int, str]]:
        """(line, key, load, line, key) of rows whose key looks like another row's.

        ``same`` are the other loads of the object ``name`` so far.
        """
        if not self._ask("SELECT 1 FROM looks WHERE object = ? LIMIT 1", name).fetchone():
            return
        self._ask("CREATE INDEX IF NOT EXISTS looks_by ON looks (object, look)")
        for other in (*same, load):
            yield from self._ask(
                f"SELECT l.line, l.key, {other:d}, o.line, o.key FROM looks l "
                f"JOIN keys_{other:d} o ON o.key = l.look WHERE l.load = ?",
                load,
            )
        yield from self._ask(
            f"SELECT k.line, k.key, l.load, l.line, l.key FROM looks l "
            f"JOIN keys_{load:d} k ON k.key = l.look WHERE l.object = ? AND l.load <> ?",
            name,
            load,
        )
        yield from self._ask(
            "SELECT b.line, b.key, a.load, a.line, a.key FROM looks b JOIN looks a "
            "ON a.object = b.object AND a.look = b.look AND a.key <> b.key AND a.rowid < b.rowid "
            "WHERE b.load = ?",
            load,
        )

    def unknown_references(
        self, load: int, target: str, loads: Sequence[int]
    ) -> Iterator[tuple[int, str, str]]:
        """(line, key, field) of references to keys that no row of ``loads`` has."""
        yield from self._ask(
            f"SELECT r.line, r.key, r.field FROM refs_{load:d} r "
            f"WHERE r.target = ?{_in_none('r', loads)}",
            target,
        )

    def some_keys(self, load: int, count: int) -> list[str]:
        """The first keys of a load."""
        return [key for (key,) in self._ask(f"SELECT key FROM keys_{load:d} LIMIT ?", count)]

    def number_rounds(self, load: int, own: str, same: Sequence[int]) -> Iterator[int]:
        """Number the rows that refer to rows of their own file, so that parents go first.

        Yields the lines of rows that can never be sent, as they refer to themselves in a circle.
        """
        parents, db = f"parents_{load:d}", self._db
        self._ask(
            f"INSERT INTO {parents} SELECT r.line, min(k.line) FROM refs_{load:d} r "
            f"JOIN keys_{load:d} k USING (key) WHERE r.target = ?{_in_none('r', same)} "
            "GROUP BY r.line, r.key",
            own,
        )
        self._ask(f"CREATE INDEX {parents}_by ON {parents} (line, parent)")
        self._ask(f"INSERT INTO rounds SELECT DISTINCT {load:d}, line, -1 FROM {parents}")
        number = 0
        while True:
            number += 1
            self._ask("DELETE FROM ready")
            ready = self._ask(
                "INSERT INTO ready SELECT line FROM rounds r WHERE load = ?1 AND round = -1 AND "
                f"NOT EXISTS (SELECT 1 FROM {parents} p JOIN rounds w ON w.load = ?1 "
                "AND w.line = p.parent AND w.round = -1 WHERE p.line = r.line)",
                load,
            )
            if not ready.rowcount:
                break
            self._ask(
                "UPDATE rounds SET round = ? WHERE load = ? AND line IN (SELECT line FROM ready)",
                number,
                load,
            )
        left = db.execute("SELECT line FROM rounds WHERE load = ? AND round = -1", (load,))
        yield from (line for (line,) in left)

    def end_check(self) -> None:
        """All problems are known: what is bad has no round, and keys are needed no more."""
        self._flush()
        self._ask("CREATE INDEX bad_by ON bad (load, line)")
        self._ask("DELETE FROM rounds WHERE (load, line) IN (SELECT load, line FROM bad)")

    # -- what was found ------------------------------------------------------------------------

    def bad_count(self, load: int) -> int:
        """How many rows of a file are bad."""
        return int(
            self._ask("SELECT count(DISTINCT line) FROM bad WHERE load = ?", load).fetchone()[0]
        )

    def bad_lines(self, load: int) -> Iterator[int]:
        """The lines of the bad rows of a file, in its order."""
        for (line,) in self._ask(
            "SELECT DISTINCT line FROM bad WHERE load = ? ORDER BY line", load
        ):
            yield line

    def problem_count(self) -> int:
        """How many problems there are in all."""
        return int(self._ask("SELECT count(*) FROM bad").fetchone()[0])

    def problems(self, load: int) -> Iterator[tuple[int, Problem]]:
        """(line, problem) of a file, in its order."""
        for line, text in self._ask(
            "SELECT line, problem FROM bad WHERE load = ? ORDER BY line, rowid", load
        ):
            yield line, _decode(text)

    def round_counts(self, load: int) -> dict[int, int]:
        """How many rows are sent in each round from 1 on."""
        return dict(
            self._ask("SELECT round, count(*) FROM rounds WHERE load = ? GROUP BY round", load)
        )

    def rounds(self, load: int) -> Iterator[tuple[int, int]]:
        """(line, round) of the rows that are not sent in round 0."""
        yield from self._ask("SELECT line, round FROM rounds WHERE load = ? ORDER BY line", load)

    def notes(self, load: int) -> Notes:
        """What was found, to be asked for along with the rows of a load."""
        return Notes(self._db, load)

    # -- while it is sent ----------------------------------------------------------------------

    def fail(self, name: str, key: str, cause: str, *, final: bool) -> None:
        """The record of ``name`` with this key is not there, or not yet."""
        self._any_failed = True
        self._ask("INSERT OR REPLACE INTO failed VALUES (?, ?, ?, ?)", name, key, cause, final)

    def failed(self, name: str, key: str) -> tuple[str, bool]:
        """Why a record is not there, and whether that is final; ``""`` for no reason."""
        if not self._any_failed:
            return "", True
        found = self._ask(
            "SELECT cause, final FROM failed WHERE object = ? AND key = ?", name, key
        ).fetchone()
        return ("", True) if found is None else (found[0], bool(found[1]))


class Notes:
    """Rounds and problems of the rows of one load; lines must be asked for in rising order."""

    def __init__(self, db: sqlite3.Connection, load: int) -> None:
        self._db = db
        self._load = load
        self._rounds: dict[int, int] = {}
        self._rounds_to = -1
        self._bad: dict[int, list[Problem]] = {}
        self._bad_to = -1

    def round(self, line: int) -> int:
        """The round in which a row is sent."""
        if line > self._rounds_to:
            found = self._db.execute(
                "SELECT line, round FROM rounds WHERE load = ? AND line >= ? ORDER BY line LIMIT ?",
                (self._load, line, AT_ONCE),
            ).fetchall()
            self._rounds = dict(found)
            self._rounds_to = found[-1][0] if len(found) == AT_ONCE else 2**63
        return self._rounds.get(line, 0)

    def problems(self, line: int) -> Sequence[Problem]:
        """What is wrong with a row; it must not be sent then."""
        if line > self._bad_to:
            found = self._db.execute(
                "SELECT line, problem FROM bad WHERE load = ?1 AND line >= ?2 AND line <= "
                "coalesce((SELECT line FROM bad WHERE load = ?1 AND line >= ?2 "
                "ORDER BY line LIMIT 1 OFFSET ?3), ?4) ORDER BY line, rowid",
                (self._load, line, AT_ONCE, 2**62),
            ).fetchall()
            self._bad = {}
            for at, text in found:
                self._bad.setdefault(at, []).append(_decode(text))
            self._bad_to = found[-1][0] if len(found) > AT_ONCE else 2**63
        return self._bad.get(line, ())


def _in_none(alias: str, loads: Iterable[int]) -> str:
    return "".join(
        f" AND NOT EXISTS (SELECT 1 FROM keys_{load:d} WHERE key = {alias}.key)" for load in loads
    )


def _join(value: tuple[str, ...]) -> str:
    return "\x1f".join(value)


def _unpickle(cells: bytes) -> dict[str, Any]:
    found: dict[str, Any] = pickle.loads(cells)  # noqa: S301 - written by us, in a file of ours
    return found


@contextlib.contextmanager
def _room() -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" not in str(error) and "disk I/O" not in str(error):
            raise
        raise UsageError(
            "the temporary folder is full: the keys of all rows are kept there while they are "
            "checked. Make room, or name another folder in SQLITE_TMPDIR"
        ) from error


__all__ = ("Notes", "Scratch")
