"""The sandbox's page in headless Chromium: what is seen, what can be switched, what it never does.

Debian's package `chromium` is enough; without it these tests are skipped. The browser resolves no
name at all, and its own log of the network is read at the end: Chromium calls home otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
from chargeover_async.sandbox import Quota, Sandbox
from chargeover_async.sandbox.http.faults import KINDS
from chargeover_async.sandbox.objects.table import OBJECTS

playwright = pytest.importorskip("playwright.async_api")
PATIENCE_MS = 300_000  # for a machine that is busy with other things
playwright.expect.set_options(timeout=PATIENCE_MS)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)

pytestmark = [
    pytest.mark.process,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]

HOSTILE = '<img src=x onerror="window.hit = 1">'
SCRIPT = '"><script>window.hit = 2</script>'
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def netlog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser logs every connection and packet of these tests."""
    return tmp_path_factory.mktemp("browser") / "net.json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(netlog: Path) -> AsyncIterator[Any]:
    async with playwright.async_playwright() as driver:
        try:
            running = await driver.chromium.launch(
                executable_path=CHROMIUM,
                timeout=PATIENCE_MS,
                args=[
                    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                    f"--log-net-log={netlog}",
                ],
            )
        except playwright.Error as error:  # some systems have a stub that says how to install it
            pytest.skip(f"{CHROMIUM} does not start: {error.message.splitlines()[0]}")
        try:
            yield running
        finally:
            await running.close()


class Seen:
    """A page of the browser on a sandbox, and everything that it did."""

    def __init__(self, page: Any, sandbox: Sandbox, co: ChargeOver) -> None:
        self.page, self.sandbox, self.co = page, sandbox, co
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def open(self, hash_: str = "#/") -> None:
        await self.page.goto(self.sandbox.page_url + hash_)
        # Not by a function: polling for one needs `eval`, which the page forbids.
        await self.page.locator("#objects li").first.wait_for(state="attached")

    async def text(self, selector: str) -> str:
        return await self.page.inner_text(selector)

    async def texts(self, selector: str) -> list[str]:
        return await self.page.locator(selector).all_inner_texts()

    async def table(self, selector: str) -> list[dict[str, str]]:
        """The rows of a table with its columns' names."""
        names = await self.texts(f"{selector} > thead th")
        rows = self.page.locator(f"{selector} > tbody > tr")
        cells = [
            await rows.nth(place).locator("> td").all_inner_texts()
            for place in range(await rows.count())
        ]
        return [dict(zip(names, row, strict=True)) for row in cells]

    async def until(self, selector: str, text: str) -> None:
        """Wait until the element says so; the page asks once a second."""
        await playwright.expect(self.page.locator(selector)).to_contain_text(text)

    def check(self) -> None:
        """Nothing complained, nothing was asked of any other server than the sandbox."""
        assert self.complaints == []
        assert self.requests
        assert {url for url in self.requests if not url.startswith(self.sandbox.page_url)} == set()


