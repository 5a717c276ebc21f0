"""The example for Ray Data, on Ray with two workers, one of which is killed."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.cluster_world import FAST, account, customers, keys, wait_for_customers
from support.export_world import fill
from support.places import EXAMPLES, TESTS

from chargeover_async.limits import Priority
from chargeover_async.limits.file import FileLimiter

ray = pytest.importorskip("ray.data", reason="needs ray[data]")
pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("default"),  # ray's own, and its dependencies'
]


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """The module, with a Ray of two workers that can import it, too."""
    import chargeover_async

    root = Path(chargeover_async.__file__).parents[1]
    path = os.pathsep.join(map(str, (root, TESTS, EXAMPLES)))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        patch.setenv("RAY_DEDUP_LOGS", "0")
        importlib.import_module("ray").init(
            num_cpus=2,
            include_dashboard=False,
            runtime_env={"env_vars": {"PYTHONPATH": path}},
        )
        yield importlib.import_module("ray_sink")
        importlib.import_module("ray").shutdown()


def killed_once(sink: type[Any]) -> type[Any]:
    """The sink, whose worker dies once, in the middle of its rows."""

    class Killed(sink):  # type: ignore[misc]
        def __init__(self, *given: Any, flag: Path, **options: Any) -> None:
            super().__init__(*given, **options)
            self.flag = flag

        def write(self, blocks: Iterable[Any], ctx: Any) -> Any:
            return super().write(self._until_killed(blocks, ctx.task_idx), ctx)

        def _until_killed(self, blocks: Iterable[Any], number: int) -> Iterator[Any]:
            for block in blocks:
                yield block.slice(0, 110)
                if number == 1 and not self.flag.exists():
                    wait_for_customers(self.write_rows.keywords["connect"].url, 250)
                    self.flag.touch()
                    os._exit(9)
                yield block.slice(110)

    return Killed


async def test_a_worker_that_is_killed_costs_nothing(example: Any, tmp_path: Path):
    """Ray tries the task again: nothing twice, nothing left out."""
    share, flag = tmp_path / "quota", tmp_path / "killed"
    async with FileLimiter(share, FAST) as limiter:
        (await limiter.acquire(Priority.DIRECT)).unused()
    async with account(quota_share=str(share)) as (sandbox, connect):

        def job() -> Any:
            sink = killed_once(example.AccountSink)(
                "customer", connect, failures=str(tmp_path / "failures.jsonl"), flag=flag
            )
            dataset = ray.from_items(customers(400), override_num_blocks=2)
            retries = {"max_retries": 3, "retry_exceptions": True}
            dataset.write_datasink(sink, concurrency=2, ray_remote_args=retries)
            return sink.total

        total = await asyncio.to_thread(job)
        assert flag.exists()
        assert total.created + total.existing == total.rows == 400
        assert total.existing >= 50
        assert sorted(keys(sandbox)) == sorted(f"c-{number}" for number in range(400))


async def test_refused_rows_are_in_the_file_and_accounts_are_read(example: Any, tmp_path: Path):
    async with account() as (sandbox, connect):
        fill(sandbox, range(1, 700))
        failures = tmp_path / "failures.jsonl"

        def job() -> int:
            sink = example.AccountSink("customer", connect, failures=str(failures))
            rows = [{"external_key": "key-1", "company": "Somebody else"}]
            ray.from_items(rows, override_num_blocks=1).write_datasink(sink)
            source = example.AccountSource("customer", [connect], fields=["customer_id"])
            return ray.read_datasource(source).count()

        assert await asyncio.to_thread(job) == 699
        assert msgspec.json.decode(failures.read_bytes())["key"] == "key-1"
