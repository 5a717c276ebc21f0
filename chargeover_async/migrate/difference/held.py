"""What an account holds, as far as a plan asks: of each record what the plan writes, on disk.

An SQLite database in a temporary file that vanishes with the process, as that of a check.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from chargeover_async.errors import UsageError
from chargeover_async.models._json.read import encode, untyped

CACHE_KB = 8_000

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE held (object TEXT, key TEXT, id INTEGER, fields BLOB, at REAL, whole INTEGER,
  asked INTEGER, PRIMARY KEY (object, key, id)) WITHOUT ROWID;
BEGIN;
"""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A record: ``whole`` if it was read by itself; ``at`` is when, by the reader's clock."""

    id: int
    fields: dict[str, Any]
    at: float
    whole: bool


class Held:
    """Records by object and key; those without a key are known by their number."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA cache_size = -{CACHE_KB}; {_TABLES}")
        self._is_lost = False

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def keep(
        self,
        name: str,
        records: Iterable[tuple[str, int, dict[str, Any]]],
        at: float,
        *,
        whole: bool,
    ) -> None:
        """Keep records as (key, id, fields); a later reading takes the place of an earlier.

        Raises UsageError when the temporary folder is full; nothing is known from then on.
        """
        rows = [(name, key, number, encode(fields), at, whole) for key, number, fields in records]
        try:
            self._db.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?, 0)", rows)
        except sqlite3.DatabaseError as error:
            self._is_lost = True  # without a journal what was half written cannot be read
            raise UsageError(
                f"what the account holds cannot be kept in the temporary folder: {error}. Make "
                "room, or name another folder in SQLITE_TMPDIR"
            ) from error

    def find(self, name: str, key: str) -> Kept | None:
        """The record with this key, if it was read."""
        if self._is_lost:
            return None
        found = self._db.execute(
            "SELECT id, fields, at, whole FROM held WHERE object = ? AND key = ?", (name, key)
        ).fetchone()
        if found is None:
            return None
        return Kept(found[0], untyped(found[1]), found[2], bool(found[3]))

    def id_of(self, name: str, key: str) -> int | None:
        """The id of the record with this key, if it was read."""
        if self._is_lost:
            return None
        found = self._db.execute(
            "SELECT id FROM held WHERE object = ? AND key = ?", (name, key)
        ).fetchone()
        return None if found is None else int(found[0])

    def ask_for(self, name: str, key: str) -> None:
        """Note that the plan has this key."""
        self._db.execute("UPDATE held SET asked = 1 WHERE object = ? AND key = ?", (name, key))

    def besides(self, name: str) -> Iterator[tuple[str, int]]:
        """(key, id) of the records that the plan did not ask for, those without a key first."""
        yield from self._db.execute(
            "SELECT key, id FROM held WHERE object = ? AND asked = 0 ORDER BY key, id", (name,)
        )


__all__ = ("Held", "Kept")
