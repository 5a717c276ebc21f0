"""`Webhooks.parse` gives an event or raises WebhookError, whatever it is given."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeover_async import DateFormat, WebhookError
from chargeover_async.webhooks import Event, EventData, Webhooks

TOKEN = "SFkJ3fy02n17YxNXm96tCGUKVTOAIBsH"
NAMES = [*EventData.__struct_fields__, "line_item", ""]
FIELDS = ["customer_id", "invoice_id", "mod_datetime", "total", "line_items", "email", "tags"]

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["", "0", "0000-00-00", "1e5", "2026-13-01", "\x00", "1e999999999", [], {}]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "context_str": st.sampled_from(NAMES) | values,
        "context_id": values,
        "event": st.just("insert") | values,
        "data": st.dictionaries(st.sampled_from(NAMES) | st.text(), values) | values,
        "security_token": st.just(TOKEN) | values,
    },
)
headers = (
    st.none()
    | st.dictionaries(
        st.sampled_from(["X-ChargeOver-Key", "x-chargeover-source", b"x-chargeover-key", 5, None]),
        st.just(TOKEN) | st.text() | st.binary() | st.none() | st.integers() | st.just("\ud800"),
    )
    | st.lists(st.tuples(st.text(), st.text()))
    | st.text()
    | st.integers()
)
READERS = [
    Webhooks(TOKEN),
    Webhooks(TOKEN, "other"),
    Webhooks(TOKEN, dates=DateFormat(date="%d.%m.%Y", datetime="%d.%m.%Y %H:%M")),
    Webhooks(TOKEN, max_bytes=40),
]


def read_by(reader: Webhooks, body: Any, given_headers: Any) -> Event | str:
    """The event, or what the error says; any other error is none of ours."""
    try:
        return reader.parse(body, given_headers)
    except WebhookError as error:
        return str(error)


def parse(body: Any, given_headers: Any = None) -> None:
    """By every reader; what comes is an event whose parts can be asked for."""
    for reader in READERS:
        found = read_by(reader, body, given_headers)
        if isinstance(found, Event):
            assert found.name
            _ = found.record, repr(found)
        else:
            assert TOKEN not in found


@settings(max_examples=400)
@given(payloads, headers)
def test_any_json_is_an_event_or_a_webhook_error(payload: Any, given_headers: Any):
    """Wrong types, wrong names, odd numbers; in any headers."""
    parse(json.dumps(payload).encode(), given_headers)


@given(payloads, st.data())
def test_a_payload_that_was_changed_is_an_event_or_a_webhook_error(
    payload: Any, data: st.DataObject
):
    """Cut anywhere, or with other bytes in it."""
    body = json.dumps(payload).encode()
    start = data.draw(st.integers(0, len(body)))
    parse(body[:start] + data.draw(st.binary(max_size=4)) + body[start + 1 :])
    parse(body[:start])


NINES = b"9" * 5000
DEEP = b"[" * 100_000
ENVELOPE = b'{"context_str":"customer","event":"insert","security_token":"%s",%s}'


@pytest.mark.parametrize(
    "inner",
    [
        b'"context_id":' + NINES,
        b'"context_id":1e99999',
        b'"data":{"customer":{"customer_id":' + NINES + b"}}",
        b'"data":{"customer":{"customer_id":1,"total":' + NINES + b"}}",
        b'"data":{"customer":{"customer_id":1e5000}}',
        b'"data":{"other":' + NINES + b"}",
        b'"data":{"other":1e5000}',
        b'"data":{"customer":' + DEEP,
        b'"data":{"x":' + DEEP + b"]" * 100_000 + b"}",
        b'"data":{"x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'"data":{"customer":{"company":"\xff\xfe"}}',
        b'"data":{"customer":{"company":"\\ud800"}}',
        b'"data":{"customer":{"company":"\\u0000"}}',
        b'"data":{"customer":1,"customer":2}',
        b'"data":' + DEEP,
    ],
    ids=lambda inner: inner[:40].decode("latin-1"),
)
def test_what_no_account_posts_is_an_event_or_a_webhook_error(inner: bytes):
    """Numbers of 5,000 digits, JSON without end, text that is no text."""
    parse(ENVELOPE % (TOKEN.encode(), inner))


class Odd:
    """No type at all."""


@pytest.mark.parametrize(
    "body", ["text", None, 5, {}, [b"x"], Odd(), bytearray(b"{}"), memoryview(b"{}"), b"", b"null"]
)
def test_a_body_of_any_type_is_a_webhook_error(body: Any):
    """A mistake of the program that calls, too: its one handler answers 400."""
    for reader in READERS:
        with pytest.raises(WebhookError):
            reader.parse(body)


def test_a_released_memoryview_is_a_webhook_error():
    """A server may have taken its buffer back."""
    view = memoryview(b"{}")
    view.release()
    with pytest.raises(WebhookError, match="released"):
        READERS[0].parse(view)  # type: ignore[arg-type]


def test_the_bytes_of_a_memoryview_are_counted():
    """Not its items."""
    with pytest.raises(WebhookError, match="larger than 40 bytes"):
        READERS[3].parse(memoryview(b"x" * 80).cast("Q"))  # type: ignore[arg-type]


def test_headers_in_bytes_are_read():
    """As ASGI has them; the token in them counts."""
    body = b'{"context_str":"customer","event":"insert"}'
    event = Webhooks(TOKEN).parse(body, {b"X-ChargeOver-Key": TOKEN.encode()})  # type: ignore[dict-item]
    assert event.name == "customer.insert"
    with pytest.raises(WebhookError, match="the token is wrong"):
        Webhooks(TOKEN).parse(body, {"x-chargeover-key": "\ud800"})


@pytest.mark.parametrize("given_headers", [[("a", "b")], "x", 5, {"a": 5}, {5: "a"}, {"a": None}])
def test_headers_of_another_form_are_a_webhook_error(given_headers: Any):
    """One clear message."""
    with pytest.raises(WebhookError, match="headers must be a mapping"):
        Webhooks(TOKEN).parse(b"{}", given_headers)


@given(st.binary() | st.binary().map(base64.b64encode))
def test_anything_encrypted_is_an_event_or_a_webhook_error(body: bytes):
    """Base64 or not, of any length."""
    pytest.importorskip("cryptography")
    with pytest.raises(WebhookError):
        Webhooks(TOKEN, encrypted=True).parse(body)
