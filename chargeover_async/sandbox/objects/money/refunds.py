"""Giving back: refunds of payments, and transactions that are taken back as a whole.

Source: the vendor's clients for refund and void.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from chargeover_async.sandbox.protocol.answers import Refused
from chargeover_async.sandbox.records.events import tell_hooks
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Tables

from .applying import (
    COLUMN,
    Part,
    cents,
    check_move,
    counts,
    date_now,
    entries,
    held_by,
    hold,
    move,
    refundable_on,
    refunds_of,
    settle,
    unapplied_of,
)
from .due import forget_amounts

_ZERO = Decimal(0)


def refund(store: Tables, row: Row, fields: dict[str, Any]) -> dict[str, str]:
    """Gives a payment back, the part that is not applied first, then what invoices hold of it.

    UNVERIFIED: that order, and that no more can be refunded than was paid.
    """
    if row.data.get("transaction_type") not in ("pay", "spl") or not counts(row):
        raise Refused("Only a successful payment can be refunded.")
    free = max(unapplied_of(row), _ZERO)
    parts = {id_: refundable_on(store, row, id_) for id_ in reversed(held_by(row))}
    left = free + sum(parts.values(), _ZERO)
    total = left if fields.get("amount") is None else cents(fields["amount"])
    if not 0 < total <= left:
        raise Refused(f"There is only {left} to refund.")
    free = min(total, free)
    rest, taken = total - free, dict[int, Decimal]()
    for invoice_id, most in parts.items():
        part = min(rest, most)
        if part > 0:
            taken[invoice_id] = -part
            rest -= part
    data = row.data
    draft = store.draft(
        "transaction",
        {
            **{
                name: data.get(name)
                for name in (
                    *(
                        "customer_id",
                        "currency_id",
                        "gateway_id",
                        "gateway_transid",
                        "gateway_method",
                    ),
                    *("transaction_method", "transaction_detail", "creditcard_id", "ach_id"),
                    "tokenized_id",
                )
            },
            "transaction_type": "ref",
            "gateway_status": 1,
            "amount": -total,
            "applied_to": entries(taken),
            "payment_id": row.id,
            "returned": -free,
        },
    )
    date_now(store, draft)
    made = store.insert(draft)
    hold(store, row, held_by(row), returned=(data.get("returned") or 0) + free)
    for invoice_id, part in taken.items():
        invoice = store.row("invoice", invoice_id)
        if invoice is not None:
            move(store, invoice, COLUMN["ref"], part)
    forget_amounts(store, data.get("customer_id"))
    tell_hooks(store, "transaction", made, "insert")
    return {"id": str(made.id)}  # text in all three recordings of the vendor's Ruby client


def void(store: Tables, row: Row, _fields: dict[str, Any]) -> bool:
    """Takes a transaction back, and with it what it did to invoices; twice changes nothing.

    UNVERIFIED: that a payment with refunds cannot be voided.
    """
    if row.data.get("void_datetime") is not None:
        return True
    if refunds_of(store, row):
        raise Refused("This payment has refunds and cannot be voided.")
    held, returned = held_by(row), row.data.get("returned") or _ZERO
    column = COLUMN[row.data["transaction_type"]]
    invoices = [(store.row("invoice", id_), applied) for id_, applied in held.items()]
    touched = [Part(invoice, applied) for invoice, applied in invoices if invoice is not None]
    for invoice, applied in touched:
        check_move(invoice, column, -applied)
    hold(store, row, {}, void_datetime=store.stamp(), returned=_ZERO)
    store.forget(row)
    payment = store.row("transaction", row.data.get("payment_id"))
    if payment is not None:
        kept = (payment.data.get("returned") or _ZERO) + returned
        hold(store, payment, held_by(payment), returned=kept)
    for invoice, applied in touched:
        move(store, invoice, column, -applied)
        settle(store, invoice)
    forget_amounts(store, row.data.get("customer_id"))
    tell_hooks(store, "transaction", row, "status")
    return True


def refunds(store: Tables, row: Row) -> list[dict[str, int]] | None:
    found = [{"transaction_id": refund.id} for refund in refunds_of(store, row)]
    return found or None


def payment_refunded(_store: Tables, row: Row) -> list[dict[str, int]] | None:
    """The payment that a refund belongs to (the shape of an entry is UNVERIFIED)."""
    payment_id = row.data.get("payment_id")
    return None if payment_id is None else [{"transaction_id": payment_id}]
