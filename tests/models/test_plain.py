"""A value is written as it is meant, whatever it is a kind of; else an error names its field."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted import World, created

from chargeover_async import ChargeOver, ExternalKey, F, Operation, Token, UsageError
from chargeover_async.models import CustomerCreate, InvoiceCreate, ItemCreate
from chargeover_async.models._json.checks import check_json
from chargeover_async.models._json.plain import plain, whole
from chargeover_async.models._json.read import encode
from chargeover_async.models._json.shape import shape_of
from chargeover_async.models._json.words import convert

np = pytest.importorskip("numpy")


class Own(str, enum.Enum):  # noqa: UP042 - a StrEnum writes itself as its value
    """As people have their own constants; it writes itself as ``Own.CITY``."""

    CITY = "Berlin"
    KEY = "acme-1"
    RATE = "2.95"
    ZERO = "0"
    DAY = "2026-01-31"
    FIELD = "company"


class Loud(str):
    """A text that shows itself as another."""

    __slots__ = ()

    def __str__(self) -> str:
        return "!!!"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return "!!!"


class Loose(int):
    def __str__(self) -> str:
        return "!!!"

    def __int__(self) -> int:
        return -1


class Rounded(Decimal):
    def __str__(self) -> str:
        return "!!!"

    def __format__(self, *_: Any) -> str:
        return "!!!"


class Day(dt.date):
    def isoformat(self) -> str:
        return "!!!"


class Moment(dt.datetime):
    def isoformat(self, *_: Any, **__: Any) -> str:
        return "!!!"


class NaT(dt.datetime):
    """As pandas has it: a datetime whose every part is NaN."""

    year = month = day = hour = minute = second = microsecond = float("nan")  # type: ignore[assignment]

    def isoformat(self, *_: Any, **__: Any) -> str:
        return "NaT"


class NA:
    """As pandas has it: it is not even known whether it equals something."""

    def __eq__(self, other: object) -> Any:
        return self

    __ne__ = __eq__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


NOT_A_TIME = NaT(2026, 1, 1)
FIELDS: dict[str, tuple[Any, str]] = {
    "text": (CustomerCreate, "company"),
    "key": (CustomerCreate, "external_key"),
    "flag": (CustomerCreate, "no_taxes"),
    "integer": (ItemCreate, "expire_recurs"),
    "id": (CustomerCreate, "terms_id"),
    "money": (InvoiceCreate, "line_items.line_rate"),
    "day": (InvoiceCreate, "date"),
    "mixed": (CustomerCreate, "custom_1"),
}


def write(kind: str, value: Any) -> Any:
    """The JSON of the field, read back."""
    table, name = FIELDS[kind]
    outer, _, inner = name.partition(".")
    fields = {outer: [{inner: value}] if inner else value}
    payload, _ = shape_of(table).prepare(fields, "test")
    held = json.loads(encode(payload), parse_float=Decimal)[outer]
    return held[0][inner] if inner else held


# Each kind of foreign value, made of a plain one, with the kinds of field that take the plain one.
MADE: list[tuple[Callable[[Any], Any], st.SearchStrategy[Any], tuple[str, ...]]] = [
    (Loud, st.text("abcß日 ", min_size=1).map(lambda text: f"x{text}"), ("text", "key", "mixed")),
    (np.str_, st.text("abcß日", min_size=1), ("text", "key", "mixed")),
    (Loose, st.integers(0, 2**63 - 1), ("integer", "id", "money", "mixed")),
    (np.int64, st.integers(0, 2**63 - 1), ("integer", "id", "money", "mixed")),
    (np.uint8, st.integers(0, 255), ("integer", "id", "money", "mixed")),
    (np.bool_, st.booleans(), ("flag", "mixed")),
    (Rounded, st.decimals(-(10**9), 10**9, places=2), ("money", "mixed")),
    (lambda day: Day(day.year, day.month, day.day), st.dates(), ("day", "mixed")),
    (np.datetime64, st.dates(), ("day", "mixed")),
]


@pytest.mark.parametrize(
    "made", range(len(MADE)), ids=lambda i: getattr(MADE[i][0], "__name__", "")
)
@given(data=st.data())
def test_a_kind_of_a_value_is_written_as_the_value(made: int, data: st.DataObject):
    """In every kind of field that takes the plain one, and in what is sent as JSON."""
    make, values, kinds = MADE[made]
    value = data.draw(values)
    assert plain(make(value)) == value
    assert type(plain(make(value))) is type(value)
    for kind in kinds:
        assert write(kind, make(value)) == write(kind, value), kind
    assert check_json({"a": [make(value)]}) == check_json({"a": [value]})
    assert (F.total == make(value)).text == (F.total == value).text


@given(st.datetimes().map(lambda moment: moment.replace(microsecond=0)))
def test_a_kind_of_a_moment_is_that_moment(moment: dt.datetime):
    """A subclass, and numpy's in every unit it has."""
    own = Moment(*moment.timetuple()[:6])
    assert check_json(own) == check_json(moment)
    for unit in ("s", "ms", "us"):
        assert check_json(np.datetime64(moment, unit)) == check_json(moment)
    if 1700 < moment.year < 2200:
        assert check_json(np.datetime64(moment, "ns")) == check_json(moment)


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_one_however_a_table_holds_it(number: int):
    """As a decimal of any scale, or as a double, in a call and in an import."""
    for form in (Decimal(number), Decimal(number).scaleb(0), float(number), np.float64(number)):
        assert whole(form) == number
        assert write("integer", form) == number
        assert convert("integer", form) == number
        assert type(convert("integer", form)) is int
    assert whole(Decimal(f"{number}.00")) == number
    for kind in ("id", "integer"):
        assert convert(kind, Decimal(f"{number}.000")) == number


