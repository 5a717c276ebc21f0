"""Filters, order and paging."""

# ruff: noqa: DTZ001 - the API's datetimes are naive
# ruff: noqa: S301 - what is unpickled is what was pickled a line before
from __future__ import annotations

import copy
import datetime as dt
import math
import pickle
from decimal import Decimal
from typing import Any

import pytest
from support.scripted import World

from chargeover_async import F, UsageError
from chargeover_async.query import MAX_REVISIONS, order_pair, page_pairs, where_pair

CENTRAL = dt.timezone(dt.timedelta(hours=-5))


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        (lambda: F.company == "Acme", "company:EQUALS:Acme"),
        (lambda: F.company != "Acme", "company:NOTEQUALS:Acme"),
        (lambda: F.total > 100, "total:GT:100"),
        (lambda: F.total >= 100, "total:GTE:100"),
        (lambda: F.total < 100, "total:LT:100"),
        (lambda: F.total <= 100, "total:LTE:100"),
        (lambda: 100 < F.total, "total:GT:100"),  # noqa: SIM300
        (lambda: F.company.contains("cm"), "company:CONTAINS:cm"),
        (lambda: F.external_key == None, "external_key:IS:NULL"),  # noqa: E711
        (lambda: F.external_key != None, "external_key:ISNOT:NULL"),  # noqa: E711
        (lambda: F.customers.customer_id == 44, "customers.customer_id:EQUALS:44"),
        (lambda: F["customer.users.email"] == "a@b.c", "customer.users.email:EQUALS:a@b.c"),
        (lambda: F.company == "", "company:EQUALS:"),
        (lambda: F.no_taxes == True, "no_taxes:EQUALS:1"),  # noqa: E712
        (lambda: F.no_taxes == False, "no_taxes:EQUALS:0"),  # noqa: E712
        (lambda: F.total == Decimal("2.950"), "total:EQUALS:2.950"),
        (lambda: F.total == Decimal("1E+3"), "total:EQUALS:1000"),
        (lambda: F.total == Decimal("1E-7"), "total:EQUALS:0.0000001"),
        (lambda: F.total == Decimal("-0.5"), "total:EQUALS:-0.5"),
        (lambda: F.total == 0.1, "total:EQUALS:0.1"),
        (lambda: F.total == 1e22, "total:EQUALS:10000000000000000000000"),
        (lambda: F.date >= dt.date(2026, 1, 1), "date:GTE:2026-01-01"),
        (
            lambda: F.mod_datetime >= dt.datetime(2026, 1, 1, 9, 30, 15, 999999),
            r"mod_datetime:GTE:2026-01-01 09\:30\:15",
        ),
        (
            lambda: F.mod_datetime >= dt.datetime(2026, 1, 1, 9, 30, tzinfo=CENTRAL),
            r"mod_datetime:GTE:2026-01-01T09\:30\:00-05\:00",
        ),
        (lambda: F._count == 1, "_count:EQUALS:1"),
    ],
)
def test_a_comparison_is_the_vendors_clause(clause: Any, text: str):
    """Each operator, each kind of value."""
    assert clause().text == text
    assert text in repr(clause())


@pytest.mark.parametrize(
    "wrong",
    [
        math.nan,
        math.inf,
        Decimal("NaN"),
        Decimal("-Infinity"),
        b"bytes",
        [1],
        {"a": 1},
        object(),
        F.other,
        dt.time(1),
        dt.timedelta(1),
        10**40,
        pytest.param(10**5000, id="huge"),
    ],
)
def test_a_value_that_has_no_one_form_is_refused(wrong: Any):
    """Naming the field."""
    with pytest.raises(UsageError, match="total"):
        F.total == wrong  # noqa: B015
    with pytest.raises(UsageError, match="total"):
        F.total > wrong  # noqa: B015


def test_none_has_no_order():
    """Only ``==`` and ``!=`` know it."""
    for compare in (lambda: F.x > None, lambda: F.x <= None, lambda: F.x.contains(None)):
        with pytest.raises(UsageError, match="NoneType"):
            compare()


@pytest.mark.parametrize(
    "condition",
    [
        lambda: 1 < F.total < 9,
        lambda: F.total > 1 and F.total < 9,
        lambda: F.total > 1 or F.total < 9,
        lambda: not (F.total > 1),
        lambda: F.total in [1, 2],
        lambda: bool(F.total == 1),
        lambda: [1] if F.total == 1 else [2],
    ],
)
def test_python_logic_that_would_drop_a_condition_raises(condition: Any):
    """A filter has no truth value."""
    with pytest.raises(UsageError, match="truth value"):
        condition()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a.",
        ".b",
        "a..b",
        "a b",
        "a:b",
        "a,b",
        "a?b",
        "a&b",
        "a=b",
        "a#b",
        "a\\b",
        "a\nb",
        "\ud800",
    ],
)
def test_a_name_that_cannot_be_a_field_is_refused(name: str):
    """So that it cannot change the query."""
    with pytest.raises(UsageError, match="field name"):
        F[name]
    with pytest.raises(UsageError):
        order_pair(name)
    with pytest.raises(UsageError):
        order_pair(f"-{name}")


