"""Quotes, notes, coupons, item categories and definitions of custom fields."""

from __future__ import annotations

import pytest


@pytest.fixture
def quote(account):
    """A quote of two lines for a new customer."""
    account.item(10, name="Plan", external_key="plan")
    customer_id = account.customer(external_key="acme")
    tierset = {"setup": 100, "base": "10.4", "paycycle": "mon", "pricemodel": "fla"}
    lines = [{"item_external_key": "plan", "line_quantity": 2}, {"item_id": 1, "tierset": tierset}]
    payload = {"customer_id": customer_id, "paycycle": "one", "line_items": lines}
    envelope = account("POST", "/quote", {**payload, "bill_city": "X", "date": "2026-02-01"})
    assert envelope["code"] == 201
    return envelope["response"]["id"]


def test_a_quote_has_the_documented_shape(account, quote):
    """Total without set-up, links by token, number as text, status New."""
    record = account.ok("GET", f"/quote/{quote}")
    token = record["token"]
    assert (record["quote_id"], record["refnumber"], record["paycycle"]) == (1, "1", "one")
    assert (str(record["total"]), record["setup"]) == ("30.4", 100)
    assert (record["date"], record["due_date"]) == ("2026-02-01", "2026-03-03")
    assert (record["terms_name"], record["currency_iso4217"]) == ("Net 30", "USD")
    assert record["bill_block"] == "X"
    status = [record[f"quote_status_{name}"] for name in ("name", "str", "state")]
    assert status == ["New", "open-new", "o"]
    for name, place in (
        *(("url_permalink", "view"), ("url_pdflink", "pdf")),
        *(("url_acceptlink", "accept"), ("url_rejectlink", "reject")),
    ):
        assert record[name] == f"https://example.chargeover.com/r/quote/{place}/{token}"
    first, second = record["line_items"]
    assert (first["item_id"], first["line_rate"], first["line_quantity"]) == (1, 10, 2)
    assert (first["item_name"], first["item_external_key"]) == ("Plan", "plan")
    assert second["tierset"]["setup_formatted"] == "$ 100.00"
    assert second["line_item_id"] == first["line_item_id"] + 1


def test_quotes_are_listed_without_lines(account, quote):
    for where in (
        "quote_status_str:EQUALS:open-new",
        "quote_status_state:EQUALS:o",
        "customer_id:EQUALS:1",
        "line_items.item_id:EQUALS:1",
        "date:GTE:2026-02-01",
    ):
        (listed,) = account.ok("GET", f"/quote?where={where}")
        assert listed["quote_id"] == quote
    assert not {"line_items", "invoices", "packages"} & listed.keys()
    assert account.ok("GET", "/quote/_count") == 1
    account.store.seed("quote", {"quote_id": 7, "quote_status_str": "closed-won"})
    seeded = account.ok("GET", "/quote/7")
    assert (seeded["quote_status_name"], seeded["quote_status_state"]) == ("Accepted", "c")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"customer_id": None}, "missing: customer_id."),
        ({"paycycle": None}, "missing: paycycle."),
        ({"paycycle": "evy"}, "Missing or invalid parameter."),
        ({"line_items": []}, "missing: line_items."),
        ({"line_items": [{}]}, "missing: item_id."),
        ({"line_items": [{"item_id": 9}]}, "There is no item"),
        ({"line_items": ["x"]}, "Missing or invalid parameter."),
        ({"class_id": 9}, "There is no class"),
        ({"date": "soon"}, "Missing or invalid parameter."),
    ],
)
def test_a_bad_quote_is_refused(account, changes, message):
    """Page "Create a quote" requires customer, paycycle and a line."""
    account.item()
    payload = {"customer_id": account.customer(), "paycycle": "mon", "line_items": [{"item_id": 1}]}
    assert message in account.refused("POST", "/quote", {**payload, **changes})


def test_a_quote_has_no_other_command(account, quote):
    """No source shows an update, a delete or an action."""
    for method, path in (
        ("PUT", f"/quote/{quote}"),
        ("DELETE", f"/quote/{quote}"),
        ("POST", f"/quote/{quote}/_action/accept"),
    ):
        message = account.refused(method, path, {"nickname": "x"})
        assert message.startswith("The command requested is not supported: ")


# Notes.


