"""The rules of customers, users, items and invoices."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

# Customers


def test_new_customer_reads_as_recorded(account):
    """Defaults, blocks and the main contact are those of the recording new_customer."""
    account.customer(
        company="Another Customer",
        superuser_email="customer@example.com",
        superuser_first_name="John",
        superuser_last_name="Smith",
        bill_addr1="555 Main Street",
        bill_addr2="Suite 86",
        bill_state="Vermont",
        bill_postcode="05401",
        bill_country="United States",
    )
    record = account.ok("GET", "/customer/1")
    expected = {
        "bill_block": "555 Main Street\nSuite 86\nVermont 05401\nUnited States",
        "ship_block": "",
        "display_as": "Another Customer",
        "superuser_name": "John Smith",
        "superuser_phone": "",
        "terms_name": "Net 30",
        "terms_days": 30,
        "currency_symbol": "$",
        "no_taxes": False,
        "tags": [],
        "bill_city": None,
        "customer_status_str": "active-current",
        "write_datetime": "2026-03-01 09:30:00",
    }
    assert {name: record[name] for name in expected} == expected


def test_main_contact_is_a_user_of_its_own(account):
    """The superuser fields make a user who belongs to the customer, and follow that user."""
    account.customer(superuser_name="Karli Marie", superuser_email="k@example.com")
    record = account.ok("GET", "/customer/1")
    user = account.ok("GET", f"/user/{record['superuser_id']}")
    assert (user["first_name"], user["last_name"]) == ("Karli", "Marie")
    assert user["customers"] == [{"customer_id": "1", "company": "Acme"}]
    assert re.fullmatch("[a-z0-9]{12}", record["superuser_username"])
    account.ok("PUT", f"/user/{user['user_id']}", {"email": "new@example.com"})
    assert account.ok("GET", "/customer/1")["superuser_email"] == "new@example.com"


def test_customer_update_changes_the_main_contact(account):
    """A part of the name changes the whole one (recording update_customer)."""
    account.customer(superuser_name="Test Customer")
    account.ok("PUT", "/customer/1", {"superuser_first_name": "Todd", "bill_city": "Mashpee"})
    record = account.ok("GET", "/customer/1")
    assert record["superuser_name"] == "Todd Customer"
    assert record["bill_block"] == "Mashpee"
    assert account.store.count("user") == 1


def test_customer_without_contact_gets_one_by_update(account):
    """A customer may start without a contact and get one later, new or present."""
    account.customer()
    assert account.ok("GET", "/customer/1")["superuser_id"] is None
    account.ok("PUT", "/customer/1", {"superuser_email": "a@example.com"})
    assert account.ok("GET", "/customer/1")["superuser_id"] == 1
    user = account.ok("POST", "/user", {"name": "Jo Miller"})["id"]
    account.ok("PUT", "/customer/1", {"superuser_id": user})
    assert account.ok("GET", "/customer/1")["superuser_name"] == "Jo Miller"
    assert account.ok("GET", f"/user/{user}")["customer_id"] == 1
    account.ok("DELETE", f"/user/{user}")
    assert account.ok("GET", "/customer/1")["superuser_id"] is None


def test_customer_may_be_created_for_a_present_contact(account):
    """A contact that is named by id becomes the main one, and belongs to the customer."""
    user = account.ok("POST", "/user", {"name": "Jo Miller", "external_key": "jo"})["id"]
    customer = account.customer(superuser_external_key="jo", superuser_phone="1")
    record = account.ok("GET", f"/customer/{customer}")
    assert (record["superuser_id"], record["superuser_phone"]) == (user, "1")
    assert account.ok("GET", f"/user/{user}")["customer_id"] == customer
    assert account.store.count("user") == 1


def test_parent_is_set_and_detached(account):
    """A parent is set by any form of reference; null and disconnectParent detach it."""
    account.customer(external_key="top")
    child = account.customer(parent_customer_external_key="top")
    assert account.ok("GET", f"/customer/{child}")["parent_customer_id"] == 1
    account.ok("PUT", f"/customer/{child}", {"parent_customer_id": None})
    assert account.ok("GET", f"/customer/{child}")["parent_customer_id"] is None
    account.ok("PUT", f"/customer/{child}", {"parent_customer_id": 1})
    assert account.ok("POST", f"/customer/{child}/_action/disconnectParent", {}) is True
    assert account.ok("GET", f"/customer/{child}")["parent_customer_id"] is None
    assert "own parent" in account.refused("PUT", "/customer/1", {"parent_customer_id": 1})


@pytest.mark.parametrize("form", ["?action={}", "/_action/{}"])
def test_customer_is_set_inactive_and_active(account, form):
    """Both spellings of an action work, with any empty body."""
    account.customer()
    for name, expected in (("setInactive", "inactive-manual"), ("setActive", "active-current")):
        for body in ({}, None, []):
            assert account.ok("POST", f"/customer/1{form.format(name)}", body) is True
        assert account.ok("GET", "/customer/1")["customer_status_str"] == expected
    assert len(account.store.actions) == 6


def test_customer_status_follows_overdue_invoices(account, wall):
    """A customer is over due as long as one open invoice is past its date."""
    account.customer()
    account.invoice(1, {"item_id": account.item()}, terms_id=3)
    assert account.ok("GET", "/customer/1")["customer_status_str"] == "active-current"
    wall.advance(days=1)
    record = account.ok("GET", "/customer/1")
    assert (record["customer_status_name"], record["customer_status_id"]) == ("Over Due", 2)
    account.card(1)
    account.ok("POST", "/invoice/10000?action=pay")
    assert account.ok("GET", "/customer/1")["customer_status_str"] == "active-current"


def test_default_payment_method_is_set(account):
    """The method is kept; one that is not the customer's is refused, and so is none."""
    account.customer()
    account.refused("POST", "/customer/1/_action/setPayMethod", {"creditcard_id": 1})
    account.card(account.customer(company="Other"))
    account.refused("POST", "/customer/1/_action/setPayMethod", {"creditcard_id": 1})
    card = account.card(1, external_key="mine")
    assert account.ok("POST", "/customer/1/_action/setPayMethod", {"paymethod": "inv"}) is True
    assert account.ok("GET", "/customer/1")["default_paymethod"] == "inv"
    payload = {
        "creditcard_external_key": "mine",
        "update_subscriptions_and_scheduled_invoices": False,
    }
    assert account.ok("POST", "/customer/1/_action/setPayMethod", payload) is True
    record = account.ok("GET", "/customer/1")
    assert (record["default_paymethod"], record["default_creditcard_id"]) == ("crd", card)
    account.refused("POST", "/customer/1/_action/setPayMethod", {})


