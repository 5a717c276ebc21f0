"""Reads a whole object, page by page, in as few requests as the server allows.

Pages are asked for by ranges of the primary key (`ranges`), so that no page costs more than the
first, nothing shifts when records come and go, and several can be asked for at once: up to 25 in
one ``_bulk``, once a comparison with direct calls has shown that this account answers queries in
there as it answers them alone; otherwise, or when that stops to be so, a request each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async._wire.envelope import Reply
from chargeover_async.errors import (
    BadRequest,
    ConnectFailed,
    DecodeError,
    NotFound,
    ServerError,
    TransportError,
    UsageError,
)
from chargeover_async.models._json.read import untyped
from chargeover_async.query import MAX_PAGE, QueryPairs, Where, order_pair, where_pair
from chargeover_async.resources._calls.answers import read_count
from chargeover_async.resources._calls.base import BaseResource
from chargeover_async.resources._calls.kinds import Countable, Listable, Readable
from chargeover_async.resources._calls.lists import OffsetListable, Unfiltered, Whole

from .asking import Asker, Target
from .page import Page, check_order, joined, read_page
from .ranges import Range, Ranges

logger = logging.getLogger("chargeover_async.export")

PLAIN_IN_FLIGHT = 6  # requests of one page each: what 250 a minute need at 1.4 s latency
BULK_IN_FLIGHT = 3  # requests of 25 pages: one that is read, one under way, one in the server
STEADY = 8  # requests that must go well before more pages are put into one again

# What may be due to the size of a batch, or to its being one.
_SPLIT = (BadRequest, ServerError, TransportError, DecodeError)


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
        self._asker = Asker(resource)
        self._path = f"/{resource.object}"
        self._where = where_pair(where)
        self._after = after
        self._nested = nested
        self._page = page
        self._most = pages_per_request
        self._batch = _BatchSize(pages_per_request)
        self._is_proven = False
        self._gets = asyncio.Semaphore(BULK_IN_FLIGHT)
        self.total: int | None = None

    @property
    def requests(self) -> int:
        """The requests that were sent so far."""
        return self._asker.requests

    @property
    def uses_bulk(self) -> bool:
        """Whether several pages travel in one request."""
        return self._is_proven and self._batch.size > 1

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
        query: QueryPairs = (*self._where, *order_pair(order), ("limit", "1"))
        return await self._asker.get((self._path, query), self._read)

    # -- by primary key ----------------------------------------------------------------------

    async def _by_key(self) -> AsyncGenerator[Page]:
        # Before the first page: ids up to this one are there to be read, later ones are found
        # behind it, for new records get higher ids.
        highest = await self._highest()
        first = await self._one(Range(self._after, None))
        last = first.ids[-1] if first.ids else self._after
        full = len(first.ids)
        if full < self._page and last >= highest:
            page = await self._finished(first)
            if page.ids:
                yield page
            self.total = full
            return
        # A page that is short although there is more: this server's pages are smaller.
        self.total, self._is_proven = await asyncio.gather(
            self.count(after=self._after), self._is_alike(first)
        )
        if not self._is_proven:
            self._batch = _BatchSize(1)
        size = self._batch.size
        ranges = Ranges[Page](
            last,
            highest,
            full=full or self._page,
            density=_density(first.ids, self._after, highest, self.total),
            window=size * BULK_IN_FLIGHT if size > 1 else PLAIN_IN_FLIGHT,
        )
        page = await self._finished(first)
        if page.ids:
            yield page
        flights: dict[asyncio.Task[list[tuple[list[int], Page]]], list[Range]] = {}
        try:
            while True:
                most = BULK_IN_FLIGHT if self._batch.size > 1 else PLAIN_IN_FLIGHT
                while len(flights) < most and (asked := ranges.take(self._batch.size)):
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
                    for one, (listed, page) in zip(flights.pop(task), task.result(), strict=True):
                        ranges.answer(one, listed, page)
        finally:
            for task in flights:
                task.cancel()
            await asyncio.gather(*flights, return_exceptions=True)

    def _target(self, one: Range, *, limit: int | None = None, order: str = "") -> Target:
        primary = self._resource.primary
        clauses = [self._where[0][1]] if self._where else []
        clauses.append(f"{primary}:GT:{one.after}")
        if one.upto is not None:
            clauses.append(f"{primary}:LTE:{one.upto}")
        query: QueryPairs = (("where", ",".join(clauses)),)
        query += order_pair(order or primary)
        return self._path, (*query, ("limit", str(limit or self._page)))

    def _read(self, raw: msgspec.Raw) -> Page:
        return read_page(raw, self._resource.primary, self._resource.object)

    def _checked(self, page: Page, one: Range) -> Page:
        resource = self._resource
        return check_order(page, one.after, one.upto, resource.primary, resource.object)

    async def _one(self, one: Range) -> Page:
        return self._checked(await self._asker.get(self._target(one), self._read), one)

    async def _highest(self) -> int:
        """The highest id there is; 0 for none."""
        target = self._target(Range(self._after, None), limit=1, order=f"-{self._resource.primary}")
        page = await self._asker.get(target, self._read)
        return max(page.ids, default=0)

    async def count(self, *, after: int = 0) -> int | None:
        """How many records the API counts, of those above ``after``; None where it does not."""
        if not isinstance(self._resource, Countable):
            return None
        clauses = [self._where[0][1]] if self._where else []
        if after:
            clauses.append(f"{self._resource.primary}:GT:{after}")
        query: QueryPairs = (("where", ",".join(clauses)),) if clauses else ()
        try:
            return await self._asker.get((f"{self._path}/_count", query), read_count)
        except (BadRequest, NotFound, DecodeError):
            return None  # it is an estimate: what is read does not depend on it

    async def _fetch(self, asked: Sequence[Range]) -> list[tuple[list[int], Page]]:
        """For each range the ids that the list told, and the page to hand out.

        The page may hold fewer: what was deleted since the list says nothing of how full that was.
        """
        pages = await self._fetch_lists(asked)
        return [(page.ids, await self._finished(page)) for page in pages]

    async def _fetch_lists(self, asked: Sequence[Range]) -> list[Page]:
        if len(asked) == 1:
            return [await self._one(asked[0])]
        try:
            replies = await self._asker.get_many([self._target(one) for one in asked])
        except _SPLIT as error:
            if isinstance(error, ConnectFailed):
                raise
            self._batch.failed(len(asked))
            logger.warning("a request for %d pages failed, halving: %s", len(asked), error)
            half = (len(asked) + 1) // 2
            return [
                *await self._fetch_lists(asked[:half]),
                *await self._fetch_lists(asked[half:]),
            ]
        pages: list[Page] = []
        for one, reply in zip(asked, replies, strict=True):
            page = self._page_in(reply, one)
            pages.append(await self._one(one) if page is None else page)
            await asyncio.sleep(0)  # decoding takes its time, and others live in this loop
        self._batch.went_well(len(asked))
        return pages

    def _page_in(self, reply: Reply | None, one: Range) -> Page | None:
        """The page in one answer of a batch; None for one that must be asked for by itself."""
        if reply is None or not reply.ok:
            return None
        try:
            return self._checked(self._read(reply.response), one)
        except DecodeError as error:
            logger.warning("a page in _bulk is not what was asked for: %s", error)
            self._batch.failed(2)  # no matter how few: this is no question of size
            return None

    # -- whether queries inside _bulk can be trusted ----------------------------------------------

    async def _is_alike(self, first: Page) -> bool:
        """Whether ``_bulk`` answers these queries as direct calls do; costs one request.

        UNVERIFIED: no source shows a query string in the ``uri`` of a batch. So it is tried: a
        range with both bounds, a limit, and a falling order, each against what the first page
        has shown.
        """
        if self._most == 1 or self._nested or len(first.ids) < 8:
            return False
        found = await self._compare(first)
        if found is None:
            # A record may have changed between the two calls: once more.
            found = await self._compare(await self._one(Range(self._after, None)))
        return found is True

    async def _compare(self, first: Page) -> bool | None:
        """None for answers that differ, False for none."""
        ids, parts = first.ids, first.parts()
        if len(ids) < 8:
            return False
        middle = len(ids) // 2
        end = min(middle + 50, len(ids) - 1)
        bounded = Range(ids[middle], ids[end])
        expected = list(zip(ids, parts, strict=True))
        trials = [
            (self._target(bounded), expected[middle + 1 : end + 1]),
            (self._target(Range(ids[1], None), limit=3), expected[2:5]),
            (
                self._target(
                    Range(self._after, ids[3]), limit=2, order=f"-{self._resource.primary}"
                ),
                [expected[3], expected[2]],
            ),
        ]
        try:
            replies = await self._asker.get_many([target for target, _ in trials])
        except _SPLIT as error:
            if isinstance(error, ConnectFailed):
                raise
            logger.info("pages go out one by one: _bulk refused queries: %s", error)
            return False
        for (_, wanted), reply in zip(trials, replies, strict=True):
            if reply is None or not reply.ok:
                logger.info("pages go out one by one: _bulk does not take queries")
                return False
            try:
                found = self._read(reply.response)
            except DecodeError:
                return False
            if found.ids != [one for one, _ in wanted] or any(
                bytes(part) != bytes(other) and untyped(part) != untyped(other)
                for part, (_, other) in zip(found.parts(), wanted, strict=True)
            ):
                logger.info("_bulk has answered a query differently")
                return None
        return True

    # -- nested parts ---------------------------------------------------------------------------

    async def _finished(self, page: Page) -> Page:
        """``page`` with every record as a single GET shows it, where that was asked for."""
        if not self._nested or not page.ids:
            return page
        chunks = [page.ids[i : i + MAX_ITEMS] for i in range(0, len(page.ids), MAX_ITEMS)]
        found = await asyncio.gather(*(self._singles(chunk) for chunk in chunks))
        pairs = [pair for chunk in found for pair in chunk]
        return joined((one for one, _ in pairs), (part for _, part in pairs))

    async def _singles(self, ids: Sequence[int]) -> list[tuple[int, bytes]]:
        """The records by single GETs, which _bulk is documented to take; those deleted left out."""
        targets: list[Target] = [(f"{self._path}/{one}", ()) for one in ids]
        async with self._gets:
            replies: Sequence[Reply | None]
            try:
                replies = await self._asker.get_many(targets) if len(ids) > 1 else [None]
            except _SPLIT as error:
                if isinstance(error, ConnectFailed):
                    raise
                logger.warning("a batch of %d records failed: %s", len(ids), error)
                replies = [None] * len(ids)
            found: list[tuple[int, bytes]] = []
            for one, target, reply in zip(ids, targets, replies, strict=True):
                if reply is not None and reply.code == 404:
                    continue
                if reply is not None and reply.ok:
                    raw = bytes(reply.response)
                else:
                    try:
                        raw = await self._asker.get(target, bytes)
                    except NotFound:
                        continue
                self._is_record(raw, one)
                found.append((one, raw))
            return found

    def _is_record(self, raw: bytes, one: int) -> None:
        page = read_page(
            msgspec.Raw(b"[" + raw + b"]"), self._resource.primary, self._resource.object
        )
        if page.ids != [one]:
            raise DecodeError(
                f"asked for {self._resource.object} {one}, the API answered {page.ids[0]}",
                object=self._resource.object,
            )

    # -- by offset, for the few objects that are not filtered by their primary key --------------

    async def _by_offset(self) -> AsyncGenerator[Page]:
        """Pages by offset, to the first that brings nothing new.

        Where the list has an order, each page begins with the record that ended the last: when it
        does not, records were deleted and all behind them moved up, and the reading goes back.
        """
        resource = self._resource
        is_ordered = isinstance(resource, OffsetListable)
        is_paged = not isinstance(resource, Whole)
        seen: set[int] = set()
        last = self._after
        offset = 0
        went_back = False
        while True:
            query: QueryPairs = self._where
            if is_ordered:
                query += order_pair(resource.primary)
            if is_paged:
                query += (("limit", str(self._page)), ("offset", str(offset)))
            page = await self._asker.get((self._path, query), self._read)
            if is_ordered:
                page = check_order(page, 0, None, resource.primary, resource.object)
                has_gap = page.ids[0] > last if page.ids else not went_back
                if offset > 0 and has_gap:
                    offset, went_back = max(0, offset - self._page), True
                    continue
            fresh = [
                (one, part)
                for one, part in zip(page.ids, page.parts(), strict=True)
                if (one > last if is_ordered else one not in seen)
            ]
            if fresh:
                last, went_back = fresh[-1][0], False
                if not is_ordered:
                    seen.update(one for one, _ in fresh)
                whole = await self._finished(
                    joined((one for one, _ in fresh), (part for _, part in fresh))
                )
                if whole.ids:
                    yield whole
            if not is_paged or not page.ids or (not fresh and (len(page.ids) == 1 or seen)):
                return
            offset += len(page.ids) - is_ordered


class _BatchSize:
    """How many pages go into one request: fewer after a failure, more again when all goes well."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._steady = 0
        self.size = most

    def failed(self, size: int) -> None:
        self.size = max(1, min(self.size, size // 2))
        self._steady = 0

    def went_well(self, size: int) -> None:
        self._steady += size >= self.size
        if self._steady >= STEADY and self.size > 1:
            self.size = min(self._most, self.size * 2)
            self._steady = 0


def _density(ids: Sequence[int], after: int, highest: int, count: int | None) -> float:
    if count is not None and highest > after:
        return count / (highest - after)
    return len(ids) / (ids[-1] - after) if ids else 1.0


def can_page_by_key(resource: type[BaseResource[Any]]) -> bool:
    """Whether the API filters this object by its primary key."""
    return issubclass(resource, Listable) and not issubclass(resource, OffsetListable)


def _check_resource(resource: BaseResource[Any], where: Where, *, nested: bool) -> None:
    if not isinstance(resource, (Listable, Unfiltered, Whole)):
        raise UsageError(f"{resource.attribute} cannot be exported: the API has no list of them")
    if where is not None and not isinstance(resource, Listable):
        raise UsageError(f"{resource.attribute} cannot be filtered: the API does not offer it")
    if nested and not isinstance(resource, Readable):
        raise UsageError(f"{resource.attribute} cannot be read one by one, so not with their parts")


__all__ = ("Reader", "can_page_by_key")
