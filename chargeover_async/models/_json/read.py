"""JSON in and out: one encoder, one decoder a type, and the patient way for what does not fit.

The fast way decodes as msgspec does with ``strict=False``. What it refuses is read again by hand
and mended (`mend`).
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
from typing import Any, TypeVar, cast, get_args

import msgspec

from chargeover_async.errors import DecodeError, UsageError

from .mend import DateFormat, field_types, is_struct, is_union, mend, without_none

T = TypeVar("T")

encode = msgspec.json.Encoder(decimal_format="number").encode
_untyped = msgspec.json.Decoder(float_hook=Decimal)


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
    if is_struct(kind) and kind not in seen:
        for name, hint in field_types(kind).items():
            if dt.datetime in (hint, *get_args(hint)):
                yield name
            yield from _moments(hint, (*seen, kind))
    for argument in get_args(kind):
        yield from _moments(argument, seen)


@cache
def _places(kind: Hashable) -> tuple[tuple[str, ...], tuple[tuple[str, type[Any]], ...]]:
    """The attributes of a struct that hold datetimes, and those that hold structs with some."""
    moments: list[str] = []
    nested: list[tuple[str, type[Any]]] = []
    hints = field_types(kind)
    for field in msgspec.structs.fields(cast("type[Any]", kind)):
        hint = hints[field.encode_name]
        if dt.datetime in (hint, *get_args(hint)):
            moments.append(field.name)
        for member in (hint, *get_args(hint)):
            inner = (get_args(member) or (member,))[0]
            if (
                is_struct(inner)
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
    if number is None or (is_struct(kind) and not _holds_utc(records, kind)):
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


def read(raw: bytes | msgspec.Raw, kind: type[T], dates: DateFormat | None = None) -> T:
    """``raw`` as a ``kind``; raises DecodeError naming object, id and field."""
    if dates is None:
        try:
            return cast("T", _fast(raw, kind))
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
    return mend(read_untyped(raw), kind, bytes(raw), dates)


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
    hint = field_types(kind).get(name) if is_struct(kind) else None
    if not is_union(hint) or len(without_none(hint)) != 1:  # as `_repair` has it
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
