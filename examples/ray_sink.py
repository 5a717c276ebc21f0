"""ChargeOver for Ray Data: rows out of accounts, and rows into one, each once.

    connect = Connect.from_env(quota_share="redis://quota:6379/0")
    dataset = ray.data.read_datasource(AccountSource("invoice", [connect]))
    dataset.write_datasink(
        AccountSink("customer", connect, key="shop-{id}", failures="failures.jsonl"),
        concurrency=2,
        ray_remote_args={"max_retries": 3, "retry_exceptions": True},
    )

Ray repeats a task whose worker died without end: `max_retries` bounds that, as a row that kills its
worker would do so for ever. It does not repeat one that raised: `retry_exceptions` does, and so
settles rows whose answers were lost. It does not tell a task how often it was tried, so each try
counts as the first: it creates, and compares what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa
from ray.data import Datasink, Datasource, ReadTask
from ray.data.block import BlockAccessor, BlockMetadata
from ray.data.datasource import WriteResult

from chargeover_async.cluster import (
    Connect,
    Part,
    PartReport,
    finish_parts,
    plan_parts,
    read_part,
    write_part,
)


class AccountSource(Datasource):
    """One task an account; ``options`` are those of `plan_parts`."""

    def __init__(self, name: str, accounts: list[Connect], **options: Any) -> None:
        super().__init__()
        self.parts = plan_parts(name, accounts, **options)

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, *_: Any, **__: Any) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(partial(tables, part), unknown) for part in self.parts]


def tables(part: Part) -> Iterator[pa.Table]:
    return (pa.Table.from_batches([batch]) for batch in read_part(part))


class AccountSink(Datasink[PartReport]):
    """``options`` are those of `write_part`; ``failures`` is the file for what was refused."""

    def __init__(self, name: str, connect: Connect, *, failures: str, **options: Any) -> None:
        self.failures = failures
        self.write_rows: Callable[..., PartReport] = partial(
            write_part, object=name, connect=connect, attempt=0, **options
        )
        connect.check()  # wrong credentials show here; a new quota has its minute of waiting
        self.total: PartReport | None = None

    def write(self, blocks: Iterable[Any], ctx: Any) -> PartReport:
        rows = (BlockAccessor.for_block(block).to_arrow() for block in blocks)
        return self.write_rows(rows, part=ctx.task_idx, parts=ctx.task_idx + 1)

    def on_write_complete(self, write_result: WriteResult[PartReport]) -> None:
        self.total = finish_parts(write_result.write_returns, failures=self.failures)
        print(self.total)