@asynccontextmanager
async def looking(browser: Any, **options: Any) -> AsyncIterator[Seen]:
    viewport = options.pop("viewport", WIDE)
    scheme = options.pop("color_scheme", "light")
    permissions = options.pop("permissions", [])
    async with (
        Sandbox(quota=options.pop("quota", Quota()), **options) as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        page = await browser.new_page(
            viewport=viewport, color_scheme=scheme, permissions=permissions
        )
        page.set_default_timeout(PATIENCE_MS)
        seen = Seen(page, sandbox, co)
        try:
            yield seen
        finally:
            await page.close()


async def trade(co: ChargeOver) -> None:
    """A customer with a subscription, an invoice of two lines, and a payment of a part of it."""
    await co.customers.create(
        company="Acme", external_key="acme", superuser_name="Anna Buyer", tags=["old", "good"]
    )
    for name in ("Tea", "Cup"):
        pricemodel = {"base": 5, "paycycle": "mon", "pricemodel": "fla"}
        await co.items.create(name=name, external_key=name, type="service", pricemodel=pricemodel)
    await co.subscriptions.create(
        customer_id=1, nickname="Tea box", line_items=[{"item_external_key": "Tea"}]
    )
    lines = [
        {"item_external_key": "Tea", "line_rate": Decimal("2.5"), "line_quantity": 4},
        {"item_external_key": "Cup", "line_rate": 20, "descrip": "Blue"},
    ]
    await co.invoices.create(customer_id=1, date="2026-01-31", line_items=lines)
    await co.transactions.create(
        customer_id=1,
        amount=7,
        transaction_date="2026-02-01",
        gateway_id=1,
        gateway_status=1,
        gateway_transid="1",
        gateway_method="check",
        transaction_type="pay",
        applied_to=[{"invoice_id": 10000}],
    )


async def fill(co: ChargeOver, customers: int = 30) -> None:
    await co.items.create(name="Tea", external_key="tea")
    async with co.bulk() as bulk:
        for number in range(customers):
            bulk.customers.create(company=f"Company {number:02}", external_key=f"c-{number}")
    line = {"item_external_key": "tea", "line_rate": Decimal("2.95")}
    await co.invoices.create(customer_external_key="c-7", line_items=[line])


async def colours(page: Any, image: bytes) -> int:
    """How many colours a picture has; the browser itself reads it, on a page without our policy."""
    blank = await page.context.browser.new_page()
    try:
        return await blank.evaluate(
            """async (data) => {
                const image = new Image(); image.src = data; await image.decode();
                const canvas = document.createElement("canvas");
                [canvas.width, canvas.height] = [image.width, image.height];
                const pen = canvas.getContext("2d"); pen.drawImage(image, 0, 0);
                const bytes = pen.getImageData(0, 0, image.width, image.height).data;
                return new Set(new Uint32Array(bytes.buffer)).size;
            }""",
            "data:image/png;base64," + base64.b64encode(image).decode(),
        )
    finally:
        await blank.close()


async def test_overview_shows_counts_quota_and_the_live_log(browser, tmp_path):
    """And the log grows by itself after a call, a batch opened up into its entries."""
    async with looking(browser, quota=Quota(50, 60)) as seen:
        await fill(seen.co)
        await seen.open()
        assert await seen.text("#base") == seen.sandbox.url
        names = [name for name, spec in OBJECTS.items() if spec.reads and not spec.internal]
        counts = await seen.page.evaluate(
            """Object.fromEntries([...document.querySelectorAll("#objects a")].map(
               (link) => [link.dataset.object, link.lastChild.textContent]))"""
        )
        assert counts.keys() == set(names)
        assert await seen.page.locator("#objects a").count() == len(names)
        assert (counts["customer"], counts["invoice"], counts["item"]) == ("30", "1", "1")
        requests = len(seen.sandbox.log)
        assert await seen.text("#state") == f"{requests} requests"
        assert await seen.page.locator("#log tbody tr").count() == requests
        assert (await seen.text("#quota-text")).startswith(
            f"{requests} of 50 used, per 60 s (rolling)"
        )
        assert await seen.page.get_attribute("#quota-chart .use", "d")
        # A call that succeeds and one that does not.
        await seen.co.customers.create(company="Newcomer")
        await seen.until("#state", f"{requests + 1} requests")
        assert await seen.page.locator("#log tbody tr").count() == requests + 1
        time, status, method, path, took, fault = await seen.texts("#log tbody tr:first-child td")
        assert re.fullmatch(r"\d\d:\d\d:\d\d", time)
        assert (status, method, path, fault) == ("201", "POST", "/api/v3/customer", "")
        assert re.fullmatch(r"\d+\.\d ms", took)
        await seen.until("#objects a[data-object=customer]", "31")
        # A batch.
        items = [
            {"request_method": "POST", "uri": "/api/v3/customer", "payload": {"company": "A"}},
            {"request_method": "GET", "uri": "/api/v3/customer/999"},
        ]
        await seen.co.request("POST", "/_bulk", json=items)
        first = seen.page.locator("#log tbody tr:first-child details")
        await playwright.expect(first.locator("summary")).to_have_text("2 entries, 1 failed")
        await first.locator("summary").click()
        assert await first.locator("li").all_inner_texts() == [
            "POST /api/v3/customer 201",
            "GET /api/v3/customer/999 404",
        ]
        image = await seen.page.screenshot(path=tmp_path / "overview.png")
        assert await colours(seen.page, image) > 50
        seen.check()


async def test_what_people_look_for_is_at_the_top_and_lists_are_folded(browser):
    """Every object stands in one place; the folded ones open by key, click and address."""
    async with looking(browser) as seen:
        await seen.open()
        first = await seen.texts("#objects a span:first-child >> visible=true")
        assert first[:4] == ["Customers", "Subscriptions", "Invoices", "Payments"]
        objects = await seen.page.evaluate(
            "[...document.querySelectorAll('#objects a')].map((link) => link.dataset.object)"
        )
        assert objects[:4] == ["customer", "package", "invoice", "transaction"]
        assert {"quote", "item", "user", "usage"} < set(objects[4:12])
        folded = await seen.page.locator("#lists a").count()
        assert len(first) + folded == len(objects)
        assert {"terms", "currency", "brand", "admin"} < set(objects[-folded:])
        assert await seen.page.is_hidden("#lists")
        await seen.page.focus("#account summary")
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_selector("#lists a[data-object=terms]")
        await seen.page.click("#account summary")
        assert await seen.page.is_hidden("#lists")
        await seen.open("#/terms/2")
        await seen.until("#record-title", "terms 2")
        assert await seen.page.is_visible("#lists a[data-object=terms][aria-current=page]")
        assert await seen.page.get_attribute("#objects a[data-object=package]", "title") == (
            "package in the API"
        )
        seen.check()


async def test_an_object_that_the_page_does_not_know_is_there_all_the_same(browser):
    """Under its own name, unfolded."""

    async def with_another(route):
        answer = await route.fetch()
        about = await answer.json()
        about["objects"].append({"name": "constructor", "key": "x_id", "fields": [], "filters": []})
        await route.fulfill(response=answer, json=about)

    async with looking(browser) as seen:
        await seen.page.route("**/_sandbox/about", with_another)
        await seen.open()
        await seen.until("#others a[data-object=constructor]", "constructor")
        seen.check()


COLUMNS = {
    "customer": [
        *("customer_id", "company", "superuser_name", "total", "balance", "mrr"),
        *("customer_status_name", "external_key"),
    ],
    "package": [
        *("package_id", "nickname", "customer_id", "paycycle_name", "next_invoice_datetime"),
        *("mrr", "amount_due", "package_status_name"),
    ],
    "invoice": [
        *("invoice_id", "refnumber", "customer_id", "date", "due_date", "total", "balance"),
        "invoice_status_name",
    ],
    "transaction": [
        *("transaction_id", "transaction_type_name", "customer_id", "transaction_date"),
        *("amount", "unapplied", "transaction_status_name"),
    ],
}


@pytest.mark.parametrize("object_", COLUMNS)
async def test_main_facts_are_in_the_first_columns(browser, object_):
    """Name, customer, date, amounts, status, seen without scrolling; the rest follows."""
    columns = COLUMNS[object_]
    async with looking(browser) as seen:
        await trade(seen.co)
        await seen.open(f"#/{object_}")
        await seen.page.wait_for_selector("#rows tbody td")
        head = await seen.texts("#rows thead th")
        assert head[: len(columns)] == columns
        assert "token" in head[len(columns) :]
        place = columns.index(f"{object_}_status_name") + 1
        status = await seen.page.locator(f"#rows td:nth-child({place}) span").bounding_box()
        assert status is not None
        assert status["x"] + status["width"] < WIDE["width"]
        seen.check()


async def test_a_list_names_customers_and_shows_cents(browser):
    """People read names; the id stands beside, and the amounts stand under each other."""
    async with looking(browser) as seen:
        await trade(seen.co)
        await seen.open("#/invoice")
        await seen.until("#rows", "Acme")
        (row,) = await seen.table("#rows")
        assert (row["customer_id"], row["date"]) == ("Acme 1", "2026-01-31")
        assert (row["total"], row["balance"]) == ("30.00", "23.00")
        assert await seen.page.locator("#rows td.number").count() >= 2
        await seen.page.click("#rows a:text-is('Acme')")
        await seen.until("#record-title", "Acme customer 1")
        # A new name is there with the next record, not with the next reload.
        await seen.co.customers.update(1, company="Bcme")
        await seen.open("#/invoice/10000")
        await seen.until("#facts", "Bcme 1")
        seen.check()


async def test_numbers_are_shown_to_the_last_digit(browser):
    """They may have more of them than a number of JavaScript holds."""
    exact = "1234567.123456789012"
    async with looking(browser) as seen:
        await trade(seen.co)
        line = {"item_id": 1, "line_rate": Decimal(exact), "line_quantity": 1}
        await seen.co.invoices.create(customer_id=1, line_items=[line])
        await seen.open("#/invoice/10001")
        await seen.until("#parts table", exact)
        seen.check()


async def test_an_empty_list_says_why(browser):
    """Nothing there yet, or nothing that the filter lets through."""
    async with looking(browser) as seen:
        await seen.open("#/invoice")
        await seen.until("#list-empty", "There are none yet.")
        await seen.open("#/invoice?field=total&operation=GT&value=5")
        await seen.until("#list-empty", "Nothing matches the filter.")
        await trade(seen.co)
        await seen.until("#list-text", "1 to 1 of 1")
        assert await seen.text("#list-empty") == ""
        seen.check()


async def test_line_items_are_a_table_and_parts_of_parts_unfold(browser):
    """The main facts of a line first; every field of a line is somewhere."""
    async with looking(browser) as seen:
        await trade(seen.co)
        await seen.open("#/invoice/10000")
        await seen.until("#parts h3", "line_items 2")
        tea, cup = await seen.table("#parts table")
        assert list(tea)[:4] == ["item_name", "descrip", "line_quantity", "line_rate"]
        assert list(tea.values())[:4] == ["Tea", "", "4", "2.50"]
        assert list(cup.values())[:4] == ["Cup", "Blue", "1", "20.00"]
        (invoice,) = seen.sandbox.store.records("invoice")
        empty = (await seen.text("#parts p")).removeprefix("Empty: ").split(", ")
        assert tea.keys() | set(empty) == invoice["line_items"][0].keys()
        assert not tea.keys() & set(empty)
        await seen.page.click("#parts tr:nth-child(2) a:text-is('2')")
        await seen.until("#record-title", "Cup item 2")
        await seen.open("#/package/554")
        await seen.until("#parts summary", "base 5")
        assert await seen.page.is_hidden("#parts .pairs")
        await seen.page.focus("#parts summary")
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_selector("#parts .pairs th:text-is('pricemodel')")
        await seen.open("#/transaction/1")
        await seen.until("#parts h3", "applied_to 1")
        (part,) = await seen.table("#parts table")
        assert part == {"invoice_id": "10000", "applied": "7.00"}
        await seen.open("#/customer/1")
        await seen.until("#fields", "old, good")  # a list of texts needs no table
        seen.check()


async def test_a_record_shows_its_facts_and_what_belongs_to_it(browser):
    """With the number of records, as links to filtered lists."""
    async with looking(browser) as seen:
        await trade(seen.co)
        await seen.co.customers.create(company="Other")
        await seen.open("#/invoice/10000")
        await seen.until("#facts", "Acme 1")
        names = await seen.texts("#facts dt")
        facts = dict(zip(names, await seen.texts("#facts dd"), strict=True))
        assert (facts["total"], facts["balance"], facts["date"]) == ("30.00", "23.00", "2026-01-31")
        assert facts["invoice_status_name"] == "Overdue"
        await seen.until("#related", "Payments 1")
        await seen.page.click("#related a")
        await seen.until("#list-text", "1 to 1 of 1")
        await seen.page.click("#rows a:text-is('Acme')")
        await seen.until("#related", "Users 1")
        assert await seen.texts("#related a") == [
            "Subscriptions 1",
            "Invoices 1",
            "Payments 1",
            "Users 1",
        ]
        await seen.open("#/customer/2")
        await seen.until("#record-title", "Other customer 2")
        await seen.until("#related", "")
        assert "1" not in "".join(await seen.texts("#related a"))
        seen.check()


async def test_an_answer_that_comes_late_is_not_shown_for_another_record(browser):
    """Whoever has gone on sees where they have gone."""
    async with looking(browser) as seen:
        await fill(seen.co, 9)
        held = asyncio.Event()

        async def late(route):
            await held.wait()
            await route.continue_()

        await seen.page.route("**/_sandbox/records/customer/1", late)
        await seen.open("#/")
        async with seen.page.expect_request("**/_sandbox/records/customer/1"):
            await seen.open("#/customer/1")
        await seen.page.evaluate("location.hash = '#/customer/2'")
        await seen.until("#record-title", "Company 01 customer 2")
        async with seen.page.expect_response("**/_sandbox/records/customer/1"):
            held.set()
        await seen.page.evaluate("new Promise((wake) => setTimeout(wake))")
        assert await seen.text("#record-title") == "Company 01 customer 2"
        assert "Company 00" not in await seen.text("#record")
        seen.check()


async def test_what_a_client_needs_is_copied_by_a_button(browser):
    """URL, user name, password; by mouse and keyboard, and as they are."""
    password = f" {HOSTILE}&amp;\"' "
    permissions = ["clipboard-read", "clipboard-write"]
    async with looking(
        browser, username="shop", password=password, permissions=permissions
    ) as seen:
        await seen.open()
        for name, value in (
            ("base", seen.sandbox.url),
            ("username", "shop"),
            ("password", password),
        ):
            await playwright.expect(seen.page.locator(f"#{name}")).to_have_text(
                re.compile(re.escape(value.strip()))
            )
            await seen.page.focus(f"[data-copies={name}]")
            await seen.page.keyboard.press("Enter")
            await seen.until(f"[data-copies={name}]", "Copied")
            assert await seen.page.evaluate("navigator.clipboard.readText()") == value
        await seen.page.evaluate("navigator.clipboard.writeText('')")
        await seen.page.click("[data-copies=base]")
        await seen.until("#copied", "Copied")
        assert await seen.page.evaluate("navigator.clipboard.readText()") == seen.sandbox.url
        await seen.until("[data-copies=base]", "Copy")
        assert await seen.page.locator("header img").count() == 0
        assert await seen.page.evaluate("window.hit") is None
        seen.check()


async def test_a_browser_that_forbids_copying_lets_the_keyboard_do_it(browser):
    """What is to be copied is selected."""
    async with looking(browser) as seen:
        await seen.page.add_init_script(
            "navigator.clipboard.writeText = () => Promise.reject(new Error('no'))"
        )
        await seen.open()
        await seen.page.click("[data-copies=base]")
        await seen.until("[data-copies=base]", "Press Ctrl+C")
        assert await seen.page.evaluate("String(getSelection())") == seen.sandbox.url
        seen.check()


async def test_an_empty_picture_would_be_noticed(browser):
    """The test above can fail."""
    page = await browser.new_page(viewport=PHONE)
    await page.goto("about:blank")
    assert await colours(page, await page.screenshot()) == 1
    await page.close()


async def test_log_can_be_paused_and_forgets_what_the_sandbox_forgets(browser):
    """Paused it stands still; a reset empties it."""
    async with looking(browser) as seen:
        await seen.open()
        await seen.page.click("#pause")
        await seen.co.customers.count()
        await seen.until("#state", "1 requests")
        assert await seen.page.locator("#log tbody tr").count() == 0
        await seen.page.click("#pause")
        await seen.page.wait_for_selector("#log tbody tr")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{seen.sandbox.page_url}_sandbox/reset") as answer,
        ):
            assert answer.status == 200
        await seen.page.wait_for_selector("#log-empty:visible")
        await seen.co.items.count()
        await seen.until("#log tbody tr:first-child", "/api/v3/item/_count")
        assert await seen.page.locator("#log tbody tr").count() == 1
        seen.check()


