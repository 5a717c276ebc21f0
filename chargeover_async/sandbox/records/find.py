"""Lists and counts: from a query to the rows it means, without looking at more than need be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

from chargeover_async.sandbox.protocol.answers import Answer, Refused
from chargeover_async.sandbox.protocol.values import NESTED, TEXTS
from chargeover_async.sandbox.protocol.where import (
    Clause,
    Order,
    compile_test,
    leading_number,
    parse_order,
    parse_page,
    parse_where,
    sort_key,
)
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Spec, Tables

_RANGE = ("GT", "GTE", "EQUALS")
_NUMBERS = ({int}, {Decimal}, {int, Decimal})


def listing(store: Tables, spec: Spec, query: dict[str, str]) -> Answer:
    """200 and a page of records, by rising id unless ordered otherwise; ``[]`` past the end."""
    if spec.unpaged:
        # UNVERIFIED: a connector asks these lists for neither filter nor page; both are ignored.
        page: Iterable[Row] = store.table(spec.name).scan()
    else:
        clauses = parse_where(query.get("where", ""))
        tests = [_row_test(store, spec, clause) for clause in clauses]
        orders = _orders(spec, query.get("order", ""))
        offset, limit = parse_page(query)
        page = _page(store, spec, clauses, tests, orders, offset, limit)
    # UNVERIFIED: what is no nested part of a record is ignored. Known is package?expand=line_items.
    expand = query.get("expand", "").split(",")
    return Answer(200, "", [store.render(spec, r, single=False, expand=expand) for r in page])


def count(store: Tables, spec: Spec, query: dict[str, str]) -> Answer:
    """200 and the number of records, optionally of those that a ``where`` lets through."""
    clauses = parse_where(query.get("where", ""))
    if not clauses:
        return Answer(200, "", store.count(spec.name))
    tests = [_row_test(store, spec, clause) for clause in clauses]
    return Answer(200, "", len(_all(store, spec, clauses, tests, [])))


def matching(store: Tables, spec: Spec, where: str, order: str = "") -> list[Row]:
    """The rows that a ``where`` lets through, in the ``order`` that is asked for."""
    clauses = parse_where(where)
    tests = [_row_test(store, spec, clause) for clause in clauses]
    return _all(store, spec, clauses, tests, _orders(spec, order))


def _page(
    store: Tables,
    spec: Spec,
    clauses: list[Clause],
    tests: list[Callable[[Row], bool]],
    orders: list[Order],
    offset: int,
    limit: int,
) -> Iterable[Row]:
    falling = orders == [Order(spec.key, descending=True)]
    if orders and not falling:
        return _all(store, spec, clauses, tests, orders)[offset : offset + limit]
    if not clauses:
        return store.table(spec.name).slice(offset, limit, descending=falling)
    if offset:
        return _all(store, spec, clauses, tests, orders)[offset : offset + limit]
    # By id: as soon as the page is full, the rest need not be looked at.
    rows = candidates(store, spec, clauses)
    if rows is None:
        rows = _scan(store, spec, clauses, descending=falling)
    elif falling:
        rows = reversed(list(rows))
    return islice(_filter(rows, tests), limit)


def _all(
    store: Tables,
    spec: Spec,
    clauses: list[Clause],
    tests: list[Callable[[Row], bool]],
    orders: list[Order],
) -> list[Row]:
    """Every row that passes, in order."""
    rows = candidates(store, spec, clauses)
    found = list(_filter(_scan(store, spec, clauses) if rows is None else rows, tests))
    for order in reversed(orders):
        found = _sort(store, spec, found, order)
    return found


def candidates(store: Tables, spec: Spec, clauses: Iterable[Clause]) -> Iterable[Row] | None:
    """The few rows that an index leaves for ``clauses``, by rising id; None without an index.

    The clauses still have to be tested on each row.
    """
    table = store.table(spec.name)
    for clause in clauses:
        if clause.operation != "EQUALS":
            continue
        name, value = clause.field, clause.value
        if name == "external_key" and value:
            return _only(table.by_key(value))
        if name == "token" and name not in spec.derived:
            return _only(table.by_token(value))
        if value.isascii() and value.isdigit() and len(value) < 19:
            if name == spec.key:
                return _only(table.rows.get(int(value)))
            nested = spec.nested.get(name)
            field = nested.indexed_by if nested and nested.indexed_by else name
            if field in table.index:
                return table.having(field, int(value))
    return None


def _only(row: Row | None) -> list[Row]:
    return [] if row is None else [row]


def _orders(spec: Spec, order: str) -> list[Order]:
    """What decides about the order: nothing, if it is by rising id anyway."""
    orders = [
        Order(spec.aliases.get(order.field, order.field), order.descending)
        for order in parse_order(order)
    ]
    for name, _ in orders:
        if name not in spec.kinds or spec.kinds[name] == NESTED:
            raise Refused(f"You cannot order by: {name}.")  # UNVERIFIED
    for position, (name, _) in enumerate(orders):
        if name == spec.key:  # unique, so whatever is sorted by after it does not matter
            del orders[position + 1 :]
    if orders and orders[-1] == (spec.key, False):
        orders.pop()  # rows come by rising id, and sorting keeps them so
    return orders


def _sort(store: Tables, spec: Spec, rows: list[Row], order: Order) -> list[Row]:
    if order.field == spec.key:
        return sorted(rows, key=lambda row: row.id, reverse=order.descending)
    value = _value(store, spec, order.field)
    values = [value(row) for row in rows]
    kinds = set(map(type, values))
    if kinds != {str} and kinds not in _NUMBERS:  # those compare as they are
        values = [sort_key(value) for value in values]
    positions = sorted(range(len(rows)), key=values.__getitem__, reverse=order.descending)
    return [rows[position] for position in positions]


def _scan(
    store: Tables, spec: Spec, clauses: list[Clause], *, descending: bool = False
) -> Iterable[Row]:
    """All rows, or only those behind an ``id GT x``; all clauses have yet to be tested."""
    after = None
    for clause in clauses:
        if clause.field == spec.key and clause.operation in _RANGE:
            low = int(leading_number(clause.value)) - 1  # the test decides exactly
            after = low if after is None else max(after, low)
    return store.table(spec.name).scan(after, descending=descending)


def _filter(rows: Iterable[Row], tests: list[Callable[[Row], bool]]) -> Iterator[Row]:
    passing = iter(rows)
    for test in tests:
        passing = filter(test, passing)
    return passing


def _row_test(store: Tables, spec: Spec, clause: Clause) -> Callable[[Row], bool]:
    name = clause.field
    nested = spec.nested.get(name)
    if nested is not None:
        test = compile_test(clause, nested.kind, store.zone)
        return lambda row: any(test(value) for value in nested.values(store, row))
    kind = spec.kinds.get(name)
    if kind is None or kind in (NESTED, TEXTS):
        raise Refused(f"You cannot filter by: {name}.")  # test data of a third-party connector
    test = compile_test(clause, kind, store.zone)
    if name in spec.derived or name == spec.key:
        value = _value(store, spec, name)
        return lambda row: test(value(row))
    default = spec.template.get(name)
    return lambda row: test(row.data.get(name, default))


def _value(store: Tables, spec: Spec, name: str) -> Callable[[Row], Any]:
    """What `Tables.value` gives; by the shortest way, as this is asked of a million rows."""
    if name in spec.derived:
        return lambda row: store.value(spec, row, name)
    if name == spec.key:
        return lambda row: row.id
    default = spec.template.get(name)
    return lambda row: row.data.get(name, default)
