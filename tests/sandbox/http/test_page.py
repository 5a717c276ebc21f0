"""The page and its control plane over HTTP: what they show, what they hide, whom they refuse."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
from importlib.resources import files

import pytest

from chargeover_async.sandbox import Quota, QuotaMeter, Sandbox, backend_of, make_app, new_store
from chargeover_async.sandbox.http.faults import KINDS
from chargeover_async.sandbox.http.mask import mask_target
from chargeover_async.sandbox.http.page import SAMPLES, SPANS, about, records
from chargeover_async.sandbox.http.quota import use_over_time
from chargeover_async.sandbox.objects.table import OBJECTS

NAMES = [name for name, spec in OBJECTS.items() if spec.reads and not spec.internal]  # of the API
CARD = "4111111111111111"
FILES = files("chargeover_async.sandbox.http") / "page"


@pytest.fixture
async def get(call):
    async def get(path, *, method="GET", status=200, json=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = call.sandbox.page_url + path
        request = call.session.request(method, url, headers=names, json=json, allow_redirects=False)
        async with request as answer:
            assert answer.status == status, await answer.text()
            if answer.content_type == "application/json":
                return await answer.json()
            return answer, await answer.text()

    return get


# The files


async def test_root_is_the_page(get, call):
    """With files of its own only, which run nothing else, and no trace in the log."""
    answer, html = await get("")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    used = re.findall(r'"/_sandbox/([\w.]+)"', html)
    for name in used:
        answer, text = await get(f"_sandbox/{name}")
        assert answer.content_type == kinds[name.rpartition(".")[2]]
        assert "innerHTML" not in text
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("`HTTP $", "")
        used += set(re.findall(r'from "\./([\w.]+)"', text)) - set(used)
    assert {*used, "index.html"} == {file.name for file in FILES.iterdir()}
    assert not re.search(r"<script(?! src=)|<style| style=| on\w+=", html)
    assert "http:" not in html
    assert "https:" not in html
    assert len(call.sandbox.log) == 0
    assert call.sandbox.page_url.startswith("http://127.0.0.1:")


async def test_the_page_cannot_be_written_to(get):
    """It is there to be read."""
    await get("", method="POST", status=404)
    await get("_sandbox/page.js", method="PUT", status=404)


# What is shown


async def test_the_page_follows_the_table_of_objects(get):
    """Its objects, their fields and filters are those of the specs; it has no list of its own."""
    about = await get("_sandbox/about")
    assert [described["name"] for described in about["objects"]] == NAMES
    for described in about["objects"]:
        spec = OBJECTS[described["name"]]
        assert described["key"] == spec.key
        assert spec.key in described["fields"]
        assert set(described["fields"]) <= spec.kinds.keys()
        assert set(spec.nested) <= set(described["filters"])
    values = {fault["kind"]: fault["value"] for fault in about["faults"]}
    assert list(values) == list(KINDS)
    assert (values["delay_after"], values["entry_500"], values["lost"]) == (
        ("required", "allowed", None)
    )


def test_every_field_and_operation_that_is_offered_can_be_asked_for():
    """Filters and orders of every object."""
    backend = backend_of(make_app(new_store()))
    offered = about(backend)
    queries = [
        f"{described['name']}?{query}"
        for described in offered["objects"]
        for query in (
            *(f"where={field}:IS:NULL" for field in described["filters"]),
            *(f"order={field}:DESC" for field in described["fields"]),
        )
    ]
    for operation in offered["operations"]:
        value = "NULL" if operation.startswith("IS") else "1"
        queries.append(f"customer/_count?where=customer_id:{operation}:{value}")
    assert len(queries) > 500
    for query in queries:
        answer = records(backend, *query.split("?"))
        assert answer.code == 200, (query, answer)


async def test_records_are_read_as_the_api_shows_them(get, call):
    """Without quota, faults and log; whatever cannot be read says why."""
    for number in range(3):
        await call("POST", "/customer", {"company": f"C{number}"})
    call.sandbox.faults.script(["500"])
    requests = len(call.sandbox.log)
    listed = await get("_sandbox/records/customer?where=company:EQUALS:C1")
    assert [record["customer_id"] for record in listed["response"]] == [2]
    assert (await get("_sandbox/records/customer/_count"))["response"] == 3
    shown = await get("_sandbox/records/customer/2")
    assert shown["response"] == call.sandbox.store.find("customer", 2)
    missing = await get("_sandbox/records/customer/9", status=404)
    assert missing["message"] == "This customer does not exist."
    wrong = await get("_sandbox/records/customer?where=colour:EQUALS:red", status=400)
    assert wrong["message"] == "You cannot filter by: colour."
    assert len(call.sandbox.log) == requests
    assert call.sandbox.faults.scripted == 1


async def test_records_come_with_the_names_of_their_customers(get, call):
    """Of a list and of one record; of a company, or of a person without one."""
    await call("POST", "/customer", {"company": "<b>Acme"})
    await call("POST", "/customer", {"superuser_name": "Anna Buyer"})
    await call("POST", "/item", {"name": "Tea"})
    for customer_id in (1, 2, 2):
        lines = [{"item_id": 1, "line_rate": 1}]
        await call("POST", "/invoice", {"customer_id": customer_id, "line_items": lines})
    listed = await get("_sandbox/records/invoice")
    assert listed["customers"] == {"1": "<b>Acme", "2": "Anna Buyer"}
    one = await get("_sandbox/records/invoice/10001")
    assert one["customers"] == {"2": "Anna Buyer"}
    assert (await get("_sandbox/records/invoice/_count"))["customers"] == {}
    assert (await get("_sandbox/records/item"))["customers"] == {}
    assert (await get("_sandbox/records/invoice/1", status=404))["customers"] == {}


async def test_a_seeded_record_may_name_no_customer_at_all(get, call):
    """It is listed as it is."""
    call.sandbox.store.seed("invoice", {"customer_id": 99, "total": 5})
    call.sandbox.store.seed("invoice", {"total": 5})
    listed = await get("_sandbox/records/invoice")
    assert len(listed["response"]) == 2
    assert listed["customers"] == {}


async def test_credentials_are_told_to_the_page_and_nowhere_else(connect):
    """To whom may see the page; the other answers do without them."""
    async with (
        Sandbox(username="shop-user", password="s3cret-<b>") as sandbox,
        connect(sandbox) as call,
    ):
        await call("GET", "/customer")

        async def read(path, **headers):
            url = f"{sandbox.page_url}{path}"
            async with call.session.get(url, headers=headers) as answer:
                assert answer.status == 403 or answer.headers["Cache-Control"] == "no-store"
                return answer.status, await answer.text()

        status, text = await read("_sandbox/about")
        shown = json.loads(text)
        assert (status, shown["username"], shown["password"]) == (200, "shop-user", "s3cret-<b>")
        for path in ("", "_sandbox/live", "_sandbox/records/customer", "_sandbox/page.js"):
            assert "s3cret" not in (await read(path))[1]
        for headers in (
            {"Host": "evil.example"},
            {"Origin": "http://evil.example"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        ):
            status, text = await read("_sandbox/about", **headers)
            assert status == 403
            assert "s3cret" not in text


async def test_records_cannot_be_changed_this_way(get, call):
    """GET is all there is."""
    for method in ("POST", "PUT", "DELETE"):
        await get("_sandbox/records/customer", method=method, status=404, json={"company": "X"})
    assert call.sandbox.store.count("customer") == 0


async def test_live_has_counts_and_what_is_new_in_the_log(get, call):
    """The requests behind the number that is known, entries of a batch with their codes."""
    items = [
        {"request_method": "POST", "uri": "/api/v3/customer", "payload": {"company": "A"}},
        {"request_method": "GET", "uri": "/api/v3/customer/9"},
    ]
    await call("POST", "/_bulk", items)
    call.sandbox.faults.script(["503"])
    async with call.session.get(f"{call.sandbox.url}/item?limit=1"):
        pass
    live = await get("_sandbox/live")
    assert live["records"]["customer"] == 1
    assert live["records"].keys() == set(NAMES)
    first, second = live["log"]["entries"]
    assert first["items"] == [["POST", "/api/v3/customer", 201], ["GET", "/api/v3/customer/9", 404]]
    assert (first["number"], first["method"], first["target"], first["status"]) == (
        (1, "POST", "/api/v3/_bulk", 200)
    )
    assert first["took"] >= 0
    assert first["ago"] >= 0
    assert (second["target"], second["status"], second["fault"]) == (
        ("/api/v3/item?limit=1", 503, "503")
    )
    assert (live["log"]["first"], live["log"]["last"]) == (1, 2)
    assert [
        request["number"] for request in (await get("_sandbox/live?after=1"))["log"]["entries"]
    ] == [2]
    assert (await get("_sandbox/live?after=2"))["log"]["entries"] == []
    assert len((await get("_sandbox/live?after=x"))["log"]["entries"]) == 2
    call.sandbox.log.clear()
    assert (await get("_sandbox/live"))["log"] == {"first": 0, "last": 0, "entries": []}


async def test_live_is_bounded_however_much_arrived(connect):
    """The newest 200 requests, oldest first."""
    async with Sandbox(quota=None) as sandbox, connect(sandbox) as call:
        for _ in range(3):
            await call("GET", "/customer")
        template = sandbox.log[0]
        for number in range(4, 1000):
            sandbox.log.append(type(template)(template.at, "GET", "/x", "", number=number))
        async with call.session.get(f"{sandbox.page_url}_sandbox/live") as answer:
            entries = (await answer.json())["log"]["entries"]
        assert [entry["number"] for entry in entries] == list(range(800, 1000))


async def test_request_under_way_has_no_duration_yet(connect):
    """It is asked for again until it has one."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def sleep(_seconds):
        arrived.set()
        await go.wait()

    async with Sandbox(quota=None, sleep=sleep) as sandbox, connect(sandbox) as call:
        sandbox.faults.script(["delay_before=1"])
        request = asyncio.create_task(call("GET", "/customer"))
        url = f"{sandbox.page_url}_sandbox/live"
        await arrived.wait()
        async with call.session.get(url) as answer:
            (entry,) = (await answer.json())["log"]["entries"]
        assert (entry["status"], entry["took"]) == (0, None)
        go.set()
        await request
        async with call.session.get(url) as answer:
            (entry,) = (await answer.json())["log"]["entries"]
        assert entry["status"] == 200
        assert entry["took"] is not None


