"""What is checked before anything is sent: each kind right, wrong, and at its edges."""

# ruff: noqa: DTZ001 - the API's datetimes are naive
# ruff: noqa: RUF001 - digits of other scripts are the point
from __future__ import annotations

import asyncio
import copy
import datetime as dt
import enum
import json
import math
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted import World, created

from chargeover_async import Ref, UsageError
from chargeover_async.models import (
    CustomerCreate,
    InvoiceCreate,
    ItemCreate,
    TransactionPay,
    UserCreate,
)
from chargeover_async.models._json.checks import MAX_ID, Flag, Integer, Moment, check_json
from chargeover_async.models._json.read import encode
from chargeover_async.models._json.shape import shape_of
from chargeover_async.resources import RESOURCES

CENTRAL = dt.timezone(dt.timedelta(hours=-5))


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Level(enum.IntEnum):
    GOLD = 3


class Colour(enum.StrEnum):
    RED = "red"


# One field of each kind, and what is done to a value of it.
KINDS: dict[str, tuple[Any, str]] = {
    "text": (CustomerCreate, "company"),
    "key": (CustomerCreate, "external_key"),
    "flag": (CustomerCreate, "no_taxes"),
    "integer": (ItemCreate, "expire_recurs"),
    "id": (CustomerCreate, "terms_id"),
    "money": (InvoiceCreate, "line_items.line_rate"),
    "day": (InvoiceCreate, "date"),
    "mixed": (CustomerCreate, "custom_1"),
    "list": (CustomerCreate, "tags"),
}


def put(kind: str, value: Any) -> Any:
    """The payload's value for ``value``, written and read back as JSON."""
    table, name = KINDS[kind]
    outer, _, inner = name.partition(".")
    fields = {outer: [{inner: value}] if inner else value}
    payload, refs = shape_of(table).prepare(fields, "test")
    assert refs == []
    held = json.loads(encode(payload), parse_float=Decimal)[outer]
    return held[0][inner] if inner else held


