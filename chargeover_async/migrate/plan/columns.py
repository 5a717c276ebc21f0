"""Which columns of its files a plan asks for, and what for; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chargeover_async.migrate.mask import is_identifier, printable
from chargeover_async.migrate.rows import Row

from .plan import Children, Constant, Field, Load, Nested, Rows


def match_value(columns: Sequence[str], row: Row) -> tuple[str, ...]:
    """What pairs a child row with its parent: the cells of ``columns`` as text."""
    cells = (row.cells.get(column) for column in columns)
    return tuple("" if cell is None else printable(str(cell).strip()) for cell in cells)


def list_columns(rows: Rows) -> Iterator[tuple[str, str]]:
    """(field, column) for every column that the templates of ``rows`` name."""
    for field in rows.fields or ():
        yield from _columns_of(field, "")


def used_columns(rows: Rows) -> frozenset[str]:
    """The columns of a file that the plan asks for; none if it takes them all."""
    return _pairing(rows) | {column for _, column in list_columns(rows)}


def identifying_columns(rows: Rows) -> frozenset[str]:
    """The columns of which keys and ids are made, and those that pair children with parents."""
    if rows.fields is None:
        return _pairing(rows) | frozenset(filter(is_identifier, rows.table.kinds))
    return _pairing(rows) | {column for field, column in list_columns(rows) if is_identifier(field)}


def _pairing(rows: Rows) -> frozenset[str]:
    if isinstance(rows, Children):
        return frozenset(child for child, _ in rows.match)
    children = rows.children if isinstance(rows, Load) else ()
    return frozenset(parent for inner in children for _, parent in inner.match)


def _columns_of(field: Field, prefix: str) -> Iterator[tuple[str, str]]:
    name = prefix + field.name
    if isinstance(field.value, Nested):
        for inner in field.value.fields:
            yield from _columns_of(inner, f"{name}.")
    elif not isinstance(field.value, Constant):
        for template in field.value.templates:
            for column in template.columns:
                yield name, column


__all__ = ("identifying_columns", "list_columns", "match_value", "used_columns")
