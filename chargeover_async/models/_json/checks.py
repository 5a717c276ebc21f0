"""What may be written: the types of keyword arguments, and the check before anything is sent.

A `TypedDict` of a model is the one definition: type checkers read it, and `shape_of` compiles it
into the check that runs when an operation is built. Nothing is sent that this check refuses.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# The caller's values are of any type until they are checked here.
from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints, is_typeddict

from chargeover_async._refs import Ref
from chargeover_async.errors import UsageError

MAX_ID = 2**63 - 1

Text = Annotated[str | None, "text"]
Secret = Annotated[str, "secret"]  # a card or bank number, a password: no message shows it
Flag = Annotated[bool | None, "flag"]
Integer = Annotated[int | None, "integer"]
Id = Annotated[int | Ref | None, "id"]
# A float is refused: 0.1 + 0.2 is not 0.3, and money must arrive as it was meant.
Money = Annotated[Decimal | int | str | None, "money"]
Day = Annotated[dt.date | str | None, "day"]
Moment = Annotated[dt.datetime | dt.date | str | None, "moment"]
MixedIn = Annotated[str | int | bool | Decimal | list[Any] | dict[str, Any] | None, "mixed"]

Path = tuple[str | int, ...]
Check = Callable[[Any, Path, "Refs"], Any]
Refs = list[tuple[Path, Ref]]


class Shape:
    """The compiled form of one TypedDict: which names it has and what each may hold."""

    __slots__ = ("checks", "has_secret", "kinds", "name", "nullable")

    def __init__(
        self,
        name: str,
        kinds: dict[str, str],
        checks: dict[str, Check],
        nullable: frozenset[str],
        *,
        has_secret: bool,
    ) -> None:
        self.name = name
        self.has_secret = has_secret  # what is given in its place is shown by no message, either
        self.kinds = kinds  # field name -> "text", "money", "day", ..., "list", "object"
        self.checks = checks
        self.nullable = nullable  # where None may be sent: never for a list that must be one

    def prepare(
        self,
        fields: Mapping[str, Any],
        where: str,
        extra: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], Refs]:
        """Check ``fields`` and return the payload to send and the references in it.

        The caller's objects are never changed. ``extra`` passes names that the table does not
        know; its values are checked for being writable as JSON without loss, no more.
        Raises UsageError naming ``where`` (as in ``"customers.create"``), the field and the value.
        """
        refs: Refs = []
        payload: dict[str, Any] = {}
        checks = self.checks
        try:
            for name, value in fields.items():
                check = checks.get(name)
                # Plain text is nearly all that is written: without a call it takes half the time.
                if (
                    type(value) is str
                    and value.isprintable()  # so it holds no half of a surrogate pair
                    and (check is _text or (check is _key and value.strip()))
                ):
                    payload[name] = value
                    continue
                if check is None:
                    raise unknown_name(name, checks, self.name)
                if value is None and name in self.nullable:
                    payload[name] = None
                else:
                    payload[name] = check(value, (name,), refs)
            if extra:
                _add_extra(payload, extra, refs)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
        except RecursionError:
            raise UsageError(f"{where}: a value is nested too deeply, or holds itself") from None
        return payload, refs


def _add_extra(payload: dict[str, Any], extra: Mapping[str, Any], refs: Refs) -> None:
    check_mapping(extra, "extra")
    for name, value in extra.items():
        if not isinstance(name, str) or not name:
            raise UsageError(f"a name in extra must be text, not {name!r}")
        if name in payload:
            raise UsageError(f"{name!r} is given twice, as a field and in extra")
        _text(name, (name,), refs)
        payload[name] = _mixed(value, (name,), refs)


def unknown_name(name: str, known: Iterable[str], what: str) -> UsageError:
    """The error for a name that nobody knows, with the nearest one that is known."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UsageError(
        f"{what} has no field {name!r}{hint} (extra={{...}} sends what our tables do not know)"
    )


def _refuse(path: Path, value: object, wanted: str) -> UsageError:
    if not SECRETS.isdisjoint(path):
        return _refuse_unseen(path, value, wanted)
    try:
        shown = repr(value)
    except Exception as error:  # noqa: BLE001 - a caller's repr, or a number too long to be shown
        shown = f"({type(error).__name__} when shown)"
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return UsageError(f"{dotted(path)} must be {wanted}, not {type(value).__name__} {shown}")


