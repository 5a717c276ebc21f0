"""Batches: order, isolation, references, and every switch of a Variant."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chargeover_async.sandbox.api.bulk import run_bulk

CUSTOMER = "/api/v3/customer"


def op(method, uri, payload=None, id_=None):
    return {"request_method": method, "uri": uri, "payload": payload, "id": id_}


def codes(entries):
    return [entry["code"] for entry in entries]


def test_vendors_example_runs_as_documented(account):
    """The vendor's first example: a get, a create, and a create that fails alone."""
    account.customer()
    account.customer(external_key="abcd1234")
    entries = account.bulk(
        [
            op("GET", f"{CUSTOMER}/2"),
            op("POST", CUSTOMER, {"company": "My new bulk customer 928"}),
            op("POST", CUSTOMER, {"company": "Test", "external_key": "abcd1234"}),
        ]
    )
    assert entries[0]["response"]["customer_id"] == 2
    assert entries[1] == {"code": 201, "status": "OK", "message": "", "response": {"id": 3}}
    assert entries[2] == {
        "code": 400,
        "status": "Error",
        "message": 'A customer already exists with the external_key value "abcd1234"',
        "response": False,
    }


def test_vendors_jsonpath_example_runs_as_documented(account):
    """The vendor's second example: an invoice for the customer created before it."""
    account.item()
    entries = account.bulk(
        [
            op("POST", CUSTOMER, {"company": "My test JSONPath customer"}, "the_customer"),
            op(
                "POST",
                "/api/v3/invoice",
                {
                    "customer_jsonpath": "the_customer:$.response.id",
                    "line_items": [
                        {"item_id": 1, "line_rate": Decimal("2.95"), "line_quantity": 2}
                    ],
                },
            ),
        ]
    )
    assert codes(entries) == [201, 201]
    invoice = account.store.find("invoice", 10000)
    assert (invoice["customer_id"], invoice["total"]) == (1, Decimal("5.9"))


def test_twenty_five_items_run_and_twenty_six_do_not(account):
    """The documented limit holds; a batch above it is refused as a whole."""
    items = [op("POST", CUSTOMER, {"company": f"c{number}"}) for number in range(26)]
    assert codes(account.bulk(items[:25])) == [201] * 25
    answer, outcomes = run_bulk(account.api, items)
    assert (answer.code, answer.response, outcomes) == (400, False, [])
    assert account.store.count("customer") == 25


@pytest.mark.parametrize("payload", [None, [], {}, {"a": 1}, "x", 5])
def test_what_is_no_batch_is_refused(account, payload):
    """Only an array with something in it is a batch."""
    answer, _ = run_bulk(account.api, payload)
    assert (answer.code, answer.response) == (400, False)


@pytest.mark.parametrize(
    "item",
    [
        "x",
        None,
        {},
        op("", CUSTOMER),
        op("GET", ""),
        op("GET", None),
        op(5, CUSTOMER),
        op("GET", "customer/1"),
        op("GET", "https://example.chargeover.com/api/v3/customer/1"),
        op("POST", "/api/v3/_bulk", [op("GET", CUSTOMER)]),
        op("GET", "/api/v3/packages"),
    ],
)
def test_bad_item_fails_alone(account, item):
    """An item that cannot be run is a 400 in its own place."""
    assert codes(account.bulk([op("GET", CUSTOMER), item, op("GET", CUSTOMER)])) == [200, 400, 200]


def test_items_see_what_earlier_ones_did(account):
    """Items run in order: made, changed, used, deleted."""
    entries = account.bulk(
        [
            op("POST", CUSTOMER, {"company": "A", "external_key": "k"}),
            op("PUT", f"{CUSTOMER}/external_key:k", {"company": "B"}),
            op("GET", f"{CUSTOMER}/external_key:k"),
            op("GET", f"{CUSTOMER}?where=company:EQUALS:B&limit=5"),
            op("GET", f"{CUSTOMER}/_count"),
            op("POST", f"{CUSTOMER}/external_key:k?action=setInactive", {}),
            op("POST", f"{CUSTOMER}/external_key:k/_action/setActive", {}),
            op("DELETE", f"{CUSTOMER}/external_key:k"),
            op("GET", f"{CUSTOMER}/external_key:k"),
        ]
    )
    assert codes(entries) == [201, 202, 200, 200, 200, 200, 200, 200, 404]
    assert entries[2]["response"]["company"] == "B"
    assert len(entries[3]["response"]) == entries[4]["response"] == 1


def test_later_items_run_after_a_failed_one(account):
    """By default a failure stops nothing."""
    entries = account.bulk([op("GET", f"{CUSTOMER}/9"), op("POST", CUSTOMER, {"company": "A"})])
    assert codes(entries) == [404, 201]


def test_later_items_can_be_skipped(make_account):
    """In one variant the items behind a failed one are answered and not run."""
    account = make_account(stop_after_failure="skip")
    items = [op("POST", CUSTOMER, {"company": "A"}), op("GET", f"{CUSTOMER}/9")]
    items += [op("POST", CUSTOMER, {"company": "B"})] * 2
    assert codes(account.bulk(items)) == [201, 404, 400, 400]
    assert account.store.count("customer") == 1


