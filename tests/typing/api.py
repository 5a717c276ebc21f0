"""Right calls of the whole public face; checked by mypy and pyright, never run."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from typing import Any, assert_type

import msgspec

from chargeover_async import (
    AlreadyExists,
    BulkSettings,
    ChargeOver,
    Created,
    Customer,
    DateFormat,
    DecodeError,
    ExternalKey,
    F,
    Invoice,
    Item,
    LocalLimiter,
    NoLimit,
    Operation,
    Outcome,
    QuotaSettings,
    RateLimited,
    Ref,
    Repeat,
    RetryPolicy,
    Revision,
    Stats,
    Timeouts,
    Token,
    User,
)
from chargeover_async.models import LineItemCreate
from chargeover_async.observe import Event, RequestSent


class MyCustomer(Customer):
    tier: str | None = msgspec.field(name="custom_1", default=None)


class MyInvoice(Invoice, frozen=True):
    salesman: str | None = msgspec.field(name="custom_2", default=None)


def observer(event: Event) -> None:
    if isinstance(event, RequestSent):
        assert_type(event.duration_s, float)


async def clients() -> None:
    async with ChargeOver("https://example.chargeover.com/api/v3", "u", "p") as co:
        assert_type(co, ChargeOver)
    co = ChargeOver.from_env(quota=QuotaSettings(500, 60.0))
    co = ChargeOver(
        "http://localhost:8080",
        "u",
        "p",
        limiter=NoLimit(),
        retry=RetryPolicy(attempts=3, total_s=10),
        timeouts=Timeouts(total_s=30.0),
        bulk=BulkSettings(),
        connections=4,
        on_event=observer,
        on_behalf_addr="10.0.0.1",
        flags={"emails": 0},
        dates=DateFormat(date="%d.%m.%Y"),
    )
    ChargeOver("https://x", "u", "p", limiter=co.limiter)
    ChargeOver("https://x", "u", "p", limiter=LocalLimiter(QuotaSettings()))
    assert_type(co.with_options(flags={"emails": 0}), ChargeOver)
    assert_type(co.stats, Stats)
    assert_type(co.stats.requests, int)
    await co.aclose()


async def customers(co: ChargeOver) -> None:
    created = await co.customers.create(company="Acme", external_key="a", no_taxes=True, tags=["x"])
    assert_type(created, Created)
    assert_type(created.id, int)
    await co.customers.create(company=None, custom_1={"a": [1]}, extra={"brand_new": 1})
    acme = await co.customers.get(created.id)
    assert_type(acme, Customer)
    assert_type(acme.company, str | None)
    assert_type(acme.total, Decimal | None)
    assert_type(acme.write_datetime, dt.datetime | None)
    assert_type(await co.customers.get(external_key="a"), Customer)
    mine = await co.customers.get(1, as_=MyCustomer)
    assert_type(mine, MyCustomer)
    assert_type(mine.tier, str | None)
    assert_type(await co.customers.list(limit=5), Sequence[Customer])
    assert_type(await co.customers.list(as_=MyCustomer), Sequence[MyCustomer])
    assert_type(await co.customers.update(1, bill_city="Storrs"), Created)
    assert_type(await co.customers.update(ExternalKey("a"), superuser_id=3), Created)
    assert_type(await co.customers.delete(Token("t")), bool)
    assert_type(await co.customers.set_active(1), bool)
    assert_type(await co.customers.set_default_payment_method(1, creditcard_id=3), bool)
    assert_type(await co.customers.count(where=F.company == "Acme"), int)
    assert_type(await co.customers.revisions(1, limit=3), Sequence[Revision])
    assert_type(co.customers.iterate(), AsyncIterator[Customer])
    async for one in co.customers.iterate(where=[F.total > 1], as_=MyCustomer):
        assert_type(one, MyCustomer)


async def invoices(co: ChargeOver) -> None:
    lines: list[LineItemCreate] = [
        {"item_id": 1, "line_rate": Decimal("2.95"), "line_quantity": 2},
        {"item_external_key": "i", "line_rate": "1.10", "descrip": "x"},
    ]
    assert_type(
        await co.invoices.create(customer_id=1, line_items=lines, date=dt.date(2026, 1, 31)),
        Created,
    )
    await co.invoices.create(customer_external_key="a", line_items=lines, date="2026-01-31")
    await co.invoices.update(1, line_items=[{"line_item_id": 5}])
    found = await co.invoices.get(1, as_=MyInvoice)
    assert_type(found.salesman, str | None)
    for line in found.line_items or []:
        assert_type(line.line_rate, Decimal | None)
        assert_type(line.is_taxed, bool | None)
    assert_type(found.date, dt.date | None)
    assert_type(await co.invoices.void(1), bool)
    await co.invoices.pay_credit_card(1, number="4111111111111111", expdate_year="2030")
    await co.invoices.schedule_payments(1, [{"amount": "1.10", "date": dt.date(2026, 1, 31)}])
    await co.invoices.email(1, subject="Hello")


async def items_and_users(co: ChargeOver) -> None:
    await co.items.create(name="x", item_type="service", pricemodel={"base": Decimal("1.10")})
    assert_type(await co.items.get(1), Item)
    assert_type(await co.users.create(first_name="John", customer_id=44), Created)
    assert_type(await co.users.get(1), User)
    assert_type(await co.users.login(1), str)
    assert_type(await co.users.set_password(1, "secret"), bool)


async def operations(co: ChargeOver) -> None:
    operation = co.customers.create(company="x")
    assert_type(operation, Operation[Created])
    assert_type(operation.ref(), Ref)
    assert_type(await operation.wait(), Outcome[Created])
    assert_type((await operation.wait()).unwrap(), Created)
    operation.tag = {"row": 5}
    task = asyncio.create_task(co.customers.count())
    assert_type(await task, int)
    assert_type(await asyncio.wait_for(co.customers.count(), 5), int)
    assert_type(await asyncio.gather(co.customers.count(), co.items.get(1)), tuple[int, Item])
    async with asyncio.TaskGroup() as group:
        assert_type(group.create_task(co.items.get(1)), asyncio.Task[Item])
    await co.customers.get(operation)
    await co.invoices.create(customer_id=operation.ref(), line_items=[{"item_id": operation.ref()}])
    raw: Any = await co.request("POST", "/customer/2", query={"action": "x"}, json={"a": 1})
    await co.request("GET", "/note", as_=list[Item], repeat=Repeat.READ)
    print(raw)


async def bulk(co: ChargeOver) -> None:
    async with co.bulk() as scope:
        acme = scope.customers.create(company="Acme")
        bill = scope.invoices.create(customer_id=acme.ref(), line_items=[{"item_id": 1}])
        assert_type(await scope.submit(co.customers.get(1)), Operation[Customer])
    assert_type(await bill, Created)

    def many() -> Iterator[Operation[Created]]:
        for n in range(10):
            yield co.customers.create(company=str(n))

    async for outcome in co.stream(many(), ordered=True):
        assert_type(outcome, Outcome[Created])
        if outcome.error is None:
            assert_type(outcome.value, Created | None)
        else:
            assert_type(outcome.error.may_have_happened, bool)


def errors(error: Exception) -> None:
    if isinstance(error, AlreadyExists):
        assert_type(error.existing_id, int | None)
        assert_type(error.status, int)
    if isinstance(error, RateLimited):
        assert_type(error.retry_after_s, float | None)
    if isinstance(error, DecodeError):
        assert_type(error.raw, bytes)


def filters() -> None:
    clauses = [
        F.total > 100,
        F.total >= Decimal("1.10"),
        F.date < dt.date(2026, 1, 1),
        F.mod_datetime <= dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        F.company == "x",
        F.company != None,  # noqa: E711
        F.company.contains("x"),
        F.customers.customer_id == 44,
        F["customer.users.email"] == "x",
    ]
    print(clauses)
