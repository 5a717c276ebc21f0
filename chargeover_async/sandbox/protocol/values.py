"""What a field may hold: its kind, read from the model, and how a sent value is taken."""

from __future__ import annotations

import datetime as dt
import re
import types
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeGuard, Union, get_args, get_origin

import msgspec

from .answers import INVALID, Refused

INTEGER, NUMBER, FLAG, TEXT = "integer", "number", "flag", "text"
DATE, MOMENT, MIXED, TEXTS, NESTED = "date", "moment", "mixed", "texts", "nested"

_MAX_INTEGER = 2**63
_MAX_AMOUNT_DIGITS = 12  # before and behind the point; keeps sums exact and answers short
_MAX_DEPTH = 32

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,24}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})(?:[eE][+-]?[0-9]{1,3})?"
)
# The three documented forms: YYYY-MM-DD, YYYY-MM-DD HH:II:SS and YYYY-MM-DDTHH:II:SS-Z.
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def kinds_of(model: type[msgspec.Struct]) -> dict[str, str]:
    """The kind of every field of ``model``, by name."""
    return {field.encode_name: _kind(field.type) for field in msgspec.structs.fields(model)}


def _kind(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        hint = choices[0] if len(choices) == 1 else Any
    if get_origin(hint) is list:
        return TEXTS if get_args(hint) == (str,) else NESTED
    return {
        int: INTEGER,
        Decimal: NUMBER,
        bool: FLAG,
        str: TEXT,
        dt.date: DATE,
        dt.datetime: MOMENT,
        Any: MIXED,
    }.get(hint, NESTED)


def integer(value: object) -> int:
    """A whole number, also one sent as a string or as ``44.0``."""
    taken: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        taken = value
    elif isinstance(value, str):
        taken = int(value) if _INTEGER.fullmatch(value) else None
    elif isinstance(value, Decimal) and abs(value) < _MAX_INTEGER and value == int(value):
        taken = int(value)
    if taken is None or not -_MAX_INTEGER <= taken < _MAX_INTEGER:
        raise Refused(INVALID)
    return taken


def number(value: object) -> Decimal:
    """An exact amount, also one sent as a string (recording `add_line_item`: ``"base": "800"``)."""
    taken: Decimal | None = None
    if isinstance(value, Decimal):
        taken = value
    elif isinstance(value, str):
        taken = Decimal(value) if _NUMBER.fullmatch(value) else None
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_INTEGER:
        taken = Decimal(value)
    if taken is None or not taken.is_finite():
        raise Refused(INVALID)
    if not taken:
        return Decimal(0)
    exponent = taken.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_MAX_AMOUNT_DIGITS:
        raise Refused(INVALID)
    if taken.adjusted() >= _MAX_AMOUNT_DIGITS:
        raise Refused(INVALID)
    return taken


def flag(value: object) -> bool:
    """A boolean, also one sent as 0, 1, "0", "1", "true" or "false"."""
    if isinstance(value, (bool, int, str)):
        known = {"0": False, "1": True, "false": False, "true": True}.get(str(value).lower())
        if known is not None:
            return known
    raise Refused(INVALID)


def text(value: object) -> str:
    """A string; a number becomes its digits (UNVERIFIED)."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_INTEGER:
        return str(value)
    if isinstance(value, Decimal):
        return str(value)
    raise Refused(INVALID)


def texts(value: object) -> list[str]:
    """A list of strings, such as tags."""
    if not is_array(value):
        raise Refused(INVALID)
    return [text(entry) for entry in value]


def moment(value: object, zone: dt.tzinfo = dt.UTC) -> str:
    """A documented form of a date or datetime as ``YYYY-MM-DD HH:MM:SS`` in the account's zone.

    A date without a time is midnight (recording `update_package_invoice_date`).
    """
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Refused(INVALID)
    year, month, day, hour, minute, second, offset = match.groups()
    try:
        parsed = dt.datetime(  # noqa: DTZ001 - the account's own zone, which is naive on the wire
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
        if offset is not None:
            aware = parsed.replace(tzinfo=_offset(offset))
            parsed = aware.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise Refused(INVALID) from None
    return parsed.isoformat(" ", "seconds")


def date(value: object, zone: dt.tzinfo = dt.UTC) -> str:
    """The day of a documented form, as ``YYYY-MM-DD``."""
    return moment(value, zone)[:10]


def mixed(value: object) -> Any:
    """Any JSON value that is not absurdly deep or large, as it is; for custom fields."""
    _check_size(value, 0)
    return value


def _check_size(value: Any, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise Refused(INVALID)
    if isinstance(value, int):
        if not -_MAX_INTEGER <= value < _MAX_INTEGER:
            raise Refused(INVALID)
    elif is_array(value):
        for entry in value:
            _check_size(entry, depth + 1)
    elif is_object(value):
        for entry in value.values():
            _check_size(entry, depth + 1)


def _offset(text: str) -> dt.timezone:
    if text == "Z":
        return dt.UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return dt.timezone(dt.timedelta(minutes=-minutes if text[0] == "-" else minutes))


TAKE: dict[str, Callable[[Any], Any]] = {
    INTEGER: integer,
    NUMBER: number,
    FLAG: flag,
    TEXT: text,
    MIXED: mixed,
    TEXTS: texts,
}
