"""A second import: how many requests it takes to bring an account up to its files.

    python -m benchmarks.rerun [--json] [--full] [--rows N]

Customers in an account, and the same in a file: unchanged, 1 % changed and 0.5 % new, all changed;
and 200 rows against an account of four times as many records. The sandbox's log is the witness.
Beside it what the rows take without reading first, and as one would do it by hand, by a PUT for
every row, 25 a request. ``seconds_at_quota`` is what the requests take at 250 a minute, and
``bound`` what is to be kept.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._common import finish, options_of, report
from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
from chargeover_async.migrate import ImportJob, read_plan
from chargeover_async.sandbox import Sandbox

PLAN = """
[[load]]
object = "customer"
file = "customers.csv"
[load.fields]
external_key = "c-{Id}"
company = "{Name}"
bill_city = "{City}"
"""
PER_MINUTE = 250


async def rerun(
    folder: Path, names: dict[int, str], records: int, **options: Any
) -> dict[str, Any]:
    """An import of ``names`` into an account with so many customers, called N and their number."""
    rows = "".join(f"{number},{name},Bath\n" for number, name in names.items())
    (folder / "customers.csv").write_text(f"Id,Name,City\n{rows}", "utf-8")
    (folder / "plan.toml").write_text(PLAN, "utf-8")
    async with (
        Sandbox(quota=None) as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        for number in range(records):
            sandbox.store.seed(
                "customer",
                {"external_key": f"c-{number}", "company": f"N{number}", "bill_city": "Bath"},
            )
        job = ImportJob(read_plan(folder / "plan.toml"), update=True, **options)
        job.check()
        begun = time.perf_counter()
        summary = await job.run(co)
        took = time.perf_counter() - begun
        held = {
            record["external_key"]: record["company"]
            for record in sandbox.store.records("customer")
        }
        assert summary.failed == summary.unknown == summary.not_reached == 0, summary
        assert all(held[f"c-{number}"] == name for number, name in names.items())
        return {
            "requests": len(sandbox.log),
            "changed": summary.updated,
            "new": summary.created,
            "seconds": round(took, 1),
            "seconds_at_quota": round(len(sandbox.log) * 60 / PER_MINUTE, 1),
        }


async def measure(rows: int, few: int) -> dict[str, Any]:
    """All cases, with the bound that each is held to."""
    unchanged = {number: f"N{number}" for number in range(rows)}
    some = {
        number: f"M{number}" if number % 100 == 0 else name for number, name in unchanged.items()
    }
    some.update({number: f"N{number}" for number in range(rows, rows + rows // 200)})
    every = {number: f"M{number}" for number in range(rows)}
    little = {number: f"M{number}" if number % 100 == 0 else f"N{number}" for number in range(few)}
    cases = {
        "unchanged": (unchanged, rows),
        "some_changed": (some, rows),
        "all_changed": (every, rows),
        "few_of_many": (little, 4 * rows),
    }
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (names, records) in cases.items():
            figures = await rerun(Path(folder), names, records)
            reading = 5 + records / 12_500
            written = math.ceil(figures["new"] / 25) + math.ceil(figures["changed"] / 25)
            if name == "few_of_many":
                figures["bound"] = math.floor(1.1 * (few / 25 + figures["changed"] / 25) + 8)
            else:
                figures["bound"] = math.floor(1.1 * (reading + written))
            figures["put_by_hand"] = math.ceil(len(names) / 25)
            found[name] = figures
        without = await rerun(Path(folder), some, rows, read_first=False)
        found["some_changed"]["without_reading"] = without["requests"]
    return found


def table(result: dict[str, Any]) -> Iterator[str]:
    """The figures for a reader."""
    for name, figures in result["cases"].items():
        shown = ", ".join(f"{what} {figure}" for what, figure in figures.items())
        yield f"{name:14}{shown}"


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    options = options_of("rerun", __doc__, arguments, rows=(50_000, 200_000), rounds=(1, 1))
    cases = asyncio.run(measure(options.rows, min(200, options.rows)))
    result = report("rerun", {"rows": options.rows, "cases": cases})
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