@pytest.mark.parametrize("kind", ["customer", "billing_package", "package", "user", "item"])
@pytest.mark.parametrize(
    "naming", ["obj_id", "obj_external_key", "obj_token", "context_id"], ids=str
)
def test_a_note_hangs_on_an_object(account, kind, naming):
    """Sent as obj_type and obj_id (clients), read and filtered as context (page)."""
    account.item(1, external_key="e")
    account.customer(external_key="e")
    account.ok("POST", "/user", {"customer_id": 1, "external_key": "e"})
    package = {"customer_id": 1, "external_key": "e"}
    account.ok("POST", "/package", package)
    path = "package" if kind == "billing_package" else kind
    (target,) = account.ok("GET", f"/{path}?where=external_key:EQUALS:e")
    id_ = target[f"{path}_id"]
    value = {"obj_external_key": "e", "obj_token": target["token"]}.get(naming, id_)
    envelope = account("POST", "/note", {"note": "hello", "obj_type": kind, naming: value})
    assert (envelope["code"], envelope["response"]) == (201, {"id": 1})
    context = "billing_package" if path == "package" else kind
    for where in (
        f"context_str:EQUALS:{context},context_id:EQUALS:{id_}",
        f"obj_type:EQUALS:{kind},obj_id:EQUALS:{id_}",
    ):
        (note,) = account.ok("GET", f"/note?where={where}")
        assert note == {
            "note_id": 1,
            "user_id": None,
            "admin_id": 1,
            "note": "hello",
            "note_is_pinned": False,
            "note_datetime": "2026-03-01 09:30:00",
            "context_str": context,
            "context_id": id_,
        }
        assert account.ok("GET", f"/note/_count?where={where}") == 1
    assert account.ok("GET", f"/note?where=obj_id:EQUALS:{id_ + 1}") == []


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"obj_type": "customer", "obj_id": 1}, "missing: note."),
        ({"note": "x", "obj_id": 1}, "missing: obj_type."),
        ({"note": "x", "obj_type": "customer"}, "missing: obj_id."),
        ({"note": "x", "obj_type": "moon", "obj_id": 1}, "Missing or invalid parameter."),
        ({"note": "x", "obj_type": "customer", "obj_id": 9}, "There is no customer"),
    ],
)
def test_a_bad_note_is_refused(account, payload, message):
    account.customer()
    assert message in account.refused("POST", "/note", payload)


# Lists that are only read.


def test_item_categories(account):
    """The page's example: Root has null for its key, the others have an empty one."""
    account.store.seed("item_category", {"item_category_id": 2, "name": "Hardware"})
    assert account.ok("GET", "/item_category?where=item_category_id:GT:0") == [
        {"item_category_id": 1, "name": "Root", "external_key": None},
        {"item_category_id": 2, "name": "Hardware", "external_key": ""},
    ]
    assert account.ok("GET", "/item_category/_count") == 2


def test_coupons_and_custom_fields(account):
    """All keys of the pages' examples; what is not set has their default or null."""
    coupon = {"coupon_id": 1, "code": "SPRING", "type": "free-trial", "descrip": "d"}
    account.store.seed("coupon", coupon)
    (shown,) = account.ok("GET", "/coupon")
    assert shown == {
        **coupon,
        **dict.fromkeys(("discount_item_id", "discount", "freetrial")),
        "enabled": True,
        "write_datetime": "2026-03-01 09:30:00",
        "write_ipaddr": "127.0.0.1",
    }
    field = {"customfield_id": 3, "context_str": "customer", "field": "custom_2", "name": "Tier"}
    account.store.seed("_customfield", {**field, "type": "select", "type_opts": ["a", "b"]})
    (shown,) = account.ok("GET", "/_customfield")
    assert shown == {**field, "type": "select", "type_opts": ["a", "b"], "enabled": True}


@pytest.mark.parametrize("name", ["item_category", "coupon", "_customfield"])
@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", "/1"), ("DELETE", "/1")])
def test_they_cannot_be_written(account, name, method, path):
    account.store.seed(name, {f"{name.removeprefix('_')}_id": 1})
    message = account.refused(method, f"/{name}{path}", {"name": "x"})
    assert message.startswith("The command requested is not supported: ")


def test_a_project_is_no_object(account):
    """The vendor's PHP client has the word and nothing behind it."""
    assert "not supported: list(project, )" in account.refused("GET", "/project")
