"""The objects of the API as the client offers them, one module an object."""

from __future__ import annotations

from ._calls.answers import OnUnreadable
from ._calls.kinds import Resource
from ._calls.options import ActionForm
from ._calls.target import ExternalKey, Target, Token
from ._calls.upserting import Upserted
from .account import (
    Admins,
    Brands,
    Campaigns,
    Classes,
    Config,
    Countries,
    Currencies,
    Languages,
    Log,
    Teapot,
    TermsList,
)
from .ach import AchAccounts
from .catalog import Coupons, CustomFieldDefinitions, ItemCategories
from .chargeoverjs import Chargeoverjs
from .creditcards import CreditCards
from .customers import Customers
from .invoices import Invoices
from .items import Items
from .notes import Notes
from .quotes import Quotes
from .reports import Aggregate, Reports
from .resthooks import Resthooks
from .subscriptions import Subscriptions
from .table import RESOURCES, Resources
from .tokenized import Tokenized
from .transactions import Transactions
from .usage import UploadOutcome, UsageRecords
from .users import Users

__all__ = (
    "RESOURCES",
    "AchAccounts",
    "ActionForm",
    "Admins",
    "Aggregate",
    "Brands",
    "Campaigns",
    "Chargeoverjs",
    "Classes",
    "Config",
    "Countries",
    "Coupons",
    "CreditCards",
    "Currencies",
    "CustomFieldDefinitions",
    "Customers",
    "ExternalKey",
    "Invoices",
    "ItemCategories",
    "Items",
    "Languages",
    "Log",
    "Notes",
    "OnUnreadable",
    "Quotes",
    "Reports",
    "Resource",
    "Resources",
    "Resthooks",
    "Subscriptions",
    "Target",
    "Teapot",
    "TermsList",
    "Token",
    "Tokenized",
    "Transactions",
    "UploadOutcome",
    "Upserted",
    "UsageRecords",
    "Users",
)
