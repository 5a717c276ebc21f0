"""Where an export's bytes go: files, links, pipes, devices; who may read them; full disks."""

# ruff: noqa: ASYNC240 - small files, and nobody waits
from __future__ import annotations

import asyncio
import errno
import os
import stat
import sys
from pathlib import Path

import pytest
from support.export_world import account, ids_in, lines

from chargeover_async.errors import UsageError
from chargeover_async.export import ExportJob, SyncJob
from chargeover_async.export.part import Part, is_stream

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files as POSIX has them")

OUT = Path("out.jsonl")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv.gz", "out.parquet"])
async def test_new_files_are_for_their_owner_only(name: str) -> None:
    """Whatever the umask says: the output, and everything beside it."""
    before = os.umask(0)
    try:
        async with account(ids=range(1, 700)) as (_, co):
            seen: set[int] = set()
            job = ExportJob("customer", Path(name))
            await job.run(co, observe=lambda _: seen.update(map(mode_of, Path().iterdir())))
            assert mode_of(Path(name)) == 0o600
            await SyncJob("customer", Path("synced")).run(co)
            assert {mode_of(path) for path in Path("synced").iterdir()} | seen == {0o600}
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
async def test_a_file_that_is_replaced_keeps_its_rights(name: str) -> None:
    """Whoever was let read it may read the new one."""
    Path(name).write_text("old")
    Path(name).chmod(0o640)
    async with account(ids=[1]) as (_, co):
        await ExportJob("customer", Path(name)).run(co)
    assert mode_of(Path(name)) == 0o640
    assert Path(name).read_bytes() != b"old"


@pytest.mark.parametrize("dangling", [False, True])
async def test_a_link_is_followed(dangling: bool) -> None:
    """The file that it names is written, in one step; the link stays."""
    Path("there").mkdir()
    target = Path("there/target.jsonl")
    if not dangling:
        target.write_text("old")
    Path("second").symlink_to(target)
    OUT.symlink_to("second")
    async with account(ids=[1, 2]) as (sandbox, co):
        job = ExportJob("customer", OUT)
        assert job.part == Path("there/target.jsonl.part").absolute()
        await job.run(co)
        assert [row["customer_id"] for row in lines(target)] == ids_in(sandbox)
    assert OUT.is_symlink()
    assert Path("second").is_symlink()
    assert {path.name for path in Path("there").iterdir()} == {"target.jsonl"}


async def test_a_sync_follows_the_link_of_its_note() -> None:
    """As anything else that it writes."""
    Path("synced").mkdir()
    Path("elsewhere.json").write_text("")
    Path("elsewhere.json").unlink()
    note = Path("synced/customer.sync.json")
    note.symlink_to(Path("elsewhere.json").absolute())
    async with account(ids=[1]) as (_, co):
        await SyncJob("customer", Path("synced")).run(co)
        assert (await SyncJob("customer", Path("synced")).run(co)).records == 0
    assert note.is_symlink()
    assert Path("elsewhere.json").exists()


@pytest.mark.parametrize("name", ["pipe", "pipe.csv", "pipe.jsonl.gz"])
async def test_a_pipe_is_written_to(name: str) -> None:
    """Its reader is waited for; nothing stands beside it, and it stays what it was."""
    os.mkfifo(name)
    async with account(ids=range(1, 1_200)) as (_, co):
        task = asyncio.create_task(ExportJob("customer", Path(name)).run(co))
        await asyncio.sleep(0)
        got = await asyncio.to_thread(Path(name).read_bytes)
        assert (await task).records == 1_199
    assert got.startswith(b"\x1f\x8b" if name.endswith("gz") else (b"{", b"customer_id"))
    assert stat.S_ISFIFO(Path(name).stat().st_mode)
    assert [path.name for path in Path().iterdir()] == [name]


async def test_a_pipe_without_a_reader_can_be_given_up() -> None:
    """Nothing hangs in a thread."""
    os.mkfifo("pipe")
    async with account(ids=[1]) as (sandbox, co):
        task = asyncio.create_task(ExportJob("customer", Path("pipe")).run(co))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not sandbox.log


