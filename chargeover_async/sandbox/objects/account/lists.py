"""What an account is set up with: terms, currencies, brands and so on, and the rates of exchange.

All of them are short lists that are only read. What a new account has is `preset`; a seed adds to
it or replaces it. Source: pages "List terms", "Get a specific admin worker" and "Set an exchange
rate", the vendor's C# client of 2019 for the others.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from chargeover_async.models import (
    Admin,
    Brand,
    Campaign,
    Class,
    Country,
    Currency,
    Language,
    Terms,
)
from chargeover_async.sandbox.protocol.answers import Refused, amount, missing
from chargeover_async.sandbox.protocol.values import number, text
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Spec, Tables

_RATES = "rates"  # ISO code -> what one of this currency is worth of that


def _list(name: str, model: type[msgspec.Struct], *preset: dict[str, Any], **rest: Any) -> Spec:
    return Spec(
        name=name, key=f"{name}_id", model=model, commands=frozenset(), preset=preset, **rest
    )


def _currency(store: Tables, fields: dict[str, Any], name: str) -> Row:
    if fields.get(name) is None:
        raise missing(name)
    code = text(fields[name])
    for row in store.table("currency").scan():
        if row.data.get("iso4217") == code:
            return row
    raise Refused(f'There is no currency with the {name} value "{code}"')  # UNVERIFIED


def _rates(row: Row) -> dict[str, int | Decimal]:
    return row.data.get(_RATES) or {}


def _set_exchange_rate(store: Tables, fields: dict[str, Any]) -> bool:
    source, target = _currency(store, fields, "from"), _currency(store, fields, "to")
    if fields.get("exchange") is None:
        raise missing("exchange")
    rate = number(fields["exchange"])
    if rate <= 0:
        raise Refused("The exchange rate must be above 0.")  # UNVERIFIED
    rates = {**_rates(source), target.data["iso4217"]: rate}
    store.change(source, **{_RATES: rates})
    return True


def _get_exchange_rate(store: Tables, fields: dict[str, Any]) -> int | Decimal:
    """The rate as a bare number (UNVERIFIED: no source shows the reply).

    The real account refreshes its rates daily; the sandbox knows those that were set, and their
    inverse to ten digits.
    """
    source, target = _currency(store, fields, "from"), _currency(store, fields, "to")
    there = _rates(source).get(target.data["iso4217"])
    back = _rates(target).get(source.data["iso4217"])
    if source is target:
        return 1
    if there is not None:
        return amount(Decimal(there))
    if back is not None:
        return amount(round(1 / Decimal(back), 10))
    codes = f"{source.data['iso4217']} to {target.data['iso4217']}"
    raise Refused(f"There is no exchange rate from {codes} (the sandbox has those that were set)")


# The records and ids of the page's example. Recordings show 2 and 3 with these names.
TERMS = _list(
    "terms",
    Terms,
    {"terms_id": 1, "name": "Net 15", "days": 15},
    {"terms_id": 2, "name": "Net 30", "days": 30},
    {"terms_id": 3, "name": "Due on Receipt", "days": 0},
)

# Currency 1: recordings. 2 and 6: the vendor's text (item with three tiersets). Their names are
# UNVERIFIED.
CURRENCY = _list(
    "currency",
    Currency,
    {"currency_id": 1, "currency": "US Dollar", "iso4217": "USD", "symbol": "$", "rounding": 2},
    {
        "currency_id": 2,
        "currency": "Canadian Dollar",
        "iso4217": "CAD",
        "symbol": "CAD$",
        "rounding": 2,
    },
    {
        "currency_id": 6,
        "currency": "Australian Dollar",
        "iso4217": "AUD",
        "symbol": "A$",
        "rounding": 2,
    },
    private=frozenset((_RATES,)),
    collection_actions={
        "getExchangeRate": _get_exchange_rate,
        "setExchangeRate": _set_exchange_rate,
    },
)

# UNVERIFIED, all ids and names from here on: no source shows a record.
BRAND = _list("brand", Brand, {"brand_id": 1, "brand": "Sandbox"})
LANGUAGE = _list("language", Language, {"language_id": 1, "language": "English", "iso639": "en"})
COUNTRY = _list(
    "country",
    Country,
    *(
        {"country_id": id_, "name": name, "iso2": iso2, "iso3": iso3, "cctld": cctld}
        for id_, (name, iso2, iso3, cctld) in enumerate(
            (
                ("Australia", "AU", "AUS", ".au"),
                ("Canada", "CA", "CAN", ".ca"),
                ("United Kingdom", "GB", "GBR", ".uk"),
                ("United States", "US", "USA", ".us"),
            ),
            start=1,
        )
    ),
)
CLASS = _list("class", Class)
CAMPAIGN = _list("campaign", Campaign)
ADMIN = _list(
    "admin",
    Admin,
    {
        "admin_id": 1,
        "username": "sandbox",
        "timezone": "America/Chicago",
        "name": "Sandbox",
        "first_name": "Sandbox",
        "last_name": "",
        "email": "sandbox@example.com",
    },
)

LISTS = (TERMS, CURRENCY, BRAND, LANGUAGE, COUNTRY, CLASS, CAMPAIGN, ADMIN)
