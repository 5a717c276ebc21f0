"""A plan out of a TOML file, checked name by name.

Reading a plan opens none of the files it names. Every mistake is one UsageError that names the
plan, the table and the key. The format is described in ``docs/import.md``.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from chargeover_async._hints import did_you_mean
from chargeover_async.errors import UsageError
from chargeover_async.migrate.rows import FORMATS, FailureSource, Held, Source, guess_format
from chargeover_async.migrate.rows.files import ending
from chargeover_async.migrate.rows.source import UNPACKED_MB
from chargeover_async.models._json.words import convert

from .fields import KEY, FieldTable, fields_of, find_object, loadable
from .plan import Children, Choice, Constant, Field, Load, Nested, Plan, Several
from .template import parse_template

EMPTY = ("omit", "null", "text")
REFERENCES = ("refuse", "send")
LARGEST = 1 << 24  # bytes of a plan

T = TypeVar("T")
_COLUMN = re.compile(r"(?<!\{)\{[^{}]+\}(?!\})")


def read_plan(path: Path) -> Plan:
    """Read a plan, or a failure file (``.jsonl``) as the plan that sends its entries again.

    Raises UsageError that names the file and the mistake.
    """
    try:
        if path.suffix == ".jsonl":
            path.stat()
            return failures_plan(path)
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise UsageError(f"{path} has more than {LARGEST} bytes, and is no plan")
        data = tomllib.loads(text.decode("utf-8-sig"), parse_float=Decimal)
        return parse_plan(data, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        hint = "; a plan is a TOML file that names it" if guess_format(path) else ""
        raise UsageError(f"{path} is not TOML: {error}{hint}") from None
    except RecursionError:
        raise UsageError(f"{path} cannot be read: it is nested too deeply") from None


def failures_plan(path: Path) -> Plan:
    """The plan that sends the ``data`` of every entry of a failure file again.

    What an entry refers to may have been imported before, so unknown references are sent.
    """
    held = Held(path)
    loads = [
        Load(
            where=f"{path.name}: {name}",
            source=FailureSource(held, only=name),
            table=fields_of(name),
            fields=None,
            object=name,
            unknown_references="send",
            empty="text",
        )
        for name in loadable()
    ]
    # Who is referred to goes first.
    loads.sort(key=lambda load: len(load.references() - {load.object}))
    # One of them minds what belongs to none.
    source = msgspec.structs.replace(loads[0].source, strays=loadable())
    return Plan(path, (msgspec.structs.replace(loads[0], source=source), *loads[1:]))


def parse_plan(data: Mapping[str, Any], path: Path) -> Plan:
    """Check the parsed TOML of a plan that lies (or would lie) at ``path``."""
    top = _Table(data, path.name, "the plan")
    loads = cast("Sequence[Any]", top.take("load", list, "an array of tables ([[load]])", []))
    top.finish()
    if not loads:
        raise UsageError(f"{path.name}: the plan has no [[load]]")
    files = _Files(path)
    plan = Plan(path, tuple(_load(load, i, files) for i, load in enumerate(loads, 1)))
    for index, load in enumerate(plan.loads):
        later = {other.object for other in plan.loads[index + 1 :]}
        early = {other.object for other in plan.loads[: index + 1]}
        wrong = sorted((load.references() & later) - early)
        if wrong:
            raise UsageError(
                f"{load.where} refers to {wrong[0]} records by key, but they are loaded after it; "
                "move it below them"
            )
    return plan


class _Table:
    """A TOML table that is read key by key; what is left over is a mistake."""

    def __init__(self, data: object, plan: str, where: str) -> None:
        self.label = f"{plan}: {where}"
        if not isinstance(data, Mapping):
            raise UsageError(f"{self.label} must be a table")
        self.left: dict[str, Any] = dict(cast("Mapping[str, Any]", data))
        self.known: list[str] = []

    def take(self, key: str, kind: type[T], wanted: str, default: T | None = None) -> T:
        self.known.append(key)
        if key not in self.left:
            if default is None:
                raise self.wrong(key, "is missing")
            return default
        value = self.left.pop(key)
        if not isinstance(value, kind):
            raise self.wrong(key, f"must be {wanted}, not {_shown(value)}")
        return value

    def take_table(self, key: str, wanted: str, default: Any = None) -> dict[str, Any]:
        return cast("dict[str, Any]", self.take(key, dict, wanted, default))

    def choose(self, key: str, known: Sequence[str], default: str | None = None) -> str:
        value = self.take(key, str, f"one of {', '.join(known)}", default)
        if value not in known:
            hint = did_you_mean(value, known)
            raise self.wrong(key, f'must be one of {", ".join(known)}, not "{value}"{hint}')
        return value

    def finish(self) -> None:
        for key in self.left:
            raise UsageError(
                f'{self.label} has an unknown key "{key}"{did_you_mean(key, self.known)}'
            )

    def wrong(self, key: str, message: str) -> UsageError:
        return UsageError(f'{self.label}: "{key}" {message}')


class _Files:
    """The files that a plan names, each of them once: two loads may read the same pipe."""

    def __init__(self, plan: Path) -> None:
        self.plan = plan
        self._held: dict[Path, Held] = {}

    def named(self, name: str) -> Held:
        path = self.plan.parent / name
        return self._held.setdefault(path, Held(path))


def _shown(value: object) -> str:
    return f"{value!r}"[:60]


def _load(data: object, number: int, files: _Files) -> Load:
    table = _Table(data, files.plan.name, f"load {number}")
    said = table.take("object", str, f"one of {', '.join(loadable())}")
    name = find_object(said) or table.choose("object", loadable(), said)
    fields = fields_of(name)
    common = _rows(table, fields, files)
    references = table.choose("unknown_references", REFERENCES, "refuse")
    children = table.take_table("children", "tables ([load.children.FIELD])", {})
    table.finish()
    found = tuple(
        _children(key, inner, f"load {number}", fields, files) for key, inner in children.items()
    )
    both = {field.name for field in common["fields"]} & {child.field for child in found}
    if both:
        raise UsageError(f'{table.label}: "{min(both)}" is given both in fields and in children')
    return Load(object=name, unknown_references=references, children=found, **common)


def _children(key: str, data: object, parent: str, fields: FieldTable, files: _Files) -> Children:
    where = f"{parent} children.{key}"
    lists = [name for name in fields.nested if fields.kinds[name] == "list"]
    if key not in lists:
        hint = did_you_mean(key, lists)
        raise UsageError(
            f'{files.plan.name}: {where}: "{key}" is not a field that takes child rows '
            f"(there is {', '.join(lists) or 'none'}){hint}"
        )
    table = _Table(data, files.plan.name, where)
    common = _rows(table, fields.nested[key], files)
    match = table.take_table("match", "a table { ChildColumn = 'ParentColumn' }")
    table.finish()
    if not match or not all(isinstance(column, str) for column in match.values()):
        raise table.wrong("match", "must pair child columns with parent columns, as text")
    return Children(field=key, match=tuple(match.items()), **common)


def _rows(table: _Table, fields: FieldTable, files: _Files) -> dict[str, Any]:
    name = table.take("file", str, "a file name")
    if not name or "\0" in name:
        raise table.wrong("file", f"must be a file name, not {_shown(name)}")
    held = files.named(name)
    date_format = table.take("date_format", str, "a strptime format", "")
    empty = table.choose("empty", EMPTY, "omit")
    source = _source(table, held)
    values = table.take_table("fields", "a table ([load.fields])")
    if not values:
        raise table.wrong("fields", "is empty")
    return {
        "where": table.label,
        "source": source,
        "table": fields,
        "fields": _fields(values, fields, f"{table.label}: fields"),
        "date_format": date_format or None,
        "empty": empty,
    }


def _source(table: _Table, held: Held) -> Source:
    file = held.path
    guess = guess_format(file)
    if guess is None and "format" not in table.left:
        raise table.wrong(
            "file", f'"{file.name}" has an ending that tells no format; add format = "csv"'
        )
    kind = table.choose("format", sorted(FORMATS), guess)
    encoding = table.take("encoding", str, "the name of an encoding", "utf-8")
    try:
        codecs.lookup(encoding)
        "".encode(encoding)
    except (LookupError, ValueError):
        raise table.wrong("encoding", f'is "{encoding}", which names no text encoding') from None
    default = "\t" if ending(file) == ".tsv" else ","
    delimiter = table.take("delimiter", str, "one character", default)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise table.wrong("delimiter", f"must be one character, not {_shown(delimiter)}")
    most = table.take("max_unpacked_mb", int, "a whole number", UNPACKED_MB)
    return FORMATS[kind](held, encoding, delimiter, max_unpacked_mb=most)


def _fields(values: Mapping[str, Any], table: FieldTable, label: str) -> tuple[Field, ...]:
    return tuple(_field(name, value, table, label) for name, value in values.items())


def _field(name: str, value: Any, table: FieldTable, label: str) -> Field:
    kind = table.kinds.get(name)
    if kind is None:
        raise UsageError(f'{label} has an unknown field "{name}"{table.shape.hint((name,))}')
    place = f"{label}.{name}"
    if name == KEY and not isinstance(value, (str, list)):
        raise UsageError(f"{place} must be a template with a column, not {_shown(value)}")
    try:
        found = _value(name, kind, value, table, place)
    except ValueError as error:
        if str(error).startswith(place):  # of a table in this one
            raise
        raise UsageError(f"{place}: {error}") from None
    if name == KEY and (
        not isinstance(found, Choice) or not all(template.columns for template in found.templates)
    ):
        raise UsageError(f"{place} must name a column, or every record gets the same key")
    return Field(name, kind, found)


def _value(
    name: str, kind: str, value: Any, table: FieldTable, place: str
) -> Constant | Choice | Several | Nested:
    if isinstance(value, str):
        return _or_constant(Choice((parse_template(value),)), kind)
    if isinstance(value, dict) and name in table.nested:
        if kind == "object":
            return Nested(_fields(cast("dict[str, Any]", value), table.nested[name], place))
        raise ValueError(f"child rows belong in [load.children.{name}]")
    if isinstance(value, list) and value:
        entries = cast("Sequence[Any]", value)
        if all(isinstance(entry, str) for entry in entries):
            templates = tuple(parse_template(entry) for entry in entries)
            return Several(templates) if kind == "list" else Choice(templates)
        if kind != "list":
            raise ValueError("an array must hold templates; the first that is not empty counts")
    column = _column_in(value)
    if column is not None:
        hint = f"; put it into [load.children.{name}], which may name the same file"
        own_list = name in table.nested and place.endswith(f"fields.{name}")
        raise ValueError(
            f'"{column}" would be sent as it stands, the same for all rows'
            + (hint if own_list and "children." not in place else "")
        )
    return Constant(convert(kind, value))


def _column_in(value: Any) -> str | None:
    """A column that a text inside a constant array or table seems to name."""
    if isinstance(value, str):
        match = _COLUMN.search(value)
        return match and match[0]
    inner: Sequence[Any] = ()
    if isinstance(value, dict):
        inner = [*cast("dict[str, Any]", value).values()]
    elif isinstance(value, list):
        inner = cast("Sequence[Any]", value)
    found = (_column_in(entry) for entry in inner)
    return next((column for column in found if column is not None), None)


def _or_constant(choice: Choice, kind: str) -> Choice | Constant:
    template = choice.templates[0]
    if template.columns:
        return choice
    return Constant(convert(kind, template.parts[0]))


__all__ = ("failures_plan", "parse_plan", "read_plan")
