"""No value can change the path or the filter: every character, there and back.

The judge is the sandbox, which shares no code with the client: its own router and its own parser
of filters read what the client wrote, and must find the one record that has the value.
"""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.scripted import World

from chargeover_async import ExternalKey, F, Token, UsageError
from chargeover_async._wire.request import Request, query_string, segment
from chargeover_async.operation import Operation
from chargeover_async.query import escape
from chargeover_async.sandbox import new_store
from chargeover_async.sandbox.api.router import PREFIX, Api
from chargeover_async.sandbox.protocol.where import parse_query, parse_where

ASCII = string.printable[:95]  # the printable ones, blank included
BEYOND = [
    "é",
    "ß",
    "ÿ",
    "İ",
    "e\u0301",
    "\u00a0",
    "\u200b",
    "\u202e",
    "日本語",
    "한국어",
    "中",
    "Ж",
    "ع",
    "😀",
    "👩\u200d👧",
    "\U0010ffff",
    "\ufeff",
    "\u2028",
]
TRAPS = [
    "a/b",
    "../customer",
    "..",
    ".",
    "%2F",
    "%252F",
    "a%2Fb",
    "?action=void",
    "#x",
    "a&limit=1",
    "a=b",
    "1,company:EQUALS:x",
    "x:EQUALS:y",
    "\\",
    "\\\\",
    "\\:",
    "\\,",
    "a\\b",
    "a\\\\b",
    "\\\\:",
    ":\\",
    "end\\",
    "IS:NULL",
    "NULL",
    ",",
    ":",
    ",,",
    "::",
    "a+b c",
    "'; DROP TABLE customer; --",
    '"quoted"',
    "{ref}",
    "external_key:x",
    "token:x",
    "_count",
]
KEYS = [key for key in (*ASCII, *(f"a{c}b" for c in ASCII), *BEYOND, *TRAPS) if key.strip()]
CONTROLS = [chr(code) for code in (*range(32), 127)]
SURROGATES = ["\ud800", "a\udfff", "\udc80b"]

any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
tricky = st.text(st.sampled_from("\\:,ab%+&= "), min_size=1)


def target(operation: Operation[Any]) -> str:
    operation.close()
    return Request(operation.method, operation.path, operation.query).target


@pytest.fixture(scope="module")
def co() -> Any:
    return World().co


def is_plain(text: str) -> bool:
    """Whether a target is made of characters that no server or proxy reads differently."""
    allowed = set(string.ascii_letters + string.digits + "-._~/?&=:,%")
    return set(text) <= allowed


# -- paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_an_external_key_stays_one_segment(co: Any, key: str):
    """Percent-decoding gives the key back, and nothing else became part of the path."""
    sent = target(co.customers.get(external_key=key))
    parts = urlsplit(sent)
    assert parts.query == parts.fragment == ""
    assert parts.path.count("/") == 2
    assert is_plain(sent)
    name, found = parts.path.split("/")[1:]
    assert name == "customer"
    assert unquote(found) == f"external_key:{key}"


@pytest.mark.parametrize("key", KEYS)
def test_the_sandbox_finds_the_record_with_that_key_and_no_other(co: Any, key: str):
    """By external key, for reading, changing and deleting; and by token."""
    store = new_store()
    api = Api(store)
    others = [other for other in ("a", "b", "ab", "x", "y") if other != key]
    for other in others:
        store.seed("customer", {"company": "Other", "external_key": other, "token": f"t{other}"})
    wanted = store.seed("customer", {"company": "Wanted", "external_key": key, "token": key})
    for operation in (
        co.customers.get(external_key=key),
        co.customers.get(token=key),
        co.customers.update(ExternalKey(key), company="Wanted"),
        co.customers.update(Token(key), company="Wanted"),
    ):
        answer = api.answer(operation.method, PREFIX + target(operation), {"company": "Wanted"})
        assert answer.code in (200, 202), answer
        response: Any = answer.response
        assert (response.get("customer_id") or response.get("id")) == wanted
    gone = co.customers.delete(ExternalKey(key))
    assert api.answer("DELETE", PREFIX + target(gone), None).code == 200
    assert [row["company"] for row in store.records("customer")] == ["Other"] * len(others)


@settings(deadline=None)
@given(any_text | tricky)
def test_any_text_survives_a_path(text: str):
    """One segment, percent-decoded to what it was."""
    assert unquote(segment(text), errors="strict") == text
    assert "/" not in segment(text)


@pytest.mark.parametrize("key", ["", " ", "\t", "\u3000", *CONTROLS, *(f"a{c}b" for c in CONTROLS)])
def test_a_key_that_is_blank_or_holds_control_characters_is_refused(co: Any, key: str):
    """Before anything is sent, wherever a key may stand."""
    for call in (
        lambda: co.customers.get(external_key=key),
        lambda: co.customers.get(token=key),
        lambda: co.customers.update(ExternalKey(key), company="x"),
        lambda: co.customers.delete(Token(key)),
        lambda: co.customers.create(external_key=key),
        lambda: co.invoices.create(customer_external_key=key, line_items=[{"item_id": 1}]),
        lambda: co.invoices.create(customer_id=1, line_items=[{"item_external_key": key}]),
    ):
        with pytest.raises(UsageError, match=r"(external_key|token)"):
            call()


