"""A plain curl session of the vendor's text: each of its example requests, answered as it shows.

The examples are taken out of the text by the test. The sandbox is given what an example implies and
no more: the records that its answer shows or that its request names. Then curl sends it, with the
credentials of the text. The text is not part of this repository; without it, or without curl, the
tests skip.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.vendor_text import Example, examples, find_text

from chargeover_async.sandbox import Quota, Sandbox, Store

TEXT = find_text()
EXAMPLES = [] if TEXT is None else list(examples(TEXT.read_text("utf-8")))
CURL = shutil.which("curl")

# Where the sandbox differs from the text on purpose, by request and path in the answer.
EXCEPTIONS = {
    ("*", "details"): "an empty object in some examples; no recording has the key",
    ("/api/v3/customer", "response[0].customer_id"): (
        "text in the list of 2013, a number in every recording"
    ),
    ("/API/v3/customer/100/_revision?limit=5", "response[*].revision_ipaddr"): (
        "the address of the vendor's machine; here 127.0.0.1"
    ),
}
# Requests that are not sent as the text has them.
RESPELLED = {
    "/v3/invoice?where=date:GTE:2015-02-01,date:LTE:2015-02-05": (
        "/api/v3/invoice?where=date:GTE:2015-02-01,date:LTE:2015-02-05",
        "a slip of the text, which has /api/v3 everywhere else",
    ),
}
# Bodies that the text cuts short ("... other invoice data here ...") or leaves out.
COMPLETED: dict[str, tuple[dict[str, Any], str]] = {
    "/api/v3/invoice": (
        {"line_items": [{"item_id": 1, "line_rate": "12.5"}]},
        "an invoice needs a line (text, Requirements)",
    ),
    "/api/v3/transaction": (
        {"customer_id": 1, "amount": "19.99"},
        "the example shows the query only",
    ),
}
# The one request that the text tells not to send: its colon is not escaped.
UNESCAPED = "/api/v3/item?where=external_key:EQUALS:Example:ID"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(TEXT is None, reason="the vendor's text is absent"),
    pytest.mark.skipif(CURL is None, reason="curl is absent"),
]


# What an example implies


def _seen(store: Store, example: Example, name: str) -> None:
    """The records that an answer shows, behind as many others as its offset says."""
    spec = store.specs[name]
    assert example.answer is not None
    shown = example.answer["response"]
    records = shown if isinstance(shown, list) else [shown]
    offset = int(match[1]) if (match := re.search(r"offset=(\d+)", example.uri)) else 0
    first = min(int(record[spec.key]) for record in records)
    for number in range(offset):
        store.seed(name, {spec.key: first - offset + number})
    for record in records:
        store.seed(name, record)


def _revised(store: Store, wall: Any, example: Example) -> None:
    """A customer with a history, oldest entry first; `wall` is the account's time."""
    assert example.answer is not None
    changed, created = example.answer["response"]
    store.seed("admin", {"admin_id": created["admin_id"], "name": created["admin_name"]})
    stamp = created["revision_datetime"]
    id_ = store.seed("customer", {"customer_id": created["context_id"], "write_datetime": stamp})
    wall.value = dt.datetime.fromisoformat(changed["revision_datetime"]).replace(tzinfo=dt.UTC)
    store.note(
        store.table("customer").rows[id_], changed["revision_datetime"], changed["revision_note"]
    )


