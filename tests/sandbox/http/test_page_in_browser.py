"""The sandbox's page in headless Chromium: what is seen, what can be switched, what it never does.

Debian's package `chromium` is enough; without it these tests are skipped. The browser resolves no
name at all, and its own log of the network is read at the end: Chromium calls home otherwise.
"""

from __future__ import annotations

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

import chargeover_async
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
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]

HOSTILE = '<img src=x onerror="window.hit = 1">'
SCRIPT = '"><script>window.hit = 2</script>'
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
FILES = Path(chargeover_async.__file__).parent / "sandbox" / "http" / "page"


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
    async with (
        Sandbox(quota=options.pop("quota", Quota())) as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        page = await browser.new_page(viewport=viewport, color_scheme=scheme)
        page.set_default_timeout(PATIENCE_MS)
        seen = Seen(page, sandbox, co)
        try:
            yield seen
        finally:
            await page.close()


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
        counts = dict(line.split("\n") for line in await seen.texts("#objects a"))
        assert list(counts) == names
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
    """Nested parts included; ids of other records are links."""
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
        assert '"item_external_key": "tea"' in shown["line_items"]
        filled = {name for name, value in invoice.items() if value not in (None, "")}
        assert shown.keys() == filled
        empty = (await seen.text("#record-empty")).removeprefix("Empty: ").split(", ")
        assert shown.keys() | set(empty) == invoice.keys()
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
            await seen.co.customers.create(company=name, external_key=name, custom_1=name)
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
            ("#/", "#log", "%3Cimg"),
            (f"#/{path}", "#log", "%3Cimg"),
            (f"#/customer/{path}", "#record-title", "<img"),
            ("#/%", "#log", "%3Cimg"),
        ):
            await seen.open(hash_)
            await seen.until(place, said)
            await seen.page.wait_for_timeout(50)
            assert await seen.page.locator("main img, main script, main iframe").count() == 0
            assert await seen.page.evaluate("window.hit") is None
        seen.complaints = [one for one in seen.complaints if "404" not in one and "400" not in one]
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
        assert all("ERR_CONNECTION" in one for one in seen.complaints)


async def test_it_is_readable_on_a_phone(browser, tmp_path):
    """Nothing hangs over the edge: tables scroll in themselves; controls can be touched."""
    async with looking(browser, viewport=PHONE, color_scheme="dark") as seen:
        await fill(seen.co)
        views = {"#/": "#log tr", "#/customer": "#rows td", "#/customer/1": "#fields tr"}
        for hash_, ready in views.items():
            await seen.open(hash_)
            await seen.page.wait_for_selector(ready)
            assert (
                await seen.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
            )
            image = await seen.page.screenshot(path=tmp_path / f"{len(hash_)}.png")
            assert await colours(seen.page, image) > 20
        low = await seen.page.evaluate(
            """[...document.querySelectorAll("button, input, select")]
               .filter((each) => each.offsetParent && each.offsetHeight < 40).length"""
        )
        assert low == 0
        seen.check()


async def test_everything_has_a_name_and_the_keyboard_reaches_it(browser):
    """For those who do not see the page, or have no mouse."""
    async with looking(browser) as seen:
        await fill(seen.co)
        for hash_ in ("#/", "#/customer", "#/customer/1"):
            await seen.open(hash_)
            nameless = await seen.page.evaluate(
                """() => {
                    const all = "button, input, select, a, svg, nav, section, [role=region]";
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
        for hash_ in ("#/", "#/customer", "#/customer/1"):
            await seen.open(hash_)
        await seen.page.wait_for_selector("#fields tr")
        seen.check()  # and by the DevTools
    await browser.close()
    log = json.loads(netlog.read_text("utf-8"))
    names = {number: name for name, number in log["constants"]["logEventTypes"].items()}
    events = [(names[each["type"]], each.get("params", {})) for each in log["events"]]
    tried = [
        params["address"].rpartition(":")[0].strip("[]")
        for name, params in events
        if name == "TCP_CONNECT_ATTEMPT" and "address" in params
    ]
    assert tried
    assert all(ipaddress.ip_address(address).is_loopback for address in tried), set(tried)
    assert not [name for name, _ in events if name == "UDP_BYTES_SENT"]