def test_customer_with_an_open_invoice_cannot_be_deleted(account):
    """An unpaid invoice keeps its customer; a void one does not."""
    account.customer()
    account.invoice(1, {"item_id": account.item()})
    account.refused("DELETE", "/customer/1")
    account.ok("POST", "/invoice/10000?action=void")
    assert account.ok("DELETE", "/customer/1") is True


def test_null_resets_a_field(account):
    """Null takes a value away; a field that always has one gets its default."""
    account.customer(bill_city="Storrs", no_taxes=True, terms_id=3)
    account.ok("PUT", "/customer/1", {"bill_city": None, "no_taxes": None, "terms_id": None})
    record = account.ok("GET", "/customer/1")
    assert (record["bill_city"], record["no_taxes"], record["terms_id"]) == (None, False, 2)


def test_currency_is_fixed_at_creation(account):
    """An update leaves out what only a create takes."""
    account.customer(currency_id=2)
    account.ok("PUT", "/customer/1", {"currency_id": 1, "company": "B"})
    record = account.ok("GET", "/customer/1")
    assert (record["currency_iso4217"], record["currency_symbol"]) == ("CAD", "CAD$")


# Users


def test_new_contact_reads_as_recorded(account):
    """Name and defaults are those of the recording create_contact; no password comes back."""
    account.customer()
    payload = {"first_name": "John", "last_name": "Doe", "customer_id": 1, "password": "secret"}
    account.ok("POST", "/user", payload)
    record = account.ok("GET", "/user/1")
    assert (record["name"], record["display_as"]) == ("John Doe", "John Doe")
    assert (record["title"], record["phone"], record["name_suffix"]) == ("", "", None)
    assert re.fullmatch("[a-z0-9]{12}", record["username"])
    assert "password" not in record


