"""The files that an import leaves: of the rows that were not imported, and of those that were."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import msgspec

from chargeover_async.errors import JournalError, UsageError
from chargeover_async.export.formats import csv_text
from chargeover_async.migrate.journal import read_rows
from chargeover_async.migrate.mask import Keep, mask, mask_payload, mask_text, printable

_encoder = msgspec.json.Encoder(decimal_format="number")


class Failure(msgspec.Struct, frozen=True):
    """One line of a failure file.

    ``data`` is what was sent or would have been sent (None if the row could not be read), with
    card and bank numbers masked; ``source`` is the row as the file has it, masked as well.
    """

    file: str
    row: int
    object: str
    key: str
    state: str
    error: str
    message: str
    data: dict[str, Any] | None
    source: Any

    def text(self, keep: Keep = ()) -> str:
        """The failure as one line of JSON, masked but for the identifiers to ``keep``."""
        shown = msgspec.structs.replace(
            self,
            message=printable(mask_text(self.message, keep)),
            data=mask_payload(self.data, keep),
            source=mask(self.source, "", keep),
        )
        return _encoder.encode(shown).decode()


class FailureFile:
    """A JSON Lines file of failures; every line is on disk (or with the system) when written.

    It never overwrites: an existing file that is not empty is refused with UsageError, for it may
    be the only record of an earlier import; unless ``goes_on`` says that it is of this one, which
    then adds to it. A file without a line is removed at the end; a pipe or a device stays.

    ``trouble`` is what could not be written, and why; lines are written whole or not at all.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.count = 0
        self.goes_on = False
        self._file: int | None = None
        self._lost = 0
        self._why = ""

    @property
    def trouble(self) -> str:
        """Which lines it lacks; ``""`` for none."""
        if not self._lost:
            return ""
        return f"{self._why}; {self._lost} of {self.count} failures are not in it"

    def __enter__(self) -> Self:
        if self.path is not None:
            try:
                if self.path.is_file() and self.path.stat().st_size:
                    if not self.goes_on:
                        raise UsageError(
                            f"{self.path} exists and holds the failures of an earlier import; "
                            "move it away or name another failure file"
                        )
                    self._end_last_line()
                self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, OWN)
            except OSError as error:
                raise UsageError(self._cannot(error)) from None
        return self

    def _cannot(self, error: OSError) -> str:
        return f"the failure file {self.path} cannot be written: {error.strerror or error}"

    def _end_last_line(self) -> None:
        """A process that was killed may have left a part of a line, which is written again."""
        assert self.path is not None
        with self.path.open("rb+") as file:
            whole, line = 0, b"\n"
            for line in file:
                if not line.endswith(b"\n") and not _is_json(line):
                    file.truncate(whole)
                    return
                whole += len(line)
                self.count += 1
            if not line.endswith(b"\n"):  # by an editor
                file.write(b"\n")

    def has(self, text: str) -> bool:
        """Whether the file has this line already."""
        if self.path is None or not self.path.is_file():
            return False
        with self.path.open(encoding="utf-8", errors="replace") as file:
            return any(line.rstrip("\n") == text for line in file)

    def write(self, failure: Failure, keep: Keep = ()) -> None:
        """Append one failure, if there is room."""
        self.count += 1
        try:
            self._append(failure.text(keep) + "\n")
        except OSError as error:
            self._lost += 1
            self._why = self._cannot(error)

    def append(self, lines: Sequence[str]) -> None:
        """Append lines and see them on disk, or raise JournalError; from any thread, in turn."""
        if self._file is None or not lines:
            return
        try:
            self._append("".join(f"{line}\n" for line in lines))
            if self._is_regular():
                os.fsync(self._file)
        except OSError as error:
            advice = "make room and start again with the same journal"
            raise JournalError(f"{self._cannot(error)}; {advice}") from error
        self.count += len(lines)

    def _append(self, text: str) -> None:
        if self._file is None:
            return
        before = os.fstat(self._file).st_size
        left = memoryview(text.encode())
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            if self._is_regular():
                os.truncate(self._file, before)
            raise

    def _is_regular(self) -> bool:
        return self._file is not None and stat.S_ISREG(os.fstat(self._file).st_mode)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None and self.path is not None:
            is_empty = self._is_regular() and not os.fstat(self._file).st_size
            os.close(self._file)
            self._file = None
            if is_empty and not self.path.is_symlink():
                self.path.unlink(missing_ok=True)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


class ResultFile:
    """A CSV file that maps each external key to the id of its record; whole or not there.

    It is written beside its name and renamed at the end, also when the import was stopped; a pipe
    or a device is written to as it is. With a journal (``later``) it is made from that at the end,
    and then holds earlier runs, too. A file that is there already is refused with UsageError unless
    it ``is_ours``. ``trouble`` says why it could not be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.is_ours = False
        self.later = False
        self.trouble = ""
        self._file: TextIO | None = None
        self._target = Path()  # behind a link, if it is one
        self._part: Path | None = None  # beside it; None where it is no regular file

    def __enter__(self) -> Self:
        if self.path is not None:
            try:
                is_file = self.path.is_file()
                self._target = Path(os.path.realpath(self.path))
                if self._target.is_symlink():  # it leads back to itself
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if is_file or not self.path.exists():
                    self._part = self._target.with_name(self._target.name + ".part")
            except OSError as error:
                raise UsageError(self._cannot(error)) from None
            if is_file and not self.is_ours:
                raise UsageError(f"{self.path} exists; move it away or name another results file")
            if not self.later:
                self._open()
            elif self._part is not None:  # it is only tried
                self._open()
                self._forget()
            if self.trouble:
                raise UsageError(self.trouble)
        return self

    def _cannot(self, error: OSError) -> str:
        return f"the results file {self.path} cannot be written: {error.strerror or error}"

    def _open(self) -> None:
        try:
            # Keys and ids are for its owner only.
            file = os.open(self._part or self._target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWN)
            self._file = open(file, "w", encoding="utf-8", newline="")  # noqa: SIM115, PTH123
        except OSError as error:
            self.trouble = self._cannot(error)
            return
        self._write(RESULTS)

    def write(
        self, name: str, key: str, identity: int | None, became: str, file: str, row: int
    ) -> None:
        """Add one row that is there."""
        self._write((name, key, "" if identity is None else identity, became, file, row))

    def _write(self, row: Sequence[object]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(csv_text([row]))
        except OSError as error:
            self._give_up(error)

    def write_all(self, journal: Path) -> None:
        """Write the file anew, with all that a journal knows."""
        if self.path is not None:
            self._open()
            for row in read_rows(journal, ("created", "updated", "existing")):
                self.write(row.object, row.key, row.id, row.state, row.file, row.row)
            self._finish()

    def _finish(self) -> None:
        if self._file is None:
            return
        try:
            self._file.flush()
            if self._part is not None:
                os.fsync(self._file.fileno())
            self._file.close()
            if self._part is not None:
                self._part.replace(self._target)
            self._file = None
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Leave no file in its place: one that is there is whole."""
        self.trouble = self._cannot(error)
        if self.later:
            self.trouble += "; make room and run the same command again: the journal has it all"
            self._forget()
        elif self._part is not None:
            self.trouble += f"; what could be written is in {self._part}"
        self._close()

    def _forget(self) -> None:
        self._close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # it still holds what did not find room
                file.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()


OWN = 0o600  # it holds customers' data
RESULTS = ("object", "external_key", "id", "state", "file", "row")

__all__ = ("RESULTS", "Failure", "FailureFile", "ResultFile")
