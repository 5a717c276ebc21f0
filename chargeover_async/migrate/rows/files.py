"""Opening the files of an import, compressed ones by their ending."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, cast

from chargeover_async._extras import zstd

COMPRESSED = (".gz", ".zst")


def ending(path: Path) -> str:
    """The ending that tells the format: that of ``shop.csv.gz`` is ``.csv``."""
    inner = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return inner.suffix.lower()


def unpack(file: io.BufferedReader, path: Path) -> IO[bytes]:
    """What is in a file, unpacked if its name ends in ``.gz`` or ``.zst``.

    Raises UsageError when the library for it is missing.
    """
    suffix = path.suffix.lower()
    if suffix not in COMPRESSED:
        return file
    unpacked = gzip.GzipFile(fileobj=file) if suffix == ".gz" else zstd().ZstdFile(file)
    return cast("IO[bytes]", unpacked)


def is_damage(error: BaseException) -> bool:
    """Whether an error of reading means that a compressed file is cut off or not what it seems."""
    return isinstance(error, (EOFError, zlib.error)) or type(error).__name__ == "ZstdError"


__all__ = ("ending", "is_damage", "unpack")
