"""The failure file and the summary."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeover_async.errors import JournalError, UsageError
from chargeover_async.migrate import Summary
from chargeover_async.migrate.job.outputs import RESULTS, Failure, FailureFile, ResultFile

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


# -- where it is sent, there it goes ------------------------------------------------------------

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="a device that is always full")


def write_results(path: Path, key: str = "c-1") -> ResultFile:
    with ResultFile(path) as results:
        results.write("customer", key, 7, "created", "a.csv", 2)
    return results


def write_failure(path: Path) -> FailureFile:
    with FailureFile(path) as failures:
        failures.write(FAILURE)
    return failures


@pytest.mark.parametrize("write", [write_results, write_failure])
def test_what_holds_data_of_customers_is_for_its_owner(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    """Nobody else on the machine can read it."""
    write(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@pytest.mark.parametrize("write", [write_results, write_failure])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_stays_one(
    tmp_path: Path, write: Callable[[Path], object], *, is_there: bool
) -> None:
    """What it leads to is written; an empty file is no obstacle for failures."""
    link, target = tmp_path / "link", tmp_path / "far" / "target"
    target.parent.mkdir()
    link.symlink_to(target)
    if is_there and write is write_failure:
        target.touch()
    write(link)
    assert link.is_symlink()
    assert "c-1" in target.read_text("utf-8")
    assert list(tmp_path.iterdir()) in ([link, target.parent], [target.parent, link])
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("write", [write_results, write_failure])
def test_a_pipe_is_written_to_and_stays(tmp_path: Path, write: Callable[[Path], object]) -> None:
    """Its reader gets the lines."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(path.read_text("utf-8")), daemon=True)
    reader.start()
    write(path)
    reader.join(60)
    assert "c-1" in got[0]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("write", [write_results, write_failure])
def test_a_link_that_leads_nowhere_is_named(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    """It is not replaced either."""
    path = tmp_path / "loop"
    path.symlink_to(path)
    with pytest.raises(UsageError, match="loop cannot be written: Too many levels of symbolic"):
        write(path)
    assert path.is_symlink()


def test_no_failures_leave_a_device_where_it_is() -> None:
    """``--failures /dev/null``."""
    for path in (Path(os.devnull), FULL):
        if path.exists():
            with FailureFile(path):
                pass
            assert stat.S_ISCHR(path.stat().st_mode)


@needs_full
def test_a_full_disk_loses_no_count() -> None:
    """What could not be written is said, at the end and in one sentence."""
    failures = write_failure(FULL)
    assert failures.count == 1
    assert failures.trouble == (
        "the failure file /dev/full cannot be written: No space left on device; "
        "1 of 1 failures are not in it"
    )
    with (
        FailureFile(FULL) as failures,
        pytest.raises(JournalError, match="No space left on device; make room and start again"),
    ):
        failures.append(["{}"])
    assert "the results file /dev/full cannot be written: No space" in write_results(FULL).trouble


def test_a_line_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the disk is full in the middle of it; the next that finds room is written."""
    path, write = tmp_path / "f.jsonl", os.write
    with FailureFile(path) as failures:
        failures.write(FAILURE)
        room = [20]

        def write_a_part(file: int, data: bytes) -> int:
            if not room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(file, data[: room.pop()])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write_a_part)
            failures.write(FAILURE)
        failures.write(FAILURE)
    first, second = path.read_text("utf-8").splitlines()
    assert first == second
    assert "1 of 3 failures are not in it" in failures.trouble


def test_results_that_found_no_room_are_not_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay beside it, and the message says where."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    results = write_results(tmp_path / "r.csv")
    assert not (tmp_path / "r.csv").exists()
    assert results.trouble.endswith(f"what could be written is in {tmp_path / 'r.csv.part'}")
    assert "c-1" in (tmp_path / "r.csv.part").read_text("utf-8")


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_results_read_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, keys: list[str]):
    """Whatever is in a key, a lone carriage return included, for every reader of CSV."""
    path = tmp_path_factory.mktemp("r") / "r.csv"
    with ResultFile(path) as results:
        for key in keys:
            results.write("customer", key, 7, "created", "a.csv", 2)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        list(RESULTS),
        *(["customer", key, "7", "created", "a.csv", "2"] for key in keys),
    ]
    assert path.read_bytes().count(b"\r") == sum(key.count("\r") for key in keys)
