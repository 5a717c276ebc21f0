"""Text that is no text, numbers without end, JSON without bottom: an error of ours, or no harm."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted import World

from chargeover_async import (
    ChargeOver,
    ChargeOverError,
    Customer,
    ExternalKey,
    F,
    Operation,
    RetryPolicy,
    Token,
    UsageError,
)
from chargeover_async._wire.envelope import Answer
from chargeover_async._wire.request import Request
from chargeover_async.models._json.checks import check_json
from chargeover_async.models._json.read import encode

HALF = "Acme \ud83d"  # an emoji, cut in its middle
Call = Callable[[ChargeOver, Any], Any]

# Every place where a caller's text goes into a request.
TEXTS: dict[str, Call] = {
    "a field": lambda co, text: co.customers.create(company=text),
    "a key": lambda co, text: co.customers.create(external_key=text),
    "a secret": lambda co, text: co.creditcards.create(number=text, expdate_year="2030"),
    "a custom field": lambda co, text: co.customers.create(custom_1={"a": [text]}),
    "a name in a custom field": lambda co, text: co.customers.create(custom_1={text: 1}),
    "an entry of a list": lambda co, text: co.customers.create(tags=[text]),
    "a line": lambda co, text: co.invoices.create(
        customer_id=1, line_items=[{"item_id": 1, "descrip": text}]
    ),
    "a name in extra": lambda co, text: co.customers.create(extra={text: 1}),
    "a value in extra": lambda co, text: co.customers.create(extra={"x": text}),
    "an external key": lambda co, text: co.customers.get(external_key=text),
    "a token": lambda co, text: co.customers.get(token=text),
    "a target by key": lambda co, text: co.customers.delete(ExternalKey(text)),
    "a target by token": lambda co, text: co.customers.delete(Token(text)),
    "a filter": lambda co, text: co.customers.list(where=F.company == text),
    "a filter of a report": lambda co, text: co.reports.report_data(1, where=F.company == text),
    "a filtered field": lambda co, text: co.customers.list(where=F[text] == 1),
    "an order": lambda co, text: co.customers.list(order=text),
    "what is expanded": lambda co, text: co.subscriptions.get(1, expand=text),
    "a template": lambda co, text: co.customers.email(1, action=text),
    "a password": lambda co, text: co.users.set_password(1, text),
    "a currency": lambda co, text: co.currencies.get_exchange_rate("USD", text),
    "a setting": lambda co, text: co.config.set(text, 1),
    "the value of a setting": lambda co, text: co.config.set("x", text),
    "an aggregate": lambda co, text: co.aggregate("invoice", [text]),
    "an aggregate's object": lambda co, text: co.aggregate(text, ["SUM(total)"]),
    "a group": lambda co, text: co.aggregate("invoice", ["SUM(total)"], group=[text]),
    "JSON of one's own": lambda co, text: co.request("POST", "/x", json={"a": text}),
    "a query of one's own": lambda co, text: co.request("GET", "/x", query={"a": text}),
    "a name in a query": lambda co, text: co.request("GET", "/x", query={text: 1}),
    "a path of one's own": lambda co, text: co.request("GET", f"/x/{text}"),
    "on behalf of": lambda co, text: co.with_options(on_behalf_addr=text),
    "a flag": lambda co, text: co.with_options(flags={text: 1}),
}
NUMBERS: dict[str, Call] = {
    "an id": lambda co, number: co.customers.get(number),
    "an id that is sent": lambda co, number: co.customers.create(terms_id=number),
    "an amount": lambda co, number: co.transactions.refund(1, amount=number),
    "a custom field": lambda co, number: co.customers.create(custom_1=[number]),
    "a filter": lambda co, number: co.customers.list(where=F.total > number),
    "a page": lambda co, number: co.customers.list(limit=number),
    "an offset": lambda co, number: co.customers.list(offset=number),
    "a flag": lambda co, number: co.with_options(flags={"emails": number}),
    "JSON of one's own": lambda co, number: co.request("POST", "/x", json=number),
    "a query of one's own": lambda co, number: co.request("GET", "/x", query={"a": number}),
}


def try_call(call: Call, value: Any) -> ChargeOver | Operation[Any] | UsageError:
    """What the call makes, which can be written; or its UsageError."""
    try:
        made: Any = call(World().co, value)
    except UsageError as error:
        str(error).encode()  # a log takes it
        return error
    if isinstance(made, Operation):
        encode(made.payload)
        assert Request(made.method, made.path, made.query).target.encode()
        made.close()
    return made


@pytest.mark.parametrize("place", TEXTS)
def test_half_a_surrogate_pair_is_refused(place: str):
    """Nothing of the request could be encoded; the field or option is named."""
    found = try_call(TEXTS[place], HALF)
    assert isinstance(found, UsageError), place


@pytest.mark.parametrize("place", TEXTS)
@pytest.mark.parametrize("text", ["\0", "a\0b", "x" * 200_000, "\u202e", "\r\n", "%00", "\x7f"])
def test_odd_text_is_sent_or_refused(place: str, text: str):
    """Escaped as its place asks; nothing breaks."""
    try_call(TEXTS[place], text)


@pytest.mark.parametrize("place", NUMBERS)
@pytest.mark.parametrize(
    "number",
    [10**5000, -(10**5000), Decimal("9" * 5000), Decimal("1e999999"), Decimal("1e-999999")],
    ids=["10**5000", "-10**5000", "5,000 nines", "1e999999", "1e-999999"],
)
def test_a_number_without_end_is_sent_or_refused(place: str, number: Any):
    """By its check, and not by what writes it; the message stays short."""
    found = try_call(NUMBERS[place], number)
    if isinstance(found, UsageError):
        assert len(str(found)) < 400
    elif isinstance(found, Operation):
        assert len(str(found.query)) < 400


def nested(depth: int, make: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = make(value)
    return value


@pytest.mark.parametrize("make", [lambda v: [v], lambda v: {"a": v}, lambda v: (v,)])
@pytest.mark.parametrize("depth", [10, 100, 300, 1_000, 5_000, 100_000])
def test_json_without_bottom_is_written_or_refused(depth: int, make: Callable[[Any], Any]):
    """What the check takes, the encoder takes."""
    value = nested(depth, make)
    for call in (
        lambda co, deep: co.customers.create(custom_1=deep),
        lambda co, deep: co.customers.create(extra={"x": deep}),
        lambda co, deep: co.request("POST", "/x", json=deep),
    ):
        found = try_call(call, value)
        if depth <= 100:
            assert not isinstance(found, UsageError)
    while isinstance(value, (list, dict, tuple)):  # or taking it apart would recurse
        value = value["a"] if isinstance(value, dict) else value[0]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.text(st.characters(categories=["Cs", "Cc", "L"]))
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones()),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner)
    ),
    max_leaves=8,
)


@settings(max_examples=400)
@given(anything)
def test_whatever_the_check_takes_can_be_written(value: Any):
    """Or it is a UsageError that can be shown."""
    try:
        checked = check_json(value)
    except UsageError as error:
        str(error).encode()
    else:
        assert encode(checked)


DEEP = b"[" * 200_000
ANSWERS: dict[str, bytes] = {
    "an id of 5,000 digits": b'{"customer_id":%s}' % (b"9" * 5000),
    "an id of 1e5000": b'{"customer_id":1e5000}',
    "an amount of 5,000 digits": b'{"customer_id":1,"total":%s}' % (b"9" * 5000),
    "an amount of 1e5000": b'{"customer_id":1,"total":1e5000}',
    "text of 5,000 digits": b'{"customer_id":1,"company":%s}' % (b"9" * 5000),
    "a flag of 5,000 digits": b'{"customer_id":1,"no_taxes":%s}' % (b"9" * 5000),
    "a date of 5,000 digits": b'{"customer_id":1,"write_datetime":%s}' % (b"9" * 5000),
    "a custom field of 5,000 digits": b'{"customer_id":1,"custom_1":%s}' % (b"9" * 5000),
    "a deep list": b'{"customer_id":1,"custom_1":' + DEEP + b"]" * 200_000 + b"}",
    "a deep list that does not end": b'{"customer_id":1,"custom_1":' + DEEP,
    "a deep object": b'{"customer_id":1,"custom_1":' + b'{"a":' * 99_999 + b"1" + b"}" * 100_000,
    "deep where text is": b'{"customer_id":1,"company":' + DEEP + b"]" * 200_000 + b"}",
    "half a surrogate pair": b'{"customer_id":1,"company":"\\ud83d"}',
    "half of one in a custom field": b'{"customer_id":1,"custom_1":"\\ud83d"}',
    "bytes that are no text": b'{"customer_id":1,"company":"\xff\xfe"}',
    "NUL": b'{"customer_id":1,"company":"\\u0000"}',
    "an unknown field of 5,000 digits": b'{"customer_id":1,"brand_new":%s}' % (b"9" * 5000),
    "a number that is none": b'{"customer_id":1,"total":NaN}',
    "names twice": b'{"customer_id":1,"customer_id":2}',
}
READS: dict[str, Callable[[ChargeOver], Operation[Any]]] = {
    "get": lambda co: co.customers.get(1),
    "get raw": lambda co: co.customers.get(1, raw=True),
    "list": lambda co: co.customers.list(),
    "list, told": lambda co: co.customers.list(on_unreadable=str),
    "create": lambda co: co.customers.create(company="x"),
    "delete": lambda co: co.customers.delete(1),
    "count": lambda co: co.customers.count(),
    "request": lambda co: co.request("GET", "/customer/1"),
    "request as": lambda co: co.request("GET", "/customer/1", as_=Customer),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("in_list", [False, True])
async def test_an_odd_answer_is_read_or_an_error_of_ours(answer: str, read: str, in_list: bool):
    """Whichever call it comes to, alone or in a page; the error can be shown."""
    record = ANSWERS[answer]
    response = b"[" + record + b"]" if in_list else record
    body = b'{"code":200,"status":"OK","message":"","response":' + response + b"}"
    world = World(Answer(200, {}, body), retry=RetryPolicy(attempts=1))
    outcome = await READS[read](world.co).wait()
    if outcome.error is not None:
        assert isinstance(outcome.error, ChargeOverError)
        assert len(str(outcome.error)) < 2000
    repr(outcome)
