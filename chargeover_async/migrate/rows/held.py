"""The bytes of a file, the same at each reading."""

from __future__ import annotations

import hashlib
import io
import stat
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any, Protocol

from .row import BadFile

BLOCK = 1 << 18


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def copy(self) -> Any: ...


class Held:
    """The bytes of the file at ``path``.

    What can be read only once, such as a pipe, is copied to a temporary file when it is first read,
    and the copy is read from then on. What was measured gives the bytes that it had then or raises
    BadFile: each block is compared with its checksum before anything of it is handed out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copy: IO[bytes] | None = None
        self._blocks: list[bytes] | None = None
        self._sha256: _Hash | None = None

    def measure(self) -> Held:
        """The file as it is now; itself if it was measured. Raises OSError."""
        if self._blocks is not None:
            return self
        found = Held(self.path)
        blocks, sha256 = list[bytes](), hashlib.sha256()
        with self.open() as file:
            while block := file.read(BLOCK):
                sha256.update(block)
                blocks.append(_checksum(block))
        found._copy, found._blocks, found._sha256 = self._copy, blocks, sha256
        return found

    def sha256(self) -> Any:
        """The checksum of all bytes, to be gone on with."""
        found = self.measure()._sha256
        assert found is not None
        return found.copy()

    def open(self) -> io.BufferedReader:
        """The bytes from the beginning; raises OSError."""
        if self._copy is None and not stat.S_ISREG(self.path.stat().st_mode):
            with self.path.open("rb") as once:
                self._keep(once)
        file = self._copy or self.path.open("rb")
        return io.BufferedReader(_Blocks(self, file), BLOCK)

    def is_copy(self, file: IO[bytes]) -> bool:
        """Whether it is the copy, which stays open."""
        return file is self._copy

    def check(self, index: int, block: bytes) -> None:
        """Raises BadFile unless the block is what it was when it was measured."""
        blocks = self._blocks
        if blocks is None or (index == len(blocks) and not block):
            return
        if index >= len(blocks) or _checksum(block) != blocks[index]:
            raise BadFile(f"{self.path} changed after it was checked")

    def _keep(self, once: IO[bytes]) -> None:
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - for its owner only, gone with the process
        weakref.finalize(self, copy.close)
        while block := once.read(BLOCK):
            copy.write(block)
        copy.flush()
        self._copy = copy


class _Blocks(io.RawIOBase):
    """Reads a file block by block."""

    def __init__(self, held: Held, file: IO[bytes]) -> None:
        self._held = held
        self._file = file
        self._index: int = -1
        self._block = b""
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_END:
            self._position = self._file.seek(offset, whence)
        else:
            self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        index, begin = self._position // BLOCK, self._position % BLOCK
        if index != self._index:
            self._file.seek(index * BLOCK)
            block = self._file.read(BLOCK)
            self._held.check(index, block)
            self._index, self._block = index, block
        part = self._block[begin : begin + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed and not self._held.is_copy(self._file):
            self._file.close()
        super().close()


def _checksum(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=16).digest()


__all__ = ("Held",)
