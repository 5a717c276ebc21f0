"""Rows that a program has, instead of files."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from support.import_world import Account

from chargeover_async.errors import JournalError, UsageError
from chargeover_async.migrate import BadInput, ImportJob, rows_plan


def customers(count: int = 60) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"external_key": f"c-{number}", "company": f"N{number}"}


INVOICES = [
    {
        "external_key": "i-1",
        "customer_external_key": "c-7",
        "line_items": [{"item_id": 1, "line_rate": Decimal("2.95"), "line_quantity": 2}],
    }
]


async def test_rows_of_a_program_are_imported(account: Account) -> None:
    """Full batches, amounts exact, references by key; a second run with the journal sends none."""
    plan = rows_plan({"customer": customers, "invoice": INVOICES})
    summary = await account.load(plan, journal=account.journal)
    assert (summary.created, summary.requests) == (61, 5)
    assert account.records("invoice")["i-1"]["total"] == Decimal("5.90")
    again = await account.load(plan, journal=account.journal)
    assert (again.created, again.before, again.requests) == (61, 61, 1)


async def test_rows_that_have_changed_are_refused_by_the_journal(account: Account) -> None:
    """As with files."""
    await account.load(rows_plan({"customer": list(customers(2))}), journal=account.journal)
    changed = rows_plan({"customer": list(customers(3))})
    with pytest.raises(JournalError, match="customer rows has changed"):
        await account.load(changed, journal=account.journal)


def test_mistakes_are_found_before_anything_is_sent() -> None:
    """The row is named by its number."""
    rows: list[Any] = [{"company": "A"}, {"compny": "B"}, "C"]
    with pytest.raises(BadInput) as caught:
        ImportJob(rows_plan({"customer": rows})).check()
    assert [problem.row for problem in caught.value.problems] == [2, 3]
    assert 'did you mean "company"' in str(caught.value)


def test_generator_and_unknown_object_are_refused() -> None:
    """With what to do."""
    with pytest.raises(UsageError, match="give a list, or the function that makes them"):
        rows_plan({"customer": customers()})
    with pytest.raises(UsageError, match="'client' cannot be imported; there is"):
        rows_plan({"client": []})
