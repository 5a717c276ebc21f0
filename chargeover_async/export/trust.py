"""Whether queries inside ``_bulk`` can be trusted: are they answered there as they are alone?"""

from __future__ import annotations

import logging

from chargeover_async.errors import ConnectFailed, DecodeError
from chargeover_async.models._json.read import untyped

from .fetch import SPLIT, Fetcher
from .page import Page
from .ranges import Range

logger = logging.getLogger("chargeover_async.export")

LEAST = 8  # records that a first page must have, so that there is something to compare


async def page_in_bulk(fetcher: Fetcher, first: Page, after: int) -> int:
    """How long a page is inside ``_bulk``; 0 if lists are not answered there as they are alone.

    ``first`` is what a direct call has answered of the ids above ``after``. Costs one request.

    UNVERIFIED: no source shows a query string in the ``uri`` of a batch. So it is tried: the first
    page once more, a range with both bounds, a limit, and a falling order, each against what the
    first page has shown; and a count of that range.
    """
    found = await _compare(fetcher, first, after)
    if found is None:
        # A record may have changed between the two calls: once more.
        found = await _compare(fetcher, await fetcher.get_list(Range(after, None)), after)
    return found or 0


async def _compare(fetcher: Fetcher, first: Page, after: int) -> int | None:
    """None for answers that differ, 0 for none."""
    ids = first.ids
    if len(ids) < LEAST:
        return 0
    middle = len(ids) // 2
    end = min(middle + 50, len(ids) - 1)
    shown = list(zip(ids, first.parts(), strict=True))
    falling = f"-{fetcher.resource.primary}"
    bounded = Range(ids[middle], ids[end])
    trials = [
        (fetcher.list_of(Range(after, None)), shown),
        (fetcher.list_of(bounded), shown[middle + 1 : end + 1]),
        (fetcher.list_of(Range(ids[1], None), limit=3), shown[2:5]),
        (fetcher.list_of(Range(after, ids[3]), limit=2, order=falling), [shown[3], shown[2]]),
    ]
    gets = [get for get, _ in trials]
    if fetcher.has_count:
        gets.append(fetcher.count_of(bounded))
    try:
        replies = await fetcher.asker.get_many(gets)
    except SPLIT as error:
        if isinstance(error, ConnectFailed):
            raise
        logger.info("pages go out one by one: _bulk refused queries: %s", error)
        return 0
    length = 0
    for (_, expected), reply in zip(trials, replies, strict=False):
        if reply is None or not reply.ok:
            logger.info("pages go out one by one: _bulk does not take queries")
            return 0
        try:
            found = fetcher.read(reply.response)
        except DecodeError:
            return 0
        if not length:
            # Of the whole page there may be less: pages are shorter in there.
            length = len(found.ids)
            expected = expected[:length]
        if found.ids != [number for number, _ in expected] or any(
            bytes(part) != bytes(other) and untyped(part) != untyped(other)
            for part, (_, other) in zip(found.parts(), expected, strict=True)
        ):
            logger.info("_bulk has answered a query differently")
            return None
    counted = fetcher.count_in(replies[-1]) if fetcher.has_count else None
    fetcher.counts_in_bulk = counted == end - middle
    return length


__all__ = ("page_in_bulk",)
