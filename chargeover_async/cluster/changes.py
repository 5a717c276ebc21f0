"""What has changed in an account since it was last read, by the rules of a sync.

A mark is taken before the first page is read, as a record may change while later ones are read.
What is asked for the next time holds everything that the mark does not cover, and some more:

- what is that new or newer, and an overlap before it: a day, as changes become visible late, and
  clocks are set; an hour more where times have no offset, as one hour comes twice a year;
- what has no time of change, which no comparison finds;
- what has a higher id, whatever its time says, and 1,000 ids before that.

These three have no record in common, but for one that changes meanwhile.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from msgspec.structs import replace

from chargeover_async.client import ChargeOver
from chargeover_async.export.columns import columns_of
from chargeover_async.export.reader import can_page_by_key
from chargeover_async.export.sync import CHANGED, EASTERNMOST, OVERLAP, OVERLAP_IDS, SET_BACK
from chargeover_async.export.wanted import resource_class
from chargeover_async.query import Clause, Field

from .plan import Part


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far an account was read: the newest change, as ISO text, and the highest id."""

    since: str | None = None
    highest: int = 0


def tells_changes(part: Part) -> bool:
    """Whether records of the object say when they were changed."""
    cls = resource_class(part.object)
    return can_page_by_key(cls) and CHANGED in {column.name for column in columns_of(cls.model)}


async def take_mark(part: Part, co: ChargeOver, now: dt.datetime | None = None) -> Mark:
    """The mark of an account as it is now; raises BadRequest where the API tells no changes."""
    cls = resource_class(part.object)
    resource: Any = part.resource_of(co)

    async def first(order: str, *clauses: Clause) -> Any:
        found = await resource.list(
            where=[*part.where, *clauses] or None, order=f"-{order}", limit=1
        )
        return found[0] if found else None

    async def newest(*clauses: Clause) -> Any:
        record = await first(CHANGED, *clauses)
        return None if record is None else getattr(record, CHANGED)

    last = await first(cls.primary)
    if last is None:
        return Mark()
    found = await newest()
    if found is None:  # records without a time may come first
        found = await newest(Field(CHANGED) != None)  # noqa: E711 - builds ISNOT:NULL
    if found is not None:
        # A time that no clock can show yet (a record dated 2099) says nothing of the others.
        latest = ((now or dt.datetime.now(dt.UTC)) + EASTERNMOST).replace(microsecond=0)
        if found.tzinfo is None:
            latest = latest.replace(tzinfo=None)
        if found > latest:
            found = await newest(Field(CHANGED) <= latest)
    since = None if found is None else found.isoformat()
    return Mark(since=since, highest=getattr(last, cls.primary))


def since_mark(part: Part, mark: Mark, overlap: dt.timedelta = OVERLAP) -> list[Part]:
    """What is to be read of an account that was read up to ``mark``; all of it for a new one."""
    if mark.since is None:
        return [part]
    moment = dt.datetime.fromisoformat(mark.since)
    begin = moment - overlap - (SET_BACK if moment.tzinfo is None else dt.timedelta())
    changed = Field(CHANGED)
    unknown = changed == None  # noqa: E711 - builds IS:NULL
    after = max(0, mark.highest - OVERLAP_IDS)
    return [
        replace(part, where=(*part.where, changed >= begin)),
        replace(part, where=(*part.where, unknown)),
        replace(part, where=(*part.where, changed < begin), after=after),
    ]


__all__ = ("OVERLAP", "Mark", "since_mark", "take_mark", "tells_changes")
