"""The dlt source, into DuckDB: what the tables hold is what the account has, run after run."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from support.cluster_world import account, connect_to
from support.export_world import fill, requests
from support.places import EXAMPLES

from chargeover_async import F, UsageError
from chargeover_async.cluster import Connect, Part
from chargeover_async.cluster.changes import Mark
from chargeover_async.dlt import chargeover
from chargeover_async.sandbox import Sandbox

dlt = pytest.importorskip("dlt")
pytest.importorskip("duckdb")
pytestmark = pytest.mark.filterwarnings("default")  # dlt's own, and its dependencies'


class Lake:
    """A pipeline into a DuckDB of its own."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = dlt.pipeline(
            "billing",
            destination=dlt.destinations.duckdb(str(folder / "lake.duckdb")),
            dataset_name="chargeover",
            pipelines_dir=str(folder / "pipelines"),
        )

    async def run(self, *given: Any, **options: Any) -> None:
        """A run of a source made for it, beside the sandbox's loop."""
        await asyncio.to_thread(self._run, *given, **options)

    def _run(self, *given: Any, **options: Any) -> None:
        self.pipeline.run(chargeover(*given, **options)).raise_on_failed_jobs()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.pipeline.sql_client() as client:
            return [tuple(row) for row in client.execute_sql(query) or ()]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    return Lake(tmp_path)


def change(sandbox: Sandbox, number: int, when: dt.datetime | None, **fields: Any) -> None:
    """A record as if it had been changed at that moment."""
    store = sandbox.store
    table = store.table("customer")
    store.seed("customer", {"customer_id": number, "mod_datetime": when, **fields})
    assert number in table.ids


NOON = dt.datetime(2026, 5, 1, 12)  # noqa: DTZ001 - the account's own time


async def test_a_first_run_brings_everything_exactly(lake: Lake):
    async with account() as (sandbox, connect):
        fill(sandbox, range(1, 1_200))
        await lake.run(connect, ["customers"])
        found = lake.rows("select customer_id, company, balance from customers order by 1")
        held = {record["customer_id"]: record for record in sandbox.store.records("customer")}
        assert [row[0] for row in found] == sorted(held)
        assert [row[1] for row in found] == [held[row[0]]["company"] for row in found]
        assert all(row[2] == Decimal(row[0]) / 100 for row in found)
        assert len(requests(sandbox)) < 8


async def test_the_next_run_reads_what_changed_and_merges_it(lake: Lake):
    """With the overlap, and what has no time of change."""
    async with account() as (sandbox, connect):
        for number in range(1, 300):
            change(sandbox, number, NOON - dt.timedelta(days=number), company=f"old {number}")
        change(sandbox, 300, NOON, company="newest")
        change(sandbox, 301, None, company="without a time")
        await lake.run(connect, ["customers"])
        assert lake.rows("select count(*), count(mod_datetime) from customers") == [(301, 300)]
        seen = len(sandbox.log)
        change(sandbox, 400, NOON - dt.timedelta(minutes=9), company="visible late")
        change(sandbox, 401, NOON + dt.timedelta(hours=1), company="new")
        change(sandbox, 402, None, company="new, without a time")
        await lake.run(connect, ["customers"])
        found = lake.rows("select customer_id, company from customers where customer_id >= 300")
        assert dict(found) == {
            300: "newest",
            301: "without a time",
            400: "visible late",
            401: "new",
            402: "new, without a time",
        }
        assert lake.rows("select count(*), count(distinct customer_id) from customers") == [
            (304, 304)
        ]
        asked = [unquote(entry.query) for entry in list(sandbox.log)[seen:]]
        assert any(r"mod_datetime:GTE:2026-04-30 11\:00\:00" in query for query in asked)
        assert any("mod_datetime:IS:NULL" in query for query in asked)


async def test_a_change_while_the_account_is_read_belongs_to_the_next_run(lake: Lake):
    """The newest change is asked for before the first page: what is met later cannot hide it."""
    async with account() as (sandbox, connect):
        change(sandbox, 1, NOON, company="first")
        change(sandbox, 2, NOON, company="second")
        source = chargeover(connect, ["customers"], overlap=dt.timedelta())

        def late(row: Any) -> Any:
            # When the page is there: an early record changes, then a late one is seen much newer.
            change(sandbox, 1, NOON + dt.timedelta(hours=1), company="changed meanwhile")
            return row

        source.resources["customers"].add_map(late)
        await asyncio.to_thread(lambda: lake.pipeline.run(source).raise_on_failed_jobs())
        change(sandbox, 2, NOON + dt.timedelta(hours=9), company="much later")
        await lake.run(connect, ["customers"], overlap=dt.timedelta())
        assert dict(lake.rows("select customer_id, company from customers")) == {
            1: "changed meanwhile",
            2: "much later",
        }


