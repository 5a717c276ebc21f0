"""A quota shared by a file: several limiters of one process stand for several processes here."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import pytest
from support.fake_loop import run
from support.quota_world import worst_window
from support.waiting import until

from chargeover_async.errors import NotSent, UsageError
from chargeover_async.limits import Priority, QuotaSettings, share
from chargeover_async.limits.file import FileLimiter
from chargeover_async.limits.shared import SharedLimiter

SETTINGS = QuotaSettings(40, 1.0, guard_s=0.05)
SECONDS = 10.0


async def greedy(limiter, sends):
    now = asyncio.get_running_loop().time
    while now() < SECONDS:
        permit = await limiter.acquire(Priority.BULK)
        permit.sent()
        sends.append(now())
        await asyncio.sleep(0.01)
        permit.done()


def test_those_who_name_the_file_share_the_quota(tmp_path, monkeypatch):
    """Three limiters, 40 in any second between them, nearly all of it used, each its part.

    Real files and no threads, so that the time can be a number.
    """

    async def at_once(function, *arguments):
        return function(*arguments)

    monkeypatch.setattr("asyncio.to_thread", at_once)
    path = tmp_path / "acme.quota"
    sends: list[list[float]] = [[], [], []]

    async def main():
        now = asyncio.get_running_loop().time
        limiters = []
        for _ in sends:
            limiters.append(FileLimiter(path, SETTINGS, trust_empty=True, clock=now))
            limiters[-1]._books._clock = now
        jobs = [
            greedy(limiter, times)
            for limiter, times in zip(limiters, sends, strict=True)
            for _ in range(5)
        ]
        await asyncio.gather(*jobs)
        for limiter in limiters:
            await limiter.aclose()

    run(main())
    together = sorted(at for times in sends for at in times)
    assert worst_window(together, 1.0) <= 40
    assert len(together) >= 0.95 * 40 * SECONDS
    assert min(len(times) for times in sends) >= len(together) / 3 / 2


async def test_a_new_file_is_not_trusted_by_default(tmp_path, caplog):
    """It may have been deleted while others used it: a window is waited out first."""
    async with FileLimiter(tmp_path / "new", QuotaSettings(10, 0.4, guard_s=0.01)) as limiter:
        began = time.monotonic()
        (await limiter.acquire(Priority.DIRECT)).done()
        assert time.monotonic() - began >= 0.4
    assert "is new" in caplog.text


async def test_a_file_deleted_under_it_is_noticed(tmp_path, caplog):
    """The books go on in the new file that others would find, after the wait."""
    path = tmp_path / "acme.quota"
    settings = QuotaSettings(10, 0.4, guard_s=0.01)
    async with FileLimiter(path, settings, trust_empty=True) as limiter:
        (await limiter.acquire(Priority.DIRECT)).done()
        for file in tmp_path.iterdir():
            file.unlink()
        began = time.monotonic()
        await asyncio.sleep(0.1)
        (await limiter.acquire(Priority.DIRECT)).done()
        assert time.monotonic() - began >= 0.4
    assert path.exists()
    assert "is lost" in caplog.text


async def test_the_books_survive_their_users(tmp_path):
    """What one has used counts for the next that opens the file."""
    path = tmp_path / "acme.quota"
    settings = QuotaSettings(5, 3000.0, burst=2, guard_s=0.1)
    async with FileLimiter(path, settings, trust_empty=True) as limiter:
        for _ in range(2):
            (await limiter.acquire(Priority.DIRECT)).done()
    async with FileLimiter(path, settings) as limiter:
        waiter = asyncio.ensure_future(limiter.acquire(Priority.DIRECT))
        await until(lambda: limiter.stats.in_window > 0)
        assert limiter.stats.in_window >= 2
        waiter.cancel()


async def test_no_database_is_an_error(tmp_path):
    """A file of somebody else's is left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and long enough to be seen as none" * 100)
    before = path.read_bytes()
    limiter = FileLimiter(path)
    with pytest.raises(UsageError, match="not a database"):
        await limiter.acquire(Priority.BULK)
    await limiter.aclose()
    assert path.read_bytes() == before


