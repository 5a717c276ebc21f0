"""Snapshots, restoring them, and records from files."""

from __future__ import annotations

import asyncio
import sys
import time
from decimal import Decimal

import aiohttp
import pytest
from support.sandbox_state import whole_state

from chargeover_async.sandbox import Faults, Sandbox, Store, new_store, serve
from chargeover_async.sandbox.__main__ import main
from chargeover_async.sandbox.api.router import PREFIX, Api
from chargeover_async.sandbox.protocol.answers import decode, encode
from chargeover_async.sandbox.store.snapshot import from_json, to_json


def lived_in(store: Store) -> Store:
    """An account with some of everything that a snapshot has to hold."""
    api = Api(store)
    for method, target, payload in (
        (
            "POST",
            "customer",
            {"company": "A/B", "external_key": "a", "superuser_name": "Jo Miller"},
        ),
        ("POST", "customer", {"company": "B", "external_key": "b"}),
        ("POST", "item", {"name": "Tea", "pricemodel": {"base": "2.50"}}),
        ("POST", "invoice", {"customer_id": 1, "line_items": [{"item_id": 1}]}),
        ("PUT", "customer/1", {"custom_1": "x"}),
        ("POST", "customer/1?action=setInactive", {}),
        ("DELETE", "customer/2", None),
    ):
        assert api.answer(method, f"{PREFIX}/{target}", payload).code < 300
    store.seed("customer", {"company": "C", "total": Decimal(7), "custom_1": [Decimal("1.50")]})
    return store


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    made = new_store(path=None if request.param == "memory" else tmp_path / "shop.db")
    yield lived_in(made)
    made.close()


@pytest.mark.parametrize("through_json", [False, True])
def test_restored_store_is_what_it_was(store, through_json, tmp_path):
    """Everything is back, and what came since is gone; in the file as well."""
    before = whole_state(store)
    image = store.snapshot()
    if through_json:
        image = from_json(decode(encode(to_json(image))))
    for _ in range(2):  # a snapshot may be used again
        Api(store).answer("POST", f"{PREFIX}/customer", {"company": "D", "external_key": "d"})
        Api(store).answer("DELETE", f"{PREFIX}/customer/3", None)
        store.restore(image)
        assert whole_state(store) == before
    assert Api(store).answer("POST", f"{PREFIX}/customer", {"external_key": "b"}).code == 400
    assert Api(store).answer("POST", f"{PREFIX}/customer", {"external_key": "d"}).code == 201
    after = whole_state(store)
    store.close()
    path = tmp_path / "shop.db"
    if path.exists():
        again = new_store(path=path)
        assert whole_state(again) == after
        again.close()


def test_snapshot_goes_from_one_store_to_another(store):
    """It may be restored elsewhere."""
    other = new_store()
    other.restore(store.snapshot())
    assert whole_state(other) == whole_state(store)


@pytest.mark.parametrize(
    "change",
    [
        lambda sent: sent.update(version=99),
        lambda sent: sent.pop("records"),
        lambda sent: sent.update(numbers=[1]),
        lambda sent: sent["records"].append(["spaceship", 1, {"token": "t"}, None]),
        lambda sent: sent["records"].append(["customer", 9, {}, None]),
        lambda sent: sent["records"].append(["customer", "9", {"token": "t"}, None]),
        lambda sent: sent["records"].append(["customer", 9, {"token": ["t"]}, None]),
        lambda sent: sent["records"].append(["customer", 9]),
        lambda sent: sent["records"].append(
            ["customer", 9, {"token": "t"}, {"whole": [["data", "nothing"]]}]
        ),
        lambda sent: sent["keys"].append(["customer"]),
        lambda sent: sent["actions"].append(["x"]),
    ],
)
def test_what_is_no_snapshot_is_refused_and_changes_nothing(store, change):
    """A damaged or foreign snapshot leaves the account as it is."""
    before = whole_state(store)
    sent = decode(encode(to_json(store.snapshot())))
    change(sent)
    with pytest.raises(ValueError, match="snapshot"):
        store.restore(from_json(sent))
    assert whole_state(store) == before


