"""Payments, credits and refunds: what they do to invoices and customers."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.places import DOCS

from chargeover_async import BadRequest, ChargeOver, F
from chargeover_async.sandbox.objects.money.gateway import (
    DECLINED_ACCOUNTS,
    DECLINED_CARDS,
    DECLINED_TOKEN,
)

CHECK = {"transaction_type": "pay", "gateway_method": "check"}
CREDIT = {"transaction_type": "cre", "gateway_method": "credit"}


@pytest.fixture
def shop(account):
    """A customer with invoices 10000 (30), 10001 (20) and 10002 (50), oldest first."""
    account.customer()
    account.item()
    for day, rate in ((1, 30), (2, 20), (3, 50)):
        account.invoice(1, {"item_id": 1, "line_rate": rate}, date=f"2026-02-0{day}")
    return account


def pay(account, amount, *invoices, kind=CHECK, **fields) -> int:
    parts = [{"invoice_id": i} if isinstance(i, int) else i for i in invoices]
    payload = {"customer_id": 1, "amount": amount, **kind, "applied_to": parts, **fields}
    return account.ok("POST", "/transaction", payload)["id"]


def transaction(account, id_) -> dict[str, Any]:
    return account.ok("GET", f"/transaction/{id_}")


def balances(account) -> list[Decimal]:
    return [invoice["balance"] for invoice in account.ok("GET", "/invoice?order=invoice_id:ASC")]


def applied(account, id_) -> dict[str, Decimal]:
    return {e["invoice_id"]: e["applied"] for e in transaction(account, id_)["applied_to"]}


# Recording


def test_recorded_payment_reads_as_recorded(shop):
    """Every value of the recording create_and_apply_payment that its request determines."""
    id_ = pay(
        shop,
        "30.00",
        10000,
        gateway_status=1,
        gateway_transid="Manual Entry",
        transaction_detail="Payment for Services",
    )
    expected = {
        "transaction_id": id_,
        "gateway_id": 205,
        "currency_id": 1,
        "transaction_date": "2026-03-01",
        "gateway_status": 1,
        "gateway_transid": "Manual Entry",
        "gateway_msg": "",
        "amount": 30,
        "fee": 0,
        "transaction_type": "pay",
        "transaction_method": "Paid by Check",
        "transaction_detail": "Payment for Services",
        "transaction_datetime": "2026-03-01 09:30:00",
        "void_datetime": None,
        "transaction_type_name": "Payment",
        "currency_symbol": "$",
        "currency_iso4217": "USD",
        "customer_id": 1,
        "applied_to": [{"invoice_id": 10000, "applied": 30}],
        "applied": 30,
        "unapplied": 0,
        "transaction_status_name": "Success",
        "transaction_status_str": "ok-successful",
        "transaction_status_state": "o",
    }
    record = transaction(shop, id_)
    assert {name: record[name] for name in expected} == expected
    invoice = shop.ok("GET", "/invoice/10000")
    assert (invoice["payments"], invoice["credits"], invoice["paid_date"]) == (30, 0, "2026-03-01")
    assert (invoice["invoice_status_str"], invoice["is_paid"]) == ("closed-paid", True)


def test_recorded_credit_reads_as_recorded(shop):
    """A credit that is applied to nothing (recording create_one_credit); detail cut to 32."""
    id_ = pay(shop, "42.50", kind=CREDIT, transaction_detail="Credit for unused Image Relay Small")
    record = transaction(shop, id_)
    assert (record["amount"], record["applied_to"]) == (Decimal("42.5"), [])
    assert (record["transaction_method"], record["transaction_type_name"]) == ("Credits", "Credit")
    assert record["transaction_detail"] == "Credit for unused Image Relay Sm"
    assert record["unapplied"] == Decimal("42.5")
    assert shop.ok("GET", "/customer/1")["paid"] == 0


def test_credit_shows_in_credits(shop):
    """Not in the payments of an invoice, and not in what its customer paid."""
    pay(shop, 30, 10000, kind=CREDIT)
    invoice = shop.ok("GET", "/invoice/10000")
    assert (invoice["credits"], invoice["payments"], invoice["balance"]) == (30, 0, 0)
    assert invoice["invoice_status_str"] == "closed-paid"
    customer = shop.ok("GET", "/customer/1")
    assert (customer["paid"], customer["balance"], customer["total"]) == (0, 70, 100)


def test_a_list_leaves_out_what_it_is_applied_to(shop):
    """Lists have no nested parts."""
    pay(shop, 30, 10000)
    (record,) = shop.ok("GET", "/transaction")
    assert not {"applied_to", "refunds", "payments"} & record.keys()
    assert (record["applied"], record["unapplied"]) == (30, 0)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("applied_to.invoice_id:EQUALS:10001", [2]),
        ("transaction_type:EQUALS:cre", [2]),
        ("transaction_status.str:EQUALS:ok-successful", [1, 2]),
        ("transaction_status.state:EQUALS:f", []),
        ("amount:GT:25", [1]),
        ("customer_id:EQUALS:1,transaction_method:EQUALS:Credits", [2]),
        ("creditcard_id:EQUALS:1", []),
    ],
)
def test_transactions_are_found(shop, where, found):
    """By the documented fields, dotted ones among them."""
    pay(shop, 30, 10000)
    pay(shop, 20, 10001, kind=CREDIT)
    assert [e["transaction_id"] for e in shop.ok("GET", f"/transaction?where={where}")] == found


def test_invoices_are_found_by_their_transaction(shop):
    """The documented filter transaction.transaction_id."""
    pay(shop, 30, 10000)
    second = pay(shop, 70, 10001, 10002)
    found = shop.ok("GET", f"/invoice?where=transaction.transaction_id:EQUALS:{second}")
    assert [invoice["invoice_id"] for invoice in found] == [10001, 10002]


# Applying


def test_an_amount_is_split_in_order(shop):
    """As much as there is and is due; the rest stays unapplied."""
    first = pay(shop, 45, 10000, 10001, 10002)
    assert applied(shop, first) == {10000: 30, 10001: 15}
    second = pay(shop, 60, {"invoice_id": 10002, "applied": "49.99"}, {"invoice_id": 10001})
    assert applied(shop, second) == {10002: Decimal("49.99"), 10001: 5}
    assert transaction(shop, second)["unapplied"] == Decimal("5.01")
    assert balances(shop) == [0, 0, Decimal("0.01")]


@pytest.mark.parametrize("key", ["invoice_external_key", "invoice_token"])
def test_invoices_are_named_by_key_or_token(shop, key):
    """As everywhere, ``X_external_key`` and ``X_token`` stand for ``X_id``."""
    shop.ok("PUT", "/invoice/10001", {"external_key": "bill"})
    token = shop.ok("GET", "/invoice/10001")["token"]
    pay(shop, 20, {key: "bill" if key.endswith("key") else token})
    assert balances(shop) == [30, 0, 50]


@pytest.mark.parametrize(
    ("amount", "found"),
    [(50, {10002: 50}), (45, {10000: 30, 10001: 15}), (20, {10001: 20})],
)
def test_best_fit_is_by_amount_then_date(shop, amount, found):
    """auto_apply picks the invoice of just that amount, else the oldest ones."""
    payload = {"customer_id": 1, "amount": amount, **CHECK, "auto_apply": "best_fit"}
    assert applied(shop, shop.ok("POST", "/transaction", payload)["id"]) == found


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"customer_id": 1, "transaction_type": "pay"},
        {"customer_id": 1, "transaction_type": 5, "amount": 5},
        {"transaction_type": "pay", "amount": 5},
        {"customer_id": 9, "transaction_type": "pay", "amount": 5},
        {"customer_id": 1, "transaction_type": "gift", "amount": 5},
        {"customer_id": 1, **CHECK, "amount": 0},
        {"customer_id": 1, **CHECK, "amount": -5},
        {"customer_id": 1, **CHECK, "amount": "5.001"},
        {"customer_id": 1, **CHECK, "amount": "NaN"},
        {"customer_id": 1, "transaction_type": "ref", "amount": 5},
        {"customer_id": 1, "transaction_type": "cre", "gateway_method": "check", "amount": 5},
        {"customer_id": 1, **CHECK, "amount": 5, "applied_to": "10000"},
        {"customer_id": 1, **CHECK, "amount": 5, "applied_to": [[10000]]},
        {"customer_id": 1, **CHECK, "amount": 5, "applied_to": [{}]},
        {"customer_id": 1, **CHECK, "amount": 5, "applied_to": [{"invoice_id": 9}]},
        {"customer_id": 1, **CHECK, "amount": 5, "applied_to": {"a": {"invoice_id": 10000}}},
        {
            "customer_id": 1,
            **CHECK,
            "amount": 50,
            "applied_to": [{"invoice_id": 10000, "applied": 31}],
        },
        {
            "customer_id": 1,
            **CHECK,
            "amount": 5,
            "applied_to": [{"invoice_id": 10000, "applied": 6}],
        },
        {
            "customer_id": 1,
            **CHECK,
            "amount": 5,
            "applied_to": [{"invoice_id": 10000, "applied": -1}],
        },
        {
            "customer_id": 1,
            **CHECK,
            "amount": 5,
            "applied_to": [{"invoice_id": 10000}, {"invoice_id": 10000}],
        },
        {"customer_id": 1, **CHECK, "amount": 5, "auto_apply": "worst_fit"},
    ],
)
def test_unsound_transaction_is_refused(shop, payload):
    """Nothing is recorded, and no invoice is touched."""
    shop.refused("POST", "/transaction", payload)


def test_invoices_of_others_are_out_of_reach(shop):
    """But a parent may pay for its child, which then cannot leave it."""
    child = shop.customer(company="Child", parent_customer_id=1)
    other = shop.customer(company="Other")
    for owner in (child, other):
        shop.invoice(owner, {"item_id": 1, "line_rate": 5})
    payload = {"customer_id": 1, **CHECK, "amount": 5}
    message = shop.refused(
        "POST", "/transaction", {**payload, "applied_to": [{"invoice_id": 10004}]}
    )
    assert "not one of customer 1" in message
    pay(shop, 5, 10003)
    assert shop.ok("GET", "/invoice/10003")["is_paid"] is True
    assert shop.ok("GET", "/customer/1")["paid"] == 5
    assert shop.ok("GET", f"/customer/{child}")["paid"] == 0
    for method, path, body in (
        ("POST", f"/customer/{child}/_action/disconnectParent", {}),
        ("PUT", f"/customer/{child}", {"parent_customer_id": None}),
    ):
        assert "parent" in shop.refused(method, path, body)
    shop.ok("POST", "/transaction/1?action=void")
    assert shop.ok("POST", f"/customer/{child}/_action/disconnectParent", {}) is True


@pytest.mark.parametrize("form", ["/transaction/1?action={}", "/transaction/1/_action/{}"])
@pytest.mark.parametrize("keyed", [False, True])
def test_applied_amounts_are_replaced(shop, form, keyed):
    """The list is complete, in both documented shapes; an empty one unapplies everything."""
    pay(shop, 45, 10000, 10001)
    entries = [{"invoice_id": 10002, "applied": 40}, {"invoice_id": 10000}]
    sent = {str(i): entry for i, entry in enumerate(entries)} if keyed else entries
    path = form.format("changeAppliedAmounts")
    assert shop.ok("POST", path, {"applied_to": sent}) is True
    assert applied(shop, 1) == {10002: 40, 10000: 5}
    assert balances(shop) == [25, 20, 10]
    assert shop.ok("GET", "/invoice/10000")["paid_date"] is None
    assert shop.ok("POST", path, {"applied_to": {} if keyed else []}) is True
    assert (balances(shop), transaction(shop, 1)["unapplied"]) == ([30, 20, 50], 45)
    shop.refused("POST", path, {})
    shop.refused("POST", path, {"applied_to": [{"invoice_id": 10002, "applied": 46}]})


def test_customer_balance_is_applied(shop):
    """True when something was applied, oldest first; false when there was nothing."""
    path = "/invoice/10000/_action/pay"
    body = {"use_customer_balance": True}
    assert shop.ok("POST", path, body) is False
    pay(shop, 10, kind=CREDIT)
    pay(shop, 25)
    assert shop.ok("POST", path, body) is True
    invoice = shop.ok("GET", "/invoice/10000")
    assert (invoice["credits"], invoice["payments"], invoice["balance"]) == (10, 20, 0)
    assert transaction(shop, 2)["unapplied"] == 5
    assert shop.ok("POST", path, body) is False


@pytest.mark.parametrize("gone", ["void", "delete"])
def test_what_an_invoice_held_is_free_again(shop, gone):
    """A void or deleted invoice gives back what was applied to it."""
    pay(shop, 40, 10000, 10001)
    if gone == "void":
        shop.ok("POST", "/invoice/10000?action=void")
    else:
        shop.ok("DELETE", "/invoice/10000")
    assert applied(shop, 1) == {10001: 10}
    assert transaction(shop, 1)["unapplied"] == 30
    assert shop.ok("GET", "/customer/1")["paid"] == 40


def test_a_smaller_invoice_gives_back_the_excess(shop):
    """An update never leaves a balance below zero."""
    pay(shop, 40, 10002)
    line = shop.ok("GET", "/invoice/10002")["line_items"][0]["line_item_id"]
    lines = [{"line_item_id": line, "line_rate": 35}]
    shop.ok("PUT", "/invoice/10002", {"line_items": lines})
    assert shop.ok("GET", "/invoice/10002")["balance"] == 0
    assert (applied(shop, 1), transaction(shop, 1)["unapplied"]) == ({10002: 35}, 5)


# Seeds


BILL = {"invoice_id": 10000, "customer_id": 1, "line_items": [{"line_rate": 50}]}
PAID = {"transaction_id": 7, "customer_id": 1, "amount": 30}


@pytest.mark.parametrize(
    "applied_to", [[{"invoice_id": 10000, "applied": 30}], [{"invoice_id": "10000"}], [10000]]
)
@pytest.mark.parametrize("first", ["invoice", "transaction"])
def test_what_a_seed_applies_is_applied(account, applied_to, first):
    """In either order, and once: the invoice, the customer and the payment agree."""
    account.customer()
    seeds = [("invoice", BILL), ("transaction", {**PAID, "applied_to": applied_to})]
    for name, record in seeds if first == "invoice" else reversed(seeds):
        account.store.seed(name, record)
    for name, record in seeds:  # seeded again, in place of what there is
        account.store.seed(name, record)
    invoice = account.ok("GET", "/invoice/10000")
    assert (invoice["payments"], invoice["balance"], invoice["applied"]) == (30, 20, 30)
    assert (applied(account, 7), transaction(account, 7)["unapplied"]) == ({10000: 30}, 0)
    customer = account.ok("GET", "/customer/1")
    assert (customer["paid"], customer["balance"]) == (30, 20)
    account.ok("POST", "/transaction/7?action=void", {})
    assert account.ok("GET", "/invoice/10000")["balance"] == 50


def test_seeded_payment_is_counted_once(account):
    """An invoice whose own seed gives its payments counts them already, credits apart."""
    account.customer()
    account.store.seed("invoice", {**BILL, "payments": 30})
    account.store.seed(
        "transaction", {**PAID, "applied_to": [{"invoice_id": 10000, "applied": 30}]}
    )
    credit = {"transaction_id": 8, "transaction_type": "cre", "customer_id": 1, "amount": 5}
    account.store.seed("transaction", {**credit, "applied_to": [10000]})
    invoice = account.ok("GET", "/invoice/10000")
    assert (invoice["payments"], invoice["credits"], invoice["balance"]) == (30, 5, 15)
    assert account.ok("GET", "/customer/1")["paid"] == 30


@pytest.mark.parametrize("state", [{"gateway_status": 0}, {"void_datetime": "2026-01-01 00:00:00"}])
def test_seeded_payment_that_moved_nothing_is_not_applied(account, state):
    """A decline, or one that is void."""
    account.customer()
    account.store.seed("invoice", BILL)
    account.store.seed("transaction", {**PAID, **state, "applied_to": [10000]})
    assert account.ok("GET", "/invoice/10000")["balance"] == 50


def test_seeded_invoice_that_is_paid_has_the_day(account):
    """And its status; a refund that a seed brings opens it again."""
    account.customer()
    account.store.seed("invoice", BILL)
    account.store.seed("transaction", {**PAID, "amount": 50, "applied_to": [10000]})
    invoice = account.ok("GET", "/invoice/10000")
    assert (invoice["paid_date"], invoice["invoice_status_str"]) == ("2026-03-01", "closed-paid")
    refund = {"transaction_id": 9, "transaction_type": "ref", "customer_id": 1, "amount": -50}
    back = [{"invoice_id": 10000, "applied": -50}]
    account.store.seed("transaction", {**refund, "applied_to": back})
    invoice = account.ok("GET", "/invoice/10000")
    assert (invoice["payments"], invoice["applied"], invoice["balance"]) == (50, 100, 50)


# Refunds and voids


def test_refund_takes_the_unapplied_part_first(shop):
    """All of it without an amount; the invoice is open again, and the two name each other."""
    pay(shop, 40, 10000)
    answered = shop.ok("POST", "/transaction/1?action=refund", {"amount": "15"})
    assert answered == {"id": "2"}  # text, as recorded
    record = transaction(shop, 2)
    assert (record["amount"], record["transaction_type_name"]) == (-15, "Refund")
    assert record["applied_to"] == [{"invoice_id": 10000, "applied": -5}]
    assert record["payments"] == [{"transaction_id": 1}]
    assert (balances(shop), transaction(shop, 1)["unapplied"]) == ([5, 20, 50], 0)
    assert shop.ok("POST", "/transaction/1/_action/refund", {}) == {"id": "3"}
    assert transaction(shop, 3)["amount"] == -25
    refunds = transaction(shop, 1)["refunds"]
    assert refunds == [{"transaction_id": 2}, {"transaction_id": 3}]
    invoice = shop.ok("GET", "/invoice/10000")
    assert (invoice["payments"], invoice["applied"], invoice["balance"]) == (30, 60, 30)
    assert invoice["invoice_status_state"] == "o"
    assert shop.ok("GET", "/customer/1")["paid"] == 0
    assert "only 0" in shop.refused("POST", "/transaction/1?action=refund", {})


@pytest.mark.parametrize("form", [[10000], ["10000"], {"0": 10000}, [{"invoice_id": "10000"}]])
@pytest.mark.parametrize("path", ["/transaction", "/transaction?action=pay"])
def test_an_invoice_may_be_named_by_its_id_alone(shop, form, path):
    """As the vendor's Ruby client does, which was recorded to be taken."""
    shop.card(1)
    shop.ok("POST", path, {"customer_id": 1, "amount": 30, **CHECK, "applied_to": form})
    assert (applied(shop, 1), balances(shop)) == ({10000: 30}, [0, 20, 50])
    shop.ok("POST", "/transaction/1?action=changeAppliedAmounts", {"applied_to": ["10001"]})
    assert balances(shop) == [30, 0, 50]


