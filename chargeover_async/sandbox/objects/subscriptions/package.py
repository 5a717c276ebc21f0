"""The rules of subscriptions, which the API calls packages.

Source: pages "Create a subscription", "Upgrade/downgrade a subscription" and those of the other
actions; recordings `list_packages`, `upgrade_a_package`, `cancel_package` and others.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from chargeover_async.models import Subscription
from chargeover_async.sandbox.objects.account import cycles
from chargeover_async.sandbox.objects.account.shared import DEFAULT_CURRENCY, DEFAULT_TERMS, SHARED
from chargeover_async.sandbox.objects.money.due import (
    AMOUNTS,
    forget_recurring,
)
from chargeover_async.sandbox.protocol.answers import Refused, missing
from chargeover_async.sandbox.protocol.values import (
    INTEGER,
    MIXED,
    TEXT,
    text,
)
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import NestedField, Spec, Tables

from .actions import ACTIONS
from .line import check_lines, entries, lines_of, put, seed_lines, show_lines
from .paying import METHODS, STORED, first_method, paymethod_detail
from .state import STATUS, days_overdue, due, invoiced, overdue, recurring, state_of, status


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    data = draft.data
    customer = store.row("customer", data.get("customer_id"))
    if customer is None:
        raise missing("customer_id")
    data["paycycle"] = cycles.known_cycle(data.get("paycycle") or cycles.DEFAULT_CYCLE)
    for name, default in (("terms_id", DEFAULT_TERMS), ("currency_id", DEFAULT_CURRENCY)):
        if data.get(name) is None:
            data[name] = customer.data.get(name, default)
    data.update(first_method(store, customer, data))
    sent = entries(fields.get("line_items") or [])
    lines = check_lines(store, [*sent, *_coupon_lines(store, fields.get("coupon"))])
    hold = data.get("holduntil_datetime")
    tomorrow = cycles.first_second(store.today() + dt.timedelta(days=1))
    # Recording update_custom_1: held until its own day, it is invoiced on the next one.
    data["next_invoice_datetime"] = hold if hold is not None and hold > tomorrow else tomorrow
    for line in lines:
        put(store, draft, line, data["currency_id"])
    forget_recurring(store, customer.id)


def _coupon_lines(store: Tables, code: Any) -> list[dict[str, Any]]:
    """The discount that a coupon adds: a line of its item.

    UNVERIFIED: a free trial is not given, as no source shows how long it is.
    """
    if code is None:
        return []
    for coupon in store.table("coupon").scan():
        if coupon.data.get("code") == text(code) and coupon.data.get("enabled", True):
            item_id = coupon.data.get("discount_item_id")
            return [] if item_id is None else [{"item_id": item_id}]
    raise Refused(f'There is no coupon with the code value "{code}"')  # UNVERIFIED


def _seed(store: Tables, draft: Draft, record: dict[str, Any]) -> None:
    draft.data.setdefault("paycycle", cycles.DEFAULT_CYCLE)
    draft.data.setdefault("paymethod", "inv")
    if record.get("line_items") is not None:
        seed_lines(store, draft, record["line_items"])
    draft.forget(("line_items",))  # kept as rows, so that they can be upgraded
    if "next_invoice_datetime" not in record and state_of(store, draft) == "a":
        day = dt.date.fromisoformat(draft.data["write_datetime"][:10])
        draft.data["next_invoice_datetime"] = cycles.first_second(day + dt.timedelta(days=1))
    forget_recurring(store, draft.data.get("customer_id"))


# Derived fields.


def _of_lines(name: str) -> Any:
    def values(store: Tables, row: Row) -> list[Any]:
        return [line.data.get(name) for line in lines_of(store, row.id)]

    return values


def _contact_emails(store: Tables, row: Row) -> list[Any]:
    users = store.of_customer("user", row.data.get("customer_id"))
    return [user.data.get("email") for user in users]


def _no_quotes(_store: Tables, _row: Row) -> list[Any]:
    return []  # quotes do not become subscriptions here


def _main_email(store: Tables, row: Row) -> list[Any]:
    customer = store.row("customer", row.data.get("customer_id"))
    if customer is None:
        return []
    return [store.value(store.specs["customer"], customer, "superuser_email")]


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
        ("customer_id", "paymethod", *STORED.values(), "paycycle", "holduntil_datetime")
    ),
    single_only=("line_items",),
    references={
        name.removesuffix("_id"): name.removesuffix("_id")
        for name in ("customer_id", *STORED.values())
    },
    choices={"terms_id": "terms"},
    derived={
        **SHARED,
        "paycycle_name": lambda _store, row: cycles.NAMES.get(row.data["paycycle"], ""),
        "paymethod_detail": paymethod_detail,
        "paymethod_name": lambda _store, row: METHODS.get(row.data.get("paymethod", "inv"), ""),
        **{name: status(position) for position, name in enumerate(STATUS)},
        "amount_invoiced": invoiced,
        "amount_collected": lambda store, row: invoiced(store, row) - due(store, row),
        "amount_due": due,
        "amount_overdue": overdue,
        "is_overdue": lambda store, row: overdue(store, row) > 0,
        "days_overdue": days_overdue,
        "start_datetime": lambda _store, row: row.data["write_datetime"],  # UNVERIFIED
        "mrr": recurring(Fraction(1, 12)),
        "arr": recurring(Fraction(1)),
        "url_self": lambda store, row: f"{store.site}/admin/r/package/view/{row.id}",
        "line_items": show_lines,
    },
    sticky=frozenset((*AMOUNTS, *STATUS)),
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
    actions=ACTIONS,
    # Recordings: mod_datetime moves on an update and an upgrade, not on a cancel, a hold or a
    # change of method or cycle. UNVERIFIED for the other actions.
    quiet=frozenset(ACTIONS.keys() - {"upgrade"}),
)
