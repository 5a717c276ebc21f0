"""Reading leniently and without loss, and errors that name the place."""

# ruff: noqa: DTZ001 - the API's datetimes are naive
from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, ForwardRef, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.scripted import World, envelope

from chargeover_async import (
    Created,
    Customer,
    DateFormat,
    DecodeError,
    Invoice,
    Item,
    LineItem,
    Record,
    Revision,
    UsageError,
    User,
)
from chargeover_async import models as all_models
from chargeover_async.models._json.base import Record as Base
from chargeover_async.models._json.read import read, read_many, read_untyped, untyped

STRUCTS = [
    kind
    for name in all_models.__all__
    if isinstance(kind := getattr(all_models, name), type)
    and issubclass(kind, Base)
    and kind is not Base
]


def raw(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


# -- lenient ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("customer_id", '"44"', 44),
        ("customer_id", "44.0", 44),
        ("customer_id", '""', None),
        ("customer_id", "null", None),
        ("total", "2.950", Decimal("2.950")),
        ("total", '"2.950000"', Decimal("2.950000")),
        ("total", "0.1", Decimal("0.1")),
        ("total", "123456789012345678.123456789", Decimal("123456789012345678.123456789")),
        ("total", "100", Decimal(100)),
        ("total", '""', None),
        ("is_paid", "true", True),
        ("is_paid", "1", True),
        ("is_paid", '"1"', True),
        ("is_paid", '"0"', False),
        ("is_paid", "0", False),
        ("is_paid", '""', None),
        ("memo", '""', ""),
        ("memo", '"null"', "null"),
        ("memo", '"NULL"', "NULL"),
        ("memo", "5", "5"),
        ("memo", "5.10", "5.10"),
        ("memo", "true", "true"),
        ("refnumber", "10000", "10000"),
        ("date", '"2015-03-30"', dt.date(2015, 3, 30)),
        ("date", '"2015-03-30 00:00:00"', dt.date(2015, 3, 30)),
        ("date", '""', None),
        ("write_datetime", '"2015-03-30 17:41:19"', dt.datetime(2015, 3, 30, 17, 41, 19)),
        ("write_datetime", '"2015-03-30T17:41:19"', dt.datetime(2015, 3, 30, 17, 41, 19)),
        ("write_datetime", '"2015-03-30"', dt.datetime(2015, 3, 30)),
        ("write_datetime", '"2015-03-30 17:41"', dt.datetime(2015, 3, 30, 17, 41)),
        ("write_datetime", '""', None),
        ("line_items", "null", None),
        ("line_items", "[]", []),
        ("line_items", '""', None),
        ("line_items", '[{"line_item_id":"5"}]', [LineItem(line_item_id=5)]),
        (
            "line_items",
            '{"0":{"line_item_id":5},"2":{"item_id":""}}',
            [LineItem(line_item_id=5), LineItem()],
        ),
        ("custom_1", "1.10", Decimal("1.10")),
        ("custom_1", '{"a":[1.10]}', {"a": [Decimal("1.10")]}),
        ("custom_1", '""', ""),
        ("custom_1", '"0"', "0"),
        ("custom_1", "[]", []),
    ],
)
def test_a_field_is_read_in_every_form_the_api_writes(field: str, text: str, value: Any):
    """Alone, in a list, and beside a field that only the patient way can read."""
    plain = f'{{"invoice_id":7,"{field}":{text}}}'.encode()
    hard = f'{{"invoice_id":7,"{field}":{text},"terms_days":""}}'.encode()
    for found in (
        read(plain, Invoice),
        read(hard, Invoice),
        read(plain, Invoice, DateFormat()),
        *read_many(b"[" + plain + b"," + hard + b"]", Invoice),
    ):
        held = getattr(found, field)
        assert held == value
        assert type(held) is type(value)
        assert str(held) == str(value)
        assert found.invoice_id == 7


