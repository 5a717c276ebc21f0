"""The rules of transactions: payments, credits, and what is applied of them.

Source: pages "Create a credit memo/record an offline payment", "Make a payment", "Adjust applied
amounts", "Email a receipt"; recordings `create_and_apply_payment`, `create_one_credit`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from chargeover_async.models import Transaction
from chargeover_async.sandbox.objects.account.shared import DEFAULT_CURRENCY, currency
from chargeover_async.sandbox.protocol.answers import INVALID, Answer, Refused, missing
from chargeover_async.sandbox.protocol.values import INTEGER, TEXT, text
from chargeover_async.sandbox.records.refs import need_named
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import Derive, NestedField, Spec, Tables

from .applying import (
    COLUMN,
    Part,
    Wish,
    applied_of,
    apply_seeded,
    cents,
    check_move,
    counts,
    entries,
    held_by,
    hold,
    move,
    refunded_on,
    share,
    take_back,
    take_seeded,
    unapplied_of,
    wishes,
)
from .charging import charge, on_file, take_listed
from .due import balance_of, forget_amounts
from .refunds import payment_refunded, refund, refunds, void

_ZERO = Decimal(0)
_DETAIL = 32  # recordings cut transaction_detail here

# "Payment" and "Credit" are recorded; the others are UNVERIFIED.
TYPES: Mapping[str, str] = {"pay": "Payment", "ref": "Refund", "cre": "Credit", "spl": "Split"}

# "Paid by Check" and "Credits" are recorded; the others are UNVERIFIED.
_METHODS: Mapping[str, str] = {
    "check": "Paid by Check",
    "credit": "Credits",
    "visa": "Visa",
    "mastercard": "MasterCard",
    "american-express": "American Express",
    "discover": "Discover",
    "paypal": "PayPal",
    "ach": "ACH/eCheck",
}

# Bank payments stay pending for days (page "Make a payment"); UNVERIFIED: how many.
PENDING_DAYS = 3


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    """Records what happened elsewhere; nothing is charged.

    UNVERIFIED: that the documented types, methods and signs are enforced, and that what says no
    type is a payment (an example of the vendor's Python client).
    """
    customer = need_named(store, fields, "customer", "customer")
    if fields.get("amount") is None:
        raise missing("amount")
    data = draft.data
    kind = data["transaction_type"] = data.get("transaction_type") or "pay"
    total = data["amount"] = cents(fields["amount"])
    if kind not in TYPES or not total or (kind == "ref") != (total < 0 and kind != "spl"):
        raise Refused(INVALID)
    if kind == "cre" and data.get("gateway_method") != "credit":
        raise Refused("The gateway_method of a credit must be credit.")
    _fill_in(store, draft, customer)
    asked = wishes(store, customer, fields.get("applied_to"))
    parts: list[Part] = []
    if counts(draft):
        if kind == "ref":
            parts = take_back(asked, total)
        elif total > 0:
            parts = share(store, asked or _best(store, customer, fields, total), total, {})
    data["applied_to"] = entries({invoice.id: applied for invoice, applied in parts})
    for invoice, applied in parts:
        move(store, invoice, COLUMN[kind], applied)
    if not data.get("gateway_status", 1):
        for invoice, _ in asked:
            declines = (invoice.data.get("declines") or 0) + 1
            store.change(invoice, declines=declines)
    forget_amounts(store, customer.id)


def _fill_in(store: Tables, draft: Draft, customer: Row) -> None:
    data = draft.data
    data["currency_id"] = customer.data.get("currency_id", DEFAULT_CURRENCY)
    if data.get("transaction_method") is None:
        method = data.get("gateway_method") or ""
        data["transaction_method"] = _METHODS.get(method, method)
    if data.get("transaction_detail"):
        data["transaction_detail"] = data["transaction_detail"][:_DETAIL]
    if data.get("transaction_datetime") is None:
        data["transaction_datetime"] = data["write_datetime"]
    if data.get("transaction_date") is None:
        data["transaction_date"] = data["transaction_datetime"][:10]
    data["transaction_ipaddr"] = store.caller.addr or "127.0.0.1"


def _best(store: Tables, customer: Row, fields: dict[str, Any], available: Decimal) -> list[Wish]:
    """What ``auto_apply`` picks: the open invoice of just that amount, else by date.

    ``best_fit`` is the one value that a source shows, "best match by amount and date".
    """
    if fields.get("auto_apply") is None:
        return []
    if text(fields["auto_apply"]) != "best_fit":
        raise Refused("There is no such auto_apply (the sandbox has best_fit)")
    invoices = store.of_customer("invoice", customer.id)
    due = [invoice for invoice in invoices if balance_of(store, invoice) > 0]
    due.sort(
        key=lambda invoice: (
            balance_of(store, invoice) != available,
            invoice.data["date"],
            invoice.id,
        )
    )
    return [Wish(invoice, None) for invoice in due]


def _seed(store: Tables, draft: Draft, _record: dict[str, Any]) -> None:
    data = draft.data
    data.setdefault("amount", _ZERO)
    data.setdefault("transaction_type", "pay")
    data["applied_to"] = entries(take_seeded(store, draft, data.get("applied_to") or ()))
    apply_seeded(store, draft)
    customer = store.row("customer", data.get("customer_id"))
    if customer is not None and "currency_id" not in data:
        data["currency_id"] = customer.data.get("currency_id", DEFAULT_CURRENCY)
    data.setdefault("transaction_datetime", data["write_datetime"])
    data.setdefault("transaction_date", data["transaction_datetime"][:10])


# Actions.


def _pay(store: Tables, fields: dict[str, Any]) -> Any:
    """Charges now; without an amount the invoices that are named decide it.

    UNVERIFIED: what no invoice is named for stays unapplied.
    """
    customer = need_named(store, fields, "customer", "customer")
    asked = wishes(store, customer, fields.get("applied_to"))
    if fields.get("amount") is not None:
        due = cents(fields["amount"])
    elif asked:
        due = sum((wish.applied or balance_of(store, wish.invoice) for wish in asked), _ZERO)
    else:
        raise missing("amount")
    if due <= 0:
        raise Refused("There is nothing to pay.")  # UNVERIFIED
    parts = share(store, asked, due, {})
    if fields.get("paymethods") is not None:
        methods = take_listed(store, customer, fields["paymethods"])
    else:
        methods = on_file(store, customer, asked[0].invoice if asked else None)
    paid = charge(store, customer, due, parts, methods)
    return paid if isinstance(paid, Answer) else {"id": paid.id}


def _change_applied(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    """Applies a payment or credit to these invoices and to no others."""
    if row.data.get("transaction_type") == "ref" or not counts(row):
        raise Refused("Refunds cannot be changed.")  # the rule is the page's, not the words
    if fields.get("applied_to") is None:
        raise missing("applied_to")
    customer = store.row("customer", row.data.get("customer_id"))
    if customer is None:
        raise Refused(INVALID)
    asked = wishes(store, customer, fields["applied_to"])
    held = held_by(row)
    available = unapplied_of(row) + applied_of(row)
    wanted = {invoice.id: part for invoice, part in share(store, asked, available, held)}
    for invoice_id in held:
        invoice = store.row("invoice", invoice_id)
        if invoice is not None:
            floor = refunded_on(store, row, invoice.id)
            if wanted.get(invoice_id, _ZERO) < floor:
                raise Refused(f"{floor} of this payment was refunded from invoice {invoice_id}.")
    column = COLUMN[row.data["transaction_type"]]
    moves: list[Part] = []
    for invoice_id in {**held, **wanted}:
        by = wanted.get(invoice_id, _ZERO) - held.get(invoice_id, _ZERO)
        invoice = store.row("invoice", invoice_id)
        if invoice is not None and by:
            check_move(invoice, column, by)
            moves.append(Part(invoice, by))
    hold(store, row, wanted)
    for invoice, by in moves:
        move(store, invoice, column, by)
    return True


def apply_balance(store: Tables, invoice: Row) -> bool:
    """Apply what the customer has unapplied to an invoice, oldest first; False if there is none."""
    found = False
    for row in store.of_customer("transaction", invoice.data.get("customer_id")):
        part = min(unapplied_of(row), balance_of(store, invoice))
        if part > 0 and row.data.get("transaction_type") != "ref":
            held = held_by(row)
            held[invoice.id] = held.get(invoice.id, _ZERO) + part
            hold(store, row, held)
            move(store, invoice, COLUMN[row.data["transaction_type"]], part)
            found = True
    return found


def _email(_store: Tables, _row: Row, _fields: dict[str, Any]) -> bool:
    """Nothing is mailed."""
    return True


# What is derived.


def _status(position: int) -> Derive:
    """One of name, string and state.

    The first is recorded. "Pending" and "Failed (decline)" are the page's names; the other strings
    and letters are UNVERIFIED.
    """

    def derive(store: Tables, row: Row) -> str:
        if row.data.get("void_datetime") is not None:
            return ("Void", "void-void", "v")[position]
        if not row.data.get("gateway_status", 1):
            return ("Failed (decline)", "failed-declined", "f")[position]
        if row.data.get("charged") and row.data.get("gateway_method") == "ach":
            day = dt.date.fromisoformat(row.data["transaction_date"])
            if (store.today() - day).days < PENDING_DAYS:
                return ("Pending", "pending-pending", "p")[position]
        return ("Success", "ok-successful", "o")[position]

    return derive


def _one(derive: Derive) -> NestedField:
    def values(store: Tables, row: Row) -> list[Any]:
        return [derive(store, row)]

    return NestedField(TEXT, values)


def _stored(name: str) -> NestedField:
    def values(_store: Tables, row: Row) -> list[Any]:
        return [row.data.get(name)]

    return NestedField(INTEGER, values)


def _invoice_ids(_store: Tables, row: Row) -> list[int]:
    return list(held_by(row))


def _of_package(name: str) -> Any:
    def values(store: Tables, row: Row) -> list[Any]:
        found: list[Any] = []
        for invoice_id in held_by(row):
            invoice = store.row("invoice", invoice_id)
            package_id = None if invoice is None else invoice.data.get("package_id")
            if name == "package_id":
                found.append(package_id)
            elif "package" in store.specs:
                package = store.row("package", package_id)
                found.append(None if package is None else package.data.get(name))
        return found

    return values


TRANSACTION = Spec(
    name="transaction",
    key="transaction_id",
    model=Transaction,
    # No source shows an update or a delete.
    commands=frozenset(("create",)),
    defaults={
        "brand_id": 1,
        "gateway_id": 205,  # recordings: what the API records without a gateway
        "gateway_status": 1,
        "gateway_msg": "",
        "gateway_err_code": 0,
        "currency_id": DEFAULT_CURRENCY,
        "amount": 0,
        "fee": 0,
        "applied_to": [],
    },
    read_only=frozenset(
        (
            *("brand_id", "gateway_err_code", "gateway_err_detail", "gateway_opts"),
            *("currency_id", "fee", "transaction_ipaddr"),
        )
    ),
    private=frozenset(
        ("payment_id", "returned", "charged", "creditcard_id", "ach_id", "tokenized_id")
    ),
    single_only=("applied_to", "refunds", "payments"),
    references={"customer": "customer"},
    derived={
        "currency_iso4217": currency("iso4217"),
        "currency_symbol": currency("symbol"),
        "applied": lambda _store, row: applied_of(row),
        "unapplied": lambda _store, row: unapplied_of(row),
        "transaction_status_name": _status(0),
        "transaction_status_str": _status(1),
        "transaction_status_state": _status(2),
        "transaction_type_name": lambda _store, row: TYPES.get(
            row.data.get("transaction_type") or "", ""
        ),
        "refunds": refunds,
        "payments": payment_refunded,
        "url_self": lambda store, row: f"{store.site}/admin/r/transaction/view/{row.id}",
    },
    nested={
        "applied_to.invoice_id": NestedField(INTEGER, _invoice_ids),
        "applied_to.package_id": NestedField(INTEGER, _of_package("package_id")),
        "applied_to.package_external_key": NestedField(TEXT, _of_package("external_key")),
        "transaction_status.str": _one(_status(1)),
        "transaction_status.state": _one(_status(2)),
        **{name: _stored(name) for name in ("creditcard_id", "ach_id", "tokenized_id")},
    },
    indexes=("customer_id", "payment_id"),
    events={"insert": (), "status": ()},
    on_create=_create,
    on_seed=_seed,
    actions={
        "refund": refund,
        "void": void,
        "email": _email,
        "changeAppliedAmounts": _change_applied,
    },
    collection_actions={"pay": _pay},
)
