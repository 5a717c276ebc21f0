"""From a row of an engine to the creation of a record with a key."""

# pyright: reportUnknownVariableType=false
# Rows come from engines, which are no dependency.
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeGuard, cast

from chargeover_async._hints import did_you_mean
from chargeover_async.client import ChargeOver
from chargeover_async.errors import UsageError
from chargeover_async.operation import Operation
from chargeover_async.resources import RESOURCES, ExternalKey
from chargeover_async.resources._calls.base import BaseResource

KEY = "external_key"
# What is told apart by a key, and can be looked up by it. A payment moves money, a card replaces
# the one with its number, usage is never read by its key: a repeat of these cannot be settled.
KEYED = ("customer", "invoice", "item", "package", "quote", "user")

Empty = Literal["omit", "null"]
_COLUMN = re.compile(r"\{([^{}]*)\}|([{}])")


def writable(name: str) -> type[BaseResource[Any]]:
    """The resource by the vendor's name (``invoice``) or ours (``invoices``).

    Raises UsageError for an object without keys.
    """
    by_name = {word: cls for cls in RESOURCES.values() for word in (cls.object, cls.attribute)}
    found = by_name.get(name)
    if found is None or found.object not in KEYED:
        why = "has no keys that a repeat could be told by" if found else "is no object of the API"
        raise UsageError(
            f'"{name}" {why}: tasks are repeated, so a part can be written of '
            f"{', '.join(KEYED)} only"
        )
    return found


def rows_of(item: Any) -> Iterator[Any]:
    """The rows of one item of an engine: an Arrow batch or table, a Spark Row, or a mapping."""
    if isinstance(item, Mapping):
        yield item
    elif hasattr(item, "to_pylist"):
        yield from item.to_pylist()
    elif hasattr(item, "asDict"):
        yield item.asDict(recursive=True)
    else:
        yield item  # refused as a row, by name


def is_row(row: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it maps names to values."""
    return isinstance(row, Mapping) and all(isinstance(name, str) for name in row)


class KeyTemplate:
    """How the key of a row is made: ``"shop-{id}"``; None for its column ``external_key``.

    Only text and whole numbers go into a key: any other value may be written in two ways, and a
    key that differs from attempt to attempt makes a record of each. Raises UsageError for a
    template without a column, which would give every row the same key.
    """

    def __init__(self, template: str | None) -> None:
        self._pieces: list[tuple[bool, str]] = []
        self._source = f"{{{KEY}}}" if template is None else template
        position = 0
        for match in _COLUMN.finditer(self._source):
            if match[2] or not match[1]:
                raise UsageError(f'key "{template}": write a column as {{name}}')
            self._pieces += [(False, self._source[position : match.start()]), (True, match[1])]
            position = match.end()
        self._pieces.append((False, self._source[position:]))
        self.columns = tuple(text for is_column, text in self._pieces if is_column)
        if not self.columns:
            raise UsageError(f'key "{template}" names no column, so all rows would have one key')

    def __call__(self, row: Mapping[str, Any]) -> str:
        """The key; raises UsageError with what is wrong."""
        return "".join(
            self._text(row, text) if is_column else text for is_column, text in self._pieces
        )

    def _text(self, row: Mapping[str, Any], column: str) -> str:
        value = row.get(column)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
            return f"{value:f}".partition(".")[0]  # a whole number of a decimal column
        if value is None or value == "":
            raise UsageError(f'the row has no key: "{column}" is empty')
        raise UsageError(f'"{column}" is {value!r}: a key is made of text and whole numbers')


class RowMaker:
    """Makes operations of rows."""

    def __init__(self, co: ChargeOver, name: str, key: str | None, empty: Empty) -> None:
        if empty not in {"omit", "null"}:
            raise UsageError(f'empty must be "omit" or "null", not {empty!r}')
        cls = writable(name)
        self.object = cls.object
        self._resource: Any = getattr(co, cls.attribute)
        self._key = KeyTemplate(key)
        known = cls.writes["create"].__annotations__
        self._only_for_key = {column for column in self._key.columns if column not in known}
        self._omits = empty == "omit"
        update = cls.writes.get("update")
        self._updatable = set[str]() if update is None else set(update.__annotations__) - {KEY}

    def fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What is to be sent of a row, its key included; raises UsageError without one."""
        key = self._key(row)
        if KEY not in self._key.columns and row.get(KEY) not in {None, "", key}:
            raise UsageError(f"the row has the key {row[KEY]!r}, and {key!r} was made for it")
        fields = {name: value for name, value in row.items() if name not in self._only_for_key}
        if self._omits:
            fields = cast("dict[str, Any]", _without_nulls(fields))
        return fields | {KEY: key}

    def create(self, fields: dict[str, Any]) -> Operation[Any]:
        """The creation; raises UsageError for what cannot be right."""
        operation: Operation[Any] = self._resource.create(**fields)
        return operation

    def read(self, key: str) -> Operation[Any]:
        """The record that has a key."""
        operation: Operation[Any] = self._resource.get(external_key=key)
        return operation

    def changes(self, fields: dict[str, Any]) -> dict[str, Any]:
        """What of the fields an update can change."""
        return {name: value for name, value in fields.items() if name in self._updatable}

    def update(self, fields: dict[str, Any]) -> Operation[Any]:
        """The change of the record that has the key."""
        operation: Operation[Any] = self._resource.update(
            ExternalKey(fields[KEY]), **self.changes(fields)
        )
        return operation


def _without_nulls(value: Any) -> Any:
    """A null of a table says that there is nothing, as every row has every column."""
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {name: _without_nulls(inner) for name, inner in table.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def check_columns(name: str, columns: Iterable[str], key: str | None = None) -> None:
    """What is wrong with all rows of a table, before any is sent; ``key`` as for `write_part`.

    Raises UsageError for an object without keys, for columns that are no fields of it, and when the
    columns of the key are not there.
    """
    cls = writable(name)
    template = KeyTemplate(key)
    given = list(columns)
    absent = [column for column in template.columns if column not in given]
    if absent:
        raise UsageError(
            f"{cls.object}: every row needs a key, and there is no column {', '.join(absent)}: "
            'add external_key, or say how it is made: key="shop-{id}"'
        )
    known = set(cls.writes["create"].__annotations__)
    for column in given:
        if column not in known and column not in template.columns:
            raise UsageError(
                f'{cls.object} has no field "{column}"{did_you_mean(column, known)}: '
                "drop the column, or rename it"
            )


__all__ = (
    "KEY",
    "Empty",
    "KeyTemplate",
    "RowMaker",
    "check_columns",
    "is_row",
    "rows_of",
    "writable",
)
