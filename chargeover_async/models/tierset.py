"""Tiersets and tiers: pricing, nested in items and in subscription lines.

Source: recordings `one_item`, `create_item`; the vendor's text (three-currency item example).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict

from ._json.base import Record
from ._json.checks import Money, Text


class Tier(Record, frozen=True, kw_only=True):
    """One band of a price: from unit to unit, at an amount.

    UNVERIFIED: known from a client only.
    """

    tier_id: int | None = None
    unit_from: Decimal | None = None
    unit_to: Decimal | None = None
    amount: Decimal | None = None


class Tierset(Record, frozen=True, kw_only=True):
    """The price of an item in one currency; ``tiers`` is empty for flat pricing."""

    tierset_id: int | None = None
    setup: Decimal | None = None
    base: Decimal | None = None
    percent: Decimal | None = None
    paycycle: str | None = None
    pricemodel: str | None = None
    write_datetime: dt.datetime | None = None
    mod_datetime: dt.datetime | None = None
    setup_formatted: str | None = None
    base_formatted: str | None = None
    percent_formatted: str | None = None
    pricemodel_desc: str | None = None
    tiers: list[Tier] | None = None
    currency_id: int | None = None
    currency_symbol: str | None = None
    currency_iso4217: str | None = None


class TierCreate(TypedDict, total=False):
    """One band of a price that is written; 9999 for ``unit_to`` leaves it open (client sample)."""

    unit_from: Money
    unit_to: Money
    amount: Money


class TiersetCreate(TypedDict, total=False):
    """The price of a subscription's line, in place of the item's.

    ``pricemodel`` is one of `PricingModel`, ``paycycle`` one of `PayCycle`. Source: recordings
    `upgrade_a_package`, `add_line_item`.
    """

    setup: Money
    base: Money
    percent: Money
    paycycle: Text
    pricemodel: Text
    tiers: Sequence[TierCreate]


__all__ = ("Tier", "TierCreate", "Tierset", "TiersetCreate")
