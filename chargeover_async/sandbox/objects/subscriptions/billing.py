"""The invoice that a subscription comes to: base prices, set-up, trials and usage.

Recordings `create_and_apply_payment` and `one_invoice` show base prices; everything else here is
UNVERIFIED, and so is that a percentage of a price is not charged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from chargeover_async.sandbox.objects.account.cycles import times
from chargeover_async.sandbox.objects.account.pricing import charges
from chargeover_async.sandbox.objects.money.invoice import due_date
from chargeover_async.sandbox.objects.money.lines import BLANK_LINE, settle_amounts, total_of
from chargeover_async.sandbox.protocol.answers import amount
from chargeover_async.sandbox.records.events import tell_hooks
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Tables

from .line import is_trial, lines_of, quantity_of

_COPIED = (
    *("customer_id", "package_id", "terms_id", "currency_id", "class_id", "paycycle", "admin_id"),
    *(f"{kind}_addr{number}" for kind in ("bill", "ship") for number in (1, 2, 3)),
    *(
        f"{kind}_{name}"
        for kind in ("bill", "ship")
        for name in ("city", "state", "postcode", "country")
    ),
)
_ITEM_NAMES = ("item_name", "item_external_key", "item_token", "item_accounting_sku")


def issue(store: Tables, package: Row, day: dt.date) -> Row:
    """Make and store the invoice of a subscription for ``day``; its usage is used up."""
    lines: list[dict[str, Any]] = []
    charged: list[Row] = []
    for line in lines_of(store, package.id):
        records = pending(store, line.id)
        lines += _charge(store, package, line, records)
        charged += records
    fields = {name: package.data.get(name) for name in _COPIED} | {"package_id": package.id}
    fields |= {"date": day.isoformat(), "cycle_this_date": day.isoformat()}
    draft = store.draft("invoice", {k: v for k, v in fields.items() if v is not None})
    total = total_of(lines)  # refuses an amount beyond all bounds before anything is numbered
    draft.data["due_date"] = due_date(store, draft)
    lines = [settle_amounts(line) for line in lines]
    for made in lines:
        made["line_item_id"] = store.number("line_item_id")
        made["invoice_id"] = draft.id
    draft.data |= {
        "line_items": lines,
        "total": total,
        "sum_base": total_of([line for line in lines if line["is_base"]]),
        "sum_usage": total_of([line for line in lines if line["is_usage"]]),
        "refnumber": str(draft.id),
    }
    row = store.insert(draft)
    tell_hooks(store, "invoice", row, "insert")
    for record in charged:
        store.change(record, invoice_id=row.id)
    return row


def pending(store: Tables, line_item_id: int) -> list[Row]:
    """The usage of a line that no invoice has charged yet, by rising id."""
    rows = store.having("usage", "line_item_id", line_item_id)
    return [row for row in rows if row.data.get("invoice_id") is None]


def add_up(records: Iterable[Row]) -> Decimal:
    """What usage records come to: the greatest "max", the last "lat", the sum of all others.

    UNVERIFIED: no source explains the types.
    """
    added = Decimal(0)
    greatest: Decimal | None = None
    latest: Decimal | None = None
    for record in records:
        value = Decimal(record.data["usage_value"])
        kind = record.data.get("type")
        if kind == "max":
            greatest = value if greatest is None else max(greatest, value)
        elif kind == "lat":
            latest = value
        else:
            added += value
    return added + (greatest or 0) + (latest or 0)


def _charge(store: Tables, package: Row, line: Row, records: list[Row]) -> Iterator[dict[str, Any]]:
    """The lines of the invoice for one line of the subscription."""
    tierset = line.data["tierset"]
    if is_trial(line, store.stamp()):
        yield _line(line, Decimal(0), Decimal(1), is_free=True, is_recurring=True)
        return
    if tierset["setup"] and not _was_charged(store, package, line):
        yield _line(line, Decimal(tierset["setup"]), Decimal(1), is_setup=True)
    quantity = quantity_of(line)
    flat = tierset["pricemodel"] == "fla"
    base = Decimal(tierset["base"])
    if base or flat:
        count = quantity if flat and quantity is not None else Decimal(1)
        for _ in range(times(tierset["paycycle"], package.data["paycycle"])):
            yield _line(line, base, count, is_base=True, is_recurring=True)
    for rate, units in charges(tierset, add_up(records) if quantity is None else quantity):
        kind = "is_usage" if quantity is None else "is_base"
        made = _line(line, rate, units, is_recurring=True, **{kind: True})
        if quantity is None:
            made["line_usage"] = amount(units)
        yield made


def _was_charged(store: Tables, package: Row, line: Row) -> bool:
    invoices = store.having("invoice", "package_id", package.id)
    return any(
        charge.get("package_line_id") == line.id
        for invoice in invoices
        for charge in invoice.data.get("line_items") or ()
    )


def _line(line: Row, rate: Decimal, quantity: Decimal, **flags: bool) -> dict[str, Any]:
    get = line.data.get
    return {
        **BLANK_LINE,
        "item_id": get("item_id"),
        "tierset_id": get("tierset_id"),
        "descrip": get("descrip"),  # UNVERIFIED: its template is not filled in
        "line_rate": amount(rate),
        "line_quantity": amount(quantity),
        **{f"custom_{number}": get(f"custom_{number}") for number in (1, 2, 3)},
        **{name: get(name) for name in _ITEM_NAMES},
        "package_line_id": line.id,
        **flags,
    }
