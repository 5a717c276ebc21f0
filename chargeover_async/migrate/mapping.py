"""A row to the fields of a record; pure.

What is wrong with a row is returned, not raised, so that one reading finds every mistake of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from chargeover_async.errors import UsageError

from ._names import did_you_mean
from .convert import convert
from .fields import KEY, FieldTable, referred_object
from .plan import Choice, Constant, Field, Load, Nested, Rows
from .sources import Row
from .template import Template, is_empty

Cells = Mapping[str, Any]


class Problem(msgspec.Struct, frozen=True):
    """One mistake: where it is and what it is. ``row`` 0 means the file as a whole.

    ``file`` is ``""`` when the message names it itself.
    """

    file: str
    row: int
    message: str
    column: str = ""
    field: str = ""

    def __str__(self) -> str:
        if not self.file:
            return self.message
        place = f"{self.file} row {self.row}" if self.row else self.file
        if self.column:
            place += f', column "{self.column}"'
        if self.field:
            place += f", field {self.field}"
        return f"{place}: {self.message}"


class Record(msgspec.Struct, frozen=True):
    """A row as it will be sent, or the problems that keep it from being sent.

    ``payload`` is ready for JSON; ``key`` is its external key or ``""`` (known for most bad rows
    too); ``references`` are the records it names by key, as (object, key, field).
    """

    row: Row
    payload: dict[str, Any]
    key: str
    references: tuple[tuple[str, str, str], ...] = ()
    problems: tuple[Problem, ...] = ()


def map_record(load: Load, row: Row, children: Mapping[str, Sequence[Row]] | None = None) -> Record:
    """The record that ``row`` stands for, with its child rows by field name."""
    fields, problems = map_row(load, row)
    for child in load.children:
        entries: list[dict[str, Any]] = []
        for inner in (children or {}).get(child.field, ()):
            entry, wrong = map_row(child, inner, f"{child.field}.")
            entries.append(entry)
            problems += wrong
        if entries:
            fields[child.field] = entries
    key = str(fields.get(KEY) or "")
    if not problems:
        try:
            payload, _ = load.table.shape.prepare(fields, load.object)
            if not payload:
                raise UsageError("every field of the row is empty")
        except UsageError as error:
            problems = [Problem(load.source.name, row.line, error.message)]
        else:
            return Record(row, payload, key, tuple(_references(payload)))
    return Record(row, {}, key, problems=tuple(problems))


def match_value(columns: Sequence[str], row: Row) -> tuple[str, ...]:
    """What pairs a child row with its parent: the cells of ``columns`` as text."""
    cells = row.cells
    return tuple("" if cells.get(one) is None else str(cells[one]).strip() for one in columns)


def named_columns(rows: Rows) -> Iterator[tuple[str, str]]:
    """(field, column) for every column that the templates of ``rows`` name."""
    for one in rows.fields or ():
        yield from _columns_of(one, "")


def _columns_of(field: Field, prefix: str) -> Iterator[tuple[str, str]]:
    name = prefix + field.name
    if isinstance(field.value, Nested):
        for inner in field.value.fields:
            yield from _columns_of(inner, f"{name}.")
    elif not isinstance(field.value, Constant):
        for template in field.value.templates:
            for column in template.columns:
                yield name, column


def map_row(rows: Rows, row: Row, prefix: str = "") -> tuple[dict[str, Any], list[Problem]]:
    """The fields of one row, without its children, and what is wrong with it."""
    mapper = _Mapper(rows, row)
    if rows.fields is None:
        return mapper.as_it_is(row.cells, rows.table, prefix), mapper.problems
    return mapper.object(rows.fields, prefix), mapper.problems


class _Mapper:
    """Fills the fields of one row and keeps what is wrong."""

    def __init__(self, rows: Rows, row: Row) -> None:
        self.rows = rows
        self.row = row
        self.cells = row.cells
        self.problems: list[Problem] = []

    def object(self, fields: Sequence[Field], prefix: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for field in fields:
            found = self.field(field, prefix)
            if found is not msgspec.UNSET:
                out[field.name] = found
        return out

    def as_it_is(self, cells: Mapping[str, Any], table: FieldTable, prefix: str) -> dict[str, Any]:
        """Every cell as the field of its name, JSON numbers and texts by the field's kind."""
        out: dict[str, Any] = {}
        for name, value in cells.items():
            kind = table.kinds.get(name)
            if kind is None:
                hint = did_you_mean(name, table.kinds)
                self.wrong(prefix + name, name, f'there is no field "{name}"{hint}')
            elif name == KEY and is_empty(value):
                self.wrong(prefix + name, name, "the key is empty")
            elif value is None or value == "":
                out[name] = value
            elif kind == "list" and name in table.nested and isinstance(value, list):
                inner = table.nested[name]
                out[name] = [
                    self.as_it_is(cast("Cells", one), inner, f"{prefix}{name}.")
                    if isinstance(one, dict)
                    else one
                    for one in cast("Sequence[Any]", value)
                ]
            else:
                out[name] = self.convert(prefix + name, name, kind, value)
        return out

    def field(self, field: Field, prefix: str) -> Any:
        value = field.value
        name = prefix + field.name
        if isinstance(value, Constant):
            return value.value
        if isinstance(value, Nested):
            return self.object(value.fields, f"{name}.") or msgspec.UNSET
        if isinstance(value, Choice):
            for template in value.templates:
                column = template.alone
                if column is None:
                    if not template.is_empty(self.cells):
                        return self.fill(name, field, template)
                    continue
                # A cell as it is: most of what is imported.
                cell = self.cells.get(column)
                if not is_empty(cell):
                    if type(cell) is str and field.kind == "text":
                        return cell
                    return self.convert(name, column, field.kind, cell)
            return self.empty(name, field, value.templates[0])
        filled = [self.fill(name, field, one) for one in value.templates]
        return [one for one in filled if not is_empty(one)] or msgspec.UNSET

    def fill(self, name: str, field: Field, template: Template) -> Any:
        column = ", ".join(template.columns)
        try:
            value = template.fill(self.cells)
        except ValueError as error:
            return self.wrong(name, column, str(error))
        if field.name == KEY and any(is_empty(self.cells.get(one)) for one in template.columns):
            return self.wrong(name, column, f'the key "{template.source}" has an empty part')
        if is_empty(value) or not isinstance(field.value, Choice):
            return value
        return self.convert(name, column, field.kind, value)

    def empty(self, name: str, field: Field, template: Template) -> Any:
        if field.name == KEY:
            return self.wrong(name, ", ".join(template.columns), "the key is empty")
        # A reference to nothing is no reference, whatever the plan says about empty cells.
        if field.refers_to is None:
            if self.rows.empty == "null":
                return None
            if self.rows.empty == "text" and field.kind == "text":
                return ""
        return msgspec.UNSET

    def convert(self, name: str, column: str, kind: str, value: Any) -> Any:
        try:
            return convert(kind, value, self.rows.date_format)
        except ValueError as error:
            return self.wrong(name, column, str(error))

    def wrong(self, field: str, column: str, message: str) -> Any:
        self.problems.append(Problem(self.rows.source.name, self.row.line, message, column, field))
        return msgspec.UNSET


def _references(payload: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, value in payload.items():
        if isinstance(value, str):
            target = referred_object(name)
            if target:
                yield target, value, prefix + name
        elif isinstance(value, list):
            for index, entry in enumerate(cast("Sequence[Any]", value)):
                if isinstance(entry, dict):
                    yield from _references(cast("Cells", entry), f"{prefix}{name}[{index}].")


__all__ = ("Problem", "Record", "map_record", "map_row", "match_value", "named_columns")
