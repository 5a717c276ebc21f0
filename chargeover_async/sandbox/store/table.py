"""The rows of one object, and the door by which alone they come, change and go."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from chargeover_async.sandbox.protocol.answers import Refused

from .frozen import FrozenDict, freeze_fields
from .row import KEPT_REVISIONS, Draft, Row, set_data, set_given, set_notes


class Changes:
    """What one request changed in a store with a file.

    Attributes:
        rows: object and id of rows that are new, changed or gone.
        keys: object and external key, of keys that a deleted record left behind or gave up.
        emptied: whether everything there was has been thrown away.
    """

    __slots__ = ("emptied", "keys", "rows")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """All of it has been written, or given up."""
        self.rows: set[tuple[str, int]] = set()
        self.keys: set[tuple[str, str]] = set()
        self.emptied = False


class Table:
    """The records of one object, by id, token, external key and the indexed fields.

    An external key stays taken when its record is deleted (vendor's text, "External Keys": the
    default policy). UNVERIFIED: a key that is replaced by another becomes free.
    """

    def __init__(
        self, name: str, first_id: int, indexes: Iterable[str], changes: Changes | None = None
    ) -> None:
        self.name = name
        self._changes = changes
        self.rows: dict[int, Row] = {}
        self.ids: list[int] = []
        self.keys: dict[str, int] = {}
        self.tokens: dict[str, int] = {}
        self.next_id = first_id
        self.index: dict[str, dict[int, dict[int, Row]]] = {field: {} for field in indexes}

    def check_key(self, key: str | None, id_: int) -> None:
        """Raise the recorded error if ``key`` belongs to another record than ``id_``."""
        if key and self.keys.get(key, id_) != id_:
            raise Refused(f'A {self.name} already exists with the external_key value "{key}"')

    # The door.

    def insert(self, draft: Draft) -> Row:
        """Store a new record; its id and token must be free."""
        row = Row(draft.name, draft.id, draft.data, draft.given)
        self.add(row)
        return row

    def add(self, row: Row) -> None:
        """Take in a row that is new here."""
        if self._changes is not None:
            self._note_row(row)
            self._note_key(row.data.get("external_key"))
        self.place(row)

    def place(self, row: Row) -> None:
        """Put a row where it belongs; a file has it already."""
        id_, data = row.id, row.data
        self.rows[id_] = row
        if not self.ids or id_ > self.ids[-1]:
            self.ids.append(id_)
        else:
            insort(self.ids, id_)
        if id_ >= self.next_id:
            self.next_id = id_ + 1
        self.tokens[data["token"]] = id_
        key = data.get("external_key")
        if key:
            self.keys[key] = id_
        for field, index in self.index.items():
            value = data.get(field)
            if value is not None:
                index.setdefault(value, {})[id_] = row

    def change(self, row: Row, values: Mapping[str, Any]) -> None:
        """Give a record new values, and keep key, indexes and file true."""
        before = row.data
        data = freeze_fields({**before, **values})
        set_data(row, data)
        self._note_row(row)
        old, new = before.get("external_key"), data.get("external_key")
        if old != new:
            self._note_key(new)
            if old:
                self.keys.pop(old, None)
            if new:
                self.keys[new] = row.id
        for field in self.index:
            if field in values:
                self._move(field, row, before.get(field), data.get(field))

    def forget(self, row: Row, names: Iterable[str] | None = None) -> None:
        """Let fields be derived again that a seed had fixed; all of them by default."""
        given = row.given or {}
        gone = given if names is None else frozenset(names)
        left = {name: value for name, value in given.items() if name not in gone}
        if len(left) < len(given):
            set_given(row, FrozenDict(left) if left else None)
            self._note_row(row)

    def note(self, row: Row, stamp: str, text: str) -> None:
        """Add a revision; only the newest ten are kept."""
        set_notes(row, (*row.notes[1 - KEPT_REVISIONS :], (stamp, text)))
        self._note_row(row)

    def remove(self, row: Row, *, free_key: bool = False) -> None:
        """Take a record away; its external key stays taken unless ``free_key``."""
        self._note_row(row)
        del self.rows[row.id]
        self.ids.pop(bisect_left(self.ids, row.id))
        self.tokens.pop(row.data["token"], None)
        if free_key:
            self.keys.pop(row.data.get("external_key") or "", None)
        else:
            self._note_key(row.data.get("external_key"))
        for field in self.index:
            self._move(field, row, row.data.get(field), None)

    def abandon(self, key: str, id_: int) -> None:
        """Let a deleted record hold ``key``."""
        self.keys[key] = id_
        self._note_key(key)

    def _move(self, field: str, row: Row, before: int | None, after: int | None) -> None:
        if before != after:
            index = self.index[field]
            if before is not None:
                index.get(before, {}).pop(row.id, None)
            if after is not None:
                index.setdefault(after, {})[row.id] = row

    def _note_row(self, row: Row) -> None:
        if self._changes is not None:
            self._changes.rows.add((self.name, row.id))

    def _note_key(self, key: str | None) -> None:
        if key and key in self.keys and self._changes is not None:
            self._changes.keys.add((self.name, key))

    # Looking.

    def abandoned(self, key: str) -> int | None:
        """The id of the deleted record that still holds ``key``; None if there is none."""
        id_ = self.keys.get(key)
        row = None if id_ is None else self.rows.get(id_)
        return None if row is not None and row.data.get("external_key") == key else id_

    def by_key(self, key: str) -> Row | None:
        """The record with that external key, letter case included; None if it is deleted."""
        id_ = self.keys.get(key)
        return None if id_ is None else self.rows.get(id_)

    def by_token(self, token: str) -> Row | None:
        """The record with that token."""
        id_ = self.tokens.get(token)
        return None if id_ is None else self.rows.get(id_)

    def having(self, field: str, value: int | None) -> list[Row]:
        """The records that have ``value`` in an indexed field, by rising id."""
        rows = self.index[field].get(value, {}) if value is not None else {}
        return [rows[id_] for id_ in sorted(rows)] if len(rows) > 1 else list(rows.values())

    def scan(self, after: int | None = None, *, descending: bool = False) -> Iterator[Row]:
        """All rows by rising (or falling) id, those up to ``after`` left out."""
        start = 0 if after is None else bisect_left(self.ids, after + 1)
        ids: Iterable[int] = self.ids
        if descending:
            ids = islice(reversed(self.ids), len(self.ids) - start)
        elif start:
            ids = islice(self.ids, start, None)
        return map(self.rows.__getitem__, ids)

    def slice(self, offset: int, limit: int, *, descending: bool = False) -> list[Row]:
        """So many rows by rising (or falling) id."""
        count = len(self.ids)
        first = count - offset - limit if descending else offset
        ids = self.ids[max(0, first) : max(0, first + limit)]
        return [self.rows[id_] for id_ in (reversed(ids) if descending else ids)]
