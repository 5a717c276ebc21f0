"""The rules of subscriptions, which the API calls packages.

Source: pages "Create a subscription", "Upgrade/downgrade a subscription" and those of the other
actions; recordings `list_packages`, `upgrade_a_package`, `cancel_package` and others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from chargeover_async.models import Subscription
from chargeover_async.sandbox.objects.account import cycles
from chargeover_async.sandbox.objects.account.pricing import EXACT, price_of
from chargeover_async.sandbox.objects.account.shared import DEFAULT_CURRENCY, DEFAULT_TERMS, SHARED
from chargeover_async.sandbox.objects.money.due import (
    AMOUNTS,
    RECURRING,
    money_moved,
    recurring_moved,
)
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import (
    INTEGER,
    MIXED,
    TEXT,
    date,
    integer,
    moment,
    text,
)
from chargeover_async.sandbox.records.events import happened
from chargeover_async.sandbox.records.refs import needed
from chargeover_async.sandbox.store.store import Action, Derive, NestedField, Row, Spec, Store

from .billing import issue
from .line import (
    check_lines,
    check_upgrade,
    drop,
    entries,
    is_trial,
    lines_of,
    put,
    quantity_of,
    seed_lines,
    shown,
)

_NEXT_SCHEDULED = "NEXT_SCHEDULED_INVOICE"  # page "Invoice a subscription now"
_CENT = Decimal("0.01")
_ZERO = Decimal(0)
_STATUS = (
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
# UNVERIFIED: what the methods are called.
_METHODS = {"inv": "Invoice", "crd": "Credit Card", "ach": "ACH/eCheck", "tok": "Tokenized"}
_STORED = {"crd": "creditcard_id", "ach": "ach_id", "tok": "tokenized_id"}


def _create(store: Store, row: Row, fields: dict[str, Any]) -> None:
    data = row.data
    customer = store.row("customer", data.get("customer_id"))
    if customer is None:
        raise missing("customer_id")
    data["paycycle"] = _taken_cycle(data.get("paycycle") or cycles.DEFAULT_CYCLE)
    for name, default in (("terms_id", DEFAULT_TERMS), ("currency_id", DEFAULT_CURRENCY)):
        if data.get(name) is None:
            data[name] = customer.data.get(name, default)
    data.update(_first_method(store, customer, data))
    sent = entries(fields.get("line_items") or [])
    lines = check_lines(store, [*sent, *_coupon_lines(store, fields.get("coupon"))])
    hold = data.get("holduntil_datetime")
    tomorrow = cycles.first_second(store.today() + dt.timedelta(days=1))
    # Recording update_custom_1: held until its own day, it is invoiced on the next one.
    data["next_invoice_datetime"] = hold if hold is not None and hold > tomorrow else tomorrow
    for line in lines:
        put(store, row, line, data["currency_id"])
    recurring_moved(store, customer.id)


def _taken_cycle(cycle: str) -> str:
    if cycle not in cycles.NAMES:
        raise Refused(INVALID)
    return cycle


def _first_method(store: Store, customer: Row, data: dict[str, Any]) -> dict[str, Any]:
    """How a new subscription is paid (page "Create a subscription").

    A stored method that is named decides; "crd", "ach" and "any" mean what the customer has on
    file; without any of it there are invoices.
    """
    for method, name in _STORED.items():
        if data.get(name) is not None:
            return _method(method, _stored_id(store, customer.id, data, name))
    method = data.get("paymethod") or "inv"
    if method == "inv":
        return _method("inv", None)
    if method != "any" and method not in _STORED:
        raise Refused(INVALID)
    on_file = _on_file(store, customer, method)
    if on_file is None:
        # UNVERIFIED, as is the order: the default, then cards, accounts and tokens, newest first.
        raise Refused(f"This customer has no payment method on file for {method}.")
    return _method(*on_file)


def _on_file(store: Store, customer: Row, method: str) -> tuple[str, int] | None:
    kinds = list(_STORED) if method == "any" else [method]
    default = customer.data.get("default_paymethod")
    if default in kinds:
        stored_id = customer.data.get(f"default_{_STORED[default]}")
        if stored_id is not None:
            return default, stored_id
    for kind in kinds:
        rows = store.of_customer(_STORED[kind].removesuffix("_id"), customer.id)
        if rows:
            return kind, rows[-1].id
    return None


def _method(method: str, stored_id: int | None) -> dict[str, Any]:
    """The fields of a payment method; those of any other become null (recorded for "inv")."""
    return {
        "paymethod": method,
        **{name: stored_id if kind == method else None for kind, name in _STORED.items()},
    }


def _coupon_lines(store: Store, code: Any) -> list[dict[str, Any]]:
    """The discount that a coupon adds: a line of its item.

    UNVERIFIED: a free trial is not given, as no source shows how long it is.
    """
    if code is None:
        return []
    for coupon in store.scan(store.specs["coupon"], None):
        if coupon.data.get("code") == text(code) and coupon.data.get("enabled", True):
            item_id = coupon.data.get("discount_item_id")
            return [] if item_id is None else [{"item_id": item_id}]
    raise Refused(f'There is no coupon with the code value "{code}"')  # UNVERIFIED


def _seed(store: Store, row: Row, record: dict[str, Any]) -> None:
    row.data.setdefault("paycycle", cycles.DEFAULT_CYCLE)
    row.data.setdefault("paymethod", "inv")
    if record.get("line_items") is not None:
        seed_lines(store, row, record["line_items"])
    row.forget(("line_items",))  # kept as rows, so that they can be upgraded
    if "next_invoice_datetime" not in record and _state(store, row) == "a":
        day = dt.date.fromisoformat(row.data["write_datetime"][:10])
        row.data["next_invoice_datetime"] = cycles.first_second(day + dt.timedelta(days=1))
    recurring_moved(store, row.data.get("customer_id"))


# Derived fields.


def _status_of(store: Store, row: Row) -> tuple[int, str, str, str]:
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
    if any(_invoice(store, each, "is_overdue") for each in _invoices(store, row)):
        return _OVERDUE
    return _CURRENT


def _status(position: int) -> Derive:
    return lambda store, row: _status_of(store, row)[position]


def _state(store: Store, row: Row) -> str:
    state: str = store.value(PACKAGE, row, "package_status_state")
    return state


def _invoices(store: Store, row: Row) -> Iterable[Row]:
    """The invoices of a subscription that are not void.

    Recordings: what a subscription had invoiced was 0 again once its invoice was void.
    """
    invoices = store.table("invoice").index["package_id"].get(row.id, {}).values()
    return [each for each in invoices if each.data.get("void_datetime") is None]


def _invoice(store: Store, invoice: Row, name: str) -> Any:
    return store.value(store.specs["invoice"], invoice, name)


def _invoiced(store: Store, row: Row) -> Decimal:
    return sum((_invoice(store, each, "total") for each in _invoices(store, row)), _ZERO)


def _due(store: Store, row: Row) -> Decimal:
    return sum((_invoice(store, each, "balance") for each in _invoices(store, row)), _ZERO)


def _overdue(store: Store, row: Row) -> Decimal:
    late = [each for each in _invoices(store, row) if _invoice(store, each, "is_overdue")]
    return sum((_invoice(store, each, "balance") for each in late), _ZERO)


def _days_overdue(store: Store, row: Row) -> int:
    days = [_invoice(store, each, "days_overdue") for each in _invoices(store, row)]
    return max(days, default=0)


def _recurring(often: Fraction) -> Derive:
    """What an active subscription brings every month or year.

    The vendor's text has no more than "current monthly recurring revenue". UNVERIFIED: set-up,
    usage and trials count nothing, taxes are left out, a year has 52 weeks.
    """

    def derive(store: Store, row: Row) -> Decimal:
        total = _ZERO
        if _state(store, row) != "a":
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


def _of_lines(name: str) -> Any:
    def values(store: Store, row: Row) -> list[Any]:
        return [line.data.get(name) for line in lines_of(store, row.id)]

    return values


def _contact_emails(store: Store, row: Row) -> list[Any]:
    users = store.table("user").index["customer_id"].get(row.data.get("customer_id") or 0, {})
    return [user.data.get("email") for user in users.values()]


def _no_quotes(_store: Store, _row: Row) -> list[Any]:
    return []  # quotes do not become subscriptions here


def _main_email(store: Store, row: Row) -> list[Any]:
    customer = store.row("customer", row.data.get("customer_id"))
    if customer is None:
        return []
    return [store.value(store.specs["customer"], customer, "superuser_email")]


# Actions.


def _changed(store: Store, row: Row) -> None:
    row.forget((*_STATUS, *RECURRING))
    recurring_moved(store, row.data.get("customer_id"))


def _upgrade(store: Store, row: Row, fields: dict[str, Any]) -> bool:
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
    _changed(store, row)
    happened(store, "package", row, "upgrade")
    return True


def _set_paymethod(store: Store, row: Row, fields: dict[str, Any]) -> bool:
    if fields.get("paymethod") is None:
        raise missing("paymethod")
    method = text(fields["paymethod"])
    if method != "inv" and method not in _STORED:
        raise Refused(INVALID)
    stored_id = None
    if method != "inv":
        customer_id = row.data.get("customer_id")
        stored_id = _stored_id(store, customer_id, fields, _STORED[method])
    row.data.update(_method(method, stored_id))
    row.forget(("paymethod_name", "paymethod_detail"))
    return True


def _stored_id(store: Store, customer_id: int | None, fields: dict[str, Any], name: str) -> int:
    """The card, account or token that a request names; it must be the customer's (UNVERIFIED)."""
    object_ = name.removesuffix("_id")
    stored = needed(store, fields, object_, object_)
    if stored.data.get("customer_id") not in (None, customer_id):
        raise Refused(f"This {object_} is not one of customer {customer_id}.")
    return stored.id


