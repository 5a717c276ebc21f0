"""Filters of a query that the API can take over, so that fewer records are read.

Every filter stays Spark's as well, which looks at each row again: what the server finds may be more
than Spark would, never less. So only comparisons are pushed that mean the same on both sides, of
fields by which the vendor's pages say that the API filters; by any other it answers 400.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from chargeover_async.export.columns import columns_of
from chargeover_async.export.wanted import resource_class
from chargeover_async.query import Clause, Field

# Source: the "query fields" of the vendor's page of each object.
FILTERED: dict[str, str] = {
    "customer": (
        "customer_id parent_customer_id bill_state ship_state bill_country ship_country "
        "external_key token company superuser_id superuser_email write_datetime mod_datetime "
        "customer_status_state customer_status_str"
    ),
    "invoice": (
        "invoice_id refnumber customer_id bill_state ship_state bill_country ship_country "
        "invoice_status_str invoice_status_state package_id invoice_index date currency_id token "
        "write_datetime mod_datetime"
    ),
    "item": "item_id name external_key accounting_sku item_type",
    "package": (
        "package_id customer_id token brand_id paymethod paycycle nickname bill_state ship_state "
        "package_status_str package_status_state external_key write_datetime mod_datetime "
        "cancel_datetime"
    ),
    "user": ("user_id external_key first_name last_name email phone user_type_id username"),
    "transaction": (
        "transaction_id customer_id gateway_id currency_id token "
        "external_key gateway_status gateway_transid amount fee transaction_type "
        "transaction_method transaction_detail transaction_datetime"
    ),
    "quote": (
        "quote_id customer_id brand_id currency_id refnumber token external_key date bill_state "
        "ship_state bill_country ship_country quote_status_str quote_status_state"
    ),
}
_VALUES: dict[str, tuple[type[Any], ...]] = {
    "id": (int,),
    "text": (str,),
    "money": (int, Decimal),
    "day": (dt.date,),
    "moment": (dt.datetime,),
}
_COMPARE: dict[str, Callable[[Any, Any], Clause]] = {
    "EqualTo": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqual": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqual": operator.le,
}


def pushed(object_name: str, filters: Iterable[Any]) -> list[Clause]:
    """The clauses for those of ``filters`` (pyspark's, told by their class) that can be pushed."""
    cls = resource_class(object_name)
    allowed = FILTERED.get(cls.object, "").split()
    kinds = {column.name: column.kind for column in columns_of(cls.model) if column.name in allowed}
    found = (_clause(entry, kinds) for entry in filters)
    return [clause for clause in found if clause is not None]


def _clause(entry: Any, kinds: dict[str, Any]) -> Clause | None:
    path: Any = getattr(entry, "attribute", ())
    value: Any = getattr(entry, "value", None)
    kind = kinds.get(path[0]) if len(path) == 1 else None
    if kind is None or not _is_value(kind, value):
        return None
    name = type(entry).__name__
    # How a server puts texts in order is its own affair.
    compare = _COMPARE.get(name) if kind != "text" or name == "EqualTo" else None
    return None if compare is None else compare(Field(str(path[0])), value)


def _is_value(kind: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, _VALUES.get(kind, ())):
        return False
    if isinstance(value, dt.datetime):
        # With an offset it would be compared with what the account's clock shows.
        return kind == "moment" and value.tzinfo is None
    return not isinstance(value, str) or bool(value.strip())


__all__ = ("FILTERED", "pushed")
