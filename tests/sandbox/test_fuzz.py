"""Random requests: whatever comes in, an envelope goes out, and it is never a 500."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import tempfile
from pathlib import Path
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from support.sandbox_state import whole_state

from chargeover_async.sandbox import Sandbox, Variant, new_store
from chargeover_async.sandbox.api.bulk import run_bulk
from chargeover_async.sandbox.api.router import PREFIX, Api
from chargeover_async.sandbox.objects.table import OBJECTS
from chargeover_async.sandbox.protocol.answers import Refused, decode, encode

NAMES = sorted(
    {name for spec in OBJECTS.values() for name in (*spec.kinds, *spec.nested)}
    | {"type", "pricemodel", "base", "setup", "paycycle", "tiers", "unit_from", "amount"}
    | {"customer_external_key", "customer_token", "item_external_key", "item_token"}
    | {"schedule", "password", "destination", "use_customer_balance", "number", "paymethod"}
    | {"customer_jsonpath", "item_jsonpath", "parent_customer_external_key", "invoice_date"}
)
ACTIONS = sorted(
    {name for spec in OBJECTS.values() for name in (*spec.actions, *spec.collection_actions)}
    | {"fly"}
)

# A long run: CHARGEOVER_FUZZ=3000.
SUBSCRIPTIONS = int(os.environ.get("CHARGEOVER_FUZZ", "60"))

text = st.text(max_size=12) | st.sampled_from(
    [
        *("", "1", "10000", "k", "2026-03-01", "2026-03-01 00:00:00", "9999-12-31", "1e400"),
        *("-1", "0.5", "NaN", "Infinity", "true", "a:$.response.id", "b:$.response"),
        "0001-01-01T00:00:00+23:59",
    ]
)
number = st.integers() | st.integers(0, 3) | st.floats(allow_nan=False, allow_infinity=False)
scalar = st.none() | st.booleans() | number | text
big = st.sampled_from([10**11, 0.000000000001, -(10**11)])
tier = st.fixed_dictionaries({"unit_from": number, "unit_to": number, "amount": number | big})
tierset = st.fixed_dictionaries(
    {"base": number | big},
    optional={
        "setup": number,
        "percent": number,
        "pricemodel": st.sampled_from(["fla", "uni", "vol", "tie", "pas", "x"]),
        "paycycle": st.sampled_from(["evy", "mon", "dly", "10y", "x"]),
        "tiers": st.lists(tier, max_size=3),
    },
)
line = st.dictionaries(
    st.sampled_from(
        [
            *("item_id", "line_item_id", "line_rate", "line_quantity", "descrip", "custom_1"),
            *("tierset", "cancel", "external_key", "line_item_external_key", "trial_days"),
        ]
    ),
    st.sampled_from([1, 2, "1", "2.5", 0.001, 554, True]) | scalar | tierset | big,
    max_size=5,
)
subscription = st.fixed_dictionaries(
    {"customer_id": st.sampled_from([1, 2])},
    optional={
        "line_items": st.lists(
            st.fixed_dictionaries(
                {"item_id": st.just(1)},
                optional={
                    "line_quantity": number | big,
                    "tierset": tierset,
                    "line_item_id": st.sampled_from([554, 555]),
                    "external_key": st.sampled_from(["k", "l"]),
                    "trial_days": st.sampled_from([0, 1, 2**60]),
                    "cancel": st.booleans(),
                },
            ),
            max_size=3,
        ),
        "paycycle": st.sampled_from(["mon", "116", "10y", "x", "one"]),
        "holduntil_datetime": st.sampled_from(["2026-03-02", "9999-12-31", "0001-01-01"]),
        "date": st.sampled_from(["2026-03-02", "9999-12-31", "NEXT_SCHEDULED_INVOICE"]),
        "paymethod": st.sampled_from(["inv", "crd", "any"]),
        "line_item_id": st.sampled_from([554, 555]),
        "usage_value": number | big,
        "suspendto_datetime": st.just("2026-04-01"),
    },
)
value = st.recursive(
    scalar | st.lists(line, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | text, inner, max_size=3)
    ),
    max_leaves=6,
)
plausible = st.fixed_dictionaries(
    {},
    optional={
        "company": text,
        "external_key": st.sampled_from(["k", "a/b", "", None]),
        "customer_id": st.sampled_from([1, "1", 2]),
        "item_id": st.just(1),
        "name": text,
        "line_items": st.lists(line, min_size=1, max_size=3),
        "pricemodel": st.dictionaries(st.sampled_from(NAMES), value, max_size=3),
        "date": text,
        "superuser_name": text,
        "superuser_id": st.sampled_from([1, 2, None]),
        "tags": st.lists(text, max_size=2),
        "schedule": value,
    },
)
payload = (
    plausible | subscription | st.dictionaries(st.sampled_from(NAMES), value, max_size=5) | value
)

where = st.builds(
    lambda clauses: ",".join(":".join(clause) for clause in clauses),
    st.lists(
        st.tuples(
            st.sampled_from(NAMES) | text,
            st.sampled_from(["EQUALS", "NOTEQUALS", "GT", "GTE", "LT", "CONTAINS", "IS", "LIKE"]),
            text | st.just("NULL"),
        ),
        max_size=3,
    ),
)
order = st.builds(
    lambda parts: ",".join(":".join(part) for part in parts),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["ASC", "DESC", "x"])), max_size=3),
)
query = st.builds(
    lambda pairs: "&".join(f"{name}={quote(content, safe=':,')}" for name, content in pairs),
    st.lists(
        st.tuples(st.just("where"), where)
        | st.tuples(st.just("order"), order)
        | st.tuples(st.sampled_from(["limit", "offset", "_dummy"]), text)
        | st.tuples(st.just("action"), st.sampled_from(ACTIONS) | text)
        | st.just(("expand", "line_items")),
        max_size=3,
    ),
)
segment = (
    st.sampled_from(["1", "2", "554", "10000", "external_key:k", "external_key:a%2Fb", "token:x"])
    | st.sampled_from(["_count", "_revision", "_action", "_bulk", "", "%ff", *ACTIONS])
    | text.map(lambda each: quote(each, safe=""))
)
target = st.builds(
    lambda name, segments, raw: f"{PREFIX}/{'/'.join([name, *segments])}" + (raw and f"?{raw}"),
    st.sampled_from([*OBJECTS, "project", "teapot", ""]),
    st.lists(segment, max_size=3),
    query | text,
)
method = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"])
request = st.tuples(method, target, payload)
item = st.one_of(
    value,
    st.fixed_dictionaries(
        {"request_method": method, "uri": target, "payload": payload},
        optional={"id": st.sampled_from(["a", "b", 1, None])},
    ),
)
variant = st.builds(
    Variant,
    stop_after_failure=st.sampled_from(["continue", "skip", "truncate"]),
    accept_query=st.booleans(),
    accept_actions=st.booleans(),
    nested_jsonpath=st.booleans(),
    bad_reference=st.sampled_from(["error", "ignore"]),
    iso_datetimes=st.booleans(),
)


def world(chosen: Variant, path: Path | None = None) -> Api:
    """An account with two customers, an item, an invoice and a subscription."""
    store = new_store(now=lambda: dt.datetime(2026, 3, 1, tzinfo=dt.UTC), path=path)
    api = Api(store, chosen)
    for object_, fields in (
        ("customer", {"company": "A", "superuser_name": "Jo Miller"}),
        ("customer", {"company": "B", "external_key": "b"}),
        ("item", {"name": "x", "pricemodel": {"base": 3}}),
        ("invoice", {"customer_id": 2, "line_items": [{"item_id": 1}]}),
        ("package", {"customer_id": 2, "line_items": [{"item_id": 1}]}),
    ):
        assert api.answer("POST", f"{PREFIX}/{object_}", fields).code == 201
    return api


def readable(sent: object) -> object:
    """What the sandbox reads of a body: through JSON, with exact numbers."""
    try:
        return decode(json.dumps(sent, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except Refused:
        return None


def assert_sound(api: Api) -> None:
    """Everything can still be shown, and the indexes agree with the records."""
    for name, table in api.store.tables.items():
        encode(api.store.records(name))
        assert table.ids == sorted(table.rows)
        for id_, row in table.rows.items():
            assert table.tokens[row.data["token"]] == id_
            if row.data.get("external_key"):
                assert table.keys[row.data["external_key"]] == id_
        for field, index in table.index.items():
            indexed = {(content, id_) for content, rows in index.items() for id_ in rows}
            held = {(row.data.get(field), id_) for id_, row in table.rows.items()}
            assert indexed == {pair for pair in held if pair[0] is not None}


@settings(max_examples=400, deadline=None)
@given(variant, st.lists(request, min_size=1, max_size=5))
def test_no_request_is_a_500(chosen, requests):
    """Any request is answered in an envelope with a code below 500, and the store stays sound."""
    api = world(chosen)
    for each_method, each_target, sent in requests:
        answer = api.answer(each_method, each_target, readable(sent))
        assert 200 <= answer.code < 500
        written = decode(encode(answer.envelope()))
        assert written.keys() == {"code", "status", "message", "response"}
        assert (written["status"] == "OK") == (answer.code < 400)
    assert_sound(api)


of_subscriptions = st.tuples(
    st.just("POST"),
    st.sampled_from(["package", "usage", "usage/_action/bulk", "quote"])
    | st.sampled_from([f"package/554?action={name}" for name in OBJECTS["package"].actions]),
    subscription | st.lists(subscription, max_size=2),
)


@settings(max_examples=SUBSCRIPTIONS, deadline=None)
@given(st.lists(of_subscriptions, min_size=1, max_size=8))
def test_no_subscription_is_a_500(requests):
    """Any course of a subscription's life, with amounts and dates at the edge of what is taken."""
    api = world(Variant())
    for each_method, each_target, sent in requests:
        before = {name: api.store.records(name) for name in OBJECTS}
        answer = api.answer(each_method, f"{PREFIX}/{each_target}", readable(sent))
        assert answer.code < 500
        encode(answer.envelope())
        if answer.code >= 400:
            assert {name: api.store.records(name) for name in OBJECTS} == before
    assert_sound(api)


