"""The rules of items and their pricing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from chargeover_async.models import Item, ServiceData

from ._account import DEFAULT_CURRENCY
from ._store import Row, Spec, Store
from ._values import is_array, is_object, kinds_of, number, text
from ._wire import INVALID, Refused, amount

_PAYCYCLES = frozenset(
    (
        *("evy", "dly", "1wk", "2wk", "116", "4wk", "8wk", "30d", "mon", "2mn", "12w", "qtr"),
        *("six", "yrl", "2yr", "3yr", "4yr", "5yr", "10y"),
    )
)
_DESCRIPTIONS = {
    "fla": "Flat Pricing (e.g. $X dollars per month)",  # recordings; the wording changed later
    # UNVERIFIED: no source shows the words for the other models.
    "uni": "Unit Pricing",
    "vol": "Volume Pricing",
    "tie": "Tiered Pricing",
    "pas": "Pass-through Pricing",
}
_SERVICE_DATA = {  # recording one_item: 0, 0, false
    name: False if kind == "flag" else 0 for name, kind in kinds_of(ServiceData).items()
}
_TIER = ("unit_from", "unit_to", "amount")


def base_price(row: Row) -> int | Decimal:
    """What one of the item costs when an invoice line does not say."""
    tierset = tierset_of(row)
    return tierset["base"] if tierset is not None else 0


def tierset_of(row: Row) -> dict[str, Any] | None:
    """The pricing that ``tierset_id`` points at."""
    tiersets: list[dict[str, Any]] = row.data.get("tiersets") or []
    for tierset in tiersets:
        if tierset["tierset_id"] == row.data.get("tierset_id"):
            return tierset
    return None


def _create(store: Store, row: Row, fields: dict[str, Any]) -> None:
    data = row.data
    if fields.get("item_type") is None and fields.get("type") is not None:
        data["item_type"] = text(fields["type"])  # recordings send type, reads have item_type
    tierset = _tierset(store, fields.get("pricemodel"), data["write_datetime"])
    data["tierset_id"] = tierset["tierset_id"]
    data["tiersets"] = [tierset]
    data["service_data"] = dict(_SERVICE_DATA)
    data["categories"] = []


def _tierset(store: Store, pricemodel: Any, stamp: str) -> dict[str, Any]:
    """A new tierset; without a ``pricemodel`` the price is 0 (UNVERIFIED)."""
    if pricemodel is None:
        pricemodel = {}
    if not is_object(pricemodel):
        raise Refused(INVALID)
    sent = pricemodel
    setup = amount(number(sent["setup"])) if sent.get("setup") is not None else 0
    base = amount(number(sent["base"])) if sent.get("base") is not None else 0
    paycycle = text(sent["paycycle"]) if sent.get("paycycle") is not None else "evy"
    model = text(sent["pricemodel"]) if sent.get("pricemodel") is not None else "fla"
    if paycycle not in _PAYCYCLES or model not in _DESCRIPTIONS:
        raise Refused(INVALID)
    tiers = _tiers(store, sent.get("tiers"))
    currency = store.table("currency").rows[DEFAULT_CURRENCY].data
    symbol, iso4217 = currency.get("symbol") or "", currency.get("iso4217") or ""
    return {
        "tierset_id": store.number("tierset_id"),
        "currency_id": DEFAULT_CURRENCY,
        "currency_symbol": symbol,
        "currency_iso4217": iso4217,
        "setup": setup,
        "base": base,
        "percent": "0.000000",  # a string in every recording
        "paycycle": paycycle,
        "pricemodel": model,
        "write_datetime": stamp,
        "mod_datetime": stamp,
        "setup_formatted": f"{symbol} {setup:.2f}",
        "base_formatted": f"{symbol} {base:.2f}",
        "percent_formatted": "0 %",
        "pricemodel_desc": _DESCRIPTIONS[model],
        "tiers": tiers,
    }


def _tiers(store: Store, sent: Any) -> list[dict[str, Any]]:
    """The bands of a price; known from the vendor's PHP and C# clients only (UNVERIFIED)."""
    if sent is None:
        return []
    if not is_array(sent):
        raise Refused(INVALID)
    bands = sent
    if not all(is_object(band) for band in bands):
        raise Refused(INVALID)
    taken = [{name: amount(number(band.get(name, 0))) for name in _TIER} for band in bands]
    return [{"tier_id": store.number("tier_id"), **band} for band in taken]


def _seed(store: Store, row: Row, _record: dict[str, Any]) -> None:
    data = row.data
    tiersets: list[dict[str, Any]] = []
    for tierset in data.get("tiersets") or ():
        kept = dict(tierset)
        for name in ("setup", "base"):
            kept[name] = amount(Decimal(str(kept.get(name) or 0)))
        kept.setdefault("tiers", [])
        store.used("tierset_id", kept.get("tierset_id"))
        tiersets.append(kept)
    if tiersets:
        data["tiersets"] = tiersets
        data.setdefault("tierset_id", tiersets[-1]["tierset_id"])
    else:
        tierset = _tierset(store, None, data["write_datetime"])
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