RIGHT: list[tuple[str, Any, Any]] = [
    ("text", "Acme", "Acme"),
    ("text", "", ""),
    ("text", "Zoë 日本 😀\n\ttab", "Zoë 日本 😀\n\ttab"),
    ("text", "\x00", "\x00"),
    ("text", Text("x"), "x"),
    ("text", Colour.RED, "red"),
    ("text", None, None),
    ("key", "a-1", "a-1"),
    ("key", " a b ", " a b "),
    ("key", "ключ/:,?", "ключ/:,?"),
    ("key", None, None),
    ("flag", True, True),
    ("flag", False, False),
    ("flag", None, None),
    ("integer", 0, 0),
    ("integer", -5, -5),
    ("integer", Number(5), 5),
    ("integer", Level.GOLD, 3),
    ("id", 1, 1),
    ("id", 0, 0),
    ("id", MAX_ID, MAX_ID),
    ("id", Number(7), 7),
    ("id", None, None),
    ("money", Decimal("2.95"), Decimal("2.95")),
    ("money", Decimal("2.950"), Decimal("2.950")),
    ("money", Decimal("-0.000001"), Decimal("-0.000001")),
    ("money", Decimal("1E+3"), Decimal("1E+3")),
    ("money", 100, 100),
    ("money", 0, 0),
    ("money", Number(5), 5),
    ("money", "4500.00", "4500.00"),
    ("money", "-1", "-1"),
    ("money", ".5", ".5"),
    ("money", Text("1.5"), "1.5"),
    ("money", None, None),
    ("day", dt.date(2026, 1, 31), "2026-01-31"),
    ("day", dt.date(1, 1, 1), "0001-01-01"),
    ("day", "2026-01-31", "2026-01-31"),
    ("day", "2026-01-31 00:00:00", "2026-01-31 00:00:00"),
    ("day", None, None),
    ("mixed", "x", "x"),
    ("mixed", 5, 5),
    ("mixed", True, True),
    ("mixed", Decimal("0.10"), Decimal("0.10")),
    (
        "mixed",
        {"a": [1, None, "x", {"b": Decimal("1.10")}]},
        {"a": [1, None, "x", {"b": Decimal("1.10")}]},
    ),
    ("mixed", (1, 2), [1, 2]),
    ("mixed", MappingProxyType({"a": 1}), {"a": 1}),
    ("mixed", dt.date(2026, 1, 31), "2026-01-31"),
    ("mixed", [], []),
    ("mixed", {}, {}),
    ("mixed", Text("x"), "x"),
    ("mixed", Number(5), 5),
    ("mixed", None, None),
    ("list", ["a", "b"], ["a", "b"]),
    ("list", ("a",), ["a"]),
    ("list", [], []),
    ("list", None, None),
]
WRONG: list[tuple[str, Any, str]] = [
    ("text", 5, "must be text"),
    ("text", True, "must be text"),
    ("text", b"x", "must be text"),
    ("text", ["x"], "must be text"),
    ("text", Decimal(1), "must be text"),
    ("text", dt.date(2026, 1, 1), "must be text"),
    ("text", "\ud800", "UTF-8"),
    ("key", "", "must not be empty"),
    ("key", "  ", "must not be empty"),
    ("key", "a\nb", "control characters"),
    ("key", "a\x00", "control characters"),
    ("key", "a\x7f", "control characters"),
    ("key", 5, "must be text"),
    ("key", "\udfff", "UTF-8"),
    ("flag", 1, "True or False"),
    ("flag", 0, "True or False"),
    ("flag", "true", "True or False"),
    ("flag", "", "True or False"),
    ("integer", True, "whole number"),
    ("integer", 1.5, "whole number"),
    ("integer", "5", "whole number"),
    ("integer", Decimal("5.5"), "whole number"),
    ("integer", 2**63, "64 bits"),
    ("integer", -(2**70), "64 bits"),
    ("id", True, "whole number"),
    ("id", False, "whole number"),
    ("id", -1, "from 0 to"),
    ("id", 2**63, "from 0 to"),
    ("id", 1.5, "whole number"),
    ("id", "7", "whole number"),
    ("money", 2.95, "exact amount"),
    ("money", 0.0, "exact amount"),
    ("money", math.nan, "exact amount"),
    ("money", math.inf, "exact amount"),
    ("money", True, "finite amount"),
    ("money", Decimal("NaN"), "finite amount"),
    ("money", Decimal("sNaN"), "finite amount"),
    ("money", Decimal("Infinity"), "finite amount"),
    ("money", "NaN", "finite amount"),
    ("money", "Infinity", "finite amount"),
    ("money", "1_000", "finite amount"),
    ("money", "1,000", "finite amount"),
    ("money", " 1", "finite amount"),
    ("money", "1\n", "finite amount"),
    ("money", "", "finite amount"),
    ("money", "1.2.3", "finite amount"),
    ("money", "$5", "finite amount"),
    ("money", "٣", "finite amount"),
    ("money", "１", "finite amount"),
    ("money", 2**63, "64 bits"),
    ("day", dt.datetime(2026, 1, 31), "without a time"),
    ("day", "2026-01-32", "YYYY-MM-DD"),
    ("day", "2026-02-29", "YYYY-MM-DD"),
    ("day", "31.01.2026", "YYYY-MM-DD"),
    ("day", "01/31/2026", "YYYY-MM-DD"),
    ("day", "20260131", "YYYY-MM-DD"),
    ("day", "2026-W05-1", "YYYY-MM-DD"),
    ("day", "2026-1-5", "YYYY-MM-DD"),
    ("day", "2026-01-31 09:30:00", "YYYY-MM-DD"),
    ("day", "２０２６-01-31", "YYYY-MM-DD"),
    ("day", "", "YYYY-MM-DD"),
    ("day", 20260131, "must be a date"),
    ("mixed", 0.1, r'such as Decimal\("2.95"\), not float 0.1'),
    ("mixed", {"a": [0.1]}, r"custom_1.a\[0\] must be an exact number"),
    ("mixed", Decimal("NaN"), "finite amount"),
    ("mixed", b"x", "written as JSON"),
    ("mixed", {1, 2}, "written as JSON"),
    ("mixed", object(), "written as JSON"),
    ("mixed", {1: "a", "1": "b"}, "names are text"),
    ("mixed", 2**64, "64 bits"),
    ("list", "ab", "must be a list"),
    ("list", {"a": 1}, "must be a list"),
    ("list", 5, "must be a list"),
    ("list", ["a", 5], r"tags\[1\] must be text"),
    ("list", [None], r"tags\[0\] must be text"),
]


@pytest.mark.parametrize(("kind", "value", "sent"), RIGHT)
def test_a_right_value_is_sent_as_it_was_meant(kind: str, value: Any, sent: Any):
    """Exactly, to the last zero of an amount."""
    held = put(kind, value)
    assert held == sent
    assert type(held) is type(sent)
    assert str(held) == str(sent)