async def test_faults_are_shown_as_they_are_set(get):
    """Through the control plane that was there before."""
    wanted = {"rates": {"lost": 0.25, "delay_after=2": 0.1}, "script": ["429"], "maintenance": True}
    await get("_sandbox/faults", method="POST", json=wanted)
    live = await get("_sandbox/live")
    assert live["faults"] == {"rates": wanted["rates"], "scripted": 1, "maintenance": True}


# The quota


@pytest.mark.parametrize("kind", ["rolling", "fixed", "bucket"])
def test_use_over_time_is_that_of_a_meter_that_was_there(kind):
    """Whatever the kind of the window."""
    quota = Quota(5, 10, kind)
    arrivals = [0.5, 0.6, 1.0, 4.0, 4.1, 4.2, 9.9, 10.1, 12.0, 19.0, 19.5, 25.0]
    times = [number / 4 for number in range(160)]
    meter = QuotaMeter(quota)
    expected = []
    events = itertools.chain(((at, 0) for at in arrivals), ((time, 1) for time in times))
    for time, is_sample in sorted(events):
        if is_sample:
            expected.append(meter.used(time))
        else:
            meter.admit(time)
    assert use_over_time(quota, arrivals, times) == expected
    assert max(expected) <= 5
    assert expected[2] == 1
    assert expected[-1] == 0


