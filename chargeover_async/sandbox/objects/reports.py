"""Reports and aggregates: queries over the records of another object.

Source: page "Run a report"; the vendor's PHP client (``Aggregate``, ``report()``). UNVERIFIED, as
no source shows an answer: what a row looks like. A row of a report is an object by column; so is a
row of an aggregate, by the text of each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from chargeover_async.models import Report
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, amount, missing
from chargeover_async.sandbox.protocol.values import NESTED, TEXTS, is_array, is_object, text
from chargeover_async.sandbox.records.find import matching
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Spec, Tables

MAX_ROWS = 1_000  # page "Run a report"


def _columns(spec: Spec) -> dict[str, str]:
    """Column -> field: object and field are joined (``customer_customer_id``)."""
    names = {name: name for name, kind in spec.kinds.items() if kind not in (NESTED, TEXTS)}
    return {f"{spec.name}_{alias}": name for alias, name in {**names, **spec.aliases}.items()}


def _texts(sent: Any) -> list[str]:
    if not is_array(sent):
        raise Refused(INVALID)
    return [text(entry) for entry in sent]


def _run(store: Tables, row: Row, sent: Any) -> list[dict[str, Any]]:
    """The rows of a report; the body is an array of filters."""
    spec = store.specs.get(row.data.get("source") or "")
    if spec is None:
        raise store.specs["_report"].no_such  # what this report is of is not known here
    columns = _columns(spec)
    query: dict[str, str] = dict(store.caller.query)
    if "offset" in query and not query.get("order"):
        raise Refused("offset requires order.")  # the rule is the page's, the words UNVERIFIED
    clauses = [_field(clause, columns, "filter") for clause in _texts(sent or [])]
    order = [
        _field(clause, columns, "order") for clause in query.get("order", "").split(",") if clause
    ]
    rows = matching(store, spec, ",".join(clauses), ",".join(order))
    first = _whole(query.get("offset"), 0)
    limit = min(_whole(query.get("limit"), MAX_ROWS), MAX_ROWS)
    shown: list[dict[str, Any]] = []
    for found in rows[first : first + limit]:
        record = store.render(spec, found, single=False)
        shown.append({column: record.get(name) for column, name in columns.items()})
    return shown


def _field(clause: str, columns: Mapping[str, str], verb: str) -> str:
    column, separator, rest = clause.partition(":")
    if column not in columns:
        raise Refused(f"You cannot {verb} by: {column}.")
    return f"{columns[column]}{separator}{rest}"


def _whole(sent: str | None, default: int) -> int:
    sound = sent is not None and sent.isascii() and sent.isdigit() and len(sent) < 19
    return int(sent or 0) if sound else default


class _Report(Report):
    """A report, and the object that its rows come from; a seed may add some."""

    name: str | None = None
    source: str | None = None


REPORT = Spec(
    name="_report",
    key="report_id",
    model=_Report,
    commands=frozenset(),
    # 37 is the page's "All Customers"; the others are UNVERIFIED.
    preset=(
        {"report_id": 37, "name": "All Customers", "source": "customer"},
        {"report_id": 38, "name": "All Invoices", "source": "invoice"},
        {"report_id": 39, "name": "All Transactions", "source": "transaction"},
    ),
    private=frozenset(("source",)),
    unpaged=True,
    actions={"reportData": _run, "getData": _run},
    lists_taken=frozenset(("reportData", "getData")),
)


# Aggregates.


def _aggregate(store: Tables, sent: Any) -> list[dict[str, Any]]:
    """``{"object": ..., "fields": ["SUM(total)"], "where": [...], "group": [...] or ""}``."""
    if not is_object(sent):
        raise missing("object") if not sent else Refused(INVALID)
    asked = sent
    for name in ("object", "fields"):
        if not asked.get(name):
            raise missing(name)
    spec = store.specs.get(text(asked["object"]))
    if spec is None or spec.internal:
        raise Refused(INVALID)
    fields = _texts(asked["fields"])
    group = _texts(asked.get("group") or [])
    functions = [_function(spec, field, group) for field in fields]
    for name in group:
        _check(spec, name)
    where = ",".join(_texts(asked.get("where") or []))
    found: dict[tuple[str, ...], list[Row]] = {} if group else {(): []}
    for row in matching(store, spec, where):
        key = tuple(str(store.value(spec, row, name)) for name in group)
        found.setdefault(key, []).append(row)
    return [
        {
            shown: _value(store, spec, function, name, rows)
            for shown, (function, name) in zip(fields, functions, strict=True)
        }
        for rows in found.values()
    ]


def _function(spec: Spec, field: str, group: list[str]) -> tuple[str, str]:
    function, bracket, rest = field.partition("(")
    if not bracket:
        if field not in group:
            raise Refused(f"{field} is neither grouped by nor inside of a function.")
        return "", field
    name = rest.removesuffix(")")
    if function.upper() not in ("SUM", "COUNT", "AVG", "MIN", "MAX") or not rest.endswith(")"):
        raise Refused(f"There is no such function: {field}")
    if (function.upper(), name) != ("COUNT", "*"):
        _check(spec, name)
    return function.upper(), name


def _check(spec: Spec, name: str) -> None:
    if spec.kinds.get(name) in (None, NESTED, TEXTS):
        raise Refused(f"There is no field {name} to aggregate.")


def _value(store: Tables, spec: Spec, function: str, name: str, rows: list[Row]) -> Any:
    if name == "*":
        return len(rows)
    values: Iterable[Any] = (store.value(spec, row, name) for row in rows)
    known = [value for value in values if value is not None]
    if function == "COUNT":
        return len(known)
    if not known:
        return None
    if function in ("", "MIN", "MAX"):
        chosen = {"": known[0], "MIN": min(known, key=_sortable), "MAX": max(known, key=_sortable)}
        value = chosen[function]
        return amount(value) if isinstance(value, Decimal) else value
    if not all(isinstance(value, (int, Decimal)) for value in known):
        raise Refused(f"{function} needs numbers, which {name} is not.")
    total = sum(map(Decimal, known), Decimal(0))
    return amount(total if function == "SUM" else round(total / len(known), 6))


def _sortable(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, (int, Decimal)) else (1, str(value))


class _Aggregate(msgspec.Struct):
    """Nothing of an aggregate is stored."""

    aggregate_id: int


AGGREGATE = Spec(
    name="_aggregate",
    key="aggregate_id",
    model=_Aggregate,
    commands=frozenset(),
    reads=False,
    post=_aggregate,
)