async def test_records_can_be_paged_ordered_and_filtered(browser):
    """As the API would, with the total; the address holds it all, so that "back" works."""
    async with looking(browser) as seen:
        await fill(seen.co)
        await seen.open()
        await seen.page.click("#objects a[data-object=customer]")
        await seen.until("#list-text", "1 to 25 of 30")
        assert await seen.page.locator("#rows tbody tr").count() == 25
        head = await seen.texts("#rows thead th")
        assert head[0] == "customer_id"
        assert "company" in head
        assert "superuser_phone" not in head  # nobody has one
        await seen.page.click("#next")
        await seen.until("#list-text", "26 to 30 of 30")
        assert await seen.page.locator("#rows tbody tr").count() == 5
        assert await seen.page.is_hidden("#next")
        await seen.page.go_back()
        await seen.until("#list-text", "1 to 25 of 30")
        await seen.page.select_option("#filter [name=order]", "company:DESC")
        await seen.page.select_option("#filter [name=limit]", "10")
        await seen.page.select_option("#filter [name=field]", "company")
        await seen.page.select_option("#filter [name=operation]", "CONTAINS")
        await seen.page.fill("#filter [name=value]", "1")
        await seen.page.press("#filter [name=value]", "Enter")
        await seen.until("#list-text", "1 to 10 of 12")
        column = head.index("company") + 1
        shown = await seen.texts(f"#rows tbody td:nth-child({column})")
        assert shown[:3] == ["Company 21", "Company 19", "Company 18"]
        await seen.page.reload()
        await seen.until("#list-text", "1 to 10 of 12")
        assert await seen.page.input_value("#filter [name=value]") == "1"
        # Characters that mean something in a filter are looked for as they are.
        await seen.co.customers.create(company="a,b:c\\d")
        await seen.page.select_option("#filter [name=operation]", "EQUALS")
        await seen.page.fill("#filter [name=value]", "a,b:c\\d")
        await seen.page.click("#filter button")
        await seen.until("#list-text", "1 to 1 of 1")
        await seen.page.select_option("#filter [name=field]", "write_datetime")
        await seen.page.fill("#filter [name=value]", "yesterday")
        await seen.page.click("#filter button")
        await seen.until("#list-text.bad", "Missing or invalid parameter.")
        assert await seen.page.locator("#rows tbody tr").count() == 0
        seen.complaints.clear()  # the browser notes the answers with 400
        seen.check()


