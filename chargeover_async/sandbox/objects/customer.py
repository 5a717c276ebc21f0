"""The rules of customers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from chargeover_async.models import Customer
from chargeover_async.sandbox.objects.account.shared import (
    BLOCKS,
    DEFAULT_CURRENCY,
    DEFAULT_TERMS,
    SHARED,
)
from chargeover_async.sandbox.objects.account.user import set_name
from chargeover_async.sandbox.objects.money.applying import counts, held_by, touching
from chargeover_async.sandbox.objects.money.due import RECURRING, STATUS, TOTALS
from chargeover_async.sandbox.objects.money.gateway import METHODS
from chargeover_async.sandbox.objects.subscriptions.paying import follow
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import flag, text
from chargeover_async.sandbox.records.events import tell_hooks
from chargeover_async.sandbox.records.refs import find_named
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import Derive, Spec, Tables

# Field of a customer -> field of its main contact.
_CONTACT = {
    "superuser_username": "username",
    "superuser_email": "email",
    "superuser_name": "name",
    "superuser_first_name": "first_name",
    "superuser_last_name": "last_name",
    "superuser_phone": "phone",
}


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    _check_parent(draft)
    # UNVERIFIED: a newer page requires company, the vendor's text does not; nor is it shown
    # whether a customer without any superuser_* gets a contact. Here neither is the case.
    if draft.data.get("company") is None:
        draft.data["company"] = draft.data.get("superuser_name") or ""
    _settle_contact(store, draft, fields)


def _update(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    _check_parent(draft)
    _settle_contact(store, draft, fields)


def _before_update(store: Tables, row: Row, fields: dict[str, Any]) -> None:
    parent_id = row.data.get("parent_customer_id")
    if "parent_customer_id" in fields and fields["parent_customer_id"] not in (
        parent_id,
        str(parent_id),
    ):
        _check_free(store, row, parent_id)


def _after_update(store: Tables, row: Row, before: Mapping[str, Any]) -> None:
    user_id = row.data.get("superuser_id")
    if user_id != before.get("superuser_id"):
        tell_hooks(store, "customer", row, "super", user_id=user_id)


def _settle_contact(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    """Make or change the main contact as the superuser fields say; nothing can fail here."""
    contact = _take_contact(draft)
    user = store.row("user", draft.data.get("superuser_id"))
    if user is None:
        if contact:
            draft.data["superuser_id"] = _new_contact(store, draft.id, contact)
        return
    if "superuser_id" in fields and user.data.get("customer_id") is None:
        store.change(user, customer_id=draft.id)
    if contact:
        data = {**user.data, **contact, "mod_datetime": store.stamp()}
        set_name(data, contact)
        store.change(user, **data)
        store.forget(user)
        tell_hooks(store, "user", user, "update")


def _check_parent(draft: Draft) -> None:
    if draft.data.get("parent_customer_id") == draft.id:
        raise Refused("A customer cannot be its own parent.")  # UNVERIFIED


def _take_contact(draft: Draft) -> dict[str, Any]:
    """Takes the fields of the main contact out of a customer's own; null is left out."""
    contact: dict[str, Any] = {}
    for name, own in _CONTACT.items():
        value = draft.data.pop(name, None)
        if value is not None:
            contact[own] = value
    return contact


def _new_contact(store: Tables, customer_id: int, contact: dict[str, Any]) -> int:
    draft = store.draft("user", {**contact, "customer_id": customer_id})
    set_name(draft.data, contact)
    # Recording create_tokenized_card: superuser_username is 12 random characters.
    draft.data.setdefault("username", store.token())
    user = store.insert(draft)
    tell_hooks(store, "user", user, "insert")
    return user.id


def _delete(store: Tables, row: Row) -> None:
    if any(not _is_paid(store, invoice) for invoice in _invoices(store, row)):
        # The rule is the vendor's text, the wording is UNVERIFIED.
        raise Refused("This customer has open or unpaid invoices and cannot be deleted.")
    # UNVERIFIED: a suspended subscription counts as active.
    if any(
        _package(store, package, "package_status_state") in "as"
        for package in store.of_customer("package", row.id)
    ):
        raise Refused("This customer has active subscriptions and cannot be deleted.")