def follow(store: Store, customer: Row, method: str, stored_id: int | None) -> None:
    """Pay the subscriptions of a customer that have not ended by its new default method.

    Vendor's text, "Set the default payment method for a customer".
    """
    for package in store.of_customer("package", customer.id):
        if _state(store, package) in "as":
            package.data.update(_method(method, stored_id))
            package.forget(("paymethod_name", "paymethod_detail"))


def _paymethod_detail(store: Store, row: Row) -> str:
    """The masked number (UNVERIFIED: the page has no more than "masked detail")."""
    name = _STORED.get(row.data.get("paymethod") or "")
    stored = None if name is None else store.row(name.removesuffix("_id"), row.data.get(name))
    return "" if stored is None else stored.data.get("mask_number") or ""


def _set_paycycle(store: Store, row: Row, fields: dict[str, Any]) -> bool:
    """Recording `update_package_payment_cycle`: the next invoice moves, prices stay."""
    if fields.get("paycycle") is None:
        raise missing("paycycle")
    cycle = _taken_cycle(text(fields["paycycle"]))
    last = _last_invoiced(store, row)
    if last is not None and row.data.get("next_invoice_datetime"):
        row.data["next_invoice_datetime"] = cycles.after(last, cycle)
    row.data["paycycle"] = cycle
    row.forget(("paycycle_name",))
    _changed(store, row)
    happened(store, "package", row, "paycycle")
    return True