async def test_a_list_follows_what_happens(browser):
    """A new record is there without a click."""
    async with looking(browser) as seen:
        await seen.open("#/customer")
        await seen.until("#list-text", "0 of 0")
        await seen.co.customers.create(company="Newcomer")
        await seen.until("#rows", "Newcomer")
        seen.check()


async def test_a_record_is_shown_whole_and_leads_to_others(browser):
    """Nested parts beside its fields; ids of other records are links."""
    async with looking(browser) as seen:
        await fill(seen.co)
        (invoice,) = seen.sandbox.store.records("invoice")
        await seen.open("#/invoice")
        await seen.page.click("#rows tbody a")
        await seen.until("#record-title", f"invoice {invoice['invoice_id']}")
        shown = dict(
            zip(await seen.texts("#fields th"), await seen.texts("#fields td"), strict=True)
        )
        assert (shown["total"], shown["customer_id"]) == ("2.95", "8")
        assert [line["item_external_key"] for line in await seen.table("#parts table")] == ["tea"]
        filled = {name for name, value in invoice.items() if value not in (None, "")}
        assert shown.keys() | {"line_items"} == filled
        empty = (await seen.text("#record-empty")).removeprefix("Empty: ").split(", ")
        assert shown.keys() | {"line_items"} | set(empty) == invoice.keys()
        await seen.page.click("#fields a:text-is('8')")
        await seen.until("#record-title", "customer 8")
        await seen.until("#fields", "Company 07")
        await seen.open("#/customer/12345")
        await seen.until("#record-text", "This customer does not exist.")
        seen.complaints.clear()  # the answer with 404
        seen.check()


