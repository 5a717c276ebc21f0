"""A reading brings all there is, or says what is missing, whatever a server makes of pages."""

from __future__ import annotations

import logging
import random
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.list_server import Cut, ListServer, Rows, whole

from chargeover_async import ChargeOver
from chargeover_async._wire.envelope import Answer
from chargeover_async._wire.request import Request
from chargeover_async.errors import DecodeError, UsageError
from chargeover_async.export import ExportJob, records
from chargeover_async.export.reader import Reader
from chargeover_async.limits import Permit


def first(count: int, *, in_bulk: bool | None = None, above: int = 0) -> Cut:
    """No more than so many records a page, in ``_bulk``, alone, or in both; from some id on."""

    def cut(rows: Rows, is_bulk: bool) -> Rows:
        applies = in_bulk is None or in_bulk is is_bulk
        return rows[:count] if applies and rows and rows[0]["customer_id"] > above else rows

    return cut


def anyhow(seed: int) -> Cut:
    source = random.Random(seed)
    return lambda rows, _: rows[: source.randrange(1, len(rows) + 1)] if rows else rows


CUTS = {
    "whole": whole,
    "10 in _bulk": first(10, in_bulk=True),
    "10 in _bulk above 500": first(10, in_bulk=True, above=500),
    "40 above 500": first(40, above=500),
    "always 20": first(20),
}


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("at_once", [25, 1])
@pytest.mark.parametrize("name", CUTS)
async def test_shorter_pages_lose_nothing(name: str, at_once: int, step: int) -> None:
    """Dense ids and gaps; in few requests where pages are as they should be."""
    server = ListServer(range(1, 2_000 * step, step), cut=CUTS[name])
    async with server.client() as co:
        assert await read(co, page=50, pages_per_request=at_once) == list(server.rows)
    if name == "whole":
        assert len(server.requests) <= (6 if at_once > 1 else 1.25 * 40)


@given(
    ids=st.sets(st.integers(1, 2_000), max_size=50),
    page=st.integers(2, 30),
    at_once=st.integers(1, 25),
    seed=st.integers(0, 999),
)
async def test_pages_that_are_cut_anyhow(ids: set[int], page: int, at_once: int, seed: int) -> None:
    """As by a server that counts bytes: all come, once, by rising id."""
    server = ListServer(sorted(ids), cut=anyhow(seed))
    async with server.client() as co:
        assert await read(co, page=page, pages_per_request=at_once) == sorted(ids)


async def read(co: ChargeOver, name: str = "customers", **options: Any) -> list[int]:
    found: list[int] = []
    async with aclosing(Reader(getattr(co, name), **options).pages()) as pages:
        async for page in pages:
            found += page.ids
    return found


@given(
    count=st.integers(0, 120),
    page=st.integers(1, 40),
    at_once=st.sampled_from([1, 25]),
    ignored=st.sets(st.sampled_from(["where", "order", "limit"]), min_size=1),
    falling=st.booleans(),
)
async def test_what_is_ignored_ends_in_all_or_in_an_error(
    count: int, page: int, at_once: int, ignored: set[str], falling: bool
) -> None:
    """Never in fewer records without a word, nor in records twice."""
    ids = list(range(1, count + 1))
    server = ListServer(ids[::-1] if falling else ids, ignores=ignored)
    async with server.client() as co:
        try:
            found = await read(co, page=page, pages_per_request=at_once)
        except DecodeError:
            return
    assert found == ids


@given(
    count=st.integers(0, 120),
    page=st.integers(2, 40),
    seed=st.none() | st.integers(0, 99),
    ignored=st.sets(st.sampled_from(["order", "offset", "limit"])),
    name=st.sampled_from(["notes", "currencies", "usage"]),
)
async def test_lists_by_offset_are_whole_or_an_error(
    count: int, page: int, seed: int | None, ignored: set[str], name: str
) -> None:
    """Where the API counts nothing and heeds no offset, one page that is not full is believed."""
    ids = list(range(1, count + 1))
    primary = {"notes": "note_id", "currencies": "currency_id", "usage": "usage_history_id"}[name]
    cut = whole if seed is None else anyhow(seed)
    server = ListServer(ids, ignores=ignored, primary=primary, cut=cut)
    if "offset" in ignored and name != "notes":
        server.cut = whole
    async with server.client() as co:
        try:
            found = await read(co, name, page=page)
        except DecodeError:
            assert ignored
            return
    assert found == ids
    assert len(server.requests) <= 4 * count + 5