async def test_a_device_is_written_to() -> None:
    """Never replaced by a file."""
    async with account(ids=[1]) as (_, co):
        assert (await ExportJob("customer", Path(os.devnull)).run(co)).records == 1
        Path("null.csv").symlink_to(os.devnull)
        assert (await ExportJob("customer", Path("null.csv")).run(co)).records == 1
    assert is_stream(Path(os.devnull))
    assert not list(Path(os.devnull).parent.glob("null*.part*"))


def test_what_cannot_go_into_a_stream_is_said() -> None:
    """And what is no file is no part of an export."""
    os.mkfifo("pipe")
    with pytest.raises(UsageError, match="Parquet cannot be written to a stream"):
        ExportJob("customer", Path("pipe"), format="parquet")
    os.mkfifo("out.jsonl.part")
    with pytest.raises(UsageError, match=r"out\.jsonl\.part cannot be written"):
        Part(OUT, {})
    with pytest.raises(UsageError, match="no regular file"):
        Part(Path("pipe"), {})


def test_a_descriptor_is_a_stream_whatever_it_is() -> None:
    """``/dev/stdout`` of a command whose output goes to a file."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    with OUT.open("wb") as file:
        assert is_stream(Path(f"/proc/self/fd/{file.fileno()}"))
        Path("link").symlink_to(f"/proc/self/fd/{file.fileno()}")
        assert is_stream(Path("link"))
    assert not is_stream(OUT)
    assert not is_stream(Path("nothing"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
async def test_a_full_device_is_an_error_and_counts_what_was_written() -> None:
    """Nothing is said to be written that was not."""
    async with account(ids=range(1, 700)) as (_, co):
        job = ExportJob("customer", Path("/dev/full"))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await job.run(co)
        assert job.summary().records == 0


async def test_a_full_disk_leaves_the_old_file_and_counts_what_is_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The note tells as much as is on the disk; with room again the same job goes on."""
    OUT.write_text("old\n")
    written = 0
    truly = Part.append

    def append(self: Part, data: bytes) -> None:
        nonlocal written
        written += 1
        if written > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        truly(self, data)

    async with account(ids=range(1, 3_000)) as (sandbox, co):
        job = ExportJob("customer", OUT, clock=iter(range(10**9)).__next__)
        with monkeypatch.context() as patch:
            patch.setattr(Part, "append", append)
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                await job.run(co)
        assert OUT.read_text() == "old\n"
        assert job.summary().records == 1_000
        summary = await ExportJob("customer", OUT).run(co)
        assert summary.resumed_at == 1_000
        assert [row["customer_id"] for row in lines(OUT)] == ids_in(sandbox)


async def test_what_the_disk_did_not_take_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the last save fails, as it will."""

    def flush(self: Part) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with account(ids=range(1, 1_300)) as (_, co):
        job = ExportJob("customer", OUT, clock=iter(range(10**9)).__next__)
        monkeypatch.setattr(Part, "flush", flush)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await job.run(co)
        assert job.summary().records == 0
        assert not OUT.exists()


async def test_a_folder_that_may_not_be_entered_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wrong usage, before anything is sent."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    async with account(ids=[1]) as (sandbox, co):
        for name in ("stat", "lstat", "readlink", "open"):
            monkeypatch.setattr(os, name, refuse)
        with pytest.raises(UsageError, match="cannot be written: Permission denied"):
            await ExportJob("customer", tmp_path / "closed" / "out.jsonl").run(co)
        monkeypatch.undo()
        assert not sandbox.log


async def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 name a file as well; the summary shows them."""
    name = os.fsdecode(b"out-\xff.jsonl")
    try:
        Path(name).touch()
    except OSError:
        pytest.skip("file names are UTF-8 here")
    async with account(ids=[1]) as (_, co):
        summary = await ExportJob("customer", Path(name)).run(co)
        assert "out-\\\\xff.jsonl" in summary.json()
        folder = Path(os.fsdecode(b"\xff"))
        assert "\\\\xff/customer-000001" in (await SyncJob("customer", folder).run(co)).json()
