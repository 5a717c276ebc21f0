"""The body of a ``_bulk`` call and its answer."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeover_async._wire.bulk import decode_entries, encode_batch, encode_item, parse_batch
from chargeover_async._wire.envelope import Answer, Reply, parse

text = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(st.lists(st.tuples(text, st.none() | st.dictionaries(text, text), st.none() | text)))
def test_a_batch_is_the_documented_array(
    items: list[tuple[str, dict[str, str] | None, str | None]],
):
    """Any uri, payload and name come out as they were put in; an item without a name has no id."""
    raw = encode_batch(
        encode_item("POST", uri, None if payload is None else msgspec.json.encode(payload), name)
        for uri, payload, name in items
    )
    wanted = []
    for uri, payload, name in items:
        item = {"request_method": "POST", "uri": uri, "payload": payload}
        wanted.append(item if name is None else {**item, "id": name})
    assert json.loads(raw) == wanted


def test_the_vendors_example_is_encoded_as_it_stands():
    """Source: vendor's text, "Bulk / Batch Requests"."""
    assert encode_batch(
        [
            encode_item("GET", "/api/v3/customer/2", None),
            encode_item("POST", "/api/v3/customer", b'{"company":"A"}', "the_customer"),
        ]
    ) == (
        b'[{"request_method":"GET","uri":"/api/v3/customer/2","payload":null},'
        b'{"request_method":"POST","uri":"/api/v3/customer","payload":{"company":"A"},'
        b'"id":"the_customer"}]'
    )


def test_the_vendors_example_answer_is_decoded():
    """Each entry with its own code; one that failed stands beside those that did not."""
    raw = json.dumps(
        {
            "_bulk": [
                {"code": 200, "status": "OK", "message": "", "response": {"customer_id": 2}},
                {"code": 201, "status": "OK", "message": "", "response": {"id": 14}},
                {"code": 400, "status": "Error", "message": "taken", "response": False},
            ]
        }
    ).encode()
    entries = decode_entries(msgspec.Raw(raw))
    assert entries is not None
    assert [entry.code for entry in entries] == [200, 201, 400]
    assert [entry.ok for entry in entries] == [True, True, False]
    assert bytes(entries[1].response) == b'{"id": 14}'
    assert entries[2] == Reply(400, "Error", "taken", msgspec.Raw(b"false"))


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'{"_bulk":null}',
        b'{"_bulk":{}}',
        b'{"_bulk":[',
        b'{"_bulk":[' + b"[" * 100_000,
    ],
)
def test_an_answer_without_entries_is_none(raw: bytes):
    """Never an empty list by guess: nobody's answer is known then."""
    assert decode_entries(msgspec.Raw(raw)) is None


def test_no_entries_are_no_entries():
    """An empty list is what it is."""
    assert decode_entries(msgspec.Raw(b'{"_bulk":[]}')) == []


def test_an_entry_that_is_not_the_apis_keeps_the_others_in_their_places():
    """Whoever's answer it was is unknown; the neighbours are matched by position all the same."""
    good = b'{"code":201,"status":"OK","response":{"id":1}}'
    for bad in (b"1", b"null", b'{"status":"OK"}', b'{"code":200,"message":"\xff"}'):
        entries = decode_entries(msgspec.Raw(b'{"_bulk":[' + bad + b"," + good + b"]}"))
        assert entries is not None
        assert entries[0] is None
        assert entries[1] is not None
        assert entries[1].code == 201


ENTRIES = (
    b'{"_bulk":[{"code":"200","response":{"id":1}},{"code":400,"status":"Error","message":"no"}]}'
)


def whole(response: bytes, tail: bytes = b"}") -> Answer:
    return Answer(200, {}, b'{"code":200,"status":"OK","message":"","response":' + response + tail)


def test_a_batch_that_is_read_in_one_pass_is_what_it_is_in_two():
    """Entries that failed are entries."""
    answer = whole(ENTRIES)
    found, apart = parse_batch(answer), parse(answer)
    assert found is not None
    assert apart is not None
    assert (found.code, found.status, found.message) == (200, "OK", "")
    assert found.response == decode_entries(apart.response)
    assert len(found.response) == 2


@pytest.mark.parametrize(
    "answer",
    [
        whole(b'{"_bulk":[1]}'),
        whole(b'{"_bulk":null}'),
        whole(b"false"),
        whole(ENTRIES, b""),
        whole(b'{"_bulk":[{"code":200,"message":"\xff"}]}'),
        whole(b'{"_bulk":[' + b"[" * 100_000),
    ],
)
def test_what_is_no_batch_is_left_to_the_closer_look(answer: Answer):
    """Which finds out what of it can be read."""
    assert parse_batch(answer) is None