async def test_html_in_records_and_paths_is_only_text(browser):
    """On no view does it become an element, let alone a script that runs."""
    async with looking(browser) as seen:
        for name in (HOSTILE, SCRIPT):
            nested = {name: [name, {name: name, "name": name}], "list": [{name: name}]}
            await seen.co.customers.create(
                company=name, external_key=name, custom_1=name, custom_2=nested, tags=[name]
            )
        await seen.co.items.create(name=HOSTILE, external_key="i", custom_1=[[SCRIPT]])
        line = {"item_external_key": "i", "descrip": SCRIPT, "line_rate": 1}
        await seen.co.invoices.create(customer_id=1, refnumber=SCRIPT, line_items=[line])
        del line["line_rate"]
        await seen.co.subscriptions.create(customer_id=2, nickname=HOSTILE, line_items=[line])
        path = "%3Cimg%20src=x%20onerror=alert(1)%3E"
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{seen.sandbox.url}/{path}?where=<img src=x onerror=alert(1)>"),
        ):
            pass
        for hash_, place, said in (
            ("#/customer", "#rows", HOSTILE),
            ("#/customer/1", "#fields", HOSTILE),
            ("#/customer/2", "#fields", SCRIPT),
            ("#/customer/1", "#record-title", HOSTILE),
            ("#/customer/1", "#facts", HOSTILE),
            ("#/customer/1", "#parts th >> nth=0", HOSTILE),
            ("#/customer/2", "#parts", SCRIPT),
            ("#/item/1", "#record-title", HOSTILE),
            ("#/item/1", "#parts", SCRIPT),
            ("#/invoice", "#rows", HOSTILE),
            ("#/invoice", "#rows", SCRIPT),
            ("#/invoice/10000", "#facts", HOSTILE),
            ("#/invoice/10000", "#parts table", HOSTILE),
            ("#/invoice/10000", "#parts table", SCRIPT),
            ("#/package", "#rows", SCRIPT),
            ("#/package/554", "#facts", SCRIPT),
            ("#/package/554", "#record-title", HOSTILE),
            ("#/", "#log", "%3Cimg"),
            (f"#/{path}", "#log", "%3Cimg"),
            (f"#/customer/{path}", "#record-title", "<img"),
            ("#/%", "#log", "%3Cimg"),
        ):
            await seen.open(hash_)
            await seen.until(place, said)
            await seen.page.evaluate(
                "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
            )
            await seen.page.wait_for_timeout(50)
            assert await seen.page.locator("body img, body script, body iframe").count() == 0
            assert await seen.page.evaluate("window.hit") is None
        seen.complaints = [
            complaint
            for complaint in seen.complaints
            if "404" not in complaint and "400" not in complaint
        ]
        seen.check()


