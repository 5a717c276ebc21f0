"""The HTTP side: credentials, faults, log, control plane, starting and ending."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from io import StringIO
from pathlib import Path
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    build_opener,
)

import aiohttp
import pytest
from yarl import URL

from chargeover_async.cli.sandbox import sandbox_command
from chargeover_async.sandbox import (
    Faults,
    Quota,
    Sandbox,
    Variant,
    backend_of,
    make_app,
    new_store,
    serve,
)
from chargeover_async.sandbox.__main__ import main, make_parser
from chargeover_async.sandbox.http.auth import signature
from chargeover_async.sandbox.http.faults import KINDS
from chargeover_async.sandbox.protocol.answers import encode

NEW = {"company": "Acme"}


def batch(count):
    return [
        {"request_method": "POST", "uri": "/api/v3/customer", "payload": {"company": f"c{number}"}}
        for number in range(count)
    ]


# Answers


async def test_create_has_a_location(call):
    """201 and 202 say where the record is, an error does not."""
    url = f"{call.sandbox.url}/customer"
    async with call.session.post(url, json=NEW) as response:
        assert response.status == 201
        assert response.headers["Location"] == f"{url}/1"
        assert response.headers["Content-Type"] == "application/json"
    async with call.session.put(f"{url}/1", json=NEW) as response:
        assert (response.status, response.headers["Location"]) == (202, f"{url}/1")
    async with call.session.post(url, json={}) as response:
        assert response.status == 400
        assert "Location" not in response.headers


async def test_status_is_the_code(call):
    """The HTTP status equals the code, in every case."""
    for method, path, payload in (
        ("GET", "/customer", None),
        ("POST", "/customer", NEW),
        ("PUT", "/customer/1", NEW),
        ("GET", "/customer/2", None),
        ("GET", "/customers", None),
        ("PATCH", "/customer/1", NEW),
        ("POST", "/_bulk", batch(26)),
        ("GET", "/_bulk", None),
    ):
        status, envelope = await call(method, path, payload)
        assert status == envelope["code"]


@pytest.mark.parametrize("body", [b"{", b"nonsense", b"\xff", b"[" * 100_000, b'{"a":1}x'])
async def test_malformed_json_is_refused(call, body):
    """A body that is no JSON is a 400 in an envelope."""
    async with call.session.post(f"{call.sandbox.url}/customer", data=body) as response:
        assert response.status == 400
        assert (await response.json())["response"] is False


async def test_key_with_a_slash_arrives_whole(call):
    """Percent-encoding keeps a key together on its way through HTTP."""
    await call("POST", "/customer", {"external_key": "a/b?c#d e%"})
    url = f"{call.sandbox.url}/customer/external_key:a%2Fb%3Fc%23d%20e%25"
    async with call.session.get(URL(url, encoded=True)) as response:
        assert response.status == 200


# Credentials


async def get(sandbox, headers):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{sandbox.url}/teapot", headers=headers) as response,
    ):
        return response.status, await response.json()


async def test_missing_credentials_have_the_documented_text(sandbox):
    """No Authorization header: the vendor's sample of a 401."""
    status, envelope = await get(sandbox, {})
    assert status == envelope["code"] == 401
    assert envelope["message"] == (
        "Invalid or incorrect authorization [Missing (basic) authorization header.]"
    )
    assert envelope["response"] is False


