"""What an import is to make of its files: frozen structs, from a TOML file or from a program."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from chargeover_async.migrate.rows import Source

from .fields import FieldTable, referred_object
from .template import Template


class Constant(msgspec.Struct, frozen=True):
    """The same value for every row, already of the field's kind."""

    value: Any


class Choice(msgspec.Struct, frozen=True):
    """The first of these templates that is not empty."""

    templates: tuple[Template, ...]


class Several(msgspec.Struct, frozen=True):
    """A list of texts; empty ones are left out."""

    templates: tuple[Template, ...]


class Nested(msgspec.Struct, frozen=True):
    """An object made of fields of its own."""

    fields: tuple[Field, ...]


class Field(msgspec.Struct, frozen=True):
    """One field of a record and where its value comes from."""

    name: str
    kind: str
    value: Constant | Choice | Several | Nested

    @property
    def refers_to(self) -> str | None:
        """The object that this field names by key, if it does."""
        return referred_object(self.name)


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """A file, what its empty cells and dates mean, and the fields made of each row.

    ``fields`` None takes every cell as the field of its name. ``where`` is the place in the plan,
    for messages.
    """

    where: str
    source: Source
    table: FieldTable
    fields: tuple[Field, ...] | None
    date_format: str | None = None
    empty: str = "omit"


class Children(Rows, frozen=True, kw_only=True):
    """A file whose rows become a list field of their parents.

    ``match`` pairs a column of this file with the column of the parent that holds the same value.
    """

    field: str
    match: tuple[tuple[str, str], ...]


class Load(Rows, frozen=True, kw_only=True):
    """A file of which each row becomes one record of ``object``."""

    object: str
    unknown_references: str = "refuse"
    children: tuple[Children, ...] = ()

    def references(self) -> frozenset[str]:
        """The objects that the rows of this load may name by key."""
        if self.fields is None:
            names = {*self.table.kinds}
            names.update(name for inner in self.table.nested.values() for name in inner.kinds)
            return frozenset(filter(None, map(referred_object, names)))
        fields = [*self.fields, *(field for child in self.children for field in child.fields or ())]
        return frozenset(field.refers_to for field in fields if field.refers_to)


class Plan(msgspec.Struct, frozen=True):
    """What to load, in order; relative files are relative to the plan's folder."""

    path: Path
    loads: tuple[Load, ...]


def plan_digest(plan: Plan) -> str:
    """A checksum that changes with what the plan makes of its files, not with where it lies."""
    said = [_meaning(load) for load in plan.loads]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _meaning(rows: Rows) -> tuple[Any, ...]:
    source = rows.source
    own = (source.name, *source.reading, rows.fields, rows.date_format, rows.empty)
    if isinstance(rows, Load):
        children = [_meaning(child) for child in rows.children]
        return (*own, rows.object, rows.unknown_references, children)
    return (*own, rows.field, rows.match) if isinstance(rows, Children) else own


__all__ = (
    "Children",
    "Choice",
    "Constant",
    "Field",
    "Load",
    "Nested",
    "Plan",
    "Rows",
    "Several",
    "plan_digest",
)
