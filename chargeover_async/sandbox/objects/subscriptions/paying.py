"""How a subscription is paid: by invoice, or with a method that its customer has on file."""

from __future__ import annotations

from typing import Any

from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import text
from chargeover_async.sandbox.records.refs import need_named
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Tables

from .state import state_of

# UNVERIFIED: what the methods are called.
METHODS = {"inv": "Invoice", "crd": "Credit Card", "ach": "ACH/eCheck", "tok": "Tokenized"}
STORED = {"crd": "creditcard_id", "ach": "ach_id", "tok": "tokenized_id"}


def first_method(store: Tables, customer: Row, data: dict[str, Any]) -> dict[str, Any]:
    """How a new subscription is paid (page "Create a subscription").

    A stored method that is named decides; "crd", "ach" and "any" mean what the customer has on
    file; without any of it there are invoices.
    """
    for method, name in STORED.items():
        if data.get(name) is not None:
            return _method(method, _stored_id(store, customer.id, data, name))
    method = data.get("paymethod") or "inv"
    if method == "inv":
        return _method("inv", None)
    if method != "any" and method not in STORED:
        raise Refused(INVALID)
    on_file = _on_file(store, customer, method)
    if on_file is None:
        # UNVERIFIED, as is the order: the default, then cards, accounts and tokens, newest first.
        raise Refused(f"This customer has no payment method on file for {method}.")
    return _method(*on_file)


def _on_file(store: Tables, customer: Row, method: str) -> tuple[str, int] | None:
    kinds = list(STORED) if method == "any" else [method]
    default = customer.data.get("default_paymethod")
    if default in kinds:
        stored_id = customer.data.get(f"default_{STORED[default]}")
        if stored_id is not None:
            return default, stored_id
    for kind in kinds:
        rows = store.of_customer(STORED[kind].removesuffix("_id"), customer.id)
        if rows:
            return kind, rows[-1].id
    return None


def _method(method: str, stored_id: int | None) -> dict[str, Any]:
    """The fields of a payment method; those of any other become null (recorded for "inv")."""
    return {
        "paymethod": method,
        **{name: stored_id if kind == method else None for kind, name in STORED.items()},
    }


def _stored_id(store: Tables, customer_id: int | None, fields: dict[str, Any], name: str) -> int:
    """The card, account or token that a request names; it must be the customer's (UNVERIFIED)."""
    object_ = name.removesuffix("_id")
    stored = need_named(store, fields, object_, object_)
    if stored.data.get("customer_id") not in (None, customer_id):
        raise Refused(f"This {object_} is not one of customer {customer_id}.")
    return stored.id


def set_paymethod(store: Tables, row: Row, fields: dict[str, Any]) -> bool:
    if fields.get("paymethod") is None:
        raise missing("paymethod")
    method = text(fields["paymethod"])
    if method != "inv" and method not in STORED:
        raise Refused(INVALID)
    stored_id = None
    if method != "inv":
        customer_id = row.data.get("customer_id")
        stored_id = _stored_id(store, customer_id, fields, STORED[method])
    _pay_by(store, row, method, stored_id)
    return True


def _pay_by(store: Tables, package: Row, method: str, stored_id: int | None) -> None:
    store.change(package, **_method(method, stored_id))
    store.forget(package, ("paymethod_name", "paymethod_detail"))


def follow(store: Tables, customer: Row, method: str, stored_id: int | None) -> None:
    """Pay the subscriptions of a customer that have not ended by its new default method.

    Vendor's text, "Set the default payment method for a customer".
    """
    for package in store.of_customer("package", customer.id):
        if state_of(store, package) in "as":
            _pay_by(store, package, method, stored_id)


def paymethod_detail(store: Tables, row: Row) -> str:
    """The masked number (UNVERIFIED: the page has no more than "masked detail")."""
    name = STORED.get(row.data.get("paymethod") or "")
    stored = None if name is None else store.row(name.removesuffix("_id"), row.data.get(name))
    return "" if stored is None else stored.data.get("mask_number") or ""