@pytest.mark.parametrize(
    "header",
    [
        aiohttp.encode_basic_auth("sandbox", "wrong"),
        aiohttp.encode_basic_auth("wrong", "sandbox"),
        "Basic ???",
        "Basic",
        "Bearer sandbox",
        'ChargeOver co_public_key="sandbox"',
    ],
)
async def test_wrong_credentials_are_refused(sandbox, header):
    """Anything but the right name and password is a 401, and nothing is done."""
    status, _ = await get(sandbox, {"Authorization": header})
    assert status == 401


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic ???"}])
async def test_a_401_says_how_to_come_in(sandbox, headers):
    """Every 401 does; a success has no such header."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{sandbox.url}/customer", headers=headers) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith('Basic realm="')
        auth = {"Authorization": aiohttp.encode_basic_auth("sandbox", "sandbox")}
        async with session.get(f"{sandbox.url}/customer", headers=auth) as response:
            assert "WWW-Authenticate" not in response.headers


async def test_client_that_waits_to_be_asked_gets_in(sandbox):
    """As httplib2 does, and with it the vendor's Python client."""
    passwords = HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, sandbox.url, "sandbox", "sandbox")
    opener = build_opener(HTTPBasicAuthHandler(passwords))

    def ask():
        with opener.open(f"{sandbox.url}/customer", timeout=300) as answer:
            return answer.status

    assert await asyncio.to_thread(ask) == 200
    assert [entry.status for entry in sandbox.log] == [401, 200]


async def test_wrong_credentials_do_nothing(sandbox):
    """A write without credentials changes nothing."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.url}/customer", json=NEW) as response,
    ):
        assert response.status == 401
    assert sandbox.store.count("customer") == 0


async def test_signature_is_accepted(sandbox):
    """A request signed as the vendor's PHP client does is let in; a changed one is not."""
    url = f"{sandbox.url}/teapot"
    signed = signature(
        "sandbox", "sandbox", url, nonce="abcdefgh", timestamp="1500000000", body=b""
    )
    header = (
        'ChargeOver co_public_key="sandbox" co_nonce="abcdefgh" co_timestamp="1500000000" '
        f'co_signature_method="HMAC-SHA256" co_version="1.0" co_signature="{signed}" '
    )
    assert (await get(sandbox, {"Authorization": header}))[0] == 200
    changed = header.replace("1500000000", "1500000001")
    assert (await get(sandbox, {"Authorization": changed}))[0] == 401


def test_signature_has_the_known_values():
    """The two vectors computed from the vendor's PHP client come out."""
    common = {"nonce": "abcdefgh", "timestamp": "1500000000"}
    assert (
        signature(
            "public-key",
            "private-key",
            "https://example.chargeover.com/api/v3/customer?limit=5",
            body=b"",
            **common,
        )
        == "9027e7b2b42fbade82121ee64bb8bc39f91fdb51ec44793a66c7eb1a3601bee5"
    )
    assert (
        signature(
            "public-key",
            "private-key",
            "https://Example.chargeover.com/api/v3/customer",
            body=b'{"company":"Test"}',
            **common,
        )
        == "c9e76db66e68733877b118439356a5a5ca197a06e8510b1a75fed2d23c179751"
    )


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [("429", 429, 0), ("500", 500, 0), ("500_after", 500, 1)],
)
async def test_fault_answers_in_the_apis_own_envelope(call, fault, status, done):
    """429 and 500 look like the API's; what was done is known from the store."""
    call.sandbox.faults.next(fault)
    answered, envelope = await call("POST", "/customer", NEW)
    assert answered == envelope["code"] == status
    assert (envelope["status"], envelope["response"]) == ("Error", False)
    assert call.sandbox.store.count("customer") == done
    assert (await call("GET", "/customer"))[0] == 200


@pytest.mark.parametrize(
    ("fault", "status", "done"), [("502", 502, 0), ("503", 503, 0), ("not_json", 200, 1)]
)
async def test_fault_answers_with_a_page(call, fault, status, done):
    """A gateway's answer is HTML."""
    call.sandbox.faults.next(fault)
    async with call.session.post(f"{call.sandbox.url}/customer", json=NEW) as response:
        assert (response.status, response.content_type) == (status, "text/html")
        assert (await response.text()).startswith("<html>")
    assert call.sandbox.store.count("customer") == done


