"""Imports with a journal from the command line, and the commands for the journal itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chargeover_async import __main__
from chargeover_async.cli import cli
from chargeover_async.sandbox import Sandbox

PLAN = """
[[load]]
object = "customer"
file = "customers.csv"
[load.fields]
external_key = "c-{Id}"
company = "{Name}"
"""
NO_KEYS = PLAN.replace('external_key = "c-{Id}"\n', "")
ENV = ("CHARGEOVER_URL", "CHARGEOVER_USERNAME", "CHARGEOVER_PASSWORD")


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox on a loop of another thread, as the account of the environment."""
    asyncio.set_event_loop(None)
    monkeypatch.chdir(tmp_path)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sandbox = Sandbox(quota=None)
    asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(300)
    for name, value in zip(ENV, (sandbox.url, sandbox.username, sandbox.password), strict=True):
        monkeypatch.setenv(name, value)
    yield sandbox
    asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(300)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(300)
    loop.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="chargeover-async")


def write(count: int, plan: str = PLAN) -> None:
    Path("plan.toml").write_text(plan, "utf-8")
    rows = "".join(f"{number},N{number}\n" for number in range(count))
    Path("customers.csv").write_text(f"Id,Name\n{rows}", "utf-8")


def test_second_run_goes_on_with_the_journal(account: Sandbox) -> None:
    """It exits with 0 and sends nothing; the results file has the ids."""
    write(30)
    arguments = ("import", "plan.toml", "--journal", "j", "--results", "r.csv", "--json")
    assert run(*arguments).exit_code == 0
    again = run(*arguments)
    assert again.exit_code == 0
    found = json.loads(again.stdout.splitlines()[-1])
    assert (found["created"], found["before"], found["requests"]) == (30, 30, 1)
    assert len(Path("r.csv").read_text("utf-8").splitlines()) == 31
    shown = run("journal", "show", "j")
    assert "customers.csv (customer): 30 rows: 30 created" in shown.stdout
    assert "not running" in shown.stdout
    as_json = json.loads(run("journal", "show", "j", "--json").stdout)
    assert as_json["loads"][0]["states"] == {"created": 30}
    rows = run("journal", "show", "j", "--state", "created", "--json").stdout.splitlines()
    assert json.loads(rows[0])["key"] == "c-0"


