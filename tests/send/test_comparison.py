"""What a record is compared by: exactly, by the kind of each field."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from decimal import Decimal
from typing import Any, is_typeddict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeover_async import models
from chargeover_async._send.comparison import compare, kind_of, shown_as
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.models._json.shape import shape_of


@pytest.mark.parametrize("name", ["number", "cvv", "routing", "password"])
def test_a_secret_is_never_among_the_differences(name: str) -> None:
    """Differences go into messages, and a card number must not; nor is it taken for equal."""
    found = compare({name: "4111111111111111"}, {name: "4111111111111111"})
    assert (found.differs, found.unseen) == ({}, (name,))
    assert compare({name: "4111111111111111"}, {name: "x1111"}).differs == {}


def test_only_what_was_sent_and_is_held_otherwise_differs() -> None:
    """Numbers are compared as numbers, and what the record does not show is told apart."""
    sent = {"company": "Acme", "base": Decimal("2.50"), "memo": "a", "unseen": 1}
    held = {"company": "Acme Ltd", "base": 2.5, "memo": "a", "other": 2}
    found = compare(sent, held)
    assert found.differs == {"company": ("Acme", "Acme Ltd")}
    assert found.unseen == ("unseen",)
    assert not found.same


@pytest.mark.parametrize(
    ("name", "sent", "held"),
    [
        ("expdate_month", "08", 8),
        ("expdate_month", "08", "8"),
        ("expdate_month", "8", "08"),
        ("base", "2.95", "2.950000"),
        ("base", Decimal("2.95"), "2.95"),
        ("base", Decimal("2.95"), 2.95),
        ("amount", 7, Decimal("7.00")),
        ("terms_id", 2, "2"),
        ("no_taxes", True, "1"),
        ("no_taxes", False, 0),
        ("no_taxes", False, None),
        ("memo", "", None),
        ("memo", "12", 12),
        ("class_id", 0, None),
        ("custom_1", 5, "5"),
        (
            "transaction_detail",
            "Credit for unused Image Relay Small",
            "Credit for unused Image Relay Sm",
        ),
        (
            "transaction_detail",
            "My refund of the last bill, the one of May",
            "My refund of the last bill, the",
        ),
        ("date", "2026-01-31", "2026-01-31 00:00:00"),
        ("date", "2026-01-31", "2026-01-31T00:00:00-06:00"),
        ("holduntil_datetime", "2026-01-31", "2026-01-31 00:00:00"),
        ("transaction_datetime", "2026-01-31 09:30:15", "2026-01-31T09:30:15-06:00"),
        ("transaction_datetime", "2026-01-31T09:30:15-05:00", "2026-01-31T08:30:15-06:00"),
        ("tags", ["b", "a"], ["a", "b"]),
        ("tags", [], None),
        ("memo", None, ""),
        ("line_items", [{"item_id": 1}], [{"line_item_id": 9, "item_id": "1"}]),
        ("line_items", [{"line_rate": Decimal(2)}], {"3": {"line_rate": "2.0000"}}),
        ("tierset", {"base": 5}, {"base": "5.000000", "setup": "0.000000"}),
    ],
)
def test_what_a_server_does_to_a_value_is_no_difference(name: str, sent: Any, held: Any) -> None:
    """A create whose answer was lost is found again, however its values are held."""
    assert compare({name: sent}, {name: held}).same


@pytest.mark.parametrize(
    ("name", "sent", "held"),
    [
        ("expdate_month", "08", 9),
        ("memo", "01234", "1234"),
        ("memo", "7.00", "7"),
        ("memo", "a  b", "a b"),
        ("memo", "a ", "a"),
        ("memo", "the first of thirty-one letters and more", "the first of thirty-one letters"),
        ("external_key", "08", "8"),
        ("custom_1", "2026-01-31", "2026-01-31 00:00:00"),
        ("base", "2.95", "2.96"),
        ("base", Decimal("2.95"), None),
        ("amount", 0, None),
        ("memo", "x", None),
        ("memo", None, "x"),
        ("no_taxes", True, "0"),
        ("no_taxes", True, None),
        ("terms_id", 1, True),
        ("company", "Acme", "Acm"),
        (
            "transaction_detail",
            "Credit for unused Image Relay Small",
            "Credit for unused Image Relay La",
        ),
        (
            "transaction_detail",
            "Credit for unused Image",
            "Credit for unused Image Relay Small and more",
        ),
        ("date", "2026-01-31", "2026-02-01 00:00:00"),
        ("transaction_datetime", "2026-01-31T09:30:15-05:00", "2026-01-31T09:30:15-06:00"),
        ("date", "2026-01-31", "soon"),
        ("memo", "1e5", "100000"),
        ("memo", "x", 5),
        ("memo", "x", ["x"]),
        ("tags", ["a"], ["a", "a"]),
        ("line_items", [{"item_id": 1}], [{"item_id": 1}, {"item_id": 2}]),
        ("line_items", [{"line_rate": 699}], [{"line_rate": 698}]),
        ("line_items", [{"item_id": 1}], None),
        ("tierset", {"base": 5}, None),
    ],
)
def test_another_value_is_a_difference(name: str, sent: Any, held: Any) -> None:
    """Then it may be somebody else's record."""
    assert compare({name: sent}, {name: held}).differs == {name: (sent, held)}


