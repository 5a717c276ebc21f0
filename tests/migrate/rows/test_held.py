"""Files that are pipes, and files that change while they are read."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from support.import_world import CUSTOMERS, INVOICES, Account, Folder

from chargeover_async.migrate import ImportJob, Progress, read_plan, rows_plan
from chargeover_async.migrate.rows import FORMATS, BadFile, Held
from chargeover_async.migrate.rows.held import BLOCK


def write_rows(path: Path, mark: str, count: int) -> None:
    """In place, as an editor does that keeps the file's number; always as many bytes."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(b"Id,Name\n")
        for number in range(count):
            file.write(f"{number:06},{mark}{'x' * 190}\n".encode())


def test_bytes_are_those_that_were_measured_or_none(tmp_path: Path) -> None:
    """A change is noticed before any byte of its block is handed out, wherever one begins."""
    path = tmp_path / "a"
    content = bytes(range(256)) * (BLOCK // 256 * 2 + 1)
    path.write_bytes(content)
    held = Held(path).measure()
    assert held.measure() is held
    for position in (0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 3):
        with held.open() as file:
            file.seek(position)
            assert file.read() == content[position:]
            assert file.seek(-2, os.SEEK_END) == len(content) - 2
            assert file.read() == content[-2:]
    for changed in (BLOCK, len(content) - 1):
        path.write_bytes(content[:changed] + b"\xfe\xfe" + content[changed + 2 :])
        with held.open() as file:
            whole = changed // BLOCK * BLOCK
            assert file.read(whole) == content[:whole]
            with pytest.raises(BadFile, match="a changed after it was checked"):
                file.read(1)
    for length in (0, 5, BLOCK, 2 * BLOCK):
        path.write_bytes(content[:length])
        with held.open() as file, pytest.raises(BadFile, match="changed after it was checked"):
            file.read()


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_rows_of_every_format_are_those_that_were_measured(tmp_path: Path, ending: str) -> None:
    """Also where a library of others reads the file."""
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"A\n1\n" * 9)
    source = FORMATS["parquet" if ending == "parquet" else "csv"](Held(path)).measure()
    path.write_bytes(b"A\n2\n" * 9)
    with pytest.raises(BadFile, match="changed after it was checked"):
        list(source.rows())


async def test_a_file_that_is_rewritten_while_it_is_sent_ends_the_import(
    folder: Folder, account: Account
) -> None:
    """What was sent by then is of the file that was checked."""
    path = folder.path / "customers.csv"
    write_rows(path, "a", 4_000)
    job = ImportJob(folder.plan(CUSTOMERS), failures=account.failures)

    def rewrite(progress: Progress) -> None:
        if progress.created == 1:
            write_rows(path, "b", 4_000)

    summary = await job.run(account.co, observe=rewrite)
    assert summary.stopped.endswith("customers.csv changed after it was checked")
    assert summary.failed == 0
    assert 0 < summary.created < summary.operations
    sent = {record["company"][:1] for record in account.sandbox.store.records("customer")}
    assert sent == {"a"}


async def test_rows_of_a_program_that_change_after_the_check_are_not_sent(account: Account) -> None:
    """They have no file to compare: a row that is bad now was good then."""
    rows = [{"external_key": "a", "company": "A"}, {"external_key": "b", "company": "B"}]
    job = ImportJob(rows_plan({"customer": rows}), failures=account.failures)
    job.check()
    rows[1]["compny"] = "B"
    summary = await job.run(account.co)
    assert (summary.created, summary.failed, summary.not_reached) == (1, 0, 1)
    assert summary.stopped == "customer rows row 2 changed after it was checked"


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
async def test_pipes_are_files_that_can_be_read_once(folder: Folder, account: Account) -> None:
    """The customers, and invoices of which each line is a row of the same pipe."""
    names = ("customers.csv", "invoices.csv")
    for name in names:
        os.mkfifo(folder.path / name)
    contents = (b"Id,Name\n1,A\n2,B\n", b"Id,Customer,Date,Rate\n7,1,2026-01-01,1.50\n")
    plan = folder.plan(CUSTOMERS + INVOICES.replace("lines.csv", "invoices.csv").replace(
        '{ Invoice = "Id" }', '{ Id = "Id" }'
    ))  # fmt: skip

    def write() -> None:
        for name, content in zip(names, contents, strict=True):
            (folder.path / name).write_bytes(content)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    job = ImportJob(plan, failures=account.failures, journal=account.journal)
    assert job.check().operations == 3
    assert [row.data["company"] for row in job.preview() if row.object == "customer"] == ["A", "B"]
    assert (await job.run(account.co)).created == 3
    writer.join(60)


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
async def test_a_failure_file_may_come_through_a_pipe(folder: Folder, account: Account) -> None:
    """It is read as often as there are objects."""
    path = folder.path / "again.jsonl"
    os.mkfifo(path)
    plan = read_plan(path)
    line = b'{"object":"customer","data":{"external_key":"a","company":"A"}}\n'
    writer = threading.Thread(target=path.write_bytes, args=(line,), daemon=True)
    writer.start()
    assert (await account.load(plan)).created == 1
    writer.join(60)
