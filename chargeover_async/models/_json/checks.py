"""The kinds of value that may be written, and the check of each before anything is sent.

The `TypedDict` of a model names the kind of each field (`Text`, `Money`); `shape` puts the checks
together. Nothing is sent that a check refuses.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# The caller's values are of any type until they are checked here.
from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NamedTuple

from chargeover_async._refs import Ref
from chargeover_async.errors import UsageError

from .plain import plain, whole

MAX_ID = 2**63 - 1

Text = Annotated[str | None, "text"]
Secret = Annotated[str, "secret"]  # a card or bank number, a password: no message shows it
Flag = Annotated[bool | None, "flag"]
Integer = Annotated[int | None, "integer"]
Id = Annotated[int | Ref | None, "id"]
# Where answers have the id as text, too, so that one can be written back.
IdOrText = Annotated[int | str | Ref | None, "id or text"]
# A float is refused: 0.1 + 0.2 is not 0.3, and money must arrive as it was meant.
Money = Annotated[Decimal | int | str | None, "money"]
Day = Annotated[dt.date | str | None, "day"]
Moment = Annotated[dt.datetime | dt.date | str | None, "moment"]
MixedIn = Annotated[str | int | bool | Decimal | list[Any] | dict[str, Any] | None, "mixed"]


class Short(NamedTuple):
    """Marks an object that may be written as the value of one of its fields alone."""

    field: str


Path = tuple[str | int, ...]
Check = Callable[[Any, Path, "Refs"], Any]
Refs = list[tuple[Path, Ref]]

# What no message shows, in ``extra`` either: a field of this name is `Secret` in every object.
SECRETS = frozenset({"cvv", "number", "password", "routing"})
_KEY_SUFFIXES = ("_external_key", "_token")


def is_key(name: str) -> bool:
    """Whether a field, of any object (``customer.external_key``), holds a key or a token."""
    last = name.rpartition(".")[2]
    return last in {"external_key", "token"} or last.endswith(_KEY_SUFFIXES)


def refuse(path: Path, value: object, wanted: str) -> UsageError:
    if not SECRETS.isdisjoint(path):
        return refuse_unseen(path, value, wanted)
    return UsageError(f"{dotted(path)} must be {wanted}, not {type(value).__name__} {shown(value)}")


def shown(value: object) -> str:
    """A caller's value in a message, in at most 80 characters, whatever it is."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a caller's repr, or a number too long to be shown
        return f"({type(error).__name__} when shown)"
    return text if len(text) <= 80 else text[:77] + "..."


def refuse_unseen(path: Path, value: object, wanted: str) -> UsageError:
    return UsageError(f"{dotted(path)} must be {wanted}, not {type(value).__name__}")


