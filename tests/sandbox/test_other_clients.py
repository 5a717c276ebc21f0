"""What the vendor's clients and examples in other languages send, and the vendor's server took.

Each request has the form of theirs, whatever else it has; which it is stands beside it.
"""

from __future__ import annotations

from typing import Any

import pytest

CARD = "4116 1967 8337 4209"  # the PHP examples' own
SENT: list[tuple[str, str, str, Any, int]] = [
    # PHP: an action without data has no body, an empty list counts as none.
    ("php cancel_package", "POST", "/package/{package}?action=cancel", None, 200),
    ("php suspend_package", "POST", "/package/{package}?action=suspend", [], 200),
    ("php send_welcome", "POST", "/package/{package}?action=welcome", None, 200),
    ("php paycycle", "POST", "/package/{package}?action=paycycle", {"paycycle": "qtr"}, 200),
    (
        "php upgrade",
        "POST",
        "/package/{package}?action=upgrade",
        {
            "line_items": [
                {"line_item_id": "{line}", "item_id": 1, "subscribe_prorate": True}
                | {"cancel_prorate": True, "custom_1": "x", "external_key": "new"},
                {"item_id": 1, "descrip": "d", "tierset": {"pricemodel": "fla", "percent": 50}},
            ]
        },
        200,
    ),
    (
        "php cancel_line",
        "POST",
        "/package/{package}?action=upgrade",
        {"line_items": [{"line_item_id": "{line}", "cancel": True}]},
        200,
    ),
    (
        "php package with prices",
        "POST",
        "/package",
        {
            "customer_id": 1,
            "line_items": [
                {
                    "item_id": 1,
                    "tierset": {"setup": 0, "base": 135, "paycycle": "mon", "pricemodel": "uni"}
                    | {"tiers": [{"unit_from": 1, "unit_to": 9999, "amount": 60}]},
                }
            ],
        },
        201,
    ),
    # PHP: one invoice to pay without a list around it; the same with keys of an array.
    (
        "php attempt_payment",
        "POST",
        "/transaction?action=pay",
        {"customer_id": 1, "amount": 2.95, "applied_to": {"invoice_id": 10000}},
        200,
    ),
    (
        "php apply_transaction",
        "POST",
        "/transaction/1?action=changeAppliedAmounts",
        {"applied_to": {"0": {"invoice_id": 10000, "applied": 5}}},
        200,
    ),
    ("php refund", "POST", "/transaction/1?action=refund", None, 200),
    (
        "php create_transaction",
        "POST",
        "/transaction",
        {"customer_id": 1, "gateway_status": 1, "gateway_transid": "a", "gateway_msg": "m"}
        | {"gateway_method": "visa", "amount": 1500.95, "transaction_type": "pay"}
        | {
            "transaction_method": "Visa",
            "transaction_detail": "",
            "transaction_date": "2014-12-02",
        },
        201,
    ),
    (
        "php pay_invoice_w_creditcard",
        "POST",
        "/invoice/10000?action=pay",
        {"number": CARD, "expdate_year": "2031", "expdate_month": "12", "name": "Jo"},
        200,
    ),
    (
        "php pay_invoice_w_achecheck",
        "POST",
        "/invoice/10000?action=pay",
        {"number": "1234 1234 1234", "name": "Jo", "routing": "072403004", "type": "chec"},
        200,
    ),
    (
        "php pay_invoice_w_balance",
        "POST",
        "/invoice/10000?action=pay",
        {"use_customer_balance": True},
        200,
    ),
    (
        "php modify_invoice",
        "PUT",
        "/invoice/10000",
        {
            "date": "2015-06-08",
            "line_items": [{"item_id": 1, "line_rate": 2.5}, {"line_item_id": 1}],
        },
        202,
    ),
    (
        "php create_creditcard",
        "POST",
        "/creditcard",
        {"customer_id": 1, "number": CARD}
        | {"expdate_year": "2016", "expdate_month": "8", "name": "Jo"},
        201,
    ),
    (
        "php set_pay_method",
        "POST",
        "/creditcard",
        {"customer_id": 1, "number": CARD} | {"expdate_year": 2031, "expdate_month": 12},
        201,
    ),
    (
        "php item without a base",
        "POST",
        "/item",
        {"name": "x", "type": "service"} | {"pricemodel": {"setup": 35.95, "pricemodel": "fla"}},
        201,
    ),
    ("php find_invoices", "GET", "/item?_dummy=1&where=&order=item_id:DESC", None, 200),
    ("php find_notes", "GET", "/note?where=obj_type:EQUALS:customer,obj_id:EQUALS:1", None, 200),
    ("php config", "POST", "/_config", {"chargeoverjs_token": "abcd"}, 201),
    (
        "php report_data",
        "POST",
        "/_report/38?action=getData",
        ["invoice_invoice_date:GTE:2017-05-02", "invoice_invoice_date:LTE:2017-07-02"],
        200,
    ),
    ("c# void", "POST", "/transaction/1/?action=void", None, 200),
    # Python: a payment is created with neither type nor method; an invoice has an invoice_date.
    (
        "python pay_transaction",
        "POST",
        "/transaction",
        {"customer_id": 1, "amount": 18.62, "applied_to": [{"invoice_id": 10000}]},
        201,
    ),
    (
        "python add_invoice",
        "POST",
        "/invoice",
        {"customer_id": 1, "invoice_date": "2014-03-05", "line_items": [{"item_id": 1}]},
        201,
    ),
    (
        "python recurring_package",
        "POST",
        "/package",
        {"customer_id": 1, "holduntil_datetime": "2013-10-01"}
        | {"line_items": [{"item_id": 1, "line_quantity": 15}]},
        201,
    ),
    (
        "python demo",
        "POST",
        "/customer",
        {"company": "A", "email": "a@b", "external_key": "o"},
        201,
    ),
    # Ruby: actions have an empty object or nothing.
    ("ruby cancel", "POST", "/package/{package}?action=cancel", {}, 200),
    (
        "ruby attempt_payment",
        "POST",
        "/transaction?action=pay",
        {"customer_id": 1, "applied_to": ["10000"]},
        200,
    ),
    (
        "ruby latest_invoice",
        "GET",
        "/invoice?order=invoice_date:DESClimit=1?offset=0&where=package_id:EQUALS:554",
        None,
        200,
    ),
]


