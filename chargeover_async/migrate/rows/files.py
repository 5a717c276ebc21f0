"""Opening the files of an import: compressed ones by their ending, Parquet row by row."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyarrow is no dependency and comes in as Any.
from __future__ import annotations

import datetime as dt
import gzip
import io
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from chargeover_async._extras import arrow, zstd

COMPRESSED = (".gz", ".zst")
BATCH = 1_000  # rows of a Parquet file in memory at once, besides its own row group


def ending(path: Path) -> str:
    """The ending that tells the format: that of ``shop.csv.gz`` is ``.csv``."""
    inner = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return inner.suffix.lower()


def open_text(path: Path, encoding: str, newline: str | None) -> TextIO:
    """The text of a file, unpacked if its name ends in ``.gz`` or ``.zst``.

    Raises OSError, and UsageError when the library for it is missing.
    """
    suffix = path.suffix.lower()
    if suffix not in COMPRESSED:
        return path.open(encoding=encoding, newline=newline)
    unpacked = gzip.GzipFile(path) if suffix == ".gz" else zstd().ZstdFile(path)
    return io.TextIOWrapper(cast("BinaryIO", unpacked), encoding=encoding, newline=newline)


def is_damage(error: BaseException) -> bool:
    """Whether an error of reading means that a compressed file is cut off or not what it seems."""
    return isinstance(error, (EOFError, zlib.error)) or type(error).__name__ == "ZstdError"


class ParquetRows:
    """The columns and rows of a Parquet file; raises ValueError for what is none."""

    def __init__(self, path: Path) -> None:
        self._arrow = arrow()
        try:
            self._file = self._arrow.parquet.ParquetFile(str(path))
        except self._arrow.ArrowException as error:
            raise ValueError(_first_line(error)) from None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._file.schema_arrow.names)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each row as JSON Lines would have it: dates as text, amounts exact."""
        try:
            with self._file:
                for batch in self._file.iter_batches(batch_size=BATCH):
                    for row in batch.to_pylist():
                        yield {name: plain(value) for name, value in row.items()}
        except (self._arrow.ArrowException, OSError) as error:
            raise ValueError(_first_line(error)) from None


def plain(value: Any) -> Any:
    """A value as JSON has it; raises ValueError for one that JSON has not.

    A decimal of a fixed scale loses its trailing zeros, and a double is the shortest number that
    stands for it, as it would be in JSON.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None if value.is_nan() else str(value)  # NaN is how some tools write "absent"
        digits = f"{value:f}"
        return Decimal(digits.rstrip("0").rstrip(".") if "." in digits else digits)
    if isinstance(value, dt.datetime):
        return value.isoformat(" " if value.tzinfo is None else "T")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    raise ValueError(f"a value of the type {type(value).__name__} cannot be imported")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


__all__ = ("ParquetRows", "ending", "is_damage", "open_text", "plain")