@pytest.mark.parametrize("form", [[True], [None], [[10000]], ["x"], [""], 10000, "10000", [-1]])
def test_what_names_no_invoice_is_refused(shop, form):
    """And nothing is paid."""
    shop.refused(
        "POST", "/transaction", {"customer_id": 1, "amount": 5, **CHECK, "applied_to": form}
    )


@pytest.mark.parametrize(
    ("given_back", "shown"), [(None, (99, 198, 99)), (10, (99, 109, 10))], ids=["all", "a part"]
)
def test_what_was_paid_stays_when_it_is_given_back(account, given_back, shown):
    """Payments, applied and balance of the recorded invoices 10085 and 10090."""
    account.customer()
    account.invoice(1, {"item_id": account.item(99)})
    pay(account, 99, 10000)
    fields = {} if given_back is None else {"amount": given_back}
    account.ok("POST", "/transaction/1?action=refund", fields)
    payment, refund = (transaction(account, id_) for id_ in (1, 2))
    assert refund["gateway_transid"] == payment["gateway_transid"]
    invoice = account.ok("GET", "/invoice/10000")
    assert (invoice["payments"], invoice["applied"], invoice["balance"]) == shown
    assert account.ok("GET", "/customer/1")["paid"] == 99 - (given_back or 99)
    assert account.ok("GET", "/invoice?where=payments:EQUALS:99")[0]["invoice_id"] == 10000
    account.store.seed("invoice", {**invoice, "customer_id": 1})  # as somebody exported it
    again = account.ok("GET", "/invoice/10000")
    assert (again["payments"], again["applied"], again["balance"]) == shown
    account.ok("POST", "/transaction/2?action=void", {})
    after = account.ok("GET", "/invoice/10000")
    assert (after["payments"], after["applied"], after["balance"]) == (99, 99, 0)


