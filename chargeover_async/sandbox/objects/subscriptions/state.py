"""What state a subscription is in, and what it has invoiced and brings; all of it is derived."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from chargeover_async.sandbox.objects.account import cycles
from chargeover_async.sandbox.objects.account.pricing import EXACT, price_of
from chargeover_async.sandbox.store.row import Record, Row
from chargeover_async.sandbox.store.tables import Derive, Tables

from .line import is_trial, lines_of, quantity_of

_ZERO = Decimal(0)
_CENT = Decimal("0.01")
STATUS = (
    "package_status_id",
    "package_status_name",
    "package_status_str",
    "package_status_state",
)
# Id, name, string and state. Ids 2, 3 and 5 and their names are recorded; those of the others are
# UNVERIFIED.
_TRIAL = (1, "Trial", "active-trial", "a")
_CURRENT = (2, "Current", "active-current", "a")
_OVERDUE = (3, "Over Due", "active-overdue", "a")
_CANCELED = (5, "Canceled manually", "canceled-manual", "c")
_EXPIRED = (6, "Expired", "expired-expired", "e")
_SUSPENDED = (8, "Suspended", "suspended-suspended", "s")
_BY_STRING = {
    status[2]: status
    for status in (
        *(_TRIAL, _CURRENT, _OVERDUE, _CANCELED, _EXPIRED, _SUSPENDED),
        # Only a seed has these.
        (4, "Canceled for non-payment", "canceled-nonpayment", "c"),
        (7, "Expired trial", "expired-trial", "e"),
    )
}


def _status_of(store: Tables, row: Record) -> tuple[int, str, str, str]:
    """Id, name, string and state at this moment, or those of the status that a seed fixed."""
    given = (row.given or {}).get("package_status_str")
    if given in _BY_STRING:
        return _BY_STRING[given]
    now, get = store.stamp(), row.data.get
    cancelled, start, end = (
        get(name) for name in ("cancel_datetime", "suspendfrom_datetime", "suspendto_datetime")
    )
    if cancelled is not None and cancelled <= now:
        return _CANCELED
    lines = lines_of(store, row.id)
    expiries = [line.data.get("expire_datetime") for line in lines]
    if lines and all(expiry is not None and expiry <= now for expiry in expiries):
        return _EXPIRED
    if start is not None and start <= now and (end is None or now < end):
        return _SUSPENDED
    if lines and all(is_trial(line, now) for line in lines):
        return _TRIAL
    if any(_invoice(store, invoice, "is_overdue") for invoice in _invoices(store, row)):
        return _OVERDUE
    return _CURRENT


def status(position: int) -> Derive:
    return lambda store, row: _status_of(store, row)[position]


def state_of(store: Tables, row: Record) -> str:
    """One letter: active, suspended, cancelled or expired."""
    given: str | None = (row.given or {}).get("package_status_state")
    return _status_of(store, row)[3] if given is None else given


def _invoices(store: Tables, row: Record) -> Iterable[Row]:
    """The invoices of a subscription that are not void.

    Recordings: what a subscription had invoiced was 0 again once its invoice was void.
    """
    invoices = store.having("invoice", "package_id", row.id)
    return [invoice for invoice in invoices if invoice.data.get("void_datetime") is None]


def _invoice(store: Tables, invoice: Row, name: str) -> Any:
    return store.value(store.specs["invoice"], invoice, name)


def invoiced(store: Tables, row: Row) -> Decimal:
    return sum((_invoice(store, invoice, "total") for invoice in _invoices(store, row)), _ZERO)


def due(store: Tables, row: Row) -> Decimal:
    return sum((_invoice(store, invoice, "balance") for invoice in _invoices(store, row)), _ZERO)


def overdue(store: Tables, row: Row) -> Decimal:
    late = [invoice for invoice in _invoices(store, row) if _invoice(store, invoice, "is_overdue")]
    return sum((_invoice(store, invoice, "balance") for invoice in late), _ZERO)


def days_overdue(store: Tables, row: Row) -> int:
    days = [_invoice(store, invoice, "days_overdue") for invoice in _invoices(store, row)]
    return max(days, default=0)


def recurring(often: Fraction) -> Derive:
    """What an active subscription brings every month or year.

    The vendor's text has no more than "current monthly recurring revenue". UNVERIFIED: set-up,
    usage and trials count nothing, taxes are left out, a year has 52 weeks.
    """

    def derive(store: Tables, row: Row) -> Decimal:
        total = _ZERO
        if state_of(store, row) != "a":
            return total
        now, cycle = store.stamp(), row.data["paycycle"]
        for line in lines_of(store, row.id):
            if is_trial(line, now):
                continue
            tierset = line.data["tierset"]
            factor = cycles.per_year(cycle) * cycles.times(tierset["paycycle"], cycle) * often
            price = price_of(tierset, quantity_of(line))
            price = EXACT.multiply(price, Decimal(factor.numerator))
            total = EXACT.add(total, EXACT.divide(price, Decimal(factor.denominator)))
        return total.quantize(_CENT, ROUND_HALF_UP, EXACT)

    return derive


def last_invoiced(store: Tables, row: Row) -> dt.date | None:
    """The day of the last invoice; of a seeded subscription, a cycle before the next one."""
    days = [invoice.data["date"] for invoice in _invoices(store, row)]
    if days:
        return dt.date.fromisoformat(max(days))
    if row.given is not None and row.given.get("amount_invoiced"):
        due = row.data.get("next_invoice_datetime")
        return cycles.before(due, row.data["paycycle"]) if due else None
    return None
