"""What a person writes about fields and filters, and what the API is asked then."""

from __future__ import annotations

import pytest

from chargeover_async import Customer, Invoice
from chargeover_async.errors import UsageError
from chargeover_async.export.columns import choose, columns_of, parse_where
from chargeover_async.models._json.base import Record
from chargeover_async.resources import RESOURCES


def where(text: str) -> str:
    (clause,) = parse_where([text], Invoice, "invoices")
    return clause.text


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("total > 100", "total:GT:100"),
        ("total>=100.50", "total:GTE:100.50"),
        (" total <1 ", "total:LT:1"),
        ("total:LTE:1", "total:LTE:1"),
        ("date >= 2026-01-01", "date:GTE:2026-01-01"),
        ("write_datetime > 2026-01-01 10:11:12", r"write_datetime:GT:2026-01-01 10\:11\:12"),
        ("memo = a:b, c\\d", r"memo:EQUALS:a\:b\, c\d"),
        ("memo:EQUALS:a:b", r"memo:EQUALS:a\:b"),
        ("memo ~ > 5 = 6", "memo:CONTAINS:> 5 = 6"),
        ("memo != x", "memo:NOTEQUALS:x"),
        ("paid_date = null", "paid_date:IS:NULL"),
        ("paid_date != NULL", "paid_date:ISNOT:NULL"),
        ("paid_date:ISNOT:NULL", "paid_date:ISNOT:NULL"),
        ("memo:EQUALS:null", "memo:EQUALS:null"),
        ("is_paid = yes", "is_paid:EQUALS:1"),
        ("customers.customer_id = 44", "customers.customer_id:EQUALS:44"),
        ("custom_1 = 5", "custom_1:EQUALS:5"),
        ("memo =", "memo:EQUALS:"),
    ],
)
def test_a_filter_as_it_is_written_and_as_it_is_asked(text: str, clause: str) -> None:
    """Signs or the API's own words; values are escaped by the library, not by the writer."""
    assert where(text) == clause


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("total", "is not a filter: write FIELD > VALUE"),
        ("totl > 1", 'invoices have no field "totl"; did you mean "total"'),
        ("total > a lot", '"a lot" is not an amount'),
        ("invoice_id = 1.5", "not a whole number"),
        ("date > 01/02/2026", "not a date"),
        ("total:BETWEEN:1", "BETWEEN is not an operator"),
        ("total:IS:5", "IS is not an operator with a value"),
        ("line_items = 5", "cannot be compared"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(text: str, words: str) -> None:
    """With what is known instead."""
    with pytest.raises(UsageError, match=words):
        where(text)


def test_columns_begin_with_the_primary_key() -> None:
    """Each field of the struct is one, and each has a kind."""
    names = [column.name for column in columns_of(Invoice)]
    assert names[0] == "invoice_id"
    assert {"total", "line_items", "bill_addr1", "custom_1"} <= set(names)
    assert len(names) == len(set(names))
    assert {column.kind for column in columns_of(Customer)} == {
        "id",
        "text",
        "flag",
        "money",
        "moment",
        "mixed",
        "nested",
    }


@pytest.mark.parametrize(
    "name", [name for name, resource in RESOURCES.items() if columns_of(resource.model)]
)
def test_columns_of_every_object_begin_with_its_primary_key(name: str) -> None:
    """Also where the key is no field of the struct itself, as with customers."""
    resource = RESOURCES[name]
    assert columns_of(resource.model)[0].name == resource.primary


def test_fields_are_chosen_by_name() -> None:
    """In the order given; None for all of them."""
    assert [column.name for column in choose(Invoice, ["total", "date"], "invoices")] == [
        "total",
        "date",
    ]
    assert choose(Invoice, None, "invoices") == columns_of(Invoice)


def test_a_renamed_field_keeps_its_name_on_the_wire() -> None:
    """As in a struct of the reader's own."""
    import msgspec

    class Mine(Customer):
        tier: str | None = msgspec.field(name="custom_1", default=None)

    assert issubclass(Mine, Record)
    (column,) = choose(Mine, ["custom_1"], "customers")
    assert (column.name, column.attribute, column.kind) == ("custom_1", "tier", "text")
