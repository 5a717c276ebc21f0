"""What an account is set up with, and how addresses and names are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ._store import Row, Store


class Terms(NamedTuple):
    """Payment terms."""

    name: str
    days: int


class Currency(NamedTuple):
    """A currency: its code and the sign that amounts are written with."""

    iso4217: str
    symbol: str


# The only terms that recordings show; 2 is what a customer gets without asking (new_customer).
TERMS: Mapping[int, Terms] = {2: Terms("Net 30", 30), 3: Terms("Due on Receipt", 0)}
DEFAULT_TERMS = 2

# Currency 1: recordings. 2 and 6: the vendor's text (item with three tiersets).
CURRENCIES: Mapping[int, Currency] = {
    1: Currency("USD", "$"),
    2: Currency("CAD", "CAD$"),
    6: Currency("AUD", "A$"),
}
DEFAULT_CURRENCY = 1

_Derive = Callable[["Store", "Row"], Any]


def terms_of(row: Row) -> Terms:
    """The terms of a customer or invoice; an id that only a seed can bring has no name."""
    return TERMS.get(row.data.get("terms_id", DEFAULT_TERMS), Terms("", 0))


def currency_of(row: Row) -> Currency:
    """The currency of a customer or invoice."""
    return CURRENCIES.get(row.data.get("currency_id", DEFAULT_CURRENCY), Currency("", ""))


def block(prefix: str) -> _Derive:
    """Derives a whole address as printable text.

    Lines that are empty vanish; city, state and postcode share one, joined by blanks without a
    comma (recordings `one_customer`, `new_customer`).
    """
    addresses = tuple(f"{prefix}_addr{number}" for number in (1, 2, 3))
    places = tuple(f"{prefix}_{name}" for name in ("city", "state", "postcode"))
    country = f"{prefix}_country"

    def derive(_store: Store, row: Row) -> str:
        get = row.data.get
        place = " ".join(part for name in places if (part := get(name)))
        lines = [get(name) for name in addresses]
        return "\n".join(line for line in (*lines, place, get(country)) if line)

    return derive


SHARED: Mapping[str, _Derive] = {
    "terms_name": lambda _store, row: terms_of(row).name,
    "terms_days": lambda _store, row: terms_of(row).days,
    "currency_iso4217": lambda _store, row: currency_of(row).iso4217,
    "currency_symbol": lambda _store, row: currency_of(row).symbol,
    "bill_block": block("bill"),
    "ship_block": block("ship"),
}


def split_name(name: str) -> tuple[str, str]:
    """First and last name: the first word and the rest (UNVERIFIED beyond two words)."""
    first, _, last = name.strip().partition(" ")
    return first, last.strip()
