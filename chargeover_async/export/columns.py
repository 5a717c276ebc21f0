"""The columns of an object, read from its struct; and what a user says about them in words."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Hashable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal, cast, get_args, get_origin

import msgspec

from chargeover_async._hints import did_you_mean
from chargeover_async.errors import UsageError
from chargeover_async.models._json.mend import field_types
from chargeover_async.models._json.words import convert
from chargeover_async.query import Clause, Field

Kind = Literal["id", "text", "flag", "money", "day", "moment", "mixed", "nested"]

_KINDS: dict[Any, Kind] = {
    int: "id",
    str: "text",
    bool: "flag",
    Decimal: "money",
    dt.date: "day",
    dt.datetime: "moment",
    Any: "mixed",
}


class Column(msgspec.Struct, frozen=True):
    """One field: ``name`` on the wire, ``attribute`` on the struct, ``type`` without its None."""

    name: str
    attribute: str
    kind: Kind
    type: Any
    hint: Any


def columns_of(model: type[Any]) -> tuple[Column, ...]:
    """The columns of a struct: the primary key, its own fields, then inherited ones."""
    hints = field_types(cast("Hashable", model))
    found: list[Column] = []
    for field in msgspec.structs.fields(model):
        if field.encode_name.startswith("renamed "):  # never sent (`Record`)
            continue
        hint = hints[field.encode_name]
        plain = _without_none(hint)
        found.append(Column(field.encode_name, field.name, kind_of(plain), plain, hint))
    own = [name for cls in model.__mro__ for name in inspect.get_annotations(cls)]
    keys = {field.name for field in msgspec.structs.fields(model) if field.required}
    return tuple(
        sorted(
            found, key=lambda column: (column.attribute not in keys, own.index(column.attribute))
        )
    )


def kind_of(plain: Any) -> Kind:
    """What a type without its None holds."""
    return "nested" if get_origin(plain) else _KINDS.get(plain, "nested")


def _without_none(hint: Any) -> Any:
    others = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) in {list, dict} or not others:
        return hint
    return others[0] if len(others) == 1 else Any


def choose(model: type[Any], names: Sequence[str] | None, what: str) -> tuple[Column, ...]:
    """The columns of those names, in that order; all of them for None.

    Raises UsageError for a name that ``model`` does not have, for one given twice, and for none.
    """
    columns = columns_of(model)
    if names is None:
        return columns
    known = {column.name: column for column in columns}
    for name in names:
        if name not in known:
            raise UsageError(f'{what} have no field "{name}"{did_you_mean(name, known)}')
    if len(set(names)) != len(names) or not names:
        raise UsageError(f"fields must name each field once, not {', '.join(names) or 'none'}")
    return tuple(known[name] for name in names)


_WHERE = re.compile(
    r"\s*(?P<name>[A-Za-z0-9_.]+)\s*"
    r"(?::(?P<word>[A-Z]+):|(?P<sign>>=|<=|!=|<>|==|=|>|<|~))\s*(?P<value>.*?)\s*",
    re.DOTALL,
)
_SIGNS = {
    "=": "EQUALS",
    "==": "EQUALS",
    "!=": "NOTEQUALS",
    "<>": "NOTEQUALS",
    ">": "GT",
    ">=": "GTE",
    "<": "LT",
    "<=": "LTE",
    "~": "CONTAINS",
}
_COMPARED = {*_SIGNS.values()} - {"CONTAINS"}


def parse_where(texts: Iterable[str], model: type[Any], what: str) -> list[Clause]:
    """Filters as a person writes them, each as one clause; all of them are meant together.

    ``total > 100``, ``date >= 2026-01-01``, ``company ~ Acme`` (contains), ``paid_date = null``,
    or in the API's own form, ``total:GT:100``, ``paid_date:IS:NULL``, where no character of the
    value needs to be escaped. A dotted name, as ``customers.customer_id``, is left to the API.

    Raises UsageError for what is no filter, an unknown field, and a value that is not of the
    field's kind.
    """
    known = {column.name: column for column in columns_of(model)}
    return [_clause(text, known, what) for text in texts]


def _clause(text: str, known: dict[str, Column], what: str) -> Clause:
    match = _WHERE.fullmatch(text)
    if match is None:
        raise UsageError(
            f'"{text}" is not a filter: write FIELD > VALUE (or =, !=, >=, <, <=, ~ for '
            "contains), or FIELD:OPERATOR:VALUE as the API does"
        )
    name, word, value = match["name"], match["word"], match["value"]
    column = known.get(name)
    if column is None and "." not in name:
        raise UsageError(f'"{text}": {what} have no field "{name}"{did_you_mean(name, known)}')
    field = Field(name)
    operator = word or _SIGNS[match["sign"]]
    is_null = value.upper() == "NULL" and (operator in {"IS", "ISNOT"} or not word)
    if is_null and operator in {"IS", "EQUALS"}:
        return field == None  # noqa: E711 - builds IS:NULL
    if is_null and operator in {"ISNOT", "NOTEQUALS"}:
        return field != None  # noqa: E711 - builds ISNOT:NULL
    if operator == "CONTAINS":
        return field.contains(value)
    if operator not in _COMPARED:
        known_words = ", ".join(sorted({*_COMPARED, "CONTAINS"}))
        raise UsageError(
            f'"{text}": {operator} is not an operator with a value; there are {known_words}, '
            "IS:NULL and ISNOT:NULL"
        )
    kind = column.kind if column is not None else "mixed"
    if kind == "nested":
        raise UsageError(f'"{text}": {name} has parts of its own and cannot be compared')
    try:
        typed = convert(kind, value)
    except ValueError as error:
        raise UsageError(f'"{text}": {error}') from None
    return field._clause(operator, typed)


def moment_of(text: str) -> dt.date:
    """A date or a datetime in ISO 8601; raises UsageError."""
    try:
        found: dt.date = convert("moment", text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return found


def picked_struct(model: type[Any], columns: Sequence[Column]) -> type[Any]:
    """A struct like ``model`` of these columns only, each None when it is absent."""
    return msgspec.defstruct(
        model.__name__,
        [
            (column.attribute, column.hint | None, msgspec.field(default=None, name=column.name))
            for column in columns
        ],
        frozen=True,
        kw_only=True,
    )


__all__ = ("Column", "choose", "columns_of", "kind_of", "moment_of", "parse_where", "picked_struct")