@pytest.mark.parametrize("key", ["", " ", "\t"])
@pytest.mark.parametrize(
    "name",
    ["external_key", "token", "customer_token", "customer.external_key", "item_external_key"],
)
def test_a_filter_by_an_empty_key_is_refused(name: str, key: str):
    """Nobody has it; no server is asked what it makes of it."""
    with pytest.raises(UsageError, match="empty key"):
        F[name] == key  # noqa: B015
    assert (F[name] == "a").text == f"{name}:EQUALS:a"
    assert (F[name] == None).text == f"{name}:IS:NULL"  # noqa: E711
    assert (F.company == "").text == "company:EQUALS:"


def test_fields_are_plain_objects():
    """They can be copied and pickled, and are not hashable: ``==`` builds a clause."""
    assert repr(F.customers.customer_id) == "F.customers.customer_id"
    for other in (copy.copy(F.total), copy.deepcopy(F.total), pickle.loads(pickle.dumps(F.total))):
        assert (other > 1).text == "total:GT:1"
    with pytest.raises(TypeError):
        hash(F.total)
    with pytest.raises(AttributeError):
        F.__missing__  # noqa: B018
    with pytest.raises(AttributeError):
        F.total.__missing__  # noqa: B018


def test_several_clauses_are_joined_and_none_are_left_out():
    """A list, a tuple or a generator; one clause needs none."""
    one, two = F.a == 1, F.b == 2
    assert where_pair(one) == (("where", "a:EQUALS:1"),)
    for many in ([one, two], (one, two), (clause for clause in (one, two))):
        assert where_pair(many) == (("where", "a:EQUALS:1,b:EQUALS:2"),)
    assert where_pair(None) == where_pair([]) == ()


@pytest.mark.parametrize("wrong", ["total:GT:1", ["total:GT:1"], [True], [F.total], {"a": 1}, 5])
def test_what_is_no_clause_is_refused(wrong: Any):
    """Text is never taken for a filter."""
    with pytest.raises(UsageError, match="where= takes"):
        where_pair(wrong)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("total", "total:ASC"),
        ("-total", "total:DESC"),
        ("total:ASC", "total:ASC"),
        ("total:desc", "total:DESC"),
        (["-date", "invoice_id"], "date:DESC,invoice_id:ASC"),
        ("customers.customer_id", "customers.customer_id:ASC"),
    ],
)
def test_an_order_rises_or_falls(order: Any, text: str):
    """``"total"`` rises, ``"-total"`` falls."""
    assert order_pair(order) == (("order", text),)


@pytest.mark.parametrize(
    "wrong", ["", "-", "total:UP", "-total:ASC", ["total", ""], "a,b", [None], 5]
)
def test_an_order_that_is_none_is_refused(wrong: Any):
    """At once."""
    with pytest.raises(UsageError):
        order_pair(wrong)


def test_no_order_is_no_parameter():
    """None and an empty list."""
    assert order_pair(None) == order_pair([]) == ()


def test_pages_are_asked_for_within_the_vendors_bounds():
    """1 to 500 records, any offset from 0; left out when not given."""
    assert page_pairs(None, None) == ()
    assert page_pairs(1, 0) == (("limit", "1"), ("offset", "0"))
    assert page_pairs(500, 10**9) == (("limit", "500"), ("offset", "1000000000"))
    assert page_pairs(10, None, most=MAX_REVISIONS) == (("limit", "10"),)


@pytest.mark.parametrize(
    "limit", [0, -1, 501, pytest.param(10**5000, id="huge"), True, 2.0, "5", Decimal(5)]
)
def test_a_limit_out_of_bounds_is_refused(limit: Any):
    """Before the API would cut it silently."""
    co = World().co
    with pytest.raises(UsageError, match="limit must be"):
        co.customers.list(limit=limit)
    with pytest.raises(UsageError, match="page must be"):  # as it was written
        co.customers.iterate(page=limit)
    with pytest.raises(UsageError, match="limit"):
        co.customers.revisions(1, limit=11)


@pytest.mark.parametrize("offset", [-1, False, 1.5, "0", pytest.param(10**5000, id="huge")])
def test_an_offset_out_of_bounds_is_refused(offset: Any):
    """Offsets count from 0."""
    with pytest.raises(UsageError, match="offset"):
        World().co.customers.list(offset=offset)


def test_the_parts_of_a_query_stand_in_one_order():
    """where, order, limit, offset, and then what the client adds."""
    co = World(flags={"webhooks": 0}).co
    call = co.invoices.list(where=[F.total > 1], order="-date", limit=5, offset=10)
    call.close()
    assert call.query == (
        ("where", "total:GT:1"),
        ("order", "date:DESC"),
        ("limit", "5"),
        ("offset", "10"),
        ("_flag_webhooks", "0"),
    )
