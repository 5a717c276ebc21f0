"""What is due on an invoice, and the status that follows from it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Derive, Tables

_ZERO = Decimal(0)

# Fields of a customer that its invoices and transactions decide.
TOTALS = ("total", "balance", "paid")
STATUS = (
    "customer_status_id",
    "customer_status_name",
    "customer_status_str",
    "customer_status_state",
)


# Of a subscription: what its invoices decide.
AMOUNTS = (
    *("amount_collected", "amount_invoiced", "amount_due", "amount_overdue"),
    *("is_overdue", "days_overdue"),
)
# Fields of a customer that its subscriptions decide.
RECURRING = ("mrr", "arr")


def balance_of(_store: Tables, row: Row) -> Decimal:
    """The total less what was paid, credited and written off; nothing of a void invoice."""
    data = row.data
    if data.get("void_datetime") is not None:
        return _ZERO
    due: Decimal = data["total"]
    for name in ("payments", "credits", "writeoffs"):
        due -= data.get(name) or 0
    return due


def is_paid(store: Tables, row: Row) -> bool:
    """True for a void invoice as well (recording `send_invoice`)."""
    return balance_of(store, row) <= 0


def is_overdue(store: Tables, row: Row) -> bool:
    """Not yet on the due date itself (recording `one_invoice`)."""
    return not is_paid(store, row) and store.today().isoformat() > row.data["due_date"]


def days_overdue(store: Tables, row: Row) -> int:
    """Whole days since the due date of an invoice that is overdue."""
    if not is_overdue(store, row):
        return 0
    return (store.today() - dt.date.fromisoformat(row.data["due_date"])).days


def status_of(store: Tables, row: Row) -> tuple[str, str, str]:
    """Name, string and state; all four of them are recorded."""
    if row.data.get("void_datetime") is not None:
        return ("Void", "closed-void", "c")
    if is_paid(store, row):
        return ("Paid", "closed-paid", "c")
    if is_overdue(store, row):
        return ("Overdue", "open-overdue", "o")
    return ("Unpaid", "open-unpaid", "o")


def status(position: int) -> Derive:
    """Derives one of name, string and state."""
    return lambda store, row: status_of(store, row)[position]


def forget_amounts(store: Tables, customer_id: int | None) -> None:
    """Tell a seeded customer, and its subscriptions, that given totals are no longer true."""
    row = store.row("customer", customer_id)
    if row is not None:
        store.forget(row, (*TOTALS, *STATUS))
    for package in store.of_customer("package", customer_id):
        store.forget(package, AMOUNTS)


def forget_recurring(store: Tables, customer_id: int | None) -> None:
    """Tell a seeded customer that its given recurring amounts are no longer true."""
    row = store.row("customer", customer_id)
    if row is not None:
        store.forget(row, RECURRING)
