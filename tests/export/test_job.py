"""Exports into files: what is in them, and what happens when they are stopped."""

# ruff: noqa: ASYNC230, ASYNC240 - small files, and nobody waits
from __future__ import annotations

import csv
import datetime as dt
import io
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.export_world import account, customer, ids_in, lines, listed, requests

from chargeover_async import ChargeOver, F
from chargeover_async.errors import ServerError, UsageError
from chargeover_async.export import ExportJob, ExportProgress
from chargeover_async.export.part import Part
from chargeover_async.sandbox import Sandbox, Variant

OUT = Path("out.jsonl")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def leftovers() -> set[str]:
    return {path.name for path in Path().iterdir()}


async def stop_after(count: int, co: ChargeOver, sandbox: Sandbox, **options: Any) -> ExportJob:
    """Run an export whose server falls ill once so many records are read."""

    def observe(progress: ExportProgress) -> None:
        if progress.records >= count:
            sandbox.faults.set_rates({"500": 1.0})

    job = ExportJob("customer", OUT, clock=_ticks(), **options)
    with pytest.raises(ServerError):
        await job.run(co, observe=observe)
    sandbox.faults.clear()
    return job


def _ticks() -> Any:
    """A clock by which every page takes a second, so that each is saved."""
    now = iter(range(10**9))
    return lambda: float(next(now))


async def test_a_line_is_the_record_as_the_api_sends_it() -> None:
    """Every field, amounts exact, text as it is; one line each by rising id."""
    async with account(ids=range(1, 1300)) as (sandbox, co):
        record = customer(5) | {"balance": "12345678901234567.89"}
        sandbox.store.seed("customer", record, extra={"unknown_field": [1]})
        summary = await ExportJob("customer", OUT).run(co)
        found = lines(OUT)
        assert len(found) == summary.records == summary.counted == 1299
        assert found[4]["balance"] == Decimal("12345678901234567.89")
        assert found[4]["unknown_field"] == [1]
        assert found == listed(sandbox)
        assert summary.requests == len(sandbox.log)
        assert leftovers() == {"out.jsonl"}


async def test_fields_are_picked_in_the_order_given() -> None:
    """In both formats, without the values being touched."""
    async with account(ids=[1]) as (_, co):
        fields = ["company", "customer_id", "balance"]
        await ExportJob("customers", OUT, fields=fields).run(co)
        assert OUT.read_text("utf-8") == (
            '{"company":"quo\\"ted, and comma 1","customer_id":1,"balance":0.01}\n'
        )
        await ExportJob("customer", Path("out.csv"), fields=fields).run(co)
        assert Path("out.csv").read_text("utf-8") == (
            'company,customer_id,balance\n"quo""ted, and comma 1",1,0.01\n'
        )


