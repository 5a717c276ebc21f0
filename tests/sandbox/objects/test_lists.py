"""The lists an account is set up with, and the rates of exchange."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chargeover_async import ChargeOver, F, NotFound

LISTS = ["terms", "currency", "brand", "language", "country", "class", "campaign", "admin"]


def test_terms_are_those_of_the_page(account):
    """Exactly the keys and values of the example, by rising id."""
    assert account.ok("GET", "/terms") == [
        {"terms_id": 1, "name": "Net 15", "days": 15},
        {"terms_id": 2, "name": "Net 30", "days": 30},
        {"terms_id": 3, "name": "Due on Receipt", "days": 0},
    ]


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_read_only(account, name):
    """Nothing can be written, and a reset brings back what a new account has."""
    before = account.ok("GET", f"/{name}")
    for method, path in (("POST", name), ("PUT", f"{name}/1"), ("DELETE", f"{name}/1")):
        if method == "POST" or before:
            assert account(method, f"/{path}", {"name": "x"})["code"] == 400
    account.store.seed(name, {f"{name}_id": 77})
    assert len(account.ok("GET", f"/{name}")) == len(before) + 1
    account.store.clear()
    assert account.ok("GET", f"/{name}") == before


def test_seeded_terms_and_currency_can_be_used(account):
    """What a seed adds to the lists counts for customers and invoices."""
    account.refused("POST", "/customer", {"company": "A", "terms_id": 9})
    account.store.seed("terms", {"terms_id": 9, "name": "Net 7", "days": 7})
    account.store.seed("currency", {"currency_id": 3, "iso4217": "EUR", "symbol": "€"})
    account.customer(terms_id=9, currency_id=3)
    account.invoice(1, {"item_id": account.item()})
    record = account.ok("GET", "/invoice/10000")
    assert (record["terms_name"], record["terms_days"]) == ("Net 7", 7)
    assert (record["due_date"], record["currency_iso4217"]) == ("2026-03-08", "EUR")


@pytest.mark.parametrize("form", ["/currency?action={}", "/currency/_action/{}"])
def test_exchange_rates_are_set_and_read(account, form):
    """A rate that was set is answered, and so is its inverse; another one is not known."""
    get, put = form.format("getExchangeRate"), form.format("setExchangeRate")
    account.refused("POST", get, {"from": "USD", "to": "CAD"})
    assert account.ok("POST", put, {"from": "USD", "to": "CAD", "exchange": "1.25"}) is True
    assert account.ok("POST", get, {"from": "USD", "to": "CAD"}) == Decimal("1.25")
    assert account.ok("POST", get, {"from": "CAD", "to": "USD"}) == Decimal("0.8")
    assert account.ok("POST", get, {"from": "AUD", "to": "AUD"}) == 1
    assert "rates" not in account.ok("GET", "/currency")[0]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"from": "USD", "to": "CAD"},
        {"from": "USD", "to": "XXX", "exchange": 1},
        {"from": "USD", "to": "CAD", "exchange": 0},
        {"from": "USD", "to": "CAD", "exchange": "much"},
        {"from": ["USD"], "to": "CAD", "exchange": 1},
    ],
)
def test_wrong_exchange_rate_is_refused(account, payload):
    """Two known currencies and a rate above 0 are needed."""
    account.refused("POST", "/currency/_action/setExchangeRate", payload)


async def test_client_reads_the_lists(sandbox):
    """Every list through the client, as its models say."""
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
        assert [term.days for term in await co.terms.list()] == [15, 30, 0]
        assert {money.iso4217 async for money in co.currencies.iterate()} == {"USD", "CAD", "AUD"}
        assert (await co.brands.get(1)).brand == "Sandbox"
        assert (await co.languages.list())[0].iso639 == "en"
        assert "CA" in {country.iso2 for country in await co.countries.list()}
        assert await co.classes.list() == await co.campaigns.list() == []
        (admin,) = await co.admins.list(where=F.email == "sandbox@example.com")
        assert (await co.admins.get(admin.admin_id)).name == "Sandbox"
        with pytest.raises(NotFound):
            await co.admins.get(2)


async def test_client_sets_and_gets_an_exchange_rate(sandbox):
    """In both forms of the actions."""
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
        for form in ("query", "path"):
            assert await co.currencies.set_exchange_rate("USD", "CAD", "1.3642", form=form) is True
            rate = await co.currencies.get_exchange_rate("USD", "CAD", form=form)
            assert rate == Decimal("1.3642")
