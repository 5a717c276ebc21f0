"""Webhooks that are really posted, to this machine only, and tried again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from chargeover_async import ChargeOver
from chargeover_async.sandbox import Sandbox
from chargeover_async.sandbox.http import delivering
from chargeover_async.sandbox.http.delivering import DELAYS_S, Deliverer
from chargeover_async.sandbox.objects.table import OBJECTS
from chargeover_async.webhooks import EVENTS, Webhooks

TOKEN = "SFkJ3fy02n17YxNXm96tCGUKVTOAIBsH"


@dataclass
class Receiver:
    """What was posted to an address of this machine; answers the given codes, then 200."""

    url: str = ""
    codes: list[int] = field(default_factory=list)
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.posts.append((dict(request.headers), await request.read()))
        code = self.codes.pop(0) if self.codes else 200
        headers = {"Location": self.url + "elsewhere"} if code == 302 else None
        return web.Response(status=code, headers=headers)

    def events(self) -> list[str]:
        bodies = [json.loads(body) for _, body in self.posts]
        return [f"{body['context_str']}.{body['event']}" for body in bodies]


@asynccontextmanager
async def receiving(*codes: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(codes=list(codes))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Waits:
    """A sleep that takes no time and writes down how long it was asked for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def client(sandbox: Sandbox) -> ChargeOver:
    return ChargeOver(sandbox.url, sandbox.username, sandbox.password)


async def test_event_is_posted_as_documented():
    """Headers, envelope, token and records; the client's own reader believes it."""
    async with (
        receiving() as receiver,
        Sandbox(quota=None, webhook_token=TOKEN) as sandbox,
        client(sandbox) as co,
    ):
        hook = await co.resthooks.subscribe(target_url=receiver.url, event="customer.insert")
        made = await co.customers.create(company="Acme/Co", superuser_name="Jo Miller")
        await sandbox.webhooks_settled()
        ((headers, body),) = receiver.posts
        (delivery,) = sandbox.webhooks
    assert headers["Content-Type"] == "application/json"
    assert headers["X-ChargeOver-Key"] == TOKEN
    assert headers["X-ChargeOver-Source"] == "example.chargeover.com"
    assert rb"Acme\/Co" in body
    payload = json.loads(body)
    assert list(payload) == ["context_str", "context_id", "event", "data", "security_token"]
    event = Webhooks(TOKEN).parse(body, headers)
    assert (event.name, event.context_id) == ("customer.insert", made.id)
    assert event.data.unfit == {}
    assert event.data.customer.company == "Acme/Co"
    assert event.data.user.last_name == "Miller"
    assert delivery["status"] == "delivered"
    assert (delivery["attempts"], delivery["answer"]) == (1, "200")
    assert (delivery["resthook_id"], delivery["target_url"]) == (hook.id, receiver.url)
    assert delivery["body"]["data"] == payload["data"]
    assert TOKEN not in str(delivery)


async def happen(co: ChargeOver) -> None:
    """Make each event of the modelled objects happen, some of them more than once."""
    customer = (await co.customers.create(company="A", superuser_name="Jo Miller")).id
    other = await co.users.create(customer_id=customer, name="Ann Other")
    await co.users.update(other.id, title="Dr")
    await co.customers.update(customer, superuser_id=other.id)
    await co.customers.update(customer, superuser_phone="1")
    item = (await co.items.create(name="Thing", item_type="service")).id
    lines = [{"item_id": item, "line_rate": 5}]
    bill = (await co.invoices.create(customer_id=customer, line_items=lines)).id
    await co.invoices.update(bill, memo="x")
    card = await co.creditcards.create(
        customer_id=customer, number="4242424242424242", expdate="2099-01-01"
    )
    bank = await co.ach.create(customer_id=customer, number="123456", routing="072403004")
    await co.customers.set_default_payment_method(customer, extra={"ach_id": bank.id})
    await co.invoices.pay(bill)
    await co.transactions.void(1)
    await co.creditcards.delete(card.id)
    await co.invoices.void(bill)
    await co.customers.delete(customer)


EXPECTED = [
    *("user.insert", "customer.insert", "user.insert", "user.update", "customer.super"),
    *("user.update", "item.insert", "invoice.insert", "invoice.update", "ach.autopay"),
    *("invoice.status", "transaction.insert", "invoice.status", "transaction.status"),
    *("creditcard.delete", "invoice.status", "customer.delete"),
]


async def test_each_event_is_sent_when_it_happens():
    """All events of the modelled objects that a source shows, each as often as it happened."""
    async with receiving() as receiver, Sandbox(quota=None) as sandbox, client(sandbox) as co:
        for event in EVENTS:
            await co.resthooks.subscribe(target_url=receiver.url, event=event)
        await happen(co)
        await sandbox.webhooks_settled()
        reader = Webhooks(sandbox.webhook_token)
        events = [reader.parse(body, headers) for headers, body in receiver.posts]
    assert sorted(receiver.events()) == sorted(EXPECTED)
    assert all(event.data.unfit == {} and event.record is not None for event in events)
    by_name = {event.name: event for event in events}
    assert by_name["customer.super"].data.user_id == 2
    assert by_name["transaction.insert"].record.applied_to[0].applied == 5
    assert by_name["creditcard.delete"].data.customer.customer_id == 1
    assert b"4242424242424242" not in b"".join(body for _, body in receiver.posts)


