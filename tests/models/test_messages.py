"""What a refused call says: which field, what it takes, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from support.scripted import World

from chargeover_async import ChargeOver, F, UsageError
from chargeover_async.migrate.plan.fields import fields_of
from chargeover_async.models._json.checks import Secret
from chargeover_async.models._json.shape import shape_of

CALLS: list[tuple[Callable[[ChargeOver, Any], Any], str]] = [
    # An operation in the place of an id.
    (
        lambda co, made: co.invoices.create(customer_id=made, line_items=[{"item_id": 1}]),
        r"customer_id must be a whole number or a reference: write \.ref\(\) behind the operation",
    ),
    (
        lambda co, made: co.invoices.create(customer_id=1, line_items=[{"item_id": made}]),
        r"line_items\[0\]\.item_id must be .*write \.ref\(\)",
    ),
    (
        lambda co, made: co.customers.create(extra={"partner_id": made}),
        r"partner_id .*write \.ref\(\)",
    ),
    # What can be read only, told before any guess.
    (
        lambda co, _: co.invoices.create(
            customer_id=1, line_items=[{"item_id": 1}], due_date="2026-01-31"
        ),
        'InvoiceCreate has no field "due_date": it can be read, but not be written here',
    ),
    (
        lambda co, _: co.invoices.create(
            customer_id=1, line_items=[{"item_id": 1, "item_name": 5}]
        ),
        r'no field "line_items\[0\]\.item_name": it can be read, but not be written here',
    ),
    (
        lambda co, _: co.customers.update(1, currency_id=1),
        'CustomerUpdate has no field "currency_id": it can be read',
    ),
    (lambda co, _: co.customers.create(compny="x"), 'no field "compny"; did you mean "company"'),
    # What is not exact.
    (
        lambda co, _: co.customers.create(custom_1=3.2),
        r'custom_1 must be an exact number such as Decimal\("2\.95"\), not float 3\.2$',
    ),
    # One or several of what.
    (
        lambda co, _: co.customers.list(where=5),
        r"^where= takes a clause such as F\.total > 100, or several in a list, not 5$",
    ),
    (
        lambda co, _: co.customers.list(where=[F.total > 1, "x"]),
        r"^where= takes a clause such as F\.total > 100, or several in a list, not 'x'$",
    ),
    (
        lambda co, _: co.customers.list(order=5),
        r'^order= takes a field such as "total" or "-total", or several in a list, not 5$',
    ),
    # Options by the name they were written with.
    (lambda co, _: co.customers.iterate(page=0), "^page must be 1 to 500, not 0$"),
    (lambda co, _: co.terms.iterate(page=501), "^page must be 1 to 500, not 501$"),
    (lambda co, _: co.customers.list(limit=501), "^limit must be 1 to 500, not 501$"),
    (lambda co, _: co.customers.revisions(1, limit=11), "^limit must be 1 to 10, not 11$"),
]


@pytest.mark.parametrize(("call", "words"), CALLS, ids=[words for _, words in CALLS])
def test_a_refusal_says_what_to_write(call: Callable[[ChargeOver, Any], Any], words: str):
    """In the caller's own words."""
    co = World().co
    made = co.customers.create(company="Acme")
    with pytest.raises(UsageError, match=words):
        call(co, made)
    made.close()


def test_a_plan_says_it_of_its_fields():
    """As a call does, at every depth."""
    invoice = fields_of("invoice")
    assert invoice.shape.hint(("due_date",)) == ": it can be read, but not be written here"
    assert invoice.nested["line_items"].shape.hint(("item_name",)).startswith(": it can be read")
    assert invoice.shape.hint(("dat",)) == '; did you mean "date"?'


class Pin(TypedDict, total=False):
    """A secret under a name that no list of such names has."""

    pin: Secret


@pytest.mark.parametrize("value", [4111, None, ["4111"], "4111\ud83d", b"4111"])
def test_a_secret_is_known_by_its_kind_too(value: Any):
    """Not by the name of its field alone."""
    with pytest.raises(UsageError, match="pin must be text") as caught:
        shape_of(Pin).prepare({"pin": value}, "test")
    assert "4111" not in str(caught.value)


@pytest.mark.parametrize("value", ["4111", {"number": "4111"}, 4111, ["4111"], [["4111"]]])
def test_what_stands_where_a_secret_is_in_is_not_shown(value: Any):
    """A list or an object that holds one may have been given in another form."""
    co = World().co
    with pytest.raises(UsageError, match="paymethods") as caught:
        co.transactions.pay(customer_id=1, amount=1, paymethods=value)
    assert "4111" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda co: co.transactions.pay(customer_id=1, amount=1, paymethods=[{"number": None}]),
            r"paymethods\[0\]\.number must be text",
        ),
        (
            lambda co: co.subscriptions.create(
                customer_id=1, line_items=[{"item_id": 1, "tierset": {"tiers": None}}]
            ),
            r"line_items\[0\]\.tierset\.tiers must be a list",
        ),
        (lambda co: co.users.set_password(1, None), "set_password needs a password"),
    ],
)
def test_nothing_is_no_value_where_there_must_be_one(call: Callable[[ChargeOver], Any], words: str):
    """In nested objects as at the top."""
    with pytest.raises(UsageError, match=words):
        call(World().co)


@pytest.mark.parametrize("value", [4111111111111111, 4111111111111111.0, ["4111"], {"a": 1}, None])
def test_a_secret_of_a_wrong_type_is_not_shown(value: Any):
    """Neither in its own field, nor in extra, nor in the list or object around it."""
    co = World().co
    calls: list[Callable[[], Any]] = [
        lambda: co.creditcards.create(customer_id=1, number=value, expdate_year="2030"),
        lambda: co.invoices.pay_ach(1, number=value, routing=value),
        lambda: co.users.set_password(1, value),
        lambda: co.transactions.pay(customer_id=1, amount=1, applied_to=[], paymethods=[value]),
    ]
    for call in calls:
        with pytest.raises(UsageError) as caught:
            call()
        assert "4111" not in str(caught.value)
    if isinstance(value, float):
        with pytest.raises(UsageError, match="number must be") as caught:
            co.customers.create(extra={"number": value})
        assert "4111" not in str(caught.value)
