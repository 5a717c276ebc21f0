"""Pages in which ``""`` stands for an absent number or moment: read in one go, and no otherwise."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeover_async import DecodeError, Record
from chargeover_async.models._json import read as reading
from chargeover_async.models._json.read import read, read_each, read_many


class Own(Record, frozen=True):
    """What a caller may read as: text, numbers, moments, and what may hold anything."""

    own_id: int
    text: str | None = None
    other: str | None = None
    number: int | None = None
    amount: Decimal | None = None
    flag: bool | None = None
    moment: dt.datetime | None = None
    day: dt.date | None = None
    parts: list[str] | None = None
    needed: dt.date = dt.date(2026, 1, 1)
    free: Any = None


def page_of(*records: Any, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else None
    return json.dumps(records, separators=separators, indent=indent).encode()


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading record by record fails the test."""

    def impatient(*_: Any) -> None:
        raise AssertionError("read record by record")

    monkeypatch.setattr(reading, "mend", impatient)


@pytest.mark.usefixtures("no_patience")
def test_several_fields_are_mended_and_text_stays_empty():
    """Only what holds no text; an escaped name inside of a text is no field."""
    tricky = ',"moment":"","number":""'
    records = [
        {"own_id": 1, "text": "", "moment": "", "free": ""},
        {
            "own_id": 2,
            "number": "",
            "amount": "",
            "other": tricky,
            "flag": "1",
            "parts": ["day"],
        },
    ]
    assert read_many(page_of(*records), Own) == [
        Own(own_id=1, text="", free=""),
        Own(own_id=2, other=tricky, flag=True, parts=["day"]),
    ]


@pytest.mark.parametrize(
    "free",
    [
        {"a": 1, "moment": ""},
        [{"moment": ""}],
        {"a": [{"b": {"moment": ""}}]},
    ],
)
def test_what_may_hold_anything_keeps_its_empty_texts(free: Any):
    """A field in there is not the record's, whatever its name."""
    page = page_of({"own_id": 1, "moment": ""}, {"own_id": 2, "moment": "", "free": free})
    assert read_many(page, Own) == [Own(own_id=1), Own(own_id=2, free=free)]


def test_an_empty_text_is_no_none_where_either_of_two_types_may_stand():
    """It is refused there, as in a record that is read by itself."""

    class Either(Record, frozen=True):
        own_id: int
        either: int | Decimal | None = None

    with pytest.raises(DecodeError) as caught:
        read_many(b'[{"own_id":1,"either":""}]', Either)
    assert (caught.value.field, caught.value.raw) == ("either", b'{"own_id":1,"either":""}')


@pytest.mark.parametrize(
    "page", [b'[{"own_id":1,"moment":""}', b'[{"own_id":1,"moment":"","other":"\\"moment":""}]']
)
def test_what_is_no_json_is_not_mended_into_some(page: bytes):
    """The error has the bytes as they came."""
    with pytest.raises(DecodeError) as caught:
        read_many(page, Own)
    assert caught.value.raw == page


VALUES: dict[str, list[Any]] = {
    "text": ["", "x", ',"moment":""', '\\",\\"moment\\":\\"\\"', "{}", "{", 5],
    "other": ["", ':""', None],
    "number": ["", 7, "7", 7.0, None],
    "amount": ["", 1.5, "1.50", 0, None],
    "flag": ["", "0", 1, True, None],
    "moment": ["", "", "2015-03-30 17:41:00", "1427737279", None, "0000-00-00 00:00:00"],
    "day": ["", "2015-03-30", None],
    "parts": ["", ["", ',"moment":""'], None],
    "needed": ["2015-03-30", "2015-03-31", "2015-02-30"],
    "free": ["", {"moment": "", "number": ""}, [{"day": ""}], ["day", ""], "{"],
    "unknown": ["", {"moment": ""}],
}
documents = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in VALUES.items()}
)


@settings(deadline=None, max_examples=400)
@given(found=st.lists(documents, max_size=4), indent=st.sampled_from([None, None, None, 1]))
def test_a_page_is_what_its_records_are(found: list[dict[str, Any]], indent: int | None):
    """Whatever is mended; an error carries the JSON as it came."""
    records = [{"own_id": number, **record} for number, record in enumerate(found)]
    expected: list[Any] = []
    for record in records:
        try:
            expected.append(read(page_of(record)[1:-1], Own))
        except DecodeError as error:
            expected.append((error.id, error.field, record))
    page = [
        (entry.id, entry.field, json.loads(entry.raw)) if isinstance(entry, DecodeError) else entry
        for entry in read_each(page_of(*records, indent=indent), Own, keep_errors=True)
    ]
    assert list(map(repr, page)) == list(map(repr, expected))