def _seed(store: Tables, draft: Draft, record: dict[str, Any]) -> None:
    superuser_id = draft.data.get("superuser_id")
    contact = {own: record[name] for name, own in _CONTACT.items() if record.get(name) is not None}
    if superuser_id is not None and store.row("user", superuser_id) is None:
        store.plant("user", {"user_id": superuser_id, "customer_id": draft.id, **contact})
    status = record.get("customer_status_str")
    if status is not None and status.startswith("inactive"):
        draft.data["customer_status_str"] = status


def _contact(own: str) -> Derive:
    def derive(store: Tables, row: Row) -> Any:
        user = store.row("user", row.data.get("superuser_id"))
        return "" if user is None else user.data.get(own) or ""

    return derive


def _invoices(store: Tables, row: Row) -> list[Row]:
    return store.of_customer("invoice", row.id)


def _package(store: Tables, package: Row, name: str) -> Any:
    return store.value(store.specs["package"], package, name)


def _recurring(name: str) -> Derive:
    """Adds up what the subscriptions of a customer bring."""
    return lambda store, row: sum(
        (_package(store, package, name) for package in store.of_customer("package", row.id)),
        Decimal(0),
    )


def _is_paid(store: Tables, invoice: Row) -> bool:
    return bool(store.value(store.specs["invoice"], invoice, "is_paid"))


def _sum(name: str) -> Derive:
    """Adds up a field of a customer's invoices; a void one counts nothing (UNVERIFIED)."""

    def derive(store: Tables, row: Row) -> Decimal:
        spec = store.specs["invoice"]
        total = Decimal(0)
        for invoice in _invoices(store, row):
            if invoice.data.get("void_datetime") is None:
                total += store.value(spec, invoice, name)
        return total

    return derive


def _status(position: int) -> Derive:
    """One of id, name, string and state.

    "Over Due" with id 2 is the vendor's text; the ids and names of the others are UNVERIFIED.
    """

    def derive(store: Tables, row: Row) -> Any:
        if row.data.get("customer_status_str") is not None:
            return (3, "Inactive", row.data["customer_status_str"], "i")[position]
        spec = store.specs["invoice"]
        if any(store.value(spec, invoice, "is_overdue") for invoice in _invoices(store, row)):
            return (2, "Over Due", "active-overdue", "a")[position]
        return (1, "Current", "active-current", "a")[position]

    return derive


def _set_active(store: Tables, row: Row, _fields: dict[str, Any]) -> bool:
    store.change(row, customer_status_str=None)
    store.forget(row, STATUS)
    return True


def _set_inactive(store: Tables, row: Row, _fields: dict[str, Any]) -> bool:
    store.change(row, customer_status_str="inactive-manual")
    store.forget(row, STATUS)
    return True


def _paid(store: Tables, row: Row) -> Decimal:
    """Payments less refunds; and what seeded invoices were paid by nothing that is stored."""
    own = {invoice.id: invoice for invoice in _invoices(store, row)}
    payers = (row.id, row.data.get("parent_customer_id"))
    total = sum(
        (Decimal(invoice.data.get("payments") or 0) for invoice in own.values()), Decimal(0)
    )
    for payer in payers:
        for payment in store.of_customer("transaction", payer):
            if payment.data.get("transaction_type") == "cre" or not counts(payment):
                continue
            if payer == row.id:
                total += payment.data["amount"]
            total -= sum(part for id_, part in held_by(payment).items() if id_ in own)
    return total


