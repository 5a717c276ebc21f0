"""The client's methods of customers, contacts and invoices, against the sandbox's rules."""

from __future__ import annotations

import datetime as dt

import pytest

from chargeover_async import BadRequest, ChargeOver, NotFound


@pytest.fixture
async def co(sandbox):
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as client:
        yield client


async def test_customer_methods(co):
    """Statuses, main contact, parent, default method, revisions, deletion."""
    parent = (await co.customers.create(company="Parent")).id
    made = (await co.customers.create(company="Child", parent_customer_id=parent)).id
    for form in ("query", "path"):
        assert await co.customers.set_inactive(made, form=form) is True
        assert (await co.customers.get(made)).customer_status_state == "i"
        assert await co.customers.set_active(made, form=form) is True
    user = (await co.users.create(customer_id=made, name="Jo Miller")).id
    await co.customers.set_primary_contact(made, user)
    assert (await co.customers.get(made)).superuser_name == "Jo Miller"
    assert await co.customers.disconnect_parent(made) is True
    assert (await co.customers.get(made)).parent_customer_id is None
    assert await co.customers.set_default_payment_method(made, paymethod="inv") is True
    notes = [revision.revision_note for revision in await co.customers.revisions(made)]
    assert notes[0] == "Customer: setPayMethod"
    assert notes[-1] == "Customer created"
    assert await co.customers.delete(made) is True
    with pytest.raises(NotFound):
        await co.customers.get(made)


async def test_contact_methods(co):
    """Passwords under both names and in both forms, a login address, deletion."""
    user = (await co.users.create(name="Jo Miller")).id
    for action in ("password", "reset_password"):
        for form in ("query", "path"):
            assert await co.users.send_password_reset(user, action=action, form=form) is True
            assert await co.users.set_password(user, "secret", action=action, form=form) is True
    urls = {await co.users.login(user, destination="invoices", form=f) for f in ("query", "path")}
    assert len(urls) == 2
    assert all(url.startswith("https://example.chargeover.com/") for url in urls)
    assert await co.users.delete(user) is True


async def test_invoice_methods(co):
    """What is mailed, printed, scheduled, changed, void and deleted."""
    customer = (await co.customers.create(company="Acme")).id
    item = (await co.items.create(name="Thing", item_type="service")).id
    lines = [{"item_id": item, "line_rate": 5}]
    first, second = [
        (await co.invoices.create(customer_id=customer, line_items=lines)).id for _ in range(2)
    ]
    assert await co.invoices.email(first, email="jo@example.com") is True
    for form in ("query", "path"):
        assert await co.invoices.print(first, form=form) is True
    assert await co.invoices.approve(first) is True
    schedule = [{"amount": 5, "date": dt.date(2026, 5, 1), "paymethod": "any"}]
    assert await co.invoices.schedule_payments(first, schedule) is True
    await co.invoices.update(first, memo="thanks")
    with pytest.raises(BadRequest, match="no payment method on file"):
        await co.invoices.pay(first)
    assert await co.invoices.apply_balance(first) is False
    with pytest.raises(BadRequest, match="open or unpaid"):
        await co.customers.delete(customer)
    assert await co.invoices.void(first, form="path") is True
    assert (await co.invoices.get(first)).invoice_status_str == "closed-void"
    assert await co.invoices.delete(second) is True
    assert await co.invoices.count() == 1
    assert await co.customers.delete(customer) is True