@pytest.mark.parametrize("text", SURROGATES)
def test_a_lone_surrogate_is_refused_everywhere(co: Any, text: str):
    """It cannot be written as UTF-8; the error is ours and comes before anything is sent."""
    for call in (
        lambda: co.customers.get(external_key=text),
        lambda: co.customers.create(company=text),
        lambda: co.customers.create(company="x", custom_1=text),
        lambda: co.customers.create(company="x", custom_1={"a": [text]}),
        lambda: co.customers.create(company="x", custom_1={text: 1}),
        lambda: co.customers.create(company="x", extra={"a": text}),
        lambda: co.customers.create(company="x", extra={text: 1}),
        lambda: co.customers.create(tags=[text]),
        lambda: co.customers.create(**{text: 1}),
        lambda: F.company == text,
        lambda: F.company.contains(text),
        lambda: F[text],
        lambda: co.customers.list(order=text),
        lambda: co.request("GET", f"/customer/{text}"),
        lambda: co.request("GET", "/customer", query={"a": text}),
        lambda: co.request("GET", "/customer", query={text: "a"}),
        lambda: co.request("POST", "/customer", json={"a": text}),
        lambda: co.with_options(on_behalf_addr=text),
    ):
        with pytest.raises(UsageError):
            call()


# -- filters ---------------------------------------------------------------------------------

VALUES = [*ASCII, *(f"a{char}b" for char in ASCII), *BEYOND, *TRAPS, *CONTROLS]


@pytest.mark.parametrize("value", VALUES)
def test_a_filter_finds_the_records_with_that_value_and_no_other(co: Any, value: str):
    """Among records that hold what a mistake in the escaping would look for."""
    store = new_store()
    api = Api(store)
    near = {"a", "b", "ab", "", "x", "y", "NULL", "\\", "\\\\", ":", ",", value + "\\", value[:-1]}
    for other in sorted(near - {value}):
        store.seed("customer", {"company": other})
    store.seed("customer", {"company": None})
    wanted = store.seed("customer", {"company": value})
    call = co.customers.list(where=[F.company == value, F.customer_id > 0], limit=500)
    answer = api.answer("GET", PREFIX + target(call), None)
    assert answer.code == 200, answer
    assert [row["customer_id"] for row in answer.response] == [wanted]
    call = co.customers.count(where=F.company != value)
    assert api.answer("GET", PREFIX + target(call), None).response == len(near - {value})


@settings(deadline=None)
@given(any_text | tricky)
@example("\\")
def test_any_text_survives_a_filter(value: str):
    """Through the query string, the escaping, and the sandbox's parser."""
    clause = F.memo.contains(value)
    sent = query_string((("where", f"total:GT:1,{clause.text},date:IS:NULL"),))
    assert is_plain(sent)
    query = parse_query(sent.removeprefix("?"))
    assert query == dict(parse_qsl(sent.removeprefix("?"), strict_parsing=True))
    assert [tuple(condition) for condition in parse_where(query["where"])] == [
        ("total", "GT", "1"),
        ("memo", "CONTAINS", value),
        ("date", "IS", "NULL"),
    ]


@settings(deadline=None)
@given(any_text, any_text)
def test_any_query_parameter_survives(name: str, value: str):
    """Names and values, through the standard library's parser."""
    sent = query_string(((name, value), ("limit", "5")))
    assert is_plain(sent)
    assert parse_qsl(sent.removeprefix("?"), strict_parsing=True, keep_blank_values=True) == [
        (name, value),
        ("limit", "5"),
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("10:18", r"10\:18"),
        ("Acme, Inc.", r"Acme\, Inc."),
        ("a\\b", "a\\b"),
        ("a\\", "a\\\\"),
        ("a\\:b", r"a\\\:b"),
        ("a\\\\b", "a\\\\\\\\b"),
    ],
)
def test_the_escapes_of_the_vendor(text: str, escaped: str):
    r"""``\:`` and ``\,``; a lone backslash stays as it is, since no source shows it doubled."""
    assert escape(text) == escaped


def test_a_moment_is_escaped_as_the_recorded_connector_does():
    """Source: api/behaviour.md section 3."""
    clause = F.mod_datetime >= "2026-10-05T10:18:49-05:00"
    assert clause.text == r"mod_datetime:GTE:2026-10-05T10\:18\:49-05\:00"


# -- unwrapped calls -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "customer",
        "",
        "/customer?limit=1",
        "/customer#x",
        "/customer/a b",
        "/customer/\r\nX-Evil: 1",
        "/customer/\t",
        "/customer/\x00",
        "/customer/é",
        "/../../admin",
        "/customer/../invoice",
        "/customer/..",
        "/customer/.",
        "/customer/%2e%2e/invoice",
        "/customer\\1",
    ],
)
def test_a_path_that_could_be_read_as_another_is_refused(co: Any, path: str):
    """`request` takes what is percent-encoded, and nothing that climbs out of the API."""
    with pytest.raises(UsageError, match="path"):
        co.request("GET", path)


@pytest.mark.parametrize("method", ["PATCH", "HEAD", "", "GET\r\n", "get x"])
def test_a_method_that_the_api_does_not_have_is_refused(co: Any, method: str):
    """GET, POST, PUT, DELETE."""
    with pytest.raises(UsageError, match="method"):
        co.request(method, "/customer")


def test_a_query_of_an_unwrapped_call_is_written_as_a_filter_would_be(co: Any):
    """Numbers, flags and text; nothing that has no one form."""
    call = co.request("get", "/x", query={"a": 1, "b": "c d&e", "f": True})
    assert target(call) == "/x?a=1&b=c%20d%26e&f=1"
    for wrong in ([1], None, float("nan"), b"x"):
        with pytest.raises(UsageError, match="a cannot be compared"):
            co.request("GET", "/x", query={"a": wrong})
