"""Opening the files of an import, compressed ones by their ending."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from chargeover_async._extras import zstd

COMPRESSED = (".gz", ".zst")


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


__all__ = ("ending", "is_damage", "open_text")
