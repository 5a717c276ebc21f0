"""The lists an account is set up with, notes, hooks, reports: what each call sends and reads."""

# ruff: noqa: DTZ001 - the API's own datetimes are naive
from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from support.scripted import World, created, envelope, lost

from chargeover_async import (
    BadRequest,
    DecodeError,
    ExternalKey,
    F,
    OutcomeUnknown,
    Repeat,
    UsageError,
)
from chargeover_async.models import Admin, Brand, Class, CustomField, LogEntry, PendingRequest

READ, IDEMPOTENT, ONCE = Repeat.READ, Repeat.IDEMPOTENT, Repeat.ONCE

CALLS: list[tuple[Any, str, Any, Repeat]] = [
    # the call, METHOD target, body, class
    (lambda co: co.brands.list(), "GET /brand", None, READ),
    (lambda co: co.brands.get(3), "GET /brand/3", None, READ),
    (lambda co: co.campaigns.list(limit=5), "GET /campaign?limit=5", None, READ),
    (lambda co: co.classes.list(), "GET /class", None, READ),
    (
        lambda co: co.countries.list(limit=500, offset=0),
        "GET /country?limit=500&offset=0",
        None,
        READ,
    ),
    (lambda co: co.currencies.list(), "GET /currency", None, READ),
    (
        lambda co: co.currencies.get_exchange_rate("USD", "CAD"),
        "POST /currency?action=getExchangeRate",
        {"from": "USD", "to": "CAD"},
        READ,
    ),
    (
        lambda co: co.currencies.get_exchange_rate("USD", "CAD", form="path"),
        "POST /currency/_action/getExchangeRate",
        {"from": "USD", "to": "CAD"},
        READ,
    ),
    (
        lambda co: co.currencies.set_exchange_rate("USD", "CAD", Decimal("1.3501")),
        "POST /currency/_action/setExchangeRate",
        {"from": "USD", "to": "CAD", "exchange": Decimal("1.3501")},
        IDEMPOTENT,
    ),
    (
        lambda co: co.currencies.set_exchange_rate("USD", "CAD", "1.35", form="query"),
        "POST /currency?action=setExchangeRate",
        {"from": "USD", "to": "CAD", "exchange": "1.35"},
        IDEMPOTENT,
    ),
    (lambda co: co.languages.list(), "GET /language", None, READ),
    (lambda co: co.terms.list(), "GET /terms", None, READ),
    (lambda co: co.admins.get(4), "GET /admin/4", None, READ),
    (
        lambda co: co.admins.list(where=F.email == "a@example.com", order="last_name"),
        "GET /admin?where=email:EQUALS:a%40example.com&order=last_name:ASC",
        None,
        READ,
    ),
    (
        lambda co: co.config.set("chargeoverjs_token", "x"),
        "POST /_config",
        {"chargeoverjs_token": "x"},
        IDEMPOTENT,
    ),
    (lambda co: co.log.list(), "GET /_log_system", None, READ),
    (lambda co: co.teapot(), "GET /teapot", None, READ),
    (lambda co: co.coupons.list(), "GET /coupon", None, READ),
    (lambda co: co.customfields.list(), "GET /_customfield", None, READ),
    (
        lambda co: co.item_categories.list(where=F.item_category_id > 1, limit=2),
        "GET /item_category?where=item_category_id:GT:1&limit=2",
        None,
        READ,
    ),
    (lambda co: co.item_categories.count(), "GET /item_category/_count", None, READ),
    (
        lambda co: co.notes.create(note="Called", obj_type="customer", obj_id=5),
        "POST /note",
        {"note": "Called", "obj_type": "customer", "obj_id": 5},
        ONCE,
    ),
    (
        lambda co: co.notes.create(
            note="Called", extra={"context_str": "customer", "context_id": 5}
        ),
        "POST /note",
        {"note": "Called", "context_str": "customer", "context_id": 5},
        ONCE,
    ),
    (
        lambda co: co.notes.list(where=[F.context_str == "customer", F.context_id == 5]),
        "GET /note?where=context_str:EQUALS:customer,context_id:EQUALS:5",
        None,
        READ,
    ),
    (lambda co: co.notes.count(), "GET /note/_count", None, READ),
    (
        lambda co: co.resthooks.create(target_url="https://x.example/", event="customer.insert"),
        "POST /_resthook",
        {"target_url": "https://x.example/", "event": "customer.insert"},
        ONCE,
    ),
    (
        lambda co: co.resthooks.subscribe(target_url="https://x.example/", event="user.update"),
        "POST /_resthook",
        {"target_url": "https://x.example/", "event": "user.update"},
        ONCE,
    ),
    (lambda co: co.resthooks.unsubscribe(8), "DELETE /_resthook/8", None, IDEMPOTENT),
    (lambda co: co.resthooks.list(), "GET /_resthook", None, READ),
    (lambda co: co.chargeoverjs.list(), "GET /_chargeoverjs", None, READ),
    (lambda co: co.chargeoverjs.commit("t1"), "POST /_chargeoverjs", {"commit": "t1"}, ONCE),
    (lambda co: co.chargeoverjs.reject("t1"), "POST /_chargeoverjs", {"reject": "t1"}, ONCE),
    (lambda co: co.reports.list(), "GET /_report", None, READ),
    (
        lambda co: co.reports.report_data(37),
        "POST /_report/37/_action/reportData",
        [],
        READ,
    ),
    (
        lambda co: co.reports.report_data(
            37,
            where=[F.invoice_invoice_date >= dt.date(2017, 5, 2), F.customer_company == "a,b"],
            order="-customer_customer_id",
            limit=1000,
            offset=2000,
        ),
        (
            "POST /_report/37/_action/reportData"
            "?order=customer_customer_id:DESC&limit=1000&offset=2000"
        ),
        ["invoice_invoice_date:GTE:2017-05-02", "customer_company:EQUALS:a\\,b"],
        READ,
    ),
    (
        lambda co: co.reports.report_data(37, limit=5, form="query"),
        "POST /_report/37?action=reportData&limit=5",
        [],
        READ,
    ),
    (
        lambda co: co.aggregate("invoice", ["SUM(total)"]),
        "POST /_aggregate",
        {"object": "invoice", "fields": ["SUM(total)"], "where": [], "group": ""},
        READ,
    ),
    (
        lambda co: co.aggregate(
            "invoice",
            ("customer_id", "COUNT(invoice_id)"),
            where=F.date >= dt.date(2026, 1, 1),
            group=["customer_id"],
        ),
        "POST /_aggregate",
        {
            "object": "invoice",
            "fields": ["customer_id", "COUNT(invoice_id)"],
            "where": ["date:GTE:2026-01-01"],
            "group": ["customer_id"],
        },
        READ,
    ),
]