@pytest.mark.parametrize(("kind", "value", "words"), WRONG)
def test_a_wrong_value_is_refused_and_named(kind: str, value: Any, words: str):
    """With the field, what it must be, and what it was."""
    with pytest.raises(UsageError, match=words) as caught:
        put(kind, value)
    name = KINDS[kind][1].replace("line_items.", "line_items[0].")
    assert name in str(caught.value)
    assert str(caught.value).startswith("test: ")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (dt.datetime(2026, 1, 31, 9, 30, 15), "2026-01-31 09:30:15"),
        (dt.datetime(2026, 1, 31, 9, 30, 15, 999_999), "2026-01-31 09:30:15"),
        (dt.datetime(2026, 1, 31, 9, 30, tzinfo=CENTRAL), "2026-01-31T09:30:00-05:00"),
        (dt.datetime(2026, 1, 31, tzinfo=dt.UTC), "2026-01-31T00:00:00+00:00"),
        (
            dt.datetime(1930, 1, 1, tzinfo=dt.timezone(dt.timedelta(minutes=19, seconds=32))),
            "1929-12-31T23:40:28+00:00",
        ),
        (dt.date(2026, 1, 31), "2026-01-31"),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31 09:30:15", "2026-01-31 09:30:15"),
        ("2026-01-31T09:30:15-05:00", "2026-01-31T09:30:15-05:00"),
    ],
)
def test_moments_are_written_as_the_vendor_shows(value: Any, sent: str):
    """Naive ones without a zone, aware ones with their offset, whole seconds."""

    class When(TypedDict, total=False):
        when: Moment

    assert shape_of(When).prepare({"when": value}, "t")[0] == {"when": sent}
    assert check_json({"when": value}) == {"when": sent}


@pytest.mark.parametrize("value", ["20260131", "yesterday", "", "2026-01-31 25:00", 5, dt.time(1)])
def test_a_wrong_moment_is_refused(value: Any):
    """What has none of the documented forms."""

    class When(TypedDict, total=False):
        when: Moment
        flag: Flag
        integer: Integer

    with pytest.raises(UsageError, match="when"):
        shape_of(When).prepare({"when": value}, "t")


