"""Subscriptions, transactions, quotes and stored methods: what is sent, refused and read."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from support.scripted import World, created, envelope

from chargeover_async import Created, DecodeError, ExternalKey, F, Repeat, UsageError
from chargeover_async.models import Subscription, Transaction
from chargeover_async.models._json.read import read
from chargeover_async.resources import RESOURCES
from chargeover_async.vocabulary import NEXT_SCHEDULED_INVOICE, PayCycle, PayMethod

READ, IDEMPOTENT, KEYED, ONCE = Repeat.READ, Repeat.IDEMPOTENT, Repeat.KEYED, Repeat.ONCE
LINE: Any = {"item_id": 1, "tierset": {"base": "800", "tiers": [{"unit_from": 1, "amount": "2.5"}]}}

CALLS: list[tuple[Any, str, str, Any, Repeat]] = [
    # the call, METHOD path, action, body, class
    (
        lambda co: co.subscriptions.create(customer_id=7, line_items=[LINE]),
        "POST /package",
        "",
        {"customer_id": 7, "line_items": [LINE]},
        ONCE,
    ),
    (
        lambda co: co.packages.create(external_key="s-1"),
        "POST /package",
        "",
        {"external_key": "s-1"},
        KEYED,
    ),
    (
        lambda co: co.subscriptions.update(5, nickname="n"),
        "PUT /package/5",
        "",
        {"nickname": "n"},
        IDEMPOTENT,
    ),
    (
        lambda co: co.subscriptions.upgrade(5, [{"line_item_id": 611, **LINE}]),
        "POST /package/5",
        "upgrade",
        {"line_items": [{"line_item_id": 611, **LINE}]},
        ONCE,
    ),
    (
        lambda co: co.subscriptions.set_paymethod(
            ExternalKey("s"), paymethod=PayMethod.CREDIT_CARD, creditcard_external_key="c"
        ),
        "POST /package/external_key:s",
        "paymethod",
        {"paymethod": "crd", "creditcard_external_key": "c"},
        IDEMPOTENT,
    ),
    (
        lambda co: co.subscriptions.set_paymethod(5, paymethod="inv", form="path"),
        "POST /package/5/_action/setPayMethod",
        "",
        {"paymethod": "inv"},
        IDEMPOTENT,
    ),
    (
        lambda co: co.subscriptions.set_paycycle(5, PayCycle.MONTHLY, form="path"),
        "POST /package/5/_action/setPayCycle",
        "",
        {"paycycle": "mon"},
        IDEMPOTENT,
    ),
    (lambda co: co.subscriptions.invoice_now(5), "POST /package/5", "invoice", {}, ONCE),
    (
        lambda co: co.subscriptions.invoice_now(5, date=dt.date(2026, 1, 31)),
        "POST /package/5",
        "invoice",
        {"date": "2026-01-31"},
        ONCE,
    ),
    (
        lambda co: co.subscriptions.invoice_now(5, date=NEXT_SCHEDULED_INVOICE),
        "POST /package/5",
        "invoice",
        {"date": "NEXT_SCHEDULED_INVOICE"},
        ONCE,
    ),
    (lambda co: co.subscriptions.cancel(5), "POST /package/5", "cancel", {}, ONCE),
    (lambda co: co.subscriptions.uncancel(5), "POST /package/5/_action/uncancel", "", {}, ONCE),
    (lambda co: co.subscriptions.suspend(5), "POST /package/5", "suspend", {}, IDEMPOTENT),
    (lambda co: co.subscriptions.unsuspend(5), "POST /package/5", "unsuspend", {}, IDEMPOTENT),
    (
        lambda co: co.subscriptions.hold(5, dt.date(2015, 3, 26)),
        "POST /package/5",
        "hold",
        {"holduntil_datetime": "2015-03-26"},
        IDEMPOTENT,
    ),
    (lambda co: co.subscriptions.send_welcome(5), "POST /package/5", "welcome", {}, ONCE),
    (
        lambda co: co.transactions.create_credit(customer_id=1, amount="42.50", external_key="k"),
        "POST /transaction",
        "",
        {
            "customer_id": 1,
            "amount": "42.50",
            "external_key": "k",
            "transaction_type": "cre",
            "gateway_method": "credit",
        },
        KEYED,
    ),
    (
        lambda co: co.transactions.create_refund(customer_id=1, amount=-5),
        "POST /transaction",
        "",
        {"customer_id": 1, "amount": -5, "transaction_type": "ref"},
        ONCE,
    ),
    (
        lambda co: co.transactions.pay(customer_token="t", amount=Decimal("9.95")),
        "POST /transaction",
        "pay",
        {"customer_token": "t", "amount": Decimal("9.95")},
        ONCE,
    ),
    (
        lambda co: co.transactions.pay(customer_id=1, applied_to=[{"invoice_id": 2}], form="path"),
        "POST /transaction/_action/pay",
        "",
        {"customer_id": 1, "applied_to": [{"invoice_id": 2}]},
        ONCE,
    ),
    (lambda co: co.transactions.refund(5), "POST /transaction/5", "refund", {}, ONCE),
    (
        lambda co: co.transactions.refund(5, amount=10),
        "POST /transaction/5",
        "refund",
        {"amount": 10},
        ONCE,
    ),
    (lambda co: co.transactions.void(5), "POST /transaction/5", "void", {}, ONCE),
    (lambda co: co.transactions.email(5), "POST /transaction/5", "email", {}, ONCE),
    (
        lambda co: co.transactions.change_applied_amounts(5, []),
        "POST /transaction/5",
        "changeAppliedAmounts",
        {"applied_to": []},
        IDEMPOTENT,
    ),
    (lambda co: co.creditcards.delete(5), "DELETE /creditcard/5", "", None, IDEMPOTENT),
    (lambda co: co.ach.delete(5), "DELETE /ach/5", "", None, IDEMPOTENT),
    (
        lambda co: co.tokenized.create(customer_id=3, type="customer", token="cus_1"),
        "POST /tokenized",
        "",
        {"customer_id": 3, "type": "customer", "token": "cus_1"},
        ONCE,
    ),
]


@pytest.mark.parametrize(("build", "line", "action", "body", "repeat"), CALLS)
def test_a_call_sends_what_it_says(build: Any, line: str, action: str, body: Any, repeat: Repeat):
    """And what moves money, sends mail or adds lines is never sent twice by itself."""
    call = build(World().co)
    call.close()
    assert f"{call.method} {call.path}" == line
    assert dict(call.query) == ({"action": action} if action else {})
    assert (call.payload, call.repeat) == (body, repeat)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda co: co.subscriptions.set_paymethod(1, creditcard_id=2), "needs paymethod"),
        (lambda co: co.subscriptions.set_paycycle(1, ""), "needs paycycle"),
        (lambda co: co.subscriptions.upgrade(1, []), "at least one entry"),
        (lambda co: co.subscriptions.upgrade(1, "x"), "must be a list"),
        (lambda co: co.subscriptions.hold(1, "soon"), "holduntil_datetime must be a date"),
        (lambda co: co.subscriptions.invoice_now(1, date="NEXT"), "must be a date"),
        (lambda co: co.subscriptions.cancel(1, form="body"), "form must be"),
        (lambda co: co.subscriptions.list(expand="a,b&c"), "expand takes names"),
        (lambda co: co.subscriptions.create(nicknam="x"), 'did you mean "nickname"'),
        (lambda co: co.transactions.pay(amount=1), "needs one of customer_id"),
        (lambda co: co.transactions.pay(customer_id=1), "needs one of amount, applied_to"),
        (lambda co: co.transactions.pay(customer_id=1, amount=9.95), "exact amount"),
        (lambda co: co.transactions.create_credit(transaction_type="pay"), "has no field"),
        (lambda co: co.quotes.create(customer_id=1, line_items=[LINE]), "needs paycycle"),
        (lambda co: co.quotes.create(customer_id=1, paycycle="mon"), "entry in line_items"),
        (lambda co: co.quotes.create(paycycle="mon", line_items=[LINE]), "one of customer_id"),
    ],
)
def test_what_cannot_be_right_is_refused_before_it_is_sent(build: Any, words: str):
    """With the method, the field and what was wanted."""
    with pytest.raises(UsageError, match=words):
        build(World().co)


@pytest.mark.parametrize(
    "build",
    [
        lambda co: co.creditcards.create(customer_id=1, number=4111111111111111),
        lambda co: co.creditcards.create(customer_id=1, number="4111\udc80"),
        lambda co: co.creditcards.create(customer_id=1, cvv=4111),
        lambda co: co.creditcards.create(customer_id=1, extra={"number": [4111.0]}),
        lambda co: co.ach.create(number=4111),
        lambda co: co.ach.create(routing=4111.0),
        lambda co: co.tokenized.create(token=4111),
        lambda co: co.transactions.pay(customer_id=1, amount=1, paymethods="4111"),
        lambda co: co.transactions.pay(customer_id=1, amount=1, paymethods=["4111"]),
        lambda co: co.transactions.pay(customer_id=1, amount=1, paymethods=[{"number": 4111}]),
        lambda co: co.users.set_password(1, 4111),
        lambda co: co.users.create(password=4111),
    ],
)
def test_a_refused_secret_is_not_shown(build: Any):
    """Whatever stands in the place of a card number, an account or a password."""
    with pytest.raises(UsageError) as caught:
        build(World().co)
    assert "4111" not in str(caught.value)


def test_a_secret_that_is_sent_is_in_no_label_and_no_repr():
    """Labels go into errors and logs."""
    call = World().co.creditcards.create(number="4111111111111111", cvv="987", external_key="c")
    call.close()
    assert call.payload["number"] == "4111111111111111"
    assert not {"4111", "987"} & set(f"{call!r} {call.label}".split())
    assert "4111" not in f"{call!r} {call.label}"


def test_an_object_offers_no_call_that_no_source_shows():
    """A method that the API does not have would only fail later."""
    verbs = {"get", "list", "iterate", "count", "revisions", "create", "update", "delete"}
    have = {
        name: {verb for verb in verbs if hasattr(RESOURCES[name], verb)}
        for name in ("package", "quote", "transaction", "creditcard", "tokenized", "ach")
    }
    reading = {"get", "list", "iterate", "count", "revisions"}
    assert have["package"] == reading | {"create", "update"}
    assert have["quote"] == have["transaction"] == reading | {"create"}
    cards = {"get", "list", "iterate", "create", "delete"}
    assert have["creditcard"] == have["tokenized"] == cards
    assert have["ach"] == cards - {"get"}


async def test_lines_are_asked_for_on_every_page():
    """``expand`` goes with the pages of an iteration, too."""
    records = [{"package_id": n, "line_items": [{"line_item_id": n}]} for n in (1, 2, 3)]
    world = World(envelope(200, records[:2]), envelope(200, records[2:]), envelope(200, []))
    found = [
        subscription
        async for subscription in world.co.subscriptions.iterate(page=2, expand=["line_items"])
    ]
    assert [
        subscription.line_items and subscription.line_items[0].line_item_id
        for subscription in found
    ] == [1, 2, 3]
    assert [dict(request.query)["expand"] for request in world.script.requests] == [
        "line_items"
    ] * 3
    assert dict(world.script.requests[1].query)["where"] == "package_id:GT:2"


@pytest.mark.parametrize(("answer", "value"), [(True, True), ({"id": 9}, Created(id=9))])
async def test_invoicing_now_returns_whichever_answer_comes(answer: Any, value: Any):
    """The page shows true, a client of the vendor reads an id."""
    world = World(envelope(200, answer))
    assert await world.co.subscriptions.invoice_now(5) == value


async def test_a_payment_returns_the_new_transaction():
    """Its answer has the code 200 and an id."""
    world = World(envelope(200, {"id": 31}), created(32))
    assert (await world.co.transactions.pay(customer_id=1, amount=1)).id == 31
    assert (await world.co.transactions.refund(31)).id == 32


async def test_packages_are_the_subscriptions():
    """On a client and on a bulk scope; both names queue the same calls."""
    world = World(envelope(200, {"package_id": 5}))
    assert world.co.packages is world.co.subscriptions
    async with world.co.bulk() as bulk:
        assert bulk.packages is bulk.subscriptions
        handle = bulk.packages.get(5)
    assert (await handle).package_id == 5


def test_an_empty_next_invoice_is_none():
    """As the API writes it in the single record of a cancelled subscription."""
    raw = b'{"package_id":"554","next_invoice_datetime":"","line_items":[{"tierset":[]}]}'
    value = read(raw, Subscription)
    assert (value.package_id, value.next_invoice_datetime) == (554, None)
    assert value.line_items is not None
    assert value.line_items[0].tierset is None


def test_applied_amounts_are_read_in_every_form():
    """An invoice's id in a string (recording), a list with gaps as PHP writes it."""
    raw = b'{"transaction_id":1,"applied_to":{"0":{"invoice_id":"10041","applied":4500}}}'
    applied = read(raw, Transaction).applied_to
    assert applied is not None
    assert (applied[0].invoice_id, applied[0].applied) == (10041, Decimal(4500))


def test_a_subscription_that_does_not_fit_names_its_id():
    """The key is ``package_id``, whatever the class is called."""
    with pytest.raises(DecodeError) as caught:
        read(b'{"package_id":554,"mrr":"much"}', Subscription)
    assert (caught.value.id, caught.value.field) == (554, "mrr")


def test_related_fields_can_be_filtered():
    """Names with dots, as the vendor's pages list them."""
    call = World().co.subscriptions.count(where=F.line_items.item_id == 6)
    call.close()
    assert dict(call.query) == {"where": "line_items.item_id:EQUALS:6"}
