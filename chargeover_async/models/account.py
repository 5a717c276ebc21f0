"""The lists that an account is set up with, its workers, and its log: all of them read-only.

Source: pages "List terms", "Query for admin workers", "Get a specific admin worker" and "Retrieve
the system log"; for the others the vendor's C# client of 2019, as their pages were not available.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TypedDict

import msgspec

from ._json.base import Mixed, Record
from ._json.checks import Money, Text


class _FiveCustomFields(Record, frozen=True, kw_only=True):
    """Brands and admins have five custom fields, other objects twenty."""

    custom_1: Mixed = None
    custom_2: Mixed = None
    custom_3: Mixed = None
    custom_4: Mixed = None
    custom_5: Mixed = None


class Brand(_FiveCustomFields, frozen=True, kw_only=True):
    """A brand that invoices go out under."""

    brand_id: int
    brand: str | None = None
    brand_addr1: str | None = None
    brand_addr2: str | None = None
    brand_city: str | None = None
    brand_state: str | None = None
    brand_postcode: str | None = None
    brand_country: str | None = None
    brand_block: str | None = None


class Campaign(Record, frozen=True, kw_only=True):
    """A campaign, or lead source, that a customer came by."""

    campaign_id: int
    campaign: str | None = None


class Class(Record, frozen=True, kw_only=True):
    """A class that customers and invoices are sorted into.

    UNVERIFIED: no source shows a record. Other objects say ``class_name``; ``class`` and ``name``
    are what records of this kind call it (`Campaign`, `Terms`). Whichever it is is not lost.
    """

    class_id: int
    class_name: str | None = None
    class_: str | None = msgspec.field(name="class", default=None)
    name: str | None = None


class Country(Record, frozen=True, kw_only=True):
    """A country; ``iso2`` and ``iso3`` are its codes, ``cctld`` its domain."""

    country_id: int
    name: str | None = None
    iso2: str | None = None
    iso3: str | None = None
    cctld: str | None = None


class Currency(Record, frozen=True, kw_only=True):
    """A currency; ``rounding`` is its number of decimal places."""

    currency_id: int
    currency: str | None = None
    iso4217: str | None = None
    symbol: str | None = None
    rounding: int | None = None


_Between = TypedDict("_Between", {"from": Text, "to": Text}, total=False)


class ExchangeRateGet(_Between, total=False):
    """What `Currencies.get_exchange_rate` sends."""


class ExchangeRateSet(_Between, total=False):
    """What `Currencies.set_exchange_rate` sends."""

    exchange: Money


class Language(Record, frozen=True, kw_only=True):
    """A language that invoices are written in."""

    language_id: int
    language: str | None = None
    iso639: str | None = None


class Terms(Record, frozen=True, kw_only=True):
    """Payment terms: an invoice is due ``days`` days after its date."""

    terms_id: int
    name: str | None = None
    days: int | None = None


class Admin(_FiveCustomFields, frozen=True, kw_only=True):
    """A worker of the account's owner."""

    admin_id: int
    username: str | None = None
    external_key: str | None = None
    timezone: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    initials: str | None = None
    nickname: str | None = None
    email: str | None = None
    twitter: str | None = None
    facebook: str | None = None
    linkedin: str | None = None
    login_count: int | None = None  # the page types it as text
    login_datetime: dt.datetime | None = None
    write_datetime: dt.datetime | None = None
    mod_datetime: dt.datetime | None = None


class LogEntry(Record, frozen=True, kw_only=True):
    """A line of the system log, such as a webhook that was not answered 200."""

    log_id: int
    msg: str | None = None
    log_datetime: dt.datetime | None = None


ExchangeRate = Decimal | int | str
"""A rate as it may be given; a float is refused, as it is not exact."""


__all__ = (
    "Admin",
    "Brand",
    "Campaign",
    "Class",
    "Country",
    "Currency",
    "Language",
    "LogEntry",
    "Terms",
)
