"""Usage: single records, the upload of up to 1,000, and what an invoice makes of it."""

from __future__ import annotations

import pytest

PER_UNIT = {
    "pricemodel": "uni",
    "tiers": [{"unit_from": 1, "unit_to": 9999, "amount": "0.25"}],
}


@pytest.fixture
def line(account):
    """A subscription whose only line is metered at 0.25; its id."""
    item_id = account.item(0, name="Minutes", external_key="minutes")
    customer_id = account.customer(external_key="acme")
    lines = [{"item_id": item_id, "external_key": "line/1", "tierset": PER_UNIT}]
    payload = {"customer_id": customer_id, "line_items": lines}
    id_ = account.ok("POST", "/package", payload)["id"]
    return account.ok("GET", f"/package/{id_}")["line_items"][0]["line_item_id"]


def test_a_record_is_stored_and_listed(account, line):
    """All documented fields, filtered by line, key and period."""
    sent = {"line_item_id": str(line), "usage_value": "12.5", "external_key": "u1", "custom_1": "c"}
    period = {"from": "2026-02-01 00:00:00", "to": "2026-02-28 23:59:59"}
    envelope = account("POST", "/usage", {**sent, **period})
    assert (envelope["code"], envelope["response"]) == (201, {"id": 1})
    account.ok("POST", "/usage", {"line_item_external_key": "line/1", "usage_value": 1})
    for where in ("external_key:EQUALS:u1", "to:LT:2026-03-01", "from:GTE:2026-02-01"):
        (record,) = account.ok("GET", f"/usage?where={where}")
        assert record["usage_history_id"] == 1
    assert (record["line_item_id"], record["type"], record["custom_1"]) == (line, "add", "c")
    assert str(record["usage_value"]) == "12.5"
    assert {name: record[name] for name in period} == period
    assert "options" not in record
    assert "invoice_id" not in record
    listed = account.ok("GET", f"/usage?where=line_item_id:EQUALS:{line}")
    assert [record["usage_history_id"] for record in listed] == [1, 2]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"usage_value": 1}, "A required parameter was missing: line_item_id."),
        ({"line_item_id": 554}, "A required parameter was missing: usage_value."),
        ({"line_item_id": 9, "usage_value": 1}, "There is no line_item with the line_item_id"),
        ({"line_item_external_key": "x", "usage_value": 1}, 'line_item_external_key value "x"'),
        ({"line_item_id": 554, "usage_value": "much"}, "Missing or invalid parameter."),
        ({"line_item_id": 554, "usage_value": 1, "type": "sum"}, "Missing or invalid parameter."),
        ({"line_item_id": 554, "usage_value": 1, "external_key": "used"}, "already exists"),
    ],
)
def test_a_bad_record_is_refused_alone_and_in_an_upload(account, line, record, message):
    """An upload with one bad record stores none (UNVERIFIED)."""
    assert line == 554
    good = {"line_item_id": line, "usage_value": 1}
    account.ok("POST", "/usage", {**good, "external_key": "used"})
    assert message in account.refused("POST", "/usage", record)
    assert message in account.refused("POST", "/usage/_action/bulk", [good, record])


def test_an_upload_takes_a_thousand_in_both_spellings(account, line):
    records = [{"line_item_id": line, "usage_value": 1} for _ in range(1000)]
    envelope = account("POST", "/usage/_action/bulk", records)
    assert (envelope["code"], envelope["response"]) == (201, {"id": 1000})
    assert account("POST", "/usage?action=bulk", records[:1])["response"] == {"id": 1001}
    message = account.refused("POST", "/usage/_action/bulk", [*records, records[0]])
    assert message == "At most 1000 usage records can be sent at once."
    twice = [{**records[0], "external_key": "k"}] * 2
    assert "already exists" in account.refused("POST", "/usage/_action/bulk", twice)
    for body in ({}, [], {"line_item_id": line}, ["x"]):
        account.refused("POST", "/usage/_action/bulk", body)


@pytest.mark.parametrize(
    "names",
    [
        {"customer": {"external_key": "acme"}, "line_item": {"item_external_key": "minutes"}},
        {"customer.external_key": "acme", "line_item.item_external_key": "minutes"},
    ],
)
def test_an_upload_names_a_line_by_customer_and_item(account, line, names):
    """Nested and dotted; no source shows which of the two is meant."""
    account.ok("POST", "/usage/_action/bulk", [{**names, "usage_value": 3}])
    (record,) = account.ok("GET", "/usage")
    assert record["line_item_id"] == line
    half = dict(list(names.items())[:1])
    account.refused("POST", "/usage/_action/bulk", [{**half, "usage_value": 3}])
    account.ok("POST", "/package/554?action=cancel", {})
    message = account.refused("POST", "/usage/_action/bulk", [{**names, "usage_value": 3}])
    assert 'The customer "acme" has no subscription line of the item "minutes"' in message


def test_an_invoice_charges_usage_once(account, line):
    """Records wait for the next invoice; "max" and "lat" do not add up (UNVERIFIED)."""
    for value, kind in ((4, "add"), (6, "add"), (10, "max"), (3, "max"), (9, "lat"), (20, "lat")):
        payload = {"line_item_id": line, "usage_value": value, "type": kind}
        account.ok("POST", "/usage", payload)
    account.ok("POST", "/package/554?action=invoice", {})
    invoice = account.ok("GET", "/invoice/10000")
    (charged,) = invoice["line_items"]
    assert (invoice["total"], invoice["sum_usage"], invoice["sum_base"]) == (10, 10, 0)
    assert (charged["line_quantity"], charged["line_usage"]) == (40, 40)
    assert (charged["is_usage"], charged["is_base"]) == (True, False)
    account.ok("POST", "/package/554?action=invoice", {})
    assert account.ok("GET", "/invoice/10001")["total"] == 0


def test_only_a_create_is_documented(account, line):
    account.ok("POST", "/usage", {"line_item_id": line, "usage_value": 1})
    for method in ("PUT", "DELETE"):
        account.refused(method, "/usage/1", {"usage_value": 2})