async def test_a_fault_of_the_page_hits_the_next_call(browser):
    """Once, by chance, or everything while it is down; "No faults" ends them all."""
    async with looking(browser, quota=None) as seen:
        await seen.open()
        assert await seen.texts("#faults tbody td:nth-child(1)") == list(KINDS)
        assert await seen.text("#faults-text") == "No faults are on."

        async def status() -> int:
            headers = {"Authorization": aiohttp.encode_basic_auth("sandbox", "sandbox")}
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.get(f"{seen.sandbox.url}/customer") as answer,
            ):
                return answer.status

        await seen.page.click("tr[data-kind='429'] button")
        await seen.until("#faults-text", "On: 1 for the next requests")
        assert [await status(), await status()] == [429, 200]
        await seen.until("#faults-text", "No faults are on.")
        fault = seen.page.locator("#log tbody tr:nth-child(2) td:nth-child(6)")
        await playwright.expect(fault).to_have_text("429")
        await seen.page.fill("tr[data-kind='502'] [name=rate]", "100")
        await seen.page.press("tr[data-kind='502'] [name=rate]", "Enter")
        await seen.until("#faults-text", "On: 502 100 %")
        assert [await status(), await status()] == [502, 502]
        await seen.page.click("#down")
        await seen.until("#faults-text", "down: everything is answered with 503")
        assert await seen.page.get_attribute("#down", "aria-pressed") == "true"
        assert await status() == 503
        await seen.page.click("#clear")
        await seen.until("#faults-text", "No faults are on.")
        assert await status() == 200
        assert await seen.page.input_value("tr[data-kind='502'] [name=rate]") == ""
        await seen.page.fill("tr[data-kind=delay_after] [name=value]", "0.01")
        await seen.page.click("tr[data-kind=delay_after] button")
        await seen.until("#faults-text", "1 for the next requests")
        assert await status() == 200
        assert seen.sandbox.log[-1].fault == "delay_after"
        seen.check()


