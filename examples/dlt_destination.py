"""Rows of a dlt pipeline into the account of the environment (CHARGEOVER_URL, ...).

A table is named as an object (customers, invoices) and has a column external_key. dlt repeats a
batch that failed, and a pipeline that was killed is run again: each row is there once all the same.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.destination.exceptions import DestinationTerminalException

from chargeover_async.cluster import Connect, write_part


@dlt.destination(batch_size=1_000, loader_file_format="typed-jsonl", naming_convention="direct")
def chargeover(items: list[dict[str, Any]], table: dict[str, Any]) -> None:
    report = write_part(items, table["name"], Connect.from_env(), attempt=0)
    print(report)
    if report.refused:  # dlt has no other place for them; what is right is written already
        reasons = [f"{failure.key}: {failure.message}" for failure in report.refused_rows]
        raise DestinationTerminalException("\n".join(reasons))
