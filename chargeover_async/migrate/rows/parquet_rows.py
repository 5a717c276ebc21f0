"""Parquet (extra ``parquet``): each row as JSON Lines would have it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyarrow is no dependency and comes in as Any.
from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Generator, Iterator
from decimal import Decimal
from typing import Any, ClassVar

from chargeover_async._extras import arrow

from .row import BadFile, BadRow, Row, Skip
from .source import Source

BATCH = 1_000  # rows of a Parquet file in memory at once, besides its own row group


class ParquetSource(Source, frozen=True):
    """A Parquet file; its first row counts as line 1."""

    format: ClassVar[str] = "parquet"
    endings: ClassVar[tuple[str, ...]] = (".parquet",)

    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        with self._file() as file:
            names = tuple(file.schema_arrow.names)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadFile(f'{self.name} has two columns named "{twice[0]}"')
        return names

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """See `Source.rows`; of the ``wanted`` columns, or of all."""
        line, library = 0, arrow()
        names = [name for name in self.columns() if name in self.wanted] or None
        try:
            with self._file() as file:
                for batch in file.iter_batches(batch_size=BATCH, columns=names):
                    for cells in batch.to_pylist():
                        line += 1
                        if skip is None or not skip(line):
                            yield Row(line, {name: plain(cell) for name, cell in cells.items()})
        except BadFile:
            raise
        except (library.ArrowException, OSError, ValueError) as error:
            message = f"{self.name} cannot be read behind row {line}: {_first_line(error)}"
            raise BadFile(message) from None

    @contextlib.contextmanager
    def _file(self) -> Generator[Any]:
        library = arrow()
        with self._readable(), self.held.open() as bytes_:
            try:
                file = library.parquet.ParquetFile(bytes_)
            except library.ArrowException as error:
                message = f"{self.name} is not a Parquet file: {_first_line(error)}"
                raise BadFile(message) from None
            with file:
                yield file


def plain(value: Any) -> Any:
    """A value as JSON has it; raises ValueError for one that JSON has not.

    A decimal of a fixed scale loses its trailing zeros, and a double is the shortest number that
    stands for it, as it would be in JSON; a whole number is one, whatever type its column has.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None if value.is_nan() else str(value)  # NaN is how some tools write "absent"
        if value == value.to_integral_value():
            return int(value)  # of up to 76 digits in a decimal, and 309 in a double
        return Decimal(f"{value:f}".rstrip("0"))
    if isinstance(value, dt.datetime):
        return value.isoformat(" " if value.tzinfo is None else "T")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    raise ValueError(f"a value of the type {type(value).__name__} cannot be imported")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


__all__ = ("ParquetSource", "plain")
