"""CSV: column names in the first line, every cell a text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, TextIO

from .row import BadFile, BadRow, Row, Skip
from .source import Source

if TYPE_CHECKING:
    from _csv import Reader


class CsvSource(Source, frozen=True):
    """A CSV file."""

    format: ClassVar[str] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def columns(self) -> tuple[str, ...]:
        """The columns that the first line names."""
        with self._open("") as file:
            return self._header(self._reader(file))

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """See `Source.rows`."""
        with self._open("") as file:
            reader = self._reader(file)
            header = self._header(reader)
            width = len(header)
            begin = reader.line_num + 1
            try:
                for record in reader:
                    if skip is not None and skip(begin):
                        pass
                    elif len(record) == width:
                        yield Row(begin, dict(zip(header, record, strict=True)))
                    elif record:
                        message = f"the row has {len(record)} cells, the header has {width}"
                        yield BadRow(begin, message, record)
                    begin = reader.line_num + 1
            except csv.Error as error:
                raise self._no_csv(begin, error) from None

    def _reader(self, file: TextIO) -> Reader:
        return csv.reader(file, delimiter=self.delimiter, strict=True)

    def _no_csv(self, line: int, error: csv.Error) -> BadFile:
        return BadFile(f"{self.name} row {line} is not CSV: {error}")

    def _header(self, reader: Reader) -> tuple[str, ...]:
        try:
            header = tuple(next(reader, ()))
        except csv.Error as error:
            raise self._no_csv(1, error) from None
        if not header:
            raise BadFile(f"{self.name} is empty; its first line must name the columns")
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise BadFile(f'{self.name} has two columns named "{twice[0]}"')
        return header


__all__ = ("CsvSource",)
