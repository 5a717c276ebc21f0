"""The file of a journal: its schema and version, who may open it, and what SQLite's errors mean.

SQLite in WAL mode with ``synchronous=FULL``: a transaction that was committed survives the death of
the process at any moment, and a power cut as far as the disk keeps what it was made to write. So
does the order that everything rests on: what is sent was committed before.

The lock is a second SQLite file, ``NAME.lock``, which one process at a time holds; it goes with the
process, whatever ends it, and the file stays behind. (The journal itself cannot be the lock, for it
may be read while the job runs.)
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
from collections.abc import Generator
from pathlib import Path

from chargeover_async.errors import JournalError

VERSION = 2
READABLE = (1, VERSION)
APPLICATION_ID = 0x43684F4A  # "ChOJ": tells a journal from any other SQLite file

SCHEMA = """
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE loads (
  load INTEGER PRIMARY KEY,
  object TEXT NOT NULL,
  file TEXT NOT NULL,
  stamp TEXT NOT NULL,
  rows INTEGER NOT NULL
);

CREATE TABLE rows (
  load INTEGER NOT NULL,
  row INTEGER NOT NULL,
  key TEXT NOT NULL,
  state TEXT NOT NULL,
  verb TEXT NOT NULL,
  id INTEGER,
  error TEXT,
  message TEXT,
  data TEXT,
  sends INTEGER NOT NULL,
  sent_at REAL,
  settled_at REAL,
  PRIMARY KEY (load, row)
) WITHOUT ROWID;

CREATE TABLE outbox (
  load INTEGER NOT NULL,
  row INTEGER NOT NULL,
  line TEXT NOT NULL,
  PRIMARY KEY (load, row)
) WITHOUT ROWID;

CREATE TABLE findings (
  load INTEGER NOT NULL,
  row INTEGER NOT NULL,
  round INTEGER NOT NULL,
  problem TEXT
);
"""

# From version 1, which kept a checksum of each row that nobody asked for, and an index for a
# question that is asked once.
_FROM_1 = """
BEGIN IMMEDIATE;
DROP INDEX rows_in_doubt;
ALTER TABLE rows DROP COLUMN fingerprint;
PRAGMA user_version = 2;
COMMIT;
"""


@contextlib.contextmanager
def journal_errors(path: Path, doing: str) -> Generator[None]:
    """Turn the errors of SQLite and of the file system into a JournalError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(f"the journal {path} cannot be {doing}: {_advice(error)}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise JournalError(f"the journal {path} cannot be {doing}: {reason}") from error


def _advice(error: sqlite3.Error) -> str:
    text = str(error)
    if "full" in text:
        return "the disk is full; make room and start again with the same journal"
    if "readonly" in text or "unable to open" in text:
        return f"{text}; name a journal in a folder that can be written"
    if "not a database" in text:
        return "it is no SQLite file; name another journal"
    if "malformed" in text or "corrupt" in text:
        return f"{text}; it is damaged. Keep it, and look rows up by key before you import again"
    return text


def is_begun(path: Path) -> bool:
    """Whether there is a journal, which may hold something; raises JournalError."""
    with journal_errors(path, "read"):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise JournalError(f"{path} is no regular file; name a file on a local disk as journal")
        return path.is_file() and path.stat().st_size > 0


def lock_of(path: Path) -> Path:
    """The file that is locked for a journal: one, by whatever name the journal is reached."""
    whole = Path(os.path.realpath(path))
    return whole.with_name(whole.name + ".lock")


class Lock:
    """The right to write one journal, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        is_begun(path)  # a pipe or a device is none
        self._path = lock_of(path)
        self._held = sqlite3.connect(self._path, isolation_level=None, timeout=0.5)
        try:
            self._held.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._held.close()
            if "locked" not in str(error):
                raise
            raise JournalError(
                f"another import uses the journal {path}{_owner(path)}; "
                "wait for it to end, or name another journal"
            ) from None

    def release(self) -> None:
        """Let the next one in."""
        self._held.close()


def _owner(path: Path) -> str:
    with (
        contextlib.suppress(sqlite3.Error, JournalError),
        contextlib.closing(open_to_read(path)) as reader,
    ):
        row = reader.execute("SELECT value FROM meta WHERE name = 'owner'").fetchone()
        return f" ({row[0]})" if row else ""
    return ""


def owner() -> str:
    """Who holds the lock, for the message to who else wants it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def open_to_write(path: Path) -> sqlite3.Connection:
    """The journal at ``path``, made if there is none; only for who holds its lock.

    One of an earlier version is brought up to date. Raises JournalError for a file that is no
    journal, or one of a later version.
    """
    if not path.exists():
        path.touch(mode=0o600)  # SQLite gives its side files the same mode
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        fresh = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not fresh:
            _check_version(connection, path)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise JournalError(
                f"the journal {path} lies where SQLite cannot use a write-ahead log "
                f"(a network folder?): it stays in mode {mode}; name a journal on a local disk"
            )
        connection.execute("PRAGMA synchronous = FULL")
        if fresh:
            _make(connection)
        elif connection.execute("PRAGMA user_version").fetchone()[0] == 1:
            connection.executescript(_FROM_1)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """The journal at ``path``, also while a job writes it."""
    if not is_begun(path) and not path.exists():
        raise JournalError(f"there is no journal {path}")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(connection: sqlite3.Connection) -> None:
    # One transaction: a journal is whole, or it is an empty file.
    connection.executescript(
        f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
        f"PRAGMA user_version = {VERSION}; COMMIT;"
    )


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise JournalError(f"{path} is no journal of an import; name another file")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in READABLE:
        raise JournalError(
            f"the journal {path} has version {version}, and this program reads {VERSION}: "
            "go on with the program that began it"
        )


__all__ = (
    "SCHEMA",
    "VERSION",
    "Lock",
    "is_begun",
    "journal_errors",
    "open_to_read",
    "open_to_write",
    "owner",
)
