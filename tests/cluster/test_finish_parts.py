"""What the driver writes at the end: nothing that was refused is lost on the way there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.cluster_world import account, customers, keys

from chargeover_async import UsageError
from chargeover_async.cluster import PartReport, finish_parts, write_part
from chargeover_async.cluster.finish import check_absent
from chargeover_async.migrate import ImportJob, read_plan


def report(part: int = 0, **counts: Any) -> PartReport:
    return PartReport(object="customer", account="acme", part=part, **counts)


async def test_the_failure_file_is_one_that_an_import_takes(tmp_path: Path):
    """Two parts with a row that is refused each; it is corrected and imported."""
    failures, results = tmp_path / "failures.jsonl", tmp_path / "results.csv"
    async with account() as (sandbox, connect):
        rows = customers(6)
        rows[2]["custom_1"] = 1.5  # amounts are never floats
        rows[5]["custom_1"] = 1.5
        reports = [
            await asyncio.to_thread(
                write_part,
                rows[start : start + 3],
                "customer",
                connect,
                attempt=0,
                part=part,
                placed=True,
            )
            for part, start in enumerate((0, 3))
        ]
        total = finish_parts(reports, failures=failures, results=results)
        assert (total.rows, total.created, total.refused) == (6, 4, 2)
        assert results.read_text().splitlines()[:2] == [
            "object,external_key,id,state,file,row",
            f"customer,c-0,{reports[0].placed[0].id},created,part 0,1",
        ]
        assert len(results.read_text().splitlines()) == 5
        lines = failures.read_bytes().splitlines()
        assert [msgspec.json.decode(line)["row"] for line in lines] == [3, 3]
        failures.write_bytes(failures.read_bytes().replace(b'"custom_1":1.5', b'"custom_1":"1.5"'))
        async with connect.open() as co:
            summary = await ImportJob(read_plan(failures)).run(co)
        assert (summary.created, summary.failed) == (2, 0)
        assert len(set(keys(sandbox))) == 6


def test_a_file_is_made_only_for_rows_that_were_refused(tmp_path: Path):
    finish_parts([report(rows=1, created=1)], failures=tmp_path / "failures.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path):
    there = tmp_path / "failures.jsonl"
    there.write_text("the only record of an earlier job\n")
    with pytest.raises(UsageError, match="exists"):
        finish_parts([report(rows=1, refused=1, failures=("{}",))], failures=there)
    with pytest.raises(UsageError, match="exists"):
        check_absent(there)
    assert there.read_text() == "the only record of an earlier job\n"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be written"):
        finish_parts(
            [report(rows=1, refused=1, failures=("{}",))], failures=tmp_path / "no" / "failures"
        )


def test_a_part_without_a_report_is_no_success():
    with pytest.raises(UsageError, match="1 of 2 parts have no report"):
        finish_parts([report(), None])


def test_rows_that_were_not_kept_are_told_and_the_others_written(tmp_path: Path):
    path = tmp_path / "failures.jsonl"
    with pytest.raises(UsageError, match="2 of them are not in"):
        finish_parts([report(rows=3, refused=3, failures=("{}",), not_kept=2)], failures=path)
    assert path.read_text() == "{}\n"


def test_sums_add_up():
    total = PartReport.total(
        [report(rows=3, created=1, existing=2, requests=4), report(1, rows=2, refused=2, attempt=3)]
    )
    assert (total.rows, total.created, total.existing, total.refused) == (5, 1, 2, 2)
    assert (total.part, total.attempt, total.requests) == (2, 3, 4)
    assert str(total) == (
        "customer: 5 rows, created 1, updated 0, existing 2, refused 2, requests 4"
    )
    assert PartReport.total([]).rows == 0


def test_a_url_of_fsspec_is_a_place_for_a_file():
    fsspec = pytest.importorskip("fsspec")
    url = "memory://finish/failures.jsonl"
    finish_parts([report(rows=1, refused=1, failures=('{"row":1}',))], failures=url)
    assert fsspec.open(url).open().read() == b'{"row":1}\n'
    with pytest.raises(UsageError, match="exists"):
        check_absent(url)
    fsspec.filesystem("memory").rm("/finish", recursive=True)
