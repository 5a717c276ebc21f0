"""``chargeover-async diff``, and the forecast of a second import."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chargeover_async.cli import cli
from chargeover_async.sandbox import Sandbox

PLAN = """
[[load]]
object = "customer"
file = "customers.csv"
[load.fields]
external_key = "c-{Id}"
company = "{Name}"
custom_1 = "{Card}"
brand_id = 1
tags = ["{Tag}"]

[[load]]
object = "item"
file = "items.csv"
[load.fields]
external_key = "i-{Id}"
name = "{Name}"
pricemodel = { base = "{Price}", pricemodel = "uni", paycycle = "evy" }
"""
CUSTOMERS = "Id,Name,Card,Tag\n1,A,,x\n2,B,4111111111111111,x\n3,C,,y\n"
ITEMS = "Id,Name,Price\n1,Tea,2.50\n"
ENV = ("CHARGEOVER_URL", "CHARGEOVER_USERNAME", "CHARGEOVER_PASSWORD")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox on a loop of another thread, as the account of the environment."""
    asyncio.set_event_loop(None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN, "utf-8")
    (tmp_path / "customers.csv").write_text(CUSTOMERS, "utf-8")
    (tmp_path / "items.csv").write_text(ITEMS, "utf-8")
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


def test_an_account_that_holds_the_plan_does_not_differ(account: Sandbox) -> None:
    """After an import, exit code 0; before it, each row is to be created."""
    result = run("diff", "plan.toml", "--fail-on-difference")
    assert result.exit_code == 1
    assert result.stdout.count("create customer") == 3
    assert "4 to create, 0 to change, 0 as they are, 0 besides" in result.stdout
    assert run("import", "plan.toml").exit_code == 0
    before = len(account.log)
    result = run("diff", "plan.toml", "--fail-on-difference")
    assert (result.exit_code, result.stdout.splitlines()[:-1]) == (0, [])
    assert "0 to create, 0 to change, 4 as they are" in result.stdout
    later = list(account.log)[before:]
    asked = [entry.method for entry in later if not entry.path.endswith("/_bulk")]
    asked += [item.method for entry in later for item in entry.items]
    assert set(asked) == {"GET"}


def test_what_differs_is_told_field_by_field_and_secrets_are_masked(account: Sandbox) -> None:
    """Before and after, on a terminal and as JSON; what is besides, too."""
    assert run("import", "plan.toml").exit_code == 0
    rows = CUSTOMERS.replace("1,A,,x", "1,Ä,,new").replace("3,C,,y", "9,N,,y")
    Path("customers.csv").write_text(rows.replace("4111111111111111", "5555555555554444"), "utf-8")
    Path("items.csv").write_text(ITEMS.replace("2.50", "3.00"), "utf-8")
    result = run("diff", "plan.toml", "--fail-on-difference")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert 'change customer "c-1", record 1 (customers.csv row 2)' in lines
    assert '    company: "A" -> "Ä"' in lines
    assert '    tags: ["x"] -> ["new"]' in lines
    assert 'create customer "c-9" (customers.csv row 4)' in lines
    assert 'besides customer "c-3", record 3' in lines
    assert any("pricemodel" in line and "does not change it" in line for line in lines)
    assert "5555555555554444" not in result.stdout
    assert "4111111111111111" not in result.stdout
    found = [json.loads(line) for line in run("diff", "plan.toml", "--json").stdout.splitlines()]
    assert found[-1]["counts"] == {"create": 1, "change": 2, "leave": 1, "besides": 1, "fixed": 1}
    (changed,) = [row for row in found[:-1] if row["key"] == "c-1"]
    assert changed["fields"][0] == {
        "name": "company",
        "before": "A",
        "after": "Ä",
        "is_shown": True,
        "is_sent": True,
    }


def test_a_plan_that_cannot_be_imported_is_not_compared(account: Sandbox) -> None:
    """Bad input is 4, no account 5."""
    Path("customers.csv").write_text("Id,Name,Card,Tag\n1,A,,\n1,B,,\n", "utf-8")
    assert run("diff", "plan.toml").exit_code == 4
    assert len(account.log) == 0
    assert run("diff", "plan.toml", "--skip-bad-rows", "--url", "http://127.0.0.1:9").exit_code == 5


def test_a_forecast_of_an_update_says_what_it_is_made_of(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the account where that can be read, by the files where not."""
    rows = "".join(f"{n},N{n},,\n" for n in range(100))
    Path("customers.csv").write_text(f"Id,Name,Card,Tag\n{rows}", "utf-8")
    assert run("import", "plan.toml").exit_code == 0
    Path("customers.csv").write_text(f"Id,Name,Card,Tag\n{rows}".replace("N7", "M7"), "utf-8")
    result = run("import", "plan.toml", "--update", "--dry-run")
    assert result.exit_code == 0
    assert (
        "By what the account holds now: 0 to create, 11 to change, 90 as they are" in result.stdout
    )
    assert "Nothing was changed." in result.stdout
    found = json.loads(run("import", "plan.toml", "--update", "--dry-run", "--json").stdout)
    assert (found["by"], found["changes"], found["leaves"]) == ("account", 11, 90)
    monkeypatch.delenv("CHARGEOVER_PASSWORD")
    result = run("import", "plan.toml", "--update", "--dry-run")
    assert "By the files alone, as if nothing were there yet: set CHARGEOVER_PASSWORD" in (
        result.stdout
    )
    found = json.loads(run("import", "plan.toml", "--dry-run", "--json").stdout)
    assert found["by"] == "files"