@pytest.mark.parametrize(
    ("fault", "done", "error"),
    [
        ("reset_before", 0, aiohttp.ClientOSError),
        ("reset_after", 1, aiohttp.ClientOSError),
        ("lost", 1, aiohttp.ServerDisconnectedError),
    ],
)
async def test_fault_drops_the_connection(call, fault, done, error):
    """The client sees a reset or an end without an answer; the log has no status."""
    call.sandbox.faults.next(fault)
    with pytest.raises(error):
        await call("POST", "/customer", NEW)
    assert call.sandbox.store.count("customer") == done
    assert [(entry.status, entry.fault) for entry in call.sandbox.log] == [(0, fault)]


async def test_cut_answer_ends_before_its_length(call):
    """Half of the promised body arrives, then the connection ends; the work was done."""
    call.sandbox.faults.next("cut")
    async with call.session.post(f"{call.sandbox.url}/customer", json=NEW) as response:
        assert response.status == 201
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert call.sandbox.store.count("customer") == 1


@pytest.mark.parametrize(("fault", "entries"), [("short", 2), ("long", 4)])
async def test_batch_is_answered_with_the_wrong_number_of_entries(call, fault, entries):
    """Too few or too many entries come back; all items were run."""
    call.sandbox.faults.next(fault)
    _, envelope = await call("POST", "/_bulk", batch(3))
    assert len(envelope["response"]["_bulk"]) == entries
    assert call.sandbox.store.count("customer") == 3


async def test_one_entry_of_a_batch_fails(call):
    """The entry that is named, or one by chance, is a 500 and was not run."""
    call.sandbox.faults.script(["entry_500=2", "entry_500"])
    _, envelope = await call("POST", "/_bulk", batch(3))
    assert [entry["code"] for entry in envelope["response"]["_bulk"]] == [201, 201, 500]
    _, envelope = await call("POST", "/_bulk", batch(3))
    assert sorted(entry["code"] for entry in envelope["response"]["_bulk"]) == [201, 201, 500]
    assert call.sandbox.store.count("customer") == 4


async def test_faults_of_batches_leave_other_requests_alone(call):
    """A fault that only a batch can have does nothing to another request."""
    call.sandbox.faults.script(["short", "long", "entry_500"])
    for _ in range(3):
        assert (await call("POST", "/customer", NEW))[0] == 201
    call.sandbox.faults.script(["short", "entry_500"])
    assert (await call("POST", "/_bulk", []))[0] == 400
    assert (await call("POST", "/_bulk", {}))[0] == 400


async def test_delay_comes_before_or_after_the_work(connect):
    """The delay has its length, and stands on its own side of the work."""
    seen = []

    async def sleep(seconds):
        seen.append((seconds, sandbox.store.count("customer")))

    async with Sandbox(sleep=sleep) as sandbox, connect(sandbox) as call:
        sandbox.faults.script(["delay_before=2.5", "delay_after=3"])
        assert (await call("POST", "/customer", NEW))[0] == 201
        assert (await call("POST", "/customer", NEW))[0] == 201
    assert seen == [(2.5, 0), (3, 2)]


async def test_work_goes_on_when_the_client_has_gone(connect):
    """A client that stops waiting does not stop the server."""
    reached, released = asyncio.Event(), asyncio.Event()

    async def sleep(_seconds):
        reached.set()
        await released.wait()

    async with Sandbox(sleep=sleep) as sandbox, connect(sandbox) as call:
        sandbox.faults.next("delay_before=1")
        request = asyncio.create_task(call("POST", "/customer", NEW))
        await reached.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        released.set()
        assert (await call("GET", "/customer/1"))[0] == 200


async def test_maintenance_lasts_until_it_is_over(call):
    """Everything is 503 while it lasts, and nothing is done."""
    call.sandbox.faults.script(["429"])
    call.sandbox.faults.maintenance = True
    for _ in range(2):
        async with call.session.post(f"{call.sandbox.url}/customer", json=NEW) as response:
            assert response.status == 503
    call.sandbox.faults.maintenance = False
    assert (await call("POST", "/customer", NEW))[0] == 429
    assert (await call("POST", "/customer", NEW))[1]["response"] == {"id": 1}


