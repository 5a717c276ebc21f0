"""The example data set: it is what its script makes, and it arrives as the files have it."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.import_world import Account
from support.places import EXAMPLES

from chargeover_async.migrate import read_plan

SHOP = EXAMPLES / "shop"
FILES = ("customers.csv", "items.jsonl", "invoices.csv", "lines.csv")


def rows(name: str, delimiter: str = ",") -> list[dict[str, str]]:
    with (SHOP / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def items() -> list[dict[str, Any]]:
    lines = (SHOP / "items.jsonl").read_text("utf-8").split("\n")
    return [json.loads(line, parse_float=Decimal) for line in lines if line]


def test_script_makes_the_files_that_are_here(tmp_path: Path) -> None:
    """Seeded: whoever runs it gets the same bytes."""
    spec = importlib.util.spec_from_file_location("make_shop", SHOP / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (SHOP / name).read_bytes(), name


def test_data_is_awkward_on_purpose() -> None:
    """Commas, quotes, newlines, other scripts, missing fields, odd keys, zero and fractions."""
    customers, lines = rows("customers.csv", ";"), rows("lines.csv")
    text = "".join("".join(customer.values()) for customer in customers)
    for piece in (",", '"', "\n", ";", "é", "ф", "東", "☕", "{", "=SUM"):
        assert piece in text
    keys = "".join(customer["Account"] for customer in customers)
    assert all(odd in keys for odd in "/:,\\#?%&+ ")
    assert any(not customer["Email"] for customer in customers)
    assert any(customer["Postcode"].startswith("0") for customer in customers)
    assert {"0", "1.5"} <= {line["Quantity"] for line in lines}
    assert any(Decimal(line["Rate"]) == 0 for line in lines)
    assert 900 <= len(lines) <= 1100
    assert (len(customers), len(items()), len(rows("invoices.csv"))) == (300, 60, 400)


@pytest.fixture
async def shop(account: Account) -> Account:
    summary = await account.load(read_plan(SHOP / "plan.toml"))
    assert (summary.created, summary.failed, summary.unknown) == (760, 0, 0)
    assert summary.requests <= 1.1 * math.ceil(summary.operations / 25) + 2
    return account


async def test_every_customer_is_as_in_the_file(shop: Account) -> None:
    """Names, addresses, tags and flags, whatever the script or the punctuation."""
    found = shop.records("customer")
    assert len(found) == 300
    for row in rows("customers.csv", ";"):
        record = found[f"shop-{row['Account']}"]
        name = f"{row['First']} {row['Last']}".strip()
        assert record["company"] == (row["Firm"] or name)
        assert record["superuser_first_name"] == row["First"]
        assert (record["superuser_email"] or "") == row["Email"]
        for field, column in (
            ("bill_addr1", "Street"),
            ("bill_city", "City"),
            ("bill_state", "State"),
            ("bill_postcode", "Postcode"),
            ("bill_country", "Country"),
        ):
            assert (record[field] or "") == row[column]
        assert record["no_taxes"] == (row["TaxFree"] in {"yes", "1", "TRUE"})
        single: Any = shop.sandbox.store.find("customer", int(str(record["customer_id"])))
        assert sorted(single["tags"]) == sorted(tag for tag in (row["Tag1"], row["Tag2"]) if tag)
        assert record["custom_1"] == "{shop}"


async def test_every_item_is_as_in_the_file(shop: Account) -> None:
    """Names, descriptions and prices, given as numbers or as text."""
    found: Any = shop.records("item")
    for row in items():
        record = found[f"shop-item-{row['sku']}"]
        assert record["name"] == row["name"]
        assert record["enabled"] == row["sold"]
        (tierset,) = record["tiersets"]
        assert Decimal(str(tierset["base"])) == Decimal(str(row["price"]))
        if row.get("text"):
            assert record["description"] == row["text"]


async def test_every_invoice_has_its_lines_total_and_owner(shop: Account) -> None:
    """To the cent, with fractional quantities and lines that cost nothing."""
    customers, found = shop.records("customer"), shop.records("invoice")
    goods = {record["item_id"]: key for key, record in shop.records("item").items()}
    text = {f"shop-item-{item['sku']}": item.get("text") or "" for item in items()}
    lines: dict[str, list[tuple[str, Decimal, Decimal, str]]] = defaultdict(list)
    for row in rows("lines.csv"):
        key = f"shop-item-{row['Sku']}"
        # A line that says nothing has the words of its item.
        note = row["Note"] or text[key]
        lines[row["Invoice"]].append((key, Decimal(row["Rate"]), Decimal(row["Quantity"]), note))
    for row in rows("invoices.csv"):
        record = found[f"shop-invoice-{row['Number']}"]
        assert Decimal(str(record["total"])) == Decimal(row["Total"])
        assert record["customer_id"] == customers[f"shop-{row['Account']}"]["customer_id"]
        assert (record["date"], record["refnumber"]) == (row["Date"][:10], row["Number"])
        single: Any = shop.sandbox.store.find("invoice", int(str(record["invoice_id"])))
        assert [
            (
                goods[line["item_id"]],
                Decimal(str(line["line_rate"])),
                Decimal(str(line["line_quantity"])),
                line["descrip"] or "",
            )
            for line in single["line_items"]
        ] == lines[row["Number"]]


async def test_once_more_with_allow_existing_takes_full_batches(shop: Account) -> None:
    """Each refusal names its own key, so no row goes out twice, whatever the timing."""
    before = shop.co.stats.requests
    summary = await shop.load(read_plan(SHOP / "plan.toml"), allow_existing=True)
    assert (summary.existing, summary.created, summary.failed) == (760, 0, 0)
    assert shop.co.stats.requests - before <= 1.05 * 760 / 25 + 2
