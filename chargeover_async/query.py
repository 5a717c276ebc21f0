"""Filters, order and paging of lists, and their escaping.

Source: vendor's text, "Filter / Sort / Pagination" and "Escape Syntax For Reserved Characters".
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, cast

from .errors import UsageError
from .models._json.checks import MAX_ID, is_key, moment_text, shown
from .models._json.plain import plain

MAX_PAGE = 500  # "You will not be able to retrieve more than 500 records at one time."
MAX_REVISIONS = 10
_MOST_DIGITS = 65  # of a number before or behind its point: MySQL's DECIMAL has no more

Value = str | int | Decimal | float | bool | dt.date | dt.datetime
QueryPairs = tuple[tuple[str, str], ...]


class Clause:
    """One condition of a filter, as in ``F.total > 100``."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"<Clause {self.text}>"

    def __bool__(self) -> bool:
        # `a and b`, `1 < F.total < 9` and `not clause` would silently drop a condition.
        raise UsageError("a filter has no truth value: pass several clauses as a list, where=[...]")


class Field:
    """A field to filter by; compare it, or ask for a related one (``F.customers.customer_id``).

    ``==`` and ``!=`` with None become the API's ``IS:NULL`` and ``ISNOT:NULL``. Names are not
    checked: accounts differ in what they can filter by, and the API answers 400 for the rest.
    """

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment]  # == builds a clause, so it cannot mean equality

    def __init__(self, name: str) -> None:
        if (
            not isinstance(name, str)
            or not all(name.split("."))
            or not name.isprintable()
            or any(char in name for char in ":,?&=#\\ ")
        ):
            raise UsageError(f"{shown(name)} cannot be a field name")
        self._name: str = plain(name)

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        return Field(f"{self._name}.{name}")

    def __repr__(self) -> str:
        return f"F.{self._name}"

    def _clause(self, operator: str, value: Value) -> Clause:
        return Clause(f"{self._name}:{operator}:{escape(filter_text(value, self._name))}")

    def __eq__(self, value: object) -> Clause:  # type: ignore[override]  # builds a clause
        if value is None:
            return Clause(f"{self._name}:IS:NULL")
        if isinstance(value, str) and not plain(value).strip() and is_key(self._name):
            # Nobody has it; what a server makes of it could be every record that has no key.
            raise UsageError(f"{self._name} is compared with an empty key; None asks for no key")
        return self._clause("EQUALS", value)  # type: ignore[arg-type]  # filter_text checks it

    def __ne__(self, value: object) -> Clause:  # type: ignore[override]  # builds a clause
        if value is None:
            return Clause(f"{self._name}:ISNOT:NULL")
        return self._clause("NOTEQUALS", value)  # type: ignore[arg-type]  # filter_text checks it

    def __gt__(self, value: Value) -> Clause:
        return self._clause("GT", value)

    def __ge__(self, value: Value) -> Clause:
        return self._clause("GTE", value)

    def __lt__(self, value: Value) -> Clause:
        return self._clause("LT", value)

    def __le__(self, value: Value) -> Clause:
        return self._clause("LTE", value)

    def contains(self, text: str) -> Clause:
        """Records whose field holds ``text`` somewhere."""
        return self._clause("CONTAINS", text)


class _Fields:
    """``F.name`` or ``F["name"]`` is the field of that name."""

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        return Field(name)

    def __getitem__(self, name: str) -> Field:
        return Field(name)


F = _Fields()


def filter_text(value: Any, name: str) -> str:
    """``value`` as the API reads it in a filter, not yet escaped."""
    meant: Any = plain(value)
    kind = type(cast("object", meant))
    if kind is bool:
        return "1" if meant else "0"  # UNVERIFIED: no source filters by a flag
    if isinstance(meant, str):
        try:
            meant.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{name}: {meant!r} cannot be written as UTF-8") from None
        return meant
    if kind is int:
        if abs(meant) > MAX_ID:
            raise UsageError(f"{name}: a whole number of more than 64 bits cannot be compared")
        return str(meant)
    if kind is dt.date or kind is dt.datetime:
        return moment_text(meant)
    if kind is float and math.isfinite(meant):
        meant = Decimal(repr(meant))
    if type(meant) is Decimal and meant.is_finite():
        if abs(meant.adjusted()) > _MOST_DIGITS:
            raise UsageError(f"{name}: a number of so many digits cannot be compared")
        return f"{meant:f}"
    raise UsageError(f"{name} cannot be compared with {type(value).__name__} {shown(value)}")


