"""What may be written: a `TypedDict` of a model, compiled into the check of all its fields.

The `TypedDict` is the one definition: type checkers read it, and `shape_of` compiles it into the
check that runs when an operation is built.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# The caller's values are of any type until they are checked here.
from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints, is_typeddict

from chargeover_async._hints import did_you_mean
from chargeover_async.errors import UsageError

from .checks import (
    CHECKS,
    Check,
    Path,
    Refs,
    Short,
    check_key_at,
    check_mapping,
    check_mixed,
    check_text,
    dotted,
    is_key,
    refuse,
    refuse_unseen,
)
from .mend import field_types, is_struct
from .plain import plain


class Shape:
    """The compiled form of one TypedDict: which names it has and what each may hold."""

    __slots__ = ("checks", "has_secret", "kinds", "name", "nullable", "reads")

    def __init__(
        self,
        name: str,
        kinds: dict[str, str],
        checks: dict[str, Check],
        nullable: frozenset[str],
        *,
        has_secret: bool,
        reads: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.has_secret = has_secret  # what is given in its place is shown by no message, either
        self.kinds = kinds  # field name -> "text", "money", "day", ..., "list", "object"
        self.checks = checks
        self.nullable = nullable  # where None may be sent: never for a list that must be one
        self.reads = reads  # what a record has and this does not take

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
                    and (check is check_text or (check is check_key_at and value.strip()))
                ):
                    payload[name] = value
                    continue
                if check is None:
                    raise unknown_name((plain(name),), self)
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

    def hint(self, path: Path) -> str:
        """What is to be said of a name that this does not have: see `unknown_name`."""
        if path[-1] in self.reads:
            return ": it can be read, but not be written here"
        return did_you_mean(dotted(path), [dotted((*path[:-1], known)) for known in self.checks])


def _add_extra(payload: dict[str, Any], extra: Mapping[str, Any], refs: Refs) -> None:
    check_mapping(extra, "extra")
    for name, value in extra.items():
        if not isinstance(name, str) or not name:
            raise UsageError(f"a name in extra must be text, not {name!r}")
        if name in payload:
            raise UsageError(f"{name!r} is given twice, as a field and in extra")
        text = check_text(name, (name,), refs)
        payload[text] = check_mixed(value, (text,), refs)


def unknown_name(path: Path, shape: Shape) -> UsageError:
    """The error for a name that ``shape`` does not have: known for reading, or near to another."""
    return UsageError(
        f'{shape.name} has no field "{dotted(path)}"{shape.hint(path)}'
        " (extra={...} sends what our tables do not know)"
    )


def _nested(shape: Shape) -> Check:
    def check(value: Any, path: Path, refs: Refs) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise (refuse_unseen if shape.has_secret else refuse)(
                path, value, f"a mapping of {shape.name} fields"
            )
        out: dict[str, Any] = {}
        for name, inner in value.items():
            inner_check = shape.checks.get(name)
            if inner_check is None:
                raise unknown_name(
                    (*path, plain(name) if isinstance(name, str) else str(name)), shape
                )
            if inner is None and name in shape.nullable:
                out[plain(name)] = None
            else:
                out[plain(name)] = inner_check(inner, (*path, plain(name)), refs)
        return out

    return check


def _short(field: str, nested: Check) -> Check:
    def check(value: Any, path: Path, refs: Refs) -> dict[str, Any]:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if value is None:
            raise refuse(path, value, f"a mapping, or {field} alone")
        full = value if isinstance(value, Mapping) else {field: value}
        checked: dict[str, Any] = nested(full, path, refs)
        return checked

    return check


def _each(check_entry: Check, *, has_secret: bool) -> Check:
    def check(value: Any, path: Path, refs: Refs) -> list[Any]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise (refuse_unseen if has_secret else refuse)(path, value, "a list")
        return [check_entry(entry, (*path, i), refs) for i, entry in enumerate(value)]

    return check


def _compile(name: str, annotation: Any, model: Any) -> tuple[str, Check, bool]:
    """The kind of a field, its check, and whether a secret may be in it."""
    if get_origin(annotation) is Annotated:
        kind = get_args(annotation)[1]
        if isinstance(kind, Short):
            (typed_dict,) = filter(is_typeddict, _options(annotation))
            shape = shape_of(typed_dict, model)
            return "object", _short(kind.field, _nested(shape)), shape.has_secret
        if kind == "text" and is_key(name):
            kind = "key"
        return kind.removesuffix(" or text"), CHECKS[kind], kind == "secret"
    if is_typeddict(annotation):
        shape = shape_of(annotation, model)
        return "object", _nested(shape), shape.has_secret
    if annotation is str:
        return "text", check_text, False
    arguments = [kind for kind in get_args(annotation) if kind is not type(None)]
    if get_origin(annotation) is not None and len(arguments) == 1:
        inner = arguments[0]
        if get_origin(annotation) not in _SEQUENCES:  # X | None
            return _compile(name, inner, model)
        _, check, has_secret = _compile(name, inner, model)
        return "list", _each(check, has_secret=has_secret), has_secret
    raise TypeError(f"no check is known for {name}: {annotation}")


_SEQUENCES = frozenset({list, Sequence})


@cache
def shape_of(typed_dict: type[Any], model: type[Any] | None = None) -> Shape:
    """The check for one TypedDict, compiled on first use.

    ``model`` is the record that is written: a message tells its other fields from misspelt ones.
    """
    kinds: dict[str, str] = {}
    checks: dict[str, Check] = {}
    nullable: set[str] = set()
    has_secret = False
    held = {} if model is None else field_types(cast("Hashable", model))
    for name, annotation in get_type_hints(typed_dict, include_extras=True).items():
        kinds[name], checks[name], holds = _compile(name, annotation, struct_in(held.get(name)))
        has_secret = has_secret or holds
        if type(None) in _options(annotation):
            nullable.add(name)
    return Shape(
        typed_dict.__name__,
        kinds,
        checks,
        frozenset(nullable),
        has_secret=has_secret,
        reads=frozenset(held) - frozenset(kinds),
    )


def struct_in(hint: Any) -> type[Any] | None:
    """The struct that a field holds: ``LineItem`` of ``list[LineItem] | None``."""
    if is_struct(hint):
        return cast("type[Any]", hint)
    return next((found for part in get_args(hint) if (found := struct_in(part))), None)


def _options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, of one that is annotated, too."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_args(annotation)
