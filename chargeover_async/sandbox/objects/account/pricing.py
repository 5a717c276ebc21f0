"""Prices (tiersets): taking them from a request, showing them, and what they come to.

Source: recordings `one_item`, `create_item`, `upgrade_a_package`; the vendor's text (item with
three tiersets); the bands are known from the vendor's PHP and C# clients only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any

from chargeover_async.models import Tierset
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, amount
from chargeover_async.sandbox.protocol.values import is_array, is_object, kinds_of, number, text
from chargeover_async.sandbox.store.tables import Tables, check_names

from .cycles import EVERY, NAMES
from .shared import DEFAULT_CURRENCY

EXACT = Context(prec=60)  # two amounts of 24 digits have a product of at most 48
_DESCRIPTIONS = {
    "fla": "Flat Pricing (e.g. $X dollars per month)",  # recordings; the wording changed later
    # UNVERIFIED: no source shows the words for the other models.
    "uni": "Unit Pricing",
    "vol": "Volume Pricing",
    "tie": "Tiered Pricing",
    "pas": "Pass-through Pricing",
}
_TIER = ("unit_from", "unit_to", "amount")
_KINDS = kinds_of(Tierset)
_AMOUNTS = ("setup", "base", "percent")


def take(sent: Any) -> dict[str, Any]:
    """A price as it was sent, checked; what is not said is 0, flat and for every cycle.

    UNVERIFIED: those defaults, and that a price of an item may be left out.
    """
    if sent is None:
        sent = {}
    if not is_object(sent):
        raise Refused(INVALID)
    price: dict[str, Any] = {
        name: amount(number(sent[name])) if sent.get(name) is not None else 0 for name in _AMOUNTS
    }
    for name, default, known in (
        ("paycycle", EVERY, (EVERY, *NAMES)),
        ("pricemodel", "fla", _DESCRIPTIONS),
    ):
        price[name] = text(sent[name]) if sent.get(name) is not None else default
        if price[name] not in known:
            raise Refused(INVALID)
    price["tiers"] = _tiers(sent.get("tiers"))
    return price


def _tiers(sent: Any) -> list[dict[str, Any]]:
    if sent is None:
        return []
    if not is_array(sent) or not all(is_object(band) for band in sent):
        raise Refused(INVALID)
    return [{name: amount(number(band.get(name, 0))) for name in _TIER} for band in sent]


def new_tierset(
    store: Tables, price: dict[str, Any], stamp: str, currency_id: int = DEFAULT_CURRENCY
) -> dict[str, Any]:
    """A tierset of its own for a price from `take`, as the API shows it."""
    row = store.row("currency", currency_id)
    currency: Mapping[str, Any] = {} if row is None else row.data
    symbol = currency.get("symbol") or ""
    setup, base, percent = (price[name] for name in _AMOUNTS)
    return {
        "tierset_id": store.number("tierset_id"),
        "currency_id": currency_id,
        "currency_symbol": symbol,
        "currency_iso4217": currency.get("iso4217") or "",
        "setup": setup,
        "base": base,
        "percent": f"{percent:.6f}",  # a string in every recording: "0.000000"
        "paycycle": price["paycycle"],
        "pricemodel": price["pricemodel"],
        "write_datetime": stamp,
        "mod_datetime": stamp,
        "setup_formatted": f"{symbol} {setup:.2f}",
        "base_formatted": f"{symbol} {base:.2f}",
        "percent_formatted": f"{percent} %",
        "pricemodel_desc": _DESCRIPTIONS[price["pricemodel"]],
        "tiers": [{"tier_id": store.number("tier_id"), **band} for band in price["tiers"]],
    }


def take_seeded(store: Tables, tierset: dict[str, Any]) -> dict[str, Any]:
    """A tierset of a seed: amounts exact, its numbers remembered."""
    check_names("a tierset", tierset, _KINDS)
    kept: dict[str, Any] = {"paycycle": EVERY, "pricemodel": "fla", "tiers": [], **tierset}
    for name in ("setup", "base"):
        kept[name] = amount(Decimal(str(kept.get(name) or 0)))
    bands: list[dict[str, Any]] = []
    for band in kept["tiers"]:
        check_names("a tier", band, ("tier_id", *_TIER))
        store.used("tier_id", band.get("tier_id"))
        exact = {name: amount(Decimal(str(band.get(name) or 0))) for name in _TIER}
        bands.append({**band, **exact})
    kept["tiers"] = bands
    store.used("tierset_id", kept.get("tierset_id"))
    return kept


def charges(tierset: dict[str, Any], units: Decimal) -> Iterator[tuple[Decimal, Decimal]]:
    """Rate and quantity of what ``units`` cost, besides the base price.

    All of it is UNVERIFIED: flat charges nothing more; per unit and volume charge every unit at
    the rate of the band that ``units`` falls into, tiered each unit at the rate of its own band;
    passed through, the units are the price. The last band has no end.
    """
    model = tierset["pricemodel"]
    if model == "pas":
        yield units, Decimal(1)
    if model in ("fla", "pas") or not tierset["tiers"] or units <= 0:
        return
    bands = sorted(tierset["tiers"], key=lambda band: band["unit_from"])
    below = Decimal(0)
    for position, band in enumerate(bands):
        last = position == len(bands) - 1
        end = units if last else min(units, Decimal(band["unit_to"]))
        if model == "tie" and end > below:
            yield Decimal(band["amount"]), end - below
        elif model != "tie" and (last or units <= band["unit_to"]):
            yield Decimal(band["amount"]), units
            return
        below = max(below, end)


def price_of(tierset: dict[str, Any], quantity: Decimal | None) -> Decimal:
    """What one cycle of a price comes to without set-up and usage, in no rounded amount.

    ``quantity`` is that of the line, None if usage decides. UNVERIFIED: a flat price is multiplied
    by it as well.
    """
    base = Decimal(tierset["base"])
    if quantity is None:
        return base
    if tierset["pricemodel"] == "fla":
        return EXACT.multiply(base, quantity)
    total = base
    for rate, units in charges(tierset, quantity):
        total = EXACT.add(total, EXACT.multiply(rate, units))
    return total
