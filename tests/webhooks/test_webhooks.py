"""What is believed, what is refused, and what an event says."""

# ruff: noqa: DTZ001 - the API's own datetimes are naive
from __future__ import annotations

import base64
import builtins
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from chargeover_async import Customer, DateFormat, DecodeError, UsageError, User, WebhookError
from chargeover_async.webhooks import EVENTS, Event, EventData, Webhooks

TOKEN = "SFkJ3fy02n17YxNXm96tCGUKVTOAIBsH"
OTHER = "xhtfLO9TumgUs6QRpzr8cKMFPHqAnad2"

# The example of the page "Verifying and validating webhooks".
USER_INSERT: dict[str, Any] = {
    "context_str": "user",
    "context_id": 370,
    "event": "insert",
    "data": {
        "user": {
            "user_id": 370,
            "first_name": "Jane",
            "last_name": "Doe",
            "email": "jane.doe@example.com",
            "write_datetime": "2025-08-18 13:43:42",
            "mod_datetime": "2025-10-05 17:51:22",
            "name": "Jane Doe",
            "url_self": "https://example.chargeover.com/admin/r/contact/view/370",
            "customer_id": 413,
        }
    },
    "security_token": TOKEN,
}


def payload(**changes: Any) -> bytes:
    body = {k: v for k, v in (USER_INSERT | changes).items() if v is not ...}
    return json.dumps(body).encode()


def parse(headers: Any = None, **changes: Any) -> Event:
    return Webhooks(TOKEN).parse(payload(**changes), headers)


# -- what an event says ------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_read():
    """With the record of its object."""
    event = parse()
    assert (event.context_str, event.context_id, event.event) == ("user", 370, "insert")
    assert event.name == "user.insert"
    assert event.data.user is not None
    assert event.data.user.email == "jane.doe@example.com"
    assert event.data.user.write_datetime == dt.datetime(2025, 8, 18, 13, 43, 42)
    assert event.record is event.data.user
    assert (event.data.customer, event.data.other, event.data.unfit) == (None, {}, {})


def test_escaped_slashes_are_slashes():
    """As the account writes them."""
    body = payload().replace(b"https://", b"https:\\/\\/")
    event = Webhooks(TOKEN).parse(body)
    assert event.data.user is not None
    assert event.data.user.url_self == "https://example.chargeover.com/admin/r/contact/view/370"


def test_an_id_in_text_is_a_number():
    """As in the samples of 2014 and 2015."""
    assert parse(context_id="569").context_id == 569


def test_several_objects_come_with_one_event():
    """Each in its field, and a bare id beside them."""
    event = parse(
        context_str="customer",
        event="super",
        data={"user_id": "3", "customer": {"customer_id": 22, "balance": 10.95}, "user": None},
    )
    assert event.data.user_id == 3
    assert event.data.user is None
    assert isinstance(event.record, Customer)
    assert event.record.balance == Decimal("10.95")


def test_what_a_quote_became_is_a_list():
    """The page shows it as an object keyed "0"."""
    event = parse(
        context_str="quote",
        event="status",
        data={"quote": {"quote_id": 5}, "invoices": {"0": {"invoice_id": 9}}},
    )
    assert event.data.invoices is not None
    assert [invoice.invoice_id for invoice in event.data.invoices] == [9]


def test_an_event_that_nobody_knows_is_kept_raw():
    """Its name and its objects as they came; numbers exact."""
    event = parse(context_str="dragon", event="hatch", data={"dragon": {"x": 1.10, "y": None}})
    assert event.name == "dragon.hatch"
    assert event.name not in EVENTS
    assert event.record is None
    assert event.data.other == {"dragon": {"x": Decimal("1.1"), "y": None}}
    assert event.raw["dragon"] == b'{"x": 1.1, "y": null}'


@pytest.mark.parametrize("data", [..., None, [], {}])
def test_an_event_may_come_without_data(data: Any):
    """PHP writes an empty object as a list."""
    event = parse(data=data)
    assert event.data == EventData()
    assert event.record is None