@pytest.mark.parametrize("amount", [41, 0, -5, "1.001"])
def test_refund_is_at_most_what_was_paid(shop, amount):
    """And above nothing."""
    pay(shop, 40, 10000)
    shop.refused("POST", "/transaction/1?action=refund", {"amount": amount})


def test_only_payments_can_be_refunded(shop):
    """No credit, refund or failure; and no refund is applied anew or void twice."""
    pay(shop, 10, kind=CREDIT)
    pay(shop, 10, 10000, gateway_status=0)
    pay(shop, 10, 10000)
    shop.ok("POST", "/transaction/3?action=refund")
    for id_ in (1, 2, 4):
        shop.refused("POST", f"/transaction/{id_}?action=refund")
    shop.refused("POST", "/transaction/4?action=changeAppliedAmounts", {"applied_to": []})
    shop.refused("POST", "/transaction/3?action=void")


def test_refunded_part_stays_with_its_invoice(shop):
    """What was refunded from an invoice cannot be applied to another one."""
    pay(shop, 30, 10000)
    shop.ok("POST", "/transaction/1?action=refund", {"amount": 10})
    path = "/transaction/1?action=changeAppliedAmounts"
    assert "refunded" in shop.refused("POST", path, {"applied_to": [{"invoice_id": 10001}]})
    entries = [{"invoice_id": 10000, "applied": 10}, {"invoice_id": 10001}]
    shop.ok("POST", path, {"applied_to": entries})
    assert balances(shop) == [30, 0, 50]