async def test_csv_has_every_column_and_exact_values() -> None:
    """Amounts without exponent, dates in ISO, flags as words, nested parts as JSON."""
    async with account() as (_, co):
        buyer = await co.customers.create(company="Ünï\nçødé")
        item = await co.items.create(name="Tea")
        await co.invoices.create(
            customer_id=buyer.id,
            date=dt.date(2026, 1, 2),
            line_items=[{"item_id": item.id, "line_rate": "1.000001", "line_quantity": 1}],
        )
        await ExportJob("invoice", Path("out.csv"), nested=True).run(co)
        with Path("out.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        assert next(iter(row)) == "invoice_id"
        assert (row["date"], row["is_paid"]) == ("2026-01-02", "false")
        single = await co.invoices.get(int(row["invoice_id"]))
        assert row["write_datetime"] == single.write_datetime.isoformat()  # type: ignore[union-attr]
        assert '"line_rate":1.000001' in row["line_items"]
        await ExportJob("customer", Path("out.csv")).run(co)
        with Path("out.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        assert row["company"] == "Ünï\nçødé"


async def test_filters_and_since_narrow_it_down() -> None:
    """As text, as clauses, and by the time of change."""
    async with account(ids=range(1, 50)) as (sandbox, co):
        for number, stamp in ((3, "2031-05-06 10:00:00"), (4, "2031-05-06 09:59:59")):
            sandbox.store.seed("customer", customer(number) | {"mod_datetime": stamp})

        async def found(**options: Any) -> list[int]:
            await ExportJob("customer", OUT, **options).run(co)
            return [row["customer_id"] for row in lines(OUT)]

        assert await found(where=["customer_id >= 48"]) == [48, 49]
        assert await found(where=["customer_id >= 40", "customer_id < 42"]) == [40, 41]
        assert await found(where="customer_id = 7") == [7]
        assert await found(where=F.external_key == "key-9") == [9]
        assert await found(since="2031-05-06 10:00:00") == [3]
        assert await found(since=dt.date(2031, 5, 6), where=["customer_id > 3"]) == [4]


@pytest.mark.parametrize("variant", [Variant(), Variant(accept_query=False)], ids=["bulk", "plain"])
async def test_a_stopped_export_goes_on_where_it_was(variant: Variant) -> None:
    """Nothing is asked for again that is in the part; the output is whole, once."""
    async with account(ids=range(1, 7001), variant=variant) as (sandbox, co):
        job = await stop_after(1000, co, sandbox, pages_per_request=2)
        assert leftovers() == {"out.jsonl.part", "out.jsonl.part.json"}
        kept = job.summary().records
        assert 0 < kept < 7000
        with Path("out.jsonl.part").open("ab") as file:
            file.write(b'{"customer_id": 99')  # torn by a kill
        before = len(sandbox.log)
        summary = await ExportJob("customer", OUT).run(co)
        assert summary.resumed_at == kept
        assert summary.records == summary.counted == 7000
        assert [row["customer_id"] for row in lines(OUT)] == ids_in(sandbox)
        assert leftovers() == {"out.jsonl"}
        asked = [item.uri for entry in list(sandbox.log)[before:] for item in entry.items]
        asked += [entry.query for entry in list(sandbox.log)[before:]]
        assert not any("GT:0" in text for text in asked if "count" not in text)


async def test_a_csv_that_goes_on_has_one_header() -> None:
    """The part knows that it was begun."""
    async with account(ids=range(1, 3001)) as (sandbox, co):
        global OUT  # noqa: PLW0603
        OUT = Path("out.csv")
        try:
            await stop_after(500, co, sandbox)
            await ExportJob("customer", OUT).run(co)
            with OUT.open(encoding="utf-8", newline="") as file:
                found = [int(row["customer_id"]) for row in csv.DictReader(file)]
            assert found == ids_in(sandbox)
        finally:
            OUT = Path("out.jsonl")


async def test_an_old_output_stays_until_the_new_one_is_whole() -> None:
    """Who reads the file never meets half of one."""
    async with account(ids=range(1, 3001)) as (sandbox, co):
        OUT.write_text("old")
        await stop_after(500, co, sandbox)
        assert OUT.read_text() == "old"
        await ExportJob("customer", OUT).run(co)
        assert len(lines(OUT)) == 3000


async def test_another_question_does_not_go_on_with_the_part() -> None:
    """It is refused with the choice there is; restart begins anew."""
    async with account(ids=range(1, 3001)) as (sandbox, co):
        await stop_after(500, co, sandbox)
        sent = len(sandbox.log)
        for other in (
            {"where": ["customer_id > 5"]},
            {"fields": ["customer_id"]},
            {"nested": True},
            {"format": "csv"},
        ):
            with pytest.raises(UsageError, match=r"another export .*start this one anew"):
                await ExportJob("customer", OUT, **other).run(co)
        with pytest.raises(UsageError, match="other object"):
            await ExportJob("user", OUT).run(co)
        assert len(sandbox.log) == sent
        summary = await ExportJob("customer", OUT, restart=True, fields=["customer_id"]).run(co)
        assert (summary.records, summary.resumed_at) == (3000, 0)
        assert lines(OUT)[0] == {"customer_id": 1}


async def test_a_part_that_is_not_what_its_note_says_is_refused() -> None:
    """Shorter than it was, or a note of another version, or none at all."""
    async with account(ids=range(1, 3001)) as (sandbox, co):
        await stop_after(500, co, sandbox)
        note, part = Path("out.jsonl.part.json"), Path("out.jsonl.part")
        whole = note.read_bytes()
        note.write_bytes(whole.replace(b'"version":1', b'"version":2'))
        with pytest.raises(UsageError, match="version 2"):
            await ExportJob("customer", OUT).run(co)
        note.write_bytes(b"{")
        with pytest.raises(UsageError, match="cannot be read"):
            await ExportJob("customer", OUT).run(co)
        note.write_bytes(whole)
        os.truncate(part, 10)
        with pytest.raises(UsageError, match=r"which out.jsonl.part does not have"):
            await ExportJob("customer", OUT).run(co)
        note.unlink()  # killed before the first save: nothing of it can be trusted
        assert (await ExportJob("customer", OUT).run(co)).resumed_at == 0
        assert len(lines(OUT)) == 3000


async def test_two_exports_do_not_write_one_part() -> None:
    """The second is refused before it reads or changes anything."""
    async with account(ids=range(1, 10)) as (sandbox, co):
        part = Part(OUT, {})
        try:
            with pytest.raises(UsageError, match="being written by another export"):
                await ExportJob("customer", OUT).run(co)
            assert not sandbox.log
        finally:
            part.close()


@pytest.mark.parametrize("place", ["missing/out.jsonl", "."])
async def test_an_output_that_cannot_be_written_is_said_at_once(place: str) -> None:
    """Nothing is sent for it."""
    async with account(ids=range(1, 10)) as (sandbox, co):
        with pytest.raises(UsageError, match=r"cannot be written|is a folder"):
            await ExportJob("customer", Path(place), format="jsonl").run(co)
        assert not sandbox.log


async def test_a_stream_gets_the_pages_as_they_come() -> None:
    """JSON Lines unless another format is named; nothing beside it."""
    async with account(ids=range(1, 1201)) as (_, co):
        out = io.BytesIO()
        summary = await ExportJob("customer", out).run(co)
        assert (summary.records, summary.output) == (1200, "")
        assert out.getvalue().count(b"\n") == 1200
        assert leftovers() == set()


async def test_progress_is_told_after_every_page() -> None:
    """Records of the total; an observer that fails stops nothing."""
    async with account(ids=range(1, 1301)) as (_, co):
        seen: list[ExportProgress] = []

        def observe(progress: ExportProgress) -> None:
            seen.append(progress)
            raise RuntimeError("a bad observer")

        await ExportJob("customer", OUT).run(co, observe=observe)
        assert [progress.records for progress in seen] == [500, 1000, 1300]
        assert {progress.total for progress in seen} == {1300}


async def test_an_api_that_counts_more_than_it_lists_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The summary says so: the file is kept, and nobody takes it for whole."""
    async with account(ids=range(1, 1301)) as (sandbox, co):
        monkeypatch.setattr(type(sandbox.store), "count", lambda self, name: 1400)
        summary = await ExportJob("customer", OUT).run(co)
        assert (summary.records, summary.counted, summary.is_short) == (1300, 1400, True)
        assert requests(sandbox).count("GET /customer/_count") == 2


async def test_what_is_deleted_meanwhile_is_no_loss() -> None:
    """The second count explains it."""
    async with account(ids=range(1, 3001), variant=Variant(accept_query=False)) as (sandbox, co):
        table = sandbox.store.table("customer")

        def observe(progress: ExportProgress) -> None:
            if progress.records == 500:
                for gone in range(2900, 2950):
                    table.remove(table.rows[gone], free_key=True)

        summary = await ExportJob("customer", OUT).run(co, observe=observe)
        assert not summary.is_short
        assert summary.records >= 2950


def test_what_cannot_be_meant_is_refused_before_anything_is_opened() -> None:
    """Object, format, fields, filters and since, each with what is known instead."""
    for options, words in (
        ({"object_name": "invoce"}, 'did you mean "invoice"'),
        ({"object_name": "teapot"}, "no object that can be exported"),
        ({"output": Path("x.txt")}, "tells no format"),
        ({"format": "xml"}, "format must be one of"),
        ({"fields": ["totl"]}, 'did you mean "total"'),
        ({"fields": ["total", "total"]}, "each field once"),
        ({"fields": []}, "each field once"),
        ({"where": ["totl > 1"]}, 'did you mean "total"'),
        ({"where": ["total > many"]}, '"many" is not an amount'),
        ({"since": "yesterday"}, '"yesterday" is not a date'),
        ({"object_name": "transaction", "since": "2026-01-01"}, "no mod_datetime"),
    ):
        with pytest.raises(UsageError, match=words):
            ExportJob(**{"object_name": "invoice", "output": OUT, **options})  # type: ignore[arg-type]
    assert leftovers() == set()


async def test_lists_without_paging_are_exported_too() -> None:
    """They begin anew each time, as reading cannot begin in their middle."""
    out = Path("c.jsonl")
    async with account() as (sandbox, co):
        sandbox.faults.set_rates({"500": 1.0})
        with pytest.raises(ServerError):
            await ExportJob("currency", out).run(co)
        assert not out.exists()
        assert not Path("c.jsonl.part.json").exists()
        sandbox.faults.clear()
        Path("c.jsonl.part").write_text("torn")
        summary = await ExportJob("currencies", out).run(co)
        assert [row["currency_id"] for row in lines(out)] == [
            currency.currency_id for currency in await co.currencies.list()
        ]
        assert (summary.resumed_at, summary.counted, leftovers()) == (0, None, {"c.jsonl"})


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be renamed there")
def test_a_part_that_has_become_the_output_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opened it just before, and gets its lock just after, does not cut off the output."""
    first = Part(OUT, {"object": "customer"})
    first.append(b"whole\n")
    late = os.open(first.path, os.O_RDWR)
    first.finish()
    monkeypatch.setattr("chargeover_async.export.part.os.open", lambda *_: os.dup(late))
    with pytest.raises(UsageError, match="just finished"):
        Part(OUT, {"object": "customer"})
    os.close(late)
    assert OUT.read_bytes() == b"whole\n"