def _refuse_unseen(path: Path, value: object, wanted: str) -> UsageError:
    return UsageError(f"{dotted(path)} must be {wanted}, not {type(value).__name__}")


def dotted(path: Path) -> str:
    """``line_items[0].item_id`` for ``("line_items", 0, "item_id")``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else (f".{part}" if out else part)
    return out


def _text(value: Any, path: Path, refs: Refs) -> str:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _refuse(path, value, "text that can be written as UTF-8") from None
        return str(value)
    raise _refuse(path, value, "text")


def _secret(value: Any, path: Path, refs: Refs) -> str:
    try:
        return _text(value, path, refs)
    except UsageError:
        raise _refuse_unseen(path, value, "text that can be written as UTF-8") from None


def check_key(value: object, name: str) -> str:
    """``value`` if it can be an external key or a token; raises UsageError otherwise."""
    if not isinstance(value, str):
        raise _refuse((name,), value, "text")
    if not value.strip():
        raise UsageError(f"{name} must not be empty")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise UsageError(f"{name} must not hold control characters: {value!r}")
    _text(value, (name,), [])
    return str(value)


def _key(value: Any, path: Path, refs: Refs) -> str:
    return check_key(value, dotted(path))


def check_id(value: object, name: str) -> int:
    """``value`` if it can be an id (a whole number from 0 to 2**63 - 1); raises UsageError."""
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= MAX_ID:
            return int(value)
        raise _refuse((name,), value, f"from 0 to {MAX_ID}")
    raise _refuse((name,), value, "a whole number")


def _id(value: Any, path: Path, refs: Refs) -> Any:
    # 0 stands for "none" in answers of 2017 (class_id, campaign_id), so it may be written back.
    if type(value) is int and 0 <= value <= MAX_ID:
        return value
    if isinstance(value, Ref):
        refs.append((path, value))
        return value
    return check_id(value, dotted(path))


def _flag(value: Any, path: Path, refs: Refs) -> bool:
    if isinstance(value, bool):
        return value
    raise _refuse(path, value, "True or False")


def _integer(value: Any, path: Path, refs: Refs) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return _whole(value, path)
    raise _refuse(path, value, "a whole number")


def _whole(value: int, path: Path) -> int:
    # Plain: the JSON encoder refuses subclasses of int. Bounded: so does the server's database.
    if abs(value) > MAX_ID:
        raise UsageError(f"{dotted(path)} must be within 64 bits")
    return int(value)


def _money(value: Any, path: Path, refs: Refs) -> Any:
    if type(value) is Decimal:
        if value.is_finite():
            return value
    elif isinstance(value, int) and not isinstance(value, bool):
        return _whole(value, path)
    elif isinstance(value, str):
        try:
            # Decimal() takes blanks, underscores and the digits of every script.
            if value.isascii() and Decimal(value).is_finite() and not set(value) & set(" _\t\r\n"):
                return str(value)
        except InvalidOperation:
            pass
    elif isinstance(value, float):
        raise _refuse(path, value, 'an exact amount such as Decimal("2.95") or "2.95"')
    raise _refuse(path, value, "a finite amount (Decimal, int or decimal text)")


def _day(value: Any, path: Path, refs: Refs) -> str:
    if isinstance(value, dt.datetime):
        raise _refuse(path, value, "a date without a time")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str):
        if not _DAY.fullmatch(value) or not _is_moment(value):
            raise _refuse(path, value, "a date as YYYY-MM-DD")
        return str(value)
    raise _refuse(path, value, "a date")


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
    if isinstance(value, dt.date):
        return moment_text(value)
    if isinstance(value, str):
        if not _MOMENT.fullmatch(value) or not _is_moment(value):
            raise _refuse(path, value, "a date or a date with time")
        return str(value)
    raise _refuse(path, value, "a date or datetime")


def _mixed(value: Any, path: Path, refs: Refs) -> Any:
    """Anything that JSON can hold without loss."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path, refs)
    if isinstance(value, int):
        return _whole(value, path)
    if isinstance(value, Decimal):
        return _money(value, path, refs)
    if isinstance(value, dt.date):
        return moment_text(value)
    if isinstance(value, Ref):
        refs.append((path, value))
        return value
    if isinstance(value, Mapping):
        out: dict[str, Any] = {}
        for name, inner in value.items():
            if not isinstance(name, str):
                raise _refuse(path, value, "an object whose names are text")
            out[_text(name, path, refs)] = _mixed(inner, (*path, name), refs)
        return out
    if isinstance(value, (list, tuple)):
        return [_mixed(v, (*path, i), refs) for i, v in enumerate(value)]
    if isinstance(value, float):
        raise _refuse(path, value, "an exact number (Decimal), not a float")
    raise _refuse(path, value, "something that can be written as JSON")


