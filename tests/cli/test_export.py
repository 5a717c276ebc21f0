"""``chargeover-async export``: its messages and exit codes, and a real kill."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.waiting import wait_until

from chargeover_async import __main__
from chargeover_async.cli import cli
from chargeover_async.export.reader import Reader
from chargeover_async.sandbox import Sandbox, Variant

ENV = ("CHARGEOVER_URL", "CHARGEOVER_USERNAME", "CHARGEOVER_PASSWORD")
KILLS = int(os.environ.get("CHARGEOVER_TEST_KILLS", "3"))


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox on a loop of another thread, as the account of the environment."""
    monkeypatch.chdir(tmp_path)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sandbox = Sandbox(quota=None, variant=Variant(accept_query=False))
    asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(300)
    for name, value in zip(ENV, (sandbox.url, sandbox.username, sandbox.password), strict=True):
        monkeypatch.setenv(name, value)
    yield sandbox
    asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(300)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(300)
    loop.close()


def fill(sandbox: Sandbox, count: int) -> None:
    for number in range(1, count + 1):
        sandbox.store.seed("customer", {"customer_id": number, "company": f"Ünï {number}"})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["export", *arguments], prog_name="chargeover-async")


def test_a_file_or_standard_output(account: Sandbox) -> None:
    """Data goes to one, words to standard error."""
    fill(account, 3)
    result = run("customer", "--fields", "customer_id, company")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == '{"customer_id":2,"company":"Ünï 2"}'
    assert "3 records of customer: 2 requests" in result.stderr
    result = run("customers", "--output", "c.csv", "--where", "customer_id > 2", "--json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert Path("c.csv").read_text("utf-8").count("\n") == 2
    assert json.loads(result.stderr.splitlines()[-1])["records"] == 1


def test_mistakes_exit_with_4_and_send_nothing(account: Sandbox) -> None:
    """And say what is known instead."""
    for arguments, words in (
        (["invoce"], 'did you mean "invoice"'),
        (["invoice", "--where", "totl > 1"], 'did you mean "total"'),
        (["invoice", "--fields", "total,totl"], 'no field "totl"'),
        (["invoice", "--output", "x.foo"], "tells no format"),
        (["quote", "--since", "2026-01-01"], "no mod_datetime"),
    ):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (4, "")
        assert words in result.stderr
    assert run("invoice", "--format", "xml").exit_code == 2
    assert not account.log


def test_wrong_credentials_exit_with_5(account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every command; the message says that nothing was read."""
    monkeypatch.setenv("CHARGEOVER_PASSWORD", "wrong")
    result = run("customer", "--output", "c.jsonl")
    assert result.exit_code == 5
    assert "Nothing was read; check CHARGEOVER_USERNAME" in result.stderr
    assert not Path("c.jsonl").exists()


def test_a_server_that_stays_sick_ends_it_with_1(account: Sandbox) -> None:
    """Once the first contact has gone well; the summary comes all the same."""
    account.faults.script([None, "500", "500", "500"])
    result = run("customer", "--output", "c.jsonl", "--json")
    assert result.exit_code == 1
    assert "Stopped: GET /customer" in result.stderr
    assert json.loads(result.stderr.splitlines()[-1])["records"] == 0


def test_fewer_records_than_the_api_counts_exit_with_1(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is there, and so is the warning."""
    fill(account, 600)
    monkeypatch.setattr(type(account.store), "count", lambda self, name: 700)
    result = run("customer", "--output", "c.jsonl")
    assert result.exit_code == 1
    assert "counts 700 records and has listed 600" in result.stderr
    assert Path("c.jsonl").exists()


def environment() -> dict[str, str]:
    """For a new process that shall find the package that is tested here, wherever it lies."""
    return {**os.environ, "PYTHONPATH": str(Path(__main__.__file__).parents[1])}


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "chargeover_async", "export", *arguments]
    return subprocess.Popen(  # noqa: S603 - our own command
        command, stderr=subprocess.PIPE, env=environment()
    )


def saved() -> int:
    """How many records the note beside the part vouches for."""
    note = Path("c.jsonl.part.json")
    found: int = json.loads(note.read_bytes())["records"] if note.exists() else 0
    return found


@pytest.mark.process
def test_killed_again_and_again_it_ends_whole(account: Sandbox) -> None:
    """kill -9 at random moments, then to the end: every record once, and in order."""
    count = 15_000
    fill(account, count)
    account.faults.set_rates({"delay_before=0.4": 1.0})
    source = random.Random(11)
    for _ in range(KILLS):
        before = saved()
        process = start("customer", "--output", "c.jsonl")
        while saved() == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(source.uniform(0, 0.5))
        process.kill()
        process.communicate()
        assert before < saved() < count
        assert json.loads(Path("c.jsonl.part.json").read_bytes())["size"] <= (
            Path("c.jsonl.part").stat().st_size
        )
        assert not Path("c.jsonl").exists()
    account.faults.clear()
    process = start("customer", "--output", "c.jsonl", "--json")
    _, words = process.communicate(timeout=600)
    assert process.returncode == 0, words
    assert json.loads(words.splitlines()[-1])["resumed_at"] > 0
    found = [json.loads(row)["customer_id"] for row in Path("c.jsonl").read_bytes().splitlines()]
    assert found == list(range(1, count + 1))


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_read(account: Sandbox, number: signal.Signals) -> None:
    """One signal ends it with 1 and says how to go on; the next run does."""
    fill(account, 10_000)
    # After the first page nothing is answered any more: it cannot have ended when it is stopped.
    account.faults.script([None] * 6 + ["delay_before=600"] * 100)
    process = start("customer", "--output", "c.jsonl", "--where", "customer_id > 5")
    part = Path("c.jsonl.part")
    wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_size > 0))
    process.send_signal(number)
    _, words = process.communicate(timeout=600)
    assert process.returncode == 1, words
    assert b"Stopped: interrupted" in words
    assert b"records are in c.jsonl.part; the same command goes on from there" in words
    assert b"Traceback" not in words
    account.faults.clear()
    result = run("customer", "--output", "c.jsonl", "--where", "customer_id > 5")
    assert result.exit_code == 0
    assert "were there from an earlier run" in result.stderr
    assert Path("c.jsonl").read_bytes().count(b"\n") == 9_995


