"""Whole objects read from a sandbox, in both modes, through faults and changes."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import Any

import pytest
from support.export_world import account, customer, fill, ids_in, requests

from chargeover_async import ChargeOver, Customer, F
from chargeover_async.errors import DecodeError, ServerError, UsageError
from chargeover_async.export import reader, records
from chargeover_async.export.fetch import Fetcher
from chargeover_async.export.ranges import Range
from chargeover_async.export.reader import Reader
from chargeover_async.resources import Customers
from chargeover_async.retry import RetryPolicy
from chargeover_async.sandbox import Faults, LogEntry, Sandbox, Variant
from chargeover_async.sandbox.api import bulk
from chargeover_async.sandbox.protocol import where as where_clauses
from chargeover_async.sandbox.records import find

NO_QUERIES = Variant(accept_query=False)
BOTH = pytest.mark.parametrize("variant", [Variant(), NO_QUERIES], ids=["bulk", "plain"])


async def read(co: ChargeOver, **options: Any) -> list[int]:
    """With small pages, so that few records make many."""
    whole = Reader(co.customers, **{"page": 50, **options})
    async with aclosing(whole.pages()) as pages:
        return [number async for page in pages for number in page.ids]


@BOTH
@pytest.mark.parametrize("count", [0, 1, 7, 8, 499, 500, 501, 1000, 2750])
async def test_every_record_comes_once(variant: Variant, count: int) -> None:
    """Nothing, one, a full page, one more than that, several pages."""
    async with account(ids=range(1, count + 1), variant=variant) as (_, co):
        found = [record.customer_id async for record in records(co.customers)]
        assert found == list(range(1, count + 1))


@BOTH
async def test_the_requests_that_it_takes(variant: Variant) -> None:
    """Dense ids: 25 pages in a request; or a page in each, where _bulk takes no query."""
    async with account(ids=range(1, 2_001), variant=variant) as (sandbox, co):
        whole = Reader(co.customers, page=50)
        async with aclosing(whole.pages()) as pages:
            found = [number async for page in pages for number in page.ids]
        assert found == ids_in(sandbox)
        assert whole.total == 2_000
        assert whole.uses_bulk is (variant != NO_QUERIES)
        # The highest id, the first page, the count and the comparison; then 39 pages and the end.
        assert whole.requests == len(sandbox.log) == 4 + (2 if whole.uses_bulk else 40)


async def test_small_objects_take_two_requests() -> None:
    """The highest id and the only page: nothing to compare, nothing to count."""
    async with account(ids=range(1, 40)) as (sandbox, co):
        assert len(await read(co)) == 39
        assert requests(sandbox) == ["GET /customer"] * 2


@BOTH
async def test_gaps_cost_nothing_but_requests(variant: Variant) -> None:
    """Sparse and clustered ids, wide gaps."""
    source = random.Random(7)
    ids = sorted({*source.sample(range(1, 40_000), 3000), *range(10**7, 10**7 + 2500), 10**9})
    async with account(ids=ids, variant=variant) as (_, co):
        assert await read(co) == ids


@BOTH
async def test_a_filter_holds_in_every_page(variant: Variant) -> None:
    """Values that need escaping included."""
    async with account(ids=range(1, 3001), variant=variant) as (sandbox, co):
        for number in range(1, 3001, 3):
            sandbox.store.seed("customer", customer(number) | {"company": "a:b, c\\d"})
        found = await read(co, where=[F.company == "a:b, c\\d", F.customer_id > 10])
        assert found == [number for number in range(1, 3001, 3) if number > 10]


@BOTH
async def test_a_server_with_smaller_pages_loses_nothing(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page shorter than was asked for is no end while there are higher ids."""
    monkeypatch.setattr(where_clauses, "MAX_LIMIT", 20)
    ids = [*range(1, 700), *range(3000, 9000, 17)]
    async with account(ids=ids, variant=variant) as (_, co):
        assert await read(co) == ids


