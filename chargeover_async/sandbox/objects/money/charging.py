"""Charging a customer: which method is tried, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from chargeover_async.sandbox.protocol.answers import INVALID, Answer, Refused, missing
from chargeover_async.sandbox.protocol.values import is_array, is_object, text
from chargeover_async.sandbox.records.events import tell_hooks
from chargeover_async.sandbox.records.refs import find_named
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Tables

from . import ach, tokenized
from .applying import COLUMN, Part, date_now, entries, move
from .creditcard import decline_of as card_decline
from .creditcard import expiry, is_expired
from .due import forget_amounts
from .gateway import BRANDS, EXPIRED, METHODS, brand_of, card_number, mask_account, mask_card

# Recordings: test card payments have 201, what the API records 205.
CHARGED_BY = 201


class Method(NamedTuple):
    """A way to pay: how its transactions show it, and why it is declined, if it is."""

    method: str
    name: str
    detail: str
    decline: str | None
    stored: dict[str, int]


def take_given(store: Tables, fields: dict[str, Any]) -> Method:
    """A method from a request: one that is stored, or a new card or bank account.

    A new one is used once and not stored (UNVERIFIED).
    """
    for object_ in METHODS.values():
        row = find_named(store, fields, object_, object_)
        if row is not None:
            return use_stored(store, object_, row)
    if fields.get("routing") is not None:
        routing_and_number = ach.account_number(fields)
        ach.account_type(fields)
        return _bank(mask_account(routing_and_number[1]), ach.decline_of(routing_and_number[1]))
    if fields.get("number") is None:
        raise missing("number")
    number = card_number(text(fields["number"]))
    expdate = expiry(fields)
    if expdate is None:
        raise missing("expdate")
    decline = EXPIRED if is_expired(store, expdate) else card_decline(number)
    return _card(brand_of(number).type, mask_card(number), decline)


def use_stored(store: Tables, object_: str, row: Row) -> Method:
    """A stored method."""
    kept = {f"{object_}_id": row.id}
    if object_ == "creditcard":
        decline = EXPIRED if is_expired(store, row.data.get("expdate")) else row.data.get("decline")
        shown = row.data.get("mask_number") or ""
        return _card(row.data.get("type") or "", shown, decline)._replace(stored=kept)
    if object_ == "ach":
        found = _bank(row.data.get("mask_number") or "", row.data.get("decline"))
        return found._replace(stored=kept)
    decline = tokenized.decline_of(tokenized.gateway_token(row))
    if is_expired(store, row.data.get("expdate")):
        decline = EXPIRED
    # UNVERIFIED: how a payment with a token shows its method.
    brand = BRANDS.get(row.data.get("type_hint") or "", BRANDS[""])
    return Method(
        brand.method, brand.name or "Tokenized", row.data.get("name") or "", decline, kept
    )


def _card(kind: str, shown: str, decline: str | None) -> Method:
    brand = BRANDS.get(kind, BRANDS[""])
    return Method(brand.method, brand.name or "Credit Card", shown, decline, {})


def _bank(shown: str, decline: str | None) -> Method:
    return Method("ach", "ACH/eCheck", shown, decline, {})  # the name is UNVERIFIED


def take_listed(store: Tables, customer: Row, sent: Any) -> list[Method]:
    """The entries of ``paymethods``, in order; stored ones must be the customer's."""
    if not is_array(sent) or not sent:
        raise Refused(INVALID)
    methods: list[Method] = []
    for entry in sent:
        if not is_object(entry):
            raise Refused(INVALID)
        for object_ in METHODS.values():
            row = find_named(store, entry, object_, object_)
            if row is not None and row.data.get("customer_id") != customer.id:
                raise Refused(f"This {object_} is not one of customer {customer.id}.")
        methods.append(take_given(store, entry))
    return methods


def on_file(store: Tables, customer: Row, invoice: Row | None = None) -> list[Method]:
    """The subscription's method, then the customer's default, then all that are stored.

    Source: page "Make a payment".
    """
    ordered: dict[tuple[str, int], None] = {}
    package = None
    if invoice is not None and "package" in store.specs:
        package = store.row("package", invoice.data.get("package_id"))
    for owner, prefix in ((package, ""), (customer, "default_")):
        if owner is None:
            continue
        object_ = METHODS.get(owner.data.get(f"{prefix}paymethod") or "")
        if object_ is None:
            continue
        id_ = owner.data.get(f"{prefix}{object_}_id")
        for row in store.of_customer(object_, customer.id):
            if id_ in (None, row.id):
                ordered[object_, row.id] = None
    for object_ in METHODS.values():
        for row in store.of_customer(object_, customer.id):
            ordered[object_, row.id] = None
    return [use_stored(store, object_, store.table(object_).rows[id_]) for object_, id_ in ordered]


def charge(
    store: Tables,
    customer: Row,
    due: Decimal,
    parts: Sequence[Part],
    methods: Sequence[Method],
) -> Row | Answer:
    """Try the methods in turn; the payment that was made, or the error of the last decline.

    Each try leaves a transaction, also one that was declined.
    """
    if not methods:
        # UNVERIFIED wording.
        raise Refused("This customer has no payment method on file.")
    reason: str | None = None
    for method in methods:
        reason = method.decline
        row = _record(store, customer, due, () if reason else parts, method)
        if reason is None:
            return row
        for invoice, _ in parts:
            declines = (invoice.data.get("declines") or 0) + 1
            store.change(invoice, declines=declines)
    # Recorded text (a client's fixture attempt_failure_of_invoice).
    return Answer(400, f"This transaction could not be processed: {reason}", False)


def _record(
    store: Tables, customer: Row, due: Decimal, parts: Sequence[Part], method: Method
) -> Row:
    taken = method.decline is None
    draft = store.draft(
        "transaction",
        {
            "customer_id": customer.id,
            "currency_id": customer.data.get("currency_id", 1),
            "transaction_type": "pay",
            "gateway_id": CHARGED_BY,
            "gateway_status": int(taken),
            "gateway_transid": f"sandbox-{store.token()}" if taken else None,
            "gateway_method": method.method,
            "gateway_msg": "" if taken else method.decline,
            "gateway_err_code": 0 if taken else 1,
            "amount": due,
            "transaction_method": method.name,
            "transaction_detail": method.detail[:32],
            "applied_to": entries({invoice.id: applied for invoice, applied in parts}),
            "charged": True,
            **method.stored,
        },
    )
    date_now(store, draft)
    row = store.insert(draft)
    for invoice, applied in parts:
        move(store, invoice, COLUMN["pay"], applied)
    forget_amounts(store, customer.id)
    tell_hooks(store, "transaction", row, "insert")
    return row
