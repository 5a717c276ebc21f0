"""Reads a whole object, page by page, in as few requests as the server allows.

Pages are asked for by ranges of the primary key (`ranges`), so that no page costs more than the
first, nothing shifts when records come and go, and several can be asked for at once: up to 25 in
one ``_bulk``, once a comparison with direct calls has shown that this account answers queries in
there as it answers them alone; otherwise, or when that stops to be so, a request each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.errors import UsageError
from chargeover_async.query import MAX_PAGE, QueryPairs, Where, order_pair
from chargeover_async.resources._calls.base import BaseResource
from chargeover_async.resources._calls.kinds import Addressable, Pageable
from chargeover_async.resources._calls.lists import AllAtOnce, OffsetListable, Unfiltered

from .fetch import BULK_IN_FLIGHT, BatchSize, Fetcher
from .page import Page, check_order, joined
from .ranges import Range, Ranges
from .trust import answers_alike

PLAIN_IN_FLIGHT = 6  # requests of one page each: what 250 a minute need at 1.4 s latency


class Reader:
    """One reading of one object.

    ``where`` filters; ``after`` is the id behind which to begin. ``nested`` reads every record by
    itself, so that the parts are there which lists leave out: a GET each, 25 a request.
    ``pages_per_request`` is 1 to 25; with 1 nothing but plain lists is used. ``page`` is the number
    of records asked for at a time, 1 to 500.

    Raises UsageError for an object that cannot be listed, or not in the way that is asked for.
    """

    def __init__(
        self,
        resource: BaseResource[Any],
        *,
        where: Where = None,
        after: int = 0,
        nested: bool = False,
        pages_per_request: int = MAX_ITEMS,
        page: int = MAX_PAGE,
    ) -> None:
        _check_resource(resource, where, nested=nested)
        if after and not can_page_by_key(type(resource)):
            raise UsageError(f"{resource.attribute} cannot be read from an id on: pass no after")
        if not 1 <= pages_per_request <= MAX_ITEMS:
            raise UsageError(f"pages_per_request must be 1 to {MAX_ITEMS}, not {pages_per_request}")
        if not 1 <= page <= MAX_PAGE:
            raise UsageError(f"page must be 1 to {MAX_PAGE}, not {page}")
        self._resource = resource
        self._fetcher = Fetcher(
            resource, where=where, nested=nested, pages_per_request=pages_per_request, page=page
        )
        self._after = after
        self._may_use_bulk = pages_per_request > 1 and not nested
        self._is_proven = False
        self.total: int | None = None

    @property
    def requests(self) -> int:
        """The requests that were sent so far."""
        return self._fetcher.asker.requests

    @property
    def uses_bulk(self) -> bool:
        """Whether several pages travel in one request."""
        return self._is_proven and self._fetcher.batch.size > 1

    @property
    def by_key(self) -> bool:
        """Whether pages are asked for by the primary key, so that reading can begin behind one."""
        return can_page_by_key(type(self._resource))

    def pages(self) -> AsyncGenerator[Page]:
        """Every page, by rising id; leaving early sends nothing more.

        Raises what a list raises once the retry policy gives up, and DecodeError for an answer
        that is not what was asked for.
        """
        return self._by_key() if self.by_key else self._by_offset()

    async def first_by(self, order: str) -> Page:
        """The one record that comes first in ``order``."""
        fetcher = self._fetcher
        query: QueryPairs = (*fetcher.where, *order_pair(order), ("limit", "1"))
        return await fetcher.asker.get((fetcher.path, query), fetcher.read)

    async def count(self) -> int | None:
        """How many records the API counts; None where it does not."""
        return await self._fetcher.count()

    # -- by primary key ----------------------------------------------------------------------

    async def _by_key(self) -> AsyncGenerator[Page]:
        fetcher = self._fetcher
        # Before the first page: ids up to this one are there to be read, later ones are found
        # behind it, for new records get higher ids.
        highest = await fetcher.highest(self._after)
        first = await fetcher.get_list(Range(self._after, None))
        last = first.ids[-1] if first.ids else self._after
        full = len(first.ids)
        if full < fetcher.page and last >= highest:
            page = await fetcher.complete(first)
            if page.ids:
                yield page
            self.total = full
            return
        # A page that is short although there is more: this server's pages are smaller.
        self.total, self._is_proven = await asyncio.gather(
            fetcher.count(after=self._after), self._may_trust(first)
        )
        if not self._is_proven:
            fetcher.batch = BatchSize(1)
        size = fetcher.batch.size
        ranges = Ranges[Page](
            last,
            highest,
            full=full or fetcher.page,
            density=_density(first.ids, self._after, highest, self.total),
            window=size * BULK_IN_FLIGHT if size > 1 else PLAIN_IN_FLIGHT,
        )
        page = await fetcher.complete(first)
        if page.ids:
            yield page
        flights: dict[asyncio.Task[list[tuple[list[int], Page]]], list[Range]] = {}
        try:
            while True:
                most = BULK_IN_FLIGHT if fetcher.batch.size > 1 else PLAIN_IN_FLIGHT
                while len(flights) < most and (asked := ranges.take(fetcher.batch.size)):
                    flights[asyncio.create_task(self._fetch(asked))] = asked
                for page in ranges.ready():
                    if page.ids:
                        yield page
                if not flights:
                    if ranges.done:
                        return
                    continue
                done, _ = await asyncio.wait(flights, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    for ids, (listed, page) in zip(flights.pop(task), task.result(), strict=True):
                        ranges.answer(ids, listed, page)
        finally:
            for task in flights:
                task.cancel()
            await asyncio.gather(*flights, return_exceptions=True)

    async def _may_trust(self, first: Page) -> bool:
        return self._may_use_bulk and await answers_alike(self._fetcher, first, self._after)

    async def _fetch(self, asked: Sequence[Range]) -> list[tuple[list[int], Page]]:
        """For each range the ids that the list told, and the page to hand out.

        The page may hold fewer: what was deleted since the list says nothing of how full that was.
        """
        pages = await self._fetcher.get_lists(asked)
        return [(page.ids, await self._fetcher.complete(page)) for page in pages]

    # -- by offset, for the few objects that are not filtered by their primary key --------------

    async def _by_offset(self) -> AsyncGenerator[Page]:
        """Pages by offset, to the first that brings nothing new.

        Where the list has an order, each page begins with the record that ended the last: when it
        does not, records were deleted and all behind them moved up, and the reading goes back.
        """
        resource, fetcher = self._resource, self._fetcher
        is_ordered = isinstance(resource, OffsetListable)
        is_paged = not isinstance(resource, AllAtOnce)
        seen: set[int] = set()
        last = self._after
        offset = 0
        went_back = False
        while True:
            query: QueryPairs = fetcher.where
            if is_ordered:
                query += order_pair(resource.primary)
            if is_paged:
                query += (("limit", str(fetcher.page)), ("offset", str(offset)))
            page = await fetcher.asker.get((fetcher.path, query), fetcher.read)
            if is_ordered:
                page = check_order(page, 0, None, resource.primary, resource.object)
                has_gap = page.ids[0] > last if page.ids else not went_back
                if offset > 0 and has_gap:
                    offset, went_back = max(0, offset - fetcher.page), True
                    continue
            fresh = [
                (number, part)
                for number, part in zip(page.ids, page.parts(), strict=True)
                if (number > last if is_ordered else number not in seen)
            ]
            if fresh:
                last, went_back = fresh[-1][0], False
                if not is_ordered:
                    seen.update(number for number, _ in fresh)
                page_of_fresh = joined((number for number, _ in fresh), (part for _, part in fresh))
                completed = await fetcher.complete(page_of_fresh)
                if completed.ids:
                    yield completed
            if not is_paged or not page.ids or (not fresh and (len(page.ids) == 1 or seen)):
                return
            offset += len(page.ids) - is_ordered


def _density(ids: Sequence[int], after: int, highest: int, count: int | None) -> float:
    if count is not None and highest > after:
        return count / (highest - after)
    return len(ids) / (ids[-1] - after) if ids else 1.0


def can_page_by_key(resource: type[BaseResource[Any]]) -> bool:
    """Whether the API filters this object by its primary key."""
    return issubclass(resource, Pageable) and not issubclass(resource, OffsetListable)


def _check_resource(resource: BaseResource[Any], where: Where, *, nested: bool) -> None:
    if not isinstance(resource, (Pageable, Unfiltered, AllAtOnce)):
        raise UsageError(f"{resource.attribute} cannot be exported: the API has no list of them")
    if where is not None and not isinstance(resource, Pageable):
        raise UsageError(f"{resource.attribute} cannot be filtered: the API does not offer it")
    if nested and not isinstance(resource, Addressable):
        raise UsageError(f"{resource.attribute} cannot be read one by one, so not with their parts")


__all__ = ("Reader", "can_page_by_key")
