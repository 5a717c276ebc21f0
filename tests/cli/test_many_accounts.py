"""``export`` and ``sync`` with ``--accounts``: each account for itself, and every trouble told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chargeover_async.cli import cli
from chargeover_async.sandbox import Faults, Sandbox


class World:
    """Sandboxes on a loop of another thread, and a file that names them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "accounts.toml"
        self.sandboxes: list[Sandbox] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def add(self, name: str, records: int = 0, *, password: str = "", **options: Any) -> Sandbox:
        sandbox = Sandbox(quota=None, **options)
        asyncio.run_coroutine_threadsafe(sandbox.start(), self._loop).result(300)
        self.sandboxes.append(sandbox)
        for number in range(1, records + 1):
            sandbox.store.seed("customer", {"customer_id": number, "company": f"{name} {number}"})
        with self.file.open("a") as file:
            file.write(
                f'[{name}]\nurl = "{sandbox.url}"\nusername = "{sandbox.username}"\n'
                f'password = "{password or sandbox.password}"\n'
            )
        return sandbox

    def stop(self, sandbox: Sandbox) -> None:
        asyncio.run_coroutine_threadsafe(sandbox.stop(), self._loop).result(300)
        self.sandboxes.remove(sandbox)

    def close(self) -> None:
        for sandbox in [*self.sandboxes]:
            self.stop(sandbox)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(300)
        self._loop.close()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    found = World(tmp_path)
    yield found
    found.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="chargeover-async")


def test_every_account_gets_a_folder(world: World) -> None:
    """With a file for each object, whichever name of it was used."""
    for number in range(12):
        world.add(f"a{number}", number)
    result = run("export", "customers", "item", "--accounts", "accounts.toml", "--output", "lake")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "12 of 12 accounts are complete: 66 records" in result.stderr
    for number in range(12):
        lines = Path(f"lake/a{number}/customer.jsonl").read_bytes().splitlines()
        assert [json.loads(line)["customer_id"] for line in lines] == list(range(1, number + 1))
        assert Path(f"lake/a{number}/item.jsonl").exists()


def test_the_trouble_of_some_leaves_the_others_complete(world: World) -> None:
    """Wrong credentials, a server that answers 500, and one that is away: told, and exit code 1."""
    for number in range(4):
        world.add(f"a{number}", 2)
    world.add("wrong", password="no")
    world.add("sick", faults=Faults({"500": 1.0}))
    world.stop(world.add("away"))
    result = run("export", "customer", "--accounts", "accounts.toml", "--output", "lake", "--json")
    assert result.exit_code == 1
    told = {entry["account"]: entry for entry in json.loads(result.stdout)}
    assert len(told) == 7
    assert all(told[f"a{number}"]["records"] == {"customer": 2} for number in range(4))
    assert all(told[f"a{number}"]["errors"] == {} for number in range(4))
    for name in ("wrong", "sick", "away"):
        assert told[name]["records"] == {}
        assert told[name]["errors"]
        assert not Path(f"lake/{name}/customer.jsonl").exists()
    assert "4 of 7 accounts are complete: 8 records" in result.stderr


def test_a_sync_of_many_goes_on_where_each_was(world: World) -> None:
    one, two = world.add("one", 2), world.add("two", 1)
    arguments = ("sync", "customer", "--accounts", "accounts.toml", "--folder", "lake")
    assert run(*arguments).exit_code == 0
    one.store.seed("customer", {"customer_id": 9, "company": "new"})
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "2 of 2 accounts are complete: 1 records" in result.stderr
    [line] = Path("lake/one/customer-000002.jsonl").read_bytes().splitlines()
    assert json.loads(line)["customer_id"] == 9
    assert not Path("lake/two/customer-000002.jsonl").exists()
    assert len(two.store.table("customer").ids) == 1


def test_all_objects(world: World) -> None:
    """Those that can be read in the way that is asked for."""
    world.add("one", 1)
    result = run("export", "--all-objects", "--accounts", "accounts.toml", "--output", "lake")
    assert result.exit_code == 0, result.stderr
    names = {path.stem for path in Path("lake/one").glob("*.jsonl")}
    assert {"customer", "invoice", "transaction", "package", "user", "item", "country"} <= names
    result = run("sync", "--all-objects", "--accounts", "accounts.toml", "--folder", "synced")
    assert result.exit_code == 0, result.stderr
    assert list(Path("synced/one").glob("customer-000001.jsonl"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["export"], 2, "Missing argument"),
        (["export", "customer", "item"], 2, "--accounts"),
        (["export", "--all-objects"], 2, "--accounts"),
        (["export", "--accounts", "accounts.toml", "--output", "lake"], 2, "--all-objects"),
        (["export", "customer", "--accounts", "accounts.toml"], 2, "--output FOLDER"),
        (["sync", "customer", "--accounts", "gone.toml", "--folder", "x"], 4, "cannot be read"),
        (["sync", "nonsense", "--accounts", "accounts.toml", "--folder", "x"], 4, "nonsense"),
        (["sync", "item", "items", "--accounts", "accounts.toml", "--folder", "x"], 4, "twice"),
        (
            ["sync", "item", "--accounts", "accounts.toml", "--folder", "x", "--url", "y"],
            2,
            "--url",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_sent(
    world: World, arguments: list[str], code: int, said: str
) -> None:
    sandbox = world.add("one")
    result = run(*arguments)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
    assert not sandbox.log


def test_a_name_that_is_no_folder_is_refused(world: World) -> None:
    world.file.write_text('["../up"]\nurl = "https://a.chargeover.com/api/v3"\n')
    result = run("export", "item", "--accounts", "accounts.toml", "--output", "lake")
    assert result.exit_code == 4
    assert "cannot name a folder" in result.stderr
