"""Writes a journal in a thread of its own: what comes in while one commit runs shares the next."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from chargeover_async.errors import JournalError

from .file import journal_errors

Statement = tuple[str, str, str]  # what stands before the rows, a row, and what stands behind
Changes = dict[Statement, list[tuple[Any, ...]]]  # and the rows it is to write
Line = tuple[int, int, str]  # a line for the failure file: load, row, text

AT_ONCE = 50  # rows in one statement; SQLite before 3.32 took no more than 999 parameters

_encode = msgspec.json.Encoder().encode


class Writer:
    """The only one who writes to a journal while a job runs.

    Invariants: 1. `durable` returns only when all that was added before it is committed. 2. What
    was added earlier is never committed later; within a commit the statements run in the order in
    which they were given. 3. After the first error nothing more is
    committed, and every `durable` raises it. 4. A line is handed to ``append`` only when the row it
    tells of is committed, and forgotten only when ``append`` has returned.

    A statement takes many rows at once: with a call for each row this thread would ask for the
    interpreter's lock as often, and wait each time until the other one gives it up.

    ``append`` writes lines to the failure file and sees them on disk; it runs in the thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        statements: Sequence[Statement],
        append: Callable[[list[str]], None] | None,
    ) -> None:
        self._statements = statements
        self._connection = connection
        self._path = path
        self._append = append
        self._changes: Changes = {}
        self._lines: list[Line] = []
        self._waiters: list[asyncio.Future[None]] = []  # for what is in `_changes`
        self._flying: list[asyncio.Future[None]] = []  # for what is being committed
        self._commit_: Future[None] | None = None  # under way, or the last one
        self._planned = False
        self._error: JournalError | None = None
        self._thread = ThreadPoolExecutor(1, "chargeover-journal")

    @property
    def error(self) -> JournalError | None:
        """What has broken it."""
        return self._error

    def add(
        self, statement: Statement, rows: Iterable[tuple[Any, ...]], lines: Iterable[Line]
    ) -> None:
        """Commit these soon; in an event loop."""
        if self._error is not None:
            return  # nothing can be kept any more, and who waits is told
        self._changes.setdefault(statement, []).extend(rows)
        self._lines += lines
        if not self._planned:
            # All that is added in one step of the loop shares a commit.
            self._planned = True
            asyncio.get_running_loop().call_soon(self._begin)

    async def durable(self) -> None:
        """Wait until all that was added is committed; raises JournalError if it cannot be."""
        if self._error is not None:
            raise self._error
        if not self._changes and not self._planned:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiters if self._changes else self._flying).append(waiter)
        await waiter

    def close(self) -> None:
        """Commit what is left, and end the thread; raises JournalError if it cannot be."""
        self._thread.shutdown(wait=True)
        if self._commit_ is not None and self._error is None:
            self._note_failure(self._commit_)
        if self._error is not None:
            raise self._error
        if self._changes:
            changes, lines, self._changes, self._lines = self._changes, self._lines, {}, []
            self._write(changes, lines)

    # `_planned` is true from `add` until there is nothing left to commit.

    def _begin(self) -> None:
        if self._error is not None or not self._changes:
            self._planned = False
            return
        changes, lines, self._flying = self._changes, self._lines, self._waiters
        self._changes, self._lines, self._waiters = {}, [], []
        loop = asyncio.get_running_loop()
        self._commit_ = self._thread.submit(self._write, changes, lines)

        def told(_: Future[None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._written)

        self._commit_.add_done_callback(told)

    def _written(self) -> None:
        assert self._commit_ is not None
        self._note_failure(self._commit_)
        waiters, self._flying = self._flying, []
        if self._error is not None:
            waiters += self._waiters
            self._waiters = []
        for waiter in waiters:
            if not waiter.done():
                if self._error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(self._error)
        self._begin()

    def _note_failure(self, commit: Future[None]) -> None:
        failed = commit.exception()
        if failed is None or self._error is not None:
            return
        if not isinstance(failed, JournalError):
            failed = JournalError(f"the journal {self._path} cannot be written: {failed!r}")
        self._error = failed

    def _write(self, changes: Changes, lines: list[Line]) -> None:
        with journal_errors(self._path, "written"):
            self._commit(
                [
                    (statement, changes[statement])
                    for statement in self._statements
                    if statement in changes
                ]
            )
            if lines and self._append is not None:
                self._append([text for _, _, text in lines])
                forget(self._connection, lines)

    def _commit(self, changes: list[tuple[Statement, list[tuple[Any, ...]]]]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for (head, row, tail), rows in changes:
                for begin in range(0, len(rows), AT_ONCE):
                    some = rows[begin : begin + AT_ONCE]
                    values = ",".join([row] * len(some))
                    connection.execute(
                        f"{head} {values} {tail}", tuple(itertools.chain.from_iterable(some))
                    )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have rolled it back
                connection.execute("ROLLBACK")
            raise


def forget(connection: sqlite3.Connection, lines: Iterable[Line]) -> None:
    """These lines are in the failure file."""
    done = _encode([(load, row) for load, row, _ in lines]).decode()
    connection.execute(
        "DELETE FROM outbox WHERE (load, row) IN "
        "(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))",
        (done,),
    )


__all__ = ("Line", "Statement", "Writer", "forget")
