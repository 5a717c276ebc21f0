"""The source on a real Spark, two cores and three attempts, where pyspark and a Java are there."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster_world import account, customers, keys
from support.export_world import fill
from support.places import TESTS
from support.spark_world import KilledOnce, log_in, options

from chargeover_async.spark import ChargeOverSource

pyspark = pytest.importorskip("pyspark")
if shutil.which("java") is None or not (Path(pyspark.__file__).parent / "jars").exists():
    pytest.skip("needs pyspark with its jars, and a Java", allow_module_level=True)
pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("default"),  # theirs
]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(TESTS)]))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("CHARGEOVER_USERNAME", "spark")  # tasks see what the JVM was started with
        patch.setenv("CHARGEOVER_PASSWORD", "spark")
        session = (
            SparkSession.builder.master("local[2,3]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.python.filterPushdown.enabled", "true")
            .config("spark.sql.warehouse.dir", str(folder))
            .getOrCreate()
        )
        session.dataSource.register(ChargeOverSource)
        yield session
        session.stop()


ROWS = 400
LOGIN = {"username": "spark", "password": "spark"}


def frame_of(spark: Any, count: int) -> Any:
    rows = [(row["external_key"], row["company"]) for row in customers(count)]
    frame = spark.createDataFrame(rows, "external_key string, company string")
    return frame.repartitionByRange(2, "external_key")


async def test_a_worker_that_is_killed_in_mid_partition_costs_nothing(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Spark tries the partition again: nothing twice, nothing left out, and the counts say so."""
    async with account(login=LOGIN) as (sandbox, _):
        log_in(sandbox, monkeypatch)
        spark.dataSource.register(KilledOnce)
        flag, results = tmp_path / "killed", tmp_path / "results.csv"
        given = options(sandbox, tmp_path, results=results, flag=flag)

        def job() -> None:
            frame = frame_of(spark, ROWS)
            frame.write.format("chargeover").mode("append").options(**given).save()

        await asyncio.to_thread(job)
        assert flag.exists()
        assert sorted(keys(sandbox)) == sorted(f"c-{number}" for number in range(ROWS))
        states = [line.split(",")[3] for line in results.read_text().splitlines()[1:]]
        assert len(states) == ROWS
        assert states.count("existing") >= 25
        print(f"existing {states.count('existing')}, created {states.count('created')}")


async def test_a_query_is_filtered_by_the_api_and_by_spark(
    spark: Any, monkeypatch: pytest.MonkeyPatch
):
    async with account(login=LOGIN) as (sandbox, _):
        log_in(sandbox, monkeypatch)
        spark.dataSource.register(ChargeOverSource)
        fill(sandbox, range(1, 600))

        def read() -> list[Any]:
            frame = spark.read.format("chargeover").options(**options(sandbox, pushFilters="true"))
            chosen = frame.load().where("customer_id between 590 and 595 and company like '% 59%'")
            return sorted(row[0] for row in chosen.select("customer_id").collect())

        assert await asyncio.to_thread(read) == list(range(590, 596))
        assert "customer_id:GTE:590" in "".join(entry.query for entry in sandbox.log)