def test_an_object_that_does_not_fit_does_not_stop_the_event():
    """It is there as it came, with the error that names object, id and field."""
    event = parse(data={"user": {"user_id": 370, "customer_id": "many"}, "customer": {}})
    assert event.data.user is None
    assert event.data.other["user"] == {"user_id": 370, "customer_id": "many"}
    error = event.data.unfit["user"]
    assert (error.object, error.id, error.field) == ("User", 370, "customer_id")
    assert error.raw == b'{"user_id": 370, "customer_id": "many"}'
    assert set(event.data.unfit) == {"user", "customer"}


def test_an_entry_may_be_read_as_a_type_of_ones_own():
    """Custom fields under one's own names; None for what did not come."""

    class MyUser(User):
        tier: str | None = msgspec.field(name="custom_1", default=None)

    event = parse(data={"user": {"user_id": 1, "custom_1": "gold"}})
    mine = event.read("user", MyUser)
    assert mine is not None
    assert mine.tier == "gold"
    assert event.read("customer", Customer) is None
    with pytest.raises(DecodeError):
        event.read("user", Customer)


def test_dates_of_the_account_are_read():
    """Where it does not use ISO 8601."""
    dates = DateFormat(datetime="%d.%m.%Y %H:%M")
    data = {"user": {"user_id": 1, "write_datetime": "31.01.2026 10:00"}}
    event = Webhooks(TOKEN, dates=dates).parse(payload(data=data))
    assert event.data.user is not None
    assert event.data.user.write_datetime == dt.datetime(2026, 1, 31, 10)


def test_an_event_shows_its_name_and_nothing_else():
    """No token, no personal data, in a log."""
    event = parse()
    assert repr(event) == "<Event user.insert 370>"
    assert TOKEN not in str(msgspec.structs.asdict(event))


def test_every_documented_event_has_its_meaning():
    """Written as it is subscribed to, and its object has a model."""
    assert list(EVENTS) == sorted(EVENTS)
    fields = set(EventData.__struct_fields__)
    for name, meaning in EVENTS.items():
        context, _, event = name.partition(".")
        assert context in fields
        assert event
        assert meaning


# -- what is believed ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X-ChargeOver-Key", "x-chargeover-key", "X-CHARGEOVER-KEY"])
def test_the_token_may_be_in_the_header(name: str):
    """Alone or beside that of the payload; header names have no case."""
    assert parse({name: TOKEN}, security_token=...).name == "user.insert"
    assert parse({name: TOKEN}).name == "user.insert"


def test_the_source_is_told():
    """From the header, whichever way it is spelled."""
    assert parse({"X-Chargeover-Source": "example.chargeover.com"}).source == (
        "example.chargeover.com"
    )
    assert parse().source is None


def test_several_webhooks_may_post_to_one_receiver():
    """Each has a token of its own."""
    webhooks = Webhooks(OTHER, TOKEN)
    assert webhooks.parse(payload()).name == "user.insert"
    with pytest.raises(WebhookError):
        webhooks.parse(payload(security_token="x" * 32))


@pytest.mark.parametrize(
    "token", [OTHER, "", TOKEN[:-1], TOKEN + "x", TOKEN.lower(), "\u00fc\udc80", f" {TOKEN}"]
)
def test_a_wrong_token_is_refused(token: str):
    """In the payload or in the header, even when the other is right; without showing either."""
    for headers, changes in (
        ({}, {"security_token": token}),
        ({"X-ChargeOver-Key": TOKEN}, {"security_token": token}),
        ({"X-ChargeOver-Key": token}, {}),
        ({"X-ChargeOver-Key": token}, {"security_token": ...}),
    ):
        if "\udc80" in token and "security_token" in changes and changes["security_token"] is token:
            continue  # no JSON of an account holds half a surrogate
        with pytest.raises(WebhookError) as caught:
            parse(headers, **changes)
        assert TOKEN not in str(caught.value)


def test_a_header_that_comes_twice_must_be_right_twice():
    """A proxy and the account may not say different things."""
    headers = CIMultiDictProxy(
        CIMultiDict([("X-ChargeOver-Key", TOKEN), ("X-ChargeOver-Key", OTHER)])
    )
    with pytest.raises(WebhookError, match="wrong"):
        parse(headers)


