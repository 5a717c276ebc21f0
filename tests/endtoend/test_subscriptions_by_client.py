"""The client's methods of subscriptions, usage, quotes, notes and catalog against the sandbox."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from chargeover_async import ChargeOver, F
from chargeover_async.errors import ChargeOverError, NotFound
from chargeover_async.limits import NoLimit
from chargeover_async.resources.subscriptions import Subscriptions
from chargeover_async.sandbox import Sandbox
from chargeover_async.vocabulary import NEXT_SCHEDULED_INVOICE

NEXT_MONTH = dt.datetime.fromisoformat("2026-04-01 00:00:00")  # naive, as on the wire
NOW = dt.datetime(2026, 3, 1, 9, 30, tzinfo=dt.UTC)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(quota=None, now=lambda: NOW) as running:
        yield running


@pytest.fixture
async def co(sandbox: Sandbox) -> AsyncIterator[ChargeOver]:
    async with ChargeOver(
        sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()
    ) as client:
        yield client


@pytest.fixture
async def package(co: ChargeOver) -> int:
    """A subscription of customer "acme" to the item "plan", with the line "line"."""
    price = {"base": Decimal("10.50"), "paycycle": "mon", "pricemodel": "fla"}
    await co.items.create(type="service", name="Plan", external_key="plan", pricemodel=price)
    await co.customers.create(company="Acme", external_key="acme")
    await co.creditcards.create(
        customer_external_key="acme", number="4111111111111111", expdate=dt.date(2030, 1, 1)
    )
    made = await co.subscriptions.create(
        customer_external_key="acme",
        external_key="sub",
        nickname="first",
        bill_city="Burlington",
        line_items=[{"item_external_key": "plan", "external_key": "line"}],
    )
    return made.id


async def test_a_subscription_is_made_read_and_changed(co: ChargeOver, package: int) -> None:
    """By id, key and token; with its lines, and in lists with them only when asked."""
    one = await co.subscriptions.get(package)
    assert one == await co.subscriptions.get(external_key="sub")
    assert one == await co.packages.get(token=one.token)
    assert (one.paymethod, one.paycycle, one.mrr) == ("inv", "mon", Decimal("10.5"))
    assert str(one.next_invoice_datetime) == "2026-03-02 00:00:01"
    assert one.line_items is not None
    (line,) = one.line_items
    assert (line.item_external_key, line.external_key) == ("plan", "line")
    assert line.tierset is not None
    assert line.tierset.base == Decimal("10.5")
    await co.subscriptions.update(package, nickname="second", tags=["a", "b"])
    changed = await co.subscriptions.get(package)
    assert (changed.nickname, changed.tags) == ("second", ["a", "b"])
    (listed,) = await co.subscriptions.list(where=F.nickname == "second")
    assert listed.line_items is None
    (listed,) = await co.subscriptions.list(expand="line_items")
    assert listed.line_items == one.line_items
    found = [subscription async for subscription in co.subscriptions.iterate(expand=["line_items"])]
    assert found == [listed]
    assert await co.subscriptions.count(where=F.package_status_state == "a") == 1
    notes = [revision.revision_note for revision in await co.subscriptions.revisions(package)]
    assert notes == ["Package updated", "Package created"]


ACTIONS: dict[str, tuple[tuple[Any, ...], dict[str, Any], str, Any]] = {
    "set_paymethod": ((), {"paymethod": "crd", "creditcard_id": 1}, "creditcard_id", 1),
    "set_paycycle": (("yrl",), {}, "paycycle", "yrl"),
    "invoice_now": ((), {"date": dt.date(2026, 2, 28)}, "amount_invoiced", Decimal("10.5")),
    "suspend": ((), {}, "package_status_str", "suspended-suspended"),
    "unsuspend": ((), {}, "package_status_str", "active-current"),
    "cancel": ((), {"cancel_date": dt.date(2026, 3, 1)}, "package_status_str", "canceled-manual"),
    "uncancel": ((), {}, "package_status_str", "active-current"),
    "hold": ((NEXT_MONTH.date(),), {}, "next_invoice_datetime", NEXT_MONTH),
    "send_welcome": ((), {"message_id": 3}, "package_status_str", "active-current"),
    "upgrade": (([{"item_external_key": "plan", "line_quantity": 2}],), {}, "mrr", Decimal("31.5")),
}


def test_all_actions_are_here() -> None:
    """An action that the client gains has to be tried here."""
    own = {name for name, value in vars(Subscriptions).items() if inspect.isfunction(value)}
    others = {"get", "list", "iterate", "create", "update", "upsert", "get_or_create"}
    assert {name for name in own if not name.startswith("_")} - others == ACTIONS.keys()


@pytest.mark.parametrize("form", ["query", "path"])
@pytest.mark.parametrize("name", ACTIONS)
async def test_an_action_does_what_it_says(
    co: ChargeOver, sandbox: Sandbox, package: int, name: str, form: str
) -> None:
    """In both spellings, directly, and once more in a bulk."""
    args, fields, shown, expected = ACTIONS[name]
    assert await getattr(co.subscriptions, name)(package, *args, form=form, **fields) is True
    assert getattr(await co.subscriptions.get(package), shown) == expected
    assert [action.object for action in sandbox.store.actions] == ["package"]
    if name != "invoice_now":  # a second time would be refused or doubled where it is not final
        async with co.bulk() as bulk:
            await getattr(bulk.subscriptions, name)(package, *args, form=form, **fields)
        assert len(sandbox.store.actions) == 2


async def test_an_upgrade_names_its_line_by_key(co: ChargeOver, package: int) -> None:
    """Replaced under a new id, then dropped."""
    price = {"base": "200", "pricemodel": "fla", "paycycle": "mon"}
    entry = {"line_item_external_key": "line", "item_id": 1, "tierset": price}
    await co.subscriptions.upgrade(package, [entry])  # type: ignore[list-item]
    one = await co.subscriptions.get(package)
    assert one.line_items is not None
    (line,) = one.line_items
    assert (line.line_item_id, line.external_key) == (555, "line")
    assert line.tierset is not None
    assert line.tierset.base == 200
    await co.subscriptions.upgrade(package, [{"line_item_id": 555, "cancel": True}])
    assert (await co.subscriptions.get(package)).line_items == []


async def test_the_next_scheduled_invoice(co: ChargeOver, package: int) -> None:
    await co.subscriptions.invoice_now(package, date=NEXT_SCHEDULED_INVOICE)
    (invoice,) = await co.invoices.list(where=F.package_id == package)
    assert invoice.date == dt.date(2026, 3, 2)
    one = await co.invoices.get(invoice.invoice_id)
    assert one.line_items is not None
    assert [line.is_recurring for line in one.line_items] == [True]
    with pytest.raises(ChargeOverError, match="open or unpaid invoices"):
        await co.customers.delete(1)


async def test_a_customer_with_a_subscription_stays(co: ChargeOver, package: int) -> None:
    assert (await co.customers.get(1)).arr == 126
    with pytest.raises(ChargeOverError, match="active subscriptions"):
        await co.customers.delete(1)
    await co.subscriptions.cancel(package)
    await co.customers.delete(1)
    with pytest.raises(NotFound):
        await co.customers.get(1)


async def test_usage_is_stored_one_by_one_and_by_thousands(co: ChargeOver, package: int) -> None:
    """Each way the client has, and every way it names a line."""
    assert package
    day = dt.date(2026, 2, 1)
    one = await co.usage.create(line_item_id=554, usage_value="1.5", from_=day, external_key="u")
    assert one.id == 1
    names: list[Any] = [
        {"line_item_external_key": "line"},
        {"customer": {"external_key": "acme"}, "line_item": {"item_external_key": "plan"}},
        {"customer.external_key": "acme", "line_item.item_external_key": "plan"},
    ]
    assert (await co.usage.bulk([{**name, "usage_value": 1} for name in names])).id == 4
    rows: list[Any] = [{"line_item_id": 554, "usage_value": 1} for _ in range(2500)]
    outcomes = [outcome async for outcome in co.usage.upload(rows)]
    assert sorted(len(outcome.rows) for outcome in outcomes) == [500, 1000, 1000]
    assert all(outcome.error is None for outcome in outcomes)
    listed = [record async for record in co.usage.iterate(where=F.line_item_id == 554)]
    assert len(listed) == 2504
    (first,) = await co.usage.list(where=F.external_key == "u")
    assert (first.usage_value, first.from_) == (
        Decimal("1.5"),
        dt.datetime.fromisoformat("2026-02-01"),
    )
    refused = [outcome async for outcome in co.usage.upload([rows[0], {**rows[0], "type": "?"}])]
    assert [outcome.state for outcome in refused] == ["refused"]


async def test_quotes_and_notes(co: ChargeOver, package: int) -> None:
    """Made, read, listed and counted; a note hangs on the subscription."""
    line = {"item_external_key": "plan", "line_quantity": 2, "line_rate": Decimal("1.25")}
    made = await co.quotes.create(
        customer_external_key="acme", paycycle="mon", line_items=[line], memo="m"
    )
    quote = await co.quotes.get(made.id)
    assert (quote.total, quote.memo, quote.quote_status_str) == (Decimal("2.5"), "m", "open-new")
    assert quote.line_items is not None
    assert [line.item_name for line in quote.line_items] == ["Plan"]
    (listed,) = await co.quotes.list(where=F.quote_status_state == "o")
    assert listed.line_items is None
    assert await co.quotes.count() == 1
    await co.notes.create(note="hello", obj_type="package", obj_external_key="sub")
    query = [F.context_str == "billing_package", F.context_id == package]
    (note,) = await co.notes.list(where=query)
    assert (note.note, note.note_datetime) == ("hello", NOW.replace(tzinfo=None))
    assert await co.notes.count(where=query) == 1


async def test_lists_that_are_only_read(co: ChargeOver, sandbox: Sandbox) -> None:
    sandbox.store.seed("coupon", {"coupon_id": 1, "code": "SPRING"})
    sandbox.store.seed("_customfield", {"customfield_id": 1, "field": "custom_1"})
    assert [coupon.code for coupon in await co.coupons.list()] == ["SPRING"]
    assert [field.field for field in await co.customfields.list()] == ["custom_1"]
    assert [category.name for category in await co.item_categories.list()] == ["Root"]
    assert await co.item_categories.count() == 1
