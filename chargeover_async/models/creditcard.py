"""Stored credit cards: the record, and what may be written.

Source: pages "Store a credit card", "Querying for credit cards"; recordings `destroy_card`,
`recurring_package_with_credit_card`.
"""

from __future__ import annotations

import datetime as dt
from typing import TypedDict

from ._json.base import Record
from ._json.checks import Day, Id, Secret, Text


class CreditCard(Record, frozen=True, kw_only=True):
    """A stored card; its number is never returned whole.

    ``expdate`` is the first of the month it expires in, ``expdate_month`` has no leading zero
    (recordings).
    """

    creditcard_id: int
    external_key: str | None = None
    type: str | None = None
    token: str | None = None
    expdate: dt.date | None = None
    write_datetime: dt.datetime | None = None
    write_ipaddr: str | None = None
    mask_number: str | None = None
    name: str | None = None
    expdate_month: str | None = None
    expdate_year: str | None = None
    expdate_formatted: str | None = None
    type_name: str | None = None
    customer_id: int | None = None
    mask_and_bin_number: str | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    postcode: str | None = None
    country: str | None = None
    url_updatelink: str | None = None
    mod_datetime: dt.datetime | None = None


class CreditCardCreate(TypedDict, total=False):
    """What may be sent when a card is stored; no source says what must be.

    Either ``expdate`` or both ``expdate_year`` and ``expdate_month``. ``cvv`` is checked and not
    stored. ``phone`` is in one old example only.
    """

    customer_id: Id
    customer_external_key: Text
    customer_token: Text
    external_key: Text
    number: Secret
    expdate: Day
    expdate_year: Text
    expdate_month: Text
    cvv: Secret
    name: Text
    address: Text
    city: Text
    state: Text
    postcode: Text
    country: Text
    phone: Text


__all__ = ("CreditCard", "CreditCardCreate")