async def test_maintenance_for_a_while_ends_by_itself(connect):
    """By the sandbox's clock, and the control plane can ask for it."""
    time = [100.0]
    async with Sandbox(quota=None, clock=lambda: time[0]) as sandbox, connect(sandbox) as call:
        control = f"{sandbox.url.removesuffix('/api/v3')}/_sandbox/faults"
        async with call.session.post(control, json={"maintenance": 30}) as response:
            assert (await response.json())["maintenance"] is True
        for now, status in ((100.0, 503), (129.9, 503), (130.0, 200)):
            time[0] = now
            async with call.session.get(f"{sandbox.url}/customer") as response:
                assert response.status == status
        assert not sandbox.faults.is_down(130.0)
        assert not sandbox.faults.maintenance


def test_aimed_faults_wait_for_a_request_that_fits():
    """One fault for each such request; the script and the rates go on for the others."""
    faults = Faults({"502": 1.0})
    faults.script(["503"])
    faults.aim("POST /customer", "lost", "429")
    faults.aim("/_bulk", "short")
    faults.aim("DELETE", "500")
    faults.aim("GET /invoice/*", "cut")
    assert faults.scripted == 6
    drawn = [
        faults.draw(*request)
        for request in (
            ("GET", "/customer"),
            ("POST", "/customer"),
            ("POST", "/customer/1"),
            ("POST", "/customer"),
            ("POST", "/customer"),
            ("POST", "/_bulk"),
            ("GET", "/invoice"),
            ("GET", "/invoice/7"),
            ("DELETE", "/item/1"),
        )
    ]
    assert [fault.kind for fault in drawn if fault] == (
        ["503", "lost", "502", "429", "502", "short", "502", "cut", "500"]
    )
    faults.aim("POST", "lost")
    faults.clear()
    assert faults.draw("POST", "/customer") is None


@pytest.mark.parametrize("target", ["", " ", "POST customer/1"])
def test_impossible_aim_is_an_error(target):
    """With a text that shows what is wanted."""
    with pytest.raises(ValueError, match="as in 'POST /customer'"):
        Faults().aim(target, "lost")


def test_rates_read_back_as_they_were_given():
    """So that they can be shown and changed one at a time."""
    rates = {"lost": 0.1, "delay_before=0.25": 0.2, "entry_500=3": 0.1}
    faults = Faults(rates)
    assert faults.rates == rates
    faults.set_rates(faults.rates)
    assert faults.rates == rates


def test_script_comes_first_and_in_order():
    """next stands before the script, None is a sound request, rates come after."""
    faults = Faults({"502": 1.0})
    faults.script([None, "lost"])
    faults.next("429", "500")
    drawn = [faults.draw() for _ in range(5)]
    assert [None if fault is None else fault.kind for fault in drawn] == [
        "429",
        "500",
        None,
        "lost",
        "502",
    ]
    faults.script(["lost"])
    faults.clear()
    assert (faults.draw(), faults.scripted) == (None, 0)


def test_rates_repeat_with_the_seed_and_keep_their_share():
    """The same seed draws the same faults, about as often as asked."""
    rates = {"lost": 0.1, "delay_before=0.2": 0.05}
    first, again = Faults(rates, seed=3), Faults(rates, seed=3)
    drawn = [first.draw() for _ in range(10_000)]
    assert drawn == [again.draw() for _ in range(10_000)]
    kinds = [fault.kind for fault in drawn if fault is not None]
    assert 900 < kinds.count("lost") < 1100
    assert 400 < kinds.count("delay_before") < 600
    assert Faults({"lost": 0.1}, seed=4).draw() != Faults({"lost": 1.0}, seed=4).draw()


