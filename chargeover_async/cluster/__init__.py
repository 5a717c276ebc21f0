"""Past one process: what an engine's tasks (Spark, Ray, Dask, ...) call to write and to read.

::

    connect = Connect.from_env()                          # on the driver; picklable
    report = write_part(rows, "invoice", connect, attempt=0)            # in each task
    total = finish_parts([report], failures="failures.jsonl")           # on the driver

    for part in plan_parts("invoice", [connect]):                       # on the driver
        for batch in read_part(part):                                   # in each task
            ...

Plain functions that block, without any engine; whatever they take and return can be pickled. An
engine may repeat a task, run two copies of it at once and kill its worker at any moment: nothing is
lost or created twice by that, because every row has a key (``docs/engines.md``).
"""

from __future__ import annotations

from .accounts import AccountOutcome, Accounts
from .connect import Connect, FileLogin, Login, read_accounts
from .finish import finish_parts
from .plan import Part, plan_parts
from .read import part_schema, read_part
from .report import PartReport
from .rows import check_columns
from .write import write_part

__all__ = (
    "AccountOutcome",
    "Accounts",
    "Connect",
    "FileLogin",
    "Login",
    "Part",
    "PartReport",
    "check_columns",
    "finish_parts",
    "part_schema",
    "plan_parts",
    "read_accounts",
    "read_part",
    "write_part",
)
