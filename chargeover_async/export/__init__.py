"""Whole objects out of an account: as structs, or as files that survive a kill.

::

    async for invoice in records(co.invoices, where=F.total > 100):
        ...

    job = ExportJob("invoice", Path("invoices.jsonl"), where=["total > 100"])
    print(await job.run(co))

    async for batch in arrow_batches(co.customers): # pyarrow.RecordBatch
        ...

What is promised of records that change meanwhile is said in ``docs/export.md``.
"""

from __future__ import annotations

from .arrow import arrow_batches
from .job import ExportJob, ExportProgress, ExportSummary
from .records import records
from .sync import SyncJob, SyncSummary

__all__ = (
    "ExportJob",
    "ExportProgress",
    "ExportSummary",
    "SyncJob",
    "SyncSummary",
    "arrow_batches",
    "records",
)
