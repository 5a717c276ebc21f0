"""The one table of objects that the sandbox models."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping

from ._ach import ACH
from ._catalog import COUPON, CUSTOMFIELD, ITEM_CATEGORY
from ._creditcard import CREDITCARD
from ._customer import CUSTOMER
from ._file import StoreFile
from ._invoice import INVOICE
from ._item import ITEM
from ._lists import LISTS
from ._note import NOTE
from ._package import PACKAGE
from ._package_line import PACKAGE_LINE
from ._quote import QUOTE
from ._reports import AGGREGATE, REPORT
from ._resthook import DELIVERY, RESTHOOK
from ._settings import CHARGEOVERJS, CONFIG, LOG
from ._store import Spec, Store
from ._tokenized import TOKENIZED
from ._transaction import TRANSACTION
from ._usage import USAGE
from ._user import USER

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
