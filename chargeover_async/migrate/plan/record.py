"""A row to the fields of a record; pure.

What is wrong with a row is returned, not raised, so that one reading finds every mistake of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import UNSET

from chargeover_async.errors import UsageError
from chargeover_async.migrate.mask import (
    MASK,
    is_identifier,
    is_secret_column,
    mask_text,
    printable,
)
from chargeover_async.migrate.rows import Problem, Row
from chargeover_async.models._json.words import convert
from chargeover_async.operation import Operation
from chargeover_async.resources import RESOURCES
from chargeover_async.resources._calls.base import check_needs
from chargeover_async.resources._calls.options import Options

from .fields import KEY, FieldTable, referred_object
from .look import look_of
from .plan import Choice, Constant, Field, Load, Nested, Rows, Several
from .template import Template, is_empty

Cells = Mapping[str, Any]
Reference = tuple[str, str, str]  # object, key, field


class Prepared(msgspec.Struct, frozen=True):
    """A row as it will be sent, or the problems that keep it from being sent.

    ``payload`` is ready for JSON; of a bad row it is what could be made of it, to be corrected.
    ``key`` is its external key or ``""`` (known for most bad rows too); ``references`` are the
    records it names by key, as (object, key, field).
    """

    row: Row
    payload: dict[str, Any]
    key: str
    references: tuple[Reference, ...] = ()
    problems: tuple[Problem, ...] = ()


class _Nobody:
    """Takes no operation."""

    def accept(self, operation: Operation[Any]) -> None:
        """It may be sent by nobody."""

    async def run(self, operation: Operation[Any]) -> None:
        """Never called."""
        raise AssertionError(f"{operation!r} was built for its checks")


class Preparer:
    """Makes records of the rows of one load, child rows included.

    What follows from the plan alone is found out once, and not at every row.
    """

    def __init__(self, load: Load) -> None:
        self._name = load.source.name
        self._object = load.object
        self._resource = RESOURCES[load.object]
        # What only `create` itself can check, it checks: nothing comes of it.
        self._trial: Any = None
        if self._resource.needs is None:
            self._trial = self._resource(_Nobody(), Options())
        self._prepare = load.table.shape.prepare
        self._fields = _RowMaker(load)
        self._children = [(child.field, _RowMaker(child)) for child in load.children]
        if load.fields is None:
            names = [*load.table.kinds]
        else:
            names = [*(field.name for field in load.fields), *(name for name, _ in self._children)]
        holders = {name for name in names if load.table.kinds[name] in {"list", "mixed"}}
        referring = ((name, referred_object(name)) for name in names)
        # Fields that name a record, with its object, and those that may hold objects that do.
        self._watched = tuple(pair for pair in referring if pair[1] or pair[0] in holders)

    def __call__(self, row: Row, children: Mapping[str, Sequence[Row]] | None = None) -> Prepared:
        """The record that ``row`` stands for, with its child rows by field name."""
        wrongs: list[_Wrong] = []
        fields = self._fields(row.cells, wrongs)
        problems = self._problems(self._name, row, wrongs) if wrongs else []
        for name, make in self._children:
            entries: list[dict[str, Any]] = []
            for inner in (children or {}).get(name, ()):
                entries.append(make(inner.cells, wrongs := []))
                if wrongs:
                    problems += self._problems(make.file, inner, wrongs, f"{name}.")
            if entries:
                fields[name] = entries
        key = str(fields.get(KEY) or "")
        if not key.isascii():
            key = printable(key)
            if not look_of(key):
                message = f"nothing of the key {key!a} can be seen"
                problems.append(Problem(self._name, row.line, message, field=KEY))
        if not problems:
            try:
                payload, _ = self._prepare(fields, self._object)
                if not payload:
                    raise UsageError("every field of the row is empty")
                if self._trial is not None:
                    if payload.keys() == {KEY}:
                        raise UsageError("the row holds nothing but its key")
                    self._trial.create(**payload).close()
                elif self._resource.needs:
                    check_needs(self._resource, payload, self._object)
            except UsageError as error:
                problems = [Problem(self._name, row.line, mask_text(error.message, {key}))]
            else:
                return Prepared(row, payload, key, self._references(payload))
        return Prepared(row, _as_found(fields), key, problems=tuple(problems))

    def _problems(
        self, file: str, row: Row, wrongs: Iterable[_Wrong], prefix: str = ""
    ) -> list[Problem]:
        return [
            Problem(file, row.line, _hide_secret(message, field, column), column, prefix + field)
            for field, column, message in wrongs
        ]

    def _references(self, payload: Cells) -> tuple[Reference, ...]:
        found: list[Reference] = []
        for name, target in self._watched:
            value = payload.get(name)
            if value is None:
                continue
            if target is None:
                found += _references({name: value})
            elif isinstance(value, str):
                found.append((target, value, name))
        return tuple(found)


def _as_found(fields: dict[str, Any]) -> dict[str, Any]:
    """What could be made of a bad row; nothing if it cannot be written down as it is."""
    try:
        msgspec.json.encode(fields)
    except UnicodeEncodeError:
        return {}
    return fields


def _hide_secret(message: str, field: str, column: str) -> str:
    """What is said about a cell, which may show it."""
    if column != field and any(map(is_secret_column, column.split(", "))):
        return "the cell does not hold what the field takes (it is not shown)"
    return message if is_identifier(field) else mask_text(message)


# -- what a plan says of a field, as a function of the cells of a row ---------------------------
# Such a function gives the value, or UNSET for none. What is wrong it adds to a list, and gives as
# it found it: a row that is bad must not become a good one by being written down.

_Wrong = tuple[str, str, str]  # field, column, message
_Make = Callable[[Cells, list[_Wrong]], Any]


class _RowMaker:
    """Makes the fields of the rows of one file, without their children."""

    def __init__(self, rows: Rows) -> None:
        self.file = rows.source.name
        self._rows = rows
        self._makes = None if rows.fields is None else _object(rows, rows.fields, "")

    def __call__(self, cells: Cells, wrongs: list[_Wrong]) -> dict[str, Any]:
        if self._makes is None:
            return _as_it_is(self._rows, cells, self._rows.table, "", wrongs)
        out: dict[str, Any] = {}
        for name, make in self._makes:
            found = make(cells, wrongs)
            if found is not UNSET:
                out[name] = found
        return out


def _object(rows: Rows, fields: Sequence[Field], prefix: str) -> list[tuple[str, _Make]]:
    return [(field.name, _field(rows, field, prefix + field.name)) for field in fields]


def _field(rows: Rows, field: Field, name: str) -> _Make:
    value = field.value
    match value:
        case Constant():
            constant = value.value
            return lambda _cells, _wrongs: constant
        case Nested():
            return _nested(_object(rows, value.fields, f"{name}."))
        case Choice():
            return _choice(rows, field, name, value.templates)
        case Several():
            return _several(
                [_template(rows, field, name, template) for template in value.templates]
            )


def _nested(makes: Sequence[tuple[str, _Make]]) -> _Make:
    def make(cells: Cells, wrongs: list[_Wrong]) -> Any:
        found = ((name, inner(cells, wrongs)) for name, inner in makes)
        return {name: value for name, value in found if value is not UNSET} or UNSET

    return make


def _several(makes: Sequence[_Make]) -> _Make:
    def make(cells: Cells, wrongs: list[_Wrong]) -> Any:
        filled = [fill(cells, wrongs) for fill in makes]
        return [text for text in filled if not is_empty(text)] or UNSET

    return make


def _choice(rows: Rows, field: Field, name: str, templates: Sequence[Template]) -> _Make:
    """The first template that is not empty."""
    make = _if_empty(rows, field, name, templates[0])
    for template in reversed(templates):
        if template.alone is None:
            make = _or_else(template, _template(rows, field, name, template), make)
        else:
            make = _cell(rows, field, name, template.alone, make)
    return make


def _or_else(template: Template, fill: _Make, otherwise: _Make) -> _Make:
    empty = template.is_empty

    def make(cells: Cells, wrongs: list[_Wrong]) -> Any:
        return (otherwise if empty(cells) else fill)(cells, wrongs)

    return make


def _cell(rows: Rows, field: Field, name: str, column: str, otherwise: _Make) -> _Make:
    """A cell as it is: most of what is imported."""
    kind, date_format, is_text = field.kind, rows.date_format, field.kind == "text"
    secret = is_secret_column(column)

    def make(cells: Cells, wrongs: list[_Wrong]) -> Any:
        cell = cells.get(column)
        if type(cell) is str and is_text and cell and not cell.isspace():
            return cell
        if is_empty(cell):
            return otherwise(cells, wrongs)
        try:
            return convert(kind, cell, date_format)
        except ValueError as error:
            wrongs.append((name, column, str(error)))
            return MASK if secret else cell

    return make


def _template(rows: Rows, field: Field, name: str, template: Template) -> _Make:
    fill, kind, date_format = template.fill, field.kind, rows.date_format
    columns = template.columns if field.name == KEY else ()
    converts = isinstance(field.value, Choice)
    names, shown = template.columns, ", ".join(template.columns)
    secret = any(map(is_secret_column, names))

    def make(cells: Cells, wrongs: list[_Wrong]) -> Any:
        value = None
        try:
            value = fill(cells)
            for column in columns:
                if is_empty(cells.get(column)):
                    value = ""
                    raise ValueError(f'the key "{template.source}" has an empty part')
            if not converts or is_empty(value):
                return value
            return convert(kind, value, date_format)
        except ValueError as error:
            wrongs.append((name, shown, str(error)))
            if secret:
                return MASK
            # What could not be put together is shown as what no field takes.
            return {column: cells.get(column) for column in names} if value is None else value

    return make


def _if_empty(rows: Rows, field: Field, name: str, template: Template) -> _Make:
    """What a field is if its cells are empty."""
    value: Any = UNSET
    if field.name == KEY:
        wrong = (name, ", ".join(template.columns), "the key is empty")

        def make(_: Cells, wrongs: list[_Wrong]) -> Any:
            wrongs.append(wrong)
            return ""

        return make
    # A reference to nothing is no reference, whatever the plan says about empty cells.
    if field.refers_to is None:
        if rows.empty == "null":
            value = None
        elif rows.empty == "text" and field.kind == "text":
            value = ""
    return lambda _cells, _wrongs: value


def _as_it_is(
    rows: Rows, cells: Cells, table: FieldTable, prefix: str, wrongs: list[_Wrong]
) -> dict[str, Any]:
    """Every cell as the field of its name, JSON numbers and texts by the field's kind."""
    out: dict[str, Any] = {}
    for name, value in cells.items():
        kind = table.kinds.get(name)
        if kind is None:
            hint = table.shape.hint((name,))
            wrongs.append((prefix + name, name, f'there is no field "{name}"{hint}'))
            out[name] = value
        elif name == KEY and is_empty(value):
            wrongs.append((prefix + name, name, "the key is empty"))
            out[name] = ""
        elif value is None or value == "":
            out[name] = value
        elif kind == "list" and name in table.nested and isinstance(value, list):
            inner = table.nested[name]
            out[name] = [
                _as_it_is(rows, cast("Cells", entry), inner, f"{prefix}{name}.", wrongs)
                if isinstance(entry, dict)
                else entry
                for entry in cast("Sequence[Any]", value)
            ]
        else:
            try:
                out[name] = convert(kind, value, rows.date_format)
            except ValueError as error:
                wrongs.append((prefix + name, name, str(error)))
                out[name] = value
    return out


def _references(payload: Mapping[str, Any], prefix: str = "") -> Iterator[Reference]:
    for name, value in payload.items():
        if isinstance(value, str):
            target = referred_object(name)
            if target:
                yield target, value, prefix + name
        elif isinstance(value, list):
            for index, entry in enumerate(cast("Sequence[Any]", value)):
                if isinstance(entry, dict):
                    yield from _references(cast("Cells", entry), f"{prefix}{name}[{index}].")


__all__ = ("Prepared", "Preparer")
