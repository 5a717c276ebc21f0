"""Subscriptions (the API calls them packages) and their lines: records, and what may be written.

Source: pages "Create a subscription", "Update a subscription", "Querying for subscriptions" and the
pages of the actions; recordings `one_recurring_package`, `upgrade_a_package`, `cancel_package`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict

from ._json.checks import Day, Flag, Id, Integer, Moment, Money, Text
from ._json.fields import Addresses, AddressesIn, CustomFields, CustomFieldsIn
from .tierset import Tierset, TiersetCreate


class SubscriptionLine(CustomFields, frozen=True, kw_only=True):
    """A line of a subscription, with its own price.

    An upgrade replaces the line under a new ``line_item_id`` (recording `upgrade_a_package`).
    ``line_quantity`` and ``paycycle`` are documented for writing; that answers have them is
    UNVERIFIED.
    """

    item_id: int | None = None
    tierset_id: int | None = None
    external_key: str | None = None
    nickname: str | None = None
    descrip: str | None = None
    trial_days: int | None = None
    trial_units: int | None = None
    subscribe_datetime: dt.datetime | None = None
    cancel_datetime: dt.datetime | None = None
    expire_datetime: dt.datetime | None = None
    expire_recurs: int | None = None
    license: str | None = None
    item_name: str | None = None
    item_external_key: str | None = None
    item_accounting_sku: str | None = None
    item_token: str | None = None
    item_units: str | None = None
    line_item_id: int | None = None
    tierset: Tierset | None = None
    line_quantity: Decimal | None = None
    paycycle: str | None = None
    subscribe_prorate_from_datetime: dt.datetime | None = None
    subscribe_prorate_to_datetime: dt.datetime | None = None


class Subscription(Addresses, frozen=True, kw_only=True, inherited_after="paycycle"):
    """A subscription of a customer; in the API its name is package.

    Lists leave out ``line_items`` unless they are asked for (``expand="line_items"``).
    ``next_invoice_datetime`` is None for one that will not be invoiced again: the API writes ``""``
    or null (recordings `cancel_package`, `list_packages`).
    """

    terms_id: int | None = None
    currency_id: int | None = None
    external_key: str | None = None
    token: str | None = None
    nickname: str | None = None
    paymethod: str | None = None
    paycycle: str | None = None
    creditcard_id: int | None = None
    ach_id: int | None = None
    tokenized_id: int | None = None
    write_datetime: dt.datetime | None = None
    mod_datetime: dt.datetime | None = None
    suspendfrom_datetime: dt.datetime | None = None
    suspendto_datetime: dt.datetime | None = None
    cancel_datetime: dt.datetime | None = None
    holduntil_datetime: dt.datetime | None = None
    currency_symbol: str | None = None
    currency_iso4217: str | None = None
    amount_collected: Decimal | None = None
    amount_invoiced: Decimal | None = None
    amount_due: Decimal | None = None
    next_invoice_datetime: dt.datetime | None = None
    package_id: int
    customer_id: int | None = None
    package_status_id: int | None = None
    package_status_name: str | None = None
    package_status_str: str | None = None
    package_status_state: str | None = None
    line_items: list[SubscriptionLine] | None = None
    brand_id: int | None = None
    brand_name: str | None = None
    class_id: int | None = None
    class_name: str | None = None
    paymethod_name: str | None = None
    paymethod_detail: str | None = None
    admin_id: int | None = None
    admin_name: str | None = None
    memo: str | None = None
    amount_overdue: Decimal | None = None
    is_overdue: bool | None = None
    days_overdue: int | None = None
    start_datetime: dt.datetime | None = None
    mrr: Decimal | None = None
    arr: Decimal | None = None
    cancel_reason: str | None = None
    terms_name: str | None = None
    terms_days: int | None = None
    paycycle_name: str | None = None
    tags: list[str] | None = None
    url_self: str | None = None
    cache_next_invoice: dt.datetime | None = None


class SubscriptionLineCreate(CustomFieldsIn, total=False):
    """A line of a new subscription; the item must exist, ``tierset`` overrides its price."""

    item_id: Id
    item_external_key: Text
    item_token: Text
    external_key: Text
    descrip: Text
    line_quantity: Money
    trial_days: Integer
    paycycle: Text
    tierset: TiersetCreate | None


class SubscriptionLineUpgrade(SubscriptionLineCreate, total=False):
    """A line of an upgrade: with its ``line_item_id`` it replaces that line, without it is new.

    ``cancel`` drops the line named. ``subscribe_prorate`` charges the new line for the rest of the
    cycle, ``cancel_prorate`` credits the old one, ``subscribe_prorate_cycle`` says when
    (`SubscribeProrateCycle`). Source: page "Upgrade/downgrade a subscription"; recordings
    `upgrade_a_package`, `add_line_item`.
    """

    line_item_id: Id
    line_item_external_key: Text
    line_item_token: Text
    cancel: Flag
    subscribe_prorate: Flag
    cancel_prorate: Flag
    subscribe_prorate_cycle: Text
    subscribe_prorate_from_datetime: Moment
    subscribe_prorate_to_datetime: Moment


class SubscriptionFields(CustomFieldsIn, AddressesIn, total=False):
    """Fields of a subscription that may be set on creation and changed later."""

    class_id: Id
    class_external_key: Text
    class_token: Text
    external_key: Text
    nickname: Text
    admin_id: Id
    admin_external_key: Text
    admin_token: Text
    terms_id: Id
    terms_external_key: Text
    terms_token: Text
    bill_notes: Text
    ship_notes: Text


class PayMethodFields(TypedDict, total=False):
    """How a subscription is paid: ``paymethod`` (`PayMethod`) and the stored method it means."""

    paymethod: Text
    creditcard_id: Id
    creditcard_external_key: Text
    creditcard_token: Text
    ach_id: Id
    ach_external_key: Text
    ach_token: Text
    tokenized_id: Id
    tokenized_external_key: Text
    tokenized_token: Text


class SubscriptionCreate(PayMethodFields, SubscriptionFields, total=False):
    """What may be sent when a subscription is created; no source says what must be.

    Naming a stored method is enough to pay by it; without any the customer gets invoices.
    """

    customer_id: Id
    customer_external_key: Text
    customer_token: Text
    paycycle: Text
    holduntil_datetime: Moment
    coupon: Text
    line_items: Sequence[SubscriptionLineCreate]


class SubscriptionUpdate(SubscriptionFields, total=False):
    """What may be sent when a subscription is changed; the rest has actions.

    The two fields of the payment schedule that the page describes have no name in any source: pass
    them in ``extra``.
    """

    tags: Sequence[str] | None


class SubscriptionUpgrade(TypedDict, total=False):
    """What `Subscriptions.upgrade` sends."""

    line_items: Sequence[SubscriptionLineUpgrade]


class SubscriptionSuspend(TypedDict, total=False):
    """What `Subscriptions.suspend` sends; without an end it lasts until it is lifted."""

    suspendfrom_datetime: Moment
    suspendto_datetime: Moment


class SubscriptionCancel(TypedDict, total=False):
    """What `Subscriptions.cancel` sends; without a date it is done at once."""

    cancel_date: Day
    cancel_reason_id: Id


__all__ = (
    "PayMethodFields",
    "Subscription",
    "SubscriptionCancel",
    "SubscriptionCreate",
    "SubscriptionLine",
    "SubscriptionLineCreate",
    "SubscriptionLineUpgrade",
    "SubscriptionSuspend",
    "SubscriptionUpdate",
    "SubscriptionUpgrade",
)
