"""The formats of files: a new one has its class in a module of its own, and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .csv_rows import CsvSource
from .files import ending
from .json_rows import JsonSource
from .parquet_rows import ParquetSource
from .source import Source

FORMATS: Mapping[str, type[Source]] = {
    kind.format: kind for kind in (CsvSource, JsonSource, ParquetSource)
}


def guess_format(path: Path) -> str | None:
    """The format that the ending of a file tells, if it tells one."""
    found = ending(path)
    return next((name for name, kind in FORMATS.items() if found in kind.endings), None)


__all__ = ("FORMATS", "guess_format")
