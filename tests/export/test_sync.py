"""Runs that follow one another: nothing missed, nothing told twice without a change."""

# ruff: noqa: ASYNC240 - small files, and nobody waits
from __future__ import annotations

import contextlib
import datetime as dt
import random
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from aiohttp import ClientSession, web
from support.export_world import NO_WAITS, customer, lines, requests

from chargeover_async import ChargeOver, DateFormat
from chargeover_async.errors import BadRequest, ServerError, UsageError
from chargeover_async.export import ExportProgress, SyncJob
from chargeover_async.export import sync as module
from chargeover_async.export.reader import Reader
from chargeover_async.export.sync import SyncState
from chargeover_async.limits import NoLimit
from chargeover_async.sandbox import Sandbox, Variant

FOLDER = Path("synced")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class World:
    """A sandbox whose clock is set by hand."""

    def __init__(self, **options: Any) -> None:
        self.moment = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
        self.sandbox = Sandbox(quota=None, now=lambda: self.moment, **options)

    async def __aenter__(self) -> Self:
        sandbox = await self.sandbox.start()
        self.co = ChargeOver(
            sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit(), retry=NO_WAITS
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.co.aclose()
        await self.sandbox.stop()

    def later(self, **step: float) -> None:
        self.moment += dt.timedelta(**step)

    def put(self, *ids: int, name: str = "") -> None:
        """Create or change these customers now."""
        stamp = self.moment.replace(tzinfo=None).isoformat(" ", "seconds")
        for number in ids:
            fields = {"mod_datetime": stamp, "company": name or f"company {number}"}
            self.sandbox.store.seed("customer", customer(number) | fields)

    def stored(self) -> dict[int, str]:
        return {
            row["customer_id"]: row["company"] for row in self.sandbox.store.records("customer")
        }

    async def sync(self, **options: Any) -> list[int]:
        """A run; the ids that it brought."""
        summary = await SyncJob("customer", FOLDER, **options).run(self.co)
        found = [row["customer_id"] for row in lines(Path(summary.file))] if summary.file else []
        assert len(found) == summary.records
        return found


def told() -> dict[int, str]:
    """What somebody has who read all the files in order."""
    found: dict[int, str] = {}
    for path in sorted(FOLDER.glob("customer-*.jsonl")):
        found.update({row["customer_id"]: row["company"] for row in lines(path)})
    return found


async def test_the_first_run_brings_all_and_the_next_what_changed() -> None:
    """New and changed ones, once; a file for each run that has something to tell."""
    async with World() as world:
        world.put(*range(1, 601))
        world.later(hours=1)
        assert await world.sync() == list(range(1, 601))
        assert await world.sync() == []
        world.put(5, name="changed")
        world.put(700)
        assert await world.sync() == [5, 700]
        assert await world.sync() == []
        world.later(hours=1)
        world.put(6)
        assert await world.sync() == [6]
        assert {path.name for path in FOLDER.iterdir()} == {
            "customer-000001.jsonl",
            "customer-000002.jsonl",
            "customer-000003.jsonl",
            "customer.sync.json",
            "customer.sync.lock",
        }
        assert told() == world.stored()


async def test_a_change_within_the_same_second_is_told() -> None:
    """The time of change cannot tell them apart; the contents can."""
    async with World() as world:
        world.put(1, 2)
        await world.sync()
        world.put(2, name="again")
        assert await world.sync() == [2]
        assert await world.sync() == []


async def test_a_change_that_becomes_visible_late_is_told_within_the_overlap() -> None:
    """As by a transaction of the server that ends after others with a later time."""
    async with World() as world:
        world.put(1)
        world.later(minutes=9)
        world.put(3)
        await world.sync()
        world.later(minutes=-5)
        world.put(2)
        assert await world.sync(overlap=dt.timedelta(minutes=10)) == [2]
        world.later(minutes=-90)
        world.put(1, name="late")
        assert await world.sync(overlap=dt.timedelta(minutes=10)) == []  # too late
        assert await world.sync(overlap=dt.timedelta(hours=2)) == [1]


async def test_an_hour_that_comes_twice_is_read_twice() -> None:
    """Local time without an offset, when clocks are set back: changes have older times."""
    async with World() as world:
        world.moment = dt.datetime(2026, 11, 1, 1, 59, 59, tzinfo=dt.UTC)
        world.put(1, 2, 3)
        await world.sync()
        world.moment = dt.datetime(2026, 11, 1, 1, 0, 0, tzinfo=dt.UTC)
        world.put(2, name="in the second pass")
        assert await world.sync(overlap=dt.timedelta()) == [2]
        world.later(minutes=30)
        world.put(3, name="later in it")
        assert await world.sync(overlap=dt.timedelta()) == [3]
        assert told() == world.stored()


async def test_a_time_that_cannot_be_yet_is_not_believed() -> None:
    """A record dated 2099 is told as it changes, and hides no change of another."""
    async with World() as world:
        now = lambda: world.moment  # noqa: E731
        world.put(1, 2)
        world.moment = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
        world.put(3)
        world.moment = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)
        assert await world.sync(now=now) == [1, 2, 3]
        assert await world.sync(now=now) == []
        world.later(minutes=5)
        world.put(2, name="changed")
        assert await world.sync(now=now) == [2]
        world.moment = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
        world.put(3, name="changed, too")
        world.moment = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
        assert await world.sync(now=now) == [3]
        assert told() == world.stored()