async def test_quota_use_is_drawn_over_three_windows(connect):
    """Used, requests and refused ones, the last sample being now."""
    time = [1000.0]
    async with (
        Sandbox(quota=Quota(3, 60), clock=lambda: time[0]) as sandbox,
        connect(sandbox) as call,
    ):
        for at in (1000.0, 1001.0, 1030.0, 1031.0):
            time[0] = at
            await call("GET", "/customer")
        time[0] = 1060.5
        async with call.session.get(f"{sandbox.page_url}_sandbox/live") as answer:
            quota = (await answer.json())["quota"]
        assert (quota["limit"], quota["kind"], quota["step_s"]) == (3, "rolling", 1.0)
        assert len(quota["used"]) == len(quota["requests"]) == len(quota["refused"]) == SAMPLES
        assert SAMPLES * quota["step_s"] == SPANS * 60
        assert quota["used"][-1] == 2  # those of 1001 and 1030; that of 1031 was refused
        assert max(quota["used"]) == 3
        assert (sum(quota["requests"]), sum(quota["refused"])) == (4, 1)


async def test_without_a_quota_only_requests_are_counted(get, call):
    """There is nothing to use up."""
    await call("GET", "/customer")
    quota = (await get("_sandbox/live"))["quota"]
    assert quota["kind"] is None
    assert set(quota["used"]) == {0}
    assert sum(quota["requests"]) == 1


