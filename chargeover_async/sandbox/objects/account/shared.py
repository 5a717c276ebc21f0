"""What an account is set up with, and how addresses and names are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chargeover_async.sandbox.store.row import Record
from chargeover_async.sandbox.store.tables import Tables

DEFAULT_TERMS = 2  # what a customer gets without asking (recording new_customer)
DEFAULT_CURRENCY = 1

_Derive = Callable[[Tables, Record], Any]


def terms(name: str, unknown: Any = "") -> _Derive:
    """Derives a field of a record's terms; ``unknown`` for terms that only a seed names."""
    return _of("terms", "terms_id", DEFAULT_TERMS, name, unknown)


def currency(name: str) -> _Derive:
    """Derives a field of a record's currency."""
    return _of("currency", "currency_id", DEFAULT_CURRENCY, name, "")


def _of(object_: str, key: str, default: int, name: str, unknown: Any) -> _Derive:
    def derive(store: Tables, row: Record) -> Any:
        found = store.row(object_, row.data.get(key, default))
        return unknown if found is None else found.data.get(name, unknown)

    return derive


def block(prefix: str, *, after_city: str = " ", line_end: str = "\n") -> _Derive:
    """Derives a whole address as printable text.

    Lines that are empty vanish; city, state and postcode share one (recordings `one_customer`,
    `new_customer`).
    """
    addresses = tuple(f"{prefix}_addr{number}" for number in (1, 2, 3))
    city, country = f"{prefix}_city", f"{prefix}_country"
    places = tuple(f"{prefix}_{name}" for name in ("state", "postcode"))

    def derive(_store: Tables, row: Record) -> str:
        get = row.data.get
        place = " ".join(part for name in places if (part := get(name)))
        place = after_city.join(part for part in (get(city), place) if part)
        lines = [get(name) for name in addresses]
        return line_end.join(line for line in (*lines, place, get(country)) if line)

    return derive


terms_days = terms("days", 0)

SHARED: Mapping[str, _Derive] = {
    "terms_name": terms("name"),
    "terms_days": terms_days,
    "currency_iso4217": currency("iso4217"),
    "currency_symbol": currency("symbol"),
}
# Of customers, and of what is printed for them: invoices (recordings `query_invoices`,
# `invoice_customer` of the vendor's Ruby client) and quotes (page "Get a specific quote").
BLOCKS: Mapping[str, _Derive] = {f"{kind}_block": block(kind) for kind in ("bill", "ship")}
PRINTED_BLOCKS: Mapping[str, _Derive] = {
    f"{kind}_block": block(kind, after_city=", ", line_end="\r\n") for kind in ("bill", "ship")
}


def split_name(name: str) -> tuple[str, str]:
    """First and last name: the first word and the rest (UNVERIFIED beyond two words)."""
    first, _, last = name.strip().partition(" ")
    return first, last.strip()