@pytest.mark.parametrize("token", [..., None])
def test_a_payload_without_a_token_is_refused(token: Any):
    """Whatever it says."""
    with pytest.raises(WebhookError, match="hold a token"):
        parse({"X-ChargeOver-Source": "example.chargeover.com"}, security_token=token)


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    """All of them, whichever fits."""
    from chargeover_async import webhooks as module

    compared: list[bytes] = []
    real = module.hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return real(one, other)

    monkeypatch.setattr(module.hmac, "compare_digest", spy)
    Webhooks(TOKEN, OTHER).parse(payload())
    assert compared == [TOKEN.encode(), OTHER.encode()]


# -- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"{",
        payload()[:-1],
        payload() + b"x",
        b"\xff\xfe" + payload(),
        b'{"context_str": "a", "event": "b", "security_token": "' + TOKEN.encode() + b'\xff"}',
        payload(context_str=None),
        payload(context_str=""),
        payload(context_str=5),
        payload(event=...),
        payload(event=""),
        payload(context_id="abc"),
        payload(context_id=[1]),
        payload(data="text"),
        payload(data=[1]),
        payload(security_token=5),
        payload(security_token={}),
        b'{"a":' * 5000,
        payload(data={"deep": 0}).replace(b"0}", b"[" * 5000 + b"]" * 5000 + b"}"),
    ],
)
def test_a_malformed_body_is_refused(body: bytes):
    """As WebhookError, never another, without showing the token."""
    with pytest.raises(WebhookError) as caught:
        Webhooks(TOKEN).parse(body)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_oversize_body_is_refused_before_it_is_read():
    """By its length alone; one at the bound is taken."""
    body = payload()
    assert Webhooks(TOKEN, max_bytes=len(body)).parse(body)
    with pytest.raises(WebhookError, match="larger than"):
        Webhooks(TOKEN, max_bytes=len(body) - 1).parse(body)
    with pytest.raises(WebhookError, match="larger than"):
        Webhooks(TOKEN).parse(b"x" * ((1 << 20) + 1))


@pytest.mark.parametrize("body", ["text", None, 5, {}])
def test_a_body_that_is_no_bytes_is_refused(body: Any):
    """Text was decoded by somebody, and may not be what was posted."""
    with pytest.raises(WebhookError, match="as bytes"):
        Webhooks(TOKEN).parse(body)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_body_is_an_event_or_refused(body: bytes):
    """Never another exception, plain or encrypted."""
    for webhooks in (Webhooks(TOKEN), Webhooks(TOKEN, encrypted=True)):
        with pytest.raises(WebhookError):
            webhooks.parse(body)
        with pytest.raises(WebhookError):
            webhooks.parse(base64.b64encode(body))


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(sorted(EventData.__struct_fields__)) | st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_any_data_with_the_token_is_an_event(data: dict[str, Any]):
    """What does not fit its model is in ``other``; nothing is lost."""
    body = payload(data=data)
    if b"NaN" in body or b"Infinity" in body:
        return
    event = Webhooks(TOKEN).parse(body)
    typed = {k for k in data if k in EventData.__struct_fields__ and getattr(event.data, k, None)}
    for name, value in data.items():
        assert name in event.data.other or name in typed or value in (None, 0, [], {}, "")
    assert set(event.data.unfit) <= set(event.data.other)


# -- encrypted -----------------------------------------------------------------------------------


def ofb8(key: bytes, iv: bytes, text: bytes) -> bytes:
    """8-bit output feedback, block by block, as its definition says."""
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers")
    block = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.ECB()).encryptor()
    register, out = iv, bytearray()
    for byte in text:
        stream = block.update(register)[0]
        out.append(byte ^ stream)
        register = register[1:] + bytes([stream])
    return bytes(out)


IV = bytes(range(16))


def sealed(text: bytes, key: str = TOKEN) -> bytes:
    return base64.b64encode(IV + ofb8(key.encode(), IV, text))


def base64_lines(body: bytes) -> bytes:
    return b"\r\n".join(body[start : start + 76] for start in range(0, len(body), 76))


ENCRYPTED = payload(security_token=..., security_salt="a1b2")


