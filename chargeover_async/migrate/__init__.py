"""Import jobs: files of customers, invoices, items and users into an account, by a small plan.

::

    plan = read_plan(Path("plan.toml"))
    job = ImportJob(plan, failures=Path("failures.jsonl"))
    print(job.check())                      # reads and checks everything, sends nothing
    async with ChargeOver.from_env() as co:
        print(await job.run(co))

The plan's format is described in ``docs/import.md``.
"""

from __future__ import annotations

from .check import BadInput, Forecast
from .difference import Change, FieldDifference, Outlook, RowDifference, compare_plan, find_change
from .job import Failure, ImportJob, LoadSummary, Preview, Progress, Summary
from .journal import Journal, JournalLoad, JournalRow, JournalState, read_rows, read_state
from .plan import Plan, parse_plan, read_plan, rows_plan
from .rows import Problem

__all__ = (
    "BadInput",
    "Change",
    "Failure",
    "FieldDifference",
    "Forecast",
    "ImportJob",
    "Journal",
    "JournalLoad",
    "JournalRow",
    "JournalState",
    "LoadSummary",
    "Outlook",
    "Plan",
    "Preview",
    "Problem",
    "Progress",
    "RowDifference",
    "Summary",
    "compare_plan",
    "find_change",
    "parse_plan",
    "read_plan",
    "read_rows",
    "read_state",
    "rows_plan",
)
