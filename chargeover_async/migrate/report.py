"""What an import leaves behind: its summary, and a file of the rows that were not imported."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TextIO

import msgspec

from chargeover_async.errors import UsageError

from .mask import masked, masked_text

_encoder = msgspec.json.Encoder(decimal_format="number")


class LoadSummary(msgspec.Struct, frozen=True):
    """What became of one file of the plan."""

    object: str
    file: str
    rows: int
    created: int
    existing: int
    failed: int
    unknown: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an import.

    ``operations`` counts the rows that stand for a record; ``created + existing +
    failed + unknown + not_reached`` is always the same number. ``existing`` rows have a key that
    is taken, and that was allowed. ``failed`` rows are surely not there; ``unknown`` ones
    may be: look them up. ``not_reached`` were never tried because the job stopped; ``stopped``
    says why. ``requests`` counts everything sent, retries included; ``seconds`` is the time from
    the first request. ``failures`` is the path of the failure file, ``""`` if there is none.
    """

    operations: int
    created: int = 0
    existing: int = 0
    failed: int = 0
    unknown: int = 0
    not_reached: int = 0
    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    seconds: float = 0.0
    stopped: str = ""
    failures: str = ""
    loads: tuple[LoadSummary, ...] = ()

    def json(self) -> str:
        """The summary as one line of JSON."""
        return _encoder.encode(self).decode()


class Failure(msgspec.Struct, frozen=True):
    """One line of a failure file.

    ``data`` is what was sent or would have been sent (None if the row could not be read), with
    card and bank numbers masked; ``source`` is the row as the file has it, masked as well.
    """

    file: str
    row: int
    object: str
    key: str
    state: Literal["refused", "not_sent", "unknown"]
    error: str
    message: str
    data: dict[str, Any] | None
    source: Any

    def line(self) -> bytes:
        """The failure as one line of JSON, masked."""
        return _encoder.encode(
            Failure(
                self.file,
                self.row,
                self.object,
                masked_text(self.key),
                self.state,
                self.error,
                masked_text(self.message),
                masked(self.data),
                masked(self.source),
            )
        )


class FailureFile:
    """A JSON Lines file of failures; every line is on disk (or with the system) when written.

    It never overwrites: an existing file that is not empty is refused with UsageError, for it may
    be the only record of an earlier import. A file without a line is removed at the end.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.count = 0
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            try:
                if self.path.exists() and self.path.stat().st_size:
                    raise UsageError(
                        f"{self.path} exists and holds the failures of an earlier import; "
                        "move it away or name another failure file"
                    )
                self._file = self.path.open("w", encoding="utf-8", buffering=1)
            except OSError as error:
                raise UsageError(
                    f"the failure file {self.path} cannot be written: {error.strerror}"
                ) from None
        return self

    def write(self, failure: Failure) -> None:
        """Append one failure."""
        self.count += 1
        if self._file is not None:
            self._file.write(failure.line().decode() + "\n")

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


__all__ = ("Failure", "FailureFile", "LoadSummary", "Summary")