@pytest.mark.parametrize(
    ("sent", "first", "last", "name"),
    [
        ({"name": "Jo Miller"}, "Jo", "Miller", "Jo Miller"),
        ({"name": "Jo van Dyke"}, "Jo", "van Dyke", "Jo van Dyke"),
        ({"name": "Cher"}, "Cher", "", "Cher"),
        ({"first_name": "Ann"}, "Ann", "Doe", "Ann Doe"),
        ({"name": "X Y", "first_name": "Ann"}, "Ann", "Doe", "Ann Doe"),
        ({"name": None}, "", "", ""),
    ],
)
def test_names_are_split_and_joined(account, sent, first, last, name):
    """A whole name is split, parts are joined, parts win."""
    account.ok("POST", "/user", {"first_name": "John", "last_name": "Doe"})
    account.ok("PUT", "/user/1", sent)
    record = account.ok("GET", "/user/1")
    assert (record["first_name"], record["last_name"], record["name"]) == (first, last, name)


def test_user_actions_answer_as_documented(account):
    """Passwords answer true under both names; a login answers an address."""
    account.ok("POST", "/user", {"name": "Jo"})
    for name in ("password", "reset_password"):
        assert account.ok("POST", f"/user/1?action={name}", {}) is True
        assert account.ok("POST", f"/user/1/_action/{name}", {"password": "x"}) is True
    for name in ("login", "getLoginURL"):
        url = account.ok("POST", f"/user/1/_action/{name}", {"destination": "invoices"})
        assert url.startswith("https://")


def test_contact_stays_with_its_customer(account):
    """An update does not move a contact."""
    account.customer()
    account.customer()
    account.ok("POST", "/user", {"name": "Jo", "customer_id": 1})
    account.ok("PUT", "/user/1", {"customer_id": 2, "title": "Dr"})
    assert account.ok("GET", "/user/1")["customer_id"] == 1


# Items


def test_new_item_reads_as_recorded(account):
    """Price, formats and nested parts are those of the recording create_item."""
    payload = {
        "type": "service",
        "name": "Test Product",
        "pricemodel": {"base": Decimal("100.99"), "paycycle": "mon", "pricemodel": "fla"},
    }
    account.ok("POST", "/item", payload)
    record = account.ok("GET", "/item/1")
    assert record["service_data"] == {"trial_days": 0, "trial_units": 0, "is_usage": False}
    assert (record["categories"], record["item_type"]) == ([], "service")
    (tierset,) = record["tiersets"]
    expected = {
        "tierset_id": record["tierset_id"],
        "setup": 0,
        "base": Decimal("100.99"),
        "percent": "0.000000",
        "paycycle": "mon",
        "setup_formatted": "$ 0.00",
        "base_formatted": "$ 100.99",
        "percent_formatted": "0 %",
        "pricemodel_desc": "Flat Pricing (e.g. $X dollars per month)",
        "tiers": [],
    }
    assert {name: tierset[name] for name in expected} == expected


def test_item_price_has_defaults_and_tiers(account):
    """Cycle and model have defaults, large amounts no separators, bands are numbered."""
    account.ok("POST", "/item", {"item_type": "discount", "name": "D"})
    record = account.ok("GET", "/item/1")
    assert record["item_type"] == "discount"
    assert (record["tiersets"][0]["paycycle"], record["tiersets"][0]["pricemodel"]) == (
        "evy",
        "fla",
    )
    tiers = [{"unit_from": 1, "unit_to": 9999, "amount": "2.5"}]
    account.item(pricemodel={"base": 4500, "pricemodel": "uni", "tiers": tiers})
    (tierset,) = account.ok("GET", "/item/2")["tiersets"]
    assert tierset["base_formatted"] == "$ 4500.00"
    expected = {"tier_id": 1, "unit_from": 1, "unit_to": 9999, "amount": Decimal("2.5")}
    assert tierset["tiers"] == [expected]