@pytest.mark.parametrize(
    "value",
    [1.5, Decimal("1.5"), float("inf"), Decimal("NaN"), Decimal("1e5000"), 1e300, True, "7"],
)
def test_what_is_no_whole_number_is_none(value: Any):
    """Nor is what a float cannot hold exactly."""
    assert whole(value) is None


NOTHING = [
    float("nan"),
    np.float64("nan"),
    np.float32("nan"),
    np.datetime64("NaT"),
    np.datetime64("NaT", "D"),
    np.timedelta64(1, "D"),
    np.complex128(1),
    NOT_A_TIME,
    NA(),
    Decimal("NaN"),
]


@pytest.mark.parametrize("value", NOTHING, ids=lambda value: f"{type(value).__name__} {value!s:.5}")
@pytest.mark.parametrize("kind", FIELDS)
def test_what_is_no_value_is_refused_by_name(kind: str, value: Any):
    """It is not sent as null, as text or as 0: what was meant is not known."""
    name = FIELDS[kind][1].rpartition(".")[2]
    with pytest.raises(UsageError, match=name):
        write(kind, value)
    with pytest.raises(UsageError, match=r"json\.a"):
        check_json({"a": value})
    with pytest.raises(UsageError, match="total"):
        _ = F.total > value
    if kind != "mixed":
        with pytest.raises(ValueError, match="is not"):
            convert(kind, value)


def queried(operation: Operation[Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    found = (operation.path, operation.query)
    operation.close()
    return found


CALLS: dict[str, tuple[Callable[[ChargeOver, Any], Operation[Any]], str]] = {
    "get by key": (lambda co, text: co.customers.get(external_key=text), "acme-1"),
    "get by token": (lambda co, text: co.customers.get(token=text), "acme-1"),
    "target by key": (lambda co, text: co.customers.delete(ExternalKey(text)), "acme-1"),
    "target by token": (lambda co, text: co.customers.delete(Token(text)), "acme-1"),
    "where": (lambda co, text: co.customers.list(where=[F.external_key == text]), "acme-1"),
    "contains": (lambda co, text: co.customers.count(where=F.company.contains(text)), "acme-1"),
    "a field": (lambda co, text: co.customers.list(where=F[text] == 1), "company"),
    "order": (lambda co, text: co.customers.list(order=text), "company"),
    "several orders": (lambda co, text: co.customers.list(order=[text]), "company"),
    "expand": (lambda co, text: co.subscriptions.list(expand=text), "company"),
    "several to expand": (lambda co, text: co.subscriptions.get(1, expand=[text]), "company"),
    "a template": (lambda co, text: co.customers.email(1, action=text), "company"),
    "a query": (lambda co, text: co.request("GET", "/x", query={text: text}), "company"),
    "a flag": (lambda co, text: co.with_options(flags={text: 1}).customers.get(1), "company"),
    "on behalf": (lambda co, text: co.with_options(on_behalf_addr=text).customers.get(1), "x"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "make", [Loud, np.str_, lambda text: enum.Enum("E", {"A": text}, type=str).A]
)  # type: ignore[attr-defined]
def test_a_text_in_a_call_is_what_it_holds(call: str, make: Callable[[str], Any]):
    """Wherever a call takes text: a key, a filter, an order, an option."""
    co = World().co
    ask, text = CALLS[call]
    assert queried(ask(co, make(text))) == queried(ask(co, text))


def test_a_member_of_an_enum_is_its_value():
    """In each kind of field, as the name of a field, in a nested object and in extra."""
    for kind, member in {
        "text": Own.CITY,
        "key": Own.KEY,
        "money": Own.RATE,
        "day": Own.DAY,
    }.items():
        assert write(kind, member) == member.value
    assert write("mixed", {Own.FIELD: [Own.CITY]}) == {"company": ["Berlin"]}
    co = World().co
    made = co.customers.create(**{Own.FIELD: Own.CITY}, extra={Own.DAY: Own.CITY})
    assert json.loads(encode(made.payload)) == {"company": "Berlin", "2026-01-31": "Berlin"}
    assert type(made.payload["company"]) is str
    made.close()
    with pytest.raises(UsageError, match="more than 0"):
        co.transactions.refund(1, amount=Own.ZERO)


async def test_what_is_needed_is_looked_for_without_asking_a_value_what_it_equals():
    """A value that has no answer to ``==`` is refused by its field, not by a traceback."""
    world = World(created(7))
    with pytest.raises(UsageError, match="customer_id must be"):
        world.co.invoices.create(customer_id=NA(), line_items=[{"item_id": 1}])  # type: ignore[typeddict-item]
    assert (
        await world.co.invoices.create(customer_id=np.int64(5), line_items=[{"item_id": 1}])
    ).id == 7
    assert world.sent == ["POST /invoice"]
