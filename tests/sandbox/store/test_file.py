"""A sandbox with a file: what was answered is there again, whatever ended the one before."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sandbox_state import whole_state

from chargeover_async.sandbox import Sandbox, StorageError, Store, new_store
from chargeover_async.sandbox.api.bulk import run_bulk
from chargeover_async.sandbox.api.router import Api
from chargeover_async.sandbox.objects.table import OBJECTS
from chargeover_async.sandbox.store.row import Row, read, write

NEW = {"company": "Acme", "superuser_name": "Jo Miller"}
KILLS = int(
    os.environ.get("CHARGEOVER_KILLS", "3")
)  # 3 take some 3 s; CHARGEOVER_KILLS=100 for long


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


def post(store, target, payload):
    return Api(store).answer("POST", f"/api/v3/{target}", payload)


def customers(count, start=0):
    return [
        {
            "request_method": "POST",
            "uri": "/api/v3/customer",
            "payload": {"external_key": f"k{start + number}"},
        }
        for number in range(count)
    ]


def reopened(path):
    store = new_store(path=path)
    state = whole_state(store)
    store.close()
    return state


# What is kept


def test_everything_is_there_again(path):
    """Records, keys of deleted ones, tokens, numbers, revisions and actions; and ids go on."""
    store = new_store(path=path, seed=5)
    for key in ("a", "b"):
        post(store, "customer", {**NEW, "external_key": key})
    post(store, "item", {"name": "x", "pricemodel": {"base": 3, "tiers": [{"amount": "1.50"}]}})
    post(store, "invoice", {"customer_id": 1, "line_items": [{"item_id": 1, "line_rate": "5.00"}]})
    card = {"number": "4111111111111111", "expdate": "2099-01-01"}
    post(store, "invoice/10000?action=pay", card)
    Api(store).answer("PUT", "/api/v3/customer/1", {"company": "New", "custom_1": "1.0"})
    Api(store).answer("DELETE", "/api/v3/customer/2", None)
    store.seed("customer", {"customer_id": 50, "total": Decimal(7), "custom_1": [Decimal(1)]})
    before = whole_state(store)
    shown = {name: store.records(name) for name in store.specs}
    store.close()
    again = new_store(path=path, seed=5)
    assert whole_state(again) == before
    assert {name: again.records(name) for name in again.specs} == shown
    assert post(again, "customer", {"external_key": "b"}).code == 400
    assert post(again, "customer", {"external_key": "c"}).response == {"id": 51}
    tokens = [record["token"] for record in again.records("customer")]
    assert len(set(tokens)) == 3
    assert [done.action for done in again.actions] == ["pay"]
    revisions = Api(again).answer("GET", "/api/v3/customer/1/_revision", None)
    assert len(revisions.response) == 2
    again.close()


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_is_kept_without_a_line_of_its_own(path, name):
    """Whatever goes through the door of the store is stored, nested parts too."""
    store = new_store(path=path)
    fixed = next(iter(store.specs[name].derived), None)
    id_ = store.seed(name, {} if fixed is None else {fixed: None})
    row = store.table(name).rows[id_]
    with store.transaction():
        store.note(row, "2026-03-01 00:00:00", "seen")
    with store.transaction():
        store.change(row, unknown_8={"deep": [1, {"er": Decimal(7)}]})
    with store.transaction():
        store.forget(row)
    before = whole_state(store)
    store.close()
    assert reopened(path) == before
    assert "Decimal('7')" in before["rows"][name, id_]
    assert "seen" in before["rows"][name, id_]
    assert "unknown_8" in before["rows"][name, id_]


def test_file_of_the_first_version_is_opened(path):
    """One that an early sandbox wrote: all of it is there, and stays as it is byte by byte."""
    with sqlite3.connect(path) as db:
        db.executescript(Path(__file__).with_name("account_v1.sql").read_text("utf-8"))
        records = db.execute("SELECT object, id, data, more FROM record ORDER BY 1, 2").fetchall()
        keys = db.execute("SELECT object, key, id FROM taken_key").fetchall()
        numbers = dict(db.execute("SELECT name, value FROM number"))
        actions = db.execute("SELECT number, object, id, action FROM action").fetchall()
    db.close()
    store = new_store(path=path)
    for row in list(store.table("customer").scan()):
        store.change(row)  # read as it was, and written anew
    image = store.snapshot()
    assert sorted(image.records) == records
    assert (list(image.keys), image.numbers, list(image.actions)) == (keys, numbers, actions)
    customer = store.by_key("customer", "a")
    assert customer is not None
    assert (customer["company"], customer["custom_2"]) == ("A/B und Söhne", "2.00")
    assert customer["custom_1"] == {"deep": [1, Decimal("2.50"), None]}
    assert store.find("customer", 50)["total"] == 7
    assert post(store, "customer", {"external_key": "gone"}).code == 400
    assert store.find("invoice", 10000)["payments"] == Decimal("34.50")  # less the refund, as then
    assert post(store, "transaction/2?action=void", {}).response is True
    assert store.find("invoice", 10000)["payments"] == 40
    card = {"number": "4111111111111111", "expdate": "2099-01-01"}
    assert post(store, "invoice/10000?action=pay", card).response is True
    assert store.find("invoice", 10000)["balance"] == 0
    assert post(store, "customer", NEW).response == {"id": numbers["next_id:customer"]}
    store.close()
    assert len(reopened(path)["rows"]) == len(records) + 3


def test_object_that_an_older_version_did_not_model_gets_its_records(path):
    """A file without a trace of an object is given what a new account has of it, once."""
    new_store(path=path).close()
    preset = next(name for name, spec in OBJECTS.items() if spec.preset)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM record WHERE object = ?", (preset,))
        db.execute("DELETE FROM number WHERE name = ?", (f"next_id:{preset}",))
    db.close()
    state = reopened(path)
    assert [id_ for name, id_ in state["rows"] if name == preset]
    assert reopened(path) == state


def test_key_that_comes_back_to_life_and_goes_is_free(path):
    """A key left by a deleted record, given back to its id by a seed and replaced, is free."""
    store = new_store(path=path)
    store.seed("customer", {"customer_id": 1, "external_key": "k"})
    Api(store).answer("DELETE", "/api/v3/customer/1", None)
    store.seed("customer", {"customer_id": 1, "external_key": "k"})
    Api(store).answer("PUT", "/api/v3/customer/1", {"external_key": "other"})
    before = whole_state(store)
    store.close()
    assert reopened(path) == before
    assert before["tables"]["customer"][1] == {"other": 1}


def test_clear_is_kept(path, wall):
    """After a reset the file is that of a new account."""
    store = new_store(path=path, now=wall)
    new = whole_state(store)
    post(store, "customer", {**NEW, "external_key": "k"})
    Api(store).answer("DELETE", "/api/v3/customer/1", None)
    store.clear()
    store.close()
    assert reopened(path) == new


def test_old_actions_are_forgotten_in_the_file_as_well(path, monkeypatch):
    """The file does not grow beyond what is kept of the actions."""
    monkeypatch.setattr("chargeover_async.sandbox.store.tables.KEPT_ACTIONS", 3)
    store = new_store(path=path)
    post(store, "customer", NEW)
    for action in ("setActive", "setInactive") * 3:
        post(store, f"customer/1?action={action}", {})
    before = list(store.actions)
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM action").fetchone() == (3,)
    db.close()
    store = new_store(path=path)
    assert list(store.actions) == before
    post(store, "customer/1?action=setActive", {})
    store.close()
    assert len(reopened(path)["actions"]) == 3


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.decimals(allow_nan=False, allow_infinity=False, places=6)
    | st.decimals(allow_nan=False, allow_infinity=False, max_value=10**20, min_value=-(10**20))
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values), st.none() | st.dictionaries(st.text(), values))
def test_row_is_read_as_it_was_written(data, fixed):
    """Values come back with their types: a decimal is a decimal, whole or not."""
    row = Row("customer", 1, data, fixed)
    again = read(*write(row))
    assert repr((again.data, again.given)) == repr((row.data, row.given))


# What is refused


def test_file_is_for_its_owner_only(path):
    """It holds names and addresses."""
    store = new_store(path=path)
    post(store, "customer", NEW)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    store.close()


def test_second_sandbox_is_refused(path):
    """One at a time; the error says so, and the first goes on."""
    store = new_store(path=path)
    with pytest.raises(StorageError, match=r"shop\.db: another sandbox .* holds it"):
        new_store(path=path)
    assert post(store, "customer", NEW).code == 201
    store.close()


@pytest.mark.parametrize("content", [b"name,mail\n" * 200, b"\x00" * 4096])
def test_other_file_is_refused_and_left_alone(path, content):
    """What is no database stays what it is."""
    path.write_bytes(content)
    with pytest.raises(StorageError, match="not a sandbox store"):
        new_store(path=path)
    assert path.read_bytes() == content


def test_other_database_is_refused_and_left_alone(path):
    """A database of another program stays what it is."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE record (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="a database of something else"):
        new_store(path=path)
    assert path.read_bytes() == before