@pytest.mark.parametrize(
    "pricemodel",
    [
        "ten",
        {"base": "ten"},
        {"base": [1]},
        {"base": True},
        {"base": "1e15"},
        {"paycycle": "often"},
        {"pricemodel": "free"},
        {"tiers": 1},
        {"tiers": [1]},
        {"tiers": [{"amount": "x"}]},
    ],
)
def test_wrong_price_is_refused(account, pricemodel):
    """A price that cannot be read creates nothing and uses up no number."""
    account.refused("POST", "/item", {"name": "x", "pricemodel": pricemodel})
    account.item()
    assert account.ok("GET", "/item/1")["tierset_id"] == 1


# Invoices


def test_new_invoice_has_its_amounts_dates_and_lines(account):
    """Totals, dates, status and links of an invoice follow from what was sent."""
    account.customer()
    account.item(base="100.99", external_key="big", description="A thing")
    account.invoice(1, {"item_external_key": "big"}, {"item_id": 1, "line_rate": "2.95"})
    record = account.ok("GET", "/invoice/10000")
    expected = {
        "refnumber": "10000",
        "total": Decimal("103.94"),
        "subtotal": Decimal("103.94"),
        "balance": Decimal("103.94"),
        "sum_onetime": Decimal("103.94"),
        "sum_base": 0,
        "taxes": 0,
        "payments": 0,
        "credits": 0,
        "date": "2026-03-01",
        "due_date": "2026-03-31",
        "terms_name": "Net 30",
        "invoice_status_name": "Unpaid",
        "invoice_status_str": "open-unpaid",
        "invoice_status_state": "o",
        "is_paid": False,
        "is_void": False,
        "is_overdue": False,
        "days_overdue": 0,
        "bill_block": "",
        "url_permalink": f"https://example.chargeover.com/r/invoice/view/{record['token']}",
        "url_pdflink": f"https://example.chargeover.com/r/invoice/pdf/{record['token']}",
        "url_paylink": f"https://example.chargeover.com/r/trans/pay/{record['token']}",
    }
    assert {name: record[name] for name in expected} == expected
    first, second = record["line_items"]
    assert (first["line_rate"], first["line_quantity"]) == (Decimal("100.99"), 1)
    assert (first["is_taxed"], first["is_base"]) == ("0", False)
    assert (first["item_name"], first["item_external_key"]) == ("Thing", "big")
    assert (first["descrip"], first["invoice_id"]) == ("A thing", 10000)
    assert first["line_item_id"] < second["line_item_id"]


@pytest.mark.parametrize(
    ("lines", "total"),
    [
        ([("0.1", 3)], "0.30"),
        ([("0.1", 1), ("0.2", 1)], "0.30"),
        ([("0.005", 1)], "0.01"),
        ([("0.004", 1)], "0.00"),
        ([("0.005", 1), ("0.005", 1)], "0.02"),
        ([("-0.005", 1)], "-0.01"),
        ([("19.99", "0.333")], "6.66"),
        ([("999999.99", 100)], "99999999.00"),
        ([("123456789.123456789", "0.000000001")], "0.12"),
        ([("10", 1), ("-10", 1)], "0"),
    ],
)
def test_totals_are_exact_to_the_cent(account, lines, total):
    """Each line is rounded half up, and nothing is lost in between."""
    account.customer()
    account.item()
    sent = [{"item_id": 1, "line_rate": rate, "line_quantity": qty} for rate, qty in lines]
    account.invoice(1, *sent)
    assert account.ok("GET", "/invoice/10000")["total"] == Decimal(total)
    assert account.ok("GET", "/customer/1")["total"] == Decimal(total)