def test_an_aware_moment_keeps_its_offset():
    """2026 data has one, 2015 data has none."""
    for text in ("2026-10-05T10:11:57-05:00", "2026-10-05 10:11:57-05:00"):
        found = read(raw(customer_id=1, mod_datetime=text, terms_days=""), Customer)
        assert found.mod_datetime is not None
        assert found.mod_datetime.isoformat() == "2026-10-05T10:11:57-05:00"
    for text in ("2026-10-05T10:11:57Z", "2026-10-05T10:11:57+00:00"):
        for more in ({}, {"terms_days": ""}):
            found = read(raw(customer_id=1, mod_datetime=text, **more), Customer)
            assert found.mod_datetime == dt.datetime(2026, 10, 5, 10, 11, 57, tzinfo=dt.UTC)


def test_what_we_do_not_know_is_ignored():
    """A newer API, at every depth."""
    found = read(
        raw(invoice_id=1, brand_new={"a": 1}, line_items=[{"line_item_id": 2, "x": []}]), Invoice
    )
    assert found == Invoice(invoice_id=1, line_items=[LineItem(line_item_id=2)])


def test_an_empty_object_comes_as_an_empty_list():
    """As PHP writes it; text is never read so."""
    assert read(raw(item_id=1, service_data=[]), Item).service_data is None
    with pytest.raises(DecodeError, match="name"):
        read(raw(item_id=1, name=[]), Item)


# -- numbers where a datetime is documented --------------------------------------------------


@pytest.mark.parametrize("text", ['"0"', "0", "0.0", '""', '"0000-00-00"', '"0000-00-00 00:00:00"'])
@pytest.mark.parametrize("field", ["write_datetime", "date"])
def test_a_zero_is_no_moment_not_1970(field: str, text: str):
    """What MySQL and PHP make of an empty datetime."""
    found = read(f'{{"invoice_id":7,"{field}":{text}}}'.encode(), Invoice)
    assert getattr(found, field) is None
    page = read_many(f'[{{"invoice_id":7,"{field}":{text}}}]'.encode(), Invoice)
    assert getattr(page[0], field) is None


@pytest.mark.parametrize(
    "text",
    [
        "1427737279",
        '"1427737279"',
        "1427737279.5",
        '"1.5"',
        "-5",
        '"-5"',
        "1e3",
        '"20150330"',
        "true",
    ],
)
def test_a_number_is_never_reported_as_a_moment(text: str):
    """msgspec takes it for Unix seconds; nobody wrote that."""
    for document in (
        f'{{"customer_id":7,"write_datetime":{text}}}',
        f'{{"customer_id":7,"write_datetime" : {text} , "company":"x"}}',
    ):
        for found in (
            lambda: read(document.encode(), Customer),  # noqa: B023
            lambda: read_many(f"[{document}]".encode(), Customer),  # noqa: B023
            lambda: read(document.encode(), Customer, DateFormat()),  # noqa: B023
        ):
            with pytest.raises(DecodeError, match="write_datetime") as caught:
                found()
            assert caught.value.field == "write_datetime"
            assert caught.value.id == 7


def test_a_number_for_a_moment_is_found_in_nested_records():
    """An item's tiersets have datetimes of their own."""
    document = b'{"item_id":1,"tiersets":[{"tierset_id":1,"write_datetime":1427737279}]}'
    with pytest.raises(DecodeError, match=r"tiersets\[0\].write_datetime"):
        read(document, Item)


def test_a_number_for_a_moment_is_found_under_another_name():
    """In a subclass whose custom field is a datetime."""

    class Mine(Customer):
        since: dt.datetime | None = msgspec.field(name="custom_1", default=None)

    assert read(raw(customer_id=1, custom_1="2015-03-30 10:00:00"), Mine).since is not None
    with pytest.raises(DecodeError, match="custom_1"):
        read(raw(customer_id=1, custom_1=1427737279), Mine)


