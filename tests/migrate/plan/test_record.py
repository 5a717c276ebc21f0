"""Rows to records."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from support.import_world import INVOICES, Folder

from chargeover_async.migrate.plan import failures_plan, rows_plan
from chargeover_async.migrate.plan.fields import referred_object
from chargeover_async.migrate.plan.record import Preparer
from chargeover_async.migrate.rows import Row

PLAN = """
[[load]]
object = "customer"
file = "a.csv"
{options}
[load.fields]
external_key = "{{Key}}"
company = ["{{Firm}}", "{{First}} {{Last}}"]
superuser_email = "{{Email}}"
parent_customer_external_key = "{{Parent}}"
no_taxes = "{{Free}}"
tags = ["{{T1}}", "{{T2}}"]
custom_1 = "fixed"
"""

EMPTY_ROW = {"Key": "k", "Firm": "", "First": "", "Last": " ", "Email": "", "Parent": "",
             "Free": "", "T1": "", "T2": ""}  # fmt: skip


def payload(folder: Folder, cells: dict[str, Any], options: str = "") -> dict[str, Any]:
    load = folder.plan(PLAN.format(options=options)).loads[0]
    record = Preparer(load)(Row(2, cells))
    assert record.problems == ()
    return record.payload


def test_empty_cells_are_left_out(folder: Folder) -> None:
    """By default an empty cell says nothing about its field."""
    assert payload(folder, EMPTY_ROW) == {"external_key": "k", "custom_1": "fixed"}


def test_empty_cells_as_null(folder: Folder) -> None:
    """empty = "null" clears fields; a reference to nothing is still left out."""
    assert payload(folder, EMPTY_ROW, 'empty = "null"') == {
        "external_key": "k",
        "company": None,
        "superuser_email": None,
        "no_taxes": None,
        "custom_1": "fixed",
    }


def test_empty_cells_as_text(folder: Folder) -> None:
    """empty = "text" sends "" for text, and leaves out what cannot be an empty text."""
    assert payload(folder, EMPTY_ROW, 'empty = "text"') == {
        "external_key": "k",
        "company": "",
        "superuser_email": "",
        "custom_1": "fixed",
    }


def test_first_choice_that_is_not_empty_counts(folder: Folder) -> None:
    """A person without a firm goes by their name; lists keep what is not empty."""
    cells = {**EMPTY_ROW, "Last": "Ødegård", "T2": "vip", "Free": "no"}
    found = payload(folder, cells)
    assert (found["company"], found["tags"], found["no_taxes"]) == ("Ødegård", ["vip"], False)
    assert payload(folder, {**cells, "Firm": "Firm Ltd."})["company"] == "Firm Ltd."


def test_key_with_an_empty_part_is_a_problem(folder: Folder) -> None:
    """A key made of two columns needs both: "-5" would be an accident."""
    load = folder.plan(
        '[[load]]\nobject = "customer"\nfile = "a.csv"\n'
        '[load.fields]\nexternal_key = "{Region}-{Id}"\n'
    ).loads[0]
    record = Preparer(load)(Row(9, {"Region": "", "Id": "5"}))
    assert [str(problem) for problem in record.problems] == [
        (
            'a.csv row 9, column "Region, Id", field external_key: '
            'the key "{Region}-{Id}" has an empty part'
        )
    ]


def test_children_become_a_list_and_references_are_found(folder: Folder) -> None:
    """Lines keep the order of their file; keys named in lines count as references too."""
    plan = INVOICES.replace("item_id = 1", 'item_external_key = "t-{Track}"')
    load = folder.plan(plan).loads[0]
    row = Row(2, {"Id": "7", "Customer": "1", "Date": "2026-01-01 00:00:00"})
    lines = [Row(5, {"Track": "b", "Rate": "0.99"}), Row(3, {"Track": "a", "Rate": "1"})]
    record = Preparer(load)(row, {"line_items": lines})
    assert record.payload == {
        "external_key": "i-7",
        "customer_external_key": "c-1",
        "date": "2026-01-01",
        "line_items": [
            {"item_external_key": "t-b", "line_rate": Decimal("0.99")},
            {"item_external_key": "t-a", "line_rate": Decimal(1)},
        ],
    }
    assert record.references == (
        ("customer", "c-1", "customer_external_key"),
        ("item", "t-b", "line_items[0].item_external_key"),
        ("item", "t-a", "line_items[1].item_external_key"),
    )


def test_invoice_without_lines_has_no_list(folder: Folder) -> None:
    """No child rows: the field is left out."""
    load = folder.plan(INVOICES).loads[0]
    row = Row(2, {"Id": "7", "Customer": "1", "Date": "2026-01-01"})
    assert "line_items" not in Preparer(load)(row, {"line_items": []}).payload


def test_data_of_a_failure_is_taken_as_it_is(folder: Folder) -> None:
    """Names are fields, values may be JSON or text, and null and "" stay what they are."""
    load = next(
        load for load in failures_plan(folder.path / "f.jsonl").loads if load.object == "invoice"
    )
    cells = {
        "external_key": "i-1",
        "customer_external_key": "c-1",
        "memo": "",
        "refnumber": None,
        "line_items": [{"item_id": "3", "line_rate": "2.50"}],
    }
    record = Preparer(load)(Row(1, cells))
    assert record.problems == ()
    assert record.payload == {**cells, "line_items": [{"item_id": 3, "line_rate": Decimal("2.50")}]}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"compny": "x"}, 'there is no field "compny"; did you mean "company"?'),
        ({"external_key": "", "company": "x"}, "the key is empty"),
        ({"no_taxes": "maybe"}, '"maybe" is not a yes or no (true, false, yes, no, 1, 0)'),
    ],
)
def test_mended_data_is_checked_like_any_other(
    folder: Folder, cells: dict[str, Any], message: str
) -> None:
    """A mistake made while mending is found before anything is sent."""
    load = next(
        load for load in failures_plan(folder.path / "f.jsonl").loads if load.object == "customer"
    )
    assert [problem.message for problem in Preparer(load)(Row(1, cells)).problems] == [message]


def test_a_line_of_a_subscription_is_not_taken_for_an_item() -> None:
    """``line_item_external_key`` names a line, ``item_external_key`` an item."""
    assert referred_object("line_item_external_key") is None
    assert referred_object("item_external_key") == "item"


@pytest.mark.parametrize("name", ["transaction", "package", "usage"])
def test_a_record_of_nothing_but_its_key_is_refused(name: str) -> None:
    """The API may take it, and nobody means it."""
    load = rows_plan({name: []}).loads[0]
    made = Preparer(load)(Row(2, {"external_key": "t-1"}))
    assert "the row holds nothing but its key" in str(made.problems[0])


@pytest.mark.parametrize("value", [None, ""])
def test_null_as_a_reference_is_none(value: object) -> None:
    """Rows of a program have it so; there is nothing to wait for, and nothing to miss."""
    load = rows_plan({"invoice": []}).loads[0]
    row = {"customer_id": 1, "line_items": [{"item_id": 1, "item_external_key": value}]}
    made = Preparer(load)(Row(2, row | {"customer_external_key": value}))
    if value is None:
        assert made.problems == ()
        assert made.references == ()
    else:  # a key is never empty
        assert made.problems
