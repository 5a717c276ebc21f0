"""From the JSON of an answer to what a call returns."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec import structs

from chargeover_async._wire.envelope import Answer, Decoded, WholeReader, parse_page
from chargeover_async.errors import DecodeError, UsageError
from chargeover_async.models import Created
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.models._json.read import (
    check_kind,
    decoder,
    read,
    read_each,
    read_untyped,
    split,
)

OnUnreadable = Callable[[DecodeError], object] | None
"""Told of each record of a list that does not fit its struct; the list goes on without it.

The error names object, id and field and carries the raw JSON. ``failures.append`` will do.
"""


class Reading:
    """How the records of one call are read: as what, and what becomes of one that does not fit.

    Raises UsageError for an ``as_`` that no answer can be read as, and for ``raw`` beside it.
    """

    __slots__ = ("_dates", "_kind", "_on_unreadable", "_raw")

    def __init__(
        self,
        model: type[Any],
        as_: type[Any] | None,
        dates: DateFormat | None,
        *,
        raw: bool = False,
        on_unreadable: OnUnreadable = None,
    ) -> None:
        if raw and as_ is not None:
            raise UsageError("pass as_ or raw, not both: raw is the JSON as it came")
        if on_unreadable is not None and not callable(on_unreadable):
            raise UsageError(f"on_unreadable= takes a function, not {on_unreadable!r}")
        self._kind = check_kind(model if as_ is None else as_)
        self._dates = dates
        self._raw = bool(raw)
        self._on_unreadable = on_unreadable

    def one(self, raw: msgspec.Raw) -> Any:
        """The answer of a get."""
        return bytes(raw) if self._raw else read(raw, self._kind, self._dates)

    @property
    def every(self) -> WholeReader:
        """A page: each record, or the DecodeError in its place where errors are listened to."""
        return _Page(self, self._each)

    @property
    def many(self) -> WholeReader:
        """The answer of a list, without what could not be read."""
        return _Page(self, self._readable)

    def _each(self, raw: msgspec.Raw) -> list[Any]:
        if self._raw:
            return [bytes(record) for record in split(raw)]
        keep = self._on_unreadable is not None
        return read_each(raw, self._kind, self._dates, keep_errors=keep)

    def _readable(self, raw: msgspec.Raw) -> list[Any]:
        return [entry for entry in self._each(raw) if self.is_readable(entry)]

    def whole(self, answer: Answer) -> Decoded[list[Any]] | None:
        """A page with its envelope, if every record of it is as documented; else None."""
        if self._raw:
            found = parse_page(answer, msgspec.Raw)
            return found and structs.replace(
                found, response=[bytes(record) for record in found.response]
            )
        return parse_page(answer, self._kind) if self._dates is None else None

    def is_readable(self, entry: Any) -> bool:
        """Whether an entry of a page is a record; who listens is told of it if it is none."""
        if self._on_unreadable is not None and isinstance(entry, DecodeError):
            self._on_unreadable(entry)
            return False
        return True

    def identity(self, entry: Any, primary: str) -> int | None:
        """The value of the primary key, in a record, in its raw JSON, or in what was unreadable."""
        value: Any
        if isinstance(entry, (bytes, DecodeError)):
            held = read_untyped(entry if isinstance(entry, bytes) else entry.raw)
            value = cast("dict[str, Any]", held).get(primary) if isinstance(held, dict) else None
            if isinstance(value, str) and _ID.fullmatch(value):
                return int(value)
        else:
            record: object = entry
            value = getattr(record, _attribute(type(record), primary), None)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


class _Page(WholeReader):
    __slots__ = ("_apart", "_reading")

    def __init__(self, reading: Reading, apart: Callable[[msgspec.Raw], list[Any]]) -> None:
        self._reading = reading
        self._apart = apart

    def __call__(self, response: msgspec.Raw) -> list[Any]:
        return self._apart(response)

    def whole(self, answer: Answer) -> Decoded[list[Any]] | None:
        return self._reading.whole(answer)


_ID = re.compile("[0-9]{1,19}")


def _attribute(kind: type[Any], primary: str) -> str:
    """The attribute that holds the primary key: a subclass may have given it another name."""
    if issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            if field.encode_name == primary:
                return field.name
    return primary


def read_true(raw: msgspec.Raw) -> bool:
    """The answer of a delete or an action: true, or false when there was nothing to do."""
    value = read(raw, msgspec.Raw)
    if bytes(value) in {b"true", b"false"}:
        return bytes(value) == b"true"
    # Some answers to actions are shown by no source; whatever it is, the API called it OK.
    return bytes(value) not in {b"null", b"0", b'""'}


def read_count(raw: msgspec.Raw) -> int:
    """The answer of ``_count``."""
    return read(raw, int)


def read_text(raw: msgspec.Raw) -> str:
    """An answer that is plain text."""
    value = read_untyped(raw)
    if not isinstance(value, str):
        raise DecodeError(f"expected text, got {str(value)[:80]}", raw=bytes(raw))
    return value


def read_created(raw: msgspec.Raw) -> Created:
    """The answer of a create or an update."""
    try:
        return _decode_created(raw)  # in one step: it is by far the most frequent answer
    except (msgspec.DecodeError, ValueError, RecursionError):
        return read(raw, Created)


_decode_created: Callable[[msgspec.Raw], Created] = decoder(Created).decode
