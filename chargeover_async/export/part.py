"""The file that grows beside the output, and the note that says how far it can be trusted.

``OUTPUT.part`` holds the data, ``OUTPUT.part.json`` the state as of its last safe byte. What lies
behind that byte (a torn line, after a kill) is cut off before anything is added. When all is read,
the part becomes the output in one step, so the output is always whole: the old one or the new one.
An output that is a link is what the link names. One that is a pipe or a device has no part: it is
written to as it is (`is_stream`, `open_stream`), and never replaced.

New files are for their owner only, as they hold what customers would not show to everybody; one
that takes the place of another has the other's rights.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from chargeover_async.errors import UsageError

VERSION = 1


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What a run leaves for the next; only one with the same ``question`` may go on."""

    question: dict[str, Any]
    version: int = VERSION


S = TypeVar("S", bound=Note)


class PartState(Note, frozen=True, kw_only=True):
    """How far an export is: ``size`` bytes hold ``records`` records with ids up to ``after``.

    ``notes`` is what the format has to remember.
    """

    after: int = 0
    records: int = 0
    size: int = 0
    notes: dict[str, Any] = {}


class Part:
    """The part file of one output; open it once.

    Raises UsageError for a file that cannot be written, for one that another process writes, and
    for one that was begun with another question.
    """

    def __init__(self, output: Path, question: dict[str, Any], *, restart: bool = False) -> None:
        if os.path.isdir(output):  # noqa: PTH112 - what may not be looked at is none
            raise UsageError(f"{output} is a folder: name a file")
        if is_stream(output):
            raise UsageError(f"{output} is no regular file: name one")
        output = behind_links(output)
        self.output = output
        self.path = output.with_name(f"{output.name}.part")
        self.note = output.with_name(f"{output.name}.part.json")
        self.state = PartState(question=question)
        self.size = 0
        self._saving = threading.Lock()
        try:
            # Without O_TRUNC: what is there is ours only once the lock is.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._file: BinaryIO = os.fdopen(_open_regular(self.path, flags), "rb+")
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror or error}") from None
        try:
            _lock(self._file, self.path)
            if not self._is_in_place():
                raise UsageError(f"another process has just finished {output}; start again")
            if not restart:
                self._take_over(question)
            self._file.truncate(self.state.size)
            self.size = self._file.seek(self.state.size)
        except BaseException:
            self._file.close()
            raise

    def _is_in_place(self) -> bool:
        """Whether the file that is locked is still the part, and not the output since."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def _take_over(self, question: dict[str, Any]) -> None:
        if not os.fstat(self._file.fileno()).st_size:
            return  # what a note may tell of was finished, or taken away
        found = read_note(self.note, PartState, question, "export", self._choice)
        if found is None:
            return
        if os.fstat(self._file.fileno()).st_size < found.size:
            raise self._choice(f"tells of {found.size} bytes, which {self.path.name} does not have")
        self.state = found

    def _choice(self, why: str) -> UsageError:
        return UsageError(
            f"{self.note} {why}: finish that export with its own options, start this one anew "
            "(restart), or give it another output"
        )

    def append(self, data: bytes) -> None:
        """Add to the data; it counts from the next `save` on."""
        self._file.write(data)
        self.size += len(data)

    def save(self, after: int, records: int, notes: dict[str, Any]) -> None:
        """Make everything appended so far safe against a kill and a power failure.

        May be called from another thread, and once more before that has come to an end.
        """
        with self._saving:
            self.flush()
            self.state = msgspec.structs.replace(
                self.state, after=after, records=records, size=self.size, notes=notes
            )
            write_whole(self.note, msgspec.json.encode(self.state))

    def flush(self) -> None:
        """Bring everything appended so far to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Make the part the output."""
        self.flush()
        self._take_rights(self.path)
        if os.name == "posix":
            # Before the lock is let go, or another process could take the output for a part.
            self.path.replace(self.output)
            self._file.close()
        else:  # an open file cannot be renamed there
            self._file.close()
            self.path.replace(self.output)
        self.note.unlink(missing_ok=True)
        _sync_folder(self.output.parent)

    def finish_as(self, whole: Path) -> None:
        """Make another file, made from the part, the output; the part is removed."""
        with whole.open("rb+") as file:
            os.fsync(file.fileno())
        self._take_rights(whole)
        whole.replace(self.output)
        self._file.close()
        self.note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        _sync_folder(self.output.parent)

    def _take_rights(self, path: Path) -> None:
        """Give the file that takes the output's place the output's rights, if there is one."""
        with contextlib.suppress(OSError):
            path.chmod(stat.S_IMODE(self.output.stat().st_mode))

    def discard(self) -> None:
        """Remove the part; the output stays as it was."""
        self._file.close()
        self.note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; what was saved stays."""
        self._file.close()


