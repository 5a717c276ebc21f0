"""A cell's text (or another value of a row) to what a field of one kind may hold.

Nothing is guessed: a value that could mean two things is refused. Amounts stay exact.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .checks import shown
from .plain import plain, whole

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")  # more than any number of the API has
_AMOUNT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
# fromisoformat also reads week dates and "20210101", which are more often an error than a date.
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?")
_MIDNIGHT = dt.time()
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MOST_DIGITS = 65  # of a number that becomes text

Convert = Callable[[Any, str | None], Any]


def convert(kind: str, value: Any, date_format: str | None = None) -> Any:
    """``value`` as a field of ``kind`` takes it.

    ``date_format`` is a strptime format for days and moments, ISO 8601 when None.
    Raises ValueError with a message that shows the value and says what was wanted.
    """
    # Most of a file is text, which is plain: a call less for each cell.
    return _BY_KIND[kind](value if type(value) is str else plain(value), date_format)


def _refuse(value: object, wanted: str) -> ValueError:
    if not isinstance(value, (str, Decimal)):
        return ValueError(f"{shown(value)} is not {wanted}")
    text = str(value) if len(str(value)) <= 78 else f"{str(value)[:76]}..."
    return ValueError(f'"{text}" is not {wanted}')


def _text(value: Any, _: str | None) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < _MOST_DIGITS:
        return f"{value:f}"  # never 1E+3
    if type(value) is int and abs(value) < 10**_MOST_DIGITS:
        return str(value)
    raise _refuse(value, "text")


def _secret(value: Any, _: str | None) -> str:
    try:
        return _text(value, None)
    except ValueError:
        raise ValueError(f"a {type(value).__name__} is not text (it is not shown)") from None


def _whole(value: Any, _: str | None) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) and len(value) < 1_000:
        return int(value)
    number = whole(value)
    if number is not None:
        return number
    raise _refuse(value, "a whole number")


def _flag(value: Any, _: str | None) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else str(whole(value))
    found = _FLAGS.get(text)
    if found is None:
        raise _refuse(value, "a yes or no (true, false, yes, no, 1, 0)")
    return found


def _money(value: Any, _: str | None) -> Decimal | int:
    if isinstance(value, str) and _AMOUNT.fullmatch(value.strip()):
        return Decimal(value.strip())
    if type(value) is int or (isinstance(value, Decimal) and value.is_finite()):
        return value
    raise _refuse(value, "an amount (digits with at most one point, such as 1234.50)")


def _when(value: Any, date_format: str | None, wanted: str) -> dt.date:
    if isinstance(value, dt.date) and type(value) in {dt.date, dt.datetime}:  # else it is NaT
        return value
    if isinstance(value, str):
        text = value.strip()
        try:
            if date_format:
                # The offset, if the format reads one, is kept.
                return dt.datetime.strptime(text, date_format)  # noqa: DTZ007
            if _ISO.fullmatch(text):
                return dt.datetime.fromisoformat(text) if len(text) > 10 else _date(text)
        except ValueError:
            pass
    how = f'written as "{date_format}"' if date_format else "written as YYYY-MM-DD"
    raise _refuse(value, f"{wanted} {how}")


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _day(value: Any, date_format: str | None) -> dt.date:
    found = _when(value, date_format, "a date")
    if not isinstance(found, dt.datetime):
        return found
    if found.tzinfo is not None:
        raise _refuse(value, "a date without an offset (which day is meant, here or there?)")
    if found.time() != _MIDNIGHT:
        raise _refuse(value, "a date: it has a time other than midnight")
    return found.date()


def _moment(value: Any, date_format: str | None) -> dt.date:
    return _when(value, date_format, "a date or a date with time")


def _list(value: Any, _: str | None) -> list[Any]:
    if isinstance(value, list):
        return list(value)  # pyright: ignore[reportUnknownArgumentType] - JSON, checked later
    raise _refuse(value, "a list")


def _object(value: Any, _: str | None) -> dict[str, Any]:
    if isinstance(value, dict):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType] - JSON, checked later
    raise _refuse(value, "an object")


def _mixed(value: Any, _: str | None) -> Any:
    return value


_BY_KIND: dict[str, Convert] = {
    "text": _text,
    "secret": _secret,
    "key": _text,
    "id": _whole,
    "integer": _whole,
    "flag": _flag,
    "money": _money,
    "day": _day,
    "moment": _moment,
    "mixed": _mixed,
    "list": _list,
    "object": _object,
}

__all__ = ("convert",)