@pytest.mark.parametrize(
    "payload",
    [
        {"customer_id": 1},
        {"customer_id": 1, "line_items": []},
        {"customer_id": 1, "line_items": "one"},
        {"customer_id": 1, "line_items": ["one"]},
        {"customer_id": 1, "line_items": [{}]},
        {"customer_id": 1, "line_items": [{"item_id": 1, "line_rate": "free"}]},
        {"customer_id": 1, "line_items": [{"item_id": 1, "line_quantity": "1e400"}]},
        {"customer_id": 1, "line_items": [{"item_id": 1, "line_item_id": 5}]},
        {"customer_id": 1, "line_items": [{"item_id": 1}], "date": "tomorrow"},
        {"customer_id": 1, "line_items": [{"item_id": 1}], "date": "2026-02-30"},
        {"customer_id": 1, "line_items": [{"item_id": 1}], "date": "9999-12-31"},
        {"line_items": [{"item_id": 1}]},
        {"customer_id": None, "line_items": [{"item_id": 1}]},
        {
            "customer_id": 1,
            "line_items": [{"item_id": 1, "line_rate": "9e11", "line_quantity": "9e11"}],
        },
    ],
)
def test_incomplete_invoice_is_refused(account, payload):
    """An invoice needs a customer, a line with an item, and sound values."""
    account.customer()
    account.item()
    account.refused("POST", "/invoice", payload)


def test_invoice_takes_terms_and_currency_from_its_customer(account):
    """What is not said comes from the customer; the due date follows the terms."""
    account.customer(terms_id=3, currency_id=6)
    account.invoice(1, {"item_id": account.item()}, date="2026-01-31")
    record = account.ok("GET", "/invoice/10000")
    assert (record["due_date"], record["currency_iso4217"]) == ("2026-01-31", "AUD")
    account.ok("PUT", "/invoice/10000", {"terms_id": 2})
    assert account.ok("GET", "/invoice/10000")["due_date"] == "2026-03-02"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-02-03", "2026-02-03"),
        ("2026-02-03 23:59:59", "2026-02-03"),
        ("2026-02-03T23:30:00-05:00", "2026-02-04"),
        ("2026-02-03T23:30:00Z", "2026-02-03"),
    ],
)
def test_all_documented_forms_of_a_date_are_taken(account, sent, kept):
    """A date with an offset is the day in the account's zone."""
    account.customer()
    account.invoice(1, {"item_id": account.item()}, date=sent)
    assert account.ok("GET", "/invoice/10000")["date"] == kept


def test_invoice_becomes_overdue_after_its_due_date(account, wall):
    """Not on the day itself (recording one_invoice), and by days after that."""
    account.customer()
    account.invoice(1, {"item_id": account.item()}, terms_id=3)
    wall.advance(hours=14)
    assert account.ok("GET", "/invoice/10000")["invoice_status_str"] == "open-unpaid"
    wall.advance(days=3)
    record = account.ok("GET", "/invoice/10000")
    assert (record["invoice_status_name"], record["days_overdue"]) == ("Overdue", 3)
    assert record["is_overdue"] is True


def test_lines_are_replaced_by_an_update(account):
    """A line named by its id alone is kept, others are new, the rest is dropped."""
    account.customer()
    account.item(base="10")
    account.invoice(1, {"item_id": 1}, {"item_id": 1, "line_rate": 5}, {"item_id": 1})
    one, two, _three = (
        line["line_item_id"] for line in account.store.find("invoice", 10000)["line_items"]
    )
    lines = [
        {"line_item_id": two},
        {"line_item_id": one, "line_quantity": 3},
        {"item_id": 1, "line_rate": "0.5"},
    ]
    account.ok("PUT", "/invoice/10000", {"line_items": lines})
    record = account.ok("GET", "/invoice/10000")
    assert [line["line_rate"] for line in record["line_items"]] == [5, 10, Decimal("0.5")]
    assert [line["line_item_id"] for line in record["line_items"]][:2] == [two, one]
    assert record["total"] == Decimal("35.5")
    assert account.ok("GET", "/customer/1")["balance"] == Decimal("35.5")


@pytest.mark.parametrize("lines", [[], None, [{"line_item_id": 99}], "twice"])
def test_bad_new_lines_change_nothing(account, lines):
    """An update with lines that cannot be is refused as a whole."""
    account.customer()
    account.invoice(1, {"item_id": account.item()})
    if lines == "twice":
        lines = [{"line_item_id": 1}, {"line_item_id": 1}]
    account.refused("PUT", "/invoice/10000", {"memo": "x", "line_items": lines})


