"""The one table of objects that the sandbox models."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping

from chargeover_async.sandbox.objects.account.catalog import COUPON, CUSTOMFIELD, ITEM_CATEGORY
from chargeover_async.sandbox.objects.account.item import ITEM
from chargeover_async.sandbox.objects.account.lists import LISTS
from chargeover_async.sandbox.objects.account.note import NOTE
from chargeover_async.sandbox.objects.account.resthook import DELIVERY, RESTHOOK
from chargeover_async.sandbox.objects.account.settings import CHARGEOVERJS, CONFIG, LOG
from chargeover_async.sandbox.objects.account.user import USER
from chargeover_async.sandbox.objects.money.ach import ACH
from chargeover_async.sandbox.objects.money.creditcard import CREDITCARD
from chargeover_async.sandbox.objects.money.invoice import INVOICE
from chargeover_async.sandbox.objects.money.tokenized import TOKENIZED
from chargeover_async.sandbox.objects.money.transaction import TRANSACTION
from chargeover_async.sandbox.objects.subscriptions.line import PACKAGE_LINE
from chargeover_async.sandbox.objects.subscriptions.package import PACKAGE
from chargeover_async.sandbox.objects.subscriptions.usage import USAGE
from chargeover_async.sandbox.store.file import StoreFile
from chargeover_async.sandbox.store.store import Store
from chargeover_async.sandbox.store.tables import Spec

from .customer import CUSTOMER
from .quote import QUOTE
from .reports import AGGREGATE, REPORT

OBJECTS: Mapping[str, Spec] = {
    spec.name: spec
    for spec in (
        *LISTS,
        ITEM_CATEGORY,
        COUPON,
        CUSTOMFIELD,
        CUSTOMER,
        USER,
        ITEM,
        INVOICE,
        TRANSACTION,
        CREDITCARD,
        ACH,
        TOKENIZED,
        RESTHOOK,
        DELIVERY,
        PACKAGE,
        PACKAGE_LINE,
        USAGE,
        QUOTE,
        NOTE,
        CHARGEOVERJS,
        REPORT,
        AGGREGATE,
        CONFIG,
        LOG,
    )
}


def new_store(
    *,
    seed: int = 0,
    now: Callable[[], dt.datetime] | None = None,
    site: str = "https://example.chargeover.com",
    path: str | os.PathLike[str] | None = None,
) -> Store:
    """A store of all objects, in memory or in the file at ``path``; see `Store` for the others.

    A file that is not there is made, and what is in one that is there is loaded. One store at a
    time holds it, until it is closed. Raises StorageError if the file cannot be had.
    """
    file = None if path is None else StoreFile(path)
    return Store(OBJECTS, seed=seed, now=now, site=site, file=file)