async def control(sandbox, command, payload):
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.page_url}_sandbox/{command}", data=encode(payload)) as response,
    ):
        return response.status, decode(await response.read())


async def test_snapshots_over_http(call):
    """By name, or as JSON in the answer; an unknown name says which are known."""
    sandbox = call.sandbox
    lived_in(sandbox.store)
    before = whole_state(sandbox.store)
    assert await control(sandbox, "snapshot", {"name": "start"}) == (200, {"name": "start"})
    _, answer = await control(sandbox, "snapshot", None)
    for restore in ({"name": "start"}, {"snapshot": answer["snapshot"]}):
        await call("POST", "/customer", {"company": "D"})
        assert whole_state(sandbox.store) != before
        assert await control(sandbox, "restore", restore) == (200, {})
        assert whole_state(sandbox.store) == before
    for wrong in ({"name": "end"}, {}, {"name": "start", "snapshot": {}}, {"snapshot": 5}):
        status, answer = await control(sandbox, "restore", wrong)
        assert (status, list(answer)) == (400, ["error"])
    assert whole_state(sandbox.store) == before
    await control(sandbox, "reset", None)
    assert sandbox.store.count("customer") == 0
    assert (await control(sandbox, "restore", {"name": "start"}))[0] == 200
    assert whole_state(sandbox.store) == before


# Records from files


@pytest.fixture
def seeds(tmp_path):
    folder = tmp_path / "seeds"
    folder.mkdir()
    (folder / "invoice.jsonl").write_text(
        '{"customer_id": 7, "line_items": [{"item_id": 3, "line_rate": 1.10}]}\n\n'
    )
    (folder / "customer.jsonl").write_text(
        '{"customer_id": 7, "company": "Café"}\n{"external_key": "k"}'
    )
    (folder / "rest.json").write_text('{"item": [{"item_id": 3, "name": "Tea"}], "user": []}')
    (folder / "README.txt").write_text("not read")
    return folder


def test_account_begins_with_the_records_of_files(seeds):
    """A directory of JSONL and JSON, in the order of references, money exact."""
    store = Sandbox(seeds=[seeds]).store
    assert store.find("customer", 7)["company"] == "Café"
    assert store.by_key("customer", "k")["customer_id"] == 8
    assert store.find("invoice", 10000)["total"] == Decimal("1.1")
    assert store.find("item", 3)["name"] == "Tea"


def test_account_in_a_file_is_seeded_once(seeds, tmp_path):
    """A restart doubles nothing; a reset is followed by seeding at the next start."""
    path = tmp_path / "shop.db"
    for _ in range(2):
        sandbox = Sandbox(path=path, seeds=[seeds])
        assert sandbox.store.count("customer") == 2
        sandbox.store.close()
    sandbox.store.open()
    sandbox.store.clear()
    sandbox.store.close()
    sandbox = Sandbox(path=path, seeds=[seeds])
    assert sandbox.store.count("customer") == 2
    sandbox.store.close()


@pytest.mark.parametrize("is_file", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (
            "customer.jsonl",
            '{"company": "A"}\n{"company": \n',
            r"customer\.jsonl line 2: malformed",
        ),
        ("customer.jsonl", '{"company": "A"}\n[1]\n', r"customer\.jsonl line 2: not a JSON object"),
        ("customer.jsonl", '{"external_key": "k"}\n' * 2, r"line 2: .*taken"),
        ("customer.jsonl", '{"customer_id": 0}', r"line 1: .*at least 1"),
        ("customer.jsonl", '{"total": "many"}', r"line 1"),
        ("spaceship.jsonl", "{}", r"no object 'spaceship'; known are terms, "),
        ("_delivery.jsonl", "{}", r"no object '_delivery'"),
        ("all.json", '{"customer": {}}', r"customer must be an array"),
        ("all.json", '{"customer": [{}, 5]}', r"customer 2: a record must be"),
        ("all.json", '{"spaceship": []}', r"no object 'spaceship'"),
        ("all.json", "nonsense", r"all\.json: malformed"),
        ("customers.csv", "", r"a seed is a \.jsonl or \.json file"),
    ],
)
def test_wrong_seed_is_named_and_nothing_is_stored(tmp_path, wall, name, content, error, is_file):
    """File and line are in the error; the account is as if it had not been tried."""
    (tmp_path / name).write_text(content)
    path = tmp_path / "shop.db" if is_file else None
    with pytest.raises(ValueError, match=error):
        Sandbox(path=path, seeds=[tmp_path / name], now=wall)
    if path is not None:
        store = new_store(path=path, now=wall)
        assert whole_state(store)["rows"] == whole_state(new_store(now=wall))["rows"]
        store.close()


