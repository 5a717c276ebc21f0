"""The file behind a store: SQLite, one transaction per request."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .row import Image

_APPLICATION = 0x43684F76  # "ChOv": tells our files from any other SQLite database
_VERSION = 1
_CHECKPOINT_PAGES = (
    4000  # 16 MiB of log between two syncs; the default would sync four times as often
)
_TABLES = """
CREATE TABLE record (
  object TEXT NOT NULL, id INTEGER NOT NULL, data TEXT NOT NULL, more TEXT,
  PRIMARY KEY (object, id)
) WITHOUT ROWID;
CREATE TABLE taken_key (
  object TEXT NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (object, key)
) WITHOUT ROWID;
CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE action (
  number INTEGER PRIMARY KEY, object TEXT NOT NULL, id INTEGER NOT NULL, action TEXT NOT NULL
);
"""


class StorageError(Exception):
    """The file of a sandbox cannot be opened, read or written; nothing was stored.

    Raised by `new_store`, `Sandbox` and whatever changes a store with a file. Over HTTP it is a 500
    with this text, after which the store is what it was before the request.
    """


@dataclass(slots=True)
class Batch:
    """What one request changed.

    Attributes:
        emptied: whether everything that was stored goes first.
        records: object, id, values and the rest, of records that are new or changed.
        gone: object and id of deleted records.
        keys: object, external key and id of deleted records whose key stays taken.
        freed: object and external key that no deleted record holds any more.
        numbers: counters by name.
        actions: number, object, id and name of the actions that were carried out.
        forgotten: actions up to this number are no longer wanted.
    """

    emptied: bool = False
    records: list[tuple[str, int, str, str | None]] = field(
        default_factory=list[tuple[str, int, str, str | None]]
    )
    gone: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    keys: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    freed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    numbers: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    actions: list[tuple[int, str, int, str]] = field(
        default_factory=list[tuple[int, str, int, str]]
    )
    forgotten: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return self.emptied or any(
            (self.records, self.gone, self.keys, self.freed, self.numbers, self.actions)
        )


class StoreFile:
    """An SQLite file that one sandbox at a time holds.

    A commit survives the end of the process at any moment (kill -9), as the log is in the hands of
    the operating system by then. It is not synced to the disk, so a crash of the machine can take
    the last requests away, in order and without damage to the rest.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._db: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether the file is held."""
        return self._db is not None

    def open(self) -> None:
        """Hold the file, made anew where there is none; raises StorageError if that fails."""
        if self._db is not None:
            return
        try:
            # It holds names and addresses: a new file is for its owner only, and so is its log.
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            db = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._cannot("open", error) from error
        try:
            self._must_be_writable()
            self._prepare(db)
        except sqlite3.Error as error:
            db.close()
            raise self._cannot("open", error) from error
        except StorageError:
            db.close()
            raise
        self._db = db

    def _must_be_writable(self) -> None:
        # Asked beforehand, as SQLite reports it in several ways; and not by opening the file, since
        # closing that would release the locks of another sandbox of this process.
        effective = os.access in os.supports_effective_ids
        for path in (self.path, self.path.absolute().parent):  # the log lies beside the file
            if not os.access(path, os.W_OK, effective_ids=effective):
                raise StorageError(
                    f"cannot open the sandbox's file {self.path}: {path} is read-only; make the "
                    "file and its directory writable"
                )

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != _APPLICATION and (application or tables):
            raise StorageError(
                f"{self.path} is a database of something else, not a sandbox store; name another "
                "file"
            )
        if version > _VERSION:
            raise StorageError(
                f"{self.path} is a sandbox store of version {version}, which a newer "
                f"chargeover_async wrote; this one knows version {_VERSION}"
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        db.execute("BEGIN EXCLUSIVE")  # takes the lock
        if not tables:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file; harmless when it is not held."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def image(self) -> Image:
        """All that is stored; its parts read on demand. Raises StorageError, then as well."""
        return Image(
            dict(self._rows("SELECT name, value FROM number")),
            self._rows("SELECT object, key, id FROM taken_key"),
            self._rows("SELECT object, id, data, more FROM record ORDER BY object, id"),
            self._rows("SELECT number, object, id, action FROM action ORDER BY number"),
        )

    def _rows(self, statement: str) -> Iterator[Any]:
        try:
            for row in self.held().execute(statement):  # noqa: UP028 - it would close the cursor
                yield row
        except sqlite3.Error as error:
            raise self._cannot("read", error) from error

    def write(self, batch: Batch) -> None:
        """Store a batch as a whole or, raising StorageError, not at all."""
        db = self.held()
        try:
            db.execute("BEGIN")
            if batch.emptied:
                for table in ("record", "taken_key", "number", "action"):
                    db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            _many(db, "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", batch.records)
            _many(db, "DELETE FROM record WHERE object = ? AND id = ?", batch.gone)
            _many(db, "INSERT OR REPLACE INTO taken_key VALUES (?, ?, ?)", batch.keys)
            _many(db, "DELETE FROM taken_key WHERE object = ? AND key = ?", batch.freed)
            _many(db, "INSERT OR REPLACE INTO number VALUES (?, ?)", batch.numbers)
            _many(db, "INSERT OR REPLACE INTO action VALUES (?, ?, ?, ?)", batch.actions)
            if batch.forgotten:
                db.execute("DELETE FROM action WHERE number <= ?", (batch.forgotten,))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            if db.in_transaction:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
            raise self._cannot("write", error) from error

    def held(self) -> sqlite3.Connection:
        """The open database; raises StorageError if the file is not held."""
        if self._db is None:
            raise StorageError(f"{self.path} is closed: start the sandbox, or open its store")
        return self._db

    def _cannot(self, act: str, error: Exception) -> StorageError:
        reason = str(error)
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(code, int):
            code &= 0xFF  # the rest says where in SQLite it happened
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            reason = (
                "another sandbox (or another program) holds it; end that one, or name another file"
            )
        elif code == sqlite3.SQLITE_NOTADB:
            reason = "it is not a sandbox store (nor any SQLite database); name another file"
        elif code == sqlite3.SQLITE_FULL:
            reason = "the disk is full; make room, the sandbox works on as soon as there is some"
        elif code == sqlite3.SQLITE_CORRUPT:
            reason = f"it is damaged ({error}); restore it from a copy, or name another file"
        return StorageError(f"cannot {act} the sandbox's file {self.path}: {reason}")


def _many(db: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        db.executemany(statement, rows)
