"""What each method sends: path, query, body, how safe it is to repeat, and what comes back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from support.scripted import World, created, envelope

from chargeover_async import (
    BadRequest,
    Created,
    Customer,
    DecodeError,
    ExternalKey,
    F,
    Invoice,
    Item,
    Repeat,
    Revision,
    Token,
    UsageError,
    User,
)

READ, IDEMPOTENT, KEYED, ONCE = Repeat.READ, Repeat.IDEMPOTENT, Repeat.KEYED, Repeat.ONCE
LINE = {"item_id": 1, "line_rate": Decimal("2.95")}

CALLS: list[tuple[Any, str, Any, Repeat]] = [
    # the call, METHOD target, body, class
    (lambda co: co.customers.get(7), "GET /customer/7", None, READ),
    (
        lambda co: co.customers.get(external_key="a b"),
        "GET /customer/external_key:a%20b",
        None,
        READ,
    ),
    (lambda co: co.invoices.get(token="t1"), "GET /invoice/token:t1", None, READ),
    (lambda co: co.items.list(), "GET /item", None, READ),
    (
        lambda co: co.users.list(where=F.customers.customer_id == 44, limit=100, offset=0),
        "GET /user?where=customers.customer_id:EQUALS:44&limit=100&offset=0",
        None,
        READ,
    ),
    (lambda co: co.invoices.list(order="-total"), "GET /invoice?order=total:DESC", None, READ),
    (lambda co: co.invoices.count(), "GET /invoice/_count", None, READ),
    (
        lambda co: co.invoices.count(where=[F.total > 1, F.date == None]),  # noqa: E711
        "GET /invoice/_count?where=total:GT:1,date:IS:NULL",
        None,
        READ,
    ),
    (
        lambda co: co.customers.revisions(7, limit=3),
        "GET /customer/7/_revision?limit=3",
        None,
        READ,
    ),
    (
        lambda co: co.customers.revisions(ExternalKey("a")),
        "GET /customer/external_key:a/_revision",
        None,
        READ,
    ),
    (lambda co: co.customers.create(company="A"), "POST /customer", {"company": "A"}, ONCE),
    (
        lambda co: co.customers.create(external_key="a"),
        "POST /customer",
        {"external_key": "a"},
        KEYED,
    ),
    (
        lambda co: co.customers.create(company="A", external_key=None),
        "POST /customer",
        {"company": "A", "external_key": None},
        ONCE,
    ),
    (
        lambda co: co.customers.create(extra={"external_key": "a"}),
        "POST /customer",
        {"external_key": "a"},
        KEYED,
    ),
    (
        lambda co: co.customers.update(7, company="A"),
        "PUT /customer/7",
        {"company": "A"},
        IDEMPOTENT,
    ),
    (
        lambda co: co.customers.update(7, external_key="b"),
        "PUT /customer/7",
        {"external_key": "b"},
        IDEMPOTENT,
    ),
    (
        lambda co: co.customers.update(ExternalKey("a"), external_key="b"),
        "PUT /customer/external_key:a",
        {"external_key": "b"},
        ONCE,
    ),
    (lambda co: co.customers.delete(7), "DELETE /customer/7", None, IDEMPOTENT),
    (lambda co: co.customers.set_active(7), "POST /customer/7?action=setActive", {}, IDEMPOTENT),
    (
        lambda co: co.customers.set_inactive(7),
        "POST /customer/7?action=setInactive",
        {},
        IDEMPOTENT,
    ),
    (
        lambda co: co.customers.set_default_payment_method(7, paymethod="crd", creditcard_id=3),
        "POST /customer/7/_action/setPayMethod",
        {"paymethod": "crd", "creditcard_id": 3},
        IDEMPOTENT,
    ),
    (
        lambda co: co.customers.disconnect_parent(7),
        "POST /customer/7/_action/disconnectParent",
        {},
        IDEMPOTENT,
    ),
    (
        lambda co: co.customers.set_primary_contact(7, 3),
        "PUT /customer/7",
        {"superuser_id": 3},
        IDEMPOTENT,
    ),
    (
        lambda co: co.customers.email(7, action="email", message_id=2),
        "POST /customer/7?action=email",
        {"message_id": 2},
        ONCE,
    ),
    (
        lambda co: co.invoices.create(customer_id=7, line_items=[LINE]),
        "POST /invoice",
        {"customer_id": 7, "line_items": [LINE]},
        ONCE,
    ),
    (
        lambda co: co.invoices.create(
            customer_external_key="c",
            external_key="i",
            line_items=[LINE],
            date=dt.date(2026, 1, 31),
        ),
        "POST /invoice",
        {
            "customer_external_key": "c",
            "external_key": "i",
            "line_items": [LINE],
            "date": "2026-01-31",
        },
        KEYED,
    ),
    (
        lambda co: co.invoices.update(7, line_items=[{"line_item_id": 5}]),
        "PUT /invoice/7",
        {"line_items": [{"line_item_id": 5}]},
        IDEMPOTENT,
    ),
    (lambda co: co.invoices.delete(Token("t")), "DELETE /invoice/token:t", None, IDEMPOTENT),
    (lambda co: co.invoices.pay(7), "POST /invoice/7?action=pay", {}, ONCE),
    (
        lambda co: co.invoices.pay_credit_card(7, number="41", expdate_year="2030", name=None),
        "POST /invoice/7?action=pay",
        {"number": "41", "expdate_year": "2030", "name": None},
        ONCE,
    ),
    (
        lambda co: co.invoices.pay_ach(7, number="1", routing="2", type="chec"),
        "POST /invoice/7?action=pay",
        {"number": "1", "routing": "2", "type": "chec"},
        ONCE,
    ),
    (
        lambda co: co.invoices.apply_balance(7),
        "POST /invoice/7?action=pay",
        {"use_customer_balance": True},
        ONCE,
    ),
    (
        lambda co: co.invoices.schedule_payments(
            7, ({"amount": amount, "date": "2026-01-31"} for amount in ("1.10", 2))
        ),
        "POST /invoice/7/_action/schedule",
        {
            "schedule": [
                {"amount": "1.10", "date": "2026-01-31"},
                {"amount": 2, "date": "2026-01-31"},
            ]
        },
        ONCE,
    ),
    (lambda co: co.invoices.void(7), "POST /invoice/7?action=void", {}, ONCE),
    (
        lambda co: co.invoices.email(7, **{"from": "a@b.c"}, extra={"cc": "d"}),
        "POST /invoice/7?action=email",
        {"from": "a@b.c", "cc": "d"},
        ONCE,
    ),
    (lambda co: co.invoices.print(7), "POST /invoice/7?action=print", {}, ONCE),
    (lambda co: co.invoices.approve(7), "POST /invoice/7?action=approve", {}, ONCE),
    (
        lambda co: co.items.create(
            type="service", name="x", pricemodel={"base": Decimal("100.99")}
        ),
        "POST /item",
        {"type": "service", "name": "x", "pricemodel": {"base": Decimal("100.99")}},
        ONCE,
    ),
    (
        lambda co: co.users.create(first_name="John", customer_id=44),
        "POST /user",
        {"first_name": "John", "customer_id": 44},
        ONCE,
    ),
    (lambda co: co.users.update(3, email="a@b.c"), "PUT /user/3", {"email": "a@b.c"}, IDEMPOTENT),
    (lambda co: co.users.delete(3), "DELETE /user/3", None, IDEMPOTENT),
    (lambda co: co.users.send_password_reset(3), "POST /user/3?action=password", {}, ONCE),
    (
        lambda co: co.users.set_password(3, "pw"),
        "POST /user/3?action=password",
        {"password": "pw"},
        ONCE,
    ),
    (
        lambda co: co.users.login(3, destination="/x"),
        "POST /user/3?action=login",
        {"destination": "/x"},
        READ,
    ),
    (lambda co: co.request("DELETE", "/note/3"), "DELETE /note/3", None, IDEMPOTENT),
    (lambda co: co.request("PUT", "/note/3", json={"a": 1}), "PUT /note/3", {"a": 1}, IDEMPOTENT),
    (lambda co: co.request("POST", "/note", json=[]), "POST /note", [], ONCE),
    (
        lambda co: co.request("POST", "/note/1", query={"action": "x"}, repeat=IDEMPOTENT),
        "POST /note/1?action=x",
        None,
        IDEMPOTENT,
    ),
]


@pytest.mark.parametrize(
    ("call", "target", "body", "repeat"), CALLS, ids=[call[1] for call in CALLS]
)
async def test_what_a_call_sends(call: Any, target: str, body: Any, repeat: Repeat):
    """One request, exactly this one."""
    world = World(envelope(200, None))
    operation = call(world.co)
    assert operation.repeat is repeat
    await operation.wait()
    assert world.sent == [target]
    assert world.script.body(0) == body
    assert str(world.script.body(0)) == str(body)


@pytest.mark.parametrize(
    ("call", "response", "value"),
    [
        (lambda co: co.customers.create(company="A"), {"id": 7}, Created(id=7)),
        (lambda co: co.customers.create(company="A"), {"id": "7"}, Created(id=7)),
        (lambda co: co.customers.update(7, company="A"), {"id": 7}, Created(id=7)),
        (lambda co: co.customers.get(7), {"customer_id": 7}, Customer(customer_id=7)),
        (lambda co: co.users.get(7), {"user_id": 7}, User(user_id=7)),
        (lambda co: co.invoices.list(), [{"invoice_id": 7}], [Invoice(invoice_id=7)]),
        (lambda co: co.items.list(), [], []),
        (lambda co: co.items.list(), {"0": {"item_id": 1}}, DecodeError),
        (lambda co: co.customers.count(), 3, 3),
        (lambda co: co.customers.count(), "3", 3),
        (lambda co: co.customers.count(), None, DecodeError),
        (lambda co: co.customers.revisions(7), [{"admin_id": 1}], [Revision(admin_id=1)]),
        (lambda co: co.customers.delete(7), True, True),
        (lambda co: co.invoices.pay(7), True, True),
        (lambda co: co.invoices.apply_balance(7), False, False),
        (lambda co: co.invoices.void(7), None, False),
        (lambda co: co.invoices.void(7), {"id": 7}, True),
        (lambda co: co.users.login(7), "https://x/login", "https://x/login"),
        (lambda co: co.users.login(7), True, DecodeError),
        (lambda co: co.request("GET", "/x"), {"a": 1.5}, {"a": Decimal("1.5")}),
        (lambda co: co.request("GET", "/x"), None, None),
        (lambda co: co.request("GET", "/x", as_=list[Item]), [{"item_id": 1}], [Item(item_id=1)]),
        (lambda co: co.request("GET", "/x", as_=dict[str, int]), {"a": 1}, {"a": 1}),
        (lambda co: co.request("GET", "/x", as_=dict[str, int]), {"a": "x"}, DecodeError),
    ],
)
async def test_what_a_call_returns(call: Any, response: Any, value: Any):
    """The value, of the documented type; what does not fit is a DecodeError."""
    outcome = await call(World(envelope(200, response)).co).wait()
    if value is DecodeError:
        assert isinstance(outcome.error, DecodeError)
        assert outcome.state == "done"
    else:
        assert outcome.error is None
        assert outcome.value == value
        assert type(outcome.value) is type(value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda co: co.customers.get(), "exactly|takes one of"),
        (lambda co: co.customers.get(1, token="t"), "takes one of"),
        (lambda co: co.customers.get("7"), "takes an id; write ExternalKey"),
        (lambda co: co.customers.get(True), "whole number"),
        (lambda co: co.customers.get(0), "at least 1"),
        (lambda co: co.customers.get(-1), "from 0"),
        (lambda co: co.customers.get(2**63), "from 0"),
        (lambda co: co.customers.get(1.5), "whole number"),
        (lambda co: co.customers.update("a", company="x"), "write ExternalKey"),
        (lambda co: co.customers.delete(None), "whole number"),
        (lambda co: co.customers.set_primary_contact(7, "3"), "superuser_id"),
        (lambda co: co.invoices.pay_credit_card(7), "needs number"),
        (lambda co: co.invoices.pay_credit_card(7, number=""), "needs number"),
        (lambda co: co.invoices.pay_credit_card(7, name="Doe"), "needs number"),
        (lambda co: co.invoices.pay_ach(7, routing="2"), "needs number"),
        (lambda co: co.invoices.schedule_payments(7, []), "no payment"),
        (lambda co: co.invoices.schedule_payments(7, [{"amount": 1}]), r"\[0\] needs date"),
        (lambda co: co.invoices.schedule_payments(7, [{}]), "needs amount and date"),
        (lambda co: co.invoices.schedule_payments(7, 5), "list of payments"),
        (lambda co: co.invoices.schedule_payments(7, [5]), "must be a mapping"),
        (lambda co: co.users.set_password(7, ""), "needs a password"),
        (lambda co: co.customers.email(7, action="email", message_id="2"), "message_id"),
        (lambda co: co.with_options(flags={"a b": 1}), "flag"),
        (lambda co: co.with_options(flags={"emails": "0"}), "flag"),
        (lambda co: co.with_options(flags={5: 0}), "flag"),
        (lambda co: co.with_options(on_behalf_addr=""), "on_behalf_addr"),
        (lambda co: co.with_options(on_behalf_details=5), "on_behalf_details"),
    ],
)
def test_a_call_that_cannot_be_right_is_refused(call: Any, words: str):
    """When it is built; nothing is sent."""
    world = World()
    with pytest.raises(UsageError, match=words):
        call(world.co)
    assert world.sent == []


# -- all pages -------------------------------------------------------------------------------


def page(*ids: int) -> Any:
    return envelope(200, [{"customer_id": number} for number in ids])


async def test_iterate_goes_by_key_and_ends_with_a_page_that_is_empty():
    """Asking for what comes after the last one seen: no offset grows, nothing shifts."""
    world = World(page(1, 4), page(7, 9), page(12), page())
    seen = [
        customer.customer_id
        async for customer in world.co.customers.iterate(where=F.company != "", page=2)
    ]
    assert seen == [1, 4, 7, 9, 12]
    assert world.sent == [
        "GET /customer?where=company:NOTEQUALS:&order=customer_id:ASC&limit=2",
        "GET /customer?where=company:NOTEQUALS:,customer_id:GT:4&order=customer_id:ASC&limit=2",
        "GET /customer?where=company:NOTEQUALS:,customer_id:GT:9&order=customer_id:ASC&limit=2",
        "GET /customer?where=company:NOTEQUALS:,customer_id:GT:12&order=customer_id:ASC&limit=2",
    ]


async def test_iterate_in_an_order_counts_offsets():
    """As the API pages without a key."""
    world = World(page(9, 4), page())
    seen = [
        customer.customer_id
        async for customer in world.co.customers.iterate(order="-total", page=2)
    ]
    assert seen == [9, 4]
    assert world.sent == [
        "GET /customer?order=total:DESC&limit=2&offset=0",
        "GET /customer?order=total:DESC&limit=2&offset=2",
    ]


async def test_iterate_asks_for_full_pages_and_no_more_than_it_needs():
    """500 records a request; a caller who stops sends nothing more."""
    world = World(page(*range(1, 501)))
    async for customer in world.co.customers.iterate():
        if customer.customer_id == 3:
            break
    assert world.sent == ["GET /customer?order=customer_id:ASC&limit=500"]
    world = World(page())
    assert [customer async for customer in world.co.customers.iterate()] == []


async def test_iterate_never_goes_round_in_circles():
    """A server that ignores the key or the filter is an error, not an endless loop."""
    for second in (page(1, 2), page(2, 2), page(0, 1)):
        world = World(page(1, 2), second)
        with pytest.raises(DecodeError, match="does not page customers by customer_id"):
            async for _ in world.co.customers.iterate(page=2):
                pass


async def test_a_page_that_fails_raises_after_the_pages_before_it():
    """What was read was yielded."""
    world = World(page(1, 2), envelope(400, False, "no"))
    pages = world.co.customers.iterate(page=2)
    assert [(await anext(pages)).customer_id for _ in range(2)] == [1, 2]
    with pytest.raises(BadRequest, match="no"):
        await anext(pages)


async def test_flags_of_a_client_go_with_every_call():
    """Writes, reads and pages alike; the action stays first."""
    world = World(
        created(1), page(1), page(), flags={"_flag_emails": 0}, on_behalf_details="Jo & Co"
    )
    await world.co.customers.create(company="x")
    async for _ in world.co.customers.iterate():
        pass
    tail = "on_behalf_details=Jo%20%26%20Co&_flag_emails=0"
    assert world.sent == [
        f"POST /customer?{tail}",
        f"GET /customer?order=customer_id:ASC&limit=500&{tail}",
        f"GET /customer?where=customer_id:GT:1&order=customer_id:ASC&limit=500&{tail}",
    ]
