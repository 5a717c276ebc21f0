"""Every object of the API under the name it has on a client and on a bulk scope.

``.ci/exports.py`` writes imports and attributes from the modules beside it. The client, bulk
scopes, imports and exports know every object that stands here.
"""

from __future__ import annotations

from typing import Any, get_type_hints

from chargeover_async.operation import Runner

from ._calls.base import BaseResource
from ._calls.options import Options
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
from .tokenized import Tokenized
from .transactions import Transactions
from .usage import UsageRecords
from .users import Users


class Resources:
    """The resources, for whoever runs their operations."""

    ach: AchAccounts
    admins: Admins
    aggregate: Aggregate
    brands: Brands
    campaigns: Campaigns
    chargeoverjs: Chargeoverjs
    classes: Classes
    config: Config
    countries: Countries
    coupons: Coupons
    creditcards: CreditCards
    currencies: Currencies
    customers: Customers
    customfields: CustomFieldDefinitions
    invoices: Invoices
    item_categories: ItemCategories
    items: Items
    languages: Languages
    log: Log
    notes: Notes
    quotes: Quotes
    reports: Reports
    resthooks: Resthooks
    subscriptions: Subscriptions
    teapot: Teapot
    terms: TermsList
    tokenized: Tokenized
    transactions: Transactions
    usage: UsageRecords
    users: Users

    @property
    def packages(self) -> Subscriptions:
        """The subscriptions, by the API's name for them."""
        return self.subscriptions

    def _set_resources(self, runner: Runner, options: Options) -> None:
        for resource in RESOURCES.values():
            setattr(self, resource.attribute, resource(runner, options))


RESOURCES: dict[str, type[BaseResource[Any]]] = {
    resource.object: resource for resource in get_type_hints(Resources).values()
}

__all__ = ("RESOURCES", "Resources")
