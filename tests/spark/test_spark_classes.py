"""The source's classes called as Spark calls them, each pickled on its way to a task."""

from __future__ import annotations

import asyncio
import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from support.cluster_world import account, customers, keys
from support.export_world import fill
from support.spark_world import Schema, log_in, options

from chargeover_async import AuthFailed, UsageError
from chargeover_async.limits import Priority, QuotaSettings
from chargeover_async.limits.file import FileLimiter
from chargeover_async.sandbox import Sandbox
from chargeover_async.spark import ChargeOverSource, interface, writer
from chargeover_async.spark.interface import Task, names_of

ROWS = Schema(["external_key", "company"])


def travel(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def batches(rows: list[dict[str, Any]], size: int = 100) -> list[Any]:
    return pa.Table.from_pylist(rows).to_batches(max_chunksize=size)


async def write(
    given: dict[str, str],
    partitions: list[list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    attempt: int = 0,
    schema: Any = ROWS,
) -> None:
    """A job: on the driver, in one task after the other, and on the driver again."""

    def job() -> None:
        sink = ChargeOverSource(given).writer(schema, False)
        messages: list[Any] = []
        for number, rows in enumerate(partitions):
            monkeypatch.setattr(writer, "current_task", lambda number=number: Task(number, attempt))
            messages.append(travel(travel(sink).write(iter(batches(rows)))))
        travel(sink).commit(messages)

    await asyncio.to_thread(job)


async def shared(folder: Path) -> None:
    """The wait of a new quota, once for all tests that share it."""
    async with FileLimiter(folder / "quota", QuotaSettings(limit=2_000, window_s=1)) as limiter:
        (await limiter.acquire(Priority.DIRECT)).unused()


async def test_a_job_writes_every_row_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two partitions; run again, everything exists."""
    await shared(tmp_path)
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        rows = customers(120)
        for run in (1, 2):
            results = tmp_path / f"results{run}.csv"
            given = options(sandbox, tmp_path, results=results)
            await write(given, [rows[:60], rows[60:]], monkeypatch)
            lines = results.read_text().splitlines()
            assert len(lines) == 121
            assert {line.split(",")[3] for line in lines[1:]} == {["created", "existing"][run - 1]}
        assert sorted(keys(sandbox)) == sorted(row["external_key"] for row in rows)


async def test_a_later_attempt_looks_up_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        await write(options(sandbox), [customers(30)], monkeypatch)
        before = len(sandbox.log)
        await write(options(sandbox), [customers(50)], monkeypatch, attempt=2)
        sent = list(sandbox.log)[before + 1 :]  # behind the driver's own
        asked = [item.method for entry in sent for item in entry.items] or [sent[0].method]
        assert asked[:25] == ["GET"] * len(asked[:25])
        assert len(keys(sandbox)) == 50


async def test_several_partitions_without_a_shared_quota_are_refused(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("CHARGEOVER_QUOTA_SHARE", raising=False)
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        with pytest.raises(UsageError, match="shared quota"):
            await write(options(sandbox), [customers(2), customers(2)], monkeypatch)


async def test_wrong_credentials_show_on_the_driver(monkeypatch: pytest.MonkeyPatch):
    async with account() as (sandbox, _):
        monkeypatch.setenv("CHARGEOVER_USERNAME", "nobody")
        monkeypatch.setenv("CHARGEOVER_PASSWORD", "wrong")
        with pytest.raises(AuthFailed):
            await asyncio.to_thread(ChargeOverSource(options(sandbox)).writer, ROWS, False)
        assert len(sandbox.log) == 1


async def test_refused_rows_go_to_the_failure_file_or_fail_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A job that says that it went well has written every row, or says where the others are."""
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        sandbox.store.seed("customer", {"external_key": "c-1", "company": "Somebody else"})
        failures = tmp_path / "failures.jsonl"
        await write(options(sandbox, failures=failures), [customers(4)], monkeypatch)
        [line] = failures.read_bytes().splitlines()
        assert msgspec.json.decode(line)["key"] == "c-1"
        with pytest.raises(UsageError, match='"failures" to a file') as caught:
            await write(options(sandbox), [customers(4)], monkeypatch)
        assert "c-1" in str(caught.value)
        assert len(keys(sandbox)) == 4


async def test_an_abort_says_what_is_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)

        def job() -> None:
            sink = ChargeOverSource(options(sandbox)).writer(ROWS, False)
            done = sink.write(iter(batches(customers(3))))
            sink.abort([done, None])

        await asyncio.to_thread(job)
        assert "1 of its tasks were done: customer: 3 rows, created 3" in caplog.text


# -- reading ---------------------------------------------------------------------------------------


def read_all(reader: Any, partitions: list[Any]) -> list[dict[str, Any]]:
    return [
        row
        for partition in partitions
        for batch in travel(reader).read(travel(partition))
        for row in batch.to_pylist()
    ]


async def test_a_read_brings_the_fields_of_the_schema_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
):
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        fill(sandbox, range(1, 700))

        def job() -> list[dict[str, Any]]:
            source = ChargeOverSource(options(sandbox, where="customer_id <= 650"))
            reader = source.reader(None)
            return read_all(reader, reader.partitions())

        rows = await asyncio.to_thread(job)
        assert [row["customer_id"] for row in rows] == list(range(1, 651))


