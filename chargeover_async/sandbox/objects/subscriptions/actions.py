"""What can be done with a subscription.

Source: page "Upgrade/downgrade a subscription" and those of the other actions; recordings
`upgrade_a_package`, `cancel_package` and others.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from chargeover_async.sandbox.objects.account import cycles
from chargeover_async.sandbox.objects.account.shared import DEFAULT_CURRENCY
from chargeover_async.sandbox.objects.money.due import (
    AMOUNTS,
    RECURRING,
    forget_amounts,
    forget_recurring,
)
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import date, integer, moment, text
from chargeover_async.sandbox.records.events import tell_hooks
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Action, Tables

from .billing import issue
from .line import check_upgrade, drop, put
from .paying import set_paymethod
from .state import STATUS, last_invoiced, state_of

_NEXT_SCHEDULED = "NEXT_SCHEDULED_INVOICE"  # page "Invoice a subscription now"


def _forget_given(store: Tables, row: Row) -> None:
    store.forget(row, (*STATUS, *RECURRING))
    forget_recurring(store, row.data.get("customer_id"))


def _upgrade(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    """Replaces, adds and drops lines.

    Recordings `upgrade_a_package`, `add_line_item`: a changed line comes back at its place under a
    new id, subscribed now; the others stay as they are. No proration is invoiced.
    """
    if not fields.get("line_items"):
        raise missing("line_items")
    replacing, adding, dropped = check_upgrade(store, row, fields["line_items"])
    for line in dropped:
        drop(store, line)
    for new in (*replacing, *adding):
        put(store, row, new, row.data.get("currency_id", DEFAULT_CURRENCY))
    _forget_given(store, row)
    tell_hooks(store, "package", row, "upgrade")
    return True


def _set_paycycle(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    """Recording `update_package_payment_cycle`: the next invoice moves, prices stay."""
    if fields.get("paycycle") is None:
        raise missing("paycycle")
    cycle = cycles.known_cycle(text(fields["paycycle"]))
    last = last_invoiced(store, row)
    if last is not None and row.data.get("next_invoice_datetime"):
        store.change(row, next_invoice_datetime=cycles.after(last, cycle))
    store.change(row, paycycle=cycle)
    store.forget(row, ("paycycle_name",))
    _forget_given(store, row)
    tell_hooks(store, "package", row, "paycycle")
    return True


def _invoice_now(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    """Makes the invoice; the next one comes a cycle after it (UNVERIFIED).

    The page answers true; that a cancelled, expired or suspended one is refused is UNVERIFIED.
    """
    sent = fields.get("date")
    if state_of(store, row) != "a":
        raise Refused("This package is not active and cannot be invoiced.")
    due = row.data.get("next_invoice_datetime")
    if sent is None:
        day = store.today()
    elif sent == _NEXT_SCHEDULED and due:
        day = dt.date.fromisoformat(due[:10])
    else:
        day = dt.date.fromisoformat(date(sent, store.zone))
    following = cycles.after(day, row.data["paycycle"])
    issue(store, row, day)
    store.change(row, next_invoice_datetime=following)
    store.forget(row, AMOUNTS)
    _forget_given(store, row)
    forget_amounts(store, row.data.get("customer_id"))
    return True


def _suspend(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    """From now on, or from the moment given; without an end until it is lifted."""
    start, end = (
        None if fields.get(name) is None else moment(fields[name], store.zone)
        for name in ("suspendfrom_datetime", "suspendto_datetime")
    )
    if start is None:
        start = store.stamp()
    if end is not None and end <= start:
        raise Refused(INVALID)  # UNVERIFIED
    store.change(row, suspendfrom_datetime=start, suspendto_datetime=end)
    _forget_given(store, row)
    return True


def _unsuspend(store: Tables, row: Row, _fields: dict[str, Any]) -> bool:
    store.change(row, suspendfrom_datetime=None, suspendto_datetime=None)
    _forget_given(store, row)
    return True


def _cancel(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    """Recording `cancel_package`: no next invoice, lines untouched; a date puts it off.

    UNVERIFIED: cancelling a second time changes nothing; the reason, a number without a list of
    names, is not kept.
    """
    if fields.get("cancel_reason_id") is not None:
        integer(fields["cancel_reason_id"])
    on = fields.get("cancel_date")
    when = store.stamp() if on is None else moment(on, store.zone)
    before = row.data.get("cancel_datetime")
    if before is not None and before <= store.stamp():
        return True
    store.change(row, cancel_datetime=when)
    due = row.data.get("next_invoice_datetime")
    if due is None or on is None or due >= when:
        store.change(row, next_invoice_datetime="")
    _give_up_key(store, row)
    _forget_given(store, row)
    return True


def _give_up_key(store: Tables, row: Row) -> None:
    """What the account does with the key of a cancelled subscription (`Variant`)."""
    key = row.data.get("external_key")
    if not key or store.cancelled_keys == "kept":
        return
    left = f"{key}{store.token()}" if store.cancelled_keys == "mangled" else None
    store.change(row, external_key=left)


def _uncancel(store: Tables, row: Row, _fields: dict[str, Any]) -> bool:
    """All of it UNVERIFIED: the next invoice is the one there would have been, or tomorrow's."""
    if row.data.get("cancel_datetime") is None:
        return True
    last = last_invoiced(store, row)
    due = cycles.first_second(store.today() + dt.timedelta(days=1))
    if last is not None:
        due = max(due, cycles.after(last, row.data["paycycle"]))
    store.change(row, cancel_datetime=None, next_invoice_datetime=due)
    _forget_given(store, row)
    return True


def _hold(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    """Recording `update_package_invoice_date`: also where it is cancelled."""
    if fields.get("holduntil_datetime") is None:
        raise missing("holduntil_datetime")
    until = moment(fields["holduntil_datetime"], store.zone)
    store.change(row, holduntil_datetime=until, next_invoice_datetime=until)
    tell_hooks(store, "package", row, "hold")
    return True


def _welcome(_store: Tables, _row: Row, fields: dict[str, Any]) -> bool:
    if fields.get("message_id") is not None:
        integer(fields["message_id"])
    return True


def _tell_status(action: Action) -> Action:
    """The action, which tells hooks if the status is another one after it.

    A status that only the time changes, such as overdue, is not told.
    """

    def act(store: Tables, row: Row, fields: Any) -> Any:
        before = store.value(store.specs["package"], row, "package_status_str")
        result = action(store, row, fields)
        if store.value(store.specs["package"], row, "package_status_str") != before:
            tell_hooks(store, "package", row, "status")
        return result

    return act


ACTIONS: dict[str, Action] = {
    "upgrade": _upgrade,
    "setPayMethod": set_paymethod,
    "setPayCycle": _set_paycycle,
    "invoice": _invoice_now,
    "suspend": _tell_status(_suspend),
    "unsuspend": _tell_status(_unsuspend),
    "cancel": _tell_status(_cancel),
    "uncancel": _tell_status(_uncancel),
    "hold": _hold,
    "welcome": _welcome,
    # What recordings and older pages call two of them.
    "paymethod": set_paymethod,
    "paycycle": _set_paycycle,
}
