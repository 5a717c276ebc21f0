"""Stored cards, bank accounts and tokens: what is kept of them, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chargeover_async import BadRequest, ChargeOver, F, NotFound
from chargeover_async.sandbox import Sandbox
from chargeover_async.sandbox.http.mask import mask_body

CARD = {"customer_id": 1, "number": "4242 4242-4242 4242", "expdate": "2018-05-01"}
BANK = {"customer_id": 1, "number": "123456667", "routing": "072403004", "type": "chec"}


@pytest.fixture
def owner(account):
    """An account with one customer."""
    account.customer(external_key="acme")
    return account


# Cards


def test_card_reads_as_recorded(owner):
    """The keys and values of the recording destroy_card that a request determines."""
    owner.ok("POST", "/creditcard", CARD)
    record = owner.ok("GET", "/creditcard/1")
    expected = {
        "creditcard_id": 1,
        "external_key": None,
        "type": "visa",
        "type_name": "Visa",
        "expdate": "2018-05-01",
        "expdate_month": "5",
        "expdate_year": "2018",
        "expdate_formatted": "May 2018",
        "mask_number": "xxxx-xxxx-xxxx-4242",
        "mask_and_bin_number": "424242xxx4242",
        "name": "",
        "write_ipaddr": "127.0.0.1",
        "write_datetime": "2026-03-01 09:30:00",
        "customer_id": 1,
    }
    assert {name: record[name] for name in expected} == expected
    assert record["url_updatelink"].startswith("https://")


@pytest.mark.parametrize(
    ("number", "type_", "name"),
    [
        ("4111111111111111", "visa", "Visa"),
        ("5555555555554444", "mast", "MasterCard"),
        ("2223003122003222", "mast", "MasterCard"),
        ("378282246310005", "amex", "American Express"),
        ("6011111111111117", "disc", "Discover"),
        ("30569309025904", "", ""),
    ],
)
def test_brand_follows_the_number(owner, number, type_, name):
    """Brand and masks are worked out from the number, whatever type is sent."""
    owner.ok("POST", "/creditcard", {**CARD, "number": number, "type": "gold"})
    record = owner.ok("GET", "/creditcard/1")
    assert (record["type"], record["type_name"]) == (type_, name)
    assert record["mask_number"].endswith(number[-4:])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"expdate": "2030-08-15"}, "2030-08-01"),
        ({"expdate_year": "2030", "expdate_month": "08"}, "2030-08-01"),
        ({"expdate_year": 2030, "expdate_month": 8}, "2030-08-01"),
        ({"expdate_year": "30", "expdate_month": "8"}, "2030-08-01"),
    ],
)
def test_expiry_is_taken_in_every_documented_form(owner, sent, kept):
    """As a date, or as year and month, with or without a leading zero."""
    owner.ok("POST", "/creditcard", {"customer_id": 1, "number": CARD["number"], **sent})
    assert owner.ok("GET", "/creditcard/1")["expdate"] == kept


@pytest.mark.parametrize("name", ["creditcard", "ach"])
def test_number_that_is_stored_is_updated(owner, name):
    """The same number of the same customer is no second record; another one is."""
    sent = CARD if name == "creditcard" else BANK
    first = owner("POST", f"/{name}", {**sent, "name": "Jo"})
    changed = {"name": "Ann", "expdate": "2031-01-01", "type": "savi", "external_key": "k"}
    again = owner("POST", f"/{name}", {**sent, **changed})
    assert (first["code"], again["code"]) == (201, 201)
    assert first["response"] == again["response"] == {"id": 1}
    record = owner.ok("GET", f"/{name}/1")
    assert (record["name"], record["external_key"]) == ("Ann", "k")
    assert record["type_name"] == ("Visa" if name == "creditcard" else "Savings")
    other = owner.customer(company="Other")
    assert owner.ok("POST", f"/{name}", {**sent, "customer_id": other})["id"] == 2
    number = "4111111111111111" if name == "creditcard" else "123456668"
    assert owner.ok("POST", f"/{name}", {**sent, "number": number})["id"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"customer_id": None},
        {"customer_id": 9},
        {"number": None},
        {"number": "4242424242424241"},
        {"number": "42424242424"},
        {"number": "4242x42424242424"},
        {"number": ["4242424242424242"]},
        {"expdate": None},
        {"expdate": "05/18"},
        {"expdate": None, "expdate_year": "2030"},
        {"expdate": None, "expdate_year": "2030", "expdate_month": "13"},
        {"expdate": None, "expdate_year": "next", "expdate_month": "1"},
    ],
)
def test_unsound_card_is_refused(owner, change):
    """Customer, number and expiry are needed; no error repeats the number."""
    message = owner.refused("POST", "/creditcard", {**CARD, **change})
    assert "4242" not in message


# Bank accounts and tokens


def test_bank_account_reads_as_the_page_shows(owner):
    """Masked, under the names of the reply."""
    owner.ok("POST", "/ach", {**BANK, "name": "Jo", "bank": "First"})
    (record,) = owner.ok("GET", "/ach?where=customer_id:EQUALS:1")
    expected = {
        "ach_id": 1,
        "customer_id": 1,
        "type": "chec",
        "type_name": "Checking",
        "name": "Jo",
        "mask_number": "x6667",
        "mask_routing": "x3004",
        "mask_bank": "First",
    }
    assert {name: record[name] for name in expected} == expected
    assert not {"number", "routing", "bank"} & record.keys()


@pytest.mark.parametrize(
    "change",
    [
        {"customer_id": None},
        {"number": None},
        {"routing": None},
        {"routing": "07240300"},
        {"number": "12_34"},
        {"type": "gold"},
    ],
)
def test_unsound_bank_account_is_refused(owner, change):
    """Customer, number and routing are needed; no error repeats them."""
    message = owner.refused("POST", "/ach", {**BANK, **change})
    assert "123456667" not in message
    assert "072403004" not in message


def test_token_reads_as_recorded(owner):
    """Recording create_tokenized_card: the token is the gateway's own."""
    payload = {"customer_id": 1, "type": "customer", "token": "cus_1CoGUjtUMyLIDR"}
    assert owner.ok("POST", "/tokenized", payload) == {"id": 1}
    record = owner.ok("GET", "/tokenized/1")
    assert record.items() >= {"tokenized_id": 1, **payload}.items()
    owner.ok(
        "POST", "/tokenized", payload
    )  # the same token twice is none of the sandbox's business
    for where in (
        "customer_id:EQUALS:1",
        "customer_external_key:EQUALS:acme",
        f"customer_token:EQUALS:{owner.ok('GET', '/customer/1')['token']}",
        "token:EQUALS:cus_1CoGUjtUMyLIDR",
    ):
        assert len(owner.ok("GET", f"/tokenized?where={where}")) == 2
    for name in payload:
        owner.refused("POST", "/tokenized", {**payload, name: None})


