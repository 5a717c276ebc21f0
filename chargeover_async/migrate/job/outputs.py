"""The files that an import leaves: of the rows that were not imported, and of those that were."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import msgspec

from chargeover_async.errors import UsageError
from chargeover_async.migrate.journal import read_rows
from chargeover_async.migrate.mask import mask, mask_payload, mask_text

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

    def text(self) -> str:
        """The failure as one line of JSON, masked."""
        return _encoder.encode(
            Failure(
                self.file,
                self.row,
                self.object,
                mask_text(self.key),
                self.state,
                self.error,
                mask_text(self.message),
                mask_payload(self.data),
                mask(self.source),
            )
        ).decode()


class FailureFile:
    """A JSON Lines file of failures; every line is on disk (or with the system) when written.

    It never overwrites: an existing file that is not empty is refused with UsageError, for it may
    be the only record of an earlier import; unless ``goes_on`` says that it is of this one, which
    then adds to it. A file without a line is removed at the end.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.count = 0
        self.goes_on = False
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            try:
                if self.path.exists() and self.path.stat().st_size:
                    if not self.goes_on:
                        raise UsageError(
                            f"{self.path} exists and holds the failures of an earlier import; "
                            "move it away or name another failure file"
                        )
                    self._end_last_line()
                self._file = self.path.open("a", encoding="utf-8", buffering=1)
            except OSError as error:
                raise UsageError(
                    f"the failure file {self.path} cannot be written: {error.strerror}"
                ) from None
        return self

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
        if self.path is None or not self.path.exists():
            return False
        with self.path.open(encoding="utf-8", errors="replace") as file:
            return any(line.rstrip("\n") == text for line in file)

    def write(self, failure: Failure) -> None:
        """Append one failure."""
        self.count += 1
        if self._file is not None:
            self._file.write(failure.text() + "\n")

    def append(self, lines: Sequence[str]) -> None:
        """Append lines and see them on disk; from any thread, one at a time."""
        if self._file is not None and lines:
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()
            os.fsync(self._file.fileno())
            self.count += len(lines)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            if not self.count and self.path is not None:
                self.path.unlink(missing_ok=True)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


class ResultFile:
    """A CSV file that maps each external key to the id of its record; whole or not there.

    It is written beside its name and renamed at the end, also when the import was stopped. With a
    journal (``later``) it is made from that at the end, and then holds earlier runs, too. A file
    that is there already is refused with UsageError unless it ``is_ours``.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.is_ours = False
        self.later = False
        self._file: TextIO | None = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        if self.path is not None:
            if self.path.exists() and not self.is_ours:
                raise UsageError(f"{self.path} exists; move it away or name another results file")
            self._open()
            if self.later and self._file is not None:  # it was only tried
                self._file.close()
                self._part.unlink()
                self._file = None
        return self

    @property
    def _part(self) -> Path:
        assert self.path is not None
        return self.path.with_name(self.path.name + ".part")

    def _open(self) -> None:
        try:
            self._file = self._part.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise UsageError(
                f"the results file {self.path} cannot be written: {error.strerror}"
            ) from None
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(RESULTS)

    def write(
        self, name: str, key: str, identity: int | None, became: str, file: str, row: int
    ) -> None:
        """Add one row that is there."""
        if self._file is not None:
            shown = "" if identity is None else identity
            self._writer.writerow((name, mask_text(key), shown, became, file, row))

    def write_all(self, journal: Path) -> None:
        """Write the file anew, with all that a journal knows."""
        if self.path is not None:
            self._open()
            try:
                for row in read_rows(journal, ("created", "updated", "existing")):
                    self.write(row.object, row.key, row.id, row.state, row.file, row.row)
                self._finish()
            except OSError as error:
                raise UsageError(
                    f"the results file {self.path} cannot be written: {error.strerror}"
                ) from None

    def _finish(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            assert self.path is not None
            self._part.replace(self.path)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()


RESULTS = ("object", "external_key", "id", "state", "file", "row")

__all__ = ("RESULTS", "Failure", "FailureFile", "ResultFile")