# -- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda co: co.customers.create(compny="x"), '"compny"; did you mean "company"'),
        (lambda co: co.customers.update(1, superuser_mail="x"), 'did you mean "superuser_email"'),
        (lambda co: co.users.create(firstname="x"), 'did you mean "first_name"'),
        (lambda co: co.items.create(external_id="x"), "items.create: ItemCreate has no field"),
        (lambda co: co.customers.create(zzz="x"), 'no field "zzz" \\(extra='),
        (lambda co: co.customers.update(1, currency_id=1), 'no field "currency_id"'),
        (
            lambda co: co.invoices.create(customer_id=1, line_items=[{"item_idd": 1}]),
            r'"line_items\[0\].item_idd"; did you mean "line_items\[0\].item_id"',
        ),
        (lambda co: co.items.create(pricemodel={"bse": 1}), 'did you mean "pricemodel.base"'),
        (
            lambda co: co.invoices.create(customer_id=1, line_items=[{5: 1}]),
            r'no field "line_items\[0\].5"',
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(call: Any, words: str):
    """At every depth, naming the call."""
    with pytest.raises(UsageError, match=words):
        call(World().co)


def test_extra_sends_what_the_tables_do_not_know():
    """Beside the fields, checked for being JSON, never twice."""
    co = World().co
    call = co.customers.create(company="x", extra={"brand_new": {"a": Decimal("1.10")}})
    call.close()
    assert call.payload == {"company": "x", "brand_new": {"a": Decimal("1.10")}}
    for extra, words in (
        ({"company": "y"}, "given twice"),
        ({"brand_new": 0.1}, "brand_new must be an exact number"),
        ({5: "x"}, "must be text"),
        ({"": "x"}, "must be text"),
        ({"a": {1}}, "written as JSON"),
    ):
        with pytest.raises(UsageError, match=words):
            co.customers.create(company="x", extra=extra)


@pytest.mark.parametrize(
    "call",
    [
        lambda co: co.customers.create(),
        lambda co: co.customers.create(extra={}),
        lambda co: co.customers.update(1),
        lambda co: co.users.create(),
        lambda co: co.items.create(),
        lambda co: co.invoices.update(1),
    ],
)
def test_a_write_of_nothing_is_refused(call: Any):
    """The API answers it with an error; it is a mistake."""
    with pytest.raises(UsageError, match="given no field"):
        call(World().co)


@pytest.mark.parametrize("value", [{"a": None}, [], "", {"b": [{}]}])
def test_absent_null_and_empty_stay_three_things(value: Any):
    """What is not given is not sent; None is null; "" is empty text."""
    call = World().co.customers.create(company=None, bill_city="", custom_1=value)
    call.close()
    assert json.loads(encode(call.payload)) == {"company": None, "bill_city": "", "custom_1": value}


# -- nested, and never mutated ---------------------------------------------------------------


def test_the_callers_data_is_neither_changed_nor_kept():
    """Not when it is checked, not when references are filled in, and not by later changes."""
    world = World(created(5), created(6))
    co = world.co
    acme = co.customers.create(company="Acme")
    line = {"item_id": 1, "line_rate": "2.95", "custom_1": {"a": [1]}}
    lines = [line, {"item_id": acme.ref(), "descrip": "x"}]
    before = [dict(entry) for entry in lines]
    deep = copy.deepcopy(line)
    call = co.invoices.create(customer_id=acme.ref(), line_items=lines, tags=["a"])
    assert call.payload["line_items"] is not lines
    assert call.payload["line_items"][0] is not line
    assert call.payload["line_items"][0]["custom_1"] is not line["custom_1"]
    assert lines == before
    assert line == deep

    async def run() -> None:
        await acme
        line["line_rate"] = "1000"
        line["custom_1"]["a"].append(2)  # type: ignore[index]
        lines.clear()
        await call

    asyncio.run(run())
    assert isinstance(call.payload["customer_id"], Ref)  # filled in on a copy
    assert isinstance(call.payload["line_items"][1]["item_id"], Ref)
    assert world.script.body(1) == {
        "customer_id": 5,
        "line_items": [
            {"item_id": 1, "line_rate": "2.95", "custom_1": {"a": [1]}},
            {"item_id": 5, "descrip": "x"},
        ],
        "tags": ["a"],
    }


@pytest.mark.parametrize(
    "lines",
    [
        [{"item_id": 1}],
        ({"item_id": 1},),
        iter([{"item_id": 1}]),
        [MappingProxyType({"item_id": 1})],
    ],
)
def test_lines_may_come_in_any_sequence(lines: Any):
    """Lists, tuples, generators, of mappings of any kind."""
    call = World().co.invoices.create(customer_id=1, line_items=lines)
    call.close()
    assert call.payload["line_items"] == [{"item_id": 1}]


@pytest.mark.parametrize(
    ("entry", "sent"),
    [
        (10088, {"invoice_id": 10088}),
        ("10064", {"invoice_id": 10064}),
        ({"invoice_id": 7, "applied": "1.50"}, {"invoice_id": 7, "applied": "1.50"}),
        ({"invoice_external_key": "10064"}, {"invoice_external_key": "10064"}),
    ],
)
def test_an_invoice_to_pay_may_be_its_id_alone(entry: Any, sent: Any):
    """As the vendor's Ruby client has it; what is sent is the documented form."""
    payload, refs = shape_of(TransactionPay).prepare({"applied_to": [entry]}, "test")
    assert (payload, refs) == ({"applied_to": [sent]}, [])


def test_an_invoice_of_the_same_batch_may_stand_alone():
    """A reference keeps its place, so that a batch can write it."""
    reference = Ref("x")
    payload, refs = shape_of(TransactionPay).prepare({"applied_to": [reference]}, "test")
    assert payload == {"applied_to": [{"invoice_id": reference}]}
    assert refs == [(("applied_to", 0, "invoice_id"), reference)]


@pytest.mark.parametrize("entry", ["a key", "", "-1", "1.0", "٣", True, 1.5, None, [1], -1])
def test_what_is_no_invoice_is_refused(entry: Any):
    """By the name of the field that it stands for."""
    with pytest.raises(UsageError, match=r"applied_to\[0\]"):
        shape_of(TransactionPay).prepare({"applied_to": [entry]}, "test")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "needs one of customer_id"),
        ({"line_items": [{"item_id": 1}]}, "needs one of customer_id"),
        ({"customer_id": None, "line_items": [{"item_id": 1}]}, "needs one of customer_id"),
        ({"customer_id": 1}, "at least one entry in line_items"),
        ({"customer_id": 1, "line_items": []}, "at least one entry in line_items"),
        ({"customer_id": 1, "line_items": None}, "at least one entry in line_items"),
        ({"customer_id": 1, "line_items": {"item_id": 1}}, "must be a list"),
        ({"customer_id": 1, "line_items": "x"}, "must be a list"),
        ({"customer_id": 1, "line_items": [5]}, "must be a mapping"),
        ({"customer_id": 1, "line_items": [None]}, "must be a mapping"),
        ({"customer_id": 1, "line_items": [{"line_rate": 2.95}]}, r"line_items\[0\].line_rate"),
        ({"customer_id": 1, "line_items": [{}, {"item_id": "1"}]}, r"line_items\[1\].item_id"),
    ],
)
def test_an_invoice_needs_a_customer_and_lines(fields: dict[str, Any], words: str):
    """And names the line that is wrong."""
    with pytest.raises(UsageError, match=words):
        World().co.invoices.create(**fields)


