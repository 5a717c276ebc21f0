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


async def answers_alike(fetcher: Fetcher, first: Page, after: int) -> bool:
    """Whether ``_bulk`` answers lists as direct calls do; costs one request.

    ``first`` is what a direct call has answered of the ids above ``after``.

    UNVERIFIED: no source shows a query string in the ``uri`` of a batch. So it is tried: a range
    with both bounds, a limit, and a falling order, each against what the first page has shown.
    """
    if len(first.ids) < LEAST:
        return False
    found = await _compare(fetcher, first, after)
    if found is None:
        # A record may have changed between the two calls: once more.
        found = await _compare(fetcher, await fetcher.get_list(Range(after, None)), after)
    return found is True


async def _compare(fetcher: Fetcher, first: Page, after: int) -> bool | None:
    """None for answers that differ, False for none."""
    ids = first.ids
    if len(ids) < LEAST:
        return False
    middle = len(ids) // 2
    end = min(middle + 50, len(ids) - 1)
    shown = list(zip(ids, first.parts(), strict=True))
    falling = f"-{fetcher.resource.primary}"
    trials = [
        (fetcher.list_of(Range(ids[middle], ids[end])), shown[middle + 1 : end + 1]),
        (fetcher.list_of(Range(ids[1], None), limit=3), shown[2:5]),
        (fetcher.list_of(Range(after, ids[3]), limit=2, order=falling), [shown[3], shown[2]]),
    ]
    try:
        replies = await fetcher.asker.get_many([get for get, _ in trials])
    except SPLIT as error:
        if isinstance(error, ConnectFailed):
            raise
        logger.info("pages go out one by one: _bulk refused queries: %s", error)
        return False
    for (_, expected), reply in zip(trials, replies, strict=True):
        if reply is None or not reply.ok:
            logger.info("pages go out one by one: _bulk does not take queries")
            return False
        try:
            found = fetcher.read(reply.response)
        except DecodeError:
            return False
        if found.ids != [number for number, _ in expected] or any(
            bytes(part) != bytes(other) and untyped(part) != untyped(other)
            for part, (_, other) in zip(found.parts(), expected, strict=True)
        ):
            logger.info("_bulk has answered a query differently")
            return None
    return True


__all__ = ("answers_alike",)
