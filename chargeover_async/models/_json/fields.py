"""Field groups that several objects share, once for reading and once for writing.

Source of the names: the vendor's REST pages (attribute tables of customer, user and invoice).
"""

from __future__ import annotations

from typing import TypedDict

from .base import Mixed, Record
from .checks import MixedIn, Text


class CustomFields(Record, frozen=True, kw_only=True):
    """The twenty free custom fields; rename the ones you use in a subclass (`Record`)."""

    custom_1: Mixed = None
    custom_2: Mixed = None
    custom_3: Mixed = None
    custom_4: Mixed = None
    custom_5: Mixed = None
    custom_6: Mixed = None
    custom_7: Mixed = None
    custom_8: Mixed = None
    custom_9: Mixed = None
    custom_10: Mixed = None
    custom_11: Mixed = None
    custom_12: Mixed = None
    custom_13: Mixed = None
    custom_14: Mixed = None
    custom_15: Mixed = None
    custom_16: Mixed = None
    custom_17: Mixed = None
    custom_18: Mixed = None
    custom_19: Mixed = None
    custom_20: Mixed = None


class Addresses(CustomFields, frozen=True, kw_only=True, inherited_after="ship_block"):
    """Billing and shipping address (and custom fields: msgspec allows one base with fields).

    An unset line is null after creation through the API and ``""`` after an edit; both mean empty
    (recordings).
    """

    bill_addr1: str | None = None
    bill_addr2: str | None = None
    bill_addr3: str | None = None
    bill_city: str | None = None
    bill_state: str | None = None
    bill_postcode: str | None = None
    bill_country: str | None = None
    bill_notes: str | None = None
    bill_block: str | None = None
    ship_addr1: str | None = None
    ship_addr2: str | None = None
    ship_addr3: str | None = None
    ship_city: str | None = None
    ship_state: str | None = None
    ship_postcode: str | None = None
    ship_country: str | None = None
    ship_notes: str | None = None
    ship_block: str | None = None


class AddressesIn(TypedDict, total=False):
    """Billing and shipping address, for writing."""

    bill_addr1: Text
    bill_addr2: Text
    bill_addr3: Text
    bill_city: Text
    bill_state: Text
    bill_postcode: Text
    bill_country: Text
    ship_addr1: Text
    ship_addr2: Text
    ship_addr3: Text
    ship_city: Text
    ship_state: Text
    ship_postcode: Text
    ship_country: Text


class CustomFieldsIn(TypedDict, total=False):
    """The twenty free custom fields, for writing."""

    custom_1: MixedIn
    custom_2: MixedIn
    custom_3: MixedIn
    custom_4: MixedIn
    custom_5: MixedIn
    custom_6: MixedIn
    custom_7: MixedIn
    custom_8: MixedIn
    custom_9: MixedIn
    custom_10: MixedIn
    custom_11: MixedIn
    custom_12: MixedIn
    custom_13: MixedIn
    custom_14: MixedIn
    custom_15: MixedIn
    custom_16: MixedIn
    custom_17: MixedIn
    custom_18: MixedIn
    custom_19: MixedIn
    custom_20: MixedIn
