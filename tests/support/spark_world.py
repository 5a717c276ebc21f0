"""What the tests of the Spark source share: options for a sandbox, and a schema without Spark."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster_world import wait_for_customers

from chargeover_async.sandbox import Sandbox
from chargeover_async.spark import ChargeOverSource
from chargeover_async.spark.interface import current_task
from chargeover_async.spark.writer import Writer

QUOTA = "2000/1"


class Schema:
    """As much of Spark's StructType as is asked for."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def fieldNames(self) -> list[str]:
        return self._names


def options(sandbox: Sandbox, folder: Path | None = None, **more: Any) -> dict[str, str]:
    """Spark's, as texts; with a folder a quota is shared there."""
    given = {"url": sandbox.url, "object": "customer", "quota": QUOTA}
    if folder is not None:
        given["quotaShare"] = str(folder / "quota")
    return given | {name: str(value) for name, value in more.items()}


def log_in(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials in the environment, where tasks look for them."""
    monkeypatch.setenv("CHARGEOVER_USERNAME", sandbox.username)
    monkeypatch.setenv("CHARGEOVER_PASSWORD", sandbox.password)


class KilledOnce(ChargeOverSource):
    """The source, whose worker is killed once: in partition 1, when rows of it are there."""

    def writer(self, schema: Any, overwrite: bool) -> Any:
        return _Killed(self.options, schema)


class _Killed(Writer):
    def __init__(self, given: Any, schema: Any) -> None:
        super().__init__({name: text for name, text in given.items() if name != "flag"}, schema)
        self._flag = Path(given["flag"])

    def write(self, iterator: Iterator[Any]) -> Any:
        return super().write(self._slices(iterator))

    def _slices(self, iterator: Iterator[Any]) -> Iterator[Any]:
        """25 rows at a time; behind the fourth the process dies, if none has before."""
        slices = (
            batch.slice(first, 25) for batch in iterator for first in range(0, batch.num_rows, 25)
        )
        for number, rows in enumerate(slices):
            if number == 4 and current_task().partition == 1 and not self._flag.exists():
                wait_for_customers(self._connect.url, 250)
                self._flag.touch()
                os._exit(9)
            yield rows
