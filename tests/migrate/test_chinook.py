"""The Chinook music shop, imported whole; needs the data folder beside the checkout."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from support.chinook import DATA, PLAN
from support.import_world import Account, Folder

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the Chinook data is not there")


def rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


async def test_chinook_arrives_whole_and_to_the_cent(folder: Folder, account: Account) -> None:
    """59 customers, 1,984 products, 412 invoices, 2,240 lines: each total, owner and name."""
    summary = await account.load(folder.plan(PLAN))
    assert (summary.created, summary.failed, summary.unknown) == (59 + 1984 + 412, 0, 0)
    assert summary.requests <= 1.1 * math.ceil(summary.operations / 25) + 2

    customers, invoices = account.records("customer"), account.records("invoice")
    items: dict[Any, Any] = account.records("item")
    for row in rows("customers"):
        found = customers[f"chinook-{row['CustomerId']}"]
        name = f"{row['FirstName']} {row['LastName']}"
        assert found["company"] == (row["Company"] or name)
        assert found["superuser_first_name"] == row["FirstName"]
        assert found["superuser_last_name"] == row["LastName"]
        assert found["bill_city"] == row["City"]
        assert (found["bill_postcode"] or "") == row["PostalCode"]
    for row in rows("tracks"):
        assert items[f"chinook-track-{row['TrackId']}"]["name"] == row["Name"]
    lines = 0
    for row in rows("invoices"):
        found = invoices[f"chinook-invoice-{row['InvoiceId']}"]
        assert Decimal(str(found["total"])) == Decimal(row["Total"])
        assert found["customer_id"] == customers[f"chinook-{row['CustomerId']}"]["customer_id"]
        assert found["date"] == row["InvoiceDate"][:10]
        single: Any = account.sandbox.store.find("invoice", int(str(found["invoice_id"])))
        lines += len(single["line_items"])
    assert (len(customers), len(items) - 1, len(invoices), lines) == (59, 1984, 412, 2240)