def test_events_are_those_of_the_sources():
    """No object claims an event that no source shows."""
    claimed = {f"{spec.name}.{event}" for spec in OBJECTS.values() for event in spec.events}
    assert claimed <= set(EVENTS)
    assert claimed >= set(EXPECTED)


async def test_hook_gets_its_own_event_until_it_is_deleted():
    """Two hooks for one event get it each; a deleted one gets no more."""
    async with receiving() as receiver, Sandbox(quota=None) as sandbox, client(sandbox) as co:
        hooks = [
            await co.resthooks.create(target_url=f"{receiver.url}/{number}", event=event)
            for number, event in enumerate(["user.insert", "user.insert", "item.insert"])
        ]
        assert [hook.event for hook in await co.resthooks.list()] == [
            *("user.insert", "user.insert", "item.insert"),
        ]
        await co.users.create(name="Jo")
        assert await co.resthooks.unsubscribe(hooks[0].id) is True
        await co.users.create(name="Ann")
        await sandbox.webhooks_settled()
    assert receiver.events() == ["user.insert"] * 3


async def test_batch_and_flag():
    """Each entry of a batch is an event of its own; _flag_webhooks=0 is none."""
    async with receiving() as receiver, Sandbox(quota=None) as sandbox, client(sandbox) as co:
        await co.resthooks.create(target_url=receiver.url, event="customer.insert")
        async with co.bulk() as bulk:
            for number in range(3):
                bulk.customers.create(company=f"C{number}")
        silent = co.with_options(flags={"webhooks": 0})
        await silent.customers.create(company="silent")
        async with silent.bulk() as bulk:
            bulk.customers.create(company="D1")
            bulk.customers.create(company="D2")
        await sandbox.webhooks_settled()
        logged = sandbox.log[-1].caller.flags
    assert receiver.events() == ["customer.insert"] * 3
    assert logged == {"webhooks": "0"}


async def test_what_is_not_answered_200_is_tried_again():
    """With growing waits, then given up; the system log has a line for each failure."""
    waits = Waits()
    async with (
        receiving(500, 204, 302, 404) as receiver,
        Sandbox(quota=None, sleep=waits) as sandbox,
        client(sandbox) as co,
    ):
        await co.resthooks.create(target_url=receiver.url, event="item.insert")
        await co.items.create(name="x", item_type="service")
        await sandbox.webhooks_settled()
        assert len(receiver.posts) == 4  # the redirect was not followed
        (delivery,) = sandbox.webhooks
        assert (delivery["status"], delivery["answer"]) == ("failed", "404")
        assert waits.seconds == list(DELAYS_S)
        lines = [entry.msg for entry in await co.log.list()]
        assert [line.rpartition(": ")[2] for line in lines] == ["500", "204", "302", "404"]
        assert all(receiver.url in line for line in lines)
        await co.items.create(name="y", item_type="service")
        await sandbox.webhooks_settled()
        assert sandbox.webhooks[-1]["status"] == "delivered"


async def test_who_does_not_listen_is_tried_again():
    """A connection that is refused is a failure like any other."""
    async with receiving() as receiver:
        gone = receiver.url
    async with Sandbox(quota=None, sleep=Waits()) as sandbox, client(sandbox) as co:
        await co.resthooks.create(target_url=gone, event="user.insert")
        await co.users.create(name="Jo")
        await sandbox.webhooks_settled()
        (delivery,) = sandbox.webhooks
    assert (delivery["status"], delivery["attempts"]) == ("failed", 4)
    assert "Connect" in delivery["answer"]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "http://192.0.2.1/",
        "http://0.0.0.0:1/",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "http://127.0.0.1@example.com/",
    ],
)
async def test_nothing_is_posted_elsewhere(monkeypatch, url):
    """An address that is not this machine's is refused at once, and never asked for."""
    asked: list[str] = []

    async def post(_self: Deliverer, target: str, _body: str) -> str:
        asked.append(target)
        return "200"

    monkeypatch.setattr(Deliverer, "_post", post)
    async with Sandbox(quota=None) as sandbox, client(sandbox) as co:
        await co.resthooks.create(target_url=url, event="user.insert")
        await co.users.create(name="Jo")
        await sandbox.webhooks_settled()
        (delivery,) = sandbox.webhooks
    assert (delivery["status"], delivery["attempts"], asked) == ("refused", 0, [])


async def test_host_that_is_asked_for_is_posted_to(monkeypatch):
    """By its name, and by no other."""
    asked: list[str] = []

    async def post(_self: Deliverer, target: str, _body: str) -> str:
        asked.append(target)
        return "200"

    monkeypatch.setattr(Deliverer, "_post", post)
    hosts = ["hooks.example.com"]
    async with Sandbox(quota=None, webhook_hosts=hosts) as sandbox, client(sandbox) as co:
        for host in ("Hooks.example.com", "other.example.com", "localhost"):
            await co.resthooks.create(target_url=f"https://{host}/x", event="user.insert")
        await co.users.create(name="Jo")
        await sandbox.webhooks_settled()
        found = [delivery["status"] for delivery in sandbox.webhooks]
    assert sorted(asked) == ["https://Hooks.example.com/x", "https://localhost/x"]
    assert found == ["delivered", "refused", "delivered"]