def test_newer_file_is_refused(path):
    """A version that we do not know is named."""
    new_store(path=path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageError, match="version 99"):
        new_store(path=path)


def test_unknown_object_is_refused(path):
    """Records of an object that only a newer version models are not dropped in silence."""
    new_store(path=path).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO record VALUES ('spaceship', 1, '{}', NULL)")
    db.close()
    with pytest.raises(StorageError, match="'spaceship'"):
        new_store(path=path)


def test_damaged_file_is_refused(path):
    """Damage is reported as what it is."""
    store = new_store(path=path)
    run_bulk(Api(store), customers(25))
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        new_store(path=path)


def test_directory_and_missing_directory_are_refused(tmp_path):
    """Neither can be a file."""
    for wrong in (tmp_path, tmp_path / "missing" / "shop.db"):
        with pytest.raises(StorageError, match="cannot open"):
            new_store(path=wrong)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of this kind are POSIX")
def test_read_only_file_is_refused():
    """Before anything is served, not at the first change."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "shop.db"
        new_store(path=path).close()
        path.chmod(0o444)
        Path(directory).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root may write anywhere
        try:
            with pytest.raises(StorageError, match="read-only"):
                new_store(path=path)
        finally:
            os.seteuid(user)
        Path(directory).chmod(0o700)


def test_store_and_path_exclude_each_other(path):
    """A sandbox has one or the other."""
    with pytest.raises(ValueError, match="not both"):
        Sandbox(path=path, store=new_store())
    assert not path.exists()


# When writing fails


def fill(store: Store, pages: int = 0) -> None:
    """Let the disk be full: SQLite then fails exactly as it does on a real one."""
    db = store._keeper._file.held()
    (used,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {used + pages if pages >= 0 else 2**30}")


def test_full_disk_stores_nothing_of_a_batch(path):
    """A batch that does not fit raises, leaves no trace in memory or file, and works later."""
    store = new_store(path=path)
    api = Api(store)
    run_bulk(api, customers(25))
    before = whole_state(store)
    fill(store, 2)
    for round_ in range(2):
        with pytest.raises(StorageError, match="the disk is full"):  # noqa: PT012 - at some point
            for start in range(100 * (round_ + 1), 20000, 25):
                run_bulk(api, customers(25, start))
                before = whole_state(store)
        assert whole_state(store) == before
    assert api.answer("GET", "/api/v3/customer/1", None).code == 200
    assert api.answer("GET", "/api/v3/customer/_count", None).response == store.count("customer")
    fill(store, -1)
    assert post(store, "customer", NEW).code == 201
    state = whole_state(store)
    assert len(state["rows"]) == len(before["rows"]) + 2
    store.close()
    assert reopened(path) == state


async def test_full_disk_is_a_500_that_names_the_file(path, connect):
    """Over HTTP the client is told, and what it is told is true."""
    async with Sandbox(path=path, quota=None) as sandbox, connect(sandbox) as call:
        assert (await call("POST", "/customer", {"external_key": "k"}))[0] == 201
        fill(sandbox.store)
        big = {"company": "x" * 20_000}
        status, envelope = await call("POST", "/customer", big)
        assert (status, envelope["code"], envelope["response"]) == (500, 500, False)
        assert "shop.db: the disk is full" in envelope["message"]
        batch = [{"request_method": "POST", "uri": "/api/v3/customer", "payload": big}]
        assert (await call("POST", "/_bulk", batch))[0] == 500
        assert not sandbox.log[-1].items
        assert sandbox.store.count("customer") == 1
        assert (await call("GET", "/customer/external_key:k"))[0] == 200
        fill(sandbox.store, -1)
        assert (await call("POST", "/customer", big))[1]["response"] == {"id": 2}


def test_failed_block_is_undone(path):
    """An error in the middle leaves nothing behind, neither in memory nor in the file."""
    store = new_store(path=path)
    store.seed("customer", {"external_key": "k", "company": "A"})
    before = whole_state(store)

    def fail():
        with store.transaction():
            store.seed("customer", {"external_key": "l"})
            store.change(store.table("customer").rows[1], company="B")
            raise RuntimeError("test")

    with pytest.raises(RuntimeError, match="test"):
        fail()
    assert whole_state(store) == before
    assert post(store, "customer", {"external_key": "l"}).response == {"id": 2}
    store.close()


def test_closed_store_can_be_read_and_refuses_changes(path):
    """After the end the records are still there to look at; a change says what to do."""
    store = new_store(path=path)
    store.seed("customer", {"company": "A"})
    store.close()
    with pytest.raises(StorageError, match="is closed"):
        store.seed("customer", {"company": "B"})
    assert [record["company"] for record in store.records("customer")] == ["A"]
    store.open()
    assert store.seed("customer", {"company": "B"}) == 2
    store.close()


def test_change_outside_of_any_request_comes_with_the_next(path):
    """Somebody who changes a row without a transaction does not lose it at an orderly end."""
    store = new_store(path=path)
    store.seed("customer", {"company": "A"})
    store.change(store.table("customer").rows[1], company="B")
    store.close()
    assert "'B'" in reopened(path)["rows"]["customer", 1]


# Ends


async def test_stopped_sandbox_lets_go_of_its_file(path, connect):
    """After stop or kill another may have it; a new start has what is in it by then."""
    sandbox = Sandbox(path=path)
    async with sandbox, connect(sandbox) as call:
        assert (await call("POST", "/customer", NEW))[0] == 201
    async with Sandbox(path=path) as other, connect(other) as call:
        assert (await call("POST", "/customer", NEW))[1]["response"] == {"id": 2}
        await other.kill()
    async with sandbox, connect(sandbox) as call:
        assert (await call("GET", "/customer/_count"))[1]["response"] == 2


class Server:
    """A sandbox in a process of its own, until the block ends or it is killed."""

    def __init__(self, path):
        command = [sys.executable, "-m", "chargeover_async.sandbox", "--store", str(path)]
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, "--quota-kind", "none"], stdout=subprocess.PIPE, text=True
        )
        try:
            self.url = self.process.stdout.readline().split()[0]
        except BaseException:
            self.kill()
            raise

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        if self.process.poll() is None:
            self.kill()


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.timeout(600 + 60 * KILLS)
async def test_what_was_answered_survives_kill_9(path):
    """Killed at random moments: each acknowledged record is there, once; each batch all or none."""
    chance = random.Random(7)
    acknowledged: set[str] = set()
    deleted: set[str] = set()
    sent = 0
    auth = {"Authorization": aiohttp.encode_basic_auth("sandbox", "sandbox")}
    for _ in range(KILLS):
        with Server(path) as server:
            killer = threading.Timer(chance.uniform(0.02, 0.6), server.kill)
            async with aiohttp.ClientSession(headers=auth) as session:
                if acknowledged:  # the first time it is killed after an answer, however slow it is
                    killer.start()
                while True:
                    batch = customers(25, sent)
                    gone = sorted(acknowledged - deleted)[:1]
                    for key in gone:
                        uri = f"/api/v3/customer/external_key:{key}"
                        batch[-1] = {"request_method": "DELETE", "uri": uri}
                    sent += 25
                    try:
                        async with session.post(f"{server.url}/_bulk", json=batch) as response:
                            entries = (await response.json())["response"]["_bulk"]
                    except (aiohttp.ClientError, ConnectionError):
                        break
                    assert all(entry["code"] < 300 for entry in entries)
                    deleted.update(gone)
                    made = [request["payload"] for request in batch if "payload" in request]
                    if not acknowledged:
                        killer.start()
                    acknowledged.update(payload["external_key"] for payload in made)
            killer.join()
        store = new_store(path=path)
        stored = [record["external_key"] for record in store.records("customer")]
        taken = set(store.table("customer").keys)
        store.close()
        assert len(stored) == len(set(stored))
        assert acknowledged - deleted - set(stored) <= set(gone)
        assert not deleted & set(stored)
        assert acknowledged <= taken
        numbers = sorted(int(key[1:]) for key in taken)
        unanswered = [number for number in numbers if number >= sent - 25]
        assert len(unanswered) in (0, 25 - len(gone))
        if unanswered:  # the last batch went through after all
            acknowledged.update(f"k{number}" for number in unanswered)
            deleted.update(gone)
    assert acknowledged
