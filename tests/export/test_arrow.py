"""Parquet files and Arrow batches: types that do not depend on the data, exact values."""

# ruff: noqa: ASYNC230, ASYNC240 - small files, and nobody waits
from __future__ import annotations

import datetime as dt
import gzip
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.export_world import account, customer, ids_in, lines

from chargeover_async import F, _extras
from chargeover_async.errors import DecodeError, ServerError, UsageError
from chargeover_async.export import ExportJob, ExportProgress, arrow_batches, records
from chargeover_async.sandbox import Variant

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

OUT = Path("out.parquet")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(path: Path = OUT) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


async def test_a_file_holds_what_the_api_sent() -> None:
    """Each column typed; amounts exact; text as it is; absent values null."""
    async with account(ids=range(1, 1300)) as (sandbox, co):
        sandbox.store.seed(
            "customer",
            customer(5) | {"balance": "1234567890.123456789012345678", "custom_2": 7},
        )
        summary = await ExportJob("customer", OUT).run(co)
        found = rows()
        assert [record["customer_id"] for record in found] == ids_in(sandbox)
        assert summary.records == 1299
        assert found[4]["balance"] == Decimal("1234567890.123456789012345678")
        assert (found[4]["custom_1"], found[4]["custom_2"]) == ("5", "7")
        assert found[1]["company"] == "two\nlines 2"
        assert isinstance(found[0]["write_datetime"], dt.datetime)
        assert found[0]["default_ach_id"] is None
        schema = pq.read_schema(OUT)
        assert schema.field("customer_id").type == pa.int64()
        assert schema.field("balance").type == pa.decimal128(38, 18)
        assert schema.field("write_datetime").type == pa.timestamp("us")
        assert schema.field("no_taxes").type == pa.bool_()
        assert schema.field("tags").type == pa.list_(pa.string())
        assert {path.name for path in Path().iterdir()} == {"out.parquet"}


async def test_the_schema_does_not_depend_on_the_data() -> None:
    """Not one record, or none with a value, makes the same columns."""
    async with account(ids=[1]) as (_, co):
        await ExportJob("customer", OUT).run(co)
        some = pq.read_schema(OUT)
        await ExportJob("customer", OUT, where=["customer_id > 5"]).run(co)
        assert pq.read_schema(OUT) == some
        assert rows() == []


async def test_nested_parts_are_lists_of_structs() -> None:
    """With exact amounts inside."""
    async with account() as (_, co):
        buyer = await co.customers.create(company="Acme")
        item = await co.items.create(name="Tea")
        for rate in ("1.000001", "2.5"):
            line = {"item_id": item.id, "line_rate": rate, "line_quantity": 2}
            await co.invoices.create(
                customer_id=buyer.id, date=dt.date(2026, 1, 2), line_items=[line]
            )
        await ExportJob("invoice", OUT, nested=True).run(co)
        found = rows()
        assert [record["line_items"][0]["line_rate"] for record in found] == [
            Decimal("1.000001"),
            Decimal("2.5"),
        ]
        assert found[0]["date"] == dt.date(2026, 1, 2)
        assert found[0]["line_items"][0]["item_id"] == item.id
        await ExportJob("invoice", OUT).run(co)
        assert [row["line_items"] for row in rows()] == [None, None]


async def test_datetimes_with_an_offset_become_utc() -> None:
    """The instant is kept; the column says that it is one."""
    async with account(ids=[1], variant=Variant(iso_datetimes=True)) as (_, co):
        await ExportJob("customer", OUT).run(co)
        single = await co.customers.get(1)
        assert pq.read_schema(OUT).field("mod_datetime").type == pa.timestamp("us", "UTC")
        assert single.mod_datetime is not None
        assert rows()[0]["mod_datetime"] == single.mod_datetime.astimezone(dt.UTC)


