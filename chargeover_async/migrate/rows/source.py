"""Rows out of files: CSV, JSON Lines and Parquet, read as a stream, never whole.

A row knows the line of the file where it begins, so that every message can name it. What spoils
one row comes out as a `BadRow` and the reading goes on; what spoils the file raises `BadFile`.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TextIO, cast

import msgspec

from chargeover_async.errors import UsageError
from chargeover_async.migrate.mask import MASK, holds_mask

from .files import ParquetRows, is_damage, open_text

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


Skip = Callable[[int], bool]
if TYPE_CHECKING:
    from _csv import Reader as CsvReader


class BadFile(UsageError):
    """A file that cannot be read, or cannot be read on; the message names file and line."""


class Row(msgspec.Struct, frozen=True):
    """One record of a file: ``line`` is where it begins (the first line is 1).

    ``cells`` maps column to text for CSV, and to the JSON value for JSON Lines and Parquet, whose
    numbers with a point are `Decimal`. The first row of a Parquet file counts as its line 1.
    """

    line: int
    cells: dict[str, Any]


class BadRow(msgspec.Struct, frozen=True):
    """A record that is no record: ``message`` says why, ``raw`` holds what could be read."""

    line: int
    message: str
    raw: Any


class Source(msgspec.Struct, frozen=True):
    """A file and how to read it.

    ``format`` is ``"csv"``, ``"jsonl"``, ``"parquet"`` (extra ``parquet``) or ``"failures"``: the
    failure file of an earlier import, of which the entries about the object ``only`` are read, as
    the data that was to be sent. Where ``strays`` names all objects that are read, an entry about
    any other is a `BadRow`.
    """

    path: Path
    format: str = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    only: str = ""
    strays: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name for messages."""
        return self.path.name

    def columns(self) -> tuple[str, ...] | None:
        """The columns of the file; None for JSON Lines, where each row has its own names."""
        if self.format == "parquet":
            return self._parquet().columns
        if self.format != "csv":
            with self._open():
                return None
        with self._open() as file, self._readable():
            return self._header(self._reader(file))

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """Every record in order; blank lines are passed over.

        So are records at lines of which ``skip`` says so: quickly, without looking into them.
        """
        if self.format == "csv":
            return self._csv_rows(skip)
        if self.format == "parquet":
            return self._parquet_rows(skip)
        return self._json_rows(skip) if self.format == "jsonl" else self._failed_rows(skip)

    def stamp(self) -> tuple[int, int]:
        """Size and time of change, to notice a file that changes between two readings."""
        try:
            found = self.path.stat()
        except OSError as error:
            self._unreadable(error)
        return found.st_size, found.st_mtime_ns

    def digest(self) -> str:
        """A checksum of the file's bytes and of how they are read."""
        try:
            with self.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256")
        except OSError as error:
            self._unreadable(error)
        how = (self.format, self.encoding, self.delimiter, self.only)
        found.update(repr(how).encode())
        return found.hexdigest()

    def _csv_rows(self, skip: Skip | None) -> Iterator[Row | BadRow]:
        with self._open() as file, self._readable():
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

    def _parquet(self) -> ParquetRows:
        with self._open_bytes(), self._readable():
            try:
                return ParquetRows(self.path)
            except ValueError as error:
                raise BadFile(f"{self.name} is not a Parquet file: {error}") from None

    def _parquet_rows(self, skip: Skip | None) -> Iterator[Row | BadRow]:
        line = 0
        try:
            for line, cells in enumerate(self._parquet().rows(), 1):
                if skip is None or not skip(line):
                    yield Row(line, cells)
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            raise BadFile(f"{self.name} cannot be read behind row {line}: {error}") from None

    def _json_rows(self, skip: Skip | None) -> Iterator[Row | BadRow]:
        with self._open() as file, self._readable():
            for line, text in enumerate(file, 1):
                if not text.strip() or (skip is not None and skip(line)):
                    continue
                try:
                    value = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
                except ValueError as error:
                    yield BadRow(line, f"not a JSON value: {error}", text.rstrip("\n"))
                    continue
                if isinstance(value, dict):
                    yield Row(line, cast("dict[str, Any]", value))
                else:
                    yield BadRow(line, f"not a JSON object but {_json_type(value)}", value)

    def _failed_rows(self, skip: Skip | None) -> Iterator[Row | BadRow]:
        for row in self._json_rows(skip):
            if isinstance(row, BadRow):
                if self.strays:
                    yield row
                continue
            name, data = row.cells.get("object"), row.cells.get("data")
            if name != self.only:
                if self.strays and name not in self.strays:
                    message = f"{name!r} cannot be imported by itself"
                    yield BadRow(row.line, message, row.cells)
            elif not isinstance(data, dict):
                yield BadRow(row.line, 'put what is to be sent into "data"', row.cells)
            elif holds_mask(data):
                message = f'put the true value in the place of "{MASK}..."'
                yield BadRow(row.line, message, row.cells)
            else:
                yield Row(row.line, cast("dict[str, Any]", data))

    def _reader(self, file: TextIO) -> CsvReader:
        return csv.reader(file, delimiter=self.delimiter, strict=True)

    def _no_csv(self, line: int, error: csv.Error) -> BadFile:
        return BadFile(f"{self.name} row {line} is not CSV: {error}")

    def _header(self, reader: CsvReader) -> tuple[str, ...]:
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

    def _open(self) -> TextIO:
        # utf-8-sig reads UTF-8 with and without the mark that Excel puts in front.
        encoding = "utf-8-sig" if self.encoding.lower() in {"utf-8", "utf8"} else self.encoding
        try:
            return open_text(self.path, encoding, "" if self.format == "csv" else None)
        except OSError as error:
            self._unreadable(error)

    def _open_bytes(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            self._unreadable(error)

    @contextlib.contextmanager
    def _readable(self) -> Generator[None]:
        try:
            yield
        except UnicodeError as error:
            raise BadFile(
                f'{self.name} is not text in the encoding "{self.encoding}": {error}; '
                'say what it is in the plan, such as encoding = "cp1252"'
            ) from None
        except OSError as error:
            self._unreadable(error)
        except Exception as error:
            if not is_damage(error):
                raise
            raise BadFile(f"{self.name} is damaged or cut off: {error}") from None

    def _unreadable(self, error: OSError) -> NoReturn:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BadFile(f"{self.path} cannot be read: {reason}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _json_type(value: object) -> str:
    kinds: dict[type, str] = {
        list: "a list",
        str: "a text",
        bool: "true or false",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")


__all__ = ("FORMATS", "BadFile", "BadRow", "Row", "Source")