# -- an account's own dates ------------------------------------------------------------------


def test_an_account_may_write_dates_its_own_way():
    """With `DateFormat`; ISO is understood all the same."""
    dates = DateFormat(date="%d.%m.%Y", datetime="%d.%m.%Y %H:%M")
    found = read(
        raw(
            invoice_id=1,
            date="30.03.2015",
            due_date="2015-04-29",
            write_datetime="30.03.2015 17:41",
        ),
        Invoice,
        dates,
    )
    assert found.date == dt.date(2015, 3, 30)
    assert found.due_date == dt.date(2015, 4, 29)
    assert found.write_datetime == dt.datetime(2015, 3, 30, 17, 41)
    with pytest.raises(DecodeError, match="date"):
        read(raw(invoice_id=1, date="30.03.2015"), Invoice)
    with pytest.raises(DecodeError, match="date"):
        read(raw(invoice_id=1, date="03/30/2015"), Invoice, dates)


async def test_a_client_reads_with_its_accounts_dates():
    """``dates=`` of the client reaches get, list, and every page."""
    world = World(
        envelope(200, {"invoice_id": 1, "date": "30.03.2015"}),
        envelope(200, [{"invoice_id": 1, "date": "30.03.2015"}]),
        dates=DateFormat(date="%d.%m.%Y"),
    )
    assert (await world.co.invoices.get(1)).date == dt.date(2015, 3, 30)
    assert (await world.co.invoices.list())[0].date == dt.date(2015, 3, 30)


# -- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind", "field"),
    [
        ({"customer_id": 7, "total": "many"}, Customer, "total"),
        ({"customer_id": 7, "no_taxes": "maybe"}, Customer, "no_taxes"),
        ({"customer_id": 7, "write_datetime": "yesterday"}, Customer, "write_datetime"),
        ({"customer_id": 7, "company": {"a": 1}}, Customer, "company"),
        ({"customer_id": 7, "tags": [1, {}]}, Customer, "tags[1]"),
        ({"customer_id": 7, "tags": 5}, Customer, "tags"),
        ({"invoice_id": 7, "date": "2015-03-30 10:00:00"}, Invoice, "date"),
        ({"invoice_id": 7, "date": "2015-02-30"}, Invoice, "date"),
        (
            {"invoice_id": 7, "line_items": [{}, {"line_rate": "x"}]},
            Invoice,
            "line_items[1].line_rate",
        ),
        ({"invoice_id": 7, "line_items": 5}, Invoice, "line_items"),
        ({"item_id": 7, "service_data": "x"}, Item, "service_data"),
        ({"user_id": 7, "customers": [{"customer_id": "x"}]}, User, "customers[0].customer_id"),
    ],
)
def test_a_decode_error_names_object_id_and_field(fields: Any, kind: Any, field: str):
    """And carries the raw JSON of the record."""
    document = raw(**fields)
    with pytest.raises(DecodeError) as caught:
        read(document, kind)
    error = caught.value
    assert (error.object, error.id, error.field, error.raw) == (kind.__name__, 7, field, document)
    assert str(error).startswith(f"{kind.__name__} 7: ")
    other = raw(**{f"{kind.__name__.lower()}_id": 1})
    with pytest.raises(DecodeError) as caught:
        read_many(b"[" + other + b"," + document + b"]", kind)
    assert (caught.value.id, caught.value.field, caught.value.raw) == (7, field, document)


@pytest.mark.parametrize(
    "document", [b"", b"{", b"nope", b"\xff", b'{"company":"\xff"}', b"[" * 100_000]
)
def test_what_is_no_json_is_a_decode_error(document: bytes):
    """Of ours, with the raw bytes, whichever reader met it."""
    for reader in (
        lambda: read(document, Customer),
        lambda: read_many(document, Customer),
        lambda: read_untyped(document),
        lambda: (
            read(document, msgspec.Raw)
            if document not in (b"\xff", b'{"company":"\xff"}')
            else read_untyped(document)
        ),
    ):
        with pytest.raises(DecodeError) as caught:
            reader()
        assert caught.value.raw == document
    with pytest.raises(msgspec.DecodeError):
        untyped(document)