# uri -> the records that match its filter, then some that do not.
FILTERED: dict[str, tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = {
    "/api/v3/customer?where=superuser_email:EQUALS:johndoe@example.com": (
        "customer",
        [{"superuser_id": 5, "superuser_email": "johndoe@example.com"}],
        [{"superuser_id": 6, "superuser_email": "jane@example.com"}, {}],
    ),
    "/api/v3/customer?where=company:CONTAINS:test": (
        "customer",
        [{"company": "a test company"}, {"company": "test"}],
        [{"company": "Acme"}],
    ),
    "/api/v3/invoice?where=date:EQUALS:2015-02-05": (
        "invoice",
        [{"date": "2015-02-05", "total": 1}],
        [{"date": "2015-02-04", "total": 1}],
    ),
    "/v3/invoice?where=date:GTE:2015-02-01,date:LTE:2015-02-05": (
        "invoice",
        [{"date": f"2015-02-0{day}", "total": 1} for day in (1, 3, 5)],
        [{"date": "2015-01-31", "total": 1}, {"date": "2015-02-06", "total": 1}],
    ),
    r"/api/v3/item?where=external_key:EQUALS:Example\:ID": (
        "item",
        [{"external_key": "Example:ID"}],
        [{"external_key": "Example"}],
    ),
    "/api/v3/customer": ("customer", [{"company": str(number)} for number in range(10)], [{}]),
    "/api/v3/customer?offset=10&limit=15": (
        "customer",
        [{"customer_id": number} for number in range(11, 26)],
        [{"customer_id": number} for number in (*range(1, 11), 26)],
    ),
    "/API/v3/customer/100/_revision": ("customer", [], [{"customer_id": 100}]),
    "/api/v3/customer/external_key:abc123": ("customer", [], [{"external_key": "abc123"}]),
    "/api/v3/customer/token:0q7fx5652k18": ("customer", [], [{"token": "0q7fx5652k18"}]),
}


def prepare(store: Store, wall: Any, example: Example) -> list[int] | None:
    """Seed what the example implies; the ids that a filter must find, where it has no answer."""
    found = re.match(r"/(?:api/)?v3/(\w+)(?:/(\d+))?", example.uri, re.IGNORECASE)
    assert found is not None
    name = found[1]
    if "_revision" in example.uri and example.answer is not None:
        _revised(store, wall, example)
    elif name == "_bulk":
        _batch(store, example)
    elif example.method == "GET" and example.answer is not None:
        _seen(store, example, name)
    elif example.uri in FILTERED and example.method == "GET":
        object_, matching, others = FILTERED[example.uri]
        ids = [store.seed(object_, record) for record in matching]
        for record in others:
            store.seed(object_, record)
        return ids or None
    elif found[2] is not None:
        store.seed(name, {store.specs[name].key: int(found[2])})
    elif name in ("invoice", "transaction"):
        _named(store, example)
    return None


def _named(store: Store, example: Example) -> None:
    """The customer and the items that a request names, and a card to charge."""
    body = body_of(example) or {}
    names = {"customer_external_key": "external_key", "customer_token": "token"}
    keys = {names[name]: body[name] for name in names if name in body}
    store.seed("customer", {"customer_id": body.get("customer_id", 1), **keys})
    for line in body.get("line_items", []):
        store.seed("item", {"item_id": line["item_id"]})
    store.seed("creditcard", {"customer_id": 1, "number": "4111111111111111"})


def _batch(store: Store, example: Example) -> None:
    """What the entries of a batch read, would collide with, and are numbered after."""
    store.seed("item", {"item_id": 1})
    if example.answer is None:
        return
    read, made, refused = example.answer["response"]["_bulk"]
    key = example.body[2]["payload"]["external_key"]
    assert key in refused["message"]
    store.seed("customer", {"customer_id": made["response"]["id"] - 1, "external_key": key})
    store.seed("customer", read["response"])


def body_of(example: Example) -> Any:
    """The body to send, completed where the text does not show all of it."""
    path = example.uri.partition("?")[0]
    if example.elided or (example.body is None and path == "/api/v3/transaction"):
        return {**(example.body or {}), **COMPLETED[path][0]}
    return example.body


# curl


async def curl(
    sandbox: Sandbox, folder: Path, method: str, uri: str, body: Any
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request that curl sends."""
    assert CURL is not None
    host = sandbox.url.removesuffix("/api/v3")
    arguments = [
        *("--silent", "--show-error", "--globoff", "--noproxy", "*", "--max-time", "20"),
        *("--user", f"{sandbox.username}:{sandbox.password}", "--request", method),
        *("--dump-header", str(folder / "headers")),
    ]
    if body is not None:
        data = json.dumps(body, default=float)
        arguments += ["--header", "Content-Type: application/json", "--data-binary", data]
    process = await asyncio.create_subprocess_exec(
        CURL,
        "--disable",  # no file of the user's; must be first
        *arguments,
        host + uri,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, complaint = await process.communicate()
    assert process.returncode == 0, complaint
    head = (folder / "headers").read_text("latin-1").split("\n\n")[0].splitlines()
    pairs = (line.partition(": ") for line in head[1:])
    headers = {name.lower(): value for name, _, value in pairs}
    return int(head[0].split()[1]), headers, answer


def differences(ours: Any, text: Any, path: str = "") -> Iterator[str]:
    """Where ours lacks what the text shows, or has another value or type for it."""
    if isinstance(text, dict):
        if not isinstance(ours, dict):
            yield path
            return
        for key, value in text.items():
            inner = f"{path}.{key}" if path else key
            if key not in ours:
                yield inner
            else:
                yield from differences(ours[key], value, inner)
    elif isinstance(text, list):
        if not isinstance(ours, list) or len(ours) != len(text):
            yield path
            return
        for index, pair in enumerate(zip(ours, text, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif type(ours) is not type(text) or ours != text:
        yield path


def _starred(path: str) -> str:
    return re.sub(r"\[\d+\]", "[*]", path)


def excepted(example: Example) -> set[str]:
    """The paths at which this example's answer must differ."""
    assert example.answer is not None
    paths = {path for uri, path in EXCEPTIONS if uri in ("*", example.uri)}
    return paths if "details" in example.answer else paths - {"details"}


@pytest.fixture
def credentials() -> dict[str, str]:
    """Those of the text's own curl example."""
    ((username, password),) = {example.credentials for example in EXAMPLES if example.credentials}
    return {"username": username, "password": password}


def title(example: Example) -> str:
    return f"{example.line} {example.method} {example.uri}"


@pytest.mark.parametrize("example", EXAMPLES, ids=title)
async def test_example_is_answered_as_the_text_shows(example, wall, credentials, tmp_path):
    """Status, headers, envelope, keys, and every value that the text shows."""
    async with Sandbox(quota=None, now=wall, **credentials) as sandbox:
        ids = prepare(sandbox.store, wall, example)
        uri = RESPELLED.get(example.uri, (example.uri, ""))[0]
        body = body_of(example)
        status, headers, answer = await curl(sandbox, tmp_path, example.method, uri, body)
        envelope = json.loads(answer, parse_float=Decimal)
        assert headers["content-type"] == "application/json"
        if uri == UNESCAPED:
            assert (status, envelope["message"]) == (400, "Malformed WHERE clause.")
            return
        assert status == envelope["code"] == (example.status or EXPECTED[kind_of(example)])
        assert envelope["status"] == "OK"
        assert envelope.keys() == {"code", "status", "message", "response"}
        if example.answer is not None:
            wanted = excepted(example)
            found = set(differences(envelope, example.answer))
            assert {
                _starred(path) if _starred(path) in wanted else path for path in found
            } == wanted
        if ids is not None:
            key = f"{FILTERED[example.uri][0]}_id"
            assert [record[key] for record in envelope["response"]] == ids
        CHECKS.get(kind_of(example), lambda *_: None)(sandbox, example, envelope, headers)


# The text's "HTTP Status Codes", by what is asked.
EXPECTED = {"read": 200, "create": 201, "update": 202, "action": 200, "batch": 200}


def kind_of(example: Example) -> str:
    """What a request asks for."""
    if example.uri.endswith("/_bulk"):
        return "batch"
    if "action=" in example.uri:
        return "action"
    return {"GET": "read", "POST": "create", "PUT": "update"}[example.method]


def check_written(sandbox: Sandbox, example: Example, envelope: Any, headers: Any) -> None:
    """The record has what was sent, and Location leads to it."""
    id_ = envelope["response"]["id"]
    name = example.uri.split("/")[3]
    assert headers["location"] == f"{sandbox.url}/{name}/{id_}"
    record = sandbox.store.find(name, id_)
    assert record is not None
    for field, value in (body_of(example) or {}).items():
        if field not in ("line_items", "customer_external_key", "customer_token"):
            assert record[field] == value, field
    if name == "invoice":
        lines = body_of(example)["line_items"]
        total = sum(
            Decimal(str(line["line_rate"])) * line.get("line_quantity", 1) for line in lines
        )
        assert record["total"] == total
        assert record["customer_id"] == 1


def check_batch(sandbox: Sandbox, example: Example, envelope: Any, _headers: Any) -> None:
    """Each entry has the keys of the text's table; an invoice belongs to the new customer."""
    entries = envelope["response"]["_bulk"]
    assert len(entries) == len(example.body)
    assert all(entry.keys() == {"code", "status", "message", "response"} for entry in entries)
    if example.answer is None:
        customer, invoice = (entry["response"]["id"] for entry in entries)
        found = sandbox.store.find("invoice", invoice)
        assert found is not None
        assert (found["customer_id"], found["total"]) == (customer, Decimal("5.9"))


def check_action(sandbox: Sandbox, example: Example, envelope: Any, _headers: Any) -> None:
    """True, or the new transaction, and what the action is for."""
    if "transaction" in example.uri:
        paid = sandbox.store.find("transaction", envelope["response"]["id"])
        assert paid is not None
        assert (paid["amount"], paid["transaction_ipaddr"]) == (Decimal("19.99"), "173.132.15.83")
        assert sandbox.log[-1].caller.details == "johndoe@example.com"
        return
    assert envelope["response"] is True
    if "/customer/" in example.uri:
        record = sandbox.store.find("customer", 2)
        assert record is not None
        state = "i" if "setInactive" in example.uri else "a"
        assert record["customer_status_state"] == state


CHECKS: dict[str, Callable[..., None]] = {
    "create": check_written,
    "update": check_written,
    "batch": check_batch,
    "action": check_action,
}


async def test_rate_limit_is_answered_as_the_text_shows(credentials, tmp_path):
    """One request too many gets the text's status and body, key for key."""
    assert TEXT is not None
    shown = re.search(r"HTTP/1.1 (429) .*?(\{.*?\})", TEXT.read_text("utf-8"))
    assert shown is not None
    async with Sandbox(quota=Quota(1, 60), **credentials) as sandbox:
        await curl(sandbox, tmp_path, "GET", "/api/v3/customer", None)
        status, _, answer = await curl(sandbox, tmp_path, "GET", "/api/v3/customer", None)
    assert status == int(shown[1])
    assert json.loads(answer) == json.loads(shown[2])


async def test_wrong_credentials_are_401(credentials, tmp_path):
    """The text's "HTTP Status Codes"."""
    async with Sandbox(quota=None, **credentials) as sandbox:
        sandbox.password = "wrong"
        status, _, answer = await curl(sandbox, tmp_path, "GET", "/api/v3/teapot", None)
    assert (status, json.loads(answer)["code"]) == (401, 401)


def test_no_example_was_overlooked():
    """Every place of the text that looks like a request was taken."""
    assert TEXT is not None
    lines = TEXT.read_text("utf-8").splitlines()
    looks = re.compile(r"(?:(?:GET|POST|PUT|DELETE) /|https://\S+/api/v3/\w|/(?:api/)?v3/\w+\?)")
    missed = {number for number, line in enumerate(lines, 1) if looks.match(line)}
    missed -= {example.line for example in EXAMPLES}
    assert [lines[number - 1] for number in sorted(missed)] == []
    assert len(EXAMPLES) >= 35
    assert sum(example.answer is not None for example in EXAMPLES) >= 11
    uris = {example.uri for example in EXAMPLES}
    assert set(RESPELLED) <= uris
    assert {uri for uri, _ in EXCEPTIONS} - {"*"} <= uris
    assert set(COMPLETED) <= {uri.partition("?")[0] for uri in uris}