async def test_accounts_are_partitions_with_a_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with account() as (one, _), account() as (two, _):
        log_in(one, monkeypatch)
        fill(one, [1, 2])
        fill(two, [7])
        path = tmp_path / "accounts.toml"
        path.write_text(f'[one]\nurl = "{one.url}"\n[two]\nurl = "{two.url}"\n')
        given = {"object": "customer", "accounts": str(path), "fields": "customer_id"}
        assert names_of(ChargeOverSource(given).schema()) == ["account", "customer_id"]

        def job() -> list[dict[str, Any]]:
            reader = ChargeOverSource(given).reader(None)
            partitions = reader.partitions()
            assert len(partitions) == 2
            return read_all(reader, partitions)

        assert await asyncio.to_thread(job) == [
            {"account": "one", "customer_id": 1},
            {"account": "one", "customer_id": 2},
            {"account": "two", "customer_id": 7},
        ]


def stamp(sandbox: Sandbox, number: int, when: dt.datetime | None) -> None:
    sandbox.store.seed("customer", {"customer_id": number, "mod_datetime": when, "company": "x"})


NOON = dt.datetime(2026, 5, 1, 12)  # noqa: DTZ001 - the account's own time


async def test_a_stream_brings_what_changed_and_what_does_not_say_when(
    monkeypatch: pytest.MonkeyPatch,
):
    """Batch after batch, from the offsets alone; the overlap comes twice, nothing is missed."""
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        for number in range(1, 5):
            stamp(sandbox, number, NOON + dt.timedelta(hours=number))
        stamp(sandbox, 9, None)
        given = options(sandbox, overlap=30, fields="customer_id")

        def batch(start: dict[str, str]) -> tuple[dict[str, str], list[int]]:
            stream = travel(ChargeOverSource(given).streamReader(None))
            end = stream.latestOffset(start, None)
            found = read_all(stream, list(stream.partitions(start, end)))
            stream.commit(end)
            stream.stop()
            return end, [row["customer_id"] for row in found]

        first = ChargeOverSource(given).streamReader(None).initialOffset()
        end, ids = await asyncio.to_thread(batch, first)
        assert ids == [1, 2, 3, 4, 9]
        again, ids = await asyncio.to_thread(batch, end)
        assert (again, ids) == (end, [])
        stamp(sandbox, 5, NOON + dt.timedelta(hours=3, minutes=45))  # visible late
        stamp(sandbox, 6, NOON + dt.timedelta(hours=5))
        stamp(sandbox, 10, None)
        stamp(sandbox, 11, NOON - dt.timedelta(days=90))  # new, whatever its time says
        end, ids = await asyncio.to_thread(batch, end)
        assert sorted(ids) == [1, 2, 3, 4, 5, 6, 9, 10, 11]
        assert len(set(ids)) == len(ids)
        # Spark before 4.2 asks without arguments.
        older = await asyncio.to_thread(ChargeOverSource(given).streamReader(None).latestOffset)
        assert older == end


def test_what_cannot_be_streamed_is_refused():
    for given, said in (
        ({"object": "transaction"}, "no mod_datetime"),
        ({"object": "customer", "splitBy": "ids"}, "not split"),
    ):
        with pytest.raises(UsageError, match=said):
            ChargeOverSource({"url": "https://a.chargeover.com/api/v3", **given}).streamReader(None)


def test_without_pyspark_the_classes_stand_alone():
    """And with it, they are what Spark asks for."""
    try:
        from pyspark.sql.datasource import DataSource
    except ImportError:
        assert interface.current_task() == Task(0, 0)
        assert interface.arrow_schema(None) is None
    else:
        assert issubclass(ChargeOverSource, DataSource)