@pytest.mark.parametrize("document", [b"null", b"true", b"[]", b"5", b'"x"', b"{}"])
def test_a_record_that_is_none_is_a_decode_error(document: bytes):
    """A customer without its id is no customer."""
    with pytest.raises(DecodeError, match="Customer"):
        read(document, Customer)
    with pytest.raises(DecodeError):
        read(document, Created)


@pytest.mark.parametrize("document", [b"null", b"true", b"5", b'"x"', b"[5]", b"[null]", b"[[]]"])
def test_a_page_that_is_none_is_a_decode_error(document: bytes):
    """An empty page is a list, and only a list is a page."""
    with pytest.raises(DecodeError):
        read_many(document, Customer)
    assert list(read_many(b"[]", Customer)) == []


def test_a_number_of_absurd_size_is_a_decode_error_at_once():
    """No integer of a billion digits is computed."""
    with pytest.raises(DecodeError):
        read(b'{"customer_id":1e999999999}', Customer)
    with pytest.raises(DecodeError):
        read(b'{"customer_id":1,"terms_id":1e999999}', Customer)


@pytest.mark.parametrize("wrong", [5, "Customer", lambda: None, ForwardRef("Nowhere")])
def test_a_type_that_json_cannot_be_is_refused_before_it_is_sent(wrong: Any):
    """``as_=`` is checked when the call is built."""
    co = World().co
    for call in (
        lambda: co.customers.get(1, as_=wrong),
        lambda: co.customers.list(as_=wrong),
        lambda: co.customers.iterate(as_=wrong),
        lambda: co.request("GET", "/customer", as_=wrong),
    ):
        with pytest.raises(UsageError, match="as_="):
            call()


# -- your names for custom fields ------------------------------------------------------------


class MyCustomer(Customer):
    tier: str | None = msgspec.field(name="custom_1", default=None)
    score: Decimal | None = msgspec.field(name="custom_2", default=None)


class MyTopCustomer(MyCustomer, frozen=True):
    city: str | None = msgspec.field(name="bill_city", default=None)


async def test_custom_fields_may_have_your_names():
    """In get, list and iterate; the inherited name stays empty, the others are untouched."""
    record = {
        "customer_id": 1,
        "custom_1": "gold",
        "custom_2": "1.50",
        "custom_3": "x",
        "bill_city": "Rom",
    }
    world = World(*[envelope(200, found) for found in (record, [record], [record], [])])
    found = await world.co.customers.get(1, as_=MyCustomer)
    assert (found.tier, found.score, found.custom_3) == ("gold", Decimal("1.50"), "x")
    assert (found.custom_1, found.custom_2) == (None, None)
    assert (await world.co.customers.list(as_=MyCustomer))[0] == found
    async for top in world.co.customers.iterate(as_=MyTopCustomer):
        assert (top.tier, top.city, top.bill_city) == ("gold", "Rom", None)
        with pytest.raises(AttributeError):
            top.city = "Bonn"  # type: ignore[misc]


def test_a_subclass_is_read_patiently_too():
    """The renamed field is mended like any other, and named in errors."""
    found = read(raw(customer_id=1, custom_2="", terms_days=""), MyCustomer)
    assert found.score is None
    with pytest.raises(DecodeError, match="custom_2") as caught:
        read(raw(customer_id=7, custom_2="much"), MyCustomer)
    assert (caught.value.object, caught.value.id) == ("MyCustomer", 7)


def test_a_record_is_frozen_and_equal_by_value():
    """So it can be kept and compared."""
    one = read(raw(customer_id=1, company="x"), Customer)
    assert one == Customer(customer_id=1, company="x")
    with pytest.raises(AttributeError):
        one.company = "y"  # type: ignore[misc]