_CHECKS: dict[str, Check] = {
    "text": _text,
    "secret": _secret,
    "key": _key,
    "flag": _flag,
    "integer": _integer,
    "id": _id,
    "money": _money,
    "day": _day,
    "moment": _moment,
    "mixed": _mixed,
}


def _nested(shape: Shape) -> Check:
    def check(value: Any, path: Path, refs: Refs) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            refuse = _refuse_unseen if shape.has_secret else _refuse
            raise refuse(path, value, f"a mapping of {shape.name} fields")
        out: dict[str, Any] = {}
        for name, inner in value.items():
            inner_check = shape.checks.get(name)
            if inner_check is None:
                raise unknown_name(f"{dotted(path)}.{name}", _prefixed(path, shape), shape.name)
            if inner is None and name in shape.nullable:
                out[name] = None
            else:
                out[name] = inner_check(inner, (*path, name), refs)
        return out

    return check


def _prefixed(path: Path, shape: Shape) -> list[str]:
    return [f"{dotted(path)}.{name}" for name in shape.checks]


def _each(check_one: Check, *, has_secret: bool) -> Check:
    def check(value: Any, path: Path, refs: Refs) -> list[Any]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise (_refuse_unseen if has_secret else _refuse)(path, value, "a list")
        return [check_one(one, (*path, i), refs) for i, one in enumerate(value)]

    return check


def _compile(name: str, annotation: Any) -> tuple[str, Check, bool]:
    """The kind of a field, its check, and whether a secret may be in it."""
    if get_origin(annotation) is Annotated:
        kind = str(get_args(annotation)[1])
        if kind == "text" and is_key(name):
            kind = "key"
        return kind, _CHECKS[kind], kind == "secret"
    if is_typeddict(annotation):
        shape = shape_of(annotation)
        return "object", _nested(shape), shape.has_secret
    if annotation is str:
        return "text", _text, False
    arguments = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is not None and len(arguments) == 1:
        inner = arguments[0]
        if get_origin(annotation) not in _SEQUENCES:  # X | None
            return _compile(name, inner)
        _, check, has_secret = _compile(name, inner)
        return "list", _each(check, has_secret=has_secret), has_secret
    raise TypeError(f"no check is known for {name}: {annotation}")


# What no message shows, in ``extra`` either: a field of this name is `Secret` in every object.
SECRETS = frozenset({"cvv", "number", "password", "routing"})
_KEY_SUFFIXES = ("_external_key", "_token")
_SEQUENCES = frozenset({list, Sequence})


def is_key(name: str) -> bool:
    """Whether a field, of any object (``customer.external_key``), holds a key or a token."""
    last = name.rpartition(".")[2]
    return last in {"external_key", "token"} or last.endswith(_KEY_SUFFIXES)


@cache
def shape_of(typed_dict: type[Any]) -> Shape:
    """The check for one TypedDict, compiled on first use."""
    kinds: dict[str, str] = {}
    checks: dict[str, Check] = {}
    nullable: set[str] = set()
    has_secret = False
    for name, annotation in get_type_hints(typed_dict, include_extras=True).items():
        kinds[name], checks[name], holds = _compile(name, annotation)
        has_secret = has_secret or holds
        if type(None) in _options(annotation):
            nullable.add(name)
    return Shape(typed_dict.__name__, kinds, checks, frozenset(nullable), has_secret=has_secret)


def _options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, of one that is annotated, too."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_args(annotation)


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
        checked = _mixed(value, ("json",), refs)
    except RecursionError:
        raise UsageError("json is nested too deeply, or holds itself") from None
    if refs:
        raise UsageError(f"{dotted(refs[0][0])}: a reference cannot stand in co.request(json=...)")
    return checked
