"""Items (products): the record, and what may be written.

Source: recordings `one_item`, `create_item`, `item_by_external_id`; pages "Create an item" and
"Get a specific item". No source shows an update or a delete of an item.
"""

from __future__ import annotations

import datetime as dt
from typing import TypedDict

from ._json.base import Mixed, Record
from ._json.checks import Flag, Id, Integer, Money, Text
from ._json.fields import CustomFields, CustomFieldsIn
from .tierset import Tierset


class ServiceData(Record, frozen=True, kw_only=True):
    """Trial and usage flags of an item (single GET of 2015 recordings)."""

    trial_days: int | None = None
    trial_units: int | None = None
    is_usage: bool | None = None


class Item(CustomFields, frozen=True, kw_only=True):
    """A product or service that invoices and subscriptions name in their lines.

    Lists have ``tiersets`` but neither ``service_data`` nor ``categories`` (recordings).
    """

    item_id: int
    item_type: str | None = None
    tierset_id: int | None = None
    name: str | None = None
    description: str | None = None
    units: str | None = None
    accounting_sku: str | None = None
    external_key: str | None = None
    token: str | None = None
    write_datetime: dt.datetime | None = None
    mod_datetime: dt.datetime | None = None
    units_plural: str | None = None
    service_data: ServiceData | None = None
    tiersets: list[Tierset] | None = None
    # Always an empty list in the recordings; the shape of an entry is not shown.
    categories: list[Mixed] | None = None
    enabled: bool | None = None
    accounting_account_income: str | None = None
    tax_group_id: int | None = None
    tax_group_name: str | None = None
    expire_recurs: int | None = None
    trial_recurs: int | None = None
    service_dates_type: str | None = None
    service_dates_visibility: str | None = None


class PriceModel(TypedDict, total=False):
    """The price of a new item (recording `create_item`)."""

    base: Money
    setup: Money
    paycycle: Text
    pricemodel: Text


class ItemCreate(CustomFieldsIn, total=False):
    """What may be sent when an item is created.

    Recordings send ``type``, the newer page says ``item_type``; both are passed as given.
    """

    item_type: Text
    type: Text
    pricemodel: PriceModel
    name: Text
    description: Text
    units: Text
    enabled: Flag
    accounting_sku: Text
    accounting_account_income: Text
    external_key: Text
    tax_group_id: Id
    expire_recurs: Integer
    trial_recurs: Integer
    service_dates_type: Text
    service_dates_visibility: Text


__all__ = ("Item", "ItemCreate", "PriceModel", "ServiceData")