@pytest.mark.parametrize("at_once", [25, 1])
async def test_a_server_that_lists_fewer_than_it_counts_is_told(
    at_once: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A record that is in no list: the reading ends, and everybody who reads is told."""
    hidden: Cut = lambda rows, _: [row for row in rows if row["customer_id"] != 777]  # noqa: E731
    server = ListServer(range(1, 3_000), cut=hidden)
    caplog.set_level(logging.WARNING, "chargeover_async.export")
    async with server.client() as co:
        assert 777 not in await read(co, pages_per_request=at_once)
        assert "counts 2999 records of customer and has listed 2998" in caplog.text
        summary = await ExportJob("customer", tmp_path / "c.jsonl").run(co)
        assert (summary.records, summary.counted, summary.is_short) == (2998, 2999, True)


async def test_right_ids_with_other_contents_are_not_trusted() -> None:
    """Inside ``_bulk`` the contents are compared, too, with what a direct call has answered."""

    def other(rows: Rows, in_bulk: bool) -> Rows:
        return [{**row, "company": "somebody else"} if in_bulk else row for row in rows]

    server = ListServer(range(1, 2_000), cut=other)
    async with server.client() as co:
        found = [row.company async for row in records(co.customers)]
    assert found == [f"c {number}" for number in range(1, 2_000)]
    assert server.requests.count("/_bulk") <= 2


@pytest.mark.parametrize("wrong", ["another's", "nobody's", "all swapped"])
async def test_a_wrong_nested_record_is_never_handed_out(wrong: str) -> None:
    """A single GET that answers another record, inside ``_bulk`` or alone, is an error."""

    class Confused(ListServer):
        def _answer(self, target: str, *, in_bulk: bool) -> Any:
            _, _, number = target.partition("/customer/")
            if not number:
                return super()._answer(target, in_bulk=in_bulk)
            row = self.rows[int(number)]
            if wrong == "all swapped":
                return self.rows[len(self.rows) + 1 - int(number)]
            if int(number) != 7:
                return row
            return self.rows[8] if wrong == "another's" else {"company": "c 7"}

    server = Confused(range(1, 40))
    async with server.client() as co:
        with pytest.raises(DecodeError, match=r"asked for customer|not a list of records"):
            await read(co, nested=True)


@pytest.mark.parametrize("step", [1, 9])
async def test_the_bytes_in_flight_are_bounded(step: int) -> None:
    """Large pages travel in fewer at once; what is not handed out yet counts, too."""
    most = 300_000
    answered = largest = 0

    class Weighed(ListServer):
        async def send(self, request: Request, permit: Permit) -> Answer:
            nonlocal answered, largest
            answer = await super().send(request, permit)
            answered += len(answer.body)
            largest = max(largest, len(answer.body))
            return answer

    server = Weighed(range(1, 3_000 * step, step))
    for row in server.rows.values():
        row["company"] = "x" * 400  # pages of 50 are 22,000 bytes: four in a request
    async with server.client() as co:
        found: list[int] = []
        taken = waiting = 0
        reader = Reader(co.customers, page=50, max_bytes_in_flight=most)
        async with aclosing(reader.pages()) as pages:
            async for page in pages:
                found += page.ids
                taken += page.size
                if taken > 100_000:  # the first requests are to find out
                    waiting = max(waiting, answered - taken)
        assert found == list(server.rows)
        assert reader.uses_bulk
        assert largest <= 1.1 * max(most / 3, 110_000)  # the trial has the first page and parts
        assert waiting <= 1.6 * most  # with the trial's, which nobody is handed
        with pytest.raises(UsageError, match="max_bytes_in_flight"):
            Reader(co.customers, max_bytes_in_flight=0)
