"""A quota shared by processes of one host that name the same file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Unpack

import msgspec

from chargeover_async.errors import UsageError

from .base import QuotaSettings
from .books import BooksAway, steady_clock
from .ledger import SECOND, Call, Ledger, Reply, exchange
from .shared import SharedLimiter, SharedOptions

_BUSY_S = 2.0
"""How long to wait for another process's exchange, which takes less than a millisecond."""

_REFUSED = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY}
_MOVED = sqlite3.SQLITE_READONLY_DBMOVED
_BY_EFFECTIVE_IDS = os.access in os.supports_effective_ids

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS chargeover_quota (one INTEGER PRIMARY KEY CHECK (one = 1), "
    "ledger TEXT NOT NULL)"
)
_READ = "SELECT ledger FROM chargeover_quota WHERE one = 1"
_WRITE = "INSERT OR REPLACE INTO chargeover_quota (one, ledger) VALUES (1, ?)"


class FileLimiter(SharedLimiter):
    """One quota for all processes of this host that name the same file.

    ``async with FileLimiter("/run/acme.quota") as limiter``, and
    ``ChargeOver(..., limiter=limiter)``; or in short ``ChargeOver(..., quota_share="/run/...")``.

    The file is an SQLite database, made when it is missing; ``-wal`` and ``-shm`` stand beside it
    while it is in use. It must be on a disk of this host, not on a network share, and its time is
    that of the host since it was started, which nobody sets. A process that is killed at any
    moment leaves it whole. One file is for one account: a file that is new, or was deleted, costs
    a wait of about a window (see ``trust_empty``). Everything else is as in `SharedLimiter`.

    Raises UsageError for a path that cannot be right.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: QuotaSettings | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        super().__init__(_FileBooks(Path(path)), settings, **options)


class _FileBooks:
    """A ledger in an SQLite file: one transaction an exchange, in a thread."""

    def __init__(self, path: Path) -> None:
        # By os.path, which takes what may not be looked at for what is not there.
        if not path.name or os.path.isdir(path):  # noqa: PTH112
            raise UsageError(f"{str(path)!r} is no file that a quota can be shared by")
        self._path = path.absolute()
        if not os.path.isdir(self._path.parent):  # noqa: PTH112 - it would never come
            raise UsageError(
                f"{str(path)!r} cannot share a quota: its folder does not exist, or may not be used"
            )
        self._clock = steady_clock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        return str(self._path)

    async def exchange(self, call: Call) -> Reply:
        return await asyncio.to_thread(self._exchange, call)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._close)

    def _exchange(self, call: Call) -> Reply:
        with self._lock:
            try:
                return self._transact(call)
            except sqlite3.DatabaseError as error:
                self._let_go()
                # "file is not a database" and the like do not pass; a lock, a full disk may.
                lasting = not isinstance(error, sqlite3.OperationalError)
                if self._lacks_rights(error):
                    reason = "it takes the rights to write this file and in its folder"
                    raise BooksAway(f"{error}: {reason}", lasting=True) from error
                raise BooksAway(f"{type(error).__name__}: {error}", lasting=lasting) from error
            except OSError as error:
                self._let_go()
                raise BooksAway(f"{type(error).__name__}: {error}", lasting=True) from error
            except msgspec.MsgspecError as error:
                self._let_go()
                raise BooksAway(f"what it holds cannot be read: {error}", lasting=True) from error

    def _lacks_rights(self, error: sqlite3.DatabaseError) -> bool:
        """Whether the system refuses what is needed, which does not pass by itself."""
        code = getattr(error, "sqlite_errorcode", 0)
        if code == _MOVED:
            return False  # deleted while it was open
        if code & 0xFF in _REFUSED:
            return True
        if code & 0xFF != sqlite3.SQLITE_CANTOPEN:
            return False
        try:
            self._path.parent.stat()
        except PermissionError:
            return True
        except OSError:
            return False  # a folder that went away may be mounted again
        may_write = partial(os.access, mode=os.W_OK, effective_ids=_BY_EFFECTIVE_IDS)
        return not may_write(self._path.parent) or (
            self._identity() is not None and not may_write(self._path)
        )

    def _transact(self, call: Call) -> Reply:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            row = connection.execute(_READ).fetchone()
            ledger = msgspec.json.decode(row[0], type=Ledger) if row else None
            # Read under the lock, so that it only grows from one exchange to the next. A restart
            # of the host sets it back: time stands still then, which is safe.
            clock = round(self._clock() * SECOND)
            ledger, reply = exchange(ledger, clock, "", call)
            connection.execute(_WRITE, (msgspec.json.encode(ledger).decode(),))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return reply

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._file != self._identity():
            self._let_go()  # deleted or replaced: the others may have gone on with the new one
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection = connection
            connection.execute("PRAGMA journal_mode=WAL")
            # Whole after a crash of any process. After one of the host nothing in it counts.
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(_SCHEMA)
            self._file = self._identity()
        return self._connection

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _close(self) -> None:
        with self._lock:
            self._let_go()


__all__ = ("FileLimiter",)