@pytest.mark.parametrize("padding", [b"", b"\0" * 7, b" \n\r\t\x0b\0"])
@pytest.mark.parametrize(
    "wrap", [lambda b: b, lambda b: b + b"\n", lambda b: b[:76] + b"\r\n" + b[76:]]
)
def test_an_encrypted_event_is_read(padding: bytes, wrap: Any):
    """Base64 of IV and ciphertext, in lines or not; what pads the text is cut."""
    event = Webhooks(TOKEN, encrypted=True).parse(wrap(sealed(ENCRYPTED + padding)))
    assert event.data.user is not None
    assert event.data.user.name == "Jane Doe"


def test_the_key_may_be_one_of_several():
    """As for plain payloads."""
    assert Webhooks(OTHER, TOKEN, encrypted=True).parse(sealed(ENCRYPTED)).name == "user.insert"


def test_a_wrong_key_is_refused():
    """It decrypts to noise."""
    with pytest.raises(WebhookError, match="another key"):
        Webhooks(OTHER, encrypted=True).parse(sealed(ENCRYPTED))


def test_a_wrong_header_beside_a_good_ciphertext_is_refused():
    """UNVERIFIED that the header comes with encrypted payloads; where it does, it must be right."""
    webhooks = Webhooks(TOKEN, encrypted=True)
    assert webhooks.parse(sealed(ENCRYPTED), {"X-ChargeOver-Key": TOKEN})
    with pytest.raises(WebhookError, match="token is wrong"):
        webhooks.parse(sealed(ENCRYPTED), {"X-ChargeOver-Key": OTHER})


def test_a_changed_iv_is_refused():
    """Every character depends on it."""
    body = bytearray(base64.b64decode(sealed(ENCRYPTED)))
    body[3] ^= 1
    with pytest.raises(WebhookError, match="changed on its way"):
        Webhooks(TOKEN, encrypted=True).parse(base64.b64encode(body))


def test_encryption_is_no_seal():
    """A limit that the documentation states: one character can be changed without the key."""
    body = bytearray(base64.b64decode(sealed(ENCRYPTED)))
    place = 16 + ENCRYPTED.index(b"370")
    body[place] ^= ord("3") ^ ord("9")
    event = Webhooks(TOKEN, encrypted=True).parse(base64.b64encode(body))
    assert event.context_id == 970


def test_plain_and_encrypted_are_not_taken_for_each_other():
    """Whoever asked for encryption does not get less."""
    with pytest.raises(WebhookError, match="base64"):
        Webhooks(TOKEN, encrypted=True).parse(payload())
    with pytest.raises(WebhookError, match="encrypted"):
        Webhooks(TOKEN).parse(sealed(ENCRYPTED))


@pytest.mark.parametrize("body", [b"", base64.b64encode(IV), b"AAA", b"****", b"\xff" * 40])
def test_a_ciphertext_that_cannot_be_one_is_refused(body: bytes):
    """Too short, or not base64."""
    with pytest.raises(WebhookError):
        Webhooks(TOKEN, encrypted=True).parse(body)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    """When the object is made, not at the first event."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **kw: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *rest, **kw)

    monkeypatch.setattr(builtins, "__import__", without)
    assert Webhooks(TOKEN).parse(payload())
    with pytest.raises(UsageError, match=r'pip install "chargeover-async\[webhooks\]"'):
        Webhooks(TOKEN, encrypted=True)


# -- how it is made ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "options"),
    [
        ((), {}),
        (("",), {}),
        (("  ",), {}),
        ((None,), {}),
        ((b"bytes",), {}),
        ((TOKEN, ""), {}),
        (("short",), {"encrypted": True}),
        ((TOKEN,), {"max_bytes": 0}),
    ],
)
def test_a_receiver_that_would_believe_anybody_is_refused(
    tokens: tuple[Any, ...], options: dict[str, Any]
):
    """Before any payload comes."""
    with pytest.raises(UsageError) as caught:
        Webhooks(*tokens, **options)
    assert TOKEN not in str(caught.value)


def test_no_repr_shows_a_token():
    """Plain or encrypted; there are no other attributes to look at."""
    for encrypted in (False, True):
        webhooks = Webhooks(TOKEN, encrypted=encrypted)
        assert TOKEN not in repr(webhooks)
        assert not hasattr(webhooks, "__dict__")
