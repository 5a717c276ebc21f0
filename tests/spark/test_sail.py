"""The source on Sail, which runs Spark's plans without a JVM."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster_world import account, customers, keys
from support.export_world import fill
from support.spark_world import log_in, options

from chargeover_async.spark import ChargeOverSource

pytest.importorskip("pysail")
pytest.importorskip("pyspark")
pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("default"),  # theirs
]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    import pyspark

    # The client alone looks for a whole Spark when it is imported, and needs none.
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    _, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    session.dataSource.register(ChargeOverSource)
    yield session
    session.stop()
    server.stop()


async def test_it_writes_each_row_once_and_reads_it_again(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A job that is run again finds everything."""
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        rows = [(row["external_key"], row["company"]) for row in customers(60)]

        def job(number: int) -> None:
            frame = spark.createDataFrame(rows, "external_key string, company string").coalesce(1)
            given = options(sandbox, results=tmp_path / f"results{number}.csv")
            frame.write.format("chargeover").mode("append").options(**given).save()

        for number in (1, 2):
            await asyncio.to_thread(job, number)
        assert sorted(keys(sandbox)) == sorted(key for key, _ in rows)
        assert "existing" in (tmp_path / "results2.csv").read_text()

        def read() -> list[Any]:
            frame = spark.read.format("chargeover").options(**options(sandbox)).load()
            return frame.select("external_key", "company", "balance").collect()

        found = await asyncio.to_thread(read)
        assert sorted((row[0], row[1]) for row in found) == sorted(rows)


async def test_a_refused_row_fails_the_job_that_has_no_place_for_it(
    spark: Any, monkeypatch: pytest.MonkeyPatch
):
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        sandbox.store.seed("customer", {"external_key": "c-1", "company": "Somebody else"})

        def job() -> None:
            frame = spark.createDataFrame([("c-1", "Mine")], "external_key string, company string")
            given = options(sandbox)
            frame.coalesce(1).write.format("chargeover").mode("append").options(**given).save()

        with pytest.raises(Exception, match="Somebody else"):
            await asyncio.to_thread(job)
        assert keys(sandbox) == ["c-1"]


async def test_a_filter_of_the_query_holds(spark: Any, monkeypatch: pytest.MonkeyPatch):
    async with account() as (sandbox, _):
        log_in(sandbox, monkeypatch)
        fill(sandbox, range(1, 300))

        def read() -> list[int]:
            frame = spark.read.format("chargeover").options(**options(sandbox)).load()
            return [
                row[0] for row in frame.where("customer_id > 290").select("customer_id").collect()
            ]

        assert sorted(await asyncio.to_thread(read)) == list(range(291, 300))
