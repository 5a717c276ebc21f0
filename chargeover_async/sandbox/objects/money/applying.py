"""Transactions applied to invoices: the arithmetic, and the invoices that it moves.

Invariants, whatever is done in whatever order:

1. What an invoice shows as payments and credits is what a seed gave it plus what the payments and
   credits that are applied to it hold for it. Refunds take nothing from what it shows as payments,
   though they do from what it is stored as; ``applied`` counts them once more (recording
   `query_invoices` of the vendor's Ruby client: 99 paid and given back are payments of 99, applied
   198 and a balance of 99).
2. An invoice's balance does not fall below zero: what is too much becomes unapplied again.
3. ``applied`` and ``unapplied`` of a transaction add up to its amount, less what was refunded of
   the part that was not applied (``returned``).
4. A payment stays applied with at least what its own refunds took from an invoice, and the payments
   of an invoice less its refunds, and its credits, do not fall below zero.

No source shows how the real account splits a payment: where it is not stated otherwise the rules
here are UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from chargeover_async.sandbox.protocol.answers import INVALID, Refused, amount
from chargeover_async.sandbox.protocol.values import is_array, is_object, number
from chargeover_async.sandbox.records.events import tell_hooks
from chargeover_async.sandbox.records.refs import need_named
from chargeover_async.sandbox.store.row import Draft, Record, Row
from chargeover_async.sandbox.store.tables import Tables, check_names

from .due import balance_of, forget_amounts, status_of

_ZERO = Decimal(0)
_CENTS = -2

# What each type moves on an invoice.
COLUMN = {"pay": "payments", "ref": "refunded", "spl": "payments", "cre": "credits"}


class Wish(NamedTuple):
    """An invoice to apply to, and how much; None for as much as there is."""

    invoice: Row
    applied: Decimal | None


class Part(NamedTuple):
    """A part of a transaction that is applied to an invoice."""

    invoice: Row
    applied: Decimal


def cents(sent: object) -> Decimal:
    """An amount of money; more than two digits behind the point are refused (UNVERIFIED)."""
    value = number(sent)
    if value.normalize().as_tuple().exponent < _CENTS:  # type: ignore[operator]
        raise Refused(INVALID)
    return value


def wishes(store: Tables, customer: Row, sent: Any) -> list[Wish]:
    """What an ``applied_to`` asks for: a list, or an object with the keys "0", "1", ...

    An entry may be an invoice's id alone, number or text (recordings `invoice_attempt_payment`,
    `attempt_payment_of_invoice` of the vendor's Ruby client), and stand without a list (the
    vendor's PHP example of a payment).
    The invoices must be the customer's own or those of its children, whom a parent may pay for.
    Source of the two shapes: page "Adjust applied amounts" and the vendor's PHP sample.
    """
    if sent is None:
        return []
    if is_object(sent):
        keyed = sent
        if any(key.startswith("invoice_") for key in keyed):
            sent = [keyed]
        elif all(key.isascii() and key.isdigit() for key in keyed):
            sent = list(keyed.values())
        else:
            raise Refused(INVALID)
    if not is_array(sent):
        raise Refused(INVALID)
    found: dict[int, Wish] = {}
    for entry in sent:
        if isinstance(entry, (int, str)):
            entry = {"invoice_id": entry}
        if not is_object(entry):
            raise Refused(INVALID)
        invoice = need_named(store, entry, "invoice", "invoice")
        if not may_pay(store, customer, invoice):
            raise Refused(f"Invoice {invoice.id} is not one of customer {customer.id}.")
        if invoice.id in found:
            raise Refused(f"Invoice {invoice.id} is named twice in applied_to.")
        asked = entry.get("applied")
        found[invoice.id] = Wish(invoice, None if asked is None else cents(asked))
    return list(found.values())


def may_pay(store: Tables, customer: Row, invoice: Row) -> bool:
    """Whether an invoice is the customer's own or that of one of its children."""
    owner = store.row("customer", invoice.data.get("customer_id"))
    if owner is None:
        return False
    return customer.id in (owner.id, owner.data.get("parent_customer_id"))


def share(
    store: Tables, asked: Iterable[Wish], available: Decimal, held: dict[int, Decimal]
) -> list[Part]:
    """Split ``available`` over invoices, in order; ``held`` is what the payer gives back first.

    An amount that is not given is as much as there is and is due (recording
    `create_and_apply_payment`); one that is given must be there and must be due.
    """
    parts: list[Part] = []
    for invoice, wanted in asked:
        due = balance_of(store, invoice) + held.get(invoice.id, _ZERO)
        applied = min(available, due) if wanted is None else wanted
        if wanted is not None and wanted < 0:
            raise Refused(INVALID)
        if applied > due:
            raise Refused(f"Invoice {invoice.id} has only {due} due, not {applied}.")
        if applied > available:
            raise Refused(f"There is only {available} to apply, not {applied}.")
        if applied > 0:
            parts.append(Part(invoice, applied))
            available -= applied
    return parts


