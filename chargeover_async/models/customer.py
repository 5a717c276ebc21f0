"""Customers: the record, and what may be written.

Source: vendor's REST page "Customers"; recordings `one_customer`, `new_customer`, `customer_list`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict

from ._json.checks import Flag, Id, Text
from ._json.fields import Addresses, AddressesIn, CustomFieldsIn


class Customer(Addresses, frozen=True, kw_only=True, inherited_after="company"):
    """A customer of the account.

    Lists leave out ``tags``; the status fields are absent from answers of 2015. Unset ``class_id``
    and ``campaign_id`` come as None or as 0, depending on the age of the account.
    """

    superuser_id: int | None = None
    external_key: str | None = None
    token: str | None = None
    company: str | None = None
    terms_id: int | None = None
    class_id: int | None = None
    admin_id: int | None = None
    campaign_id: int | None = None
    custtype_id: int | None = None
    currency_id: int | None = None
    no_taxes: bool | None = None
    no_dunning: bool | None = None
    write_datetime: dt.datetime | None = None
    write_ipaddr: str | None = None
    mod_datetime: dt.datetime | None = None
    mod_ipaddr: str | None = None
    terms_name: str | None = None
    terms_days: int | None = None
    paid: Decimal | None = None
    total: Decimal | None = None
    balance: Decimal | None = None
    url_paymethodlink: str | None = None
    currency_symbol: str | None = None
    currency_iso4217: str | None = None
    display_as: str | None = None
    superuser_name: str | None = None
    superuser_first_name: str | None = None
    superuser_last_name: str | None = None
    superuser_phone: str | None = None
    superuser_email: str | None = None
    customer_id: int
    superuser_username: str | None = None
    tags: list[str] | None = None
    parent_customer_id: int | None = None
    superuser_token: str | None = None
    language_id: int | None = None
    class_name: str | None = None
    brand_id: int | None = None
    admin_name: str | None = None
    admin_email: str | None = None
    customer_status_id: int | None = None
    customer_status_name: str | None = None
    customer_status_str: str | None = None
    customer_status_state: str | None = None
    default_paymethod: str | None = None
    default_creditcard_id: int | None = None
    default_ach_id: int | None = None
    no_latefees: bool | None = None
    no_procfees: bool | None = None
    invoice_delivery: str | None = None
    dunning_delivery: str | None = None
    tax_ident: str | None = None
    mrr: Decimal | None = None
    arr: Decimal | None = None
    url_statementlink: str | None = None
    url_self: str | None = None
    # Seen only in the list examples of 2012 and 2013 in the vendor's text.
    email: str | None = None
    phone: str | None = None
    bill_email: str | None = None
    ship_email: str | None = None


class CustomerFields(CustomFieldsIn, AddressesIn, total=False):
    """Fields of a customer that may be set on creation and changed later."""

    parent_customer_id: Id
    parent_customer_external_key: Text
    parent_customer_token: Text
    external_key: Text
    company: Text
    language_id: Id
    class_id: Id
    admin_id: Id
    campaign_id: Id
    superuser_email: Text
    superuser_name: Text
    superuser_first_name: Text
    superuser_last_name: Text
    superuser_phone: Text
    terms_id: Id
    no_taxes: Flag
    no_dunning: Flag
    no_latefees: Flag
    no_procfees: Flag
    invoice_delivery: Text
    dunning_delivery: Text
    tax_ident: Text
    tags: Sequence[str] | None
    custtype_id: Id


class CustomerCreate(CustomerFields, total=False):
    """What may be sent when a customer is created."""

    currency_id: Id
    brand_id: Id
    superuser_username: Text
    campaign_details: Text


class CustomerUpdate(CustomerFields, total=False):
    """What may be sent when a customer is changed."""

    superuser_id: Id
    superuser_external_key: Text
    superuser_token: Text


class SetPayMethod(TypedDict, total=False):
    """What `Customers.set_default_payment_method` sends.

    Source: page "Set the default payment method for a customer".
    """

    paymethod: Text
    creditcard_id: Id
    creditcard_external_key: Text
    creditcard_token: Text
    update_subscriptions_and_scheduled_invoices: Flag


__all__ = ("Customer", "CustomerCreate", "CustomerUpdate", "SetPayMethod")