def _last_invoiced(store: Store, row: Row) -> dt.date | None:
    """The day of the last invoice; of a seeded subscription, a cycle before the next one."""
    days = [each.data["date"] for each in _invoices(store, row)]
    if days:
        return dt.date.fromisoformat(max(days))
    if row.given is not None and row.given.get("amount_invoiced"):
        due = row.data.get("next_invoice_datetime")
        return cycles.before(due, row.data["paycycle"]) if due else None
    return None


def _invoice_now(store: Store, row: Row, fields: dict[str, Any]) -> bool:
    """Makes the invoice; the next one comes a cycle after it (UNVERIFIED).

    The page answers true; that a cancelled, expired or suspended one is refused is UNVERIFIED.
    """
    sent = fields.get("date")
    if _state(store, row) != "a":
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
    row.data["next_invoice_datetime"] = following
    row.forget(AMOUNTS)
    _changed(store, row)
    money_moved(store, row.data.get("customer_id"))
    return True


def _suspend(store: Store, row: Row, fields: dict[str, Any]) -> bool:
    """From now on, or from the moment given; without an end until it is lifted."""
    start, end = (
        None if fields.get(name) is None else moment(fields[name], store.zone)
        for name in ("suspendfrom_datetime", "suspendto_datetime")
    )
    if start is None:
        start = store.stamp()
    if end is not None and end <= start:
        raise Refused(INVALID)  # UNVERIFIED
    row.data.update(suspendfrom_datetime=start, suspendto_datetime=end)
    _changed(store, row)
    return True


