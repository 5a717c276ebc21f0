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
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from chargeover_async.errors import JournalError, UsageError
from chargeover_async.migrate.check.found import Finding
from chargeover_async.migrate.mask import printable

from .file import Lock, journal_errors, open_to_write, owner
from .reading import IN_DOUBT, Input, States, Verb, count_states, open_reader, refuse_changed
from .writer import Line, Writer, forget

_encode = msgspec.json.Encoder().encode

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


class Sent(msgspec.Struct, frozen=True):
    """A row that is about to be sent: ``load`` is the index of its file in the plan."""

    load: int
    row: int
    key: str
    verb: Verb


class Settled(msgspec.Struct, frozen=True):
    """What came of a row; ``line`` is its entry for the failure file, if it has one.

    ``data`` is what was sent, as JSON, where somebody must look at it. All texts are masked.
    """

    load: int
    row: int
    key: str
    verb: Verb
    state: str
    data: str | None = None
    id: int | None = None
    error: str | None = None
    message: str | None = None
    line: str = ""


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
                            (i, file.object, file.file, file.stamp, file.rows)
                            for i, file in enumerate(inputs)
                        ],
                    )
                    self._connection.executemany(
                        "INSERT INTO findings VALUES (?, ?, ?, ?)", map(_as_row, findings)
                    )
                    self._set(plan=plan, plan_name=plan_name, account=account, created=_now())
                return False
        if meta["account"] != account:
            raise JournalError(
                f"the journal {self.path} is of an import into {meta['account']}, not into "
                f"{account}; name another journal"
            )
        refuse_changed(self._connection, self.path, plan, plan_name, inputs)
        self.was_begun = True
        return True

    def knows(self, path: Path) -> bool:
        """Whether a failure file or a results file was written by this import."""
        return _written(path) in self._meta()

    def will_write(self, path: Path) -> None:
        """Note that a file is written by this import."""
        with journal_errors(self.path, "written"):
            self._set(**{_written(path): _now()})

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
            [(row.load, row.row, row.key, row.verb, now) for row in rows],
            (),
        )
        await self._writer.durable()

    def settled(self, rows: Iterable[Settled]) -> None:
        """Note what came of rows; it is on disk before anything else is sent."""
        assert self._writer is not None
        now, lines, values = time.time(), list[Line](), list[tuple[Any, ...]]()
        for row in rows:
            values.append(
                (
                    row.load,
                    row.row,
                    row.key,
                    row.state,
                    row.verb,
                    row.id,
                    row.error,
                    row.message,
                    row.data,
                    now,
                )
            )
            if row.line:
                lines.append((row.load, row.row, row.line))
        self._writer.add(_SETTLED, values, ())
        if lines:
            self._writer.add(_OUTBOX, lines, lines)

    @property
    def has_failed(self) -> bool:
        """Whether it could not be written; then nothing more is sent."""
        return self._writer is not None and self._writer.error is not None

    def finish(self) -> None:
        """Commit what is left; raises JournalError if something could not be written."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    # -- reading -------------------------------------------------------------------------------

    def counts(self) -> dict[int, dict[str, int]]:
        """For each load, how many rows are in which state."""
        with journal_errors(self.path, "read"), open_reader(self.path) as reader:
            return count_states(reader)

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


def _as_row(finding: Finding) -> tuple[int, int, int, str | None]:
    if finding.problem is None:
        return finding.load, finding.line, finding.round, None
    return finding.load, finding.line, 0, _encode(finding.problem).decode()


def _written(path: Path) -> str:
    return printable(f"writes:{path.absolute()}")


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(" ", "seconds")


__all__ = ("Journal", "Sent", "Settled")