@pytest.mark.parametrize(
    "text", ["504", "", "lost=1", "delay_before", "delay_before=x", "delay_after=-1", "429=2"]
)
def test_unknown_fault_is_an_error(text):
    """A fault that nobody knows, or with the wrong value, is an error at once."""
    faults = Faults()
    with pytest.raises(ValueError, match=r".+"):
        faults.script([None, text])
    assert faults.scripted == 0


@pytest.mark.parametrize("rates", [{"lost": 1.5}, {"lost": -1}, {"lost": 0.6, "502": 0.6}])
def test_impossible_rates_are_an_error(rates):
    """Rates are shares and add up to at most all."""
    with pytest.raises(ValueError, match="rates"):
        Faults(rates)


def test_every_kind_of_fault_is_tested_here():
    """A new kind of fault needs a test in this file."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f'"{kind}' not in text] == []


# Log


async def test_log_has_requests_in_order_of_arrival(call):
    """Method, path, query, status and the items of a batch, as they came."""
    await call("POST", "/_bulk", [*batch(1), {}])
    await call("GET", "/customer?_flag_emails=0&where=company:EQUALS:c0")
    bulk, listing = call.sandbox.log
    assert [tuple(item) for item in bulk.items] == [
        ("POST", "/api/v3/customer", 201),
        ("", "", 400),
    ]
    assert (listing.method, listing.path, listing.status) == ("GET", "/api/v3/customer", 200)
    assert listing.query == "_flag_emails=0&where=company:EQUALS:c0"
    assert bulk.at <= listing.at


async def test_log_has_flags_and_the_end_customer(call):
    """Of a request and of the batch around others, in the log and in the control plane."""
    said = "on_behalf_addr=10.1.2.3&on_behalf_details=jo%40example.com"
    await call("GET", f"/customer?_flag_emails=0&_flag_webhooks=1&{said}")
    await call("GET", "/customer")
    await call("POST", f"/_bulk?{said}", batch(1))
    first, plain, bulk = (entry.caller for entry in call.sandbox.log)
    assert (first.addr, first.details) == ("10.1.2.3", "jo@example.com")
    assert first.flags == {"emails": "0", "webhooks": "1"}
    assert (plain.addr, plain.details, plain.flags) == (None, None, {})
    assert bulk.addr == "10.1.2.3"
    _, log = await control(call, "GET", "log")
    shown = {key: log[0][key] for key in ("on_behalf_addr", "on_behalf_details", "flags")}
    assert list(shown.values()) == ["10.1.2.3", "jo@example.com", first.flags]
    card = {"customer_id": 1, "number": "4242424242424242", "expdate": "2030-01-01"}
    item = {"request_method": "POST", "uri": "/api/v3/creditcard", "payload": card}
    await call("POST", f"/_bulk?{said}", [item])
    assert call.sandbox.store.find("creditcard", 1)["write_ipaddr"] == "10.1.2.3"


async def test_log_numbers_and_times_every_request(connect):
    """Numbers go on when the sandbox starts again; the clock's own time is what a request took."""
    time = [0.0]

    async def sleep(seconds):
        time[0] += seconds

    async with Sandbox(quota=None, clock=lambda: time[0], sleep=sleep) as sandbox:
        sandbox.faults.script(["delay_before=0.25", "429"])
        async with connect(sandbox) as call:
            await call("GET", "/customer")
            await call("GET", "/customer")
        await sandbox.stop()
        await sandbox.start()
        async with connect(sandbox) as call:
            await call("GET", "/customer")
        assert [(entry.number, entry.took) for entry in sandbox.log] == [(1, 0.25), (2, 0), (3, 0)]


async def test_bodies_are_kept_for_those_who_ask_only(connect):
    """As they were sent, and in no repr: they may hold a card number."""
    for keep, kept in ((False, [None]), (True, [b'{"company": "Acme"}'])):
        async with Sandbox(quota=None, keep_bodies=keep) as sandbox, connect(sandbox) as call:
            await call("POST", "/customer", NEW)
            assert [entry.body for entry in sandbox.log] == kept
            assert "Acme" not in repr(sandbox.log)