id_ = st.sampled_from([1, "1", 2, 10000, None, 2**63, "x"])
card = st.fixed_dictionaries(
    {},
    optional={
        "customer_id": st.sampled_from([1, 2, "2"]),
        "number": st.sampled_from(
            ["4111 1111 1111 1111", "4000000000000002", "378282246310005", 4111, "1", [1], "é"]
        ),
        "expdate": st.sampled_from(["2030-01-01", "2020-01-01", "9999-12-31", "x", 5]),
        "expdate_year": st.sampled_from(["2030", 30, "0", "99999", "²"]),
        "expdate_month": st.sampled_from(["1", 12, "13", "0", "²"]),
        "routing": st.sampled_from(["072403004", "1", 72403004, "²" * 9]),
        "type": st.sampled_from(["chec", "customer", "x", 1]),
        "token": text,
        "creditcard_id": id_,
        "tokenized_id": id_,
        "ach_id": id_,
    },
)
paid = st.sampled_from([1, 3, "2.50", "0.001", -1, -3, 0, "1e9"]) | number | text
part = st.fixed_dictionaries({}, optional={"invoice_id": id_, "applied": paid}) | scalar
parts = st.lists(part, max_size=3) | st.dictionaries(st.sampled_from("01a"), part, max_size=2)
payment = st.fixed_dictionaries(
    {},
    optional={
        "customer_id": st.sampled_from([1, 2]),
        "amount": paid,
        "transaction_type": st.sampled_from(["pay", "cre", "ref", "spl", "x"]),
        "gateway_method": st.sampled_from(["check", "credit", "visa", "x"]),
        "gateway_status": st.sampled_from([0, 1, 2, "1"]),
        "applied_to": parts | scalar,
        "auto_apply": st.sampled_from(["best_fit", "x", 1]),
        "paymethods": st.lists(card, max_size=2) | scalar,
        "void_datetime": st.sampled_from(["2026-03-01", "x"]),
        "transaction_datetime": st.sampled_from(["9999-12-31", "x"]),
        "use_customer_balance": st.booleans(),
        "line_items": st.lists(line, max_size=2),
    },
)
others = st.fixed_dictionaries(
    {},
    optional={
        "target_url": st.sampled_from(["http://127.0.0.1:1/", "x", "http://[", 1]),
        "event": st.sampled_from(["customer.insert", "user.update", "x", 1]),
        "object": st.sampled_from([*OBJECTS, 1, "x"]),
        "fields": st.lists(
            st.sampled_from(["SUM(total)", "COUNT(*)", "MAX(company)", "x", "AVG(amount)", ")("])
            | scalar,
            max_size=3,
        ),
        "where": st.lists(st.sampled_from(["total:GT:1", "x", "a:b:c:d"]) | scalar, max_size=2),
        "group": st.lists(st.sampled_from(["customer_id", "x"]) | scalar, max_size=2) | scalar,
        "commit": text,
        "reject": text,
        "from": st.sampled_from(["USD", "CAD", "x", 1]),
        "to": st.sampled_from(["USD", "AUD", "x", 1]),
        "exchange": paid,
    },
)
of_money = st.one_of(
    st.tuples(
        st.just("POST"),
        st.sampled_from(
            [
                *("transaction", "transaction?action=pay", "invoice/10000?action=pay"),
                *("invoice/10000?action=void", "invoice/10000?action=schedule"),
                *(f"transaction/{n}?action={a}" for n in "12" for a in ("refund", "void")),
                *(f"transaction/{n}/_action/changeAppliedAmounts" for n in "123"),
                *("customer/2/_action/setPayMethod", "creditcard", "ach", "tokenized"),
            ]
        ),
        payment | card,
    ),
    st.tuples(st.just("PUT"), st.just("invoice/10000"), payment),
    st.tuples(
        st.just("DELETE"),
        st.sampled_from(["invoice/10000", "creditcard/1", "ach/1", "_resthook/1", "customer/2"]),
        st.none(),
    ),
    st.tuples(
        st.just("POST"),
        st.sampled_from(
            [
                *("_resthook", "_aggregate", "_config", "_chargeoverjs"),
                *("currency?action=setExchangeRate", "currency/_action/getExchangeRate"),
                "_report/38?action=reportData&order=invoice_total:ASC&offset=0&limit=x",
            ]
        ),
        others | st.lists(text, max_size=2) | value,
    ),
)


