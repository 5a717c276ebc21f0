"""Reports, aggregates, settings, the system log, and requests that wait for review."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from chargeover_async import BadRequest, ChargeOver, F, NotFound


@pytest.fixture
def shop(account):
    """Invoices 10000 (30) and 10001 (20.5) of one customer, 10002 (50) of another."""
    account.item()
    for company in ("Acme", "Best"):
        account.customer(company=company)
    for customer, rate in ((1, "30"), (1, "20.5"), (2, "50")):
        account.invoice(customer, {"item_id": 1, "line_rate": rate})
    return account


# Reports


@pytest.mark.parametrize(
    "form",
    [
        "/_report/38/_action/reportData{}",
        "/_report/38?action=reportData{}",
        "/_report/38?action=getData{}",
    ],
)
def test_report_runs_with_filter_order_and_page(shop, form):
    """Columns join object and field; the body is an array of filters."""

    def run(query: str, *filters: str) -> list[int]:
        joined = query if "?" in form else query.replace("&", "?", 1)
        rows = shop.ok("POST", form.format(joined), list(filters))
        return [row["invoice_invoice_id"] for row in rows]

    assert run("") == [10000, 10001, 10002]
    assert run("", "invoice_customer_id:EQUALS:1", "invoice_total:GT:25") == [10000]
    assert run("&order=invoice_total:ASC") == [10001, 10000, 10002]
    assert run("&order=invoice_total:DESC&offset=1&limit=1") == [10000]
    assert run("", "invoice_invoice_date:GTE:2026-03-02") == []  # the page's column


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("?offset=1", []),
        ("?order=total:ASC", []),
        ("", ["total:GT:1"]),
        ("", ["invoice_total:NEAR:1"]),
        ("", {"0": "invoice_total:GT:1"}),
        ("", [{"invoice_total": 1}]),
    ],
)
def test_unsound_report_is_refused(shop, query, filters):
    """offset needs order, and columns their object."""
    shop.refused("POST", f"/_report/38/_action/reportData{query}", filters)


def test_reports_are_listed_whole(shop):
    """Neither filter nor page; 37 is the page's example. What is not known answers as no record."""
    records = shop.ok("GET", "/_report?limit=1&where=x:EQUALS:1")
    assert [report["report_id"] for report in records] == [37, 38, 39]
    assert "source" not in records[0]
    shop.store.seed("_report", {"report_id": 5, "name": "All Items", "source": "item"})
    assert len(shop.ok("POST", "/_report/5?action=reportData")) == 1
    shop.store.seed("_report", {"report_id": 6})
    for id_ in (6, 44, 10**18):
        for form in ("?action=reportData", "/_action/getData"):
            envelope = shop("POST", f"/_report/{id_}{form}", [])
            assert (envelope["code"], envelope["response"]) == (404, None)
            assert envelope["message"] == "This report does not exist."
    shop.refused("POST", "/_report", {"name": "mine"})


async def test_client_runs_reports_and_aggregates(sandbox):
    """Both forms, and rows as a type."""
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
        for company in ("B", "A"):
            await co.customers.create(company=company)
        assert [report.report_id for report in await co.reports.list()] == [37, 38, 39]
        for form in ("path", "query"):
            rows = await co.reports.report_data(
                37,
                where=F.customer_customer_id > 0,
                order="customer_company",
                limit=5,
                offset=0,
                form=form,
                as_=list[dict[str, object]],
            )
            assert [row["customer_company"] for row in rows] == ["A", "B"]
        rows = await co.aggregate("customer", ["COUNT(customer_id)"])
        assert rows == [{"COUNT(customer_id)": 2}]


# Aggregates


def aggregate(account, object_, *fields, where=(), group=""):
    payload = {"object": object_, "fields": fields, "where": list(where), "group": group}
    return account.ok("POST", "/_aggregate", payload)