@pytest.mark.parametrize("value", ["0.0000000000000000001", "123456789012345678901"])
async def test_an_amount_that_does_not_fit_is_an_error(value: str) -> None:
    """Named with its record and field; never rounded."""
    async with account(ids=range(1, 5)) as (sandbox, co):
        sandbox.store.seed("customer", customer(3) | {"balance": value})
        with pytest.raises(DecodeError, match=r"Customer 3: balance .* does not fit decimal128"):
            await ExportJob("customer", OUT).run(co)
        assert not OUT.exists()


async def test_a_stopped_file_goes_on() -> None:
    """The part is an Arrow stream; the file is made of all of it."""
    async with account(ids=range(1, 6001), variant=Variant(accept_query=False)) as (sandbox, co):

        def observe(progress: ExportProgress) -> None:
            if progress.records >= 1000:
                sandbox.faults.set_rates({"500": 1.0})

        with pytest.raises(ServerError):
            await ExportJob("customer", OUT).run(co, observe=observe)
        sandbox.faults.clear()
        assert not OUT.exists()
        with Path("out.parquet.part").open("ab") as file:
            file.write(b"\0" * 77)  # torn by a kill
        summary = await ExportJob("customer", OUT).run(co)
        assert summary.resumed_at >= 1000
        assert [row["customer_id"] for row in rows()] == ids_in(sandbox)
        assert {path.name for path in Path().iterdir()} == {"out.parquet"}


async def test_batches_come_as_pages_do() -> None:
    """One schema, the fields that were asked for, a filter."""
    async with account(ids=range(1, 1201)) as (_, co):
        fields = ["balance", "customer_id"]
        batches = [
            batch
            async for batch in arrow_batches(co.customers, where=F.customer_id > 100, fields=fields)
        ]
        assert [batch.num_rows for batch in batches] == [500, 500, 100]
        table = pa.Table.from_batches(batches)
        assert table.column_names == fields
        expected = [
            record.balance async for record in records(co.customers, where=F.customer_id > 100)
        ]
        assert table.column("balance").to_pylist() == expected


async def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent or opened."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    async with account() as (sandbox, co):
        with pytest.raises(UsageError, match=r"chargeover-async\[parquet\]"):
            ExportJob("customer", OUT)
        with pytest.raises(UsageError, match=r"chargeover-async\[parquet\]"):
            arrow_batches(co.customers)
        assert not sandbox.log


@pytest.mark.parametrize("ending", ["gz", "zst"])
async def test_lines_are_compressed_as_the_ending_says(ending: str) -> None:
    """And can be gone on with, page by page."""
    out = Path(f"out.jsonl.{ending}")
    async with account(ids=range(1, 2001), variant=Variant(accept_query=False)) as (sandbox, co):

        def observe(progress: ExportProgress) -> None:
            if progress.records >= 500:
                sandbox.faults.set_rates({"500": 1.0})

        with pytest.raises(ServerError):
            await ExportJob("customer", out).run(co, observe=observe)
        sandbox.faults.clear()
        assert (await ExportJob("customer", out).run(co)).resumed_at
        await ExportJob("customer", Path("plain.jsonl")).run(co)
        data = out.read_bytes()
        plain = gzip.decompress(data) if ending == "gz" else _extras.zstd().decompress(data)
        assert plain == Path("plain.jsonl").read_bytes()
        assert len(data) < len(plain) / 3
        assert len(lines(Path("plain.jsonl"))) == 2000


def test_what_cannot_be_written_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet into a stream or compressed twice; zstd without its library."""
    with pytest.raises(UsageError, match="stream"):
        ExportJob("customer", sys.stdout.buffer, format="parquet")
    with pytest.raises(UsageError, match="compressed by itself"):
        ExportJob("customer", Path("out.parquet.gz"))
    with pytest.raises(UsageError, match="tells no format"):
        ExportJob("customer", Path("out.gz"))
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"chargeover-async\[zstd\]"):
        ExportJob("customer", Path("out.jsonl.zst"))
