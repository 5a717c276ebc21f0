"""The patient way for a document that does not fit: what is mended, and what is an error.

``""`` for an absent number, a number where text is documented, ``[]`` for an empty object, a date
in the account's own format are mended. Only what still does not fit is an error.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
# Any comes in from JSON here, and stops here.
from __future__ import annotations

import datetime as dt
import re
from collections.abc import Hashable
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from chargeover_async.errors import DecodeError, UsageError

T = TypeVar("T")


class DateFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How an account writes dates, where it does not use ISO 8601 (`strptime` patterns)."""

    date: str = "%Y-%m-%d"
    datetime: str = "%Y-%m-%d %H:%M:%S"

    def __post_init__(self) -> None:
        day = dt.datetime(2026, 1, 31)  # noqa: DTZ001 - the API's are naive
        for pattern in (self.date, self.datetime):
            try:
                is_told = dt.datetime.strptime(day.strftime(pattern), pattern) == day  # noqa: DTZ007
            except (TypeError, ValueError):
                is_told = False
            if not is_told:  # dd.mm.yyyy is text, and %d.%m. has no year
                raise UsageError(f"{pattern!r} is no pattern of dates such as %d.%m.%Y")


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def mend(document: Any, kind: type[T], raw: bytes, dates: DateFormat | None) -> T:
    """A parsed document as a ``kind``, mending what `_repair` knows; raises DecodeError."""
    try:
        return msgspec.convert(_repair(document, kind, dates, "$"), kind, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        field = re.search(r"at `\$\.?([^`]*)`", str(error))
        name = getattr(kind, "__name__", str(kind))
        found = document if isinstance(document, dict) else {}
        identity = found.get(_primary(kind))
        raise DecodeError(
            f"{name} {identity if identity is not None else '(no id)'}: {error}",
            object=name,
            id=identity,
            field=field.group(1) if field else "",
            raw=raw,
        ) from None


def _primary(kind: Any) -> str:
    """The field that names a record: the one that a struct, or what it derives from, requires."""
    if not is_struct(kind):
        return "id"
    fields = msgspec.structs.fields(kind)
    return next(
        (field.encode_name for field in fields if field.required), f"{kind.__name__.lower()}_id"
    )


@cache
def field_types(kind: Hashable) -> dict[str, Any]:
    struct = cast("type[Any]", kind)
    hints = get_type_hints(struct)
    return {f.encode_name: hints[f.name] for f in msgspec.structs.fields(struct)}


@cache
def is_union(kind: Hashable) -> bool:
    return get_origin(kind) in (Union, UnionType)


@cache
def without_none(kind: Hashable) -> tuple[Any, ...]:
    """What a union may hold besides None."""
    return tuple(member for member in get_args(kind) if member is not NoneType)


@cache
def _list_of(kind: Hashable) -> tuple[Any, ...]:
    """What is in a list, or nothing for what is no list."""
    return get_args(kind) if get_origin(kind) is list else ()


@cache
def _fields(kind: Hashable) -> dict[str, tuple[Any, type[Any] | None, bool]]:
    """For each field its type, the class whose values are right as they are, and whether None is.

    It spares most fields of a record the way through `_repair`: two thirds of the time.
    """
    found: dict[str, tuple[Any, type[Any] | None, bool]] = {}
    for name, hint in field_types(kind).items():
        optional = is_union(hint) and NoneType in get_args(hint)
        others = without_none(hint) if is_union(hint) else (hint,)
        right = others[0] if len(others) == 1 and others[0] in (str, int, bool, Decimal) else None
        found[name] = (hint, right, optional)
    return found


def _repair(value: Any, kind: Any, dates: DateFormat | None, path: str) -> Any:
    if is_union(kind):
        others = without_none(kind)
        if len(others) != 1 or value is None:
            return value
        if value == "" and others[0] is not str:
            return None
        if value == [] and is_struct(others[0]):
            return None  # an empty object, as PHP writes it
        if others[0] in (dt.date, dt.datetime) and value in _NO_MOMENT:
            return None
        return _repair(value, others[0], dates, path)
    if _list_of(kind):
        (inner,) = _list_of(kind)
        if isinstance(value, dict):  # a list with gaps, as PHP writes it
            value = list(value.values())
        if not isinstance(value, list):
            return value
        return [_repair(entry, inner, dates, f"{path}[{i}]") for i, entry in enumerate(value)]
    if is_struct(kind) and isinstance(value, dict):
        fields = _fields(kind)
        repaired: dict[str, Any] = {}
        for name, held in value.items():
            if name in fields:
                hint, right, optional = fields[name]
                as_it_is = (held is None and optional) or type(held) is right
                repaired[name] = held if as_it_is else _repair(held, hint, dates, f"{path}.{name}")
        return repaired
    return _scalar(value, kind, dates, path) if isinstance(kind, type) else value


# No moment at all. UNVERIFIED: no source shows one of them; they are what MySQL and PHP make of an
# empty datetime, and a page of records should not be unreadable for it.
_NO_MOMENT = ("0", 0, "0000-00-00", "0000-00-00 00:00:00")


def _scalar(value: Any, kind: type[Any], dates: DateFormat | None, path: str) -> Any:
    if kind is str and isinstance(value, (bool, int, Decimal)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if kind is bool and isinstance(value, int) and value in (0, 1):
        return bool(value)
    if kind is int and isinstance(value, Decimal) and value.adjusted() < 20:
        return int(value) if value == int(value) else value
    if kind is Decimal and isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if issubclass(kind, dt.date):
        try:
            return _date(value, kind, dates)
        except (TypeError, ValueError):
            what = f"expected a {kind.__name__}, got {str(value)[:80]!r}"
            raise ValueError(f"{what} - at `{path}`") from None
    return value


def _date(value: Any, kind: type[dt.date], dates: DateFormat | None) -> Any:
    patterns = (dates.datetime, dates.date) if dates else ()
    for pattern in patterns:
        try:
            parsed = dt.datetime.strptime(value, pattern)  # noqa: DTZ007 - the API's are naive
        except ValueError:
            continue
        return parsed if kind is dt.datetime else parsed.date()
    if value[4:5] != "-":  # fromisoformat takes 20150330 as well, which may be Unix seconds
        raise ValueError("not written as YYYY-MM-DD")
    parsed = dt.datetime.fromisoformat(value)
    if kind is dt.datetime:
        return parsed
    if parsed.time() != dt.time():
        raise ValueError("a date with a time")
    return parsed.date()