def test_aggregates_are_exact(shop):
    """Sums, counts and the rest, of all, of some, and by group."""
    fields = [
        "SUM(total)",
        "COUNT(*)",
        "MIN(total)",
        "MAX(total)",
        "AVG(total)",
        "count(paid_date)",
    ]
    (row,) = aggregate(shop, "invoice", *fields)
    assert row == {
        "SUM(total)": Decimal("100.5"),
        "COUNT(*)": 3,
        "MIN(total)": Decimal("20.5"),
        "MAX(total)": 50,
        "AVG(total)": Decimal("33.5"),
        "count(paid_date)": 0,
    }
    grouped = aggregate(shop, "invoice", "customer_id", "SUM(total)", group=["customer_id"])
    assert grouped == [
        {"customer_id": 1, "SUM(total)": Decimal("50.5")},
        {"customer_id": 2, "SUM(total)": 50},
    ]
    some = aggregate(shop, "invoice", "SUM(total)", where=["total:GT:25", "customer_id:EQUALS:1"])
    assert some == [{"SUM(total)": 30}]
    none = aggregate(shop, "invoice", "SUM(total)", "COUNT(*)", where=["total:GT:99"])
    assert none == [{"SUM(total)": None, "COUNT(*)": 0}]
    assert aggregate(shop, "invoice", "SUM(total)", where=["total:GT:99"], group=["total"]) == []


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"object": "invoice"},
        {"fields": ["SUM(total)"]},
        {"object": "_delivery", "fields": ["COUNT(*)"]},
        {"object": "nothing", "fields": ["COUNT(*)"]},
        {"object": "invoice", "fields": ["SUM(nothing)"]},
        {"object": "invoice", "fields": ["SUM(line_items)"]},
        {"object": "invoice", "fields": ["SUM(date)"]},
        {"object": "invoice", "fields": ["MEDIAN(total)"]},
        {"object": "invoice", "fields": ["SUM(total"]},
        {"object": "invoice", "fields": ["total"]},
        {"object": "invoice", "fields": ["COUNT(*)"], "group": ["nothing"]},
        {"object": "invoice", "fields": ["COUNT(*)"], "where": ["nothing:EQUALS:1"]},
        {"object": "invoice", "fields": ["COUNT(*)"], "where": "total:GT:1"},
        {"object": ["invoice"], "fields": ["COUNT(*)"]},
        ["invoice"],
    ],
)
def test_unsound_aggregate_is_refused(shop, payload):
    """A known object, fields that it has, functions that exist."""
    shop.refused("POST", "/_aggregate", payload)


# Settings, log, requests that wait


async def test_settings_are_kept_and_not_shown(sandbox):
    """A value for each key, the last one counts; nothing of them can be read back."""
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
        assert await co.config.set("chargeoverjs_token", "one") is True
        assert await co.config.set("chargeoverjs_token", "two") is True
        assert await co.config.set("other", 1) is True
        with pytest.raises(BadRequest, match=r"not supported: list\(_config"):
            await co.request("GET", "/_config")
        assert await co.log.list() == []
    kept = {setting["key"]: setting["value"] for setting in sandbox.store.records("_config")}
    assert kept == {"chargeoverjs_token": "two", "other": 1}


@pytest.mark.parametrize("payload", [{}, None, ["x"], "x"])
def test_unsound_setting_is_refused(account, payload):
    """A key and its value are needed."""
    account.refused("POST", "/_config", payload)


async def test_pending_requests_are_committed_or_rejected(sandbox):
    """What a seed leaves to be reviewed is done or discarded, once."""
    wanted = {"customer": {"company": "Visitor"}, "user": {"first_name": "Jo", "email": "j@x.io"}}
    for number, company in enumerate(("One", "Two"), 1):
        wanted["customer"]["company"] = company
        request = {"action": "customer.create", "payload": json.dumps(wanted)}
        sandbox.store.seed("_chargeoverjs", {**request, "token": f"t{number}"})
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
        first, second = await co.chargeoverjs.list()
        assert (first.action, first.token) == ("customer.create", "t1")
        assert await co.chargeoverjs.commit(first.token) is True
        assert await co.chargeoverjs.reject(second.token) is True
        assert await co.chargeoverjs.list() == []
        (customer,) = await co.customers.list()
        assert (customer.company, customer.superuser_email) == ("One", "j@x.io")
        for again in (co.chargeoverjs.commit("t1"), co.chargeoverjs.reject("t2")):
            with pytest.raises(NotFound, match="This object does not exist"):
                await again


@pytest.mark.parametrize(
    "payload", [{}, {"commit": None}, {"drop": "t"}, ["commit"], {"commit": []}]
)
def test_unsound_decision_is_refused(account, payload):
    """A token to commit or to reject is needed."""
    account.store.seed("_chargeoverjs", {"action": "customer.create", "payload": "{}"})
    account.refused("POST", "/_chargeoverjs", payload)


def test_commit_of_something_unsound_leaves_it(account):
    """What cannot be done stays to be reviewed."""
    for token, payload in (("a", "{"), ("b", "[]"), ("c", '{"customer": 5}')):
        request = {"action": "customer.create", "payload": payload, "token": token}
        account.store.seed("_chargeoverjs", request)
    account.refused("POST", "/_chargeoverjs", {"commit": "a"})
    account.refused("POST", "/_chargeoverjs", {"commit": "c"})
    assert account.ok("POST", "/_chargeoverjs", {"commit": "b"}) is True


async def test_teapot_tries_the_credentials(sandbox):
    """True for the right ones."""
    async with ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co:
        assert await co.teapot() is True