def test_refund_made_elsewhere_is_recorded(shop):
    """With negative amounts; no more than an invoice was paid."""
    pay(shop, 30, 10000)
    kind = {"transaction_type": "ref", "gateway_method": "check"}
    id_ = pay(shop, -12, {"invoice_id": 10000, "applied": -12}, kind=kind)
    assert (transaction(shop, id_)["amount"], balances(shop)[0]) == (-12, 12)
    assert shop.ok("GET", "/customer/1")["paid"] == 18
    payload = {"customer_id": 1, **kind, "amount": -20}
    for part in (-19, 1):
        applied_to = [{"invoice_id": 10000, "applied": part}]
        shop.refused("POST", "/transaction", {**payload, "applied_to": applied_to})
    pay(shop, -20, 10000, kind=kind)
    assert balances(shop)[0] == 30


def test_void_takes_a_payment_back(shop, wall):
    """Invoices are open again; twice changes nothing."""
    pay(shop, 45, 10000, 10001)
    assert shop.ok("POST", "/transaction/1/?action=void") is True
    record = transaction(shop, 1)
    assert (record["amount"], record["applied"], record["unapplied"]) == (45, 0, 0)
    assert record["void_datetime"] == "2026-03-01 09:30:00"
    assert record["transaction_status_name"] == "Void"
    assert balances(shop) == [30, 20, 50]
    assert shop.ok("GET", "/customer/1")["paid"] == 0
    wall.advance(days=1)
    assert shop.ok("POST", "/transaction/1/_action/void") is True
    assert transaction(shop, 1)["void_datetime"] == "2026-03-01 09:30:00"
    assert shop.ok("POST", "/invoice/10000?action=pay", {"use_customer_balance": 1}) is False


