"""Rows that a program has instead of files: any iterable of mappings, as a plan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from chargeover_async.errors import UsageError
from chargeover_async.migrate.rows import BadRow, Held, Row, Skip, Source

from .fields import fields_of, find_object, loadable
from .plan import Load, Plan

Records: TypeAlias = Iterable[Mapping[str, Any]]


class Given(Source, frozen=True, kw_only=True):
    """Rows from ``make``, which is called for each reading and must give the same ones each time.

    The first row counts as line 1.
    """

    format: ClassVar[str] = "rows"

    make: Callable[[], Records]

    def columns(self) -> None:
        """Each row has its own names."""

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """Every row in order, see `Source.rows`."""
        for line, cells in enumerate(self.make(), 1):
            if skip is not None and skip(line):
                continue
            if isinstance(cells, Mapping) and all(isinstance(name, str) for name in cells):
                yield Row(line, dict(cells))
            else:
                yield BadRow(line, "not a mapping of field names to values", repr(cells))

    def measure(self) -> Given:
        """Nothing tells that rows of a program have changed but the rows themselves."""
        return self

    def digest(self) -> str:
        """A checksum of all rows."""
        found = hashlib.sha256()
        for cells in self.make():
            found.update(repr(cells).encode())
        return found.hexdigest()


def rows_plan(rows: Mapping[str, Records | Callable[[], Records]]) -> Plan:
    """A plan for rows that a program has, by object: ``rows_plan({"customer": customers})``.

    Each row maps ChargeOver's own field names to values (text, int, Decimal, date, ...);
    objects that others refer to by key come first. Rows are read twice, so a generator will not do:
    give the function that makes it. Raises UsageError for that, and for an unknown object.
    """
    loads: list[Load] = []
    for said, given in rows.items():
        name = find_object(said)
        if name is None:
            raise UsageError(f"{said!r} cannot be imported; there is {', '.join(loadable())}")
        make = given if callable(given) else _again(name, given)
        loads.append(
            Load(
                where=f"rows: {name}",
                source=Given(Held(Path(f"{name} rows")), make=make),
                table=fields_of(name),
                fields=None,
                object=name,
                empty="text",
            )
        )
    return Plan(Path("rows"), tuple(loads))


def _again(name: str, given: Records) -> Callable[[], Records]:
    if iter(given) is given:
        raise UsageError(
            f"the rows of {name} can be read once only, and are read twice: give a list, or the "
            "function that makes them"
        )
    return lambda: given


__all__ = ("Given", "rows_plan")