@pytest.fixture
def somebody():
    """Whoever the test runs as then, the system's rights are heeded."""
    if not hasattr(os, "geteuid"):
        pytest.skip("rights as POSIX has them")
    me = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if me == 0:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(me)
            folder.chmod(0o755)


@pytest.mark.parametrize("what", ["file", "folder", "file that may be read"])
async def test_missing_rights_are_an_error(somebody, what):
    """They do not come by waiting: whoever waits is told at once, and what to do."""
    path = somebody / "acme.quota"
    async with FileLimiter(path, SETTINGS, trust_empty=True) as limiter:
        (await limiter.acquire(Priority.DIRECT)).done()
    path.chmod({"file": 0o000, "file that may be read": 0o400}.get(what, 0o600))
    if what == "folder":
        path.unlink()
        somebody.chmod(0o500)
    limiter = FileLimiter(path, SETTINGS)
    with pytest.raises(UsageError, match="it takes the rights to write this file and in its fold"):
        await asyncio.wait_for(limiter.acquire(Priority.BULK), 300)
    await limiter.aclose()


def test_a_folder_that_may_not_be_entered_is_refused_at_once(somebody):
    """As one that is not there."""
    inner = somebody / "inner"
    inner.mkdir()
    somebody.chmod(0o000)
    with pytest.raises(UsageError, match="may not be used"):
        FileLimiter(inner / "acme.quota")


async def test_a_folder_that_goes_away_is_waited_for(tmp_path, caplog):
    """The reason is in the log while requests wait: it may be mounted again."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    limiter = FileLimiter(folder / "acme.quota")
    folder.rmdir()
    waiter = asyncio.ensure_future(limiter.acquire(Priority.BULK))
    await until(lambda: "unable to open database file" in caplog.text)
    await limiter.aclose()
    with pytest.raises(NotSent):
        await waiter


async def test_a_lock_that_is_held_makes_all_wait(tmp_path, monkeypatch):
    """By a process that was stopped in the middle of an exchange, say; it goes on afterwards."""
    monkeypatch.setattr("chargeover_async.limits.file._BUSY_S", 0.05)
    path = tmp_path / "acme.quota"
    async with FileLimiter(path, SETTINGS, trust_empty=True) as limiter:
        (await limiter.acquire(Priority.DIRECT)).done()
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        waiters = [asyncio.ensure_future(limiter.acquire(Priority.BULK)) for _ in range(50)]
        await until(lambda: limiter.is_away)
        blocker.execute("ROLLBACK")
        blocker.close()
        await waiters[10]
        assert not limiter.is_away
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)


@pytest.mark.parametrize(
    "where", ["", "  ", "http://localhost", "rediss:/x://y", "postgres://me:secret@host/db"]
)
def test_what_names_neither_redis_nor_a_file(where):
    """Refused without the rest of the URL, which may hold a password."""
    with pytest.raises(UsageError) as caught:
        share(where, "acme")
    assert "secret" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path):
    """Said at once."""
    with pytest.raises(UsageError, match="no file that a quota can be shared by"):
        share(tmp_path, "acme")


def test_one_word_says_where(tmp_path):
    """A path is a file, a URL is Redis."""
    assert isinstance(share(tmp_path / "a.quota", "acme"), FileLimiter)
    pytest.importorskip("redis")
    limiter = share("redis://localhost:1/0", "acme")
    assert isinstance(limiter, SharedLimiter)
    assert "chargeover:{acme}:quota" in repr(limiter)
    assert "redis" in sys.modules


def test_a_file_in_no_folder_is_refused_at_once(tmp_path):
    """Nobody makes the folder; waiting for the file would be for ever."""
    with pytest.raises(UsageError, match="its folder does not exist"):
        FileLimiter(tmp_path / "mistyped" / "acme.quota")
