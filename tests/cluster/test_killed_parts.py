"""Processes that are killed, doubled and late: what the server holds is judged by its store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.cluster_world import FAST, account, keys, report_of, start_part
from support.waiting import until

from chargeover_async.limits import Priority
from chargeover_async.limits.file import FileLimiter

pytestmark = pytest.mark.process

ROWS = 400
ALL = sorted(f"c-{number}" for number in range(ROWS))


async def share_in(folder: Path) -> Path:
    """A quota whose minute of waiting (here a second) is over."""
    share = folder / "quota"
    async with FileLimiter(share, FAST) as limiter:
        (await limiter.acquire(Priority.DIRECT)).unused()
    return share


@pytest.mark.parametrize("settled", [0, 25, 100])
async def test_a_part_that_is_killed_is_finished_by_the_next_attempt(tmp_path: Path, settled: int):
    """`os._exit` in mid-part, batches under way or answered: nothing lost, nothing twice."""
    async with account() as (sandbox, _):
        share = await share_in(tmp_path)
        first = start_part(sandbox, share, attempt=0, rows=ROWS, stop_at=110)
        await until(lambda: len(keys(sandbox)) >= settled)
        await asyncio.to_thread(first.communicate, "die\n")
        assert first.returncode == 9
        there = len(keys(sandbox))
        assert settled <= there < ROWS
        second = start_part(sandbox, share, attempt=1, rows=ROWS)
        report = await asyncio.to_thread(report_of, second)
        assert (report.existing, report.created) == (there, ROWS - there)
        assert sorted(keys(sandbox)) == ALL


@pytest.mark.parametrize("attempts", [(0, 0), (0, 1), (1, 1)])
async def test_two_copies_at_once_make_each_record_once(tmp_path: Path, attempts: tuple[int, int]):
    """As speculation does, or a task whose first worker was only thought to be dead."""
    async with account() as (sandbox, _):
        share = await share_in(tmp_path)
        copies = [start_part(sandbox, share, attempt=attempt, rows=ROWS) for attempt in attempts]
        reports = await asyncio.gather(*(asyncio.to_thread(report_of, copy) for copy in copies))
        assert sorted(keys(sandbox)) == ALL
        for report in reports:
            assert report.created + report.existing == report.rows == ROWS
        assert sum(report.created for report in reports) >= ROWS
        if 1 not in attempts:
            assert sum(report.created for report in reports) == ROWS


async def test_a_slow_copy_that_comes_late_does_no_harm(tmp_path: Path):
    """It is overtaken by the next attempt, and goes on after that has been committed."""
    async with account() as (sandbox, _):
        share = await share_in(tmp_path)
        slow = start_part(sandbox, share, attempt=0, rows=ROWS, stop_at=110)
        await until(lambda: len(keys(sandbox)) >= 100)
        quick = start_part(sandbox, share, attempt=1, rows=ROWS)
        first = await asyncio.to_thread(report_of, quick)
        late = await asyncio.to_thread(report_of, slow)
        assert sorted(keys(sandbox)) == ALL
        assert first.created + first.existing == late.created + late.existing == ROWS
        assert first.existing >= 100
        assert first.refused == late.refused == 0
