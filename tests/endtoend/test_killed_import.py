"""An import that is killed with -9 again and again loses no record and doubles none.

By default a few kills of a small import. The long form, 10,000 rows and 100 kills each, runs with
``CHARGEOVER_KILLS=100`` in the environment and takes some minutes; it prints its figures (-s).
"""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.kill_world import kill, start, start_sandbox
from support.ports import free_port

from chargeover_async.errors import JournalError
from chargeover_async.migrate import read_rows, read_state
from chargeover_async.sandbox import Sandbox

KILLS = int(os.environ.get("CHARGEOVER_KILLS", "2"))
ROWS = 200 * KILLS if KILLS < 100 else 10_000  # half customers, half invoices that refer to them
SEED = int(os.environ.get("CHARGEOVER_SEED", "1"))
PLAN = """
[[load]]
object = "customer"
file = "customers.csv"
[load.fields]
external_key = "c-{Id}"
company = "{Name}"

[[load]]
object = "invoice"
file = "invoices.csv"
[load.fields]
external_key = "i-{Id}"
customer_external_key = "c-{Customer}"
memo = "{Memo}"
line_items = "{Lines}"
"""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9"),
    pytest.mark.timeout(3_600 if KILLS >= 100 else 900),
]


class World:
    """The input, the journal, and a sandbox on disk in a process of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan = path / "plan.toml"
        self.journal = path / "import.journal"
        self.store = path / "account.sandbox"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v3"
        self.dice = random.Random(SEED)
        half = ROWS // 2
        self.customers = {f"c-{n}": f"Ünternehmen {n}" for n in range(half)}
        self.invoices = {f"i-{n}": f"c-{self.dice.randrange(half)}" for n in range(half)}
        self.plan.write_text(PLAN.replace("invoices.csv", "invoices.jsonl"), "utf-8")
        (path / "customers.csv").write_text(
            "Id,Name\n" + "".join(f"{k[2:]},{name}\n" for k, name in self.customers.items()),
            "utf-8",
        )
        (path / "invoices.jsonl").write_text(
            "".join(
                json.dumps(
                    {
                        "Id": key[2:],
                        "Customer": customer[2:],
                        "Memo": f"memo of {key}",
                        "Lines": [{"item_id": 1, "line_rate": 1, "line_quantity": 2}],
                    }
                )
                + "\n"
                for key, customer in self.invoices.items()
            ),
            "utf-8",
        )
        self._server: subprocess.Popen[str] | None = None
        self.again = path / "again.journal"

    def change(self) -> int:
        """Rename a tenth of the customers in their file, and add some; how many these are."""
        renamed = self.dice.sample(sorted(self.customers), len(self.customers) // 10)
        self.customers.update({key: f"Renamed {key}" for key in renamed})
        half = ROWS // 2
        self.customers.update({f"c-{n}": f"New {n}" for n in range(half, half + half // 20)})
        (self.path / "customers.csv").write_text(
            "Id,Name\n" + "".join(f"{k[2:]},{name}\n" for k, name in self.customers.items()),
            "utf-8",
        )
        return len(renamed)

    def serve(self) -> None:
        self._server = start_sandbox(self.port, self.store, self.dice.randrange(1_000))

    def kill_server(self) -> None:
        assert self._server is not None
        kill(self._server)

    def stop(self) -> dict[str, int]:
        """End the sandbox in order; what it has seen."""
        assert self._server is not None
        self._server.terminate()
        out, err = self._server.communicate(timeout=600)
        assert self._server.returncode == 0, err
        self._server = None
        return dict(json.loads(out.splitlines()[-1]))

    def close(self) -> None:
        if self._server is not None:
            kill(self._server)

    def start(self, rate: float) -> subprocess.Popen[str]:
        return start("import", self.plan, self.journal, self.url, rate)

    def settled(self) -> int:
        """Rows that the journal calls created."""
        try:
            return sum(load.states.get("created", 0) for load in read_state(self.journal).loads)
        except JournalError:  # there is none yet
            return 0

    def finish(self) -> dict[str, object]:
        """Let the import run to its end, with more runs if one had to give up."""
        summary: dict[str, object] = {}
        for _ in range(10):
            process = self.start(1_000)
            out, err = process.communicate(timeout=600)
            assert process.returncode == 0, err
            summary = json.loads(out.splitlines()[-1])
            if summary["created"] == ROWS:
                return summary
        raise AssertionError(f"ten runs did not finish it: {summary}")

    async def check(self) -> None:
        """The store holds the input and nothing else, and the journal says the same."""
        sandbox = Sandbox(path=self.store)
        await sandbox.start()
        store = sandbox.store
        held = {name: list(store.records(name)) for name in ("customer", "invoice")}
        await sandbox.stop()
        assert sorted(customer["external_key"] for customer in held["customer"]) == sorted(
            self.customers
        )
        assert sorted(invoice["external_key"] for invoice in held["invoice"]) == sorted(
            self.invoices
        )
        ids = {customer["external_key"]: customer["customer_id"] for customer in held["customer"]}
        for customer in held["customer"]:
            assert customer["company"] == self.customers[customer["external_key"]]
        for invoice in held["invoice"]:
            assert invoice["customer_id"] == ids[self.invoices[invoice["external_key"]]]
            assert invoice["memo"] == f"memo of {invoice['external_key']}"
            assert invoice["total"] == 2
        ids |= {invoice["external_key"]: invoice["invoice_id"] for invoice in held["invoice"]}
        rows = list(read_rows(self.journal))
        assert {row.key: row.id for row in rows} == ids
        assert {row.state for row in rows} == {"created"}
        results = (self.path / "results.csv").read_text("utf-8").splitlines()[1:]
        assert {row.split(",")[1]: int(row.split(",")[2]) for row in results} == ids
        assert not (self.path / "failures.jsonl").exists()


@contextmanager
def world_in(path: Path) -> Iterator[World]:
    world = World(path)
    # An item for the invoices to be about, before anything is lost.
    world.serve()
    try:
        seed(world)
        yield world
    finally:
        world.close()


def seed(world: World) -> None:
    body = json.dumps({"item": [{"name": "the item with id 1"}]}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=300)
    connection.request("POST", "/_sandbox/seed", body)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


def test_import_killed_at_random_moments(tmp_path: Path) -> None:
    """Killed while it starts, checks, sends and settles: at the end the store is the input."""
    with world_in(tmp_path) as world:
        kills = runs = 0
        while kills < KILLS:
            done = world.settled()
            # Ahead of the schedule it is killed early, or it would be done before the last kill.
            ahead = done / ROWS > kills / KILLS
            process = world.start(40)
            runs += 1
            if ahead:
                time.sleep(world.dice.uniform(0, 0.8))
            else:
                deadline = time.monotonic() + 600
                while world.settled() == done and process.poll() is None:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                time.sleep(world.dice.uniform(0, 0.2))
            kills += kill(process)
            assert runs < 3 * KILLS + 10
        summary = world.finish()
        assert (summary["failed"], summary["unknown"]) == (0, 0)
        seen = world.stop()
        asyncio.run(world.check())
        least = 2 * math.ceil(ROWS / 2 / 25)
        print(
            f"\n{ROWS} rows, {kills} kills of the import, {seen['lookups']} look-ups, "
            f"{seen['requests']} requests, {seen['requests'] - least} beyond the minimum {least}"
        )


def test_second_import_killed_at_random_moments(tmp_path: Path) -> None:
    """It reads what is there, changes what differs and adds what is new: each once, in the end."""
    with world_in(tmp_path) as world:
        world.finish()
        renamed = world.change()
        journal = world.journal
        world.journal = world.again
        kills = runs = 0
        while kills < KILLS and runs < 3 * KILLS + 10:
            process = start("import", world.plan, world.again, world.url, 10, "update")
            runs += 1
            time.sleep(world.dice.uniform(0.3, 1.5))
            kills += kill(process)
        summary: dict[str, object] = {}
        for _ in range(10):
            process = start("import", world.plan, world.again, world.url, 1_000, "update")
            out, err = process.communicate(timeout=600)
            assert process.returncode == 0, err
            summary = json.loads(out.splitlines()[-1])
            if summary["not_reached"] == 0:
                break
        assert (summary["failed"], summary["unknown"], summary["not_reached"]) == (0, 0, 0)
        assert summary["existing"] == ROWS - renamed
        world.stop()
        world.journal = journal
        asyncio.run(check_held(world))
        print(f"\n{ROWS} rows, {kills} kills of the second import, {renamed} renamed")


async def check_held(world: World) -> None:
    """The store is what the files say, no record more."""
    sandbox = Sandbox(path=world.store)
    await sandbox.start()
    held = {name: list(sandbox.store.records(name)) for name in ("customer", "invoice")}
    await sandbox.stop()
    assert {
        record["external_key"]: record["company"] for record in held["customer"]
    } == world.customers
    assert len(held["customer"]) == len(world.customers)
    assert sorted(record["external_key"] for record in held["invoice"]) == sorted(world.invoices)


def test_sandbox_killed_at_random_moments(tmp_path: Path) -> None:
    """The server dies and comes back while the import runs: at the end the store is the input."""
    with world_in(tmp_path) as world:
        kills = 0
        process = world.start(40)
        while kills < KILLS:
            if process.poll() is not None:  # it was out of reach, perhaps from the beginning
                _, err = process.communicate()
                assert process.returncode == 0 or "errors.ConnectFailed: " in err, err
                process = world.start(40)
            time.sleep(world.dice.uniform(0, 0.5) if world.settled() < ROWS else 0.1)
            world.kill_server()
            kills += 1
            time.sleep(world.dice.uniform(0, 0.1))
            world.serve()
        process.communicate(timeout=600)
        summary = world.finish()
        assert (summary["failed"], summary["unknown"]) == (0, 0)
        world.stop()
        asyncio.run(world.check())
        print(f"\n{ROWS} rows, {kills} kills of the sandbox")