def test_void_takes_a_refund_back(shop):
    """What the invoice has been paid otherwise since becomes unapplied."""
    pay(shop, 30, 10000)
    shop.ok("POST", "/transaction/1?action=refund", {"amount": 10})
    pay(shop, 4, 10000)
    assert balances(shop)[0] == 6
    shop.ok("POST", "/transaction/2?action=void")
    assert balances(shop)[0] == 0
    assert transaction(shop, 1)["refunds"] is None
    assert transaction(shop, 1)["unapplied"] + transaction(shop, 3)["unapplied"] == 4


# Charging


def test_pay_charges_what_is_on_file(shop):
    """The new transaction is answered with 200 and shows the card; nothing else of it is kept."""
    card = shop.card(1, cvv="123")
    envelope = shop("POST", "/transaction?action=pay", {"customer_id": 1, "amount": "19.99"})
    assert (envelope["code"], envelope["response"]) == (200, {"id": 1})
    record = transaction(shop, 1)
    assert (record["amount"], record["gateway_id"]) == (Decimal("19.99"), 201)
    assert record["transaction_method"] == "Visa"
    assert record["transaction_detail"] == "xxxx-xxxx-xxxx-1111"
    assert record["transaction_type"] == "pay"
    assert record["unapplied"] == Decimal("19.99")
    found = shop.ok("GET", f"/transaction?where=creditcard_id:EQUALS:{card}")
    assert [entry["transaction_id"] for entry in found] == [1]


