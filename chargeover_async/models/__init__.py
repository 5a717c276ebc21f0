"""The records of the API as msgspec structs, and the TypedDicts of what may be written."""

from __future__ import annotations

from ._base import Record
from .common import Created, Revision
from .customer import Customer, CustomerCreate, CustomerUpdate, SetPayMethod
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
from .tierset import Tier, Tierset
from .user import User, UserCreate, UserCustomer, UserUpdate

__all__ = (
    "AchPayment",
    "CardPayment",
    "Created",
    "Customer",
    "CustomerCreate",
    "CustomerUpdate",
    "Invoice",
    "InvoiceCreate",
    "InvoiceEmail",
    "InvoiceUpdate",
    "Item",
    "ItemCreate",
    "LineItem",
    "LineItemCreate",
    "LineItemUpdate",
    "PriceModel",
    "Record",
    "Revision",
    "ScheduledPayment",
    "ServiceData",
    "SetPayMethod",
    "Tier",
    "Tierset",
    "User",
    "UserCreate",
    "UserCustomer",
    "UserUpdate",
)
