r"""The query language of lists: ``where``, ``order``, ``limit`` and ``offset``, as pure functions.

Source: the vendor's text, "Filter / Sort / Pagination" and "Escape Syntax For Reserved
Characters": ``field:OP:value`` clauses joined by commas, ``\:`` and ``\,`` inside values.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from .answers import Refused
from .values import DATE, FLAG, INTEGER, MOMENT, NUMBER, moment

DEFAULT_LIMIT = 10  # vendor's text, "Paging"
MAX_LIMIT = 500  # the same; UNVERIFIED: a larger limit is taken as 500

MALFORMED = "Malformed WHERE clause."  # test data of a third-party connector

_LEADING_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,24}(?:\.[0-9]{1,24})?|\.[0-9]{1,24}))")

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": operator.eq,
    "NOTEQUALS": operator.ne,
    "GT": operator.gt,
    "LT": operator.lt,
    "GTE": operator.ge,
    "LTE": operator.le,
}
_OPERATORS = frozenset((*_COMPARE, "CONTAINS"))
OPERATIONS = _OPERATORS | {"IS", "ISNOT"}  # the last two with NULL for a value

Test = Callable[[Any], bool]


class Clause(NamedTuple):
    """One condition; ``operation`` is an operator, ``"IS"`` or ``"ISNOT"`` (of NULL)."""

    field: str
    operation: str
    value: str


class Order(NamedTuple):
    """One field to sort by."""

    field: str
    descending: bool


def parse_query(raw: str) -> dict[str, str]:
    """The parameters of a query string, first ones winning; ``+`` is a blank."""
    query: dict[str, str] = {}
    if raw:
        for part in raw.split("&"):
            name, _, value = part.partition("=")
            if name:
                query.setdefault(unquote_plus(name), unquote_plus(value))
    return query


def parse_where(where: str) -> list[Clause]:
    r"""The clauses of a ``where``; an empty one has none.

    An unescaped colon in a value is refused, as the connector's test data shows. UNVERIFIED:
    ``\\`` stands for one backslash; a backslash before any other character stands for itself.
    """
    if not where.strip():
        return []
    clauses: list[Clause] = []
    for parts in _split(where):
        if len(parts) != 3 or not parts[0]:
            raise Refused(MALFORMED)
        field, operation, value = parts
        if operation in ("IS", "ISNOT"):
            if value != "NULL":
                raise Refused(MALFORMED)
        elif operation not in _OPERATORS:
            raise Refused(MALFORMED)
        clauses.append(Clause(field.strip(), operation, value))
    return clauses


def _split(where: str) -> list[list[str]]:
    if "\\" not in where:
        return [clause.split(":") for clause in where.split(",")]
    clauses: list[list[str]] = [[""]]
    characters = iter(where)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            clauses[-1][-1] += following if following in ("\\", ":", ",") else "\\" + following
        elif character == ",":
            clauses.append([""])
        elif character == ":":
            clauses[-1].append("")
        else:
            clauses[-1][-1] += character
    return clauses


def parse_order(order: str) -> list[Order]:
    """The fields to sort by; a missing direction is ascending (UNVERIFIED).

    A field with a direction that is none counts nothing (recording `package_latest_invoice` of the
    vendor's Ruby client: ``order=invoice_date:DESClimit=1?offset=0`` was answered with 200).
    """
    orders: list[Order] = []
    for part in order.split(","):
        if not part.strip():
            continue
        field, _, direction = part.strip().partition(":")
        if direction.upper() in ("", "ASC", "DESC"):
            orders.append(Order(field, direction.upper() == "DESC"))
    return orders


def parse_page(query: dict[str, str]) -> tuple[int, int]:
    """Offset and limit; nonsense falls back to the defaults, a limit of 0 is 1 (UNVERIFIED)."""
    limit = _whole(query.get("limit"), DEFAULT_LIMIT)
    return _whole(query.get("offset"), 0), min(max(limit, 1), MAX_LIMIT)


def _whole(value: str | None, default: int) -> int:
    if value is not None and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return default


def compile_test(clause: Clause, kind: str, zone: dt.tzinfo = dt.UTC) -> Test:
    """The test that ``clause`` puts to a field's value of that kind.

    Null matches nothing but ``IS:NULL`` (UNVERIFIED: as in SQL). Text is compared exactly, letter
    case included (UNVERIFIED).
    """
    if clause.operation == "IS":
        return lambda value: value is None
    if clause.operation == "ISNOT":
        return lambda value: value is not None
    if clause.operation == "CONTAINS":
        wanted = clause.value
        return lambda value: value is not None and wanted in as_text(value)
    compare = _COMPARE[clause.operation]
    if kind in (INTEGER, NUMBER, FLAG):
        bound = leading_number(clause.value)
        return lambda value: value is not None and compare(_as_number(value), bound)
    if kind in (DATE, MOMENT):
        instant = moment(clause.value, zone)
        return lambda value: value is not None and compare(as_instant(value), instant)
    text = clause.value
    return lambda value: value is not None and compare(as_text(value), text)


def leading_number(text: str) -> Decimal:
    """The number at the start of ``text``; 0 if there is none (UNVERIFIED: as MySQL reads it).

    Recording `customer_with_contacts`, call 1: ``44limit=100?offset=0`` was read as 44.
    """
    lowered = text.strip().lower()
    if lowered == "true":
        return Decimal(1)
    match = _LEADING_NUMBER.match(text)
    return Decimal(match.group(1)) if match else Decimal(0)


def _as_number(value: Any) -> Any:
    # A seeded record may hold a number as text ("0.000000" in the recordings).
    return leading_number(value) if isinstance(value, str) else value


def as_instant(value: Any) -> str:
    """A stored date or datetime, at full length, so that both compare as text."""
    text = str(value)
    return text if len(text) > 10 else text + " 00:00:00"


def as_text(value: Any) -> str:
    """A stored value as text; a boolean as 1 or 0."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else str(value)


def sort_key(value: Any) -> tuple[int, Any]:
    """A key that puts null first (UNVERIFIED: as MySQL does) and never compares unlike types."""
    if value is None:
        return (0, 0)
    if isinstance(value, (int, Decimal)):
        return (1, value)
    return (2, as_text(value))
