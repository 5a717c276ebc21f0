"""What a field takes, and what the seed of a record may leave out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec
import pytest

from chargeover_async.models import Customer, Invoice, Item
from chargeover_async.sandbox.protocol.answers import Refused, amount
from chargeover_async.sandbox.protocol.values import (
    date,
    flag,
    integer,
    kinds_of,
    mixed,
    moment,
    number,
    text,
    texts,
)
from chargeover_async.sandbox.protocol.where import as_text, sort_key


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("take", "sent", "taken"),
    [
        (integer, 5, 5),
        (integer, "-5", -5),
        (integer, Decimal("44.0"), 44),
        (number, 5, Decimal(5)),
        (number, "2.50", Decimal("2.5")),
        (number, ".5", Decimal("0.5")),
        (number, "1e3", Decimal(1000)),
        (number, "-0", Decimal(0)),
        (flag, True, True),
        (flag, 0, False),
        (flag, "1", True),
        (flag, "FALSE", False),
        (text, "a", "a"),
        (text, 5, "5"),
        (text, Decimal("5.10"), "5.10"),
        (texts, ["a", 1], ["a", "1"]),
        (mixed, nested(31), nested(31)),
        (mixed, None, None),
        (date, "2026-03-01T23:00:00-0500", "2026-03-02"),
        (moment, "2026-03-01", "2026-03-01 00:00:00"),
        (moment, "2026-03-01T10:00:00", "2026-03-01 10:00:00"),
    ],
)
def test_sound_value_is_taken(take, sent, taken):
    """Each documented spelling of a value comes to the same."""
    assert take(sent) == taken
    assert type(take(sent)) is type(taken)


@pytest.mark.parametrize(
    ("take", "sent"),
    [
        (integer, True),
        (integer, "5x"),
        (integer, "\u0661"),
        (integer, Decimal("1.5")),
        (integer, Decimal("1e30")),
        (integer, None),
        (number, "NaN"),
        (number, "1_000"),
        (number, Decimal("Infinity")),
        (number, Decimal("1e12")),
        (number, Decimal("1e-13")),
        (number, 2**63),
        (number, False),
        (flag, 2),
        (flag, "yes"),
        (flag, None),
        (flag, []),
        (text, None),
        (text, True),
        (text, 2**63),
        (text, {}),
        (texts, "a"),
        (texts, [[]]),
        (mixed, nested(33)),
        (mixed, nested(34)),
        (mixed, [2**63]),
        (date, 20260301),
        (moment, "2026-3-1"),
        (moment, "2026-03-01 25:00:00"),
        (moment, "0001-01-01T00:00:00+23:59"),
        (moment, "2026-03-01T10:00:00+99:00"),
    ],
)
def test_unsound_value_is_refused(take, sent):
    """What cannot be right is a 400."""
    with pytest.raises(Refused):
        take(sent)


def test_kinds_come_from_the_models():
    """A field of a model is known by its type, whatever it is called."""

    class Grown(Customer, kw_only=True):
        weight: Decimal | None = None
        born: dt.date | None = None
        either: int | str | None = None

    kinds = kinds_of(Grown)
    assert (kinds["weight"], kinds["born"], kinds["either"]) == ("number", "date", "mixed")
    assert (kinds["customer_id"], kinds["tags"], kinds["custom_7"]) == ("integer", "texts", "mixed")
    assert (kinds_of(Invoice)["line_items"], kinds_of(Item)["service_data"]) == ("nested", "nested")
    assert set(kinds) == {field.name for field in msgspec.structs.fields(Grown)}


@pytest.mark.parametrize(
    ("value", "written"),
    [("4500.00", "4500"), ("100.990", "100.99"), ("0.00", "0"), ("-0.5", "-0.5")],
)
def test_amounts_are_written_as_recorded(value, written):
    """Whole amounts have no point, others no zeros at the end."""
    assert str(amount(Decimal(value))) == written


def test_values_of_all_kinds_can_be_sorted_together():
    """Null first, then numbers, then text."""
    values = ["b", None, True, Decimal("0.5"), "a", 7]
    assert sorted(values, key=sort_key) == [None, Decimal("0.5"), True, 7, "a", "b"]
    assert (as_text(True), as_text(5)) == ("1", "5")


def test_seed_makes_up_what_is_left_out(account):
    """The shortest seeds of all objects are whole records."""
    store = account.store
    for name, record in (
        ("customer", {"customer_status_str": "inactive-manual", "superuser_id": 7}),
        ("user", {"name": "Jo Miller", "customers": [{"customer_id": "1", "company": "A"}]}),
        ("user", {"first_name": "Ann", "last_name": "Lee"}),
        ("item", {"name": "x"}),
        ("item", {"tiersets": [{"tierset_id": 9, "base": 2.5}]}),
        ("invoice", {"customer_id": 1, "line_items": [{"item_id": 1, "line_rate": 2.5}]}),
        (
            "invoice",
            {"customer_id": 1, "date": dt.date(2026, 1, 1), "due_date": dt.date(2026, 2, 2)},
        ),
    ):
        store.seed(name, record)
    assert store.find("customer", 1)["customer_status_state"] == "i"
    assert [user["user_id"] for user in store.records("user")] == [7, 8, 9]
    assert store.find("user", 9)["name"] == "Ann Lee"
    assert store.find("item", 2)["tierset_id"] == 9
    assert account.item() == 3
    assert store.find("item", 3)["tierset_id"] == 10
    first, second = store.records("invoice")
    assert (first["total"], first["due_date"]) == (Decimal("2.5"), "2026-03-31")
    assert (second["date"], second["days_overdue"]) == ("2026-01-01", 0)
    assert first["line_items"][0]["line_item_id"] == 1


def test_seeded_line_has_its_amount(account):
    """A line with rate and quantity makes the total when none is given."""
    lines = [{"item_id": 1, "line_rate": 2.95, "line_quantity": 2, "line_item_id": 2561}]
    account.store.seed("invoice", {"invoice_id": 10016, "line_items": lines})
    record = account.ok("GET", "/invoice/10016")
    assert record["total"] == Decimal("5.9")
    account.item()
    account.customer()
    account.invoice(1, {"item_id": 1})
    assert account.ok("GET", "/invoice/10017")["line_items"][0]["line_item_id"] == 2562
    account.ok("PUT", "/invoice/10016", {"line_items": [{"line_item_id": 2561}]})
    assert account.ok("GET", "/invoice/10016")["total"] == Decimal("5.9")


def test_replacing_seed_takes_the_place_of_the_old_record(account):
    """The same id seeded again: new key, token and customer, and the old ones lead nowhere."""
    account.store.seed("user", {"user_id": 1, "external_key": "a", "token": "t1", "customer_id": 1})
    account.store.seed("user", {"user_id": 1, "external_key": "b", "token": "t2", "customer_id": 2})
    assert account("GET", "/user/external_key:a")["code"] == 404
    assert account("GET", "/user/token:t1")["code"] == 404
    assert account.ok("GET", "/user?where=customers.customer_id:EQUALS:1") == []
    assert len(account.ok("GET", "/user?where=customers.customer_id:EQUALS:2")) == 1