# What is hidden


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (f"/creditcard?where=number:EQUALS:{CARD}", "/creditcard?where=number:EQUALS:***"),
        (
            "/ach?where=number%3aGT%3a12%2Crouting:LT:9",
            "/ach?where=number%3aGT%3a***%2Crouting:LT:***",
        ),
        ("/x?password=hunter2&limit=5", "/x?password=***&limit=5"),
        (f"/x?where=custom_1:EQUALS:{CARD}", "/x?where=custom_1:EQUALS:***"),
        ("/x/external_key:4111%201111-1111+1111", "/x/external_key:***"),
        (
            "/x?where=refnumber:LT:7,invoice_number:LT:8",
            "/x?where=refnumber:LT:7,invoice_number:LT:8",
        ),
        ("/x/external_key:4111111111111112", "/x/external_key:4111111111111112"),
        ("/x/external_key:123456", "/x/external_key:123456"),
    ],
)
def test_numbers_of_cards_and_accounts_are_hidden(target, shown):
    """What is none is shown: keys may be long numbers, too."""
    assert mask_target(target) == shown


async def test_neither_log_shows_a_card_a_bank_account_or_credentials(get, call):
    """Not in a path, not in a query, not inside a batch, and no body at all."""
    card = {"customer_id": 1, "number": CARD, "cvv": "cvv-cvv", "expdate": "2030-01-01"}
    await call("POST", "/creditcard", card)
    await call("GET", f"/creditcard?where=number:EQUALS:{CARD}")
    uri = f"/api/v3/ach?where=number:EQUALS:856667,routing:EQUALS:072403004&q={CARD}"
    await call("POST", "/_bulk", [{"request_method": "GET", "uri": uri}])
    for path in ("_sandbox/live", "_sandbox/log"):
        text = str(await get(path))
        for secret in (CARD, "856667", "072403004", "cvv-cvv", "Basic"):
            assert secret not in text


# Who may ask


@pytest.mark.parametrize(
    "path", ["", "_sandbox/live", "_sandbox/page.js", "_sandbox/state", "_sandbox/about"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # DNS rebinding: the page's own domain, pointed at 127.0.0.1
        {"Host": "evil.example:8080"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "10.0.0.1"},
        {"Host": "[2001:db8::1]:80"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
    ],
)
async def test_other_pages_are_refused(get, path, headers):
    """Whatever they ask for."""
    refused = await get(path, status=403, **headers)
    assert "control plane" in refused["error"]


@pytest.mark.parametrize("body", ['{"maintenance": true}', '{"clear": true, "x": "="}'])
async def test_a_form_of_another_page_changes_nothing(get, call, body):
    """A form can post any text without asking first; the browser names the page it is on."""
    url = f"{call.sandbox.page_url}_sandbox/faults"
    call.sandbox.faults.script(["lost"])
    for headers in (
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ):
        async with call.session.post(url, data=body, headers=headers) as answer:
            assert answer.status == 403
    assert call.sandbox.faults.scripted == 1
    assert not call.sandbox.faults.maintenance


async def test_our_own_page_programs_and_links_are_let_in(get, call):
    """A browser on the page, curl, and somebody who follows a link to the page."""
    port = call.sandbox.port
    for host in (
        f"127.0.0.1:{port}",
        f"localhost:{port}",
        f"LOCALHOST:{port}",
        "[::1]:1",
        "localhost",
    ):
        await get("_sandbox/live", Host=host)
        await get("_sandbox/live", Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")
    await get("_sandbox/state", Sec_Fetch_Site="none")
    await get("", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    await get("_sandbox/live", status=403, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")


async def test_without_a_host_nobody_is_let_in(sandbox):
    """HTTP/1.0 allows it; a browser always names one."""
    reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    writer.write(b"GET /_sandbox/state HTTP/1.0\r\n\r\n")
    assert b" 403 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_the_api_itself_does_not_mind_names(call):
    """It has credentials; a test may give 127.0.0.1 any name."""
    async with call.session.get(
        f"{call.sandbox.url}/customer", headers={"Host": "chargeover.test"}
    ) as answer:
        assert answer.status == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_page_url_of_ipv6_has_brackets():
    """As a browser wants it."""
    assert Sandbox(host="::1", port=8080).page_url == "http://[::1]:8080/"
    assert Sandbox(host="::1", port=8080).url == "http://[::1]:8080/api/v3"


def test_colours_can_be_told_apart():
    """Text on its ground has the contrast that WCAG asks for (AA: 4.5), in both schemes."""
    css = (FILES / "page.css").read_text()
    schemes = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    assert len(schemes) == 2

    def light(colour):
        digits = "".join(digit * 2 for digit in colour) if len(colour) == 3 else colour
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): #(\w+);", scheme))
        for text, ground in (
            *itertools.product(("ink", "quiet", "accent", "good", "bad", "warn"), ("card",)),
            ("ink", "ground"),
            ("quiet", "ground"),
            ("accent", "soft"),
        ):
            one, other = sorted((light(colours[text]), light(colours[ground])))
            assert (other + 0.05) / (one + 0.05) >= 4.5, (text, ground)