@pytest.mark.parametrize("path", ["/transaction?action=pay", "/transaction/_action/pay"])
@pytest.mark.parametrize("key", ["customer_external_key", "customer_token"])
def test_pay_takes_its_amount_from_the_invoices(shop, path, key):
    """In both spellings, with any name of the customer."""
    shop.ok("PUT", "/customer/1", {"external_key": "acme"})
    shop.card(1)
    token = shop.ok("GET", "/customer/1")["token"]
    customer = {key: "acme" if key.endswith("key") else token}
    parts = [{"invoice_id": 10000}, {"invoice_id": 10002, "applied": 5}]
    shop.ok("POST", path, {**customer, "applied_to": parts})
    assert (transaction(shop, 1)["amount"], balances(shop)) == (35, [0, 20, 45])


def test_methods_are_tried_in_turn(shop):
    """The default first, then all that are stored; each decline leaves a failed transaction."""
    shop.card(1)
    declined = shop.card(1, "4000 0000 0000 0002")
    shop.ok("POST", "/customer/1/_action/setPayMethod", {"creditcard_id": declined})
    shop.ok("POST", "/invoice/10000?action=pay")
    failed, paid = transaction(shop, 1), transaction(shop, 2)
    assert (failed["gateway_status"], failed["gateway_transid"]) == (0, None)
    assert failed["gateway_msg"] == "Your card was declined."
    assert failed["transaction_status_name"] == "Failed (decline)"
    assert (failed["amount"], failed["applied"], failed["unapplied"]) == (30, 0, 0)
    assert (paid["gateway_status"], paid["applied"]) == (1, 30)
    assert shop.ok("GET", "/invoice/10000")["declines"] == 1
    assert shop.ok("GET", "/customer/1")["paid"] == 30


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"number": "4111111111111111", "expdate": "2026-02-01"}, "Your card has expired."),
        (
            {"number": "4000000000000069", "expdate_year": "2030", "expdate_month": "8"},
            "Your card has expired.",
        ),
        (
            {"number": "4000-0000-0000-9995", "expdate_year": "30", "expdate_month": "08"},
            "Your card has insufficient funds.",
        ),
        (
            {"number": "000111111113", "routing": "072403004", "type": "chec"},
            "The bank account is closed.",
        ),
    ],
)
def test_decline_is_an_error_with_the_reason(shop, method, message):
    """400 in the recorded words, whether an invoice or a customer is charged; nothing is paid."""
    text = f"This transaction could not be processed: {message}"
    for path, payload in (
        ("/invoice/10000?action=pay", method),
        ("/transaction?action=pay", {"customer_id": 1, "amount": 5, "paymethods": [method]}),
    ):
        envelope = shop("POST", path, payload)
        assert (envelope["code"], envelope["message"], envelope["response"]) == (400, text, False)
    assert [entry["gateway_status"] for entry in shop.ok("GET", "/transaction")] == [0, 0]
    assert balances(shop)[0] == 30
    assert shop.ok("GET", "/invoice/10000")["declines"] == 1


def test_declining_token_and_stored_account(shop):
    """A stored method declines for good; a later one may be taken."""
    for token in ("tok_chargeDeclined", "cus_1"):
        payload = {"customer_id": 1, "type": "customer", "token": token}
        shop.ok("POST", "/tokenized", payload)
    account = {"customer_id": 1, "number": "000222222227", "routing": "072403004", "type": "busi"}
    shop.ok("POST", "/ach", account)
    for methods, code in (
        ([{"tokenized_id": 1}], 400),
        ([{"ach_id": 1}], 400),
        ([{"tokenized_id": 1}, {"ach_id": 1}, {"tokenized_id": 2}], 200),
    ):
        payload = {"customer_id": 1, "amount": 5, "paymethods": methods}
        assert shop("POST", "/transaction?action=pay", payload)["code"] == code
    assert [entry["gateway_status"] for entry in shop.ok("GET", "/transaction")] == [0, 0, 0, 0, 1]


def test_bank_payment_is_pending_for_days(shop, wall):
    """It is applied at once and successful three days later."""
    method = {"number": "123456667", "routing": "072403004", "type": "chec"}
    shop.ok("POST", "/invoice/10000?action=pay", method)
    record = transaction(shop, 1)
    assert (record["transaction_status_name"], record["gateway_status"]) == ("Pending", 1)
    assert record["transaction_detail"] == "x6667"
    assert balances(shop)[0] == 0
    wall.advance(days=3)
    assert transaction(shop, 1)["transaction_status_name"] == "Success"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"customer_id": 1},
        {"amount": 5},
        {"customer_id": 1, "amount": 5},  # nothing on file
        {"customer_id": 1, "amount": 0},
        {"customer_id": 1, "amount": 5, "paymethods": []},
        {"customer_id": 1, "amount": 5, "paymethods": [{}]},
        {"customer_id": 1, "amount": 5, "paymethods": ["card"]},
        {"customer_id": 1, "amount": 5, "paymethods": [{"creditcard_id": 1}]},
        {"customer_id": 1, "amount": 5, "paymethods": [{"creditcard_id": 99}]},
        {"customer_id": 1, "amount": 5, "paymethods": [{"number": "4111111111111111"}]},
        {
            "customer_id": 1,
            "amount": 5,
            "paymethods": [{"number": "4111111111111112", "expdate": "2030-01-01"}],
        },
        {"customer_id": 1, "amount": 5, "paymethods": [{"number": "1", "routing": "2"}]},
        {"customer_id": 1, "amount": 5, "applied_to": [{"invoice_id": 10000, "applied": 6}]},
    ],
)
def test_unsound_payment_is_refused(shop, payload):
    """Nothing is charged and nothing recorded; another customer's card is none of ours."""
    shop.card(shop.customer(company="Other"))
    shop.refused("POST", "/transaction?action=pay", payload)


