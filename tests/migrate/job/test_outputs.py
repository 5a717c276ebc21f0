"""The failure file and the summary."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from chargeover_async.errors import UsageError
from chargeover_async.migrate import Summary
from chargeover_async.migrate.job.outputs import Failure, FailureFile

FAILURE = Failure(
    file="a.csv",
    row=3,
    object="customer",
    key="c-1",
    state="refused",
    error="BadRequest",
    message="No: 4111111111111111",
    data={"company": "Ünï", "custom_1": Decimal("0.10"), "password": "hunter2"},
    source={"Name": "Ünï", "Card": "4111111111111111"},
)


def test_failures_are_json_lines_without_secrets(tmp_path: Path) -> None:
    """One object a line, on disk as soon as it is written, amounts as exact numbers."""
    path = tmp_path / "f.jsonl"
    with FailureFile(path) as failures:
        failures.write(FAILURE)
        (line,) = path.read_text("utf-8").splitlines()
        failures.write(FAILURE)
    assert json.loads(line, parse_float=Decimal) == {
        "file": "a.csv",
        "row": 3,
        "object": "customer",
        "key": "c-1",
        "state": "refused",
        "error": "BadRequest",
        "message": "No: [masked]1111",
        "data": {"company": "Ünï", "custom_1": Decimal("0.10"), "password": "[masked]"},
        "source": {"Name": "Ünï", "Card": "[masked]"},
    }
    assert len(path.read_text("utf-8").splitlines()) == 2


def test_no_failures_leave_no_file(tmp_path: Path) -> None:
    """An empty file says nothing; an empty one of before is no obstacle."""
    path = tmp_path / "f.jsonl"
    path.touch()
    with FailureFile(path):
        pass
    assert not path.exists()


def test_file_of_an_earlier_import_is_never_overwritten(tmp_path: Path) -> None:
    """It may be the only record of what is missing."""
    path = tmp_path / "f.jsonl"
    path.write_text("precious\n")
    with (
        pytest.raises(UsageError, match=r"f\.jsonl exists and holds the failures of an earlier"),
        FailureFile(path),
    ):
        pass
    assert path.read_text() == "precious\n"


def test_failure_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Before anything is sent, not at the first failure."""
    with (
        pytest.raises(UsageError, match=r"the failure file .*f\.jsonl cannot be written: No such"),
        FailureFile(tmp_path / "no" / "f.jsonl"),
    ):
        pass


def test_summary_is_one_line_of_json() -> None:
    """With the names that scripts rely on."""
    found = json.loads(Summary(operations=3, created=2, failed=1).json())
    assert {"operations", "created", "failed", "unknown", "requests", "seconds"} <= found.keys()
    assert "\n" not in Summary(operations=3, stopped="a\nb").json()
