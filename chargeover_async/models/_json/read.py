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
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from chargeover_async.errors import DecodeError, UsageError

T = TypeVar("T")

encode = msgspec.json.Encoder(decimal_format="number").encode
_untyped = msgspec.json.Decoder(float_hook=Decimal)


class DateFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How an account writes dates, where it does not use ISO 8601 (`strptime` patterns)."""

    date: str = "%Y-%m-%d"
    datetime: str = "%Y-%m-%d %H:%M:%S"

    def __post_init__(self) -> None:
        for pattern in (self.date, self.datetime):
            try:
                dt.datetime.strptime(dt.datetime(2026, 1, 31).strftime(pattern), pattern)  # noqa: DTZ001, DTZ007 - the API's are naive
            except (TypeError, ValueError):
                raise UsageError(f"{pattern!r} is no pattern of dates such as %d.%m.%Y") from None


def untyped(raw: bytes | msgspec.Raw) -> Any:
    """JSON as dicts and lists, numbers with a fraction as Decimal; raises msgspec.DecodeError."""
    try:
        return _untyped.decode(raw)
    except (ValueError, RecursionError) as error:  # not UTF-8, or nested without end
        raise msgspec.DecodeError(str(error)) from None


def read_untyped(raw: bytes | msgspec.Raw) -> Any:
    """The same; raises our own DecodeError."""
    try:
        return untyped(raw)
    except msgspec.DecodeError as error:
        raise DecodeError(f"this is not JSON: {error}", raw=bytes(raw)) from None


@cache
def decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    """The decoder for one type, built once."""
    return msgspec.json.Decoder(kind, strict=False, float_hook=Decimal)


@cache
def _strict_decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, float_hook=Decimal)


def check_kind(kind: Any) -> Any:
    """``kind`` if JSON can be decoded as it; raises UsageError otherwise."""
    try:
        decoder(kind)
        _number_for_moment(kind)
    except (TypeError, NameError) as error:
        raise UsageError(
            f"as_={kind!r} is no type that an answer can be read as: {error}"
        ) from None
    return kind


# -- numbers where a datetime is documented ----------------------------------------------------
# msgspec takes such a number, or one in a string, for Unix seconds, and so reports a moment that
# nobody wrote. It comes out in UTC, so only an answer that holds UTC is looked at a second time.
# A strict decoder refuses such a number by itself.


@cache
def _number_for_moment(kind: Hashable) -> re.Pattern[bytes] | None:
    """What finds a number where ``kind`` has a datetime, in JSON; None when it has no datetime."""
    names = sorted(set(_moments(kind)))
    if not names:
        return None
    key = b'"(?:' + b"|".join(re.escape(name.encode()) for name in names) + b")"
    return re.compile(key + rb'"\s*:\s*"?[-+.\s]*[0-9.]+(?:[eE][-+]?[0-9]+)?"?\s*[,}]')


def _moments(kind: Any, seen: tuple[Any, ...] = ()) -> Iterator[str]:
    if _is_struct(kind) and kind not in seen:
        for name, hint in _hints(kind).items():
            if dt.datetime in (hint, *get_args(hint)):
                yield name
            yield from _moments(hint, (*seen, kind))
    for one in get_args(kind):
        yield from _moments(one, seen)


@cache
def _places(kind: Hashable) -> tuple[tuple[str, ...], tuple[tuple[str, type[Any]], ...]]:
    """The attributes of a struct that hold datetimes, and those that hold structs with some."""
    moments: list[str] = []
    nested: list[tuple[str, type[Any]]] = []
    hints = _hints(kind)
    for field in msgspec.structs.fields(cast("type[Any]", kind)):
        hint = hints[field.encode_name]
        if dt.datetime in (hint, *get_args(hint)):
            moments.append(field.name)
        for one in (hint, *get_args(hint)):
            inner = (get_args(one) or (one,))[0]
            if (
                _is_struct(inner)
                and inner is not kind
                and _number_for_moment(cast("Hashable", inner))
            ):
                nested.append((field.name, inner))
    return tuple(moments), tuple(dict(nested).items())


def _holds_utc(records: Any, kind: type[Any]) -> bool:
    moments, nested = _places(cast("Hashable", kind))
    for record in records:
        for name in moments:
            moment = getattr(record, name)
            if moment is not None and moment.tzinfo is dt.UTC:
                return True
        for name, inner in nested:
            value = getattr(record, name)
            if value and _holds_utc(value if isinstance(value, list) else (value,), inner):
                return True
    return False


def _check_moments(raw: bytes | msgspec.Raw, records: Iterable[Any], kind: Any) -> None:
    """Raise ValueError if a number was taken for a datetime in one of the ``records``."""
    number = _number_for_moment(kind)
    if number is None or (_is_struct(kind) and not _holds_utc(records, kind)):
        return
    if number.search(raw):
        raise ValueError("a number where a datetime is documented")


def _fast(raw: bytes | msgspec.Raw, kind: Any) -> Any:
    """``raw`` decoded in one go; raises ValueError when the patient way has to look at it."""
    value = decoder(kind).decode(raw)
    _check_moments(raw, (value,), kind)
    return value


def fast_page(
    raw: bytes | msgspec.Raw,
    page: Any,
    kind: Any,
    records: Callable[[Any], Iterable[Any]] = iter,
) -> Any:
    """The same for a ``page``, a type that holds records of a ``kind`` where ``records`` tells.

    Strictly at first, which spares the look at every datetime: a twentieth of the time. What is
    not strict, such as a number in a string, stands in the first record as a rule, so that little
    is read twice. (Not so in one record: ``is_taxed`` is a string in every invoice's lines.)
    """
    try:
        return _strict_decoder(page).decode(raw)
    except msgspec.ValidationError:
        value = decoder(page).decode(raw)
    _check_moments(raw, records(value), kind)
    return value


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def read(raw: bytes | msgspec.Raw, kind: type[T], dates: DateFormat | None = None) -> T:
    """``raw`` as a ``kind``; raises DecodeError naming object, id and field."""
    if dates is None:
        try:
            return cast("T", _fast(raw, kind))
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
    return convert(read_untyped(raw), kind, bytes(raw), dates)


def read_many(
    raw: bytes | msgspec.Raw, kind: type[T], dates: DateFormat | None = None
) -> Sequence[T]:
    """A page of records; raises DecodeError for the first that does not fit."""
    return cast("Sequence[T]", read_each(raw, kind, dates))


def read_each(
    raw: bytes | msgspec.Raw,
    kind: type[T],
    dates: DateFormat | None = None,
    *,
    keep_errors: bool = False,
) -> list[T | DecodeError]:
    """The same; with ``keep_errors`` the error stands in the place of its record."""
    if dates is None:
        try:
            return cast("list[T | DecodeError]", _mended_page(raw, kind))
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
    found: list[T | DecodeError] = []
    for part in split(raw):
        try:
            found.append(read(bytes(part), kind, dates))
        except DecodeError as error:
            if not keep_errors:
                raise
            found.append(error)
    return found


# -- "" for an absent value -------------------------------------------------------------------
# So the API says in its lists of packages that one is not invoiced again (recording
# `list_packages`, ``next_invoice_datetime``). Record by record, such a page takes five times as
# long.

MOST_MENDED = 4  # fields; a page with more of them is read record by record
_UNFIT = re.compile(r"at `\$\[[^\]]*\]\.(\w+)`$")


def _mended_page(raw: bytes | msgspec.Raw, kind: Any) -> Any:
    """A page in one go, with null for ``""`` in fields that hold no text.

    Raises what `fast_page` raises where that does not help.
    """
    page = list[kind]
    for _ in range(MOST_MENDED):
        try:
            return fast_page(raw, page, kind)
        except msgspec.ValidationError as error:
            field = _UNFIT.search(str(error))
            mended = None if field is None else _without_empty(raw, kind, field[1])
            if mended is None:
                raise
            raw = mended
    return fast_page(raw, page, kind)


def _without_empty(raw: bytes | msgspec.Raw, kind: Any, name: str) -> bytes | None:
    """The page with null for ``""`` in the field; None where that cannot be told from the bytes."""
    hint = _hints(kind).get(name) if _is_struct(kind) else None
    if not _is_union(hint) or len(_others(hint)) != 1:  # as `_repair` has it
        return None
    text = bytes(raw)
    # With an object inside of a record, the name may be that of another's field. Without, and in
    # what is JSON (`split` sees to that), it is this field wherever it stands before a colon.
    if text.count(b"{") != len(split(raw)):
        return None
    key = b'"' + name.encode() + b'":'
    return text.replace(key + b'""', key + b"null") if key + b'""' in text else None


def split(raw: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """The records of a page, each as it stands in the JSON; raises DecodeError."""
    try:
        parts: list[msgspec.Raw] = decoder(list[msgspec.Raw]).decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DecodeError(f"this is not a list of records: {error}", raw=bytes(raw)) from None
    return parts


def convert(document: Any, kind: type[T], raw: bytes, dates: DateFormat | None) -> T:
    """A parsed document as a ``kind``, mending what `repair` knows; raises DecodeError."""
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
    if not _is_struct(kind):
        return "id"
    fields = msgspec.structs.fields(kind)
    return next((one.encode_name for one in fields if one.required), f"{kind.__name__.lower()}_id")


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    struct = cast("type[Any]", kind)
    hints = get_type_hints(struct)
    return {f.encode_name: hints[f.name] for f in msgspec.structs.fields(struct)}


@cache
def _is_union(kind: Hashable) -> bool:
    return get_origin(kind) in (Union, UnionType)


@cache
def _others(kind: Hashable) -> tuple[Any, ...]:
    """What a union may hold besides None."""
    return tuple(one for one in get_args(kind) if one is not NoneType)


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
    for name, hint in _hints(kind).items():
        optional = _is_union(hint) and NoneType in get_args(hint)
        others = _others(hint) if _is_union(hint) else (hint,)
        right = others[0] if len(others) == 1 and others[0] in (str, int, bool, Decimal) else None
        found[name] = (hint, right, optional)
    return found


def _repair(value: Any, kind: Any, dates: DateFormat | None, path: str) -> Any:
    if _is_union(kind):
        others = _others(kind)
        if len(others) != 1 or value is None:
            return value
        if value == "" and others[0] is not str:
            return None
        if value == [] and _is_struct(others[0]):
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
        return [_repair(one, inner, dates, f"{path}[{i}]") for i, one in enumerate(value)]
    if _is_struct(kind) and isinstance(value, dict):
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
