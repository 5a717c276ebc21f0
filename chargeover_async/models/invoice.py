"""Invoices and their lines: the records, and what may be written.

Source: vendor's REST page "Invoices"; recordings `one_invoice`, `customer_with_invoices`,
`create_and_apply_payment`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict

from ._json.base import Mixed, Record
from ._json.checks import Day, Id, MixedIn, Money, Secret, Text
from ._json.fields import Addresses, AddressesIn, CustomFieldsIn


class LineItem(Record, frozen=True, kw_only=True):
    """A line of an invoice.

    ``is_taxed`` is the string ``"0"`` or ``"1"`` in recordings and read as a boolean here. The
    amounts ``tax_taxable``, ``tax_taxed`` and ``tax_total`` are those of the recordings
    `invoice_attempt_payment` and others of the vendor's Ruby client; no page names them.
    """

    invoice_id: int | None = None
    item_id: int | None = None
    tierset_id: int | None = None
    descrip: str | None = None
    line_rate: Decimal | None = None
    line_quantity: Decimal | None = None
    line_usage: Decimal | None = None
    tax_taxable: Decimal | None = None
    tax_taxed: Decimal | None = None
    tax_total: Decimal | None = None
    is_base: bool | None = None
    is_free: bool | None = None
    is_setup: bool | None = None
    is_usage: bool | None = None
    is_recurring: bool | None = None
    is_taxed: bool | None = None
    custom_1: Mixed = None
    custom_2: Mixed = None
    custom_3: Mixed = None
    item_name: str | None = None
    item_external_key: str | None = None
    item_token: str | None = None
    item_accounting_sku: str | None = None
    line_item_id: int | None = None
    package_line_id: int | None = None


class Invoice(Addresses, frozen=True, kw_only=True, inherited_after="refnumber"):
    """An invoice. Lists leave out ``line_items``.

    A void invoice has ``is_paid`` true, balance 0 and an unchanged total (recordings).
    """

    invoice_id: int
    currency_id: int | None = None
    terms_id: int | None = None
    token: str | None = None
    refnumber: str | None = None
    write_datetime: dt.datetime | None = None
    void_datetime: dt.datetime | None = None
    currency_symbol: str | None = None
    currency_iso4217: str | None = None
    invoice_status_name: str | None = None
    invoice_status_str: str | None = None
    invoice_status_state: str | None = None
    total: Decimal | None = None
    credits: Decimal | None = None
    payments: Decimal | None = None
    sum_base: Decimal | None = None
    sum_usage: Decimal | None = None
    sum_onetime: Decimal | None = None
    is_paid: bool | None = None
    balance: Decimal | None = None
    is_void: bool | None = None
    due_date: dt.date | None = None
    terms_name: str | None = None
    terms_days: int | None = None
    days_overdue: int | None = None
    is_overdue: bool | None = None
    date: dt.date | None = None
    delay_datetime: dt.datetime | None = None
    url_permalink: str | None = None
    url_paylink: str | None = None
    url_pdflink: str | None = None
    package_id: int | None = None
    customer_id: int | None = None
    line_items: list[LineItem] | None = None
    external_key: str | None = None
    invoice_index: int | None = None
    brand_id: int | None = None
    paid_date: dt.date | None = None
    mod_datetime: dt.datetime | None = None
    class_id: int | None = None
    paycycle: str | None = None
    admin_id: int | None = None
    admin_name: str | None = None
    memo: str | None = None
    cycle_pre_from_date: dt.date | None = None
    cycle_pre_to_date: dt.date | None = None
    cycle_this_date: dt.date | None = None
    cycle_post_from_date: dt.date | None = None
    cycle_post_to_date: dt.date | None = None
    url_self: str | None = None
    subtotal: Decimal | None = None
    taxes: Decimal | None = None
    applied: Decimal | None = None
    writeoffs: Decimal | None = None
    declines: int | None = None


class LineItemCreate(TypedDict, total=False):
    """A line of a new invoice; the item must exist."""

    item_id: Id
    item_external_key: Text
    item_token: Text
    descrip: Text
    line_rate: Money
    line_quantity: Money
    custom_1: MixedIn
    custom_2: MixedIn
    custom_3: MixedIn


class LineItemUpdate(LineItemCreate, total=False):
    """A line of a changed invoice: ``line_item_id`` alone keeps an existing line as it is."""

    line_item_id: Id
    line_item_external_key: Text
    line_item_token: Text


class InvoiceFields(AddressesIn, total=False):
    """Fields of an invoice that may be set on creation and changed later."""

    refnumber: Text
    external_key: Text
    date: Day
    paycycle: Text
    terms_id: Id
    admin_id: Id
    bill_notes: Text
    ship_notes: Text
    memo: Text


class InvoiceCreate(CustomFieldsIn, InvoiceFields, total=False):
    """What may be sent when an invoice is created; needs a customer and at least one line."""

    customer_id: Id
    customer_external_key: Text
    customer_token: Text
    currency_id: Id
    class_id: Id
    tags: Sequence[str] | None
    line_items: Sequence[LineItemCreate]


class InvoiceUpdate(InvoiceFields, total=False):
    """What may be sent when an invoice is changed; ``line_items`` is the complete new list.

    The vendor's table is cut off after ``memo``: pass other fields in ``extra``.
    """

    line_items: Sequence[LineItemUpdate]


class CardPayment(TypedDict, total=False):
    """A card for `Invoices.pay_credit_card`; never logged."""

    number: Secret
    expdate_year: str
    expdate_month: str
    name: Text
    address: Text
    city: Text
    state: Text
    postcode: Text
    country: Text


class AchPayment(TypedDict, total=False):
    """A bank account for `Invoices.pay_ach` (``type`` ``"chec"`` is checking); never logged."""

    number: Secret
    routing: Secret
    name: Text
    type: Text


class ScheduledPayment(TypedDict, total=False):
    """One payment of `Invoices.schedule_payments`; needs ``amount`` and ``date``."""

    amount: Money
    date: Day
    paymethod: Text
    creditcard_id: Id
    ach_id: Id
    tokenized_id: Id


InvoiceEmail = TypedDict(
    "InvoiceEmail",
    {
        "email": Text,
        "subject": Text,
        "body": Text,
        "from": Text,
        "template_name": Text,
        "template_opts": Text,
        "message_id": Text,
        "message_subject": Text,
        "message_body": Text,
        "message_from": Text,
    },
    total=False,
)
"""What `Invoices.email` may override; two clients of the vendor disagree on the names, so both
sets are passed as given. UNVERIFIED: no recording sends any of them."""

__all__ = (
    "AchPayment",
    "CardPayment",
    "Invoice",
    "InvoiceCreate",
    "InvoiceEmail",
    "InvoiceUpdate",
    "LineItem",
    "LineItemCreate",
    "LineItemUpdate",
    "ScheduledPayment",
)
