"""From HTTP answers to replies, faults and errors."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from chargeover_async import errors
from chargeover_async._wire.envelope import (
    Answer,
    Reply,
    entry_fault,
    error_of,
    fault_of,
    is_taken_key,
    parse,
)
from chargeover_async.retry import Fault


def body(code: Any, status: Any = "OK", message: Any = "", response: Any = True) -> bytes:
    return json.dumps(
        {"code": code, "status": status, "message": message, "response": response}
    ).encode()


NO_ENVELOPE = {
    "empty": b"",
    "blank": b" \n",
    "html": b"<html><h1>502 Bad Gateway</h1></html>",
    "cut": b'{"code":200,"status":"OK","message":"","response":{"id":',
    "null": b"null",
    "list": b"[]",
    "number": b"200",
    "text": b'"OK"',
    "empty object": b"{}",
    "no code": b'{"status":"OK","response":true}',
    "code is text": b'{"code":"many","status":"OK"}',
    "code is null": b'{"code":null,"status":"OK"}',
    "not UTF-8": b'{"code":200,"status":"OK","message":"\xff\xfe","response":true}',
    "two documents": body(200) + body(200),
    "deep": b"[" * 100_000,
    "deep inside": b'{"code":200,"status":"OK","response":' + b"[" * 100_000,
}
GOOD, NO, NEITHER = "good", "error", "neither"


def expected(status: int, kind: str, code: int = 0) -> Fault | None:
    """The table of DESIGN section 2, once more and in other words."""
    if 200 <= status < 300:
        if kind == GOOD:
            return None
        if kind == NO:
            return expected(code, NO) if code >= 400 else Fault.LOST
        return Fault.LOST
    if kind in {NEITHER, GOOD}:
        return Fault.LOST
    if status == 429:
        return Fault.THROTTLED
    if 400 <= status < 500:
        return Fault.REFUSED
    return Fault.SERVER if status == 500 and kind == NO else Fault.LOST


STATUSES = [200, 201, 202, 204, 301, 302, 307, 400, 401, 403, 404, 405, 408, 409, 413, 418, 422]
STATUSES += [429, 451, 499, 500, 501, 502, 503, 504, 520, 524, 599]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", NO_ENVELOPE)
def test_an_answer_without_an_envelope_says_nothing(status: int, kind: str):
    """Whatever its status: a proxy's 404 is not the API's, and neither is its 200."""
    reply = parse(Answer(status, {}, NO_ENVELOPE[kind]))
    assert reply is None
    assert fault_of(status, reply) is expected(status, NEITHER)


@pytest.mark.parametrize("status", STATUSES)
def test_an_envelope_that_says_ok_is_good_only_under_a_good_status(status: int):
    """HTTP 502 with a cached OK inside is no success."""
    reply = parse(Answer(status, {}, body(200)))
    assert reply is not None
    assert fault_of(status, reply) is expected(status, GOOD)


@pytest.mark.parametrize("status", STATUSES)
def test_an_error_envelope_under_its_own_status(status: int):
    """The usual way to say no."""
    reply = parse(Answer(status, {}, body(status, "Error", "no", False)))
    assert fault_of(status, reply) is expected(status, NO, status)


@pytest.mark.parametrize("code", STATUSES)
def test_an_error_envelope_under_http_200_is_an_error(code: int):
    """The vendor's clients decide on ``status`` in the envelope, not on HTTP's."""
    reply = parse(Answer(200, {}, body(code, "Error", "no", False)))
    assert fault_of(200, reply) is expected(200, NO, code)


@pytest.mark.parametrize("code", [0, 100, 301, 400, 429, 500, 502])
def test_an_ok_with_a_code_that_is_none_is_no_success(code: int):
    """Both must say so."""
    reply = parse(Answer(200, {}, body(code, "OK")))
    assert fault_of(200, reply) is not None


@pytest.mark.parametrize("code", STATUSES)
@pytest.mark.parametrize("status", ["OK", "Error"])
def test_an_entry_of_a_bulk_answer_is_judged_by_its_code(code: int, status: str):
    """An entry has no HTTP status of its own."""
    entry = Reply(code, status)
    if status == "OK" and code < 300:
        assert entry_fault(entry) is None
    elif code < 400:
        assert entry_fault(entry) is Fault.LOST
    elif status == "Error":
        assert entry_fault(entry) is expected(code, NO, code)
    else:
        assert entry_fault(entry) is not None


@pytest.mark.parametrize(
    ("raw", "reply"),
    [
        (
            b'{"code":200,"status":"OK","message":"","response":[]}',
            Reply(200, "OK", response=msgspec.Raw(b"[]")),
        ),
        (
            b'{"code":"200","status":"OK","response":1}',
            Reply(200, "OK", response=msgspec.Raw(b"1")),
        ),
        (b'{"code":200,"status":"OK","message":null}', Reply(200, "OK", None)),
        (b' {"extra":{},"details":[],"code":201,"status":"OK"} ', Reply(201, "OK")),
    ],
)
def test_an_envelope_is_read_leniently(raw: bytes, reply: Reply):
    """Extra fields, missing ones, a code in a string."""
    assert parse(Answer(200, {}, raw)) == reply


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (301, errors.BadRequest),
        (400, errors.BadRequest),
        (401, errors.AuthFailed),
        (403, errors.AuthFailed),
        (404, errors.NotFound),
        (405, errors.BadRequest),
        (409, errors.BadRequest),
        (413, errors.BadRequest),
        (422, errors.BadRequest),
        (429, errors.RateLimited),
        (500, errors.ServerError),
        (503, errors.ServerError),
    ],
)
def test_the_class_of_an_error_follows_its_status(status: int, cls: type[Exception]):
    """One class for each thing that a caller does next."""
    error = error_of(status, "no", body(status), operation="GET /customer", attempts=2, batch=3)
    assert type(error) is cls
    assert (error.status, error.attempts, error.batch) == (status, 2, 3)
    assert str(error).startswith("GET /customer: ")
    assert f"(HTTP {status})" in str(error)
    assert error.may_have_happened is (cls is errors.ServerError)


def test_a_taken_key_has_its_own_error():
    """By the vendor's words; other refusals that resemble it are not."""
    text = 'A customer already exists with the external_key value "abcd1234"'
    assert type(error_of(400, text, b"")) is errors.AlreadyExists
    assert is_taken_key(text)
    for other in ("external_key must be text", "A customer already exists", ""):
        assert type(error_of(400, other, b"")) is errors.BadRequest
    assert type(error_of(404, text, b"")) is errors.NotFound


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (404, 400, Fault.REFUSED),
        (429, 400, Fault.THROTTLED),
        (404, 500, Fault.LOST),
        (500, 400, Fault.LOST),
        (302, 302, Fault.LOST),
        (303, 400, Fault.LOST),
        (400, 200, Fault.LOST),
        (503, 500, Fault.LOST),
    ],
)
def test_an_error_that_contradicts_its_status_says_nothing(status: int, code: int, fault: Fault):
    """Both of one kind is an error, else it is no word that can be relied on."""
    reply = parse(Answer(status, {}, body(code, "Error", "no", False)))
    assert fault_of(status, reply) is fault


@pytest.mark.parametrize("status", ["", "ok", "error", "Failed", None])
def test_an_envelope_has_one_of_two_words_for_its_status(status: str | None):
    """Anything else is somebody else's JSON: ``{"code": 404, "message": "no route"}``."""
    for code in (200, 404, 500):
        raw = {"code": code, "message": "no route", "response": False}
        if status is not None:
            raw["status"] = status
        reply = parse(Answer(code, {}, msgspec.json.encode(raw)))
        assert fault_of(code, reply) is Fault.LOST


@pytest.mark.parametrize("message", ["", None])
def test_an_error_without_words_names_its_status(message: str | None):
    """Never an empty message."""
    assert "HTTP 404 without a message" in str(error_of(404, message, b""))


@pytest.mark.parametrize("raw", [b"x" * 10_000, "é".encode() * 10_000, b"\xff" * 10_000])
def test_an_error_keeps_an_excerpt_of_the_body(raw: bytes):
    """At most 500 characters, readable whatever the bytes."""
    for given in (raw, msgspec.Raw(raw)):
        assert len(error_of(400, "no", given).body) == 500