def held(api: Api) -> str:
    """All that is stored, as text."""
    tables = api.store.tables.items()
    return repr([(n, [(r.id, r.data, r.given) for r in t.rows.values()]) for n, t in tables])


@settings(max_examples=SUBSCRIPTIONS, deadline=None)
@given(st.lists(of_money, min_size=1, max_size=10))
def test_no_payment_is_a_500(requests):
    """Any course of payments; what is refused has no effect, unless a method was declined."""
    api = world(Variant())
    for each_method, each_target, sent in requests:
        before = held(api)
        answer = api.answer(each_method, f"{PREFIX}/{each_target}", readable(sent))
        assert answer.code < 500
        encode(answer.envelope())
        if answer.code >= 400 and "could not be processed" not in answer.message:
            assert held(api) == before
    assert_sound(api)


@settings(max_examples=300, deadline=None)
@given(variant, st.lists(item, max_size=8))
def test_no_batch_is_a_500(chosen, items):
    """Any batch is answered, item by item, with codes below 500."""
    api = world(chosen)
    answer, outcomes = run_bulk(api, readable(items))
    encode(answer.envelope())
    assert answer.code < 500
    assert all(outcome.code < 500 for outcome in outcomes)
    assert_sound(api)


@settings(max_examples=150, deadline=None)
@given(st.lists(request, min_size=1, max_size=4))
def test_refused_request_changes_nothing(requests):
    """What is answered with an error has no effect."""
    api = world(Variant())
    for each_method, each_target, sent in requests:
        before = {name: api.store.records(name) for name in OBJECTS}
        answer = api.answer(each_method, each_target, readable(sent))
        declined = "could not be processed" in answer.message  # leaves a failed transaction
        if (answer.code >= 400 and not declined) or each_method == "GET":
            assert {name: api.store.records(name) for name in OBJECTS} == before


