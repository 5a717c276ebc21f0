"""Gets what a reading asks for: pages of ranges of ids, counts, single records; checked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
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
)
from chargeover_async.query import QueryPairs, Where, order_pair, where_pair
from chargeover_async.resources._calls.answers import read_count
from chargeover_async.resources._calls.base import BaseResource
from chargeover_async.resources._calls.kinds import Countable

from .asking import Asker, Get
from .page import Page, check_order, joined, read_page
from .ranges import Range

logger = logging.getLogger("chargeover_async.export")

BULK_IN_FLIGHT = 3  # requests of 25 pages: one that is read, one under way, one in the server
MAX_BYTES_IN_FLIGHT = 32 * 2**20  # of pages: on their way, and waiting to be handed out
STEADY = 8  # requests that must go well before more pages are put into one again

# What may be due to the size of a batch, or to its being one.
SPLIT = (BadRequest, ServerError, TransportError, DecodeError)


class Fetcher:
    """What one reading gets from one object; ``page`` records a list, as many lists as `batch`."""

    def __init__(
        self,
        resource: BaseResource[Any],
        *,
        where: Where,
        nested: bool,
        pages_per_request: int,
        page: int,
    ) -> None:
        self.resource = resource
        self.asker = Asker(resource)
        self.path = f"/{resource.object}"
        self.where = where_pair(where)
        self.page = page
        self.batch = BatchSize(pages_per_request)
        self.nested = nested
        self.counts_in_bulk = False
        self._gets = asyncio.Semaphore(BULK_IN_FLIGHT)

    # -- lists -------------------------------------------------------------------------------

    def list_of(self, asked: Range, *, limit: int | None = None, order: str = "") -> Get:
        """The list of a range of ids, by rising id unless another ``order`` is given."""
        primary = self.resource.primary
        clauses = [self.where[0][1]] if self.where else []
        clauses.append(f"{primary}:GT:{asked.after}")
        if asked.upto is not None:
            clauses.append(f"{primary}:LTE:{asked.upto}")
        query: QueryPairs = (("where", ",".join(clauses)),)
        query += order_pair(order or primary)
        return self.path, (*query, ("limit", str(limit or self.page)))

    def read(self, raw: msgspec.Raw) -> Page:
        """The page that a list answered, whatever its order."""
        return read_page(raw, self.resource.primary, self.resource.object)

    async def get_list(self, asked: Range) -> Page:
        """The first page of a range."""
        return self._check(await self.asker.get(self.list_of(asked), self.read), asked)

    async def get_lists(
        self, asked: Sequence[Range], counted: Range | None = None
    ) -> tuple[list[Page], int | None]:
        """The first page of each range, in one request if that goes well.

        With the number of ids in ``counted``, if that came along.
        """
        if len(asked) == 1:
            return [await self.get_list(asked[0])], None
        gets = [self.list_of(ids) for ids in asked]
        if counted is not None:
            gets.append(self.count_of(counted))
        try:
            replies = await self.asker.get_many(gets)
        except SPLIT as error:
            if isinstance(error, ConnectFailed):
                raise
            self.batch.failed(len(asked))
            logger.warning("a request for %d pages failed, halving: %s", len(asked), error)
            half = (len(asked) + 1) // 2
            first, _ = await self.get_lists(asked[:half])
            second, _ = await self.get_lists(asked[half:])
            return [*first, *second], None
        count = None if counted is None else self.count_in(replies[-1])
        pages: list[Page] = []
        for ids, reply in zip(asked, replies, strict=False):
            page = self._page_in(reply, ids)
            pages.append(await self.get_list(ids) if page is None else page)
            await asyncio.sleep(0)  # decoding takes its time, and others live in this loop
        self.batch.went_well(len(asked))
        return pages, count

    def _page_in(self, reply: Reply | None, asked: Range) -> Page | None:
        """The page in one answer of a batch; None for one that must be asked for by itself."""
        if reply is None or not reply.ok:
            return None
        try:
            return self._check(self.read(reply.response), asked)
        except DecodeError as error:
            logger.warning("a page in _bulk is not what was asked for: %s", error)
            self.batch.failed(2)  # no matter how few: this is no question of size
            return None

    def _check(self, page: Page, asked: Range) -> Page:
        resource = self.resource
        return check_order(page, asked.after, asked.upto, resource.primary, resource.object)

    async def highest(self, after: int) -> int:
        """The highest id there is above ``after``; 0 for none."""
        asked = self.list_of(Range(after, None), limit=1, order=f"-{self.resource.primary}")
        return max((await self.asker.get(asked, self.read)).ids, default=0)

    @property
    def has_count(self) -> bool:
        """Whether the API counts these objects."""
        return isinstance(self.resource, Countable)

    def count_of(self, counted: Range) -> Get:
        """The number of records in a range of ids."""
        clauses = [self.where[0][1]] if self.where else []
        if counted.after:
            clauses.append(f"{self.resource.primary}:GT:{counted.after}")
        if counted.upto is not None:
            clauses.append(f"{self.resource.primary}:LTE:{counted.upto}")
        query: QueryPairs = (("where", ",".join(clauses)),) if clauses else ()
        return f"{self.path}/_count", query

    async def count(self, counted: Range) -> int | None:
        """How many records the API counts in a range of ids; None where it does not."""
        if not self.has_count:
            return None
        try:
            return await self.asker.get(self.count_of(counted), read_count)
        except (BadRequest, NotFound, DecodeError):
            return None  # what is read does not depend on it; only how often it is asked for

    def count_in(self, reply: Reply | None) -> int | None:
        """The number in one answer of a batch; None for what is none."""
        if reply is None or not reply.ok:
            return None
        try:
            return read_count(reply.response)
        except DecodeError:
            return None

    # -- nested parts ------------------------------------------------------------------------

    async def complete(self, page: Page) -> Page:
        """``page`` with every record as a single GET shows it, where that was asked for.

        It may hold fewer then: what was deleted since the list is left out.
        """
        if not self.nested or not page.ids:
            return page
        chunks = [page.ids[i : i + MAX_ITEMS] for i in range(0, len(page.ids), MAX_ITEMS)]
        found = await asyncio.gather(*(self.get_records(chunk) for chunk in chunks))
        records = [record for chunk in found for record in chunk]
        return joined((number for number, _ in records), (part for _, part in records))

    async def get_records(self, ids: Sequence[int]) -> list[tuple[int, bytes]]:
        """The records by single GETs, which _bulk is documented to take; those deleted left out."""
        gets: list[Get] = [(f"{self.path}/{number}", ()) for number in ids]
        async with self._gets:
            replies: Sequence[Reply | None]
            try:
                replies = await self.asker.get_many(gets) if len(ids) > 1 else [None]
            except SPLIT as error:
                if isinstance(error, ConnectFailed):
                    raise
                logger.warning("a batch of %d records failed: %s", len(ids), error)
                replies = [None] * len(ids)
            found: list[tuple[int, bytes]] = []
            for number, get, reply in zip(ids, gets, replies, strict=True):
                if reply is not None and reply.code == 404:
                    continue
                if reply is not None and reply.ok:
                    raw = bytes(reply.response)
                else:
                    try:
                        raw = await self.asker.get(get, bytes)
                    except NotFound:
                        continue
                self._check_record(raw, number)
                found.append((number, raw))
            return found

    def _check_record(self, raw: bytes, number: int) -> None:
        page = self.read(msgspec.Raw(b"[" + raw + b"]"))
        if page.ids != [number]:
            raise DecodeError(
                f"asked for {self.resource.object} {number}, the API answered {page.ids[0]}",
                object=self.resource.object,
            )


class BatchSize:
    """How many pages go into one request: fewer after a failure, more again when all goes well."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._steady = 0
        self.size = most

    def failed(self, size: int) -> None:
        """A request of ``size`` pages has failed."""
        self.size = max(1, min(self.size, size // 2))
        self._steady = 0

    def went_well(self, size: int) -> None:
        """A request of ``size`` pages was answered."""
        self._steady += size >= self.size
        if self._steady >= STEADY and self.size > 1:
            self.size = min(self._most, self.size * 2)
            self._steady = 0


__all__ = ("BULK_IN_FLIGHT", "MAX_BYTES_IN_FLIGHT", "SPLIT", "BatchSize", "Fetcher")