def _set_pay_method(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    """Sets the default method: a stored one, or a kind of method.

    The page names ``creditcard_id`` only; the fields of the other kinds are UNVERIFIED.
    """
    changes: dict[str, Any] = {}
    for kind, object_ in METHODS.items():
        method = find_named(store, fields, object_, object_)
        if method is None:
            continue
        if method.data.get("customer_id") != row.id:
            raise Refused(f"This {object_} is not one of customer {row.id}.")
        changes = {"default_paymethod": kind, f"default_{object_}_id": method.id}
    if fields.get("paymethod") is not None:
        kind = text(fields["paymethod"])
        if kind not in (*METHODS, "inv", "any"):
            raise Refused(INVALID)
        changes["default_paymethod"] = kind
    if not changes:
        raise missing("paymethod")  # UNVERIFIED
    also = fields.get("update_subscriptions_and_scheduled_invoices")
    also = also is None or flag(also)
    store.change(row, **changes)
    kind = changes["default_paymethod"]
    if also and kind != "any":
        name = f"default_{METHODS[kind]}_id" if kind in METHODS else ""
        follow(store, row, kind, row.data.get(name))
    if "default_ach_id" in changes:
        tell_hooks(store, "ach", store.table("ach").rows[changes["default_ach_id"]], "autopay")
    return True


def _disconnect_parent(store: Tables, row: Row, _fields: dict[str, Any]) -> bool:
    """Only when the parent has paid nothing for it (page; the wording is UNVERIFIED)."""
    _check_free(store, row, row.data.get("parent_customer_id"))
    store.change(row, parent_customer_id=None)
    return True


def _check_free(store: Tables, row: Row, parent_id: int | None) -> None:
    for invoice in _invoices(store, row):
        for payment in touching(store, invoice):
            if parent_id is not None and payment.data.get("customer_id") == parent_id:
                raise Refused("The parent of this customer has made a payment for it.")


CUSTOMER = Spec(
    name="customer",
    key="customer_id",
    model=Customer,
    defaults={
        "company": "",
        "language_id": 1,
        "currency_id": DEFAULT_CURRENCY,
        "brand_id": 1,
        "terms_id": DEFAULT_TERMS,
        "no_taxes": False,
        "no_dunning": False,
        "no_latefees": False,
        "no_procfees": False,
        "invoice_delivery": "email",
        "dunning_delivery": "email",
        "tags": [],
        "write_ipaddr": "127.0.0.1",
        "mod_ipaddr": "127.0.0.1",
    },
    read_only=frozenset(
        (
            *("default_paymethod", "default_creditcard_id", "default_ach_id"),
            *("class_name", "admin_name", "admin_email", "write_ipaddr", "mod_ipaddr"),
            *("bill_notes", "ship_notes"),
        )
    ),
    create_only=frozenset(("currency_id", "brand_id", "superuser_username")),
    hidden=frozenset(("email", "phone", "bill_email", "ship_email")),  # only in lists of 2012/2013
    single_only=("tags",),
    private=frozenset(("default_tokenized_id",)),
    references={"parent_customer": "customer", "superuser": "user"},
    choices={"terms_id": "terms", "currency_id": "currency"},
    derived={
        **SHARED,
        **BLOCKS,
        **{name: _contact(own) for name, own in _CONTACT.items()},
        "superuser_token": _contact("token"),
        "display_as": lambda _store, row: row.data.get("company") or "",
        "customer_status_id": _status(0),
        "customer_status_name": _status(1),
        "customer_status_str": _status(2),
        "customer_status_state": _status(3),
        "total": _sum("total"),
        "balance": _sum("balance"),
        "paid": _paid,
        **{name: _recurring(name) for name in RECURRING},
        "url_statementlink": lambda store, row: (
            f"{store.site}/r/statement/view/{row.data['token']}"
        ),
        "url_paymethodlink": lambda store, row: f"{store.site}/r/paymethod/i/{row.data['token']}",
        "url_self": lambda store, row: f"{store.site}/admin/r/customer/view/{row.id}",
    },
    through=frozenset(_CONTACT),
    sticky=frozenset((*TOTALS, *STATUS, *RECURRING)),
    events={"insert": ("user",), "delete": (), "super": ()},
    on_create=_create,
    before_update=_before_update,
    on_update=_update,
    after_update=_after_update,
    on_delete=_delete,
    on_seed=_seed,
    actions={
        "setActive": _set_active,
        "setInactive": _set_inactive,
        "setPayMethod": _set_pay_method,
        "disconnectParent": _disconnect_parent,
    },
)
