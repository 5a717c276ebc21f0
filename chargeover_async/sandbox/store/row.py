"""One record, and the note that is taken of it before a request may change it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from chargeover_async.sandbox.protocol.values import is_object

KEPT_REVISIONS = 10  # vendor's text, "Object Revisions": never more than ten are returned


class Row:
    """One record: the values that differ from the defaults, and what a seed fixed for good.

    ``given`` holds values of derived fields as they were seeded; they stand until a change of the
    record makes them stale.
    """

    __slots__ = ("changes", "data", "given", "id", "name", "notes")

    # Set when a store with a file takes the row in (`WatchedRow`).
    changes: Changes
    name: str

    def __init__(self, id_: int, data: dict[str, Any]) -> None:
        self.id = id_
        self.data = data
        self.given: dict[str, Any] | None = None
        self.notes: deque[tuple[str, str]] | None = None

    def forget(self, names: Iterable[str] | None = None) -> None:
        """Let fields be derived again that a seed had fixed; all of them by default."""
        given = self.given
        if given is not None:
            for name in list(given) if names is None else names:
                given.pop(name, None)
            self.given = given or None

    def note(self, stamp: str, text: str) -> None:
        """Add a revision; only the newest ten are kept."""
        if self.notes is None:
            self.notes = deque(maxlen=KEPT_REVISIONS)
        self.notes.append((stamp, text))


_PLAIN: Any = Row  # the slots themselves, past the properties of `WatchedRow`
_DATA, _GIVEN, _NOTES = _PLAIN.data, _PLAIN.given, _PLAIN.notes


def _watched(slot: Any) -> Any:
    """The slot as a property that has the row written down before it gives anything away."""

    def get(row: Row) -> Any:
        changes = row.changes
        if changes.watching and row not in changes.before:
            changes.touch(row)
        return slot.__get__(row)

    def set_(row: Row, value: Any) -> None:
        if row not in row.changes.before:
            row.changes.touch(row)
        slot.__set__(row, value)

    return property(get, set_)


class WatchedRow(Row):
    """A row of a store with a file: whoever reaches for its values may be about to change them.

    Rules change rows in many ways, deep inside of nested lists too. So the row is written down as
    it is (`Changes.touch`) when a request reaches for it first, and compared when the request ends.
    """

    __slots__ = ()

    data = _watched(_DATA)
    given = _watched(_GIVEN)
    notes = _watched(_NOTES)


class Written(NamedTuple):
    """A row as text: its values as a JSON object, and what else there is to say of it.

    ``more`` is a JSON object of ``given``, ``notes`` and ``whole``: the paths of the decimals that
    JSON writes like whole numbers, so that they are read as decimals again.
    """

    data: str
    more: str | None


class Image(NamedTuple):
    """A whole account as plain values, as it is kept in a file or a snapshot.

    Attributes:
        numbers: the counters by name.
        keys: object, external key and id of deleted records, whose keys stay taken.
        records: object, id, values and the rest (`Written`) of each record.
        actions: number, object, id and name of what was carried out, the oldest first.
    """

    numbers: dict[str, int]
    keys: Iterable[tuple[str, str, int]]
    records: Iterable[tuple[str, int, str, str | None]]
    actions: Iterable[tuple[int, str, int, str]]


_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder[Any](float_hook=Decimal).decode


def write(row: Row) -> Written:
    """The row as text; raises ValueError or OverflowError for what JSON cannot hold."""
    data, given, notes = _DATA.__get__(row), _GIVEN.__get__(row), _NOTES.__get__(row)
    whole: list[list[Any]] = []
    _find_whole(data, ["data"], whole)
    if given is not None:
        _find_whole(given, ["given"], whole)
    if not (given or notes or whole):
        return Written(_encode(data).decode(), None)
    more: dict[str, Any] = {}
    if given:
        more["given"] = given
    if notes:
        more["notes"] = list(notes)
    if whole:
        more["whole"] = whole
    return Written(_encode(data).decode(), _encode(more).decode())


def read(id_: int, written: Written) -> Row:
    """The row that `write` made text of; raises ValueError if it is nothing of the kind."""
    try:
        row = Row(id_, _decode(written.data))
        more: dict[str, Any] = {} if written.more is None else _decode(written.more)
    except msgspec.MsgspecError as error:
        raise ValueError(f"record {id_}: {error}") from None
    if more:
        row.given = more.get("given")
        if "notes" in more:
            row.notes = deque(map(tuple, more["notes"]), maxlen=KEPT_REVISIONS)
        for path in more.get("whole", ()):
            *way, last = path
            part: Any = {"data": row.data, "given": row.given}
            for step in way:
                part = part[step]
            part[last] = Decimal(part[last])
    return row


def _find_whole(value: Any, path: list[Any], found: list[list[Any]]) -> None:
    parts: Any = value.items() if is_object(value) else enumerate(value)
    for key, each in parts:
        if isinstance(each, Decimal):
            if str(each).removeprefix("-").isdigit():
                found.append([*path, key])
        elif isinstance(each, (dict, list)):
            _find_whole(each, [*path, key], found)


class Changes:
    """What one request has reached for in a store with a file.

    Attributes:
        before: each row that was reached for, as it was; None for a row that is new.
        keys: external keys, by object, that a deleted record left behind or that came back to life.
        emptied: whether everything there was has been thrown away.
        watching: False while rows are only read, so that a long list costs nothing.
    """

    __slots__ = ("before", "emptied", "keys", "watching")

    def __init__(self) -> None:
        self.before: dict[Row, Written | None] = {}
        self.keys: set[tuple[str, str]] = set()
        self.emptied = False
        self.watching = True

    def touch(self, row: Row) -> None:
        """Write a row down before it may be changed."""
        self.before[row] = write(row)

    def added(self, name: str, row: Row) -> None:
        """Take note of a new row and watch it from now on."""
        self.watch(name, row)
        self.before[row] = None

    def watch(self, name: str, row: Row) -> None:
        """Take note of whatever happens to a row from now on."""
        row.changes = self
        row.name = name
        row.__class__ = WatchedRow

    def clear(self) -> None:
        """All of it has been written, or given up."""
        self.before.clear()
        self.keys.clear()
        self.emptied = False