def test_a_value_that_holds_itself_is_refused():
    """An error of ours instead of a RecursionError."""
    loop: list[Any] = []
    loop.append(loop)
    co = World().co
    for call in (
        lambda: co.customers.create(custom_1=loop),
        lambda: co.customers.create(company="x", extra={"a": loop}),
        lambda: co.request("POST", "/customer", json=loop),
    ):
        with pytest.raises(UsageError, match="holds itself"):
            call()


def test_a_value_that_cannot_be_shown_is_refused_all_the_same():
    """A repr that fails, or one of a megabyte, does not hide the message."""

    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    co = World().co
    with pytest.raises(UsageError, match="company must be text, not Shy"):
        co.customers.create(company=Shy())
    with pytest.raises(UsageError) as caught:
        co.customers.create(company=[1] * 100_000)
    assert len(str(caught.value)) < 300
    for call in (
        lambda: co.customers.get(10**5000),
        lambda: co.customers.create(terms_id=10**5000),
        lambda: co.items.create(expire_recurs=10**5000),
        lambda: co.customers.create(custom_1=10**5000),
    ):
        with pytest.raises(UsageError):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda co: co.invoices.pay_credit_card(1, number=4111111111111111),
        lambda co: co.invoices.pay_credit_card(1, number=["4111111111111111"]),
        lambda co: co.invoices.pay_ach(1, number="1", routing=[4111111111111111]),
        lambda co: co.users.set_password(1, ["4111111111111111"]),
        lambda co: co.users.create(password=4111111111111111),
        lambda co: co.users.update(1, password=b"4111111111111111"),
    ],
)
def test_a_secret_is_in_no_message(call: Any):
    """Card and bank numbers and passwords are refused without being shown."""
    with pytest.raises(UsageError) as caught:
        call(World().co)
    assert "4111" not in str(caught.value)


def test_a_payload_is_in_no_label_and_no_repr():
    """They may hold card numbers."""
    call = World().co.invoices.pay_credit_card(1, number="4111111111111111", name="Doe")
    call.close()
    assert call.payload == {"number": "4111111111111111", "name": "Doe"}
    assert "4111" not in f"{call!r} {call.label}"


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda one: one.attribute)
def test_every_table_of_every_action_compiles(resource: Any):
    """Each field has a check: a table that no test used was broken once."""
    for table in resource.writes.values():
        shape = shape_of(table)
        assert set(shape.checks) == set(shape.kinds) == set(table.__optional_keys__)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters())
    | st.binary()
    | st.dates()
    | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("table", [CustomerCreate, InvoiceCreate, ItemCreate, UserCreate])
@settings(deadline=None)
@given(data=st.data())
def test_any_value_is_either_refused_or_can_be_sent(table: Any, data: st.DataObject):
    """UsageError, or JSON that says the same; never another exception, never later."""
    shape = shape_of(table)
    name = data.draw(st.sampled_from(sorted(shape.checks)))
    value = data.draw(anything)
    try:
        payload, _ = shape.prepare({name: value}, "t", {"brand_new": value})
    except UsageError:
        return
    sent = json.loads(encode(payload), parse_float=Decimal)
    assert set(sent) == {name, "brand_new"}
    if isinstance(value, (str, int)) or value is None:
        assert sent[name] == sent["brand_new"] == value