def take_back(asked: Iterable[Wish], available: Decimal) -> list[Part]:
    """The parts of a refund, all negative: what it takes from the payments on invoices.

    ``available`` is negative, as the amount of a refund is.
    """
    parts: list[Part] = []
    for invoice, wanted in asked:
        paid = Decimal(invoice.data.get("payments") or 0)
        applied = max(available, -paid) if wanted is None else wanted
        if applied > 0 or applied < available:
            raise Refused(f"Invoice {invoice.id}: {applied} is not a part of {available}.")
        if -applied > paid:
            raise Refused(f"Invoice {invoice.id} has payments of {paid} only.")
        if applied < 0:
            parts.append(Part(invoice, applied))
            available -= applied
    return parts


# What a transaction holds.


def held_by(row: Record) -> dict[int, Decimal]:
    """Invoice -> what a transaction has applied to it."""
    return {
        int(entry["invoice_id"]): Decimal(entry["applied"])
        for entry in row.data.get("applied_to") or ()
    }


def applied_of(row: Row) -> Decimal:
    """What is applied of a transaction."""
    return sum(held_by(row).values(), _ZERO)


def unapplied_of(row: Row) -> Decimal:
    """What is left of a transaction to apply; nothing of one that failed or is void."""
    if not counts(row):
        return _ZERO
    return Decimal(row.data.get("amount") or 0) - applied_of(row) - (row.data.get("returned") or 0)


def counts(row: Record) -> bool:
    """Whether a transaction moved money: it succeeded and is not void."""
    return bool(row.data.get("gateway_status", 1)) and row.data.get("void_datetime") is None


def touching(store: Tables, invoice: Record) -> Iterator[Row]:
    """The transactions that are applied to an invoice, oldest first."""
    customer = store.row("customer", invoice.data.get("customer_id"))
    if customer is None:
        return
    payers = (customer.id, customer.data.get("parent_customer_id"))
    rows = [row for payer in payers for row in store.of_customer("transaction", payer)]
    for row in sorted(rows, key=lambda row: row.id):
        if invoice.id in held_by(row):
            yield row


# What is written.


def entries(held: dict[int, Decimal]) -> list[dict[str, Any]]:
    """``applied_to`` as it is stored and shown; the id is a number in 9 of 11 recordings."""
    return [
        {"invoice_id": id_, "applied": amount(applied)} for id_, applied in held.items() if applied
    ]


def hold(store: Tables, row: Row, held: dict[int, Decimal], **changes: Any) -> None:
    """Change what a stored transaction has applied."""
    store.change(row, applied_to=entries(held), **changes)
    store.forget(row, ("applied", "unapplied"))


def move(store: Tables, invoice: Row, column: str, by: Decimal, *, is_event: bool = True) -> None:
    """Change an invoice's payments, refunds or credits, and what follows from them."""
    before = status_of(store, invoice)
    store.change(invoice, **_moved(invoice, column, by))
    store.forget(invoice)
    if invoice.data.get("void_datetime") is not None:
        return
    paid = balance_of(store, invoice) <= 0
    if paid != (invoice.data.get("paid_date") is not None):
        store.change(invoice, paid_date=store.today().isoformat() if paid else None)
    forget_amounts(store, invoice.data.get("customer_id"))
    if is_event and status_of(store, invoice) != before:
        tell_hooks(store, "invoice", invoice, "status")


def _moved(invoice: Record, column: str, by: Decimal) -> dict[str, Decimal]:
    changes: dict[str, Decimal] = {}
    if column == "refunded":
        changes[column] = max(Decimal(invoice.data.get(column) or 0) - by, _ZERO)
        column = "payments"  # which are stored less what was refunded of them
    changes[column] = Decimal(invoice.data.get(column) or 0) + by
    return changes


# What a seed applies.


def take_seeded(store: Tables, payer: Draft, sent: Iterable[Any]) -> dict[int, Decimal]:
    """Invoice -> what a seed applies to it; where it says no amount, all there is and is due."""
    left = Decimal(payer.data["amount"])
    held: dict[int, Decimal] = {}
    replaced = store.row("transaction", payer.id)
    before = {} if replaced is None else held_by(replaced)
    for entry in sent:
        fields = entry if is_object(entry) else {"invoice_id": entry}
        check_names("applied_to of a transaction", fields, ("invoice_id", "applied"))
        id_ = int(fields["invoice_id"])
        if fields.get("applied") is not None:
            held[id_] = Decimal(str(fields["applied"]))
        else:
            invoice = store.row("invoice", id_)
            due = left if invoice is None else balance_of(store, invoice) + before.get(id_, _ZERO)
            held[id_] = min(left, due)
        left -= held[id_]
    return held


