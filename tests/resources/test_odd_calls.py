"""What a caller may get wrong: each is said when the call is built, and nothing is sent."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from support.scripted import World

from chargeover_async import ChargeOver, DateFormat, ExternalKey, F, Token, UsageError

LINE = [{"item_id": 1}]
HUGE = 10**30

ODD: list[tuple[Any, str]] = [
    # empty keys, keys of another kind, and what no key can hold
    (lambda co: co.customers.create(external_key=""), "external_key must not be empty"),
    (lambda co: co.customers.create(parent_customer_token=" "), "token must not be empty"),
    (lambda co: co.customers.create(external_key="a\nb"), "control characters"),
    (lambda co: co.customers.create(external_key="\ud800"), "UTF-8"),
    (lambda co: co.customers.get(external_key=""), "must not be empty"),
    (lambda co: co.customers.get(token="a\x00"), "control characters"),
    (lambda co: co.customers.update(ExternalKey(""), company="x"), "must not be empty"),
    (lambda co: co.invoices.void(Token("")), "must not be empty"),
    (lambda co: co.chargeoverjs.commit(""), "must not be empty"),
    (lambda co: co.customers.list(where=F.external_key == ""), "empty key"),
    (
        lambda co: co.usage.bulk(
            [{"customer.external_key": "", "line_item.item_external_key": "a", "usage_value": 1}]
        ),
        "customer.external_key must not be empty",
    ),
    (
        lambda co: co.usage.bulk([{"line_item": {"item_external_key": ""}, "usage_value": 1}]),
        "item_external_key must not be empty",
    ),
    # ids
    (lambda co: co.customers.get(HUGE), "from 0 to"),
    (lambda co: co.customers.create(terms_id=HUGE), "from 0 to"),
    (lambda co: co.customers.create(terms_id=True), "whole number"),
    (lambda co: co.customers.get(Decimal("5.5")), "whole number"),
    (lambda co: co.invoices.void("5"), "write ExternalKey"),
    # money
    (lambda co: co.transactions.create(customer_id=1, amount=0.1), "exact amount"),
    (lambda co: co.transactions.refund(1, amount=0.1), "exact amount"),
    (lambda co: co.transactions.refund(1, amount=0), "more than 0"),
    (lambda co: co.transactions.refund(1, amount="0.00"), "more than 0"),
    (lambda co: co.transactions.refund(1, amount=Decimal(-5)), "more than 0"),
    (lambda co: co.transactions.refund(1, amount=""), "finite amount"),
    (lambda co: co.transactions.refund(1, amount="NaN"), "finite amount"),
    (lambda co: co.transactions.pay(customer_id=1, amount=0), "more than 0"),
    (lambda co: co.transactions.pay(customer_id=1, amount="-1"), "more than 0"),
    (lambda co: co.transactions.pay(customer_id=1), "needs one of amount"),
    (lambda co: co.transactions.pay(amount=1), "needs one of customer_id"),
    (
        lambda co: co.transactions.create_credit(customer_id=1, extra={"transaction_type": "pay"}),
        "transaction_type is 'cre'",
    ),
    (
        lambda co: co.transactions.create_refund(customer_id=1, extra={"transaction_type": "pay"}),
        "transaction_type is 'ref'",
    ),
    (
        lambda co: co.invoices.schedule_payments(1, [{"amount": -1, "date": "2026-01-01"}]),
        r"\[0\]: amount must be more than 0",
    ),
    (
        lambda co: co.invoices.create(customer_id=1, line_items=[{"line_rate": 2.95}]),
        r"line_items\[0\].line_rate must be an exact amount",
    ),
    (
        lambda co: co.invoices.create(customer_id=1, line_items=[{"line_rate": Decimal("NaN")}]),
        "finite",
    ),
    (
        lambda co: co.subscriptions.upgrade(1, [{"line_item_id": 1, "tierset": {"base": 0.5}}]),
        r"line_items\[0\].tierset.base",
    ),
    (lambda co: co.usage.create(line_item_id=5, usage_value=1.5), "exact amount"),
    (lambda co: co.currencies.set_exchange_rate("USD", "CAD", 0.5), "exact amount"),
    (lambda co: co.currencies.set_exchange_rate("USD", "CAD", 0), "more than 0"),
    # None where nothing can be meant by it
    (lambda co: co.invoices.update(1, line_items=None), "line_items must be a list"),
    (lambda co: co.subscriptions.upgrade(1, None), "line_items must be a list"),
    (lambda co: co.subscriptions.upgrade(1, iter([])), "at least one entry"),
    (lambda co: co.subscriptions.set_paycycle(1, None), "needs paycycle"),
    (lambda co: co.subscriptions.hold(1, ""), "needs holduntil_datetime"),
    (lambda co: co.transactions.change_applied_amounts(1, None), "applied_to must be a list"),
    (lambda co: co.users.set_password(1, None), "needs a password"),
    (lambda co: co.creditcards.create(customer_id=1, number=None), "number must be text"),
    # dates
    (
        lambda co: co.invoices.create(
            customer_id=1, line_items=LINE, date=dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
        ),
        "without a time",
    ),
    (
        lambda co: co.invoices.create(customer_id=1, line_items=LINE, date="31.1.2026"),
        "YYYY-MM-DD",
    ),
    (lambda co: co.subscriptions.suspend(1, suspendto_datetime=5), "date or datetime"),
    (lambda co: co.subscriptions.invoice_now(1, date="next"), "YYYY-MM-DD"),
    # the wrong kind of thing altogether
    (lambda co: co.customers.create(company=b"x"), "must be text, not bytes"),
    (lambda co: co.customers.create(tags="abc"), "must be a list"),
    (lambda co: co.customers.create(company="x", extra=[("a", 1)]), "extra must be a mapping"),
    (lambda co: co.transactions.pay(extra="x"), "extra must be a mapping"),
    (lambda co: co.customers.email(1, action=""), "action must be a name"),
    (lambda co: co.customers.email(1, action="a&b=c"), "action must be a name"),
    (lambda co: co.subscriptions.get(1, expand=5), "expand takes names"),
    (lambda co: co.subscriptions.get(1, expand="a,b"), "expand takes names"),
    (lambda co: co.subscriptions.upgrade(1, {"line_item_id": 5}), "must be a list"),
    (lambda co: co.usage.bulk(5), "takes a list of records"),
    (lambda co: co.usage.bulk({"line_item_id": 5}), "a record is a mapping, not str"),
    (lambda co: co.usage.upload(5), "takes records, not int"),
    (lambda co: co.usage.upload("abc"), "takes records, not str"),
    (lambda co: co.usage.upload({"line_item_id": 5}), "takes records, not dict"),
    (lambda co: co.customers.set_active(1, form="body"), 'form must be "query" or "path"'),
    (lambda co: co.customers.list(where={"company": "x"}), "a clause such as"),
    (lambda co: co.customers.list(order="--total"), "order= takes"),
    (lambda co: co.customers.iterate(page="5"), "whole number"),
    (lambda co: co.request(5, "/customer"), "method must be GET"),
    (lambda co: co.request("GET", 5), "path must be text"),
    (lambda co: co.request("GET", "/customer", query="a=b"), "query must be a mapping"),
    (lambda co: co.request("GET", "/customer", repeat="READ"), "takes a Repeat"),
    (lambda co: co.with_options(flags="emails"), "flags must be a mapping"),
    (lambda co: co.stream(5), "takes operations, not int"),
    (lambda co: co.bulk("x"), "takes BulkSettings"),
]


@pytest.mark.parametrize(("call", "words"), ODD)
def test_an_odd_call_is_refused_before_anything_is_sent(call: Any, words: str):
    """With an error of ours that names the call, the field, or what would be right."""
    world = World()
    with pytest.raises(UsageError, match=words):
        call(world.co)
    assert world.sent == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auth": "digest"}, "auth must be"),
        ({"quota": 250}, "quota takes a QuotaSettings"),
        ({"retry": 3}, "retry takes a RetryPolicy"),
        ({"timeouts": 5}, "timeouts takes a Timeouts"),
        ({"bulk": {}}, "bulk takes a BulkSettings"),
        ({"dates": "%d.%m.%Y"}, "dates takes a DateFormat"),
        ({"connections": 0}, "connections must be at least 1"),
        ({"flags": 5}, "flags must be a mapping"),
    ],
)
def test_a_client_is_not_made_with_odd_options(options: Any, words: str):
    """Nor fails on them at the first call."""
    with pytest.raises(UsageError, match=words):
        ChargeOver("https://example.chargeover.com/api/v3", "u", "p", **options)


@pytest.mark.parametrize("pattern", [5, "%q", "%", None])
def test_a_pattern_that_no_date_fits_is_refused(pattern: Any):
    """Otherwise every date of the account would be unreadable."""
    with pytest.raises(UsageError, match="no pattern of dates"):
        DateFormat(date=pattern)
    assert DateFormat(date="%d/%m/%y").date == "%d/%m/%y"