def _unsuspend(store: Store, row: Row, _fields: dict[str, Any]) -> bool:
    row.data.update(suspendfrom_datetime=None, suspendto_datetime=None)
    _changed(store, row)
    return True


def _cancel(store: Store, row: Row, fields: dict[str, Any]) -> bool:
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
    row.data["cancel_datetime"] = when
    due = row.data.get("next_invoice_datetime")
    if due is None or on is None or due >= when:
        row.data["next_invoice_datetime"] = ""
    _give_up_key(store, row)
    _changed(store, row)
    return True


def _give_up_key(store: Store, row: Row) -> None:
    """What the account does with the key of a cancelled subscription (`Variant`)."""
    key = row.data.get("external_key")
    if not key or store.cancelled_keys == "kept":
        return
    left = f"{key}{store.token()}" if store.cancelled_keys == "mangled" else None
    store.table("package").replace(row, {**row.data, "external_key": left})


def _uncancel(store: Store, row: Row, _fields: dict[str, Any]) -> bool:
    """All of it UNVERIFIED: the next invoice is the one there would have been, or tomorrow's."""
    if row.data.get("cancel_datetime") is None:
        return True
    last = _last_invoiced(store, row)
    due = cycles.first_second(store.today() + dt.timedelta(days=1))
    if last is not None:
        due = max(due, cycles.after(last, row.data["paycycle"]))
    row.data.update(cancel_datetime=None, next_invoice_datetime=due)
    _changed(store, row)
    return True


def _hold(store: Store, row: Row, fields: dict[str, Any]) -> bool:
    """Recording `update_package_invoice_date`: also where it is cancelled."""
    if fields.get("holduntil_datetime") is None:
        raise missing("holduntil_datetime")
    until = moment(fields["holduntil_datetime"], store.zone)
    row.data.update(holduntil_datetime=until, next_invoice_datetime=until)
    happened(store, "package", row, "hold")
    return True


def _welcome(_store: Store, _row: Row, fields: dict[str, Any]) -> bool:
    if fields.get("message_id") is not None:
        integer(fields["message_id"])
    return True


def _watched(action: Action) -> Action:
    """The action, which tells hooks if the status is another one after it.

    A status that only the time changes, such as overdue, is not told.
    """

    def act(store: Store, row: Row, fields: Any) -> Any:
        before = store.value(PACKAGE, row, "package_status_str")
        result = action(store, row, fields)
        if store.value(PACKAGE, row, "package_status_str") != before:
            happened(store, "package", row, "status")
        return result

    return act


