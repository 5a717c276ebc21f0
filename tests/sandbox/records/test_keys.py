"""External keys, tokens, references, and the seeding of records."""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import quote

import pytest

from chargeover_async.sandbox import new_store
from chargeover_async.sandbox.objects.table import OBJECTS

AWKWARD = [
    "a/b",
    "a:b",
    "a,b",
    "a b",
    "a+b",
    "100%",
    "é",
    "?x=1#y",
    "..",
    "a\\b",
    "%2F",
    '"',
    "ключ",
]


@pytest.mark.parametrize("key", AWKWARD)
def test_any_key_addresses_its_record(account, key):
    """A key of any characters reaches its record in a path, a body and a filter."""
    customer = account.customer(external_key=key)
    account.customer(external_key="other")
    path = f"/customer/external_key:{quote(key, safe='')}"
    assert account.ok("GET", path)["customer_id"] == customer
    escaped = key.replace("\\", r"\\").replace(":", r"\:").replace(",", r"\,")
    found = account.ok("GET", f"/customer?where=external_key:EQUALS:{quote(escaped, safe='')}")
    assert [record["customer_id"] for record in found] == [customer]
    user = account.ok("POST", "/user", {"first_name": "Jo", "customer_external_key": key})["id"]
    assert account.ok("GET", f"/user/{user}")["customer_id"] == customer


def test_taken_key_is_refused_with_the_recorded_text(account):
    """A second record with a key is refused and not created."""
    account.customer(external_key="abcd1234")
    message = account.refused("POST", "/customer", {"external_key": "abcd1234"})
    assert message == 'A customer already exists with the external_key value "abcd1234"'
    account.customer(external_key="other")
    message = account.refused("PUT", "/customer/2", {"external_key": "abcd1234", "company": "B"})
    assert message == 'A customer already exists with the external_key value "abcd1234"'


def test_key_stays_taken_after_deletion(account):
    """The key of a deleted record names nothing and cannot be used again."""
    account.customer(external_key="k")
    account.ok("DELETE", "/customer/1")
    assert account("GET", "/customer/external_key:k")["code"] == 404
    assert account.store.by_key("customer", "k") is None
    assert "already exists" in account.refused("POST", "/customer", {"external_key": "k"})


def test_keys_are_exact_and_per_object(account):
    """Letter case counts, and two objects may have the same key."""
    account.customer(external_key="k")
    account.customer(external_key="K")
    account.item(external_key="k")
    assert account("GET", "/customer/external_key:K")["response"]["customer_id"] == 2
    assert account("GET", "/item/external_key:k")["response"]["item_id"] == 1


def test_key_can_be_changed_and_sent_again(account):
    """A new key takes the place of the old one; the same key may be sent to its own record."""
    account.customer(external_key="old")
    account.ok("PUT", "/customer/external_key:old", {"external_key": "new"})
    account.ok("PUT", "/customer/external_key:new", {"external_key": "new"})
    assert account("GET", "/customer/external_key:old")["code"] == 404
    account.ok("PUT", "/customer/1", {"external_key": None})
    assert account.customer(external_key="new") == 2


def test_empty_key_is_no_key(account):
    """Several records may be sent an empty key."""
    account.customer(external_key="")
    account.customer(external_key="")
    assert account.store.find("customer", 2)["external_key"] is None


def test_token_addresses_its_record(account):
    """Tokens are twelve lower-case letters and digits and work wherever keys do."""
    account.customer()
    token = account.ok("GET", "/customer/1")["token"]
    assert re.fullmatch("[a-z0-9]{12}", token)
    assert account.ok("GET", f"/customer/token:{token}")["customer_id"] == 1
    assert account.ok("GET", f"/customer?where=token:EQUALS:{token}")[0]["customer_id"] == 1
    item = account.item()
    item_token = account.ok("GET", f"/item/{item}")["token"]
    line = {"item_token": item_token}
    invoice = account.ok("POST", "/invoice", {"customer_token": token, "line_items": [line]})["id"]
    assert account.ok("GET", f"/invoice/{invoice}")["customer_id"] == 1


def test_tokens_repeat_with_the_seed():
    """The same seed gives the same tokens, another one others."""
    first, again, other = new_store(seed=5), new_store(seed=5), new_store(seed=6)
    assert first.token() == again.token() != other.token()


@pytest.mark.parametrize(
    ("path", "payload", "named"),
    [
        ("/user", {"first_name": "Jo", "customer_id": 9}, "customer_id"),
        ("/user", {"first_name": "Jo", "customer_external_key": "no"}, "customer_external_key"),
        ("/user", {"first_name": "Jo", "customer_token": "no"}, "customer_token"),
        ("/customer", {"parent_customer_external_key": "no"}, "parent_customer_external_key"),
        ("/customer", {"superuser_id": 9}, "superuser_id"),
        ("/customer", {"terms_id": 77}, "terms_id"),
        ("/customer", {"currency_id": 77}, "currency_id"),
        ("/invoice", {"customer_id": 9, "line_items": [{"item_id": 1}]}, "customer_id"),
        ("/invoice", {"customer_id": 1, "line_items": [{"item_id": 9}]}, "item_id"),
        ("/invoice", {"customer_id": 1, "line_items": [{"item_token": "no"}]}, "item_token"),
        (
            "/invoice",
            {"customer_id": 1, "line_items": [{"item_external_key": "no"}]},
            "item_external_key",
        ),
    ],
)
def test_reference_to_nothing_is_refused_by_name(account, path, payload, named):
    """A reference that names nothing is refused, says which one, and nothing is created."""
    account.customer()
    account.item()
    assert named in account.refused("POST", path, payload)