def test_void_keeps_the_total_and_clears_the_balance(account, wall):
    """A void invoice looks like the recording send_invoice; voiding again changes nothing."""
    account.customer()
    account.invoice(1, {"item_id": account.item()})
    assert account.ok("POST", "/invoice/10000?action=void", {}) is True
    record = account.ok("GET", "/invoice/10000")
    expected = {
        "total": 10,
        "balance": 0,
        "is_paid": True,
        "is_void": True,
        "invoice_status_name": "Void",
        "invoice_status_str": "closed-void",
        "invoice_status_state": "c",
        "void_datetime": "2026-03-01 09:30:00",
    }
    assert {name: record[name] for name in expected} == expected
    assert account.ok("GET", "/customer/1")["total"] == 0
    wall.advance(days=1)
    account.ok("POST", "/invoice/10000/_action/void")
    assert account.ok("GET", "/invoice/10000")["void_datetime"] == "2026-03-01 09:30:00"
    assert account.ok("POST", "/invoice/10000?action=email", {}) is True
    card = {"number": "4111111111111111", "expdate": "2030-01-01"}
    assert "no balance" in account.refused("POST", "/invoice/10000?action=pay", card)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"number": "4111111111111111", "expdate_year": "2030", "expdate_month": "10"},
        {"number": "123", "routing": "072403004", "type": "chec"},
    ],
)
def test_pay_pays_the_balance_in_full(account, payload):
    """A payment closes the invoice and shows on the customer; a second one is refused."""
    account.customer()
    account.card(1)
    account.invoice(1, {"item_id": account.item(base="19.99")})
    assert account.ok("POST", "/invoice/10000/_action/pay", payload) is True
    record = account.ok("GET", "/invoice/10000")
    expected = {
        "payments": Decimal("19.99"),
        "applied": Decimal("19.99"),
        "balance": 0,
        "is_paid": True,
        "invoice_status_str": "closed-paid",
        "paid_date": "2026-03-01",
    }
    assert {name: record[name] for name in expected} == expected
    customer = account.ok("GET", "/customer/1")
    assert (customer["paid"], customer["balance"]) == (Decimal("19.99"), 0)
    assert "4111111111111111" not in str(account.snapshot())
    account.refused("POST", "/invoice/10000/_action/pay", payload)


def test_customer_balance_has_nothing_to_apply(account):
    """Applying a balance answers false and leaves the invoice open."""
    account.customer()
    account.invoice(1, {"item_id": account.item()})
    assert account.ok("POST", "/invoice/10000?action=pay", {"use_customer_balance": True}) is False
    assert account.ok("GET", "/invoice/10000")["balance"] == 10
    assert not account.store.actions


@pytest.mark.parametrize("name", ["email", "print", "approve"])
def test_harmless_invoice_actions_answer_true(account, name):
    """Actions that would send something answer true and are counted."""
    account.customer()
    account.invoice(1, {"item_id": account.item()})
    assert account.ok("POST", f"/invoice/10000/_action/{name}", {"email": "a@example.com"}) is True
    assert [done.action for done in account.store.actions] == [name]


@pytest.mark.parametrize(
    ("address", "printed"),
    [
        (
            ("72 E Blue Grass Road", "Burlington", "VT", "05401", "United States"),
            "72 E Blue Grass Road\r\nBurlington, VT 05401\r\nUnited States",
        ),
        (
            ("144 Ross Hill", "Huntington", "Vermont", "05462", ""),
            "144 Ross Hill\r\nHuntington, Vermont 05462",
        ),
        (("", "Burlington", "", "", "US"), "Burlington\r\nUS"),
        ((None, None, "VT", "05401", None), "VT 05401"),
        (("", "", "", "", ""), ""),
    ],
)
def test_address_of_an_invoice_is_printed_as_recorded(account, address, printed):
    """With a comma and CRLF; that of its customer with blanks and LF. Quotes are like invoices."""
    names = ("addr1", "city", "state", "postcode", "country")
    fields = {f"bill_{name}": part for name, part in zip(names, address, strict=True)}
    account.customer(**fields)
    line = {"item_id": account.item()}
    account.invoice(1, line, **fields)
    account.ok(
        "POST", "/quote", {"customer_id": 1, "paycycle": "one", "line_items": [line], **fields}
    )
    for path in ("/invoice/10000", "/quote/1"):
        assert account.ok("GET", path)["bill_block"] == printed
    own = account.ok("GET", "/customer/1")["bill_block"]
    assert own == printed.replace("\r\n", "\n").replace(",", "")


