"""Right calls of the whole public face; checked by mypy and pyright, never run."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from typing import Any, assert_type

import msgspec

from chargeover_async import (
    AchAccount,
    Admin,
    AlreadyExists,
    Brand,
    Bulk,
    BulkReport,
    BulkSettings,
    Campaign,
    ChargeOver,
    Class,
    Country,
    Coupon,
    Created,
    CreditCard,
    Currency,
    Customer,
    CustomField,
    DateFormat,
    DecodeError,
    ExternalKey,
    F,
    Invoice,
    Item,
    ItemCategory,
    Language,
    LocalLimiter,
    LogEntry,
    NoLimit,
    Note,
    Operation,
    Outcome,
    OutcomeUnknown,
    PendingRequest,
    QuotaSettings,
    Quote,
    RateLimited,
    Record,
    Ref,
    Repeat,
    Report,
    Resthook,
    RetryPolicy,
    Revision,
    ServerAssumptions,
    SignatureAuth,
    Stats,
    Subscription,
    Terms,
    Timeouts,
    Token,
    TokenizedPayMethod,
    Transaction,
    UploadOutcome,
    Usage,
    User,
)
from chargeover_async.models import LineItemCreate, SubscriptionLineUpgrade, UsageRecord
from chargeover_async.observe import Event, RequestSent
from chargeover_async.query import Clause, Order, Where
from chargeover_async.resources import Customers, Target, Upserted
from chargeover_async.vocabulary import NEXT_SCHEDULED_INVOICE, PayCycle, PayMethod
from chargeover_async.webhooks import Event as WebhookEvent
from chargeover_async.webhooks import Webhooks


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
    assert_type(co.with_options(on_behalf_addr="x", on_behalf_details="y"), ChargeOver)
    ChargeOver("https://x", "u", "p", auth="signature")
    assert_type(ChargeOver.from_auth("https://x", SignatureAuth("u", "p")), ChargeOver)
    assert_type(co.url, str)
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
    assert_type(await co.customers.upsert(external_key="a", company="B", extra={"x": 1}), Upserted)
    assert_type(await co.customers.get_or_create(external_key="a"), Upserted)
    assert_type(await co.items.get_or_create(external_key="a", name="B"), Upserted)
    assert_type(await co.users.upsert(external_key="a", customer_id=1), Upserted)
    assert_type(await co.users.get_or_create(external_key="a", customer_id=1), Upserted)
    assert_type(await co.invoices.upsert(external_key="a", customer_id=1), Upserted)
    assert_type(await co.invoices.get_or_create(external_key="a", customer_id=1), Upserted)
    assert_type(await co.subscriptions.upsert(external_key="a", customer_id=1), Upserted)
    assert_type(await co.subscriptions.get_or_create(external_key="a", customer_id=1), Upserted)
    assert_type(await co.customers.set_active(1), bool)
    assert_type(await co.customers.set_inactive(1, form="path"), bool)
    assert_type(await co.customers.disconnect_parent(1), bool)
    assert_type(await co.customers.set_primary_contact(1, 5), Created)
    assert_type(await co.customers.email(1, action="x", message_id=5), bool)
    assert_type(await co.customers.set_default_payment_method(1, creditcard_id=3), bool)
    assert_type(await co.customers.count(where=F.company == "Acme"), int)
    assert_type(await co.customers.revisions(1, limit=3), Sequence[Revision])
    assert_type(co.customers.iterate(), AsyncIterator[Customer])
    errors: list[DecodeError] = []
    assert_type(
        await co.customers.list(on_unreadable=errors.append, as_=MyCustomer), Sequence[MyCustomer]
    )
    assert_type(co.customers.iterate(on_unreadable=errors.append), AsyncIterator[Customer])
    assert_type(await co.customers.get(1, raw=True), bytes)
    assert_type(await co.customers.list(raw=True), Sequence[bytes])
    assert_type(co.customers.iterate(raw=True, order="company"), AsyncIterator[bytes])
    async for customer in co.customers.iterate(where=[F.total > 1], as_=MyCustomer):
        assert_type(customer, MyCustomer)


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
    assert_type(await co.invoices.pay(1, form="path"), bool)
    assert_type(await co.invoices.pay_ach(1, number="1", routing="2"), bool)
    assert_type(await co.invoices.apply_balance(1), bool)
    assert_type(await co.invoices.print(1), bool)
    assert_type(await co.invoices.approve(1), bool)
    assert_type(await co.invoices.delete(1), bool)
    assert_type(await co.invoices.list(), Sequence[Invoice])
    assert_type(co.invoices.iterate(), AsyncIterator[Invoice])
    assert_type(await co.invoices.count(), int)
    assert_type(await co.invoices.revisions(1), Sequence[Revision])


async def items_and_users(co: ChargeOver) -> None:
    await co.items.create(name="x", item_type="service", pricemodel={"base": Decimal("1.10")})
    assert_type(await co.items.get(1), Item)
    assert_type(await co.users.create(first_name="John", customer_id=44), Created)
    assert_type(await co.users.get(1), User)
    assert_type(await co.users.login(1), str)
    assert_type(await co.users.set_password(1, "secret"), bool)
    assert_type(await co.users.send_password_reset(1, action="reset_password"), bool)
    assert_type(await co.users.update(1, first_name="J"), Created)
    assert_type(await co.users.delete(1), bool)
    assert_type(await co.users.list(), Sequence[User])
    assert_type(co.users.iterate(), AsyncIterator[User])
    assert_type(await co.users.count(), int)
    assert_type(await co.users.revisions(1), Sequence[Revision])
    assert_type(await co.items.list(), Sequence[Item])
    assert_type(co.items.iterate(), AsyncIterator[Item])
    assert_type(await co.items.count(), int)
    assert_type(await co.items.revisions(1), Sequence[Revision])


async def subscriptions(co: ChargeOver) -> None:
    lines: list[SubscriptionLineUpgrade] = [
        {"line_item_id": 5, "tierset": {"base": Decimal(800), "tiers": []}},
        {"line_item_id": 6, "cancel": True},
        {"item_id": 1, "subscribe_prorate": True},
    ]
    made = co.subscriptions.create(
        customer_id=1,
        paycycle=PayCycle.MONTHLY,
        holduntil_datetime=dt.date(2026, 1, 31),
        line_items=[{"item_id": 1, "tierset": {"pricemodel": "fla", "base": "1.10"}}],
    )
    assert_type(made, Operation[Created])
    assert_type(await co.subscriptions.update(1, nickname="x", tags=["a"]), Created)
    assert_type(await co.subscriptions.upgrade(1, lines, form="path"), bool)
    assert_type(
        await co.subscriptions.set_paymethod(1, paymethod=PayMethod.CREDIT_CARD, creditcard_id=5),
        bool,
    )
    assert_type(await co.subscriptions.set_paycycle(1, PayCycle.MONTHLY), bool)
    assert_type(await co.subscriptions.invoice_now(1, date=NEXT_SCHEDULED_INVOICE), Created | bool)
    assert_type(await co.subscriptions.suspend(1, suspendfrom_datetime=dt.date(2026, 1, 31)), bool)
    assert_type(await co.subscriptions.unsuspend(1), bool)
    assert_type(await co.subscriptions.cancel(1, cancel_date="2026-01-31"), bool)
    assert_type(await co.subscriptions.uncancel(1), bool)
    assert_type(await co.subscriptions.hold(1, dt.date(2026, 1, 31)), bool)
    assert_type(await co.subscriptions.send_welcome(1, message_id=5), bool)
    found = await co.packages.get(1, expand=["line_items"])
    assert_type(found, Subscription)
    for line in found.line_items or []:
        assert_type(line.tierset.base if line.tierset else None, Decimal | None)
    assert_type(await co.subscriptions.get(token="x", raw=True), bytes)
    assert_type(await co.subscriptions.list(expand="line_items"), Sequence[Subscription])
    assert_type(await co.subscriptions.list(raw=True), Sequence[bytes])
    assert_type(co.subscriptions.iterate(on_unreadable=print), AsyncIterator[Subscription])
    assert_type(await co.subscriptions.count(), int)
    assert_type(await co.subscriptions.revisions(1), Sequence[Revision])


async def money(co: ChargeOver) -> None:
    assert_type(
        await co.transactions.create(
            customer_id=1, amount="1.10", transaction_type="pay", transaction_date="2026-01-31"
        ),
        Created,
    )
    assert_type(await co.transactions.create_credit(customer_id=1, amount=5), Created)
    assert_type(await co.transactions.create_refund(customer_id=1, amount="-1.10"), Created)
    assert_type(await co.transactions.pay(customer_id=1, applied_to=[{"invoice_id": 1}]), Created)
    assert_type(await co.transactions.refund(1, amount=Decimal("1.10")), Created)
    assert_type(await co.transactions.void(1), bool)
    assert_type(await co.transactions.email(1, subject="x"), bool)
    assert_type(
        await co.transactions.change_applied_amounts(1, [{"invoice_id": 1, "applied": 5}]), bool
    )
    assert_type(await co.transactions.get(1), Transaction)
    assert_type(await co.transactions.list(), Sequence[Transaction])
    assert_type(co.transactions.iterate(), AsyncIterator[Transaction])
    assert_type(await co.transactions.count(), int)
    assert_type(await co.transactions.revisions(1), Sequence[Revision])

    card = co.creditcards.create(customer_id=1, number="4111111111111111", expdate_month="08")
    assert_type(card, Operation[Created])
    assert_type(await co.creditcards.get(1), CreditCard)
    assert_type(await co.creditcards.list(), Sequence[CreditCard])
    assert_type(co.creditcards.iterate(), AsyncIterator[CreditCard])
    assert_type(await co.creditcards.delete(card), bool)
    assert_type(await co.ach.create(customer_id=1, number="1", routing="2"), Created)
    assert_type(await co.ach.list(), Sequence[AchAccount])
    assert_type(co.ach.iterate(), AsyncIterator[AchAccount])
    assert_type(await co.ach.delete(1), bool)
    assert_type(await co.tokenized.create(customer_id=1, token="x"), Created)
    assert_type(await co.tokenized.get(1), TokenizedPayMethod)
    assert_type(await co.tokenized.list(), Sequence[TokenizedPayMethod])
    assert_type(co.tokenized.iterate(), AsyncIterator[TokenizedPayMethod])
    assert_type(await co.tokenized.delete(1), bool)

    assert_type(
        await co.quotes.create(customer_id=1, line_items=[{"item_id": 1, "line_quantity": 2}]),
        Created,
    )
    assert_type(await co.quotes.get(1), Quote)
    assert_type(await co.quotes.list(), Sequence[Quote])
    assert_type(co.quotes.iterate(), AsyncIterator[Quote])
    assert_type(await co.quotes.count(), int)
    assert_type(await co.quotes.revisions(1), Sequence[Revision])


async def usage(co: ChargeOver) -> None:
    records: list[UsageRecord] = [
        {"line_item_id": 1, "usage_value": Decimal("1.5"), "from": dt.date(2026, 1, 1)},
        {"customer.external_key": "a", "line_item.item_external_key": "b", "usage_value": 1},
    ]
    assert_type(
        await co.usage.create(
            line_item_external_key="a", usage_value="1.5", from_=dt.date(2026, 1, 1)
        ),
        Created,
    )
    assert_type(await co.usage.bulk(records), Created)
    async for outcome in co.usage.upload(records, rows_per_call=500):
        assert_type(outcome, UploadOutcome)
        assert_type(outcome.rows, tuple[int, ...])
        assert_type(outcome.unwrap(), Created)
    assert_type(await co.usage.list(where=F.line_item_id == 5), Sequence[Usage])
    assert_type(co.usage.iterate(), AsyncIterator[Usage])


async def account(co: ChargeOver) -> None:
    assert_type(await co.notes.create(note="x", obj_type="customer", obj_id=1), Created)
    assert_type(await co.notes.list(), Sequence[Note])
    assert_type(co.notes.iterate(), AsyncIterator[Note])
    assert_type(await co.notes.count(where=F.context_id == 5), int)
    assert_type(await co.item_categories.list(), Sequence[ItemCategory])
    assert_type(co.item_categories.iterate(), AsyncIterator[ItemCategory])
    assert_type(await co.item_categories.count(), int)
    assert_type(await co.coupons.list(limit=5), Sequence[Coupon])
    assert_type(co.coupons.iterate(), AsyncIterator[Coupon])
    assert_type(await co.customfields.list(), Sequence[CustomField])
    assert_type(co.customfields.iterate(), AsyncIterator[CustomField])
    assert_type(await co.brands.get(1), Brand)
    assert_type(await co.brands.list(), Sequence[Brand])
    assert_type(co.brands.iterate(), AsyncIterator[Brand])
    assert_type(await co.campaigns.list(), Sequence[Campaign])
    assert_type(co.campaigns.iterate(), AsyncIterator[Campaign])
    assert_type(await co.classes.list(), Sequence[Class])
    assert_type(co.classes.iterate(), AsyncIterator[Class])
    assert_type(await co.countries.list(), Sequence[Country])
    assert_type(co.countries.iterate(), AsyncIterator[Country])
    assert_type(await co.currencies.list(), Sequence[Currency])
    assert_type(co.currencies.iterate(), AsyncIterator[Currency])
    print(await co.currencies.get_exchange_rate("USD", "CAD"))
    assert_type(await co.currencies.set_exchange_rate("USD", "CAD", Decimal("1.35")), bool)
    assert_type(await co.languages.list(), Sequence[Language])
    assert_type(co.languages.iterate(), AsyncIterator[Language])
    assert_type(await co.terms.list(raw=True), Sequence[bytes])
    assert_type(co.terms.iterate(), AsyncIterator[Terms])
    assert_type(await co.admins.get(1), Admin)
    assert_type(await co.admins.list(where=F.email == "x"), Sequence[Admin])
    assert_type(co.admins.iterate(), AsyncIterator[Admin])
    assert_type(await co.config.set("chargeoverjs_token", "x"), bool)
    assert_type(await co.log.list(), Sequence[LogEntry])
    print(await co.teapot())
    assert_type(await co.resthooks.create(target_url="https://x", event="customer.insert"), Created)
    assert_type(await co.resthooks.subscribe(target_url="https://x", event="x"), Created)
    assert_type(await co.resthooks.list(), Sequence[Resthook])
    assert_type(co.resthooks.iterate(), AsyncIterator[Resthook])
    assert_type(await co.resthooks.delete(1), bool)
    assert_type(await co.resthooks.unsubscribe(1), bool)
    assert_type(await co.chargeoverjs.list(), Sequence[PendingRequest])
    assert_type(await co.chargeoverjs.commit("x"), bool)
    assert_type(await co.chargeoverjs.reject("x"), bool)
    assert_type(await co.reports.list(), Sequence[Report])
    assert_type(await co.reports.report_data(1, as_=list[MyRow]), list[MyRow])
    assert_type(await co.reports.report_data(1, raw=True), bytes)
    print(await co.aggregate("invoice", ["SUM(total)"], where=F.total > 1, group=["customer_id"]))


class MyRow(Record):
    total: Decimal | None = None


def webhooks() -> None:
    event = Webhooks("token", "older token", encrypted=False).parse(b"{}", {"X-ChargeOver-Key": ""})
    assert_type(event, WebhookEvent)
    assert_type(event.data.invoice, Invoice | None)
    assert_type(event.read("customer", MyCustomer), MyCustomer | None)
    assert_type(event.record, Record | None)
    assert_type(event.context_id, int | None)


def parameters(customers: Customers, target: Target, where: Where, order: Order) -> None:
    assert_type(customers.get(1, as_=MyCustomer), Operation[MyCustomer])
    assert_type(customers.delete(target), Operation[bool])
    assert_type(customers.list(where=where, order=order), Operation[Sequence[Customer]])


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
    settings = BulkSettings(references="client", assumptions=ServerAssumptions(deletes=True))
    async with co.bulk(settings) as scope:
        assert_type(scope, Bulk)
        assert_type(scope.report, BulkReport)
        assert_type(scope.unsettled, int)
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
        assert_type(error.field, str)
    if isinstance(error, OutcomeUnknown):
        assert_type(error.may_have_happened, bool)


def filters() -> None:
    clauses: list[Clause] = [
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
