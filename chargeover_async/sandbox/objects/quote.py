"""The rules of quotes. Source: pages "Create a quote", "Get a specific quote", "Query for quotes".

A quote is accepted or rejected by the customer at its links; the API has no action for it.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from chargeover_async.models import Quote, QuoteLine
from chargeover_async.sandbox.objects.account import cycles
from chargeover_async.sandbox.objects.account.item import base_price, tierset_of
from chargeover_async.sandbox.objects.account.pricing import new_tierset, take, take_seeded
from chargeover_async.sandbox.objects.account.shared import (
    DEFAULT_CURRENCY,
    DEFAULT_TERMS,
    PRINTED_BLOCKS,
    SHARED,
    terms_days,
)
from chargeover_async.sandbox.objects.money.lines import line_total
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, amount, missing
from chargeover_async.sandbox.protocol.values import INTEGER, date, is_array, is_object
from chargeover_async.sandbox.records import crud
from chargeover_async.sandbox.store.row import Draft, Record, Row
from chargeover_async.sandbox.store.tables import Derive, NestedField, Spec, Tables, check_names

_PAYCYCLES = frozenset(("one", *cycles.NAMES))  # "one": an invoice, once
_ZERO = Decimal(0)
_OF_ITEM = ("item_name", "item_external_key", "item_token", "item_accounting_sku", "item_units")

# Page "Query for quotes"; the names Sent and Rejected are UNVERIFIED.
_STATUS = {
    "open-new": ("New", "o"),
    "open-sent": ("Sent", "o"),
    "closed-won": ("Accepted", "c"),
    "closed-lost": ("Rejected", "c"),
}

# Only for taking the fields of a line; lines are kept in their quote.
_LINE = Spec(
    name="quote_line",
    key="line_item_id",
    model=QuoteLine,
    internal=True,
    read_only=frozenset(("tierset_id", *_OF_ITEM)),
    references={"item": "item"},
)


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    data = draft.data
    customer = store.row("customer", data.get("customer_id"))
    if customer is None:
        raise missing("customer_id")
    if data.get("paycycle") is None:
        raise missing("paycycle")
    if data["paycycle"] not in _PAYCYCLES:
        raise Refused(INVALID)
    for name, default in (("terms_id", DEFAULT_TERMS), ("currency_id", DEFAULT_CURRENCY)):
        if data.get(name) is None:
            data[name] = customer.data.get(name, default)
    if data.get("date") is None:
        data["date"] = store.today().isoformat()
    _due(store, draft)
    if not data.get("refnumber"):
        data["refnumber"] = str(draft.id)  # page "Create a quote": the number unless it is set
    taken = _lines(store, fields.get("line_items"))
    _total([line for line, _ in taken])
    data["line_items"] = [_number_line(store, line, price, draft) for line, price in taken]


def _lines(store: Tables, sent: Any) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """The lines, checked, each with the price that was sent for it."""
    if not sent:
        raise missing("line_items")
    if not is_array(sent) or not all(is_object(entry) for entry in sent):
        raise Refused(INVALID)
    taken: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
    for entry in sent:
        fields = crud.resolve(store, _LINE, entry)
        changes = crud.accept(store, _LINE, fields)
        item = store.row("item", changes.get("item_id"))
        if item is None:
            raise missing("item_id")
        price = take(entry["tierset"]) if entry.get("tierset") is not None else None
        line: dict[str, Any] = (
            dict(_LINE.template) | {"descrip": item.data.get("description") or None} | changes
        )
        line["item_name"] = item.data.get("name") or ""
        for name in _OF_ITEM[1:]:
            line[name] = item.data.get(name.removeprefix("item_"))
        if line["line_rate"] is None:
            line["line_rate"] = price["base"] if price is not None else base_price(item)
        line["line_quantity"] = 1 if line["line_quantity"] is None else line["line_quantity"]
        for name in ("line_rate", "line_quantity"):
            line[name] = amount(Decimal(line[name]))
        line["tierset"] = tierset_of(item)
        taken.append((line, price))
    return taken


def _number_line(
    store: Tables, line: dict[str, Any], price: dict[str, Any] | None, draft: Draft
) -> dict[str, Any]:
    if price is not None:
        stamp = draft.data["write_datetime"]
        line["tierset"] = new_tierset(store, price, stamp, draft.data["currency_id"])
    line["tierset_id"] = line["tierset"]["tierset_id"] if line["tierset"] else None
    line["line_item_id"] = store.number("line_item_id")
    return line


def _total(lines: list[dict[str, Any]]) -> Decimal:
    return sum((line_total(line) for line in lines), _ZERO)


def _setup(_store: Tables, row: Row) -> Decimal:
    lines = row.data.get("line_items") or ()
    tiersets = [line["tierset"] for line in lines if line.get("tierset")]
    return sum((Decimal(tierset["setup"]) for tierset in tiersets), _ZERO)


def _due(store: Tables, row: Record) -> str:
    """Date plus the days of the terms (UNVERIFIED: as for an invoice)."""
    day = dt.date.fromisoformat(row.data["date"])
    try:
        return (day + dt.timedelta(days=terms_days(store, row))).isoformat()
    except OverflowError:
        raise Refused(INVALID) from None


def _status(position: int) -> Derive:
    return lambda _store, row: _STATUS.get(row.data.get("quote_status_str", "open-new"), ("", "o"))[
        position
    ]


def _item_ids(_store: Tables, row: Row) -> list[Any]:
    return [line.get("item_id") for line in row.data.get("line_items") or ()]


def _seed(store: Tables, draft: Draft, record: dict[str, Any]) -> None:
    data = draft.data
    if data.get("date") is None:
        data["date"] = data["write_datetime"][:10]
    data["date"] = date(data["date"])
    data.setdefault("refnumber", str(draft.id))
    lines: list[dict[str, Any]] = []
    for sent in record.get("line_items") or ():
        check_names("line_items of a quote", sent, _LINE.kinds)
        line: dict[str, Any] = {"line_rate": 0, "line_quantity": 1, **sent}
        for name in ("line_rate", "line_quantity"):
            line[name] = amount(Decimal(str(line[name] or 0)))
        if line.get("tierset") is not None:
            line["tierset"] = take_seeded(store, line["tierset"])
        if line.get("line_item_id") is None:
            line["line_item_id"] = store.number("line_item_id")
        store.used("line_item_id", line["line_item_id"])
        lines.append(line)
    data["line_items"] = lines


QUOTE = Spec(
    name="quote",
    key="quote_id",
    model=Quote,
    # No source shows an update, a delete or an action.
    commands=frozenset(("create",)),
    defaults={
        "brand_id": 1,
        "currency_id": DEFAULT_CURRENCY,
        "terms_id": DEFAULT_TERMS,
        "nickname": "",
        "quote_status_str": "open-new",
    },
    read_only=frozenset(("quote_status_str",)),
    single_only=("line_items", "invoices", "packages"),
    references={
        "customer": "customer",
        "currency": "currency",
        "terms": "terms",
        "class": "class",
        "brand": "brand",
        "admin": "admin",
    },
    derived={
        **{name: derive for name, derive in SHARED.items() if name != "terms_days"},
        **PRINTED_BLOCKS,
        "due_date": _due,
        "quote_status_name": _status(0),
        "quote_status_state": _status(1),
        "total": lambda _store, row: _total(row.data.get("line_items") or []),
        "setup": _setup,
        "url_permalink": lambda store, row: f"{store.site}/r/quote/view/{row.data['token']}",
        "url_pdflink": lambda store, row: f"{store.site}/r/quote/pdf/{row.data['token']}",
        "url_acceptlink": lambda store, row: f"{store.site}/r/quote/accept/{row.data['token']}",
        "url_rejectlink": lambda store, row: f"{store.site}/r/quote/reject/{row.data['token']}",
        "url_self": lambda store, row: f"{store.site}/admin/r/quote/view/{row.id}",
    },
    nested={
        "line_items.item_id": NestedField(INTEGER, _item_ids),
    },
    indexes=("customer_id",),
    on_create=_create,
    on_seed=_seed,
)