@pytest.mark.parametrize(("call", "target", "body", "repeat"), CALLS, ids=[c[1] for c in CALLS])
async def test_a_call_sends_what_is_documented(call: Any, target: str, body: Any, repeat: Repeat):
    """Method, path, query, body, and how safe it is to repeat."""
    verb, path = target.split(" ", maxsplit=1)[0], target.split("?", maxsplit=1)[0]
    answer: Any = True
    if verb == "GET":
        answer = 3 if path.endswith("_count") else []
        if path[-1].isdigit():
            answer = {f"{path.split('/')[1]}_id": 1}
    elif path in {"POST /note", "POST /_resthook"}:
        answer = {"id": 7}
    world = World(envelope(200, answer))
    operation = call(world.co)
    assert operation.repeat is repeat
    await operation
    assert world.sent == [target]
    assert world.script.body(0) == body
    world.check()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda co: co.notes.create(note="x", obj_type="customer"), "obj_id"),
        (lambda co: co.notes.create(note="", obj_type="customer", obj_id=5), "needs note"),
        (lambda co: co.notes.create(note="x", obj_id=5), "obj_type"),
        (lambda co: co.notes.create(nota="x", note="x", obj_type="c", obj_id=5), '"note"'),
        (lambda co: co.resthooks.create(target_url="https://x.example/"), "event"),
        (lambda co: co.resthooks.create(event="customer.insert"), "target_url"),
        (lambda co: co.chargeoverjs.commit(""), "token"),
        (lambda co: co.chargeoverjs.reject(None), "token"),
        (lambda co: co.config.set("", 1), "name"),
        (lambda co: co.config.set("k", 1.5), "'k' cannot be written"),
        (lambda co: co.currencies.get_exchange_rate("", "CAD"), "from_"),
        (lambda co: co.currencies.get_exchange_rate("USD", None), "to must"),
        (lambda co: co.currencies.set_exchange_rate("USD", "CAD", 1.35), "exact"),
        (lambda co: co.currencies.set_exchange_rate("USD", "CAD", 1, form="x"), "form"),
        (lambda co: co.reports.report_data(37, offset=5), "order"),
        (lambda co: co.reports.report_data(37, limit=1_001), "1 to 1000"),
        (lambda co: co.reports.report_data(37, where="a:EQUALS:b"), "where="),
        (lambda co: co.reports.report_data(0), "at least 1"),
        (lambda co: co.aggregate("", ["a"]), "object"),
        (lambda co: co.aggregate("invoice", []), "fields"),
        (lambda co: co.aggregate("invoice", "SUM(total)"), "fields"),
        (lambda co: co.aggregate("invoice", ["a"], group="b"), "group"),
        (lambda co: co.terms.list(limit=501), "1 to 500"),
        (lambda co: co.brands.get(), "one of id"),
    ],
)
def test_a_call_that_cannot_be_right_is_refused(call: Any, words: str):
    """Before anything is sent."""
    with pytest.raises(UsageError, match=words):
        call(World().co)