def test_unknown_rows_are_shown_and_resolved(account: Sandbox) -> None:
    """With file, row, time and data; then the next run knows."""
    write(2, NO_KEYS)
    account.faults.script([None, "lost"])
    first = run("import", "plan.toml", "--journal", "j")
    assert first.exit_code == 3
    assert "chargeover-async journal show j --unknown" in first.stderr
    shown = run("journal", "show", "j", "--unknown").stdout
    assert "customers.csv:2 customer unknown, sent 1 times, last 20" in shown
    assert '{"company":"N0"}' in shown
    assert run("journal", "resolve", "j", "customers.csv:2", "--id", "1").exit_code == 0
    assert run("journal", "resolve", "j", "customers.csv:3", "--absent").exit_code == 0
    assert run("import", "plan.toml", "--journal", "j").exit_code == 0
    assert account.store.count("customer") == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "none"), 4, "there is no journal none"),
        (("resolve", "none", "a.csv:1", "--absent"), 4, "there is no journal none"),
        (("resolve", "j", "a.csv", "--absent"), 4, "'a.csv' is not FILE:ROW"),
        (("resolve", "j", "a.csv:1", "--absent"), 4, "(0 = customers.csv)"),
        (
            ("resolve", "j", "customers.csv:2", "--absent"),
            4,
            "row 2 is not in doubt: it is created",
        ),
        (("resolve", "j", "customers.csv:2"), 2, "give either --id ID or --absent"),
    ],
)
def test_wrong_use_of_the_journal_commands(
    account: Sandbox, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """One message each; no file is made for a wrong name."""
    write(1)
    assert run("import", "plan.toml", "--journal", "j").exit_code == 0
    result = run("journal", *arguments)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert not Path("none").exists()


def test_changed_file_is_refused_with_the_code_of_bad_input(account: Sandbox) -> None:
    """4, and nothing was sent."""
    write(2)
    run("import", "plan.toml", "--journal", "j")
    write(3)
    result = run("import", "plan.toml", "--journal", "j")
    assert result.exit_code == 4
    assert "customers.csv has changed since the journal j was begun" in result.stderr
    assert account.store.count("customer") == 2


def test_update_changes_what_is_there(account: Sandbox) -> None:
    """Created or updated by key, and counted apart."""
    write(2)
    run("import", "plan.toml")
    text = Path("customers.csv").read_text("utf-8").replace("N1", "new") + "2,N2\n"
    Path("customers.csv").write_text(text, "utf-8")
    result = run("import", "plan.toml", "--update")
    assert result.exit_code == 0
    assert "1 created, 0 failed, 0 unknown, 1 updated, 1 existing" in result.stdout
    assert {record["company"] for record in account.store.records("customer")} == {
        "N0",
        "new",
        "N2",
    }
    assert run("import", "plan.toml", "--update", "--allow-existing").exit_code == 4


def test_dry_run_shows_the_first_rows_as_they_will_be_sent(account: Sandbox) -> None:
    """Masked; and sends nothing."""
    write(5)
    result = run("import", "plan.toml", "--dry-run")
    shown = 'customers.csv row 2 as customer: {"external_key":"c-0","company":"N0"}'
    assert shown in result.stdout
    assert result.stdout.count("as customer") == 3
    found = json.loads(run("import", "plan.toml", "--dry-run", "--json").stdout)
    assert found["first"][0]["data"] == {"external_key": "c-0", "company": "N0"}
    assert not account.log


def test_dry_run_counts_what_the_journal_has_settled(account: Sandbox) -> None:
    """And says so."""
    write(30)
    assert run("import", "plan.toml", "--journal", "j").exit_code == 0
    requests = len(account.log)
    result = run("import", "plan.toml", "--journal", "j", "--dry-run")
    assert result.stdout.startswith(
        "30 operations, 0 of them bad rows, 30 settled already by the journal: 1 requests, "
    )
    assert json.loads(run("import", "plan.toml", "--journal", "j", "--dry-run", "--json").stdout)[
        "before"
    ] == 30  # fmt: skip
    assert len(account.log) == requests


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_drains_and_says_how_to_go_on(account: Sandbox) -> None:
    """SIGINT in the middle: what is under way is settled, the rest not reached."""
    write(3_000)
    account.faults.set_rates({"delay_before=0.2": 1.0})
    environment = {**os.environ, "PYTHONPATH": str(Path(__main__.__file__).parents[1])}
    command = [sys.executable, "-m", "chargeover_async", "import", "plan.toml", "--journal", "j"]
    process = subprocess.Popen(  # noqa: S603 - the interpreter that runs this
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    deadline = time.monotonic() + 600
    while not account.store.count("customer"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1, err
    assert "what is under way is awaited" in err
    assert "Stopped: interrupted" in err
    assert "To go on, run the same command again: j knows what was done." in err
    there = account.store.count("customer")
    assert 0 < there < 3_000
    assert f"{there} created, 0 failed, 0 unknown" in out
    with sqlite3.connect("j") as journal:
        assert journal.execute("SELECT count(*) FROM rows WHERE state = 'created'").fetchone() == (
            there,
        )
    journal.close()


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_second_ctrl_c_stops_at_once_and_the_journal_is_whole(account: Sandbox) -> None:
    """Answers that would take ten minutes are not awaited; the next run finds out about each."""
    write(1_000)
    # One contact, then some requests of which half are done and half are not.
    account.faults.script([None, *["delay_before=600", "delay_after=600"] * 50])
    environment = {**os.environ, "PYTHONPATH": str(Path(__main__.__file__).parents[1])}
    command = [sys.executable, "-m", "chargeover_async", "import", "plan.toml", "--journal", "j"]
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - the interpreter that runs this
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        while not account.store.count("customer"):
            assert process.poll() is None
            assert time.monotonic() < began + 60
            time.sleep(0.05)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        for line in process.stderr:
            if "what is under way is awaited" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "Broken off." in err
    there = account.store.count("customer")
    with sqlite3.connect("j") as journal:
        states = dict(journal.execute("SELECT state, count(*) FROM rows GROUP BY state"))
        assert journal.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    journal.close()
    # Nobody was told of any of them: what is there is among those of which that is known.
    assert set(states) <= {"sent", "unknown", "open"}
    assert 0 < there <= states["unknown"] + states.get("sent", 0)
    assert f"0 created, 0 failed, {states['unknown']} unknown" in out
    account.faults.clear()
    again = run("import", "plan.toml", "--journal", "j", "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout.splitlines()[-1])["created"] == 1_000
    keys = [record["external_key"] for record in account.store.records("customer")]
    assert sorted(keys) == sorted(f"c-{number}" for number in range(1_000))
