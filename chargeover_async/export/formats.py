"""How pages become bytes of a file: JSON Lines and CSV here, Parquet in `arrow`."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import GenericAlias
from typing import Any

import msgspec

from chargeover_async._extras import zstd
from chargeover_async.errors import DecodeError
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.models._json.read import encode, read_many

from .columns import Column, picked_struct
from .page import Page

NULL = msgspec.Raw(b"null")


class Format:
    """Turns pages into bytes that can be appended to what is there.

    ``notes`` is what must be remembered to go on with a file, as plain values.
    """

    is_final = True
    """Whether the appended bytes are the file; else `rewrite` makes it from them."""

    def __init__(self) -> None:
        self.notes: dict[str, Any] = {}

    def head(self) -> bytes:
        """What stands before the first page."""
        return b""

    def encode(self, page: Page) -> bytes:
        """The bytes of a page; raises DecodeError for what cannot be written without loss."""
        raise NotImplementedError

    def rewrite(self, part: Path, whole: Path) -> None:
        """Write the file ``whole`` from the complete ``part``."""
        raise NotImplementedError


class JsonLines(Format):
    """A JSON object a line, every value exactly as the API sent it; ``columns`` picks some."""

    def __init__(self, columns: Sequence[Column] | None) -> None:
        super().__init__()
        self._read: Callable[[Any], Any] | None = None
        if columns is not None:
            picked: Any = msgspec.defstruct(
                "Picked",
                [
                    (f"c{i}", msgspec.Raw, msgspec.field(default=NULL, name=column.name))
                    for i, column in enumerate(columns)
                ],
            )
            self._read = msgspec.json.Decoder(GenericAlias(list, (picked,))).decode

    def encode(self, page: Page) -> bytes:
        """A line each."""
        lines = self._lines(page)
        if lines.count(b"\n") != len(page.ids):  # a server that writes JSON on many lines
            lines = self._lines(Page(page.ids, msgspec.json.format(bytes(page.raw), indent=-1)))
        try:
            str(lines, "utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError(f"a page is not UTF-8: {error}") from None
        return lines

    def _lines(self, page: Page) -> bytes:
        parts = page.parts() if self._read is None else map(encode, self._read(page.raw))
        return b"\n".join([*parts, b""])


class Csv(Format):
    """A header and a row a record; nested parts as JSON, absent values as empty cells.

    Amounts are written as they are, without exponent; dates in ISO 8601; flags as true and false.
    """

    def __init__(
        self, model: type[Any], columns: Sequence[Column], dates: DateFormat | None
    ) -> None:
        super().__init__()
        self._columns = columns
        self._dates = dates
        self._struct = picked_struct(model, columns)
        self._cells = [_CELLS[column.kind] for column in columns]

    def head(self) -> bytes:
        """The header."""
        return _rows([[column.name for column in self._columns]])

    def encode(self, page: Page) -> bytes:
        """A row each."""
        cells = self._cells
        return _rows(
            [
                [
                    "" if value is None else cell(value)
                    for cell, value in zip(cells, msgspec.structs.astuple(record), strict=True)
                ]
                for record in read_many(page.raw, self._struct, self._dates)
            ]
        )


class Compressed(Format):
    """Another format behind gzip or zstd, each page a member of its own, so that it can go on."""

    def __init__(self, inner: Format, compression: str) -> None:
        super().__init__()
        self._inner = inner
        self._squeeze: Callable[[bytes], bytes] = gzip.compress
        if compression == "zstd":
            module = zstd()
            options = {module.CompressionParameter.checksum_flag: 1}  # as gzip has
            self._squeeze = partial(module.compress, options=options)

    def head(self) -> bytes:
        """What the other one begins with."""
        head = self._inner.head()
        return self._squeeze(head) if head else head

    def encode(self, page: Page) -> bytes:
        """What the other one makes of a page."""
        return self._squeeze(self._inner.encode(page))


def _rows(rows: list[list[str]]) -> bytes:
    return csv_text(rows).encode()


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """``rows`` as lines of CSV, which every reader reads alike.

    Some versions of Python (3.11 up to 3.11.8) leave a carriage return unquoted, which ends a row
    for others.
    """
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    if "\r" not in out.getvalue():
        return out.getvalue()
    out = io.StringIO(newline="")
    for row in rows:
        returns = any("\r" in str(cell) for cell in row)
        csv.writer(
            out, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
        ).writerow(row)
    return out.getvalue()


def json_text(value: Any) -> str:
    """``value`` as JSON, its amounts as exact numbers."""
    return encode(value).decode()


def mixed_text(value: Any) -> str:
    """A value of any kind: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json_text(value)


def _amount(value: Decimal) -> str:
    return f"{value:f}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


_CELLS: dict[str, Callable[[Any], str]] = {
    "id": str,
    "text": str,
    "flag": _flag,
    "money": _amount,
    "day": dt.date.isoformat,
    "moment": dt.datetime.isoformat,
    "mixed": mixed_text,
    "nested": json_text,
}


__all__ = ("Compressed", "Csv", "Format", "JsonLines", "csv_text", "json_text", "mixed_text")