async def test_the_page_says_so_when_the_sandbox_is_gone(browser):
    """And goes on when it is back."""
    async with looking(browser) as seen:
        await seen.open()
        await seen.sandbox.stop()
        await seen.until("#state.bad", "The sandbox does not answer; trying again")
        await seen.sandbox.start()
        await seen.until("#state", "0 requests")
        assert all("ERR_CONNECTION" in complaint for complaint in seen.complaints)


async def test_it_is_readable_on_a_phone(browser, tmp_path):
    """Nothing hangs over the edge: tables scroll in themselves; controls can be touched."""
    async with looking(browser, viewport=PHONE, color_scheme="dark") as seen:
        await trade(seen.co)
        await fill(seen.co)
        await seen.co.items.create(name="x" * 200, custom_1={"y" * 200: {"z" * 200: [["w" * 200]]}})
        views = {
            "#/": "#log tr",
            "#/customer": "#rows td",
            "#/customer/1": "#fields tr",
            "#/invoice/10000": "#parts td",
            "#/item/4": "#parts td",
        }
        for hash_, ready in views.items():
            await seen.open(hash_)
            await seen.page.wait_for_selector(ready)
            await seen.page.evaluate(
                "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
            )
            assert (
                await seen.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
            )
            image = await seen.page.screenshot(path=tmp_path / f"{len(hash_)}.png")
            assert await colours(seen.page, image) > 20
            low = await seen.page.evaluate(
                """[...document.querySelectorAll("button, input, select, nav a, summary")]
                   .filter((each) => each.checkVisibility() && !each.closest("td")
                                     && each.getBoundingClientRect().height < 39.5)
                   .map((each) => each.outerHTML)"""
            )
            assert low == []
        seen.check()