def test_lines_have_the_recorded_amounts_of_taxes(account):
    """All of an untaxed line is taxable; a seeded tax stays with its line until that changes."""
    account.customer()
    account.item(name="Thing")
    account.invoice(1, {"item_id": 1, "line_rate": "16.50", "line_quantity": 2})
    names = ("tax_taxable", "tax_taxed", "tax_total")
    (line,) = account.ok("GET", "/invoice/10000")["line_items"]
    assert [line[name] for name in names] == [33, 0, 0]
    taxed = {"item_id": 1, "line_rate": 500, "is_taxed": "1", "line_item_id": 90}
    taxed |= dict(zip(names, (500, 0, 35), strict=True))
    lines = [taxed, {"item_id": 1, "line_rate": 1, "line_item_id": 91}]
    account.store.seed(
        "invoice", {"customer_id": 1, "total": 536, "taxes": 35, "line_items": lines}
    )
    read = account.ok("GET", "/invoice/10001")
    assert (read["subtotal"], read["sum_onetime"], read["taxes"]) == (501, 501, 35)
    account.ok("PUT", "/invoice/10001", {"line_items": read["line_items"]})
    again = account.ok("GET", "/invoice/10001")
    assert {**again, "mod_datetime": 0} == {**read, "mod_datetime": 0}
    change = [{"line_item_id": 90}, {"line_item_id": 91, "line_rate": 2}]
    account.ok("PUT", "/invoice/10001", {"line_items": change})
    changed = account.ok("GET", "/invoice/10001")
    assert (changed["total"], changed["taxes"], changed["sum_onetime"]) == (537, 35, 502)
    assert [line["tax_taxable"] for line in changed["line_items"]] == [500, 2]
    account.ok("PUT", "/invoice/10001", {"line_items": [{"line_item_id": 90, "line_rate": 100}]})
    assert account.ok("GET", "/invoice/10001")["total"] == 100  # no tax is ever added


@pytest.mark.parametrize(
    "schedule",
    [
        [{"amount": 5, "date": "2026-04-01"}, {"amount": "5", "date": "2026-05-01"}],
        {"0": {"amount": 5, "date": "2026-04-01", "paymethod": "crd"}},
    ],
)
def test_payments_are_scheduled_from_list_or_object(account, schedule):
    """A schedule may be a list, or an object with numeric keys as the vendor's page has it."""
    account.customer()
    account.invoice(1, {"item_id": account.item()})
    assert account.ok("POST", "/invoice/10000/_action/schedule", {"schedule": schedule}) is True


@pytest.mark.parametrize(
    "schedule",
    [
        None,
        [],
        "soon",
        ["soon"],
        [{"amount": 5}],
        [{"date": "2026-04-01"}],
        [{"amount": "x", "date": "2026-04-01"}],
        [{"amount": 5, "date": "x"}],
        [{"amount": 5, "date": "2026-04-01", "paymethod": "cash"}],
        {"first": {"amount": 5, "date": "2026-04-01"}},
    ],
)
def test_bad_schedule_is_refused(account, schedule):
    """Each payment needs an amount and a date."""
    account.customer()
    account.invoice(1, {"item_id": account.item()})
    account.refused("POST", "/invoice/10000/_action/schedule", {"schedule": schedule})


def test_deleted_invoice_leaves_the_customers_totals(account):
    """A deleted invoice counts no more."""
    account.customer()
    account.invoice(1, {"item_id": account.item()})
    account.ok("DELETE", "/invoice/10000")
    assert account.ok("GET", "/customer/1")["total"] == 0
    assert account("GET", "/invoice/10000")["message"] == "This invoice does not exist."


def test_action_with_a_wrong_body_is_refused(account):
    """A body that is no object is no body of an action."""
    account.customer()
    account.refused("POST", "/customer/1?action=setActive", "now")
    account.refused("POST", "/customer/1?action=setActive", [1])