async def test_an_object_that_is_not_filtered_by_its_changes_is_read_whole(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
):
    """It may be put in the order of a field by which the API does not filter."""
    async with account() as (sandbox, connect):
        change(sandbox, 1, NOON, company="old")
        await lake.run(connect, ["customers"])
        change(sandbox, 2, NOON, company="new")

        def refused(part: Part, mark: Mark, overlap: dt.timedelta) -> list[Part]:
            return [msgspec.structs.replace(part, where=(F["no_such_field"] > 1,))]

        monkeypatch.setattr("chargeover_async.dlt.since_mark", refused)
        await lake.run(connect, ["customers"])
        assert lake.rows("select customer_id from customers order by 1") == [(1,), (2,)]
        assert sum("no_such_field" in entry.query for entry in sandbox.log) >= 1


async def test_nested_parts_are_tables_with_exact_amounts(lake: Lake):
    """And a line that is gone from an invoice is gone from its table."""
    async with account() as (sandbox, connect):
        fill(sandbox, [1])
        async with connect.open() as co:
            item = await co.items.create(name="Hat", external_key="hat")
            made = await co.invoices.create(
                customer_id=1,
                external_key="i-1",
                line_items=[
                    {"item_id": item.id, "line_rate": Decimal(rate), "line_quantity": 1}
                    for rate in ("2.95", "0.123456789012")
                ],
            )
            await lake.run(connect, ["invoices"], nested=["invoices"])
            query = "select line_rate from invoices__line_items order by 1 desc"
            assert [row[0] for row in lake.rows(query)] == [
                Decimal("2.95"),
                Decimal("0.123456789012"),
            ]
            await co.invoices.update(
                made.id, line_items=[{"item_id": item.id, "line_rate": 7, "line_quantity": 1}]
            )
            await lake.run(connect, ["invoices"], nested=["invoices"])
            assert lake.rows(query) == [(Decimal(7),)]
            assert lake.rows("select count(*) from invoices") == [(1,)]
            assert await co.invoices.count(where=F.invoice_id == made.id) == 1


async def test_accounts_share_the_tables_and_keep_their_rows_apart(lake: Lake):
    async with account() as (one, _), account() as (two, _):
        fill(one, [1, 2])
        fill(two, [1])
        accounts = [connect_to(one, account="one"), connect_to(two, account="two")]
        for _ in range(2):
            await lake.run(accounts, ["customers", "items"])
        found = lake.rows("select account, customer_id from customers order by 1, 2")
        assert found == [("one", 1), ("one", 2), ("two", 1)]


async def test_resources_of_an_account_share_one_quota(lake: Lake):
    """Also from run to run of one source, where no quota is shared by name."""
    async with account() as (sandbox, connect):
        fill(sandbox, range(1, 4))
        source = chargeover(connect)
        for _ in range(2):
            await asyncio.to_thread(lambda: lake.pipeline.run(source).raise_on_failed_jobs())
        assert {row[0] for row in lake.rows("select customer_id from customers")} == {1, 2, 3}
        assert len(sandbox.log) > 10


def test_what_cannot_be_meant_is_refused():
    connect = Connect(url="https://example.chargeover.com/api/v3")
    for given, options in (
        (["nonsense"], {}),
        ([], {}),
        (["customers", "customer"], {}),
        (["customers"], {"nested": ["invoices"]}),
        (["customers"], {"overlap": dt.timedelta(-1)}),
    ):
        with pytest.raises(UsageError):
            chargeover(connect, given, **options)


async def test_the_example_of_a_destination_writes_each_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also when the pipeline is run again; a row that is refused fails the load, and says why."""
    monkeypatch.syspath_prepend(EXAMPLES)
    destination = importlib.import_module("dlt_destination").chargeover
    monkeypatch.chdir(tmp_path)
    async with account() as (sandbox, _):
        monkeypatch.setenv("CHARGEOVER_URL", sandbox.url)
        monkeypatch.setenv("CHARGEOVER_USERNAME", sandbox.username)
        monkeypatch.setenv("CHARGEOVER_PASSWORD", sandbox.password)
        rows = [{"external_key": f"c-{n}", "company": f"Company {n}"} for n in range(30)]

        def run(given: list[dict[str, Any]]) -> None:
            pipeline = dlt.pipeline(
                "back", destination=destination, pipelines_dir=str(tmp_path / "pipelines")
            )
            pipeline.run(given, table_name="customers").raise_on_failed_jobs()

        for _ in range(2):
            await asyncio.to_thread(run, rows)
        assert len(sandbox.store.table("customer").ids) == 30
        with pytest.raises(Exception, match="compani"):
            await asyncio.to_thread(run, [{"external_key": "c-99", "compani": "Acme"}])