def test_ids_are_never_given_twice(account):
    """The id of a deleted record stays unused; invoices start at 10000."""
    assert account.customer() == 1
    account.ok("DELETE", "/customer/1")
    assert account.customer() == 2
    assert account.invoice(2, {"item_id": account.item()}) == 10000


def test_seeded_record_is_kept_as_given(account):
    """A seed keeps its id, token and derived values until the record changes."""
    account.store.seed(
        "customer",
        {"customer_id": 44, "token": "7e6wgvzoflyt", "company": "A", "total": 1908.5},
    )
    record = account.ok("GET", "/customer/44")
    assert record["total"] == Decimal("1908.5")
    assert account.ok("GET", "/customer/token:7e6wgvzoflyt")["customer_id"] == 44
    assert account.customer() == 45
    account.invoice(44, {"item_id": account.item(), "line_rate": "2.5"})
    assert account.ok("GET", "/customer/44")["total"] == Decimal("2.5")


def test_seed_refuses_what_cannot_be(account):
    """A taken key, an impossible id and an unknown object are errors of the caller."""
    account.store.seed("customer", {"customer_id": 1, "external_key": "k"})
    with pytest.raises(ValueError, match="taken"):
        account.store.seed("customer", {"customer_id": 2, "external_key": "k"})
    with pytest.raises(ValueError, match="at least 1"):
        account.store.seed("customer", {"customer_id": 0})
    with pytest.raises(KeyError):
        account.store.seed("project", {})
    assert account.store.seed("customer", {"customer_id": 1, "external_key": "k"}) == 1


def test_fields_of_a_newer_api_can_be_seeded(account):
    """Named apart, they are kept and shown."""
    account.store.seed("customer", {"company": "A"}, extra={"rank": ["x"]})
    assert account.ok("GET", "/customer/1")["rank"] == ["x"]
    assert account.store.find("customer", 1)["rank"] == ["x"]


@pytest.mark.parametrize("name", [name for name, spec in OBJECTS.items() if not spec.internal])
def test_seed_refuses_a_misspelt_field_of_any_object(account, name):
    """Each field with a letter too few, by its right name; nothing is stored."""
    spec = account.store.specs[name]
    before = account.snapshot()
    for field in spec.kinds:
        wrong = field[:2] + field[3:]
        if wrong not in spec.kinds and len(field) > 4:
            with pytest.raises(ValueError, match=rf"{name} has no field '{wrong}'; did you mean '"):
                account.store.seed(name, {wrong: None})
    with pytest.raises(ValueError, match=rf"{name} has no field 'x'$"):
        account.store.seed(name, {"x": 1})
    assert account.snapshot() == before


@pytest.mark.parametrize(
    ("name", "record", "words"),
    [
        ("invoice", {"line_items": [{"item_idd": 1}]}, "line_items of an invoice has no field"),
        ("quote", {"line_items": [{"line_rat": 1}]}, "line_items of a quote has no field"),
        ("package", {"line_items": [{"tier": {}}]}, "line_items of a package has no field 'tier'"),
        ("package", {"line_items": [{"tierset": {"bas": 1}}]}, "a tierset has no field 'bas'"),
        ("item", {"tiersets": [{"tiers": [{"amout": 1}]}]}, "a tier has no field 'amout'"),
        ("transaction", {"applied_to": [{"invoice": 1}]}, "applied_to of a transaction has no"),
    ],
)
def test_seed_refuses_a_misspelt_field_of_a_part(account, name, record, words):
    """Nested ones, too."""
    before = account.snapshot()
    with pytest.raises(ValueError, match=words):
        account.store.seed(name, {"customer_id": 1, **record} if name != "item" else record)
    assert account.snapshot() == before


def test_witness_cannot_be_changed_from_outside(account):
    """What the store hands out is a copy."""
    account.customer(tags=["a"])
    account.store.find("customer", 1)["tags"].append("b")
    account.store.records("customer")[0]["tags"].append("b")
    assert account.ok("GET", "/customer/1")["tags"] == ["a"]


def test_store_finds_by_id_key_and_token(account):
    """The witness answers None for what is not there."""
    account.customer(external_key="k")
    token = account.store.find("customer", 1)["token"]
    assert account.store.by_key("customer", "k")["customer_id"] == 1
    assert account.store.by_token("customer", token)["customer_id"] == 1
    assert account.store.find("customer", 2) is None
    assert account.store.by_token("customer", "no") is None
    assert account.store.count("customer") == 1


@pytest.mark.parametrize("policy", ["kept", "cleared", "mangled"])
def test_the_key_of_a_cancelled_subscription_follows_the_policy(make_account, policy):
    """Vendor's text, "External Keys": kept by default; clearing and mangling are options."""
    account = make_account(cancelled_keys=policy)
    payload = {"customer_id": account.customer(), "external_key": "sub"}
    id_ = account.ok("POST", "/package", payload)["id"]
    account.ok("POST", f"/package/{id_}?action=cancel", {})
    key = account.ok("GET", f"/package/{id_}")["external_key"]
    if policy == "kept":
        assert key == "sub"
        assert "already exists" in account.refused("POST", "/package", payload)
        return
    assert account("GET", "/package/external_key:sub")["code"] == 404
    assert key is None if policy == "cleared" else key.startswith("sub") and len(key) > 3
    assert account.ok("POST", "/package", payload)["id"] == id_ + 1


def test_the_key_of_a_deleted_record_may_be_freed(make_account):
    """The other option of the account; `test_key_stays_taken_after_deletion` has the default."""
    account = make_account(deleted_keys="freed")
    id_ = account.customer(external_key="k")
    account.ok("DELETE", f"/customer/{id_}")
    assert account.customer(external_key="k") != id_
