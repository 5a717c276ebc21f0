"""A file and how to read it, as a stream, never whole; each format is a class in its own module.

A row knows the line of the file where it begins, so that every message can name it. What spoils
one row comes out as a `BadRow` and the reading goes on; what spoils the file raises `BadFile`.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import ClassVar, NoReturn, TextIO

import msgspec

from chargeover_async.migrate.mask import printable

from .files import is_damage, unpack
from .held import Held
from .row import BadFile, BadRow, Row, Skip

UNPACKED_MB = 10_000  # a compressed file of more is taken for a mistake, or for an attack


class Source(msgspec.Struct, frozen=True):
    """A file and how to read it; `format` and `endings` are those of its class.

    Where a file stores its columns apart, those that are not ``wanted`` are not read, if any are.
    A compressed file gives at most ``max_unpacked_mb`` (millions of bytes).

    A format has a class with `rows`, and with `columns` if its files name them, and a line in
    `formats`.
    """

    format: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]

    held: Held
    encoding: str = "utf-8"
    delimiter: str = ","
    wanted: frozenset[str] = frozenset()
    max_unpacked_mb: int = UNPACKED_MB

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.held.path

    @property
    def name(self) -> str:
        """The file's name for messages."""
        return printable(self.path.name)

    @property
    def reading(self) -> tuple[str, ...]:
        """How the bytes are read: a journal belongs to this as it does to the bytes."""
        return self.format, self.encoding, self.delimiter, ""

    def columns(self) -> tuple[str, ...] | None:
        """The columns of the file; None where each row has its own names."""
        with self._open():
            return None

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """Every record in order; blank lines are passed over.

        So are records at lines of which ``skip`` says so: quickly, without looking into them.
        """
        raise NotImplementedError

    def measure(self) -> Source:
        """The same file as it is now; see `Held`."""
        with self._readable():
            return msgspec.structs.replace(self, held=self.held.measure())

    def digest(self) -> str:
        """A checksum of the file's bytes and of how they are read."""
        with self._readable():
            found = self.held.sha256()
        found.update(repr(self.reading).encode())
        return str(found.hexdigest())

    @contextlib.contextmanager
    def _open(self, newline: str | None = None) -> Generator[TextIO]:
        # utf-8-sig reads UTF-8 with and without the mark that Excel puts in front.
        encoding = "utf-8-sig" if self.encoding.lower() in {"utf-8", "utf8"} else self.encoding
        with self._readable(), self.held.open() as file:
            unpacked = unpack(file, self.path, self.max_unpacked_mb)
            with io.TextIOWrapper(unpacked, encoding=encoding, newline=newline) as text:
                yield text

    @contextlib.contextmanager
    def _readable(self) -> Generator[None]:
        try:
            yield
        except UnicodeError as error:
            raise BadFile(
                f'{self.name} is not text in the encoding "{self.encoding}": '
                f"{self._place_of(error)}; "
                'say what it is in the plan, such as encoding = "cp1252"'
            ) from None
        except OSError as error:
            self._unreadable(error)
        except Exception as error:
            if not is_damage(error):
                raise
            raise BadFile(f"{self.name} is damaged or cut off: {error}") from None

    def _place_of(self, error: UnicodeError) -> str:
        """The line of what cannot be decoded: the error only counts from where a part begins."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        line = 1
        with self.held.open() as file:
            unpacked = unpack(file, self.path, self.max_unpacked_mb)
            while part := unpacked.read(1 << 16):
                state = decoder.getstate()
                try:
                    line += decoder.decode(part).count("\n")
                except UnicodeError:
                    decoder.setstate(state)
                    break
            with contextlib.suppress(UnicodeError):
                for at in range(len(part)):
                    line += decoder.decode(part[at : at + 1]).count("\n")
        if not isinstance(error, UnicodeDecodeError):
            return f"line {line}, {error}"
        return f"line {line}, byte 0x{error.object[error.start]:02x}, {error.reason}"

    def _unreadable(self, error: OSError) -> NoReturn:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BadFile(f"{self.path} cannot be read: {reason}") from None


__all__ = ("UNPACKED_MB", "Source")
