"""Opening the files of an import, compressed ones by their ending."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any, cast

from chargeover_async._extras import zstd

from .row import BadFile

COMPRESSED = (".gz", ".zst")


def ending(path: Path) -> str:
    """The ending that tells the format: that of ``shop.csv.gz`` is ``.csv``."""
    inner = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return inner.suffix.lower()


def unpack(file: io.BufferedReader, path: Path, most_mb: int) -> IO[bytes]:
    """What is in a file, unpacked if its name ends in ``.gz`` or ``.zst``.

    Raises UsageError when the library for it is missing; reading raises BadFile behind ``most_mb``.
    """
    suffix = path.suffix.lower()
    if suffix not in COMPRESSED:
        return file
    unpacked = gzip.GzipFile(fileobj=file) if suffix == ".gz" else zstd().ZstdFile(file)
    return io.BufferedReader(_Bounded(cast("IO[bytes]", unpacked), path, most_mb))


class _Bounded(io.RawIOBase):
    def __init__(self, unpacked: IO[bytes], path: Path, most_mb: int) -> None:
        self._unpacked = unpacked
        self._path = path
        self._most_mb = most_mb
        self._left = most_mb * 1_000_000

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        part = self._unpacked.read(len(buffer))
        buffer[: len(part)] = part
        self._left -= len(part)
        if self._left < 0:
            raise BadFile(
                f"{self._path} unpacks to more than {self._most_mb} MB; if it should, say "
                "max_unpacked_mb in the plan"
            )
        return len(part)

    def close(self) -> None:
        self._unpacked.close()
        super().close()


def is_damage(error: BaseException) -> bool:
    """Whether an error of reading means that a compressed file is cut off or not what it seems."""
    return isinstance(error, (EOFError, zlib.error)) or type(error).__name__ == "ZstdError"


__all__ = ("ending", "is_damage", "unpack")