async def test_on_a_phone_the_list_is_not_below_everything_else(browser):
    """What can be folded is folded; a filter that is on shows."""
    async with looking(browser, viewport=PHONE) as seen:
        await trade(seen.co)
        await seen.open("#/invoice")
        await seen.page.wait_for_selector("#rows td")
        for hidden in ("#others", "#lists", "#filter", "#access"):
            assert await seen.page.is_hidden(hidden)
        place = await seen.page.locator("#rows td >> nth=0").bounding_box()
        assert place is not None
        assert place["y"] < PHONE["height"] / 2
        await seen.open("#/invoice?field=total&operation=GT&value=5")
        await seen.page.wait_for_selector("#filter")
        await seen.open("#/")
        await seen.page.wait_for_selector("#access")
        seen.check()


async def test_dark_and_light_are_what_the_system_says(browser):
    """The page has no switch of its own."""
    for scheme, is_light in (("light", True), ("dark", False)):
        async with looking(browser, color_scheme=scheme) as seen:
            await trade(seen.co)
            await seen.open("#/invoice/10000")
            await seen.page.wait_for_selector("#parts td")
            ground, ink = await seen.page.evaluate(
                """[["body", "backgroundColor"], ["#parts td", "color"]].map(([place, what]) => {
                    const colour = getComputedStyle(document.querySelector(place))[what];
                    const [red, green, blue] = colour.match(/[0-9]+/g).map(Number);
                    return red + green + blue;
                })"""
            )
            assert (ground > ink) is is_light
            assert abs(ground - ink) > 300
            seen.check()


async def test_everything_has_a_name_and_the_keyboard_reaches_it(browser):
    """For those who do not see the page, or have no mouse."""
    async with looking(browser) as seen:
        await trade(seen.co)
        await fill(seen.co, 29)
        for hash_, ready in (
            ("#/", "#log td"),
            ("#/package/554", "#parts td"),
            ("#/customer", "#rows td"),
            ("#/customer/1", "#fields td"),
        ):
            await seen.open(hash_)
            await seen.page.wait_for_selector(ready)
            nameless = await seen.page.evaluate(
                """() => {
                    const all = "button, input, select, a, svg, nav, section, summary, "
                        + "[role=region]";
                    const named = (each) => each.textContent.trim() || each.labels?.length
                        || each.getAttribute("aria-label")
                        || document.getElementById(each.getAttribute("aria-labelledby"));
                    return [...document.querySelectorAll(all)]
                        .filter((each) => each.checkVisibility() && !named(each))
                        .map((each) => each.outerHTML);
                }"""
            )
            assert nameless == []
            assert await seen.page.locator("h1").count() == 1
            assert await seen.page.locator("th:not([scope])").count() == 0
        assert await seen.page.get_attribute("nav a[aria-current]", "data-object") == "customer"
        assert await seen.page.get_attribute("html", "lang") == "en"
        await seen.page.reload()
        await seen.page.keyboard.press("Tab")
        assert await seen.page.evaluate("document.activeElement.className") == "skip"
        await seen.page.focus("#objects a[data-object=customer]")
        await seen.page.keyboard.press("Enter")
        await seen.until("#list-text", "1 to 25 of 30")
        assert await seen.page.evaluate("document.activeElement.id") == "main"
        seen.check()


async def test_no_request_leaves_loopback(browser, netlog):
    """By the browser's own log of all that it did in these tests; the last one, for it ends it."""
    async with looking(browser) as seen:
        await fill(seen.co)
        for hash_ in ("#/", "#/customer", "#/invoice/10000"):
            await seen.open(hash_)
        await seen.page.wait_for_selector("#parts tr")
        seen.check()  # and by the DevTools
    await browser.close()
    log = json.loads(netlog.read_text("utf-8"))
    names = {number: name for name, number in log["constants"]["logEventTypes"].items()}
    events = [(names[event["type"]], event.get("params", {})) for event in log["events"]]
    tried = [
        params["address"].rpartition(":")[0].strip("[]")
        for name, params in events
        if name == "TCP_CONNECT_ATTEMPT" and "address" in params
    ]
    assert tried
    assert all(ipaddress.ip_address(address).is_loopback for address in tried), set(tried)
    assert not [name for name, _ in events if name == "UDP_BYTES_SENT"]