def read_note(
    path: Path,
    kind: type[S],
    question: dict[str, Any],
    what: str,
    choice: Callable[[str], UsageError],
) -> S | None:
    """What an earlier ``what`` (an export, a sync) has noted; None for nothing.

    Raises what ``choice`` makes of the reason, for what cannot be read or has another question.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # ValueError: no JSON, or not UTF-8
        raise choice(f"cannot be read ({error})") from None
    if found.version != VERSION:
        raise choice(f"is of version {found.version}, not {VERSION}")
    if found.question != question:
        names = sorted({*found.question, *question})
        other = [name for name in names if found.question.get(name) != question.get(name)]
        raise choice(f"is about another {what} (other {', '.join(other)})")
    return found


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file so that it is always whole: the old one or the new one."""
    path = behind_links(path)
    beside = path.with_name(f"{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    with os.fdopen(_open_regular(beside, flags), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def held(path: Path) -> Generator[None]:
    """Hold the lock that ``path`` stands for; raises UsageError if another process has it."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file: BinaryIO = os.fdopen(_open_regular(path, flags), "ab")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    with file:
        _lock(file, path)
        yield


def _open_regular(path: Path, flags: int) -> int:
    """Open a file of ours, for its owner only if it is new; raises OSError if it is none."""
    if is_stream(path):
        raise OSError(errno.EINVAL, "it is no regular file")
    return os.open(path, flags, 0o600)


def behind_links(path: Path) -> Path:
    """What a path names, links followed, so that it is written and not the link replaced."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114


def is_stream(path: Path) -> bool:
    """Whether there is something that is written to as it is: a pipe, a device, a descriptor."""
    try:
        for _ in range(40):  # as many links as Linux follows
            if Path("/proc") in path.absolute().parents:
                return True  # /dev/stdout and the like, whatever they are
            if not path.is_symlink():
                break
            path = path.parent / path.readlink()
        mode = path.stat().st_mode
    except OSError:  # not there, or not to be looked at: opening it will say
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def as_text(path: str) -> str:
    """A path as text that any encoding of Unicode takes, whatever its bytes are."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


async def open_stream(path: Path) -> BinaryIO:
    """Open what `is_stream`; waits until a pipe has a reader. Raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0)
    while True:
        try:
            handle = os.open(path, flags)
        except OSError as error:
            if error.errno != errno.ENXIO or not path.is_fifo():  # noqa: ASYNC240 - at once
                raise
            await asyncio.sleep(0.05)
        else:
            os.set_blocking(handle, True)
            return os.fdopen(handle, "wb")


def _lock(file: BinaryIO, path: Path) -> None:
    """Hold ``file`` for this process alone; gone with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # Windows: there the open file itself cannot be replaced by another
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError(f"{path} is being written by another export") from None


__all__ = (
    "Note",
    "Part",
    "PartState",
    "as_text",
    "behind_links",
    "held",
    "is_stream",
    "open_stream",
    "read_note",
    "write_whole",
)
