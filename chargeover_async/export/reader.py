"""Reads a whole object, page by page, in as few requests as the server allows.

Pages are asked for by ranges of the primary key (`ranges`), so that no page costs more than the
first, nothing shifts when records come and go, and several can be asked for at once: up to 25 in
one ``_bulk``, once a comparison with direct calls has shown that this account answers queries in
there as it answers them alone; otherwise, or when that stops to be so, a request each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any, TypeAlias

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.errors import DecodeError, UsageError
from chargeover_async.query import MAX_PAGE, QueryPairs, Where, order_pair
from chargeover_async.resources._calls.base import BaseResource
from chargeover_async.resources._calls.kinds import Addressable, Pageable
from chargeover_async.resources._calls.lists import AllAtOnce, OffsetListable, Unfiltered

from .fetch import BULK_IN_FLIGHT, MAX_BYTES_IN_FLIGHT, BatchSize, Fetcher
from .page import Page, check_order, joined
from .ranges import Range, Ranges
from .trust import page_in_bulk

logger = logging.getLogger("chargeover_async.export")

PLAIN_IN_FLIGHT = 6  # requests of one page each: what 250 a minute need at 1.4 s latency


MOST_REPEATS = 3  # pages by offset that bring nothing new, one after the other

_Answers: TypeAlias = "tuple[list[tuple[list[int], Page]], bool | None]"


class Reader:
    """One reading of one object.

    ``where`` filters; ``after`` is the id behind which to begin. ``nested`` reads every record by
    itself, so that the parts are there which lists leave out: a GET each, 25 a request.
    ``pages_per_request`` is 1 to 25; with 1 nothing but plain lists is used. ``page`` is the number
    of records asked for at a time, 1 to 500. ``max_bytes_in_flight`` bounds what is on its way or
    waits to be handed out: where pages are large, fewer travel in a request, and at least one.

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
        max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT,
    ) -> None:
        _check_resource(resource, where, nested=nested)
        if after and not can_page_by_key(type(resource)):
            raise UsageError(f"{resource.attribute} cannot be read from an id on: pass no after")
        if not 1 <= pages_per_request <= MAX_ITEMS:
            raise UsageError(f"pages_per_request must be 1 to {MAX_ITEMS}, not {pages_per_request}")
        if not 1 <= page <= MAX_PAGE:
            raise UsageError(f"page must be 1 to {MAX_PAGE}, not {page}")
        if max_bytes_in_flight < 1:
            raise UsageError(f"max_bytes_in_flight must be above 0, not {max_bytes_in_flight}")
        self._resource = resource
        self._most_bytes = max_bytes_in_flight
        self._page_bytes = 1.0  # of a page, as the latest were
        self._held = 0  # bytes that were answered and are not handed out
        self._fetcher = Fetcher(
            resource, where=where, nested=nested, pages_per_request=pages_per_request, page=page
        )
        self._after = after
        self._may_use_bulk = pages_per_request > 1 and not nested
        self._is_proven = False
        self.total: int | None = None
        """How many records the API counted before it listed them; None where it does not count."""
        self.counted: int | None = None
        """The same once all are read, the lesser of both if it was asked again."""
        self.given = 0

    @property
    def is_short(self) -> bool:
        """Whether the API counts more records than it has listed: some are missing."""
        return self.counted is not None and self.given < self.counted

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

    # -- by primary key ----------------------------------------------------------------------

    async def _by_key(self) -> AsyncGenerator[Page]:
        fetcher = self._fetcher
        first = await fetcher.get_list(Range(self._after, None))
        last = first.ids[-1] if first.ids else self._after
        full = len(first.ids)
        if full < fetcher.page and await self._is_all(first, last):
            self.total = full
            page = await fetcher.complete(first)
            if page.ids:
                yield self._give(page)
            await self._check_count()
            return
        # Ids up to this one are there to be read, later ones are found behind it, for new records
        # get higher ids.
        highest = await fetcher.highest(self._after)
        # A page that is short although there is more: this server's pages are smaller.
        self.total, in_bulk = await asyncio.gather(
            fetcher.count(Range(self._after, None)), self._page_in_bulk(first)
        )
        self._is_proven = in_bulk > 0
        if not self._is_proven:
            fetcher.batch = BatchSize(1)
        size = fetcher.batch.size
        ranges = Ranges[Page](
            last,
            highest,
            full=in_bulk or full or fetcher.page,
            density=_density(first.ids, self._after, highest, self.total),
            window=size * BULK_IN_FLIGHT if size > 1 else PLAIN_IN_FLIGHT,
        )
        self._page_bytes = first.size * fetcher.page / max(1, full)
        page = await fetcher.complete(first)
        if page.ids:
            yield self._give(page)
        async with aclosing(self._rest(ranges)) as pages:
            async for page in pages:
                yield self._give(page)
        await self._check_count()

    async def _is_all(self, first: Page, last: int) -> bool:
        """Whether a page that is short is the only one: nothing is behind it."""
        if first.ids:
            return not (await self._fetcher.get_list(Range(last, None))).ids
        return not await self._fetcher.count(Range(self._after, None))

    async def _page_in_bulk(self, first: Page) -> int:
        if not self._may_use_bulk:
            return 0
        return await page_in_bulk(self._fetcher, first, self._after)

    async def _rest(self, ranges: Ranges[Page]) -> AsyncGenerator[Page]:
        """The pages of all ranges, by rising id."""
        batch = self._fetcher.batch
        flights: dict[asyncio.Task[_Answers], Sequence[Range]] = {}
        proof: asyncio.Task[int | None] | None = None
        try:
            while True:
                most = BULK_IN_FLIGHT if batch.size > 1 else PLAIN_IN_FLIGHT
                while (
                    len(flights) < most
                    and self._has_room(flights.values())
                    and (asked := ranges.take(self._lists_at_once))
                ):
                    flights[asyncio.create_task(self._fetch(asked, ranges.full))] = asked
                for page in ranges.ready():
                    self._held -= page.size
                    if page.ids:
                        yield page
                if proof is None and (counted := ranges.to_prove()) is not None:
                    proof = asyncio.create_task(self._fetcher.count(counted))
                tasks: set[asyncio.Task[Any]] = {*flights}
                if proof is not None:
                    tasks.add(proof)
                if not tasks:
                    if ranges.done:
                        return
                    continue
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in flights if task.done()]:
                    answers, is_proven = task.result()
                    for ids, (listed, page) in zip(flights.pop(task), answers, strict=True):
                        self._held += page.size if listed else 0
                        ranges.answer(ids, listed, page, is_proven=is_proven)
                if proof is not None and proof.done():
                    ranges.proved(proof.result())
                    proof = None
        finally:
            running: list[asyncio.Task[Any]] = [*flights, *([proof] if proof is not None else [])]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    @property
    def _lists_at_once(self) -> int:
        fitting = int(self._most_bytes / BULK_IN_FLIGHT / self._page_bytes)
        most = min(self._fetcher.batch.size, MAX_ITEMS - self._fetcher.counts_in_bulk)
        return max(1, min(most, fitting))

    def _has_room(self, flights: Collection[Sequence[Range]]) -> bool:
        """Whether one more request fits into the bytes that may be in flight; one always does."""
        if not flights:
            return True
        pages = sum(map(len, flights)) + self._lists_at_once
        return self._held + pages * self._page_bytes <= self._most_bytes

    async def _fetch(self, asked: Sequence[Range], full: int) -> _Answers:
        """For each range the ids that the list told, and the page to hand out.

        The page may hold fewer: what was deleted since the list says nothing of how full that was.
        With whether a count has shown that all was listed; None if nothing is known.
        """
        fetcher = self._fetcher
        is_one = all(ids.upto == after.after for ids, after in pairwise(asked))
        counted = Range(asked[0].after, asked[-1].upto) if is_one else None
        lists, count = await fetcher.get_lists(asked, counted if fetcher.counts_in_bulk else None)
        # A full page explains a higher count: what it left out is asked for anyway.
        sizes = [page.size for page in lists if len(page.ids) >= full]
        if sizes:
            self._page_bytes = max(0.8 * self._page_bytes, *sizes)
        is_cut = any(
            len(page.ids) >= full and page.ids[-1] != ids.upto
            for ids, page in zip(asked, lists, strict=True)
        )
        answers = [(page.ids, await fetcher.complete(page)) for page in lists]
        if count is None or is_cut:
            return answers, None
        return answers, sum(len(page.ids) for page in lists) >= count

    def _give(self, page: Page) -> Page:
        self.given += len(page.ids)
        return page

    async def _check_count(self) -> None:
        """Compare what was handed out with what the API counts."""
        everything = Range(self._after, None)
        counted = self.total
        if counted is None:
            counted = await self._fetcher.count(everything)
        elif self.given < counted and self._fetcher.has_count:
            # Once more: what was deleted meanwhile explains a difference from the first count.
            again = await self._fetcher.count(everything)
            counted = None if again is None else min(counted, again)
        self.counted = counted
        if self.is_short:
            logger.warning(
                "the API counts %d records of %s and has listed %d: some are missing",
                counted,
                self._resource.object,
                self.given,
            )

    # -- by offset, for the few objects that are not filtered by their primary key --------------

    async def _by_offset(self) -> AsyncGenerator[Page]:
        """Pages by offset, to the first that brings nothing new.

        Where the list has an order, each page begins with the record that ended the last: when it
        does not, records were deleted and all behind them moved up, and the reading goes back.
        Raises DecodeError where pages repeat instead of going on.
        """
        resource, fetcher = self._resource, self._fetcher
        is_ordered = isinstance(resource, OffsetListable)
        is_paged = not isinstance(resource, AllAtOnce)
        seen: set[int] = set()
        last = self._after
        offset = 0
        repeats = 0
        went_back = behind_last = False
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
                if offset > 0 and has_gap and not behind_last:
                    offset, went_back = max(0, offset - fetcher.page), True
                    continue
            fresh = _fresh(page, last if is_ordered else seen)
            if fresh.ids:
                last, went_back, repeats = fresh.ids[-1], False, 0
                if not is_ordered:
                    seen.update(fresh.ids)
                completed = await fetcher.complete(fresh)
                if completed.ids:
                    yield self._give(completed)
            elif page.ids:
                repeats += 1
            if not is_paged or not page.ids:
                break
            if not is_ordered and repeats and len(page.ids) < fetcher.page:
                break  # a list that takes no offset, and is whole: it was no full page
            if repeats >= (MOST_REPEATS if is_ordered else 1):
                raise DecodeError(
                    f"the API does not page {resource.attribute} by offset: after {self.given} "
                    f"records it answered offset {offset} with some that it had listed before",
                    object=resource.object,
                )
            # A page of nothing but the last record may be a short one: is there anything behind it?
            behind_last = is_ordered and page.ids == [last]
            offset += len(page.ids) - (is_ordered and not behind_last)
        await self._check_count()


def _fresh(page: Page, known: int | set[int]) -> Page:
    """The records above an id, or not among those ids."""
    found = [
        (number, part)
        for number, part in zip(page.ids, page.parts(), strict=True)
        if (number > known if isinstance(known, int) else number not in known)
    ]
    return joined((number for number, _ in found), (part for _, part in found))


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