def test_on_behalf_of_is_kept_with_the_payment(shop):
    """The address is the end customer's (vendor's text, "On Behalf Of...")."""
    shop.card(1)
    query = "on_behalf_addr=173.132.15.83&on_behalf_details=johndoe@example.com"
    shop.ok("POST", f"/transaction?action=pay&{query}", {"customer_id": 1, "amount": 5})
    assert transaction(shop, 1)["transaction_ipaddr"] == "173.132.15.83"


@pytest.mark.parametrize(
    ("method", "path", "command"),
    [
        ("PUT", "/transaction/1", "modify(transaction, 1)"),
        ("DELETE", "/transaction/1", "delete(transaction, 1)"),
        ("POST", "/transaction?action=fly", "fly(transaction, )"),
    ],
)
def test_transactions_are_not_changed_otherwise(shop, method, path, command):
    """No source shows an update or a delete."""
    pay(shop, 5)
    message = shop.refused(method, path, {"amount": 6})
    assert message == f"The command requested is not supported: {command}"


# Whatever is done

step = st.one_of(
    st.tuples(st.just("pay"), st.integers(1, 90), st.lists(st.integers(0, 2), max_size=3)),
    st.tuples(st.just("cre"), st.integers(1, 90), st.lists(st.integers(0, 2), max_size=3)),
    st.tuples(st.just("ref"), st.integers(1, 90), st.lists(st.integers(0, 2), max_size=2)),
    st.tuples(st.just("charge"), st.integers(0, 2)),
    st.tuples(st.just("balance"), st.integers(0, 2)),
    st.tuples(st.just("refund"), st.integers(1, 8), st.none() | st.integers(1, 60)),
    st.tuples(st.just("void"), st.integers(1, 8)),
    st.tuples(st.just("void_invoice"), st.integers(0, 2)),
    st.tuples(st.just("shrink"), st.integers(0, 2), st.integers(1, 60)),
    st.tuples(
        st.just("reapply"),
        st.integers(1, 8),
        st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 60)), max_size=3),
    ),
)


def play(account, kind: str, first: int, rest: Any = None) -> None:
    """Do one step; a refusal is fine, a server error is not."""
    method, path, body = "POST", f"/transaction/{first}?action={kind}", {}
    if kind in ("pay", "cre", "ref"):
        path = "/transaction"
        body = {
            "customer_id": 1,
            "transaction_type": kind,
            "gateway_method": "credit" if kind == "cre" else "check",
            "amount": -first if kind == "ref" else first,
            "applied_to": [{"invoice_id": 10000 + number} for number in rest],
        }
    elif kind == "charge":
        path = f"/invoice/{10000 + first}?action=pay"
    elif kind == "balance":
        path, body = f"/invoice/{10000 + first}?action=pay", {"use_customer_balance": True}
    elif kind == "refund":
        body = {} if rest is None else {"amount": rest}
    elif kind == "void_invoice":
        path = f"/invoice/{10000 + first}?action=void"
    elif kind == "shrink":
        method, path = "PUT", f"/invoice/{10000 + first}"
        body = {"line_items": [{"item_id": 1, "line_rate": rest}]}
    elif kind == "reapply":
        path = f"/transaction/{first}?action=changeAppliedAmounts"
        parts = [
            {"invoice_id": 10000 + number} | ({} if part is None else {"applied": part})
            for number, part in rest
        ]
        body = {"applied_to": parts}
    assert account(method, path, body)["code"] < 500