def dotted(path: Path) -> str:
    """``line_items[0].item_id`` for ``("line_items", 0, "item_id")``."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:  # a name of a caller's own may be anything
            out += ("." if out else "") + (part if part.isprintable() else ascii(part))
    return out


def check_text(value: Any, path: Path, refs: Refs) -> str:
    text = plain(value)
    if type(text) is str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise refuse(path, value, "text that can be written as UTF-8") from None
        return text
    raise refuse(path, value, "text")


def _secret(value: Any, path: Path, refs: Refs) -> str:
    try:
        return check_text(value, path, refs)
    except UsageError:
        raise refuse_unseen(path, value, "text that can be written as UTF-8") from None


def check_key(value: object, name: str) -> str:
    """``value`` if it can be an external key or a token; raises UsageError otherwise."""
    key = check_text(value, (name,), [])
    if not key.strip():
        raise UsageError(f"{name} must not be empty")
    if any(ord(char) < 32 or ord(char) == 127 for char in key):
        raise UsageError(f"{name} must not hold control characters: {key!r}")
    return key


def check_key_at(value: Any, path: Path, refs: Refs) -> str:
    return check_key(value, dotted(path))


def check_id(value: object, name: str) -> int:
    """``value`` if it can be an id (a whole number from 0 to 2**63 - 1); raises UsageError."""
    number = whole(value)
    if number is None:
        raise refuse((name,), value, "a whole number")
    if 0 <= number <= MAX_ID:
        return number
    raise refuse((name,), value, f"from 0 to {MAX_ID}")


def _id(value: Any, path: Path, refs: Refs) -> Any:
    # 0 stands for "none" in answers of 2017 (class_id, campaign_id), so it may be written back.
    if type(value) is int and 0 <= value <= MAX_ID:
        return value
    if isinstance(value, Ref):
        refs.append((path, value))
        return value
    if is_operation(value):
        raise UsageError(f"{dotted(path)} must be a whole number or a reference: {_WRITE_REF}")
    return check_id(value, dotted(path))


def _id_or_text(value: Any, path: Path, refs: Refs) -> Any:
    text = plain(value)
    return text if type(text) is str and _DIGITS.fullmatch(text) else _id(value, path, refs)


_DIGITS = re.compile("[0-9]{1,19}")
_WRITE_REF = "write .ref() behind the operation to refer to what it creates"


def is_operation(value: object) -> bool:
    """Whether references to what a value creates can be made; operations are above this module."""
    return callable(getattr(type(value), "ref", None))


def _flag(value: Any, path: Path, refs: Refs) -> bool:
    flag = plain(value)
    if type(flag) is bool:
        return flag
    raise refuse(path, value, "True or False")


def _integer(value: Any, path: Path, refs: Refs) -> int:
    number = whole(value)
    if number is None:
        raise refuse(path, value, "a whole number")
    return _bounded(number, path)


def _bounded(number: int, path: Path) -> int:
    if abs(number) > MAX_ID:  # more than the server's database holds, and than the encoder takes
        raise UsageError(f"{dotted(path)} must be within 64 bits")
    return number


def _money(value: Any, path: Path, refs: Refs) -> Any:
    amount = plain(value)
    kind = type(amount)
    if kind is Decimal:
        if amount.is_finite():
            return amount
    elif kind is int:
        return _bounded(amount, path)
    elif kind is str:
        try:
            # Decimal() takes blanks, underscores and the digits of every script.
            if (
                amount.isascii()
                and Decimal(amount).is_finite()
                and not set(amount) & set(" _\t\r\n")
            ):
                return amount
        except InvalidOperation:
            pass
    elif kind is float:
        raise refuse(path, value, 'an exact amount such as Decimal("2.95") or "2.95"')
    raise refuse(path, value, "a finite amount (Decimal, int or decimal text)")


def _day(value: Any, path: Path, refs: Refs) -> str:
    day = plain(value)
    if type(day) is dt.date:
        return day.isoformat()
    if type(day) is dt.datetime:
        raise refuse(path, value, "a date without a time")
    if type(day) is str:
        if not _DAY.fullmatch(day) or not _is_moment(day):
            raise refuse(path, value, "a date as YYYY-MM-DD")
        return day
    raise refuse(path, value, "a date")


# The forms of the vendor's text, "Dates and Times"; fromisoformat alone takes 20260131, too.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d([T ]00:00(:00)?)?", re.ASCII)


def _is_moment(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def moment_text(value: dt.date) -> str:
    """A date or datetime as the API takes it; whole seconds, an offset is kept.

    ``YYYY-MM-DD``, ``YYYY-MM-DD HH:MM:SS`` or ``YYYY-MM-DDTHH:MM:SS-05:00`` (vendor's text,
    "Dates and Times"). A fraction of a second is cut: no form for it is documented.
    """
    if not isinstance(value, dt.datetime):
        return value.isoformat()
    offset = value.utcoffset()
    if offset is not None and offset % dt.timedelta(minutes=1):
        value = value.astimezone(dt.UTC)  # local times of long ago: no form has seconds there
    return value.isoformat("T" if value.tzinfo else " ", timespec="seconds")


def _moment(value: Any, path: Path, refs: Refs) -> str:
    moment = plain(value)
    if type(moment) in _DATES:
        return moment_text(moment)
    if type(moment) is str:
        if not _MOMENT.fullmatch(moment) or not _is_moment(moment):
            raise refuse(path, value, "a date or a date with time")
        return moment
    raise refuse(path, value, "a date or datetime")


_DATES = frozenset({dt.date, dt.datetime})


def check_mixed(value: Any, path: Path, refs: Refs) -> Any:
    """Anything that JSON can hold without loss."""
    held = plain(value)
    kind = type(held)
    if held is None or kind is bool:
        return held
    if kind is str:
        return check_text(held, path, refs)
    if kind is int:
        return _bounded(held, path)
    if kind is Decimal:
        return _money(held, path, refs)
    if kind in _DATES:
        return moment_text(held)
    if kind is float:
        raise refuse(path, value, 'an exact number such as Decimal("2.95")')
    if isinstance(held, Ref):
        refs.append((path, held))
        return held
    if isinstance(held, Mapping):
        out: dict[str, Any] = {}
        for name, inner in held.items():
            if not isinstance(name, str):
                raise refuse(path, value, "an object whose names are text")
            text = check_text(name, path, refs)
            out[text] = check_mixed(inner, (*path, text), refs)
        return out
    if isinstance(held, (list, tuple)):
        return [check_mixed(entry, (*path, i), refs) for i, entry in enumerate(held)]
    if is_operation(held):
        raise UsageError(f"{dotted(path)} cannot be written as JSON: {_WRITE_REF}")
    raise refuse(path, value, "something that can be written as JSON")


CHECKS: dict[str, Check] = {
    "text": check_text,
    "secret": _secret,
    "key": check_key_at,
    "flag": _flag,
    "integer": _integer,
    "id": _id,
    "id or text": _id_or_text,
    "money": _money,
    "day": _day,
    "moment": _moment,
    "mixed": check_mixed,
}


def check_mapping(value: object, name: str) -> None:
    """Raise UsageError for what has no names and values."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{name} must be a mapping of names to values, not {type(value).__name__}")


def check_json(value: Any) -> Any:
    """``value`` as it is written: dates as the API takes them; raises UsageError for a float.

    A reference is refused: nobody would fill it in.
    """
    refs: Refs = []
    try:
        checked = check_mixed(value, ("json",), refs)
    except RecursionError:
        raise UsageError("json is nested too deeply, or holds itself") from None
    if refs:
        raise UsageError(f"{dotted(refs[0][0])}: a reference cannot stand in co.request(json=...)")
    return checked
