"""CSV: column names in the first line, every cell a text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, TextIO

from .row import BadFile, BadRow, Row, Skip
from .source import Source

if TYPE_CHECKING:
    from _csv import Reader


LONGEST = 1 << 26  # characters of a cell


class CsvSource(Source, frozen=True):
    """A CSV file."""

    format: ClassVar[str] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def columns(self) -> tuple[str, ...]:
        """The columns that the first line names."""
        with self._open("") as file:
            return tuple(filter(None, self._header(self._reader(file))))

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """See `Source.rows`; rows of nothing but delimiters, as spreadsheets write them, are blank.

        A column without a name is nobody's, and a row may lack it, or have more of them.
        """
        with self._open("") as file:
            reader = self._reader(file)
            header = self._header(reader)
            width = len(header)
            least = max(index for index, name in enumerate(header, 1) if name)
            has_all = "" not in header
            # First cells of rows that are looked at twice: blank ones, and the header again.
            unusual = {"", header[0], f"\ufeff{header[0]}"}
            begin = reader.line_num + 1
            try:
                for record in reader:
                    if skip is not None and skip(begin):
                        pass
                    elif (
                        len(record) == width
                        and has_all
                        and record[0] not in unusual
                        and not record[0].isspace()
                    ):
                        yield Row(begin, dict(zip(header, record, strict=True)))
                    elif not any(map(str.strip, record)):
                        pass
                    elif len(record) < least or any(map(str.strip, record[width:])):
                        message = f"the row has {len(record)} cells, the header has {width}"
                        yield BadRow(begin, message, record)
                    else:
                        yield _row(begin, header, record)
                    begin = reader.line_num + 1
            except csv.Error as error:
                raise self._no_csv(begin, error) from None

    def _reader(self, file: TextIO) -> Reader:
        # The limit is one for the whole process: it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
        return csv.reader(file, delimiter=self.delimiter, strict=True)

    def _no_csv(self, line: int, error: csv.Error) -> BadFile:
        return BadFile(f"{self.name} row {line} is not CSV: {error}")

    def _header(self, reader: Reader) -> tuple[str, ...]:
        """The names of the columns, ``""`` for one without."""
        try:
            header = tuple(name if name.strip() else "" for name in next(reader, ()))
        except csv.Error as error:
            raise self._no_csv(1, error) from None
        if not any(header):
            raise BadFile(f"{self.name} is empty; its first line must name the columns")
        twice = sorted({name for name in header if name and header.count(name) > 1})
        if twice:
            raise BadFile(f'{self.name} has two columns named "{twice[0]}"')
        return header


def _row(line: int, header: tuple[str, ...], record: list[str]) -> Row | BadRow:
    cells = {name: cell for name, cell in zip(header, record, strict=False) if name}
    if all(name == cell.lstrip("\ufeff") for name, cell in cells.items()):
        return BadRow(line, "the header stands here again; delete this line", record)
    return Row(line, cells)


__all__ = ("CsvSource",)
