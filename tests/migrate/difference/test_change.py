"""What is to be done so that a record is what a row says: pure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chargeover_async.migrate import find_change
from chargeover_async.migrate.difference.reading import cost_of


def test_a_row_without_a_record_is_to_be_created() -> None:
    """Nothing is there to be compared."""
    assert find_change("customer", {"company": "A"}, None).what == "create"


def test_a_change_names_what_differs_and_nothing_else() -> None:
    """So what others changed in other fields stays."""
    row = {"external_key": "1", "company": "A", "custom_1": "x"}
    record = {"customer_id": 7, "external_key": "1", "company": "B", "custom_1": "x", "phone": "5"}
    change = find_change("customer", row, record)
    assert (change.what, change.id, change.fields) == ("change", 7, ("company",))
    assert change.differs == {"company": ("A", "B")}
    assert find_change("customers", row, {**record, "company": "A"}).what == "leave"


def test_what_the_api_does_not_change_is_told_and_left() -> None:
    """A brand is for new customers only; an item has no update at all."""
    change = find_change("customer", {"brand_id": 2}, {"customer_id": 7, "brand_id": 1})
    assert (change.what, change.fields, change.fixed) == ("leave", (), ("brand_id",))
    change = find_change("item", {"name": "A"}, {"item_id": 7, "name": "B"})
    assert (change.what, change.fixed) == ("leave", ("name",))


def test_what_is_not_shown_is_sent() -> None:
    """It is never taken for equal."""
    change = find_change("customer", {"tags": ["a"]}, {"customer_id": 7})
    assert (change.what, change.fields, change.unseen) == ("change", ("tags",), ("tags",))


def test_a_record_is_known_by_the_id_that_a_key_names() -> None:
    """Lists show ids, files have keys."""
    row = {"customer_external_key": "C1", "line_items": [{"line_rate": Decimal("2.50")}]}
    record = {"invoice_id": 1, "customer_id": 5, "line_items": [{"line_rate": 2.5}]}
    same = find_change("invoice", row, record, resolve=lambda _field, _key: 5)
    assert (same.what, same.unseen) == ("leave", ())
    other = find_change("invoice", row, record, resolve=lambda _field, _key: 6)
    assert other.fixed == ("customer_external_key",)


def test_an_object_that_cannot_be_created_is_refused() -> None:
    """There are no rows of it."""
    with pytest.raises(KeyError):
        find_change("teapot", {}, {})


@pytest.mark.parametrize(
    ("rows", "records", "leaves_out", "way"),
    [
        (1_000_000, 0, False, "at_once"),  # a first import
        (50_000, 50_000, False, "pages"),
        (200, 200_000, False, "keys"),
        (50_000, 50_000, True, "keys"),  # each is read by itself in any case
        (50_000, 100, True, "pages"),
        (26, 3, False, "keys"),
    ],
)
def test_the_way_with_the_fewest_requests_is_taken(
    rows: int, records: int, leaves_out: bool, way: str
) -> None:
    """Two counts decide."""
    cost = cost_of(rows, records, compares=True, changes=True, leaves_out=leaves_out)
    assert cost.way == way


def test_whether_keys_are_there_is_asked_by_pages_or_not_at_all() -> None:
    """Where nothing is compared, a refused create says as much as an answer to a question."""
    assert cost_of(200, 200_000, compares=False, changes=False, leaves_out=False).way == "at_once"
    assert cost_of(9_000, 9_000, compares=False, changes=False, leaves_out=True).way == "pages"