@settings(max_examples=60, deadline=None)
@given(st.lists(request, min_size=1, max_size=4), st.lists(item, max_size=4))
def test_file_has_whatever_random_requests_left(requests, items):
    """After any requests and a batch, a sandbox over the same file has exactly the same account."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        api = world(Variant(), path)
        try:
            for each_method, each_target, sent in requests:
                assert api.answer(each_method, each_target, readable(sent)).code < 500
            run_bulk(api, readable(items))
            assert_sound(api)
            before = whole_state(api.store)
        finally:
            api.store.close()
        again = new_store(path=path)
        try:
            assert whole_state(again) == before
        finally:
            again.close()


async def _raw(port: int, head: bytes, body: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


raw_target = st.binary(max_size=30).map(
    lambda raw: bytes(byte for byte in raw if byte not in b" \r\n\t\x00\x0b\x0c#")
)


async def test_no_bytes_on_the_wire_are_a_500():
    """Odd bytes in paths, queries and bodies are answered below 500 as well."""
    async with Sandbox(quota=None) as sandbox:
        credentials = b"c2FuZGJveDpzYW5kYm94"

        async def send(sent_method: str, path: bytes, raw_query: bytes, body: bytes) -> None:
            head = (
                f"{sent_method} {PREFIX}/customer".encode()
                + (b"/" + path if path else b"")
                + (b"?" + raw_query if raw_query else b"")
                + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic "
                + credentials
                + b"\r\n"
            )
            answer = await _raw(sandbox.port, head, body)
            assert answer.startswith(b"HTTP/1."), answer
            assert answer.split(b" ", 2)[1] < b"500", answer

        loop = asyncio.get_running_loop()

        @settings(max_examples=60, deadline=None)
        @given(st.sampled_from(["GET", "POST", "PUT"]), raw_target, raw_target, st.binary())
        def play(sent_method: str, path: bytes, raw_query: bytes, body: bytes) -> None:
            future = asyncio.run_coroutine_threadsafe(
                send(sent_method, path, raw_query, body), loop
            )
            future.result(timeout=300)

        await asyncio.to_thread(play)