@pytest.fixture
def shop(account):
    """A customer with a card, an open invoice, a subscription, and a payment that is free."""
    account.customer()
    account.item(20)
    account.card(1)
    account.invoice(1, {"item_id": 1, "line_rate": 30})
    package = {"customer_id": 1, "line_items": [{"item_id": 1}]}
    account.package = account.ok("POST", "/package", package)["id"]
    paid = {"customer_id": 1, "transaction_type": "pay", "gateway_method": "check", "amount": 40}
    account.ok("POST", "/transaction", paid)
    (line,) = account.ok("GET", f"/package/{account.package}")["line_items"]
    account.line = line["line_item_id"]
    return account


def filled(payload: Any, line: int) -> Any:
    if isinstance(payload, dict):
        return {name: filled(value, line) for name, value in payload.items()}
    if isinstance(payload, list):
        return [filled(value, line) for value in payload]
    return line if payload == "{line}" else payload


@pytest.mark.parametrize(
    ("method", "path", "payload", "code"),
    [case[1:] for case in SENT],
    ids=[case[0] for case in SENT],
)
def test_what_other_clients_send_is_taken(shop, method, path, payload, code):
    """With the code that it has elsewhere."""
    envelope = shop(method, path.format(package=shop.package), filled(payload, shop.line))
    assert (envelope["code"], envelope["message"]) == (code, "")


def test_what_other_clients_mean_is_done(shop):
    """A payment without type or list is one, and an invoice's date has two names."""
    pay = {"customer_id": 1, "amount": 18.62, "applied_to": {"invoice_id": 10000}}
    made = shop.ok("POST", "/transaction", pay)["id"]
    record = shop.ok("GET", f"/transaction/{made}")
    assert (record["transaction_type"], record["unapplied"]) == ("pay", 0)
    assert [part["invoice_id"] for part in record["applied_to"]] == [10000]
    lines = [{"item_id": 1}]
    fields = {"customer_id": 1, "invoice_date": "2014-03-05", "line_items": lines}
    id_ = shop.ok("POST", "/invoice", fields)["id"]
    invoice = shop.ok("GET", f"/invoice/{id_}")
    assert (invoice["date"], invoice["due_date"]) == ("2014-03-05", "2014-04-04")
    shop.ok("PUT", f"/invoice/{id_}", {"invoice_date": "2014-03-06"})
    assert shop.ok("GET", f"/invoice/{id_}")["due_date"] == "2014-04-05"


def test_a_record_from_a_list_is_written_back_with_another_key(shop):
    """As the Python client's demonstration does."""
    (record,) = shop.ok("GET", "/customer")
    record["external_key"] = "other"
    shop.ok("PUT", f"/customer/{record['customer_id']}", record)
    assert shop.ok("GET", "/customer/external_key:other")["customer_id"] == 1