@pytest.mark.parametrize(
    ("name", "sent", "field"),
    [
        ("creditcard", CARD, "default_creditcard_id"),
        ("ach", BANK, "default_ach_id"),
    ],
)
def test_deleted_method_is_no_default_any_more(owner, name, sent, field):
    """And it is gone."""
    owner.ok("POST", f"/{name}", sent)
    owner.ok("POST", "/customer/1/_action/setPayMethod", {f"{name}_id": 1})
    assert owner.ok("GET", "/customer/1")[field] == 1
    assert owner.ok("DELETE", f"/{name}/1") is True
    record = owner.ok("GET", "/customer/1")
    assert (record[field], record["default_paymethod"]) == (None, None)
    assert owner("GET", f"/{name}/1")["code"] == 404
    owner.ok("POST", f"/{name}", sent)
    assert owner("PUT", f"/{name}/2", {"name": "x"})["code"] == 400


# Nothing of a number anywhere


SECRETS = ("4242424242424242", "4242 4242-4242 4242", "123456667", "072403004", "Zq9!", "tops3cret")


def assert_nowhere(found: object) -> None:
    for secret in SECRETS:
        assert secret not in str(found)


async def test_numbers_are_kept_nowhere(tmp_path):
    """Not in records, the file they live in, the log, its bodies, or the control plane."""
    path = tmp_path / "store"
    async with Sandbox(quota=None, path=path, keep_bodies=True) as sandbox:
        async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
            customer = (await co.customers.create(company="Acme")).id
            card = {"customer_id": customer, "number": CARD["number"], "expdate": "2099-05-01"}
            await co.creditcards.create(**card, cvv="Zq9!")
            await co.ach.create(**{**BANK, "customer_id": customer})
            new = [{"number": "4242424242424242", "expdate": "2099-05-01", "cvv": "Zq9!"}]
            await co.transactions.pay(customer_id=customer, amount=5, paymethods=new)
            async with co.bulk() as bulk:
                bulk.creditcards.create(**card)
                bulk.ach.create(**{**BANK, "customer_id": customer})
            with pytest.raises(BadRequest):
                await co.creditcards.create(**{**card, "number": "4242424242424243"}, cvv="Zq9!")
            user = await co.users.create(name="Jo", password="tops3cret")
            await co.users.set_password(user.id, "tops3cret")
        sandbox.store.seed("creditcard", {**CARD, "cvv": "Zq9!"})
        sandbox.store.seed("ach", BANK)
        shown = {name: sandbox.store.records(name) for name in sandbox.store.specs}
        assert shown["creditcard"][-1]["mask_number"] == "xxxx-xxxx-xxxx-4242"
        assert_nowhere(json.dumps(shown, default=str))
        assert_nowhere([(entry, entry.body) for entry in sandbox.log])
        assert any(b'"number":"***"' in (entry.body or b"") for entry in sandbox.log)
    for file in tmp_path.iterdir():
        assert_nowhere(file.read_bytes().decode("latin-1"))


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"company":"A\\/B"}', b'{"company":"A\\/B"}'),
        (b'{ "number" : "4242" }', b'{"number":"***"}'),
        (
            b'[{"payload":{"a":[{"cvv":1,"x":2.50}]}}]',
            b'[{"payload":{"a":[{"cvv":"***","x":2.50}]}}]',
        ),
        (b'{"n\\u0075mber":"4242"}', b'{"number":"***"}'),
        (b'{"number":null}', b'{"number":null}'),
        (b'{"number":"4242 4242 4242 4242"', b'{"number":"***"'),
        (b"number=4242424242424242", b"number=***"),
    ],
)
def test_bodies_are_masked(body, kept):
    """Secret values at any depth; what is no JSON loses its long numbers."""
    assert mask_body(body) == kept


