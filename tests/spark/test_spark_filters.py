"""Filters of a query: what is pushed finds never less than Spark would."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from chargeover_async.export.columns import columns_of
from chargeover_async.export.wanted import resource_class
from chargeover_async.spark.filters import FILTERED, pushed


@dataclass(frozen=True)
class Binary:
    attribute: tuple[str, ...]
    value: Any


def named(name: str, field: str, value: Any) -> Any:
    """As pyspark's filters are: a class of that name."""
    return type(name, (Binary,), {})(tuple(field.split(".")), value)


NAIVE = dt.datetime(2026, 5, 1, 12)  # noqa: DTZ001 - the account's own time


@pytest.mark.parametrize(
    ("name", "field", "value", "clause"),
    [
        ("EqualTo", "customer_id", 5, "customer_id:EQUALS:5"),
        ("GreaterThan", "customer_id", 5, "customer_id:GT:5"),
        ("GreaterThanOrEqual", "customer_id", 5, "customer_id:GTE:5"),
        ("LessThan", "customer_id", 5, "customer_id:LT:5"),
        ("LessThanOrEqual", "customer_id", 5, "customer_id:LTE:5"),
        ("EqualTo", "company", "A:b,c", r"company:EQUALS:A\:b\,c"),
        ("GreaterThan", "mod_datetime", NAIVE, r"mod_datetime:GT:2026-05-01 12\:00\:00"),
    ],
)
def test_what_means_the_same_on_both_sides_is_pushed(
    name: str, field: str, value: Any, clause: str
):
    assert [found.text for found in pushed("customer", [named(name, field, value)])] == [clause]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("GreaterThan", "company", "A"),  # the order of texts is the server's own
        ("EqualTo", "company", "  "),  # what is nothing to a server is none of its business
        ("EqualTo", "company", None),
        ("EqualTo", "company", 5),
        ("EqualTo", "customer_id", True),
        ("EqualTo", "customer_id", "5"),
        ("EqualTo", "balance", Decimal(1)),  # no page says that it can be filtered by
        ("EqualTo", "custom_1", "x"),
        ("EqualTo", "account", "acme"),
        ("EqualTo", "tags.x", "a"),
        ("In", "customer_id", (1, 2)),
        ("IsNull", "mod_datetime", None),
        ("StringContains", "company", "A"),
        ("EqualNullSafe", "customer_id", 5),
        ("GreaterThan", "mod_datetime", NAIVE.replace(tzinfo=dt.UTC)),
        ("GreaterThan", "mod_datetime", NAIVE.date()),
    ],
)
def test_everything_else_is_left_to_spark(name: str, field: str, value: Any):
    assert pushed("customer", [named(name, field, value)]) == []


def test_a_negation_is_left_to_spark():
    negated = type("Not", (), {"child": named("EqualTo", "customer_id", 5)})()
    assert pushed("customer", [negated]) == []


def test_amounts_and_days_keep_their_digits():
    found = pushed(
        "transaction", [named("LessThan", "amount", Decimal("2.950000000000000001"))]
    ) + pushed("invoice", [named("EqualTo", "date", dt.date(2026, 1, 31))])
    assert [clause.text for clause in found] == [
        "amount:LT:2.950000000000000001",
        "date:EQUALS:2026-01-31",
    ]


def test_every_field_of_the_table_is_a_column():
    """So that a name that is renamed or mistyped shows."""
    for name, fields in FILTERED.items():
        columns = {column.name for column in columns_of(resource_class(name).model)}
        assert set(fields.split()) - columns == set(), name