async def test_log_is_bounded(connect):
    """The oldest requests are forgotten."""
    async with Sandbox(max_log=2) as sandbox, connect(sandbox) as call:
        for number in range(4):
            await call("GET", f"/customer?offset={number}")
        assert [entry.query for entry in sandbox.log] == ["offset=2", "offset=3"]


async def test_body_that_is_too_large_is_413(connect):
    """A body beyond the bound is refused before any work."""
    async with Sandbox(max_body=1000) as sandbox, connect(sandbox) as call:
        url = f"{sandbox.url}/customer"
        async with call.session.post(url, data=b" " * 1001) as response:
            assert response.status == 413
        assert (await call("POST", "/customer", NEW))[0] == 201
        assert [entry.status for entry in sandbox.log] == [413, 201]


# Control plane


async def control(call, method, command, payload=None):
    url = call.sandbox.url.removesuffix("/api/v3") + f"/_sandbox/{command}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, json=payload) as response,
    ):
        return response.status, await response.json()


async def test_control_plane_seeds_reads_and_resets(call):
    """Without credentials: seed, state, log and reset; nothing of it is logged."""
    seed = {
        "random": 7,
        "customer": [{"company": "A"}, {"customer_id": 9}],
        "item": [{"name": "x"}],
    }
    assert await control(call, "POST", "seed", seed) == (200, {"customer": [1, 9], "item": [1]})
    await call("GET", "/customer/9")
    status, state = await control(call, "GET", "state")
    assert (status, state["records"]["customer"], state["requests"]) == (200, 2, 1)
    expected = {"customer": 10, "user": 1, "item": 2, "invoice": 10000}
    assert state["next_ids"].items() >= expected.items()
    _, (entry,) = await control(call, "GET", "log")
    assert (entry["path"], entry["status"]) == ("/api/v3/customer/9", 200)
    assert (await control(call, "POST", "reset"))[0] == 200
    assert (await control(call, "GET", "state"))[1]["requests"] == 0
    assert call.sandbox.store.count("customer") == 0
    assert (await call("POST", "/customer", NEW))[1]["response"] == {"id": 1}


async def test_control_plane_sets_faults(call):
    """Scripts, rates, seed and maintenance can be set over HTTP."""
    wanted = {"seed": 1, "rates": {"lost": 0.0}, "script": ["429", None], "maintenance": False}
    assert (await control(call, "POST", "faults", wanted))[1] == {
        "scripted": 2,
        "maintenance": False,
    }
    assert (await call("GET", "/customer"))[0] == 429
    assert (await control(call, "POST", "faults", {"clear": True}))[1]["scripted"] == 0


@pytest.mark.parametrize(
    ("method", "command", "payload", "status"),
    [
        ("GET", "nothing", None, 404),
        ("GET", "reset", None, 404),
        ("POST", "faults", {"script": ["504"]}, 400),
        ("POST", "faults", {"rates": 5}, 400),
        ("POST", "faults", [1], 400),
        ("POST", "seed", {"project": [{}]}, 400),
        ("POST", "seed", {"customer": [{"customer_id": "x"}]}, 400),
        ("POST", "seed", {"customer": [5]}, 400),
    ],
)
async def test_control_plane_says_what_is_wrong(call, method, command, payload, status):
    """A wrong command is answered with its error."""
    answered, body = await control(call, method, command, payload)
    assert (answered, list(body)) == (status, ["error"])


async def test_reset_frees_the_quota(connect):
    """After a reset the quota is whole."""
    async with (
        Sandbox(quota=Quota(limit=1), clock=lambda: 0.0) as sandbox,
        connect(sandbox) as call,
    ):
        assert [(await call("GET", "/customer"))[0] for _ in range(2)] == [200, 429]
        await control(call, "POST", "reset")
        assert (await call("GET", "/customer"))[0] == 200


# Starting and ending