async def test_pending_webhooks_survive_a_kill(tmp_path):
    """What waits is in the store's file; the next sandbox over it goes on where it was."""
    held = asyncio.Event()

    async def wait_for_ever(_seconds: float) -> None:
        held.set()
        await asyncio.Event().wait()

    path = tmp_path / "store"
    async with receiving(500, 500) as receiver:
        sandbox = await Sandbox(quota=None, path=path, sleep=wait_for_ever).start()
        async with client(sandbox) as co:
            await co.resthooks.create(target_url=receiver.url, event="user.insert")
            await co.users.create(name="Jo")
            await held.wait()
        await sandbox.kill()
        assert len(receiver.posts) == 1
        waits = Waits()
        async with Sandbox(quota=None, path=path, sleep=waits) as again:
            await again.webhooks_settled()
            (delivery,) = again.webhooks
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 3)
    assert len(receiver.posts) == 3
    assert waits.seconds == list(DELAYS_S[:2])


async def test_reset_forgets_what_waits():
    """A delivery that is on its way when all is forgotten is written down nowhere."""
    gate, held = asyncio.Event(), asyncio.Event()

    async def wait(_seconds: float) -> None:
        held.set()
        await gate.wait()

    async with (
        receiving(500) as receiver,
        Sandbox(quota=None, sleep=wait) as sandbox,
        client(sandbox) as co,
    ):
        await co.resthooks.create(target_url=receiver.url, event="user.insert")
        await co.users.create(name="Jo")
        await held.wait()
        sandbox.store.clear()
        gate.set()
        await sandbox.webhooks_settled()
        assert sandbox.webhooks == []
    assert len(receiver.posts) == 1


async def test_old_deliveries_are_forgotten_and_many_take_turns(monkeypatch):
    """A burst is delivered in full with few tasks at a time; the newest of them stay."""
    kept, count = 20, 60
    monkeypatch.setattr(delivering, "KEPT", kept)
    monkeypatch.setattr(delivering, "WAITING", 12)
    async with receiving() as receiver, Sandbox(quota=None) as sandbox, client(sandbox) as co:
        await co.resthooks.create(target_url=receiver.url, event="user.insert")
        async with co.bulk() as bulk:
            for number in range(count):
                bulk.users.create(name=f"U{number}")
        await sandbox.webhooks_settled()
        ids = [delivery["context_id"] for delivery in sandbox.webhooks]
    assert len(receiver.posts) == count
    assert len({json.loads(body)["context_id"] for _, body in receiver.posts}) == count
    assert ids == list(range(count - kept + 1, count + 1))


async def test_control_plane_shows_deliveries(call, sandbox):
    """With the token that they carry, so that a receiver can be set up from outside."""
    async with receiving() as receiver:
        hook = {"target_url": receiver.url, "event": "user.insert"}
        assert (await call("POST", "/_resthook", hook))[0] == 201
        await call("POST", "/user", {"name": "Jo"})
        await sandbox.webhooks_settled()
        root = sandbox.url.removesuffix("/api/v3")
        async with call.session.get(f"{root}/_sandbox/webhooks") as response:
            shown = json.loads(await response.read())
    assert shown["token"] == sandbox.webhook_token
    (delivery,) = shown["deliveries"]
    assert (delivery["event"], delivery["status"]) == ("user.insert", "delivered")
    assert (await call("GET", "/_delivery"))[0] == 400


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"target_url": "http://127.0.0.1/"},
        {"event": "user.insert"},
        {"target_url": "127.0.0.1/", "event": "user.insert"},
        {"target_url": "ftp://127.0.0.1/", "event": "user.insert"},
        {"target_url": "http://[127/", "event": "user.insert"},
        {"target_url": "http://127.0.0.1:x/", "event": "user.insert"},
        {"target_url": "http://127.0.0.1/", "event": "insert"},
        {"target_url": "http://127.0.0.1/", "event": ["user.insert"]},
    ],
)
def test_unsound_hook_is_refused(account, payload):
    """A hook needs an address and an event."""
    account.refused("POST", "/_resthook", payload)


def test_hook_is_addressed_like_any_object(account: Any, make_account: Callable[..., Any]):
    """Create, list, get and delete; no update."""
    hook = {"target_url": "http://127.0.0.1/", "event": "user.insert"}
    assert account.ok("POST", "/_resthook", hook) == {"id": 1}
    assert account.ok("GET", "/_resthook") == [{"resthook_id": 1, **hook}]
    account.refused("PUT", "/_resthook/1", hook)
    assert account.ok("DELETE", "/_resthook/1") is True
    assert account("GET", "/_resthook/1")["message"] == "This resthook does not exist."
