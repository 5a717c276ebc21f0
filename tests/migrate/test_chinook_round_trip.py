"""Chinook out of one account and into another, through files of each format."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.chinook import DATA, PLAN
from support.import_world import Account, Folder

from chargeover_async import ChargeOver
from chargeover_async.export import ExportJob
from chargeover_async.limits import NoLimit
from chargeover_async.migrate import ImportJob, read_plan
from chargeover_async.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the Chinook data is not there")

BACK = """
[[load]]
object = "customer"
file = "customer.FORMAT"
[load.fields]
external_key = "{external_key}"
company = "{company}"
superuser_first_name = "{superuser_first_name}"
superuser_last_name = "{superuser_last_name}"
superuser_email = "{superuser_email}"
superuser_phone = "{superuser_phone}"
bill_addr1 = "{bill_addr1}"
bill_city = "{bill_city}"
bill_state = "{bill_state}"
bill_postcode = "{bill_postcode}"
bill_country = "{bill_country}"

[[load]]
object = "item"
file = "items.FORMAT"
[load.fields]
external_key = "{external_key}"
name = "{name}"
pricemodel = { base = "{base}" }

[[load]]
object = "invoice"
file = "invoices.FORMAT"
[load.fields]
external_key = "{external_key}"
customer_external_key = "{customer}"
date = "{date}"
bill_addr1 = "{bill_addr1}"
bill_city = "{bill_city}"
bill_postcode = "{bill_postcode}"
bill_country = "{bill_country}"
[load.children.line_items]
file = "lines.FORMAT"
match = { invoice = "external_key" }
[load.children.line_items.fields]
item_external_key = "{item}"
line_rate = "{line_rate}"
line_quantity = "{line_quantity}"
"""


def read(path: Path) -> list[dict[str, Any]]:
    """The records of an exported file, as a program of the reader's own would take them."""
    if path.suffix == ".parquet":
        from pyarrow import parquet

        found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return found
    if path.suffix == ".jsonl":
        return [json.loads(line, parse_float=Decimal) for line in path.read_bytes().splitlines()]
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    for row in rows:
        for name in ("tiersets", "line_items"):
            row[name] = json.loads(row.get(name) or "[]", parse_float=Decimal)
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Flat rows in the same format."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def reshape(folder: Path, form: str) -> None:
    """What the export nests and names by id, as rows of their own that are named by key."""
    customers = {
        int(customer["customer_id"]): customer for customer in read(folder / f"customer.{form}")
    }
    items = {int(item["item_id"]): item for item in read(folder / f"item.{form}")}
    invoices = read(folder / f"invoice.{form}")
    kept = ("external_key", "bill_addr1", "bill_city", "bill_postcode", "bill_country")
    write(
        folder / f"items.{form}",
        [
            {
                "external_key": item["external_key"],
                "name": item["name"],
                "base": item["tiersets"][0]["base"],
            }
            for item in items.values()
        ],
    )
    write(
        folder / f"invoices.{form}",
        [
            {
                **{name: invoice[name] for name in kept},
                "customer": customers[int(invoice["customer_id"])]["external_key"],
                "date": str(invoice["date"]),
            }
            for invoice in invoices
        ],
    )
    write(
        folder / f"lines.{form}",
        [
            {
                "invoice": invoice["external_key"],
                "item": items[line["item_id"]]["external_key"],
                "line_rate": line["line_rate"],
                "line_quantity": line["line_quantity"],
            }
            for invoice in invoices
            for line in invoice["line_items"]
        ],
    )


def contents(sandbox: Sandbox) -> dict[str, Any]:
    """What the records say, without what an account makes up: ids, tokens, links, times."""
    store = sandbox.store
    names = {item["item_id"]: item["external_key"] for item in store.records("item")}
    owners = {
        customer["customer_id"]: customer["external_key"] for customer in store.records("customer")
    }
    found: dict[str, Any] = {}
    for name in ("customer", "item", "invoice"):
        for record in store.records(name):
            plain = {
                key: value
                for key, value in record.items()
                if not key.endswith(("_id", "token", "_datetime", "ipaddr", "username"))
                and not key.startswith("url_")
                and key not in {"tiersets", "line_items", "refnumber", "invoice_index"}
            }
            plain["price"] = [tier["base"] for tier in record.get("tiersets", ())]
            plain["lines"] = [
                (names[line["item_id"]], line["line_rate"], line["line_quantity"])
                for line in record.get("line_items", ())
            ]
            plain["owner"] = owners.get(record.get("customer_id", 0)) if name == "invoice" else None
            found[f"{name} {record['external_key']}"] = plain
    return found


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
async def test_another_account_gets_the_same_records(
    form: str, folder: Folder, account: Account
) -> None:
    """59 customers, 1,984 products, 412 invoices with 2,240 lines, each value the same."""
    if form == "parquet":
        pytest.importorskip("pyarrow")
    assert (await account.load(folder.plan(PLAN))).failed == 0
    for name in ("customer", "item", "invoice"):
        summary = await ExportJob(
            name,
            folder.path / f"{name}.{form}",
            nested=True,
            where=[] if name != "item" else ["external_key != null"],
        ).run(account.co)
        assert summary.records == summary.counted or name == "item"
    reshape(folder.path, form)
    async with (
        Sandbox(quota=None, seed=1) as other,
        ChargeOver(other.url, other.username, other.password, limiter=NoLimit()) as co,
    ):
        plan = read_plan(folder.write("back.toml", BACK.replace("FORMAT", form)))
        result = await ImportJob(plan).run(co)
        assert (result.created, result.failed, result.unknown) == (59 + 1984 + 412, 0, 0)
        before, after = contents(account.sandbox), contents(other)
        before.pop("item None")  # it was there before
        assert len(after) == 59 + 1984 + 412
        assert after == before