# -- every struct, any content ---------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str)
    | st.sampled_from(
        ["", "0", "1", "null", "NaN", "inf", "-", "2015-03-30", "2015-03-30 10:00:00"]
    )
    | st.sampled_from(
        ["2015-03-30T10:00:00-05:00", "0000-00-00", "9999-12-31 23:59:60", "1e5", "٣"]
    )
    | st.datetimes().map(str)
    | st.text(max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_record_is_read_or_is_a_decode_error(kind: type[Record], data: st.DataObject):
    """Numbers as strings, nulls, empty strings, lists for objects, extra keys: nothing else."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    document = data.draw(st.dictionaries(st.sampled_from([*names, "extra"]), values, max_size=6))
    encoded = json.dumps(document).encode()
    for reader in (
        lambda: [read(encoded, kind)],
        lambda: read_many(b"[" + encoded + b"]", kind),
        lambda: [read(encoded, kind, DateFormat(date="%d/%m/%Y"))],
    ):
        try:
            found = reader()
        except DecodeError:
            continue
        for name, value in msgspec.structs.asdict(found[0]).items():
            # Never a moment that nobody wrote.
            if isinstance(value, dt.datetime):
                assert str(value.year).zfill(4) in str(document[name])


def documented(hint: Any) -> st.SearchStrategy[tuple[Any, Any]]:
    """What an answer may hold for a field of this type, and what is read from it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (inner,) = [argument for argument in arguments if argument is not NoneType]
        absent = [(None, None), *([] if inner is str else [("", None)])]
        return st.sampled_from(absent) | documented(inner)
    if origin is list:
        return st.lists(documented(arguments[0]), max_size=2).map(
            lambda pairs: ([answer for answer, _ in pairs], [wanted for _, wanted in pairs])
        )
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return records_of(hint)
    return SCALARS[hint]


def either(*forms: Any) -> Any:
    return lambda value: st.sampled_from([(form(value), value) for form in forms])


SCALARS: dict[Any, st.SearchStrategy[tuple[Any, Any]]] = {
    str: st.text(max_size=5).map(lambda text: (text, text))
    | st.integers().map(lambda number: (number, str(number))),
    bool: st.booleans().flatmap(either(bool, int, lambda flag: str(int(flag)))),
    int: st.integers(0, 2**53).flatmap(either(int, str)),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=4).flatmap(
        lambda value: st.sampled_from([(str(value), value), (Exact(str(value)), value)])
    ),
    dt.date: st.dates(dt.date(1900, 1, 1)).flatmap(either(str, lambda day: f"{day} 00:00:00")),
    dt.datetime: st.datetimes(dt.datetime(1900, 1, 1)).flatmap(either(str, dt.datetime.isoformat)),
    Any: st.sampled_from([(value, value) for value in (None, "", "x", 5, [1], {"a": "b"}, True)]),
}


class Exact(str):
    """A number as it stands in the JSON."""

    __slots__ = ()