@pytest.mark.parametrize("how", ["ignored", "default_limit", "order"])
async def test_a_bulk_that_answers_queries_differently_is_not_used(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison notices a server that drops the query of a batch, or a part of it."""
    truly = bulk._run

    def other(api: Any, item: dict[str, Any], method: str, uri: str, *rest: Any) -> Any:
        path, _, query = uri.partition("?")
        parts = [] if how == "ignored" else query.split("&")
        dropped = "limit=" if how == "default_limit" else "order="
        uri = f"{path}?{'&'.join(part for part in parts if not part.startswith(dropped))}"
        return truly(api, item, method, uri, *rest)

    monkeypatch.setattr(bulk, "_run", other)
    async with account(ids=range(1, 701)) as (sandbox, co):
        whole = Reader(co.customers, page=50)
        async with aclosing(whole.pages()) as pages:
            assert [number async for page in pages for number in page.ids] == ids_in(sandbox)
        assert not whole.uses_bulk
        assert requests(sandbox).count("POST /_bulk") <= 2


async def test_a_bulk_that_goes_wrong_later_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are checked one by one, not only at first: none of a wrong answer is taken."""
    truly = bulk._run
    calls = 0

    def other(api: Any, item: dict[str, Any], method: str, uri: str, *rest: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 10:
            uri = uri.partition("?")[0] + "?limit=50"
        return truly(api, item, method, uri, *rest)

    monkeypatch.setattr(bulk, "_run", other)
    async with account(ids=range(1, 3_001)) as (sandbox, co):
        assert await read(co) == ids_in(sandbox)


@BOTH
@pytest.mark.parametrize(
    "kind", ["500", "502", "429", "lost", "cut", "not_json", "reset_before", "reset_after"]
)
async def test_faults_lose_and_double_nothing(variant: Variant, kind: str) -> None:
    """A fifth of all requests meets one fault or another."""
    faults = Faults({kind: 0.2}, seed=3)
    async with account(ids=range(1, 2001), variant=variant, faults=faults) as (sandbox, co):
        assert await read(co) == ids_in(sandbox)


async def test_a_batch_that_is_too_much_for_the_server_is_halved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until it fits; the pages are the same."""
    truly = bulk._items

    def fewer(payload: Any) -> Any:
        items = truly(payload)
        if len(items) > 6:
            raise bulk.Refused("Too much.")
        return items

    monkeypatch.setattr(bulk, "_items", fewer)
    async with account(ids=range(1, 2_001)) as (sandbox, co):
        whole = Reader(co.customers, page=50)
        async with aclosing(whole.pages()) as pages:
            assert [number async for page in pages for number in page.ids] == ids_in(sandbox)
        assert 1 < whole._fetcher.batch.size <= 6
        assert whole.requests < 30


async def test_a_batch_without_an_answer_is_halved_soon() -> None:
    """Two tries, not eight: a request that takes the server too long would take it long again."""
    async with account(ids=range(1, 2_001)) as (sandbox, co):
        sandbox.faults.script([None] * 4 + ["502"] * 4)
        whole = Reader(co.customers, page=50)
        async with aclosing(whole.pages()) as pages:
            assert [number async for page in pages for number in page.ids] == ids_in(sandbox)
        sizes = [
            len(entry.items)
            for entry in sandbox.log
            if entry.path.endswith("_bulk") and entry.items
        ]
        assert max(sizes) <= 13


async def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    """With the patience of the client's own policy, and without asking for less afterwards."""
    patient = RetryPolicy(attempts=8, base_s=0.2, cap_s=0.2)
    async with account(ids=range(1, 2_001), retry=patient) as (sandbox, co):
        whole = Reader(co.customers, page=50)
        found: list[int] = []
        async with aclosing(whole.pages()) as pages:
            async for page in pages:
                if not found:
                    await sandbox.kill()
                    asyncio.get_running_loop().call_later(0.3, _start_again, sandbox)
                found += page.ids
        assert found == ids_in(sandbox)
        assert whole.uses_bulk


def _start_again(sandbox: Sandbox) -> None:
    _STARTING.append(asyncio.create_task(sandbox.start()))


_STARTING: list[asyncio.Task[Sandbox]] = []


async def test_notes_are_read_by_offset() -> None:
    """The API does not filter them by their id."""
    async with account() as (sandbox, co):
        for number in range(1, 121):
            sandbox.store.seed("note", {"note": f"Ünï {number}"})
        whole = Reader(co.notes, page=50)
        async with aclosing(whole.pages()) as pages:
            found = [number async for page in pages for number in page.ids]
        assert found == list(sandbox.store.table("note").ids)
        *lists, count = sandbox.log
        assert all("offset=" in entry.query for entry in lists)
        assert count.path.endswith("/note/_count")


async def test_an_item_of_a_batch_that_fails_is_asked_for_again() -> None:
    """By itself, with all the patience of a direct call."""
    faults = Faults()
    faults.script([None] * 4 + ["entry_500=3", "short", "long", "entry_500=0"])
    async with account(ids=range(1, 4_001), faults=faults) as (sandbox, co):
        assert await read(co) == ids_in(sandbox)
        assert {entry.fault for entry in sandbox.log} == {None, "entry_500", "short", "long"}


async def test_what_cannot_be_had_is_an_error_and_no_end() -> None:
    """A server that stays sick: what was read until then was right, and the error comes out."""
    async with account(ids=range(1, 7001), variant=NO_QUERIES) as (sandbox, co):
        found: list[int] = []

        async def read_on() -> None:
            async for record in records(co.customers):
                found.append(record.customer_id)
                if len(found) == 1000:
                    sandbox.faults.set_rates({"500": 1.0})

        with pytest.raises(ServerError):
            await read_on()
        assert found == list(range(1, len(found) + 1))


@BOTH
async def test_records_that_come_and_go_meanwhile(variant: Variant) -> None:
    """New ones are met until the last page is asked for, none twice; no other is disturbed."""
    async with account(ids=range(1, 8001), variant=variant) as (sandbox, co):
        table = sandbox.store.table("customer")
        created: dict[int, int] = {}  # id -> requests that were there before
        found: list[Customer] = []
        async for record in records(co.customers):
            found.append(record)
            number = record.customer_id
            if number % 250 == 1 and number <= 8000:
                created[20_000 + number] = len(sandbox.log)
                fill(sandbox, [20_000 + number])
                for gone in (number - 1, 8000 - number // 500):
                    if row := table.rows.get(gone):
                        table.remove(row, free_key=True)
                sandbox.store.seed("customer", customer(7777) | {"company": f"now {number}"})
        ids = [record.customer_id for record in found]
        assert ids == sorted(set(ids))
        assert set(ids) >= {number for number in ids_in(sandbox) if number <= 8000}
        ends = [at for at, entry in enumerate(sandbox.log) if _is_open(entry)]
        in_time = {number for number, before in created.items() if before <= ends[-1]}
        assert len(in_time) > 1
        assert set(ids) >= in_time
        assert next(record for record in found if record.customer_id == 7777).company


def _is_open(entry: LogEntry) -> bool:
    """Whether a request asks for all that is behind an id, as the last one does."""
    asked = [item.uri for item in entry.items] or [entry.query]
    return any("limit=500" in text and "LTE" not in text for text in asked)


async def test_leaving_early_sends_nothing_more() -> None:
    """And leaves no task behind."""
    async with account(ids=range(1, 60_001), variant=NO_QUERIES) as (sandbox, co):
        async with aclosing(records(co.customers)) as found:
            async for _ in found:
                break
        sent = len(sandbox.log)
        assert sent < 15
        await co.customers.count()
        assert len(sandbox.log) == sent + 1


@BOTH
async def test_nested_parts_are_fetched_record_by_record(variant: Variant) -> None:
    """Lists have no line_items; 25 single GETs travel in one request, which is documented."""
    async with account(variant=variant) as (sandbox, co):
        buyer = await co.customers.create(company="Acme")
        item = await co.items.create(name="Tea")
        for number in range(60):
            await co.invoices.create(
                customer_id=buyer.id,
                line_items=[{"item_id": item.id, "line_rate": f"{number}.10"}],
            )
        plain = [record async for record in records(co.invoices)]
        assert all(record.line_items is None for record in plain)
        before = len(sandbox.log)
        found = [record async for record in records(co.invoices, nested=True)]
        assert [record.invoice_id for record in found] == [record.invoice_id for record in plain]
        assert [str(record.line_items[0].line_rate) for record in found if record.line_items] == [
            f"{number}.1" if number else "0.1" for number in range(60)
        ]
        assert requests(sandbox)[before:].count("POST /_bulk") == 3


async def test_a_record_deleted_between_list_and_get_is_left_out() -> None:
    """It is not there any more: no error, and no stale copy."""
    async with account(ids=range(1, 60)) as (sandbox, co):
        whole = Reader(co.customers, nested=True)
        table = sandbox.store.table("customer")
        fetcher = whole._fetcher
        page = await fetcher.get_list(Range(0, None))
        table.remove(table.rows[7], free_key=True)
        finished = await fetcher.complete(page)
        assert finished.ids == [number for number in range(1, 60) if number != 7]


async def test_options_of_the_client_go_with_every_request() -> None:
    """Flags and on_behalf_*, inside a batch, too."""
    async with account(ids=range(1, 301)) as (sandbox, co):
        other = co.with_options(flags={"webhooks": 0})
        assert len(await read(other)) == 300
        for entry in sandbox.log:
            if entry.items:
                assert all("_flag_webhooks=0" in item.uri for item in entry.items)
            else:
                assert "_flag_webhooks=0" in entry.query


async def test_what_cannot_be_read_is_said_before_anything_is_sent() -> None:
    """Objects without a list, filters where there are none, a bulk scope's resources."""
    async with account() as (sandbox, co):
        for call, words in (
            (lambda: records(co.teapot), "no list"),
            (lambda: records(co.terms, where=F.terms_id == 1), "filtered"),
            (lambda: records(co.terms, nested=True), "one by one"),
            (lambda: records(co.notes, after=5), "from an id on"),
            (lambda: records(co.customers, pages_per_request=26), "pages_per_request"),
        ):
            with pytest.raises(UsageError, match=words):
                call()
        async with co.bulk() as bulk:
            with pytest.raises(UsageError, match="bulk scope"):
                records(bulk.customers)
        assert not sandbox.log


@pytest.fixture
def by_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers are one of the objects whose ids the API does not filter by, as notes are."""
    monkeypatch.setattr(reader, "OffsetListable", Customers)


@pytest.mark.usefixtures("by_offset")
@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 270])
async def test_lists_by_offset_are_read_to_their_end(count: int) -> None:
    """A page that is short is no end by itself: a server's pages may be smaller."""
    async with account(ids=range(1, count + 1)) as (_, co):
        assert await read(co) == list(range(1, count + 1))


@pytest.mark.usefixtures("by_offset")
async def test_a_deletion_hides_nothing_from_a_list_by_offset() -> None:
    """What moves up into pages that were read already is gone back for."""
    async with account(ids=range(1, 3001)) as (sandbox, co):
        table = sandbox.store.table("customer")
        found: list[int] = []
        async for record in records(co.customers):
            found.append(record.customer_id)
            if record.customer_id in {500, 1400, 2900}:
                for gone in range(record.customer_id - 450, record.customer_id + 1, 2):
                    if row := table.rows.get(gone):
                        table.remove(row, free_key=True)
        assert found == sorted(set(found))
        assert set(found) >= set(ids_in(sandbox))
        assert len(sandbox.log) > 7


async def test_a_server_that_does_not_page_by_id_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never an export that looks whole."""
    monkeypatch.setattr(find, "parse_where", lambda where: [])
    async with account(ids=range(1, 2001)) as (_, co):
        with pytest.raises(DecodeError, match="does not page customer by customer_id"):
            await read(co)


@BOTH
async def test_a_record_deleted_between_list_and_get_hides_no_other(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How full a page was is told by the list, not by what was left of it afterwards."""
    ids = [*range(1, 2_000, 40), *range(2_000, 2_300)]
    async with account(ids=ids, variant=variant) as (_, co):
        gone: set[int] = set()
        truly = Fetcher.get_records

        async def get_records(self: Fetcher, chunk: Any) -> Any:
            if chunk[0] > 1:
                gone.add(chunk[0])
            found = await truly(self, chunk)
            return [pair for pair in found if pair[0] not in gone]

        monkeypatch.setattr(Fetcher, "get_records", get_records)
        found = await read(co, nested=True)
        assert gone
        assert found == [number for number in ids if number not in gone]


@BOTH
async def test_a_page_of_which_nothing_is_left_is_not_handed_out(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a page deleted between the list and the GETs."""

    async def get_records(self: Fetcher, chunk: Any) -> Any:
        return []

    monkeypatch.setattr(Fetcher, "get_records", get_records)
    async with account(ids=range(1, 120), variant=variant) as (_, co):
        whole = Reader(co.customers, page=50, nested=True)
        async with aclosing(whole.pages()) as pages:
            assert [page async for page in pages] == []


@BOTH
async def test_records_go_on_without_what_cannot_be_read(variant: Variant) -> None:
    """Who listens is told of each; without anybody who does, the first is an error."""
    async with account(ids=range(1, 1_200), variant=variant) as (sandbox, co):
        for number in (3, 700):
            row = sandbox.store.row("customer", number)
            assert row is not None
            sandbox.store.change(row, company=["two", "names"])
        errors: list[DecodeError] = []
        found = [
            error.customer_id async for error in records(co.customers, on_unreadable=errors.append)
        ]
        assert found == [number for number in range(1, 1_200) if number not in {3, 700}]
        assert [(error.id, error.field) for error in errors] == [(3, "company"), (700, "company")]
        with pytest.raises(DecodeError, match="company"):
            async with aclosing(records(co.customers)) as each:
                assert [record async for record in each]
