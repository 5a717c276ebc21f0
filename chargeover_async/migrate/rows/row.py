"""What a file gives: a row, or what was no row; and the error that ends the reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chargeover_async.errors import UsageError

Skip = Callable[[int], bool]


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


__all__ = ("BadFile", "BadRow", "Row", "Skip")
