"""The rules of items and their pricing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from chargeover_async.models import Item, ServiceData
from chargeover_async.sandbox.protocol.values import kinds_of, text
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import Spec, Tables

from .pricing import new_tierset, take, take_seeded

_SERVICE_DATA = {  # recording one_item: 0, 0, false
    name: False if kind == "flag" else 0 for name, kind in kinds_of(ServiceData).items()
}


def base_price(row: Row) -> int | Decimal:
    """What one of the item costs when an invoice line does not say."""
    tierset = tierset_of(row)
    return tierset["base"] if tierset is not None else 0


def tierset_of(row: Row, currency_id: int | None = None) -> dict[str, Any] | None:
    """The pricing in that currency, if there is one, or what ``tierset_id`` points at."""
    tiersets: list[dict[str, Any]] = row.data.get("tiersets") or []
    for tierset in tiersets:
        if currency_id is not None and tierset.get("currency_id") == currency_id:
            return tierset
    for tierset in tiersets:
        if tierset["tierset_id"] == row.data.get("tierset_id"):
            return tierset
    return None


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    data = draft.data
    if fields.get("item_type") is None and fields.get("type") is not None:
        data["item_type"] = text(fields["type"])  # recordings send type, reads have item_type
    tierset = new_tierset(store, take(fields.get("pricemodel")), data["write_datetime"])
    data["tierset_id"] = tierset["tierset_id"]
    data["tiersets"] = [tierset]
    data["service_data"] = dict(_SERVICE_DATA)
    data["categories"] = []


def _seed(store: Tables, draft: Draft, _record: dict[str, Any]) -> None:
    data = draft.data
    tiersets = [take_seeded(store, tierset) for tierset in data.get("tiersets") or ()]
    if tiersets:
        data["tiersets"] = tiersets
        data.setdefault("tierset_id", tiersets[-1]["tierset_id"])
    else:
        tierset = new_tierset(store, take(None), data["write_datetime"])
        tierset["tierset_id"] = data.setdefault("tierset_id", tierset["tierset_id"])
        data["tiersets"] = [tierset]
    store.used("tierset_id", data["tierset_id"])
    data.setdefault("service_data", dict(_SERVICE_DATA))
    data.setdefault("categories", [])


ITEM = Spec(
    name="item",
    key="item_id",
    model=Item,
    # No source shows an update or a delete of an item.
    commands=frozenset(("create",)),
    defaults={"item_type": "service", "name": "", "units_plural": "", "enabled": True},
    read_only=frozenset(("tierset_id", "units_plural", "tax_group_name")),
    single_only=("service_data", "categories"),
    events={"insert": ()},
    on_create=_create,
    on_seed=_seed,
)
