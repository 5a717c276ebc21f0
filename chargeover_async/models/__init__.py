"""The records of the API as msgspec structs, and the TypedDicts of what may be written."""

from __future__ import annotations

from ._json.base import Record
from ._json.mend import DateFormat
from .account import Admin, Brand, Campaign, Class, Country, Currency, Language, LogEntry, Terms
from .ach import AchAccount, AchAccountCreate
from .chargeoverjs import PendingRequest
from .common import Created, Revision
from .coupon import Coupon
from .creditcard import CreditCard, CreditCardCreate
from .customer import Customer, CustomerCreate, CustomerUpdate, SetPayMethod
from .customfield import CustomField
from .invoice import (
    AchPayment,
    CardPayment,
    Invoice,
    InvoiceCreate,
    InvoiceEmail,
    InvoiceUpdate,
    LineItem,
    LineItemCreate,
    LineItemUpdate,
    ScheduledPayment,
)
from .item import Item, ItemCreate, PriceModel, ServiceData
from .item_category import ItemCategory
from .note import Note, NoteCreate
from .package import (
    PayMethodFields,
    Subscription,
    SubscriptionCancel,
    SubscriptionCreate,
    SubscriptionLine,
    SubscriptionLineCreate,
    SubscriptionLineUpgrade,
    SubscriptionSuspend,
    SubscriptionUpdate,
    SubscriptionUpgrade,
)
from .quote import Quote, QuoteCreate, QuoteLine, QuoteLineCreate
from .report import Report
from .resthook import Resthook, ResthookCreate
from .tierset import Tier, TierCreate, Tierset, TiersetCreate
from .tokenized import TokenizedPayMethod, TokenizedPayMethodCreate
from .transaction import (
    AppliedAmount,
    AppliedAmountIn,
    CreditCreate,
    NewPayMethod,
    RefundCreate,
    Transaction,
    TransactionApply,
    TransactionCreate,
    TransactionEmail,
    TransactionPay,
    TransactionRefund,
    TransactionRefunding,
)
from .usage import Usage, UsageCreate, UsageRecord
from .user import User, UserCreate, UserCustomer, UserUpdate

__all__ = (
    "AchAccount",
    "AchAccountCreate",
    "AchPayment",
    "Admin",
    "AppliedAmount",
    "AppliedAmountIn",
    "Brand",
    "Campaign",
    "CardPayment",
    "Class",
    "Country",
    "Coupon",
    "Created",
    "CreditCard",
    "CreditCardCreate",
    "CreditCreate",
    "Currency",
    "CustomField",
    "Customer",
    "CustomerCreate",
    "CustomerUpdate",
    "DateFormat",
    "Invoice",
    "InvoiceCreate",
    "InvoiceEmail",
    "InvoiceUpdate",
    "Item",
    "ItemCategory",
    "ItemCreate",
    "Language",
    "LineItem",
    "LineItemCreate",
    "LineItemUpdate",
    "LogEntry",
    "NewPayMethod",
    "Note",
    "NoteCreate",
    "PayMethodFields",
    "PendingRequest",
    "PriceModel",
    "Quote",
    "QuoteCreate",
    "QuoteLine",
    "QuoteLineCreate",
    "Record",
    "RefundCreate",
    "Report",
    "Resthook",
    "ResthookCreate",
    "Revision",
    "ScheduledPayment",
    "ServiceData",
    "SetPayMethod",
    "Subscription",
    "SubscriptionCancel",
    "SubscriptionCreate",
    "SubscriptionLine",
    "SubscriptionLineCreate",
    "SubscriptionLineUpgrade",
    "SubscriptionSuspend",
    "SubscriptionUpdate",
    "SubscriptionUpgrade",
    "Terms",
    "Tier",
    "TierCreate",
    "Tierset",
    "TiersetCreate",
    "TokenizedPayMethod",
    "TokenizedPayMethodCreate",
    "Transaction",
    "TransactionApply",
    "TransactionCreate",
    "TransactionEmail",
    "TransactionPay",
    "TransactionRefund",
    "TransactionRefunding",
    "Usage",
    "UsageCreate",
    "UsageRecord",
    "User",
    "UserCreate",
    "UserCustomer",
    "UserUpdate",
)
