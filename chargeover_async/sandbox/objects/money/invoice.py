"""The rules of invoices and their lines: amounts, dates, statuses, payments."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from chargeover_async.models import Invoice
from chargeover_async.sandbox.objects.account.shared import (
    DEFAULT_CURRENCY,
    DEFAULT_TERMS,
    PRINTED_BLOCKS,
    SHARED,
    terms_days,
)
from chargeover_async.sandbox.protocol.answers import INVALID, Answer, Refused, amount, missing
from chargeover_async.sandbox.protocol.values import (
    INTEGER,
    MIXED,
    NUMBER,
    TEXT,
    date,
    flag,
    is_array,
    is_object,
    number,
)
from chargeover_async.sandbox.records.events import tell_hooks
from chargeover_async.sandbox.store.row import Draft, Record, Row
from chargeover_async.sandbox.store.tables import NestedField, Spec, Tables, check_names

from .applying import Part, add_seeded, release, settle, touching
from .charging import charge, on_file, take_given
from .due import balance_of, days_overdue, forget_amounts, is_overdue, is_paid, status
from .lines import CUSTOM, KINDS, costs_of, settle_amounts, take_lines, total_of, values_of
from .transaction import apply_balance

_ZERO = Decimal(0)


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    data = draft.data
    customer = store.row("customer", data.get("customer_id"))
    if customer is None:
        raise missing("customer_id")
    data["line_items"] = take_lines(store, draft.id, fields.get("line_items"), [])
    data["total"] = total_of(data["line_items"])
    for name in ("terms_id", "currency_id"):
        if data.get(name) is None:
            data[name] = customer.data.get(name, CUSTOMER_DEFAULTS[name])
    if data.get("date") is None:
        data["date"] = store.today().isoformat()
    data["due_date"] = due_date(store, draft)
    if not data.get("refnumber"):
        data["refnumber"] = str(draft.id)  # recordings: the number as text
    forget_amounts(store, customer.id)


CUSTOMER_DEFAULTS = {"terms_id": DEFAULT_TERMS, "currency_id": DEFAULT_CURRENCY}


def _update(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    data = draft.data
    if "line_items" in fields:
        before: list[dict[str, Any]] = data.get("line_items") or []
        lines = data["line_items"] = take_lines(store, draft.id, fields["line_items"], before)
        if costs_of(lines) != costs_of(before):  # else a seed may have had reasons for its amounts
            data["taxes"] = sum((line["tax_total"] for line in lines), _ZERO)
            data["total"] = total_of(lines) + data["taxes"]
            for name in ("base", "usage"):
                data[f"sum_{name}"] = total_of([line for line in lines if line.get(f"is_{name}")])
    if not fields.keys().isdisjoint(("date", "invoice_date", "terms_id")):
        if data.get("date") is None:
            data["date"] = store.today().isoformat()
        data["due_date"] = due_date(store, draft)
    if not data.get("refnumber"):
        data["refnumber"] = str(draft.id)
    forget_amounts(store, data.get("customer_id"))


def due_date(store: Tables, row: Record) -> str:
    """Date plus the days of the terms (recordings; one documented example does not add up)."""
    day = dt.date.fromisoformat(row.data["date"])
    try:
        return (day + dt.timedelta(days=terms_days(store, row))).isoformat()
    except OverflowError:
        raise Refused(INVALID) from None


def _delete(store: Tables, row: Row) -> None:
    release(store, row)
    forget_amounts(store, row.data.get("customer_id"))


def _seed(store: Tables, draft: Draft, record: dict[str, Any]) -> None:
    data = draft.data
    if record.get("payments") is not None:
        paid, applied = (Decimal(str(record.get(n) or 0)) for n in ("payments", "applied"))
        back = max(applied - paid - (data.get("credits") or 0), _ZERO)
        data |= {"payments": paid - back, "refunded": back}
        draft.forget(("payments",))
    data["as_given"] = [name for name in ("payments", "credits") if record.get(name) is not None]
    add_seeded(store, draft)
    lines: list[dict[str, Any]] = []
    for line in data.get("line_items") or ():
        check_names("line_items of an invoice", line, KINDS)
        kept = {"line_quantity": 1, "invoice_id": draft.id, **line}
        for name, kind in KINDS.items():
            if kind == NUMBER:
                kept[name] = amount(Decimal(str(kept.get(name) or 0)))
        if line.get("tax_taxable") is None:
            kept = settle_amounts(kept)
        if kept.get("line_item_id") is None:
            kept["line_item_id"] = store.number("line_item_id")
        store.used("line_item_id", kept["line_item_id"])
        lines.append(kept)
    data["line_items"] = lines
    if data.get("total") is None:
        data["total"] = total_of(lines)
    if data.get("date") is None:
        data["date"] = data["write_datetime"][:10]
    if data.get("due_date") is None:
        data["due_date"] = due_date(store, draft)
    data.setdefault("refnumber", str(draft.id))


# Derived fields.


def _payments(_store: Tables, row: Row) -> Decimal:
    return _ZERO + (row.data.get("payments") or 0) + (row.data.get("refunded") or 0)


def _applied(store: Tables, row: Row) -> Decimal:
    """Payments, credits and refunds, all of them added (see `applying`)."""
    return _payments(store, row) + (row.data.get("refunded") or 0) + (row.data.get("credits") or 0)


def _onetime(_store: Tables, row: Row) -> Decimal:
    """What is neither recurring nor usage, without taxes (recording `query_invoices`)."""
    total: Decimal = row.data["total"]
    return total - sum(row.data.get(name) or 0 for name in ("taxes", "sum_base", "sum_usage"))


def _transaction_ids(store: Tables, row: Row) -> list[int]:
    return [payer.id for payer in touching(store, row)]


# Actions.


def _void(store: Tables, row: Row, _fields: dict[str, Any]) -> bool:
    """Brings the balance to zero and leaves the total; voiding twice changes nothing.

    UNVERIFIED: what was applied to it becomes unapplied.
    """
    if row.data.get("void_datetime") is None:
        store.change(row, void_datetime=store.stamp())
        store.forget(row, INVOICE.derived)
        release(store, row)
        forget_amounts(store, row.data.get("customer_id"))
        tell_hooks(store, "invoice", row, "status")
    return True


def _pay(store: Tables, row: Row, fields: dict[str, Any]) -> Any:
    """Pays what is due, in full: with what is given, with what is on file, or from the balance.

    A decline is a 400 and leaves a failed transaction. With ``use_customer_balance`` the answer is
    false when there was nothing to apply (vendor's page).
    """
    if fields.get("use_customer_balance") is not None and flag(fields["use_customer_balance"]):
        return apply_balance(store, row)
    due = balance_of(store, row)
    customer = store.row("customer", row.data.get("customer_id"))
    if due <= 0 or customer is None:
        raise Refused("This invoice has no balance to pay.")  # UNVERIFIED
    is_given = any(fields.get(name) is not None for name in ("number", "routing"))
    methods = [take_given(store, fields)] if is_given else on_file(store, customer, row)
    paid = charge(store, customer, due, [Part(row, due)], methods)
    return paid if isinstance(paid, Answer) else True


def _schedule(_store: Tables, _row: Row, fields: dict[str, Any]) -> bool:
    """Accepts a list, or an object with the keys "0", "1", ... (as the vendor's page shows it).

    The payments themselves are never made.
    """
    entries: Any = fields.get("schedule")
    if not entries:
        raise missing("schedule")
    if is_object(entries):
        keyed = entries
        if not all(key.isascii() and key.isdigit() for key in keyed):
            raise Refused(INVALID)
        entries = list(keyed.values())
    if not is_array(entries):
        raise Refused(INVALID)
    for entry in entries:
        if not is_object(entry):
            raise Refused(INVALID)
        payment = entry
        for name, take in (("amount", number), ("date", date)):
            if payment.get(name) is None:
                raise missing(name)
            take(payment[name])
        if payment.get("paymethod", "any") not in ("any", "crd", "ach", "tok"):
            raise Refused(INVALID)
    return True


def _accepted(_store: Tables, _row: Row, _fields: dict[str, Any]) -> bool:
    """Nothing is mailed or printed (recording `send_invoice`: true, also for a void invoice)."""
    return True


def _category_ids(store: Tables, row: Row) -> list[Any]:
    items = (store.row("item", id_) for id_ in values_of("item_id")(store, row))
    return [
        category.get("item_category_id")
        for item in items
        if item is not None
        for category in item.data.get("categories") or ()
    ]


def _no_quotes(_store: Tables, _row: Row) -> list[Any]:
    return []  # quotes do not become invoices here


def _package_token(store: Tables, row: Row) -> list[Any]:
    package = store.row("package", row.data.get("package_id"))
    return [] if package is None else [package.data["token"]]


INVOICE = Spec(
    name="invoice",
    key="invoice_id",
    model=Invoice,
    first_id=10000,  # recordings: the first invoice is 10000
    defaults={
        "brand_id": 1,
        "currency_id": DEFAULT_CURRENCY,
        "terms_id": DEFAULT_TERMS,
        "line_items": [],
        **dict.fromkeys(("credits", "payments", "writeoffs", "sum_base", "sum_usage"), 0),
        "taxes": 0,
        "declines": 0,
    },
    read_only=frozenset(
        (
            *("total", "taxes", "credits", "payments", "writeoffs", "declines"),
            *("sum_base", "sum_usage", "due_date", "paid_date", "delay_datetime"),
            *("void_datetime", "invoice_index", "package_id", "brand_id", "admin_name"),
            *("cycle_pre_from_date", "cycle_pre_to_date", "cycle_this_date"),
            *("cycle_post_from_date", "cycle_post_to_date"),
        )
    ),
    create_only=frozenset(("customer_id", "currency_id", "class_id")),
    single_only=("line_items",),
    private=frozenset(("refunded", "as_given")),
    through=frozenset(("payments",)),
    references={"customer": "customer"},
    choices={"terms_id": "terms", "currency_id": "currency"},
    derived={
        **SHARED,
        **PRINTED_BLOCKS,
        "subtotal": lambda _store, row: row.data["total"] - (row.data.get("taxes") or 0),
        "balance": balance_of,
        "payments": _payments,
        "applied": _applied,
        "sum_onetime": _onetime,
        "is_paid": is_paid,
        "is_void": lambda _store, row: row.data.get("void_datetime") is not None,
        "is_overdue": is_overdue,
        "days_overdue": days_overdue,
        "invoice_status_name": status(0),
        "invoice_status_str": status(1),
        "invoice_status_state": status(2),
        "url_permalink": lambda store, row: f"{store.site}/r/invoice/view/{row.data['token']}",
        "url_pdflink": lambda store, row: f"{store.site}/r/invoice/pdf/{row.data['token']}",
        "url_paylink": lambda store, row: f"{store.site}/r/trans/pay/{row.data['token']}",
        "url_self": lambda store, row: f"{store.site}/admin/r/invoice/view/{row.id}",
    },
    nested={
        "transaction.transaction_id": NestedField(INTEGER, _transaction_ids),
        "line_items.item_id": NestedField(INTEGER, values_of("item_id")),
        "line_items.item.categories.item_category_id": NestedField(INTEGER, _category_ids),
        "package_token": NestedField(TEXT, _package_token),
        "quote.quote_id": NestedField(INTEGER, _no_quotes),
        **{f"line_items.{name}": NestedField(MIXED, values_of(name)) for name in CUSTOM},
    },
    indexes=("customer_id", "package_id"),
    # The recorded order=invoice_date:DESC was accepted although the field is called date; an
    # example of the vendor's Python client creates an invoice with it.
    aliases={"invoice_date": "date"},
    events={"insert": (), "update": (), "status": ()},
    on_create=_create,
    on_update=_update,
    after_update=lambda store, row, _before: settle(store, row),
    on_delete=_delete,
    on_seed=_seed,
    actions={
        "void": _void,
        "pay": _pay,
        "email": _accepted,
        "print": _accepted,
        "approve": _accepted,
        "schedule": _schedule,
    },
)
