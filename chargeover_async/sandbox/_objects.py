"""The one table of objects that the sandbox models."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from ._customer import CUSTOMER
from ._invoice import INVOICE
from ._item import ITEM
from ._lists import LISTS
from ._store import Spec, Store
from ._user import USER

OBJECTS: Mapping[str, Spec] = {spec.name: spec for spec in (*LISTS, CUSTOMER, USER, ITEM, INVOICE)}


def new_store(
    *,
    seed: int = 0,
    now: Callable[[], dt.datetime] | None = None,
    site: str = "https://example.chargeover.com",
) -> Store:
    """An empty store of all objects; see `Store` for the arguments."""
    return Store(OBJECTS, seed=seed, now=now, site=site)
