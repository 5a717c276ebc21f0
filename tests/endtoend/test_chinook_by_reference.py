"""The Chinook music shop, moved without a single external key: references only."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from support.places import SHARED

from chargeover_async import BulkSettings, ChargeOver, Operation, ServerAssumptions
from chargeover_async.limits import NoLimit
from chargeover_async.sandbox import Sandbox

CHINOOK = SHARED / "data" / "chinook"


def rows(name: str) -> list[dict[str, str]]:
    with (CHINOOK / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(not CHINOOK.is_dir(), reason="the Chinook data is absent")
@pytest.mark.parametrize("keys", ["customer_jsonpath only", "none", "all"])
async def test_every_invoice_arrives_with_its_total_at_its_customer(keys: str) -> None:
    """59 customers with 412 invoices over 1,984 products, one stream, no external key at all."""
    assumptions = {
        "customer_jsonpath only": ServerAssumptions(),
        "none": ServerAssumptions(jsonpath_keys=frozenset()),
        "all": ServerAssumptions(jsonpath_keys=None),
    }[keys]
    lines = defaultdict(list)
    for line in rows("invoice_lines.csv"):
        lines[line["InvoiceId"]].append(line)
    invoices_of = defaultdict(list)
    for invoice in rows("invoices.csv"):
        invoices_of[invoice["CustomerId"]].append(invoice)
    async with (
        Sandbox(quota=None) as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        items: dict[str, int] = {}

        def tracks() -> Iterator[Operation[Any]]:
            for row in rows("tracks.csv"):
                operation = co.items.create(
                    name=row["Name"], pricemodel={"base": Decimal(row["UnitPrice"])}
                )
                operation.tag = row["TrackId"]
                yield operation

        async for outcome in co.stream(tracks()):
            items[outcome.operation.tag] = outcome.unwrap().id
        assert len(items) == 1984

        sent_before = co.stats.requests
        created: dict[tuple[str, str], int] = {}

        def families() -> Iterator[Operation[Any]]:
            for row in rows("customers.csv"):
                name = row["Company"] or f"{row['FirstName']} {row['LastName']}"
                customer = co.customers.create(company=name, superuser_email=row["Email"])
                customer.tag = ("customer", row["CustomerId"])
                yield customer
                for invoice in invoices_of[row["CustomerId"]]:
                    bill = co.invoices.create(
                        customer_id=customer.ref(),
                        date=invoice["InvoiceDate"][:10],
                        line_items=[
                            {
                                "item_id": items[line["TrackId"]],
                                "line_rate": Decimal(line["UnitPrice"]),
                                "line_quantity": int(line["Quantity"]),
                            }
                            for line in lines[invoice["InvoiceId"]]
                        ],
                    )
                    bill.tag = ("invoice", invoice["InvoiceId"])
                    yield bill

        settings = BulkSettings(assumptions=assumptions)
        async for outcome in co.stream(families(), settings=settings):
            created[outcome.operation.tag] = outcome.unwrap().id
        assert len(created) == 59 + 412
        if keys != "none":
            assert co.stats.requests - sent_before <= 1.1 * math.ceil(len(created) / 25)

        held = {record["invoice_id"]: record for record in sandbox.store.records("invoice")}
        assert len(held) == 412
        for invoice in rows("invoices.csv"):
            record = held[created["invoice", invoice["InvoiceId"]]]
            assert record["total"] == Decimal(invoice["Total"])
            assert record["customer_id"] == created["customer", invoice["CustomerId"]]
        for row in rows("customers.csv"):
            found = await co.customers.get(created["customer", row["CustomerId"]])
            assert found.company == (row["Company"] or f"{row['FirstName']} {row['LastName']}")
        assert sum(len(invoice["line_items"]) for invoice in held.values()) == 2240
