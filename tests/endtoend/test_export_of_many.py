"""A whole object, page by page, in as few requests as its pages need; the file is the store.

A few thousand records by default; the long form, ``CHARGEOVER_EXPORT_RECORDS=1000000``, takes some
minutes and prints its figures (-s).
"""

from __future__ import annotations

import gc
import json
import os
import statistics
from decimal import Decimal
from pathlib import Path

import pytest

from chargeover_async import ChargeOver
from chargeover_async.export import ExportJob
from chargeover_async.limits import NoLimit
from chargeover_async.sandbox import Sandbox

RECORDS = int(os.environ.get("CHARGEOVER_EXPORT_RECORDS", "1500"))
PAGE = 500
# The highest id, the number before, and the end behind the last page; and what tells the account.
MORE = 10

pytestmark = [pytest.mark.process, pytest.mark.timeout(7_200)]


@pytest.mark.parametrize(("gap", "more"), [(0, 1.0), (7, 1.15)], ids=["dense", "gaps"])
async def test_plain_pages_need_a_request_each_and_hardly_any_more(
    tmp_path: Path, gap: int, more: float
) -> None:
    """1,000,000 records in 2,010 requests; where ids are missing, pages are not quite full."""
    sandbox = Sandbox(quota=None, max_log=1_000_000)
    for number in range(1, RECORDS + 1):
        sandbox.store.seed(
            "customer",
            {
                "customer_id": number + (number // gap if gap else 0),
                "company": f"Ünternehmen {number}",
                "external_key": f"k{number}",
                "balance": f"{number}.{number % 100:02}",
            },
        )
    if RECORDS > 10_000:
        gc.freeze()  # or the collector goes through a million records again and again
    output = tmp_path / "customers.jsonl"
    async with (
        sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        summary = await ExportJob("customer", output, pages_per_request=1).run(co)
    pages = [request.took for request in sandbox.log if f"limit={PAGE}" in request.query]
    tenth = len(pages) // 10 or 1
    ratio = statistics.median(pages[-tenth:]) / statistics.median(pages[:tenth])
    print(f"\n{RECORDS} records, {len(sandbox.log)} requests, {summary.seconds:.0f} s,"
          f" last tenth of pages over first {ratio:.2f}")  # fmt: skip
    assert not summary.pages_in_bulk
    assert (summary.records, summary.counted) == (RECORDS, RECORDS)
    assert summary.requests == len(sandbox.log) <= RECORDS / PAGE * more + MORE
    with output.open(encoding="utf-8") as lines:
        for line, held in zip(lines, sandbox.store.records("customer"), strict=True):
            found = json.loads(line, parse_float=Decimal)
            assert found["customer_id"] == held["customer_id"]
            assert found["company"] == held["company"]
            assert found["external_key"] == held["external_key"]
            assert Decimal(found["balance"]) == Decimal(held["balance"])
