"""`iterate` brings all there is, or says that it cannot, whatever a server makes of pages."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.list_server import Cut, ListServer, Rows, whole

from chargeover_async.errors import DecodeError


def cutter(seed: int) -> Cut:
    """Cuts pages where it likes, but never to nothing."""
    source = random.Random(seed)
    return lambda rows, in_bulk: rows[: max(1, source.randrange(len(rows) + 1))] if rows else rows


@given(
    ids=st.sets(st.integers(1, 300), max_size=60),
    page=st.integers(1, 40),
    seed=st.integers(0, 99),
    order=st.sampled_from([None, "customer_id", "-customer_id"]),
)
async def test_pages_may_be_shorter_than_was_asked(
    ids: set[int], page: int, seed: int, order: str | None
) -> None:
    """A server may cut them by bytes, or to a size of its own: that is no end."""
    server = ListServer(sorted(ids), cut=cutter(seed))
    async with server.client() as co:
        found = [row.customer_id async for row in co.customers.iterate(order=order, page=page)]
    assert found == sorted(ids, reverse=order == "-customer_id")


@given(
    count=st.integers(0, 60),
    page=st.integers(1, 20),
    seed=st.none() | st.integers(0, 9),
    ignored=st.sets(st.sampled_from(["where", "order", "offset", "limit"]), min_size=1),
    order=st.sampled_from([None, "company"]),
    falling=st.booleans(),
)
async def test_what_is_ignored_ends_in_all_or_in_an_error(
    count: int,
    page: int,
    seed: int | None,
    ignored: set[str],
    order: str | None,
    falling: bool,
) -> None:
    """Never in fewer records without a word, in records twice, or in pages for ever."""
    ids = list(range(1, count + 1))
    cut = whole if seed is None else cutter(seed)
    server = ListServer(ids[::-1] if falling else ids, ignores=ignored, cut=cut)
    found: list[int] = []
    is_all = False
    async with server.client() as co:
        rows = co.customers.iterate(order=order, page=page)
        with contextlib.suppress(DecodeError):
            while not is_all:
                row = await anext(rows, None)
                is_all = row is None
                found += [] if row is None else [row.customer_id]
    assert not is_all or sorted(found) == ids
    assert len(found) == len(set(found))
    assert len(server.requests) <= 2 * count + 4


@pytest.mark.parametrize("count", [39, 40])
async def test_a_list_that_takes_no_offset(count: int) -> None:
    """One that is no full page is whole; behind a full page there may be more."""
    server = ListServer(range(1, count + 1), ignores=["offset"], primary="currency_id")
    async with server.client() as co:
        rows: Rows = []
        if count < 40:
            rows = [row async for row in co.currencies.iterate(page=40)]
            assert len(rows) == count
        else:
            with pytest.raises(DecodeError, match="does not page currencies by offset"):
                [row async for row in co.currencies.iterate(page=40)]
    assert len(server.requests) == 2