def test_sync_tells_what_is_new(account: Sandbox) -> None:
    """A file for each run; the summary on standard output; stopped ones say what is next."""
    fill(account, 3)
    arguments = ("customer", "--folder", "news", "--fields", "customer_id,company")
    assert "3 records of customer in news/customer-000001.jsonl" in sync(*arguments).stdout
    result = sync(*arguments, "--json")
    assert (result.exit_code, json.loads(result.stdout)["records"]) == (0, 0)
    account.store.seed("customer", {"customer_id": 9})
    account.faults.script([None, "500", "500", "500"])
    result = sync(*arguments)
    assert result.exit_code == 1
    assert "The next run does all of it once more." in result.stderr
    assert json.loads(sync(*arguments, "--json").stdout)["records"] == 1
    assert sync("customer", "--folder", "news").exit_code == 4
    assert "export them whole" in sync("currency", "--folder", "news").stderr
    assert sync(*arguments, "--overlap", "nan").exit_code == 4


def sync(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["sync", *arguments], prog_name="chargeover-async")


@pytest.mark.process
def test_a_reader_that_has_seen_enough_ends_it_quietly(account: Sandbox) -> None:
    """As head does: no traceback, and a code that is not 0."""
    fill(account, 3000)
    process = subprocess.Popen(
        [sys.executable, "-m", "chargeover_async", "export", "customer"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["customer_id"] == 1
    process.stdout.close()
    words = process.stderr.read()
    process.stderr.close()
    assert (process.wait(600), words) == (1, b"")


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        (">/dev/full", 1, "Stopped: standard output cannot be written: No space left on device"),
        (">&-", 4, "standard output is closed: name a file with --output"),
        (">/dev/null 2>&-", 0, ""),
        (">/dev/null 2>/dev/full", 0, ""),
    ],
)
def test_standard_streams_that_are_closed_or_full(
    account: Sandbox, redirection: str, code: int, words: str
) -> None:
    """Never a traceback, always the code; what can be said is said."""
    fill(account, 3)
    process = shell(f"{COMMAND} {redirection}")
    found = process.stderr.decode()
    assert (process.returncode, words in found) == (code, True), found
    assert "Traceback" not in found
    assert "Exception ignored" not in found


COMMAND = f"{sys.executable} -m chargeover_async export customer"


def shell(command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - our own command
        ["/bin/sh", "-c", command],
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
        timeout=600,
    )


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="as POSIX has it")
def test_a_file_that_grows_too_large(account: Sandbox) -> None:
    """As on a full disk: the file of before stays, and the command says how much is safe."""
    fill(account, 3_000)
    Path("c.jsonl").write_text("old\n")
    process = shell(f"ulimit -f 1000; {COMMAND} --output c.jsonl --json")
    found = process.stderr.decode()
    assert process.returncode == 1, found
    assert "Traceback" not in found
    assert "c.jsonl cannot be written: File too large" in found
    assert Path("c.jsonl").read_text() == "old\n"
    assert json.loads(found.splitlines()[-1])["records"] == saved()
    result = run("customer", "--output", "c.jsonl")
    assert result.exit_code == 0, result.stderr
    assert Path("c.jsonl").read_bytes().count(b"\n") == 3_000


def test_sync_says_when_records_are_missing(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the code of what is not whole."""
    fill(account, 3)
    monkeypatch.setattr(Reader, "is_short", property(lambda _: True))
    result = sync("customer", "--folder", "news", "--json")
    assert (result.exit_code, json.loads(result.stdout)["is_short"]) == (1, True)
    assert "the next run begins where this one did" in result.stderr


def test_an_export_that_cannot_go_on_says_so(account: Sandbox) -> None:
    """Notes are read by offset: what is there of them is begun anew."""
    for number in range(1, 700):
        account.store.seed("note", {"note": f"{number}"})
    account.faults.script([None, None, *["500"] * 9])
    result = run("note", "--output", "n.jsonl")
    assert (result.exit_code, "The same command begins anew." in result.stderr) == (1, True)
