"""Transactions (payments, refunds, credits): the record, and what may be written.

Source: pages "Create a credit memo/record an offline payment", "Get a specific transaction", "Make
a payment", "Email a receipt", "Adjust applied amounts"; recordings `create_and_apply_payment`,
`create_one_credit`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, TypedDict

from chargeover_async._refs import Ref

from ._json.base import Mixed, Record
from ._json.checks import Day, Id, IdOrText, Integer, MixedIn, Moment, Money, Secret, Short, Text


class AppliedAmount(Record, frozen=True, kw_only=True):
    """A part of a transaction that is applied to an invoice.

    ``invoice_id`` is a string in the recordings and read as a number.
    """

    invoice_id: int | None = None
    applied: Decimal | None = None


class TransactionRefund(Record, frozen=True, kw_only=True):
    """A refund of a payment; no other key of it is shown."""

    transaction_id: int | None = None


class Transaction(Record, frozen=True, kw_only=True):
    """A payment, refund or credit. Lists leave out ``applied_to``.

    ``amount`` is negative for refunds, ``fee`` is negative when there is one (recordings). No
    source shows ``memo`` and the custom fields in an answer: UNVERIFIED.
    """

    transaction_id: int
    gateway_id: int | None = None
    currency_id: int | None = None
    token: str | None = None
    transaction_date: dt.date | None = None
    gateway_status: int | None = None
    gateway_transid: str | None = None
    gateway_msg: str | None = None
    amount: Decimal | None = None
    fee: Decimal | None = None
    transaction_type: str | None = None
    transaction_method: str | None = None
    transaction_detail: str | None = None
    transaction_datetime: dt.datetime | None = None
    void_datetime: dt.datetime | None = None
    transaction_type_name: str | None = None
    currency_symbol: str | None = None
    currency_iso4217: str | None = None
    customer_id: int | None = None
    applied_to: list[AppliedAmount] | None = None
    brand_id: int | None = None
    gateway_method: str | None = None
    gateway_err_code: int | None = None
    gateway_err_detail: str | None = None
    gateway_opts: Mixed = None
    external_key: str | None = None
    applied: Decimal | None = None
    unapplied: Decimal | None = None
    transaction_status_name: str | None = None
    transaction_status_str: str | None = None
    transaction_status_state: str | None = None
    transaction_ipaddr: str | None = None
    url_self: str | None = None
    memo: str | None = None
    custom_1: Mixed = None
    custom_2: Mixed = None
    custom_3: Mixed = None
    custom_4: Mixed = None
    custom_5: Mixed = None
    refunds: list[TransactionRefund] | None = None
    # The payment a refund belongs to; the shape of an entry is not shown.
    payments: list[Mixed] | None = None


class AppliedAmountIn(TypedDict, total=False):
    """An invoice to apply to; without ``applied`` as much as there is (recording)."""

    invoice_id: IdOrText
    invoice_external_key: Text
    invoice_token: Text
    applied: Money


# The vendor's Ruby client sends ids alone, as numbers and as text (recordings
# `invoice_attempt_payment`, `attempt_payment_of_invoice`); here they are sent in full.
AppliedIn = Annotated[AppliedAmountIn | int | str | Ref, Short("invoice_id")]


class NewPayMethod(TypedDict, total=False):
    """A method to try: one that is stored, or a card or bank account given here.

    That a new one has the fields of `CardPayment` and `AchPayment` is UNVERIFIED; so are
    ``tokenized_id``, keys and tokens.
    """

    creditcard_id: Id
    creditcard_external_key: Text
    creditcard_token: Text
    ach_id: Id
    ach_external_key: Text
    ach_token: Text
    tokenized_id: Id
    tokenized_external_key: Text
    tokenized_token: Text
    number: Secret
    expdate: Day
    expdate_year: Text
    expdate_month: Text
    cvv: Secret
    routing: Secret
    type: Text
    name: Text
    address: Text
    city: Text
    state: Text
    postcode: Text
    country: Text


class _Paying(TypedDict, total=False):
    customer_id: Id
    customer_external_key: Text
    customer_token: Text
    amount: Money
    applied_to: Sequence[AppliedIn]


class TransactionPay(_Paying, total=False):
    """What `Transactions.pay` sends."""

    paymethods: Sequence[NewPayMethod]


class CreditCreate(_Paying, total=False):
    """A credit memo for `Transactions.create_credit`."""

    gateway_id: Id
    gateway_status: Integer
    gateway_transid: Text
    gateway_msg: Text
    external_key: Text
    transaction_date: Day
    transaction_detail: Text


class RefundCreate(CreditCreate, total=False):
    """A refund made elsewhere, for `Transactions.create_refund`; ``amount`` is negative."""

    gateway_method: Text
    transaction_method: Text


class TransactionCreate(RefundCreate, total=False):
    """What may be sent when a transaction that happened elsewhere is recorded.

    ``gateway_status`` is 1 for a success and 0 for a decline. ``transaction_datetime`` and
    ``void_datetime`` are in one client's model only. ``transaction_detail`` is cut to 32
    characters (recording `create_and_apply_credit`).
    """

    transaction_type: Text
    transaction_datetime: Moment
    void_datetime: Moment
    memo: Text
    auto_apply: Text
    custom_1: MixedIn
    custom_2: MixedIn
    custom_3: MixedIn
    custom_4: MixedIn
    custom_5: MixedIn


class TransactionRefunding(TypedDict, total=False):
    """What `Transactions.refund` sends."""

    amount: Money


class TransactionApply(TypedDict, total=False):
    """What `Transactions.change_applied_amounts` sends."""

    applied_to: Sequence[AppliedIn]


TransactionEmail = TypedDict(
    "TransactionEmail",
    {
        "email": Text,
        "cc": Text,
        "bcc": Text,
        "subject": Text,
        "body": Text,
        "html": Text,
        "from": Text,
        "message_id": Integer,
    },
    total=False,
)
"""What `Transactions.email` may override; ``message_id`` picks the template."""

__all__ = (
    "AppliedAmount",
    "AppliedAmountIn",
    "CreditCreate",
    "NewPayMethod",
    "RefundCreate",
    "Transaction",
    "TransactionApply",
    "TransactionCreate",
    "TransactionEmail",
    "TransactionPay",
    "TransactionRefund",
    "TransactionRefunding",
)
