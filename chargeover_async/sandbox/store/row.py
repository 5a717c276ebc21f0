"""One record: while it is made, when it is stored, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from chargeover_async.sandbox.protocol.values import is_object

from .frozen import freeze_fields

KEPT_REVISIONS = 10  # vendor's text, "Object Revisions": never more than ten are returned

Notes = tuple[tuple[str, str], ...]  # moment and text of each revision, the oldest first


class Draft:
    """A record that is being made, or changed: plain values, until a table takes them in.

    ``given`` is as for a `Row`.
    """

    __slots__ = ("data", "given", "id", "name")

    def __init__(
        self, name: str, id_: int, data: dict[str, Any], given: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        self.id = id_
        self.data = data
        self.given = given

    def forget(self, names: Iterable[str]) -> None:
        """Let derived fields be derived, whatever the seed says."""
        for name in names:
            if self.given is not None:
                self.given.pop(name, None)


class Row:
    """One stored record: the values that differ from the defaults, and what a seed fixed for good.

    ``name`` is its object's. ``given`` holds values of derived fields as they were seeded; they
    stand until a change of the record makes them stale. Nothing of it can be written to: whoever
    wants a record changed asks the store (`Tables.change`), which keeps indexes and file true.
    """

    __slots__ = ("data", "given", "id", "name", "notes")

    name: str
    id: int
    data: Mapping[str, Any]
    given: Mapping[str, Any] | None
    notes: Notes

    def __init__(
        self,
        name: str,
        id_: int,
        data: dict[str, Any],
        given: dict[str, Any] | None = None,
        notes: Notes = (),
    ) -> None:
        _NAME(self, name)
        _ID(self, id_)
        set_data(self, freeze_fields(data))
        set_given(self, freeze_fields(given) if given else None)
        set_notes(self, notes)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"a stored record is changed by Store.change alone: {self.name} {self.id}, {name}"
        )


Record = Row | Draft

# The slots themselves, for the table that a row is in.
_SLOTS: Any = Row
_NAME, _ID = _SLOTS.name.__set__, _SLOTS.id.__set__
set_data, set_given, set_notes = (
    slot.__set__ for slot in (_SLOTS.data, _SLOTS.given, _SLOTS.notes)
)


class Image(NamedTuple):
    """A whole account as plain values, as it is kept in a file or a snapshot.

    Attributes:
        numbers: the counters by name.
        keys: object, external key and id of deleted records, whose keys stay taken.
        records: object, id, values and the rest (`write`) of each record.
        actions: number, object, id and name of what was carried out, the oldest first.
    """

    numbers: dict[str, int]
    keys: Iterable[tuple[str, str, int]]
    records: Iterable[tuple[str, int, str, str | None]]
    actions: Iterable[tuple[int, str, int, str]]


_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder[Any](float_hook=Decimal).decode


def write(row: Row) -> tuple[str, int, str, str | None]:
    """Object, id, values and the rest; raises ValueError or OverflowError for what is no JSON.

    The rest is an object of ``given``, ``notes`` and ``whole``: the paths of the decimals that JSON
    writes like whole numbers, so that they are read as decimals again.
    """
    whole: list[list[Any]] = []
    _find_whole(row.data, ["data"], whole)
    if row.given is not None:
        _find_whole(row.given, ["given"], whole)
    more = {"given": row.given, "notes": row.notes, "whole": whole}
    more = {name: value for name, value in more.items() if value}
    return row.name, row.id, _encode(row.data).decode(), _encode(more).decode() if more else None


def read(name: str, id_: int, data: str, more: str | None) -> Row:
    """The row that `write` made text of; raises ValueError if it is nothing of the kind."""
    try:
        parts: dict[str, Any] = {} if more is None else _decode(more)
        parts["data"] = _decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{name} {id_}: {error}") from None
    for path in parts.get("whole", ()):
        *way, last = path
        part: Any = parts
        for step in way:
            part = part[step]
        part[last] = Decimal(part[last])
    notes = tuple((stamp, text) for stamp, text in parts.get("notes", ()))
    return Row(name, id_, parts["data"], parts.get("given"), notes[-KEPT_REVISIONS:])


def _find_whole(value: Any, path: list[Any], found: list[list[Any]]) -> None:
    parts: Any = value.items() if is_object(value) else enumerate(value)
    for key, part in parts:
        if isinstance(part, Decimal):
            if str(part).removeprefix("-").isdigit():
                found.append([*path, key])
        elif isinstance(part, (dict, list)):
            _find_whole(part, [*path, key], found)
