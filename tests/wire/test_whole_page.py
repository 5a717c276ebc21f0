"""A page that is read together with its envelope: as one after the other, or not at all."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted import Gate, World, broken, created, cut, envelope, gateway, throttled

from chargeover_async import DateFormat, DecodeError, Invoice, LineItem, Record
from chargeover_async._send.result import Result, result_of
from chargeover_async._wire.envelope import Answer
from chargeover_async.resources._calls.answers import Reading

PLAIN: dict[str, Any] = {
    "invoice_id": 7,
    "total": 89.85,
    "credits": 0,
    "is_paid": False,
    "write_datetime": "2015-03-30 17:41:00",
    "due_date": "2015-04-29",
    "custom_1": {"a": [1.10]},
}
LAX = {"invoice_id": "8", "total": "1.50", "line_items": [{"is_taxed": "0"}]}
PATIENT = {"invoice_id": 9, "terms_days": "", "line_items": {"2": {"line_item_id": 3}}}
UNREADABLE = {"invoice_id": 10, "total": "much"}
SECONDS = {"invoice_id": 11, "write_datetime": 1427737279}


def both(answer: Answer, reading: Reading) -> tuple[Result, Result]:
    """What comes of an answer at once, and in two steps."""
    return result_of(answer, None, reading.many), result_of(answer)


def read(result: Result, reading: Reading) -> Any:
    """The records, whichever way they were read; or the error."""
    if result.whole is not None:
        return result.whole.response
    assert result.reply is not None
    try:
        return reading.many(result.reply.response)
    except DecodeError as error:
        return error.field, error.raw


def test_a_page_as_documented_is_read_in_one_pass():
    """Envelope and records, with the types of the structs."""
    whole, _ = both(envelope(200, [PLAIN]), Reading(Invoice, None, None))
    assert whole.fault is None
    assert whole.whole is not None
    (invoice,) = whole.whole.response
    assert invoice == Invoice(
        invoice_id=7,
        total=Decimal("89.85"),
        credits=Decimal(0),
        is_paid=False,
        write_datetime=dt.datetime(2015, 3, 30, 17, 41),  # noqa: DTZ001 - the API's are naive
        due_date=dt.date(2015, 4, 29),
        custom_1={"a": [Decimal("1.1")]},
    )


def test_a_page_in_the_lenient_forms_is_read_in_one_pass():
    """Numbers and booleans in strings, wherever in the page they stand."""
    whole, _ = both(envelope(200, [PLAIN, LAX]), Reading(Invoice, None, None))
    assert whole.whole is not None
    assert whole.whole.response[1] == Invoice(
        invoice_id=8, total=Decimal("1.50"), line_items=[LineItem(is_taxed=False)]
    )


@pytest.mark.parametrize("records", [[SECONDS], [LAX, SECONDS], [PLAIN, SECONDS, LAX]])
def test_a_number_for_a_moment_is_seen_among_lenient_forms(records: list[Any]):
    """What a strict decoder refuses by itself, a lenient one reads as Unix seconds."""
    reading = Reading(Invoice, None, None)
    whole, _ = both(envelope(200, records), reading)
    assert whole.whole is None
    field, raw = read(whole, reading)
    assert (field, json.loads(raw)) == ("write_datetime", SECONDS)


@pytest.mark.parametrize(
    "reading",
    [
        Reading(Invoice, None, None),
        Reading(Invoice, None, None, raw=True),
        Reading(Invoice, None, DateFormat(date="%d.%m.%Y")),
        Reading(Invoice, dict[str, Any], None),
        Reading(Invoice, None, None, on_unreadable=lambda _: None),
    ],
    ids=["structs", "raw", "dates", "dicts", "listened to"],
)
@settings(deadline=None, max_examples=50)
@given(records=st.lists(st.sampled_from([PLAIN, LAX, PATIENT, UNREADABLE, SECONDS]), max_size=4))
def test_at_once_is_what_one_after_the_other_is(reading: Reading, records: list[Any]):
    """To the last digit; what does not fit is the same error either way."""
    whole, apart = both(envelope(200, records), reading)
    assert repr(read(whole, reading)) == repr(read(apart, reading))


def body(text: str) -> Answer:
    return Answer(200, {}, text.encode())


@pytest.mark.parametrize(
    "answer",
    [
        envelope(400, []),
        envelope(404, None),
        envelope(400, [PLAIN], http=200),
        envelope(200, [PLAIN], http=502),
        envelope(200, [PLAIN], http=302),
        envelope(200, [PLAIN], status="Error"),
        envelope(0, [PLAIN], http=200, status="OK"),
        envelope(200, PLAIN),
        envelope(200, None),
        envelope(200, "no"),
        broken(),
        gateway(),
        throttled(),
        cut(),
        body('{"code":200,"status":"OK","message":"","response":[{"invoice_id":7}'),
        body('{"code":200,"status":"OK","message":"","response":[{"invoice_id":7}]'),
        body('{"code":200,"status":"OK","message":"","response":[{"invoice_id":7}]}]'),
        body('{"code":200,"status":"OK","message":""}'),
        body('{"status":"OK","response":[]}'),
        body('{"code":200,"response":' + "[" * 100_000),
        body("[]"),
        body(""),
        Answer(200, {}, b'{"code":200,"response":[{"invoice_id":7,"memo":"\xff"}]}'),
    ],
)
def test_any_other_answer_is_judged_as_without_it(answer: Answer):
    """Errors, what is no page, and what is cut: no records, and the same fault."""
    whole, apart = both(answer, Reading(Invoice, None, None))
    assert whole.whole is None
    assert whole == apart


@pytest.mark.parametrize(
    "text",
    [
        '{"code":"200","status":"OK","message":null,"response":[{"invoice_id":7}],"more":{}}',
        ' {"response":[{"invoice_id":7}],"status":"OK","code":201} ',
    ],
)
def test_the_envelope_is_read_leniently(text: str):
    """In any order, with what is new, and a code in a string."""
    whole, apart = both(body(text), Reading(Invoice, None, None))
    assert whole.fault is apart.fault is None
    assert whole.whole is not None
    assert whole.whole.response == [Invoice(invoice_id=7)]


def test_a_type_that_raises_what_it_likes_is_left_to_its_reader():
    """Which says so, with the JSON."""

    class Picky(Record):
        invoice_id: int

        def __post_init__(self) -> None:
            raise KeyError("mine")

    reading = Reading(Invoice, Picky, None)
    whole, apart = both(envelope(200, [PLAIN]), reading)
    assert whole.whole is None
    assert whole == apart


async def test_a_list_that_is_referred_to_while_under_way_keeps_its_answer():
    """A record read as a whole has no JSON left in which a path could find anything."""
    gate = Gate(envelope(200, [PLAIN]))
    world = World(gate, created(3))
    listed = world.co.invoices.list(limit=1)
    task = asyncio.create_task(listed)
    await gate.reached.wait()
    customer = listed.ref("$.response[0].invoice_id")
    gate.open.set()
    assert [invoice.invoice_id for invoice in await task] == [7]
    await world.co.users.create(customer_id=customer)
    world.check()
    assert world.script.body(1)["customer_id"] == 7