def test_what_cannot_be_told_is_not_shown() -> None:
    """Neither equal nor another value: whoever asks must look elsewhere, or send it."""
    moment = {"transaction_datetime": "2026-01-31T09:30:15-05:00"}
    assert compare(moment, {"transaction_datetime": "2026-01-31 09:30:15"}).unseen == (*moment,)
    lines = {"line_items": [{"item_external_key": "a", "line_rate": 2}]}
    assert compare(lines, {"line_items": [{"item_id": 1, "line_rate": 2}]}).unseen == (*lines,)
    found = compare(lines, {"line_items": [{"item_id": 1, "line_rate": 3}]})
    assert (set(found.differs), found.unseen) == ({"line_items"}, ())


def test_a_key_is_compared_by_what_it_names() -> None:
    """By its own name where it is shown, else by the id of the record that has it."""
    sent = {"customer_external_key": "C1"}
    assert compare(sent, {"customer_external_key": "C1"}).same
    assert compare(sent, {"customer_id": 7}).unseen == (*sent,)
    ids = {("customer_external_key", "C1"): 7}

    def resolve(name: str, key: str) -> int | None:
        return ids.get((name, key))

    assert compare(sent, {"customer_id": "7"}, resolve=resolve).same
    found = compare(sent, {"customer_id": 8}, resolve=resolve)
    assert found.differs == {"customer_external_key": ("C1", 8)}
    assert compare({"customer_external_key": "C2"}, {"customer_id": 7}, resolve=resolve).unseen
    line = {"line_items": [{"item_external_key": "I"}]}
    ids["item_external_key", "I"] = 3
    assert compare(line, {"line_items": [{"item_id": 3}]}, resolve=resolve).same
    assert compare(line, {"line_items": [{"item_id": 4}]}, resolve=resolve).differs


def test_the_price_of_an_item_is_shown_as_its_tierset() -> None:
    """One entry is the price; several say nothing of it."""
    sent = {"pricemodel": {"base": Decimal("9.95"), "pricemodel": "fla"}}
    price = {"base": "9.950000", "pricemodel": "fla", "setup": 0}
    assert compare(sent, {"tiersets": [price]}).same
    assert compare(sent, {"tiersets": [{**price, "base": 1}]}).differs
    assert compare(sent, {"tiersets": [price, price]}).unseen == ("pricemodel",)


@pytest.mark.parametrize("length", [0, 1, 30, 31, 33, 39])
def test_a_text_is_cut_at_its_own_length_and_nowhere_else(length: int) -> None:
    """Any other beginning of what was sent is another text."""
    sent = {"transaction_detail": "x" * 40}
    assert compare(sent, {"transaction_detail": "x" * 32}).same
    assert not compare(sent, {"transaction_detail": "x" * length}).same
    assert not compare({"memo": "x" * 40}, {"memo": "x" * 32}).same


def test_the_type_of_an_item_is_shown_as_item_type() -> None:
    """It is sent under the one name and shown under the other (recordings)."""
    assert compare({"type": "service"}, {"item_type": "service"}).same
    assert compare({"type": "service"}, {"item_type": "product"}).differs == {
        "type": ("service", "product")
    }
    assert compare({"type": "service"}, {"name": "x"}).unseen == ("type",)
    assert shown_as("type") == ("type", "item_type")


def test_the_account_may_write_dates_in_its_own_way() -> None:
    """As everywhere else (`DateFormat`)."""
    dates = DateFormat(date="%d.%m.%Y", datetime="%d.%m.%Y %H:%M")
    assert compare({"date": "2026-01-31"}, {"date": "31.01.2026"}, dates=dates).same
    assert compare({"date": "2026-01-31"}, {"date": "31.01.2026"}).differs


def test_a_field_means_the_same_in_every_object() -> None:
    """So its name says by which kind it is compared; no two TypedDicts that are sent disagree."""
    kinds = defaultdict[str, set[str]](set)
    for module in pkgutil.iter_modules(models.__path__):
        for written in vars(importlib.import_module(f"{models.__name__}.{module.name}")).values():
            if is_typeddict(written) and written.__name__.endswith(("Create", "Update")):
                for name, kind in shape_of(written).kinds.items():
                    kinds[name].add(kind)
    apart = {name: found for name, found in kinds.items() if len(found) > 1}
    assert apart == {"pricemodel": {"text", "object"}}  # its own price, and the model of that
    for name, found in kinds.items():
        if not found & {"list", "object"}:
            assert {kind_of(name)} == found


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
        max_leaves=9,
    ),
    st.sampled_from(["memo", "custom_1", "line_items", "date", "amount", "nobody"]),
)
def test_what_is_held_as_it_was_sent_is_the_same(value: Any, name: str) -> None:
    """Whatever it is; and comparing never fails."""
    assert not compare({name: value}, {name: value}).differs