async def test_a_clock_that_was_ahead_hides_nothing() -> None:
    """Set right again, its times are older than those that the last run has seen."""
    async with World() as world:
        world.later(hours=9)
        world.put(1, 2, 3)
        await world.sync()
        world.later(hours=-9)
        world.put(2, name="changed")
        world.put(9)
        assert await world.sync() == [2, 9]
        assert await world.sync() == []


async def test_a_new_record_is_found_whatever_its_time_says() -> None:
    """By its id."""
    async with World() as world:
        world.put(1)
        await world.sync()
        world.moment = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
        world.put(2)
        assert await world.sync() == [2]
        assert await world.sync() == []


async def test_a_new_record_is_found_that_appears_during_a_run() -> None:
    """With an id below those that the run has met by their times."""
    async with World() as world:
        world.put(*range(1, 1200))
        await world.sync()
        world.later(hours=1)
        world.put(*range(1, 1200), name="changed")
        found: list[int] = []

        def create(_: ExportProgress) -> None:
            if not found:
                found.append(5000)
                now, world.moment = world.moment, dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
                world.put(5000)
                world.moment = now
                world.put(6000)

        summary = await SyncJob("customer", FOLDER).run(world.co, observe=create)
        assert summary.since is not None
        await world.sync()
        assert told() == world.stored()
        assert await world.sync() == []


async def test_records_without_a_time_of_change_are_compared() -> None:
    """They are read again each time; what is as it was is left out."""
    async with World() as world:
        world.put(1)
        timeless = {"customer_id": 2, "company": "x", "mod_datetime": None}
        world.sandbox.store.seed("customer", timeless)
        assert await world.sync() == [1, 2]
        assert await world.sync() == []
        world.sandbox.store.seed("customer", timeless | {"company": "changed"})
        world.sandbox.store.seed("customer", timeless | {"customer_id": 7})
        assert await world.sync() == [2, 7]
        assert await world.sync() == []
        assert told() == world.stored()