def escape(text: str) -> str:
    r"""``text`` with ``:`` and ``,`` escaped by a backslash, as the vendor's text asks.

    A backslash itself is doubled only where it would be read as an escape: before ``:``, ``,`` or
    another backslash, and at the end. UNVERIFIED: no source shows a backslash in a value; where it
    stands alone, the single form is right whether or not the server knows the doubled one.
    """
    if not any(char in text for char in ":,\\"):
        return text
    out: list[str] = []
    for index, char in enumerate(text):
        if char in ":,":
            out.append("\\" + char)
        elif char == "\\":
            follower = text[index + 1 : index + 2]
            before = text[index - 1 : index] if index else ""
            special = follower == "" or follower in ":,\\" or before == "\\"
            out.append("\\\\" if special else "\\")
        else:
            out.append(char)
    return "".join(out)


Where = Clause | Iterable[Clause] | None
Order = str | Iterable[str] | None


_CLAUSES = "where= takes a clause such as F.total > 100, or several in a list"
_NAMES = 'order= takes a field such as "total" or "-total", or several in a list'


def _listed(value: Any, wanted: str) -> list[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise UsageError(f"{wanted}, not {shown(value)}")
    return list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def where_texts(where: Where) -> list[str]:
    """The text of each clause, as reports and aggregates take them in their body.

    UNVERIFIED: that values are escaped there as in the ``where`` parameter; no source shows a value
    that needs it.
    """
    if where is None:
        return []
    clauses = [where] if isinstance(where, Clause) else _listed(where, _CLAUSES)
    for clause in clauses:
        if not isinstance(clause, Clause):
            raise UsageError(f"{_CLAUSES}, not {shown(clause)}")
    return [clause.text for clause in clauses]


def where_pair(where: Where) -> QueryPairs:
    """The ``where`` parameter for one clause or several, meant together; () for none."""
    texts = where_texts(where)
    return (("where", ",".join(texts)),) if texts else ()


def order_pair(order: Order) -> QueryPairs:
    """The ``order`` parameter: ``"total"`` rises, ``"-total"`` falls; several are joined.

    UNVERIFIED: the vendor's text shows one field; two of the vendor's clients join several.
    """
    if order is None:
        return ()
    parts: list[str] = []
    for field in [order] if isinstance(order, str) else _listed(order, _NAMES):
        if not isinstance(field, str):
            raise UsageError(f"{_NAMES}, not {shown(field)}")
        name, _, direction = plain(field).partition(":")
        if name.startswith("-") and not direction:
            name, direction = name[1:], "DESC"
        direction = (direction or "ASC").upper()
        if direction not in {"ASC", "DESC"} or name.startswith("-"):
            raise UsageError(f"{_NAMES}, not {shown(field)}")
        Field(name)
        parts.append(f"{name}:{direction}")
    return (("order", ",".join(parts)),) if parts else ()


def page_pairs(limit: int | None, offset: int | None, *, most: int = MAX_PAGE) -> QueryPairs:
    """The ``limit`` and ``offset`` parameters, each left out when None."""
    pairs: list[tuple[str, str]] = []
    if limit is not None:
        pairs.append(("limit", str(check_count("limit", limit, 1, most))))
    if offset is not None:
        pairs.append(("offset", str(check_count("offset", offset, 0, MAX_ID))))
    return tuple(pairs)


def check_count(name: str, value: object, low: int, high: int) -> int:
    """``value`` as a whole number from ``low`` to ``high``; raises UsageError that has ``name``."""
    number: Any = plain(value)
    if type(number) is not int:
        raise UsageError(f"{name} must be a whole number, not {shown(value)}")
    if not low <= number <= high:
        raise UsageError(f"{name} must be {low} to {high}, not {shown(value)}")
    return number


__all__ = ("Clause", "F", "Field", "Order", "Where", "escape")