@settings(
    max_examples=int(os.environ.get("CHARGEOVER_MONEY_EXAMPLES", "50")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(step, max_size=12))
def test_money_is_neither_lost_nor_made(make_account, steps):
    """Invoices, transactions and the customer agree after any sequence of steps."""
    account = make_account()
    account.customer()
    account.item()
    account.card(1)
    for rate in (30, 20, 50):
        account.invoice(1, {"item_id": 1, "line_rate": rate})
    for taken in steps:
        play(account, *taken)
    invoices = account.store.records("invoice")
    rows = account.store.records("transaction")
    for invoice in invoices:
        held = dict.fromkeys(("pay", "ref", "cre"), 0)
        for row in rows:
            for entry in row["applied_to"]:
                if entry["invoice_id"] == invoice["invoice_id"]:
                    held[row["transaction_type"]] += entry["applied"]
        assert (invoice["payments"], invoice["credits"]) == (held["pay"], held["cre"])
        assert invoice["applied"] == held["pay"] + held["cre"] - held["ref"]
        assert min(held["pay"] + held["ref"], held["cre"]) >= 0
        assert invoice["balance"] >= 0
        if invoice["void_datetime"] is None:
            assert invoice["balance"] == invoice["total"] - sum(held.values())
    moved = [row for row in rows if row["gateway_status"] and row["void_datetime"] is None]
    for row in rows:
        assert row["applied"] == sum(entry["applied"] for entry in row["applied_to"])
        if row["transaction_type"] in ("pay", "cre"):
            assert 0 <= row["applied"] <= row["amount"]
            assert 0 <= row["unapplied"] <= row["amount"]
    for kind in ("pay", "cre"):
        # Money in is what invoices have of it, what is free, and what was given back.
        column = "payments" if kind == "pay" else "credits"
        kinds = ("pay", "ref") if kind == "pay" else ("cre",)
        amounts = sum(row["amount"] for row in moved if row["transaction_type"] in kinds)
        free = sum(row["unapplied"] for row in moved if row["transaction_type"] in kinds)
        kept = sum(invoice[column] for invoice in invoices)
        if kind == "pay":
            kept -= sum(
                invoice["applied"] - invoice["payments"] - invoice["credits"]
                for invoice in invoices
            )
        assert amounts == free + kept
    paid = sum(row["amount"] for row in moved if row["transaction_type"] in ("pay", "ref"))
    customer = account.store.find("customer", 1)
    assert customer["paid"] == paid
    assert customer["balance"] == sum(invoice["balance"] for invoice in invoices)


# Through the client


async def test_client_moves_money(sandbox):
    """Every method of the client's transactions, and the payments of invoices."""
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
        customer = (await co.customers.create(company="Acme")).id
        item = (await co.items.create(name="Thing", item_type="service")).id
        bills = [
            (
                await co.invoices.create(
                    customer_id=customer,
                    line_items=[{"item_id": item, "line_rate": Decimal(rate)}],
                )
            ).id
            for rate in ("30", "20.5", "50", "7", "8", "9")
        ]
        pay = await co.transactions.create(
            customer_id=customer,
            transaction_type="pay",
            gateway_method="check",
            amount=Decimal("30.00"),
            applied_to=[{"invoice_id": bills[0]}],
        )
        record = await co.transactions.get(pay.id)
        assert record.applied_to[0].invoice_id == bills[0]
        assert (record.amount, record.unapplied) == (Decimal(30), Decimal(0))
        credit = await co.transactions.create_credit(customer_id=customer, amount=Decimal(5))
        applied = [{"invoice_id": bills[1], "applied": Decimal("2.5")}]
        for form in ("query", "path"):
            assert await co.transactions.change_applied_amounts(credit.id, applied, form=form)
        assert (await co.invoices.get(bills[1])).balance == Decimal(18)
        assert await co.transactions.change_applied_amounts(credit.id, [bills[1]])
        assert (await co.invoices.get(bills[1])).balance == Decimal("15.5")
        assert await co.transactions.change_applied_amounts(credit.id, applied)
        back = await co.transactions.create_refund(
            customer_id=customer,
            amount=Decimal(-10),
            applied_to=[{"invoice_id": bills[0], "applied": Decimal(-10)}],
        )
        assert (await co.invoices.get(bills[0])).balance == Decimal(10)
        assert await co.transactions.void(back.id) is True
        refund = await co.transactions.refund(pay.id, amount=Decimal(12))
        assert (await co.transactions.get(refund.id)).amount == Decimal(-12)
        assert (await co.transactions.get(pay.id)).refunds[0].transaction_id == refund.id
        assert await co.transactions.email(pay.id) is True
        card = await co.creditcards.create(
            customer_id=customer, number="4242424242424242", expdate="2030-05-01"
        )
        on_behalf = co.with_options(on_behalf_addr="10.1.2.3")
        charged = await on_behalf.transactions.pay(
            customer_id=customer,
            applied_to=[{"invoice_id": bills[2]}],
            paymethods=[{"creditcard_id": card.id}],
        )
        found = await co.transactions.get(charged.id)
        assert (found.amount, found.transaction_ipaddr) == (Decimal(50), "10.1.2.3")
        assert await co.invoices.pay(bills[3]) is True
        assert await co.invoices.pay_credit_card(
            bills[4], number="5555555555554444", expdate_year="2031", expdate_month="8"
        )
        assert await co.invoices.pay_ach(
            bills[5], number="123456", routing="072403004", type="chec"
        )
        assert await co.invoices.apply_balance(bills[1]) is True
        with pytest.raises(BadRequest, match=r"could not be processed: Your card was declined\."):
            await co.invoices.pay_credit_card(
                bills[1], number="4000000000000002", expdate_year="2031", expdate_month="8"
            )
        failed = await co.transactions.list(where=F.gateway_status == 0)
        assert [entry.gateway_msg for entry in failed] == ["Your card was declined."]
        methods = [entry.transaction_method async for entry in co.transactions.iterate()]
        assert methods.count("Visa") == 3
        assert "MasterCard" in methods
        assert (await co.customers.get(customer)).paid == Decimal(30 - 12 + 50 + 7 + 8 + 9)


def test_documented_declines_are_those_of_the_gateway():
    """The page of the testing kit names every number that is declined, and no other."""
    page = (DOCS / "testing.md").read_text("utf-8")
    (named,) = re.findall(r"^Nothing is charged.*?transaction\.$", page, re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"\d{9,}", named)) == {*DECLINED_CARDS, *DECLINED_ACCOUNTS}
    assert f"`{DECLINED_TOKEN}`" in named
