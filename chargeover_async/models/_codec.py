"""JSON in and out: one encoder, one decoder a type, and the patient way for what does not fit.

The fast way decodes as msgspec does with ``strict=False``. What it refuses is read again by hand:
``""`` for an absent number, a number where text is documented, ``[]`` for an empty object, a date
in the account's own format. Only what still does not fit is an error.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
# Any comes in from JSON here, and stops here.
from __future__ import annotations

import datetime as dt
import re
from collections.abc import Hashable, Sequence
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from chargeover_async.errors import DecodeError

T = TypeVar("T")

encode = msgspec.json.Encoder(decimal_format="number").encode
_untyped = msgspec.json.Decoder(float_hook=Decimal)


class DateFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How an account writes dates, where it does not use ISO 8601 (`strptime` patterns)."""

    date: str = "%Y-%m-%d"
    datetime: str = "%Y-%m-%d %H:%M:%S"


def untyped(raw: bytes | msgspec.Raw) -> Any:
    """JSON as dicts and lists, numbers with a fraction as Decimal; raises msgspec.DecodeError."""
    return _untyped.decode(raw)


@cache
def decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    """The decoder for one type, built once."""
    return msgspec.json.Decoder(kind, strict=False, float_hook=Decimal)


def read(raw: bytes | msgspec.Raw, kind: type[T], dates: DateFormat | None = None) -> T:
    """``raw`` as a ``kind``; raises DecodeError naming object, id and field."""
    if dates is None:
        try:
            return cast("T", decoder(cast("Hashable", kind)).decode(raw))
        except (msgspec.DecodeError, ValueError):
            pass
    try:
        document = untyped(raw)
    except msgspec.DecodeError as error:
        raise DecodeError(f"this is not JSON: {error}", raw=bytes(raw)) from None
    return convert(document, kind, bytes(raw), dates)


def read_many(
    raw: bytes | msgspec.Raw, kind: type[T], dates: DateFormat | None = None
) -> Sequence[T]:
    """A page of records; raises DecodeError for the first that does not fit."""
    if dates is None:
        try:
            return cast("Sequence[T]", decoder(list[kind]).decode(raw))  # type: ignore[valid-type]  # a type at run time
        except (msgspec.DecodeError, ValueError):
            pass
    try:
        parts = decoder(list[msgspec.Raw]).decode(raw)
    except msgspec.DecodeError as error:
        raise DecodeError(f"this is not a list of records: {error}", raw=bytes(raw)) from None
    return [read(bytes(part), kind, dates) for part in parts]


def convert(document: Any, kind: type[T], raw: bytes, dates: DateFormat | None) -> T:
    """A parsed document as a ``kind``, mending what `repair` knows; raises DecodeError."""
    try:
        return msgspec.convert(_repair(document, kind, dates), kind, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        field = re.search(r"at `\$\.?([^`]*)`", str(error))
        name = getattr(kind, "__name__", str(kind))
        found = document if isinstance(document, dict) else {}
        key = next((k for k in found if k == f"{name.lower()}_id"), None)
        identity = found.get(key) if key else found.get("id")
        raise DecodeError(
            f"{name} {identity if identity is not None else '(no id)'}: {error}",
            object=name,
            id=identity,
            field=field.group(1) if field else "",
            raw=raw,
        ) from None


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.encode_name: hints[f.name] for f in msgspec.structs.fields(kind)}


def _repair(value: Any, kind: Any, dates: DateFormat | None) -> Any:
    if get_origin(kind) in (Union, UnionType):
        others = [one for one in get_args(kind) if one is not NoneType]
        if len(others) != 1 or value is None:
            return value
        if value == "" and others[0] is not str:
            return None
        if value == [] and get_origin(others[0]) is not list:
            return None  # an empty object, as PHP writes it
        return _repair(value, others[0], dates)
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        if isinstance(value, dict):  # a list with gaps, as PHP writes it
            value = list(value.values())
        return [_repair(one, inner, dates) for one in value] if isinstance(value, list) else value
    if isinstance(kind, type):
        if issubclass(kind, msgspec.Struct) and isinstance(value, dict):
            hints = _hints(kind)
            return {k: _repair(v, hints[k], dates) for k, v in value.items() if k in hints}
        return _scalar(value, kind, dates)
    return value


def _scalar(value: Any, kind: type[Any], dates: DateFormat | None) -> Any:
    if kind is str and isinstance(value, (bool, int, Decimal)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if kind is bool and isinstance(value, int) and value in (0, 1):
        return bool(value)
    if kind is int and isinstance(value, Decimal) and value == int(value):
        return int(value)
    if kind is Decimal and isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if issubclass(kind, dt.date):
        return _date(value, kind, dates)
    return value


def _date(value: Any, kind: type[dt.date], dates: DateFormat | None) -> Any:
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004
            f"expected a {kind.__name__}, got {value!r}"
        )
    patterns = (dates.datetime, dates.date) if dates else ()
    for pattern in patterns:
        try:
            parsed = dt.datetime.strptime(value, pattern)  # noqa: DTZ007 - the API's are naive
        except ValueError:
            continue
        return parsed if kind is dt.datetime else parsed.date()
    parsed = dt.datetime.fromisoformat(value)
    if kind is dt.datetime:
        return parsed
    if parsed.time() != dt.time():
        raise ValueError(f"expected a date, got the time {value!r}")
    return parsed.date()