async def test_one_refusal_does_not_make_it_blind(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 400 when it asks for changes: that run goes by id, and the next asks again."""

    async def refuse(self: Reader, order: str) -> None:
        raise BadRequest("You cannot order by that today.", status=400)

    async with World() as world:
        world.put(1, 2)
        with monkeypatch.context() as patch:
            patch.setattr(Reader, "first_by", refuse)
            summary = await SyncJob("customer", FOLDER).run(world.co)
        assert (summary.by, summary.records) == ("id", 2)
        assert "changes cannot be seen" in caplog.text
        world.put(1, name="changed")
        assert 1 in await world.sync()
        world.put(2, name="changed, too")
        assert await world.sync() == [2]
        monkeypatch.setattr(Reader, "first_by", refuse)
        with pytest.raises(BadRequest):  # it did tell them before
            await world.sync()


async def test_what_is_remembered_is_what_may_be_met_again() -> None:
    """A digest of what is at the bound and later, not of everything that ever was."""
    async with World() as world:
        world.put(*range(1, 200))
        await world.sync()
        world.later(days=1, minutes=30)  # the bound of the next run is that of clocks set back
        world.put(500)
        await world.sync()
        assert set(state().seen) == {*range(1, 200), 500}
        world.later(days=1, hours=1)
        world.put(501)
        assert await world.sync() == [501]
        assert set(state().seen) == {500, 501}  # 500 is exactly at the bound
        assert await world.sync() == []
        world.later(seconds=1)
        world.put(502)
        assert await world.sync() == [502]
        assert set(state().seen) == {501, 502}


def state() -> SyncState:
    note = (FOLDER / "customer.sync.json").read_bytes()
    return msgspec.json.decode(note, type=SyncState)


async def test_the_state_of_a_sync_by_id_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the ids of the overlap are remembered, and the one at its end is not told twice."""
    monkeypatch.setattr(module, "OVERLAP_IDS", 5)
    async with World() as world:
        for number in range(1, 41):
            world.sandbox.store.seed("item_category", {"item_category_id": number, "name": "x"})
        job = SyncJob("item_category", FOLDER)
        assert (await job.run(world.co)).records >= 40
        for number in (41, 60):
            world.sandbox.store.seed("item_category", {"item_category_id": number, "name": "x"})
            assert (await job.run(world.co)).records == 1
        note = msgspec.json.decode((FOLDER / "item_category.sync.json").read_bytes())
        assert {int(number) for number in note["seen"]} <= set(range(55, 61))


async def test_a_sync_that_is_short_begins_again_where_it_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the API counts and does not list may be listed by the next run."""
    async with World() as world:
        world.put(*range(1, 30))
        with monkeypatch.context() as patch:
            patch.setattr(Reader, "is_short", property(lambda _: True))
            summary = await SyncJob("customer", FOLDER).run(world.co)
        assert (summary.records, summary.is_short, summary.since) == (29, True, None)
        assert len(await world.sync()) == 29
        assert await world.sync() == []


async def test_no_clock_but_the_servers_is_used() -> None:
    """An account in another zone, with or without offsets in its answers."""
    zone = dt.timezone(dt.timedelta(hours=-5))
    async with World(variant=Variant(iso_datetimes=True)) as world:
        world.moment = world.moment.astimezone(zone)
        world.put(1, 2)
        assert await world.sync() == [1, 2]
        world.later(minutes=30)
        world.put(2)
        assert await world.sync() == [2]
        assert await world.sync() == []


@pytest.mark.parametrize("seed", range(4))
async def test_changes_between_and_during_runs_are_all_told(seed: int) -> None:
    """Whoever reads the files in order has at last what the store has."""
    source = random.Random(seed)
    variant = Variant(accept_query=source.random() < 0.5)
    async with World(variant=variant) as world:
        world.put(*range(1, 1200))

        def meddle(_: ExportProgress) -> None:
            for _ in range(source.randrange(30)):
                world.later(seconds=source.choice([0, 0, 1, 30, 2000]))
                world.put(source.randrange(1, 1500), name=f"{source.random()}")

        for _ in range(4):
            job = SyncJob("customer", FOLDER)
            await job.run(world.co, observe=meddle)
            world.later(seconds=source.choice([0, 1, 100, 10_000]))
        await world.sync()
        assert told() == world.stored()
        assert await world.sync() == []


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_the_clocks_show_all_changes_are_told(seed: int) -> None:
    """Ahead, behind and set right by hours, dated 2099, without a time: nothing is lost."""
    source = random.Random(seed)
    async with World() as world:
        true = world.moment

        async def sync() -> list[int]:
            return await world.sync(now=lambda: true)

        world.put(*range(1, 30))
        for _ in range(8):
            true += dt.timedelta(minutes=source.choice([0, 1, 50, 400]))
            for number in source.sample(range(1, 45), 5):
                world.moment = true + dt.timedelta(minutes=source.randrange(-500, 800))
                if source.random() < 0.1:
                    world.moment = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
                world.put(number, name=f"{source.random()}")
                if source.random() < 0.2:
                    fields = customer(number) | {"mod_datetime": None, "company": "timeless"}
                    world.sandbox.store.seed("customer", fields)
            await sync()
            assert told() == world.stored()
        assert await sync() == []


async def test_a_stopped_run_is_made_once_more() -> None:
    """Under the same number; the note is written after the file."""
    async with World() as world:
        world.put(*range(1, 1300))
        world.sandbox.faults.script([None, None, None, *["500"] * 40])
        with pytest.raises(ServerError):
            await world.sync()
        assert not list(FOLDER.glob("*.jsonl"))
        assert not (FOLDER / "customer.sync.json").exists()
        world.sandbox.faults.clear()
        assert len(await world.sync()) == 1299
        assert [path.name for path in FOLDER.glob("*.jsonl*")] == ["customer-000001.jsonl"]


async def test_a_run_that_was_killed_before_its_note_tells_all_of_it_again() -> None:
    """The file is replaced by one that has at least as much."""
    async with World() as world:
        world.put(1)
        await world.sync()
        note = (FOLDER / "customer.sync.json").read_bytes()
        world.later(hours=1)
        world.put(2)
        await world.sync()
        (FOLDER / "customer.sync.json").write_bytes(note)
        world.put(3)
        assert await world.sync() == [2, 3]
        assert told() == world.stored()


async def test_an_api_that_does_not_tell_changes_is_followed_by_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """New ones are told, with an overlap of ids; that changes are not is said."""
    monkeypatch.setattr(module, "OVERLAP_IDS", 5)

    async def refuse(self: Reader, order: str) -> None:
        raise BadRequest(f"You cannot order by: {order}.", status=400)

    monkeypatch.setattr(Reader, "first_by", refuse)
    async with World() as world:
        world.put(*range(1, 41))
        summary = await SyncJob("customer", FOLDER).run(world.co)
        assert (summary.by, summary.records, summary.since) == ("id", 40, None)
        world.put(41, 43)
        assert await world.sync() == [41, 43]
        world.put(42)  # visible late
        world.put(3, name="not seen")
        assert await world.sync() == [42]


async def test_an_object_without_time_of_change_is_followed_by_id() -> None:
    """It is known beforehand; nothing is asked for it."""
    async with World() as world:
        for number in range(3):
            world.sandbox.store.seed("item_category", {"name": f"category {number}"})
        there = world.sandbox.store.count("item_category")
        job = SyncJob("item_category", FOLDER)
        summary = await job.run(world.co)
        assert (summary.by, summary.records, summary.requests) == ("id", there, 2)
        world.sandbox.store.seed("item_category", {"name": "a new one"})
        assert (await job.run(world.co)).records == 1
        assert (await job.run(world.co)).records == 0


async def test_another_question_needs_another_folder() -> None:
    """Files that cannot be read one behind the other are not mixed."""
    async with World() as world:
        world.put(1)
        await world.sync()
        sent = len(requests(world.sandbox))
        with pytest.raises(UsageError, match=r"another sync \(other where\)"):
            await world.sync(where=["customer_id > 5"])
        (FOLDER / "customer.sync.json").write_bytes(b"{")
        with pytest.raises(UsageError, match="cannot be read"):
            await world.sync()
        assert len(requests(world.sandbox)) == sent


async def test_two_runs_at_once_are_refused() -> None:
    """The second would tell the same again."""
    async with World() as world:
        world.put(1)
        FOLDER.mkdir()
        with (
            module.held(FOLDER / "customer.sync.lock"),
            pytest.raises(UsageError, match="being written by another"),
        ):
            await world.sync()


async def test_other_formats_and_fields() -> None:
    """The same files as an export writes."""
    async with World() as world:
        world.put(1, 2)
        job = SyncJob("customer", FOLDER, format="csv", fields=["customer_id", "company"])
        summary = await job.run(world.co)
        assert Path(summary.file).read_text() == "customer_id,company\n1,company 1\n2,company 2\n"


def test_what_cannot_be_synced_is_said() -> None:
    """Lists without a filter, and options that mean nothing."""
    with pytest.raises(UsageError, match="export them whole"):
        SyncJob("currency", FOLDER)
    with pytest.raises(UsageError, match="negative"):
        SyncJob("customer", FOLDER, overlap=dt.timedelta(-1))
    with pytest.raises(UsageError, match="format must be"):
        SyncJob("customer", FOLDER, format="xml")
    assert not FOLDER.exists()


async def test_an_account_with_dates_of_its_own() -> None:
    """Its stamps are read, and what is written is the same as of any other."""
    us = DateFormat(date="%m/%d/%Y", datetime="%m/%d/%Y %H:%M:%S")
    async with World() as world, _american(world) as url:
        sandbox = world.sandbox
        async with ChargeOver(
            url, sandbox.username, sandbox.password, limiter=NoLimit(), dates=us
        ) as co:
            world.put(1, 2)
            job = SyncJob("customer", FOLDER, format="csv", fields=["customer_id", "mod_datetime"])
            summary = await job.run(co)
            assert summary.since == "2026-03-01 12:00:00"
            assert Path(summary.file).read_text().splitlines()[1] == "1,2026-03-01T12:00:00"
            world.later(hours=1)
            world.put(2)
            assert (await job.run(co)).records == 1
            assert (await job.run(co)).records == 0


@contextlib.asynccontextmanager
async def _american(world: World) -> AsyncGenerator[str]:
    """A server before the sandbox whose answers have dates as m/d/Y."""
    iso = re.compile(rb'"(\d{4})-(\d\d)-(\d\d)( \d\d:\d\d:\d\d)?"')

    async def relay(request: web.Request) -> web.Response:
        url = str(request.url.with_port(int(world.sandbox.url.split(":")[2].split("/")[0])))
        headers = {name: request.headers[name] for name in ("Authorization", "Accept")}
        if request.can_read_body:
            headers["Content-Type"] = "application/json"
        data = await request.read()
        async with http.request(request.method, url, data=data, headers=headers) as answer:
            body = iso.sub(rb'"\2/\3/\1\4"', await answer.read())
            return web.Response(status=answer.status, body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", relay)
    runner = web.AppRunner(app)
    async with ClientSession() as http:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/v3"
        await runner.cleanup()
