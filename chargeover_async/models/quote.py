"""Quotes and their lines: the records, and what may be written.

Source: pages "Create a quote", "Get a specific quote", "Query for quotes". No recording shows one,
and no source an update or a delete.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from ._json.base import Mixed
from ._json.checks import Day, Id, Money, Text
from ._json.fields import Addresses, AddressesIn, CustomFields, CustomFieldsIn
from .tierset import Tierset, TiersetCreate


class QuoteLine(CustomFields, frozen=True, kw_only=True):
    """A line of a quote.

    UNVERIFIED: of its keys only ``item_id`` is shown; the others are those of a subscription's
    line and of an invoice's.
    """

    line_item_id: int | None = None
    item_id: int | None = None
    tierset_id: int | None = None
    external_key: str | None = None
    descrip: str | None = None
    line_rate: Decimal | None = None
    line_quantity: Decimal | None = None
    trial_days: int | None = None
    item_name: str | None = None
    item_external_key: str | None = None
    item_token: str | None = None
    item_accounting_sku: str | None = None
    item_units: str | None = None
    tierset: Tierset | None = None


class Quote(Addresses, frozen=True, kw_only=True):
    """A quote. Lists leave out ``line_items``; ``total`` does not hold ``setup`` (example)."""

    quote_id: int
    refnumber: str | None = None
    external_key: str | None = None
    token: str | None = None
    nickname: str | None = None
    customer_id: int | None = None
    paycycle: str | None = None
    date: dt.date | None = None
    due_date: dt.date | None = None
    validuntil_date: dt.date | None = None
    # Text in the vendor's schema: a date, or words for one.
    holduntil_datetime_str: str | None = None
    write_datetime: dt.datetime | None = None
    currency_id: int | None = None
    currency_symbol: str | None = None
    currency_iso4217: str | None = None
    terms_id: int | None = None
    terms_name: str | None = None
    class_id: int | None = None
    brand_id: int | None = None
    admin_id: int | None = None
    memo: str | None = None
    quote_status_name: str | None = None
    quote_status_str: str | None = None
    quote_status_state: str | None = None
    total: Decimal | None = None
    setup: Decimal | None = None
    url_permalink: str | None = None
    url_pdflink: str | None = None
    url_self: str | None = None
    url_acceptlink: str | None = None
    url_rejectlink: str | None = None
    line_items: list[QuoteLine] | None = None
    # What the quote became; the shape of an entry is not shown.
    invoices: list[Mixed] | None = None
    packages: list[Mixed] | None = None


class QuoteLineCreate(CustomFieldsIn, total=False):
    """A line of a new quote; the item must exist.

    UNVERIFIED: of its keys only ``item_id`` is shown; the others are those of a subscription's
    line and of an invoice's.
    """

    item_id: Id
    item_external_key: Text
    item_token: Text
    external_key: Text
    descrip: Text
    line_rate: Money
    line_quantity: Money
    tierset: TiersetCreate | None


class QuoteCreate(CustomFieldsIn, AddressesIn, total=False):
    """What may be sent when a quote is created; needs customer, ``paycycle`` and a line."""

    customer_id: Id
    customer_external_key: Text
    customer_token: Text
    refnumber: Text
    external_key: Text
    nickname: Text
    paycycle: Text
    date: Day
    validuntil_date: Day
    holduntil_datetime_str: Text
    currency_id: Id
    currency_external_key: Text
    currency_token: Text
    terms_id: Id
    terms_external_key: Text
    terms_token: Text
    class_id: Id
    class_external_key: Text
    class_token: Text
    brand_id: Id
    brand_external_key: Text
    brand_token: Text
    admin_id: Id
    admin_external_key: Text
    admin_token: Text
    bill_notes: Text
    ship_notes: Text
    memo: Text
    line_items: Sequence[QuoteLineCreate]


__all__ = ("Quote", "QuoteCreate", "QuoteLine", "QuoteLineCreate")