def test_missing_seed_is_an_error_of_the_system(tmp_path):
    """As any missing file."""
    with pytest.raises(FileNotFoundError):
        Sandbox(seeds=[tmp_path / "customer.jsonl"])


# Faults and seeds from the command line


def test_script_may_repeat_a_fault():
    """lost*3 is three of them; none is a sound request."""
    faults = Faults(script=["lost*2", "none", None, "delay_before=0.5*2", "none*2", "429"])
    drawn = [faults.draw() for _ in range(9)]
    kinds = [None if fault is None else fault.text for fault in drawn]
    delay = "delay_before=0.5"
    assert kinds == ["lost", "lost", None, None, delay, delay, None, None, "429"]


@pytest.mark.parametrize("text", ["lost*0", "lost*", "lost*x", "lost*-1", "lost*1000000", "*2"])
def test_impossible_repetition_is_an_error(text):
    """A number of times is from 1 up, and not absurd."""
    with pytest.raises(ValueError, match=r".+"):
        Faults(script=[text])


@pytest.mark.parametrize("rate", ["lost", "lost:", "lost:x", ":0.1", "lost:2", "nothing:0.1"])
def test_impossible_rate_on_a_command_line_is_an_error(rate, capsys):
    """The command ends with the usage before anything is served."""
    with pytest.raises(SystemExit) as ended:
        main(["--fault-rate", rate])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_command_line_makes_faults_and_seeds(monkeypatch, seeds):
    """Rates, script, seed and maintenance of faults; files of records."""
    seen = {}
    monkeypatch.setattr(
        "chargeover_async.sandbox.__main__.serve", lambda *_a, **options: seen.update(options)
    )
    options = ["--fault-rate", "lost:0.25", "--fault-rate", "delay_before=0.2:0.5"]
    options += ["--fault-script", "429, none,lost*2", "--fault-seed", "9", "--maintenance", "30"]
    main([*options, "--seed-from", str(seeds)])
    faults = seen["faults"]
    assert (faults.rates, faults.seed, faults.scripted) == (
        {"lost": 0.25, "delay_before=0.2": 0.5},
        9,
        4,
    )
    assert (seen["maintenance_s"], seen["seeds"]) == (30.0, [str(seeds)])


async def test_maintenance_at_first_ends_by_itself(connect):
    """Down for a while, then up, by the sandbox's clock."""
    now = [100.0]
    async with Sandbox(clock=lambda: now[0]) as sandbox, connect(sandbox) as call:
        sandbox.faults.down_until(130.0)
        async with call.session.get(f"{sandbox.url}/customer") as response:
            assert response.status == 503
        now[0] = 130.0
        assert (await call("GET", "/customer"))[0] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX")
async def test_served_sandbox_has_its_seeds_and_is_down_at_first(seeds, monkeypatch):
    """What serve is told reaches the sandbox that it makes."""
    made = []

    async def serving(sandbox, _out, _err=None):
        made.append(sandbox)

    monkeypatch.setattr("chargeover_async.sandbox.server._serve", serving)
    await asyncio.to_thread(serve, seeds=[seeds], maintenance_s=1000.0)
    (sandbox,) = made
    assert sandbox.store.count("customer") == 2
    assert sandbox.faults.is_down(time.monotonic() + 900)
    assert not sandbox.faults.is_down(time.monotonic() + 1001)