def records_of(kind: type[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    """A record with some of its documented fields and others, and the struct that it is."""
    hints = get_type_hints(kind)
    fields = msgspec.structs.fields(kind)

    def made(drawn: dict[str, Any]) -> tuple[Any, Any]:
        extra = {"brand_new": [1, {"a": None}]}
        document = {f.encode_name: drawn[f.name][0] for f in fields if f.name in drawn}
        return document | extra, kind(**{name: value for name, (_, value) in drawn.items()})

    required = {f.name: required_id() for f in fields if f.required}
    optional = {f.name: documented(hints[f.name]) for f in fields if not f.required}
    return st.fixed_dictionaries(required, optional=optional).map(made)


def required_id() -> st.SearchStrategy[tuple[Any, Any]]:
    return st.integers(1, 2**53).flatmap(either(int, str))


def written(document: Any) -> str:
    if isinstance(document, Exact):
        return str(document)
    if isinstance(document, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in document.items()) + "}"
    if isinstance(document, list):
        return "[" + ",".join(map(written, document)) + "]"
    return json.dumps(document)


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_record_of_documented_fields_is_read_in_every_form(
    kind: type[Record], data: st.DataObject
):
    """Numbers and flags in strings, nulls, empty strings, extra keys: nothing is lost."""
    document, expected = data.draw(records_of(kind))
    encoded = written(document).encode()
    assert read(encoded, kind) == expected
    assert read_many(b"[" + encoded + b"," + encoded + b"]", kind) == [expected, expected]


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_only_the_id_of_a_record_is_required(kind: type[Record]):
    """So that an older or newer version of the API still decodes."""
    required = [f.name for f in msgspec.structs.fields(kind) if f.required]
    assert len(required) <= 1
    assert all(name == "id" or name.endswith("_id") for name in required)
    assert kind.__struct_config__.frozen
    for field in msgspec.structs.fields(kind):
        if not field.required:
            assert field.default is None
            assert type(None) in get_args(field.type) or field.type is Any


def test_a_revision_is_read():
    """Source: api/behaviour.md section 5."""
    found = read(
        raw(context_str="customer", context_id=100, revision_datetime="2023-03-03 10:36:22"),
        Revision,
    )
    assert found.revision_datetime == dt.datetime(2023, 3, 3, 10, 36, 22)


@pytest.mark.parametrize("pattern", ["dd.mm.yyyy", "", "%d.%m.", "%H:%M", "%Q", "%", 5, None])
def test_a_pattern_that_tells_no_day_is_refused(pattern: Any):
    """Text without a directive matches itself, and would read no date at all."""
    for kind in ("date", "datetime"):
        with pytest.raises(UsageError, match="is no pattern of dates"):
            DateFormat(**{kind: pattern})


@pytest.mark.parametrize("dates", [None, DateFormat()], ids=["at once", "patiently"])
@pytest.mark.parametrize("flag", ["2", "-1", "10", '"2"', "0.5", '"x"', "[1]", "{}"])
def test_a_flag_is_nothing_but_0_and_1(flag: str, dates: DateFormat | None):
    """A 2 is no yes: what it means is not known, and the record says so."""
    with pytest.raises(DecodeError, match="no_taxes"):
        read(b'{"customer_id":1,"no_taxes":%s}' % flag.encode(), Customer, dates)


@pytest.mark.parametrize("dates", [None, DateFormat()], ids=["at once", "patiently"])
@pytest.mark.parametrize(
    ("flag", "wanted"),
    [("0", False), ("1", True), ('"0"', False), ('"1"', True), ("true", True), ('""', None)],
)
def test_a_flag_is_read_in_all_its_forms(flag: str, wanted: bool | None, dates: DateFormat | None):
    """As PHP and MySQL write one."""
    raw = b'{"customer_id":1,"no_taxes":%s}' % flag.encode()
    assert read(raw, Customer, dates).no_taxes is wanted


@pytest.mark.parametrize("dates", [None, DateFormat()], ids=["at once", "patiently"])
@pytest.mark.parametrize("number", ["123456789.0", "1.5e3", '"1500"'])
def test_a_whole_number_is_read_in_all_its_forms(number: str, dates: DateFormat | None):
    """With a fraction of zeros, with an exponent, as text."""
    raw = b'{"customer_id":1,"terms_id":%s}' % number.encode()
    assert read(raw, Customer, dates).terms_id == Decimal(number.strip('"'))


@pytest.mark.parametrize("number", ["1.5", "1e30", "1e5000", '"1.5"'])
def test_what_is_no_whole_number_is_no_id(number: str):
    """Nor what no database holds."""
    with pytest.raises(DecodeError, match="terms_id"):
        read(b'{"customer_id":1,"terms_id":%s}' % number.encode(), Customer)