def apply_seeded(store: Tables, payer: Draft) -> None:
    """Let the invoices that are there have what a seeded transaction applies, in place of before.

    Not those whose own seed says what was paid: it counts this already.
    """
    before = store.row("transaction", payer.id)
    for record, sign in ((before, -1), (payer, 1)):
        if record is None or not counts(record):
            continue
        column = COLUMN[record.data["transaction_type"]]
        for id_, part in held_by(record).items():
            invoice = store.row("invoice", id_)
            if invoice is not None and not _is_given(invoice, column):
                move(store, invoice, column, sign * part, is_event=False)


def add_seeded(store: Tables, invoice: Draft) -> None:
    """Let a seeded invoice have what the transactions that are there apply to it."""
    for row in touching(store, invoice):
        column = COLUMN[row.data["transaction_type"]]
        if counts(row) and not _is_given(invoice, column):
            invoice.data |= _moved(invoice, column, held_by(row)[invoice.id])


def _is_given(invoice: Record, column: str) -> bool:
    name = "payments" if column == "refunded" else column
    return name in (invoice.data.get("as_given") or ())


def date_now(store: Tables, draft: Draft) -> None:
    """Let a new transaction be of this moment, and of whoever asked for it."""
    stamp: str = draft.data["write_datetime"]
    draft.data["transaction_datetime"], draft.data["transaction_date"] = stamp, stamp[:10]
    draft.data["transaction_ipaddr"] = store.caller.addr or "127.0.0.1"


def check_move(invoice: Row, column: str, by: Decimal) -> None:
    """Refuse what a refund has been taken from already."""
    if Decimal(invoice.data.get(column) or 0) + by < 0:
        raise Refused(f"Part of this was refunded from invoice {invoice.id}.")


def settle(store: Tables, invoice: Row) -> None:
    """Give back what is applied beyond an invoice's total, the newest payment first."""
    excess = -balance_of(store, invoice)
    if excess > 0 and invoice.data.get("void_datetime") is None:
        _give_back(store, invoice, excess)


def release(store: Tables, invoice: Row) -> None:
    """Unapply everything from an invoice, which is about to be void or gone."""
    for row in list(touching(store, invoice)):
        if row.data.get("transaction_type") == "ref":
            detach(store, row, invoice)
    _give_back(store, invoice, None)


def detach(store: Tables, refund: Row, invoice: Row) -> None:
    """Count a refund's part of an invoice against the unapplied part of its payment instead."""
    held = held_by(refund)
    part = held.pop(invoice.id)
    payment = store.row("transaction", refund.data.get("payment_id"))
    if payment is None:
        hold(store, refund, held)
    else:
        hold(store, refund, held, returned=(refund.data.get("returned") or 0) + part)
        hold(
            store,
            payment,
            held_by(payment),
            returned=(payment.data.get("returned") or 0) - part,
        )
    move(store, invoice, COLUMN["ref"], -part)


def _give_back(store: Tables, invoice: Row, excess: Decimal | None) -> None:
    for row in reversed(list(touching(store, invoice))):
        if row.data.get("transaction_type") == "ref":
            continue
        held = held_by(row)
        column = COLUMN[row.data["transaction_type"]]
        part = held[invoice.id] - refunded_on(store, row, invoice.id)
        part = min(part, Decimal(invoice.data.get(column) or 0))
        if excess is not None:
            part = min(part, excess)
        if part > 0:
            excess = None if excess is None else excess - part
            held[invoice.id] -= part
            hold(store, row, held)
            move(store, invoice, column, -part)


def refunded_on(store: Tables, payment: Row, invoice_id: int) -> Decimal:
    """What refunds of ``payment`` have taken from an invoice."""
    return -sum(
        (held_by(refund).get(invoice_id, _ZERO) for refund in refunds_of(store, payment)), _ZERO
    )


def refundable_on(store: Tables, payment: Row, invoice_id: int) -> Decimal:
    """What is left on an invoice of what ``payment`` paid; it need not be stored (a seed)."""
    left = held_by(payment)[invoice_id] - refunded_on(store, payment, invoice_id)
    invoice = store.row("invoice", invoice_id)
    return left if invoice is None else min(left, Decimal(invoice.data.get("payments") or 0))


def refunds_of(store: Tables, payment: Row) -> list[Row]:
    """The refunds of a payment that are not void, oldest first."""
    return [row for row in store.having("transaction", "payment_id", payment.id) if counts(row)]
