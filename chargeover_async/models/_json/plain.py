"""A value as it is meant: what a kind of text, number or date holds, as a plain one of Python's.

A member of ``(str, Enum)`` writes itself as ``Class.MEMBER``, a subclass as its author likes, and
JSON takes some of them and refuses others. numpy's scalars are no numbers of Python's at all.
Neither numpy nor pandas is imported.
"""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from types import NoneType
from typing import Any

_PLAIN = frozenset(
    {str, int, bool, Decimal, dt.date, dt.datetime, float, NoneType, dict, list, tuple}
)
_SAFE = 2**53  # up to here a float holds every whole number


def plain(value: Any) -> Any:
    """``value`` without its subclass; what is of no kind that we know, as it is.

    A date that is none (``NaT``) stays what it is: no check takes it, as its type is not plain.
    """
    if type(value) in _PLAIN:
        return value
    # The base's own methods, as those of a subclass may say something else (``str`` of an Enum).
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Decimal):
        return Decimal(value)
    if isinstance(value, dt.date):
        return _plain_date(value)
    numpy = sys.modules.get("numpy")  # where nobody imported it, there are no values of it
    return _plain_scalar(value) if numpy and isinstance(value, numpy.generic) else value


def _plain_date(value: dt.date) -> Any:
    try:
        if not isinstance(value, dt.datetime):
            return dt.date(value.year, value.month, value.day)
        date, time = (value.year, value.month, value.day), (value.hour, value.minute, value.second)
        return dt.datetime(*date, *time, value.microsecond, value.tzinfo, fold=value.fold)  # noqa: DTZ001
    except (TypeError, ValueError):  # NaT, of which every part is NaN
        return value


def _plain_scalar(value: Any) -> Any:
    """The value of one of numpy's scalars."""
    kind, name = value.dtype.kind, str(value.dtype)
    if kind in "biuU":  # flags, whole numbers, text
        return value.item()
    if kind == "f":
        return float(str(value))  # as it is shown: 2.95 as float32 is nearly 2.95 as float
    if kind == "M":  # whose nanoseconds ``item`` gives as a number
        found = (value if name.endswith("[D]") else value.astype("datetime64[us]")).item()
        return value if found is None else found
    return value


def whole(value: Any) -> int | None:
    """The whole number that is meant: 7, ``Decimal("7")`` or 7.0; None for anything else.

    Databases and data frames hold whole numbers so, where a column may be empty.
    """
    value = plain(value)
    if type(value) is int:
        return value
    if type(value) is Decimal and value.is_finite() and value.adjusted() < 20:
        return int(value) if value == value.to_integral_value() else None
    if type(value) is float and value.is_integer() and abs(value) <= _SAFE:
        return int(value)
    return None