def test_a_setting_is_in_no_message():
    """It may be a token."""
    with pytest.raises(UsageError) as caught:
        World().co.config.set("chargeoverjs_token", {"a": object(), "b": "s3cret"})  # type: ignore[dict-item]
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["terms", "coupons", "brands", "log", "reports", "chargeoverjs"])
def test_a_list_that_takes_no_filter_offers_none(name: str):
    """Its signature says so, and nothing counts it."""
    resource: Any = getattr(World().co, name)
    with pytest.raises(TypeError):
        resource.list(where=F.a == 1)
    assert not hasattr(resource, "count")
    assert not hasattr(resource, "revisions")


def test_an_object_offers_what_it_has():
    """Settings and the teapot cannot be listed; notes cannot be read one by one."""
    co = World().co
    for resource, absent in (
        (co.config, ("get", "list", "count")),
        (co.teapot, ("get", "list")),
        (co.aggregate, ("get", "list")),
        (co.notes, ("get", "update", "delete", "revisions")),
        (co.usage, ("get", "update", "delete", "count")),
        (co.log, ("get", "iterate")),
        (co.item_categories, ("get", "create")),
    ):
        assert [name for name in absent if hasattr(resource, name)] == []


# -- reading -------------------------------------------------------------------------------------


async def test_records_are_read():
    """With their own primary keys and types."""
    world = World(
        envelope(200, [{"brand_id": "1", "brand": "Acme", "custom_5": "x"}]),
        envelope(200, [{"class_id": 2, "class": "West"}]),
        envelope(200, {"admin_id": 3, "login_count": "12", "login_datetime": ""}),
        envelope(200, [{"log_id": 4, "log_datetime": "2026-01-31 10:00:00", "msg": "no"}]),
        envelope(200, [{"chargeoverjs_id": 5, "payload": '{"customer":{}}', "token": "t"}]),
        envelope(200, [{"customfield_id": 6, "type_opts": ["a", "b"], "enabled": "1"}]),
    )
    co = world.co
    assert await co.brands.list() == [Brand(brand_id=1, brand="Acme", custom_5="x")]
    assert await co.classes.list() == [Class(class_id=2, class_="West")]
    assert await co.admins.get(3) == Admin(admin_id=3, login_count=12)
    assert await co.log.list() == [
        LogEntry(log_id=4, log_datetime=dt.datetime(2026, 1, 31, 10), msg="no")
    ]
    assert await co.chargeoverjs.list() == [
        PendingRequest(chargeoverjs_id=5, payload='{"customer":{}}', token="t")
    ]
    assert await co.customfields.list() == [
        CustomField(customfield_id=6, type_opts=["a", "b"], enabled=True)
    ]
    world.check()