def test_answer_can_end_after_a_failed_item(make_account):
    """In one variant the items behind a failed one are missing from the answer and not run."""
    account = make_account(stop_after_failure="truncate")
    items = [op("POST", CUSTOMER, {"company": "A"}), op("GET", f"{CUSTOMER}/9")]
    items += [op("POST", CUSTOMER, {"company": "B"})] * 2
    assert codes(account.bulk(items)) == [201, 404]
    assert account.store.count("customer") == 1


@pytest.mark.parametrize(
    ("switch", "item", "sound"),
    [
        ("accept_delete", op("DELETE", f"{CUSTOMER}/1"), 200),
        ("accept_query", op("GET", f"{CUSTOMER}?limit=1"), 200),
        ("accept_actions", op("POST", f"{CUSTOMER}/1/_action/setActive", {}), 200),
        ("accept_actions", op("POST", f"{CUSTOMER}/1?action=setActive", {}), 200),
    ],
)
def test_forms_can_be_refused_in_a_batch(make_account, switch, item, sound):
    """DELETE, query strings and actions each have a switch, on by default."""
    for accepted, expected in ((True, sound), (False, 400)):
        account = make_account(**{switch: accepted})
        account.customer()
        assert codes(account.bulk([item])) == [expected]
        assert account.store.count("customer") == (
            0 if expected == 200 and "DEL" in str(item) else 1
        )


@pytest.mark.parametrize(
    "reference",
    [
        "nobody:$.response.id",
        "later:$.response.id",
        "failed:$.response.id",
        "one:$.response.nothing",
        "list:$.response[*].customer_id",
        "list:$.response",
        "one:$.response.external_key",
        "one:$.[[",
        "one:",
        "one",
        "",
        5,
        None,
        {"a": 1},
        "one:$" + ".a" * 500,
    ],
)
def test_bad_reference_fails_its_item(account, reference):
    """A reference that does not lead to one value fails the item, with a message."""
    account.customer()
    account.customer()
    items = [
        op("GET", f"{CUSTOMER}/1", None, "one"),
        op("GET", f"{CUSTOMER}/9", None, "failed"),
        op("GET", CUSTOMER, None, "list"),
        op("POST", "/api/v3/user", {"name": "Jo", "customer_jsonpath": reference}),
        op("GET", f"{CUSTOMER}/1", None, "later"),
    ]
    entries = account.bulk(items)
    assert codes(entries) == [200, 404, 200, 400, 200]
    assert entries[3]["message"].startswith("customer_jsonpath: ")
    assert account.store.count("user") == 0


def test_bad_reference_can_be_ignored(make_account):
    """In one variant the key is dropped and the item runs without it."""
    account = make_account(bad_reference="ignore")
    payload = {"name": "Jo", "customer_jsonpath": "nobody:$.response.id"}
    assert codes(account.bulk([op("POST", "/api/v3/user", payload)])) == [201]
    assert account.store.find("user", 1)["customer_id"] is None


def test_reference_reads_the_whole_entry(account):
    """A path starts at the envelope and may go anywhere in it."""
    account.customer(company="A")
    account.customer(company="B")
    entries = account.bulk(
        [
            op("GET", f"{CUSTOMER}?order=customer_id:DESC", None, "all:of:them"),
            op(
                "POST",
                "/api/v3/user",
                {"name": "Jo", "customer_jsonpath": "all:of:them:$.response[0].customer_id"},
            ),
        ]
    )
    assert codes(entries) == [200, 201]
    assert account.store.find("user", 1)["customer_id"] == 2


@pytest.mark.parametrize("nested", [True, False])
def test_references_inside_lines_have_a_switch(make_account, nested):
    """A line may name an item created in the same batch, in the variant that allows it."""
    account = make_account(nested_jsonpath=nested)
    account.customer()
    items = [
        op("POST", "/api/v3/item", {"name": "Thing", "pricemodel": {"base": 3}}, 7),
        op(
            "POST",
            "/api/v3/invoice",
            {"customer_id": 1, "line_items": [{"item_jsonpath": "7:$.response.id"}]},
        ),
    ]
    assert codes(account.bulk(items)) == [201, 201 if nested else 400]


def test_broken_item_is_a_500_and_not_run(account):
    """One entry can be made to fail with the rest untouched."""
    items = [op("POST", CUSTOMER, {"company": f"c{number}"}) for number in range(3)]
    assert codes(account.bulk(items, broken=1)) == [201, 500, 201]
    assert [record["company"] for record in account.store.records("customer")] == ["c0", "c2"]


def test_outcomes_name_each_item(account):
    """For the log, each item has its method, its uri and its code."""
    _, outcomes = run_bulk(account.api, [op("get", CUSTOMER), "x"])
    assert [tuple(outcome) for outcome in outcomes] == [("GET", CUSTOMER, 200), ("", "", 400)]