async def test_two_sandboxes_share_nothing(connect):
    """Records, log and faults of one are not those of another."""
    async with (
        Sandbox() as one,
        Sandbox(variant=Variant(accept_delete=False)) as two,
        connect(one) as call_one,
        connect(two) as call_two,
    ):
        two.faults.next("502")
        await call_one("POST", "/customer", NEW)
        assert (one.store.count("customer"), two.store.count("customer")) == (1, 0)
        assert (len(one.log), len(two.log), two.faults.scripted) == (1, 0, 1)
        two.faults.clear()
        assert (await call_two("GET", "/customer"))[1]["response"] == []


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_is_being_accepted_is_closed_with_the_rest(monkeypatch, turns, end):
    """In whichever turn of the loop the sandbox stops: no socket is left open."""
    left = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: left.append(unraisable.exc_value))

    async def run():
        sandbox = await Sandbox().start()
        client = socket.create_connection(("127.0.0.1", sandbox.port))
        for _ in range(turns):
            await asyncio.sleep(0)
        await getattr(sandbox, end)()
        return client

    asyncio.run(run()).close()
    gc.collect()
    assert left == []


async def test_killed_sandbox_drops_requests_in_flight_and_starts_again(connect):
    """A kill ends waiting requests undone; a new start has the same port and records."""
    reached = asyncio.Event()

    async def sleep(_seconds):
        reached.set()
        await asyncio.Event().wait()

    sandbox = Sandbox(sleep=sleep)
    async with sandbox, connect(sandbox) as call:
        await call("POST", "/customer", NEW)
        sandbox.faults.next("delay_before=1")
        request = asyncio.create_task(call("POST", "/customer", NEW))
        await reached.wait()
        await sandbox.kill()
        with pytest.raises(aiohttp.ClientConnectionError):
            await request
        with pytest.raises(aiohttp.ClientConnectorError):
            await call("GET", "/customer")
        assert not sandbox.is_running
        url = sandbox.url
        await sandbox.start()
        assert sandbox.url == url
        assert len((await call("GET", "/customer"))[1]["response"]) == 1
        assert len(sandbox.log) == 3
    await sandbox.stop()
    await sandbox.kill()


async def test_kill_after_the_work_keeps_what_was_done(connect):
    """A request that was worked on before the kill has happened, though nobody heard."""
    reached = asyncio.Event()

    async def sleep(_seconds):
        reached.set()
        await asyncio.Event().wait()

    async with Sandbox(sleep=sleep) as sandbox, connect(sandbox) as call:
        sandbox.faults.next("delay_after=1")
        request = asyncio.create_task(call("POST", "/customer", NEW))
        await reached.wait()
        await sandbox.kill()
        with pytest.raises(aiohttp.ClientConnectionError):
            await request
        assert sandbox.store.count("customer") == 1


async def test_stop_lets_requests_in_flight_finish(connect):
    """A graceful end answers what was being worked on."""
    reached, released = asyncio.Event(), asyncio.Event()

    async def sleep(_seconds):
        reached.set()
        await released.wait()

    sandbox = await Sandbox(sleep=sleep).start()
    assert await sandbox.start() is sandbox
    async with connect(sandbox) as call:
        sandbox.faults.next("delay_before=1")
        request = asyncio.create_task(call("POST", "/customer", NEW))
        await reached.wait()
        stopping = asyncio.create_task(sandbox.stop())
        released.set()
        assert (await request)[0] == 201
        await stopping


async def test_failed_block_ends_the_sandbox_at_once(connect):
    """An error inside the block does not wait for requests in flight."""
    reached = asyncio.Event()

    async def sleep(_seconds):
        reached.set()
        await asyncio.Event().wait()

    sandbox = Sandbox(sleep=sleep)

    async def fail(call):
        async with sandbox:
            sandbox.faults.next("delay_before=1")
            task = asyncio.create_task(call("POST", "/customer", NEW))
            await reached.wait()
            requests.append(task)
            raise RuntimeError("test")

    requests = []
    async with connect(sandbox) as call:
        with pytest.raises(RuntimeError, match="test"):
            await fail(call)
        with pytest.raises(aiohttp.ClientConnectionError):
            await requests[0]
    assert not sandbox.is_running