async def test_a_list_without_filter_is_paged_by_offset():
    """Neither a filter nor an order goes out."""
    page = [{"country_id": n} for n in (1, 2)]
    world = World(envelope(200, page), envelope(200, []))
    found = [country.country_id async for country in world.co.countries.iterate(page=2)]
    assert found == [1, 2]
    assert world.sent == ["GET /country?limit=2&offset=0", "GET /country?limit=2&offset=2"]


async def test_notes_are_paged_by_offset():
    """Their page does not filter by the primary key."""
    world = World(envelope(200, [{"note_id": 1}]), envelope(200, []))
    assert [note.note_id async for note in world.co.notes.iterate()] == [1]
    assert world.sent == [
        f"GET /note?order=note_id:ASC&limit=500&offset={offset}" for offset in (0, 1)
    ]


async def test_report_data_comes_as_it_is_or_as_it_is_asked_for():
    """No source shows its shape."""

    class Row(msgspec.Struct):
        customer_customer_id: int
        total: Decimal

    rows = [{"customer_customer_id": "5", "total": 1.10}]
    world = World(envelope(200, True), envelope(200, rows), envelope(200, rows), envelope(200, 5))
    reports = world.co.reports
    assert await reports.report_data(37) is True
    assert await reports.report_data(37) == [{"customer_customer_id": "5", "total": Decimal("1.1")}]
    assert await reports.report_data(37, as_=list[Row]) == [Row(5, Decimal("1.1"))]
    with pytest.raises(DecodeError):
        await reports.report_data(37, as_=list[Row])


async def test_an_exchange_rate_comes_as_it_is():
    """Exact, whatever its shape."""
    world = World(envelope(200, 1.3501), envelope(200, {"exchange": "1.35"}))
    assert await world.co.currencies.get_exchange_rate("USD", "CAD") == Decimal("1.3501")
    assert await world.co.currencies.get_exchange_rate("USD", "CAD") == {"exchange": "1.35"}


async def test_a_commit_that_answers_an_id_counts_as_true():
    """The page says true, the vendor's C# client reads an id."""
    world = World(envelope(200, True), created(5), lost())
    assert await world.co.chargeoverjs.commit("t") is True
    assert await world.co.chargeoverjs.commit("t") is True
    with pytest.raises(OutcomeUnknown):
        await world.co.chargeoverjs.commit("t")
    world.check()


async def test_a_teapot_that_is_one_says_so():
    """UNVERIFIED; credentials that are wrong are answered 401 before."""
    world = World(envelope(418, None, "I am a teapot"))
    with pytest.raises(BadRequest) as caught:
        await world.co.teapot()
    assert caught.value.status == 418


async def test_brands_and_admins_may_be_named_by_key():
    """As any object, says the vendor's text."""
    world = World(envelope(200, {"admin_id": 1}))
    await world.co.admins.get(external_key="a/b")
    assert world.sent == ["GET /admin/external_key:a%2Fb"]
    assert ExternalKey("x") == "x"


async def test_a_bulk_scope_knows_them_all():
    """Built in a scope, they travel together."""
    world = World(
        envelope(
            200,
            {
                "_bulk": [
                    {"code": 200, "status": "OK", "message": "", "response": [{"terms_id": 3}]},
                    {"code": 201, "status": "OK", "message": "", "response": {"id": 7}},
                ]
            },
        )
    )
    async with world.co.bulk() as bulk:
        terms = bulk.terms.list()
        note = bulk.notes.create(note="x", obj_type="customer", obj_id=5)
    assert [term.terms_id for term in await terms] == [3]
    assert (await note).id == 7
    assert world.sent == ["POST /_bulk"]