# Through the client


async def test_client_stores_and_deletes_methods(sandbox):
    """Every method of the client for cards, accounts and tokens."""
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
        customer = (await co.customers.create(company="Acme")).id
        card = await co.creditcards.create(
            customer_id=customer,
            number="4242424242424242",
            expdate_year="2030",
            expdate_month="5",
            cvv="123",
            external_key="card",
        )
        found = await co.creditcards.get(external_key="card")
        assert (found.creditcard_id, found.expdate_formatted) == (card.id, "May 2030")
        assert [creditcard.type async for creditcard in co.creditcards.iterate()] == ["visa"]
        where: Any = F.customer_id == customer
        assert len(await co.creditcards.list(where=where)) == 1
        bank = await co.ach.create(
            customer_id=customer, number="123456", routing="072403004", type="busi", bank="First"
        )
        (account,) = await co.ach.list(where=where)
        assert (account.ach_id, account.mask_bank) == (bank.id, "First")
        token = await co.tokenized.create(customer_id=customer, type="customer", token="cus_1")
        assert (await co.tokenized.get(token.id)).token == "cus_1"
        assert [method.tokenized_id for method in await co.tokenized.list(where=where)] == [
            token.id
        ]
        assert await co.customers.set_default_payment_method(customer, creditcard_id=card.id)
        assert (await co.customers.get(customer)).default_creditcard_id == card.id
        assert await co.creditcards.delete(card.id) is True
        assert await co.ach.delete(bank.id) is True
        assert await co.tokenized.delete(token.id) is True
        with pytest.raises(NotFound):
            await co.creditcards.get(card.id)
        assert await co.tokenized.list() == await co.ach.list() == []