async def test_taken_port_is_an_error():
    """A port that is in use is reported, and nothing is left behind."""
    async with Sandbox() as sandbox:
        other = Sandbox(port=sandbox.port)
        with pytest.raises(OSError, match=r".+"):
            await other.start()
        assert not other.is_running


@pytest.mark.parametrize(
    "wrong", [{"host": "0.0.0.0"}, {"host": "example.com"}, {"username": "a:b"}]
)
def test_impossible_sandbox_cannot_be_built(wrong):
    """Plain http stays on this machine; a name cannot hold a colon."""
    with pytest.raises(ValueError, match=r".+"):
        Sandbox(**wrong)


def test_url_is_that_of_the_api():
    """The base URL ends in the API's path; an IPv6 address has brackets."""
    assert Sandbox(port=8080).url == "http://127.0.0.1:8080/api/v3"
    assert Sandbox(host="::1", port=8080).url == "http://[::1]:8080/api/v3"


def test_application_can_be_made_without_a_sandbox():
    """make_app gives a fresh application over a store of one's own."""
    store = new_store()
    app, other = make_app(store), make_app(store)
    assert backend_of(app).store is store
    assert backend_of(app).log is not backend_of(other).log


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX")
def test_serve_prints_where_it_is_and_ends_on_a_signal():
    """One line with URL and credentials, then until the signal."""

    class Out(StringIO):
        def flush(self):
            super().flush()
            os.kill(os.getpid(), signal.SIGTERM)

    out, err = Out(), StringIO()
    serve(username="me", password="pw", quota_limit=5, quota_kind="fixed", out=out, err=err)
    url, username, password = out.getvalue().split()
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/api/v3")
    assert (username, password) == ("me", "pw")
    page = url.removesuffix("api/v3")
    assert err.getvalue() == f"What is in it, in a browser: {page}\n"


def test_command_line_reads_its_options(monkeypatch):
    """The options become arguments of serve."""
    seen = []
    monkeypatch.setattr(
        "chargeover_async.sandbox.__main__.serve",
        lambda *a, faults, seeds, maintenance_s, **k: seen.append((a, k)),
    )
    main(
        [
            "--port",
            "9",
            "--kind",
            "none",
            "--quota",
            "7",
            "--seed",
            "3",
            "--store",
            "a.db",
        ]
    )
    assert seen == [
        (
            ("127.0.0.1", 9),
            {
                "quota_limit": 7,
                "quota_window_s": 60.0,
                "quota_kind": None,
                "seed": 3,
                "path": "a.db",
                "webhook_hosts": [],
            },
        )
    ]


def test_both_command_lines_take_the_same_options():
    """What is learned of one holds for the other; nothing is abbreviated in between."""
    own = {action.option_strings[0] for action in make_parser()._actions} - {"-h"}
    assert own == {parameter.opts[0] for parameter in sandbox_command.params}


def test_options_of_the_quota_can_be_called_as_before(monkeypatch):
    """Scripts that were written before go on."""
    seen = {}
    monkeypatch.setattr(
        "chargeover_async.sandbox.__main__.serve", lambda *_a, **options: seen.update(options)
    )
    options = ["--quota-limit", "7", "--quota-window-s", "6", "--quota-kind", "fixed"]
    main([*options, "--maintenance-s", "2"])
    assert (seen["quota_limit"], seen["quota_window_s"], seen["quota_kind"]) == (7, 6.0, "fixed")
    assert seen["maintenance_s"] == 2.0


def test_answers_hold_no_credentials():
    """Neither the representation of a sandbox nor its log shows the password."""
    assert "s3cret" not in repr(Sandbox(password="s3cret"))
    assert encode({}) == b"{}"