_ACTIONS: dict[str, Action] = {
    "upgrade": _upgrade,
    "setPayMethod": _set_paymethod,
    "setPayCycle": _set_paycycle,
    "invoice": _invoice_now,
    "suspend": _watched(_suspend),
    "unsuspend": _watched(_unsuspend),
    "cancel": _watched(_cancel),
    "uncancel": _watched(_uncancel),
    "hold": _hold,
    "welcome": _welcome,
    # What recordings and older pages call two of them.
    "paymethod": _set_paymethod,
    "paycycle": _set_paycycle,
}

PACKAGE = Spec(
    name="package",
    key="package_id",
    model=Subscription,
    first_id=554,  # recording list_packages: the first subscription of that account
    commands=frozenset(("create", "modify")),  # no source shows a delete
    defaults={
        "brand_id": 1,
        "currency_id": DEFAULT_CURRENCY,
        "terms_id": DEFAULT_TERMS,
        "nickname": "",
        "paymethod": "inv",
        "paycycle": cycles.DEFAULT_CYCLE,
        "tags": [],
    },
    read_only=frozenset(
        (
            *("brand_id", "currency_id", "memo", "class_name", "admin_name", "brand_name"),
            *("cancel_reason", "suspendfrom_datetime", "suspendto_datetime"),
            *("next_invoice_datetime", "cache_next_invoice", "cancel_datetime"),
        )
    ),
    hidden=frozenset(("bill_block", "ship_block")),  # of all objects with addresses, the exception
    create_only=frozenset(
        ("customer_id", "paymethod", *_STORED.values(), "paycycle", "holduntil_datetime")
    ),
    single_only=("line_items",),
    references={
        name.removesuffix("_id"): name.removesuffix("_id")
        for name in ("customer_id", *_STORED.values())
    },
    choices={"terms_id": "terms"},
    derived={
        **{name: derive for name, derive in SHARED.items() if not name.endswith("_block")},
        "paycycle_name": lambda _store, row: cycles.NAMES.get(row.data["paycycle"], ""),
        "paymethod_detail": _paymethod_detail,
        "paymethod_name": lambda _store, row: _METHODS.get(row.data.get("paymethod", "inv"), ""),
        **{name: _status(position) for position, name in enumerate(_STATUS)},
        "amount_invoiced": _invoiced,
        "amount_collected": lambda store, row: _invoiced(store, row) - _due(store, row),
        "amount_due": _due,
        "amount_overdue": _overdue,
        "is_overdue": lambda store, row: _overdue(store, row) > 0,
        "days_overdue": _days_overdue,
        "start_datetime": lambda _store, row: row.data["write_datetime"],  # UNVERIFIED
        "mrr": _recurring(Fraction(1, 12)),
        "arr": _recurring(Fraction(1)),
        "url_self": lambda store, row: f"{store.site}/admin/r/package/view/{row.id}",
        "line_items": shown,
    },
    timed=frozenset((*_STATUS, *RECURRING)),
    sticky=frozenset((*AMOUNTS, *_STATUS)),
    nested={
        "line_items.item_id": NestedField(INTEGER, _of_lines("item_id")),
        "line_items.external_key": NestedField(TEXT, _of_lines("external_key")),
        "line_items.custom_1": NestedField(MIXED, _of_lines("custom_1")),
        "customer.superuser_email": NestedField(TEXT, _main_email),
        "customer.users.email": NestedField(TEXT, _contact_emails),
        "quote.quote_id": NestedField(INTEGER, _no_quotes),
    },
    indexes=("customer_id",),
    # UNVERIFIED where the samples show no payload: only the subscription is sent.
    events={
        **dict.fromkeys(("update", "paycycle", "hold", "upgrade"), ()),
        "insert": ("customer", "user"),
        "status": ("customer",),
    },
    on_create=_create,
    on_seed=_seed,
    actions=_ACTIONS,
    # Recordings: mod_datetime moves on an update and an upgrade, not on a cancel, a hold or a
    # change of method or cycle. UNVERIFIED for the other actions.
    quiet=frozenset(_ACTIONS.keys() - {"upgrade"}),
)
