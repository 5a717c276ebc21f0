"""Keeping up with an account: each run writes what is new or changed since the last one.

A run asks first for the newest ``mod_datetime`` there is: whatever changes from then on is at least
that new, and belongs to the next run as well. So the next run begins there, and ``overlap`` before
it; what it meets there a second time, unchanged, is left out. That covers changes that became
visible later than their time says, and a server's clock that was ahead and is set right. Beyond it:

- Times without an offset are an account's own, and an hour comes twice when clocks are set back: an
  hour more is looked at.
- A time that no clock can show yet (a record dated 2099) is not believed to be the newest.
- New records are found by their ids as well; those without a time are read again each time.

An object without ``mod_datetime`` is followed by its ids: new records come, changes do not.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import replace

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.errors import BadRequest, UsageError
from chargeover_async.models._json.checks import moment_text
from chargeover_async.models._json.read import read_many
from chargeover_async.query import Clause, Field, Where
from chargeover_async.resources._calls.base import BaseResource

from .columns import columns_of, picked_struct
from .fetch import MAX_BYTES_IN_FLIGHT
from .job import ExportProgress, finish, tell
from .page import Page, joined
from .part import Note, Part, as_text, held, read_note, write_whole
from .reader import Reader, can_page_by_key
from .wanted import FORMATS, Wanted

if TYPE_CHECKING:
    from chargeover_async.client import ChargeOver

logger = logging.getLogger("chargeover_async.export")

OVERLAP = dt.timedelta(days=1)
OVERLAP_IDS = 1_000
CHANGED = "mod_datetime"

SET_BACK = dt.timedelta(hours=1)  # by which local time is repeated when clocks are set back
EASTERNMOST = dt.timedelta(hours=14)  # no place is further ahead of UTC

By = Literal["mod_datetime", "id"]


class SyncState(Note, frozen=True, kw_only=True):
    """What the next run has to know.

    ``runs`` is the number of the last file. ``since`` is the newest change that there was when the
    last run began, ``after`` the highest id that was met. ``seen`` holds a digest of each record
    that the next run may meet again.
    """

    by: By
    runs: int = 0
    since: str | None = None
    after: int = 0
    seen: dict[int, str] = msgspec.field(default_factory=dict[int, str])


class SyncSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has brought: ``records`` in ``file``, which is "" when there was none.

    ``repeated`` were met again in the overlap, unchanged, and left out. ``since`` is where the
    next run begins, before its overlap. ``by`` is "id" when changes cannot be seen. With
    ``is_short`` the API counts more records than it has listed: the next run begins where this one
    did.
    """

    object: str
    by: By
    records: int
    repeated: int
    requests: int
    seconds: float
    file: str = ""
    since: str | None = None
    is_short: bool = False

    def json(self) -> str:
        """As one JSON object."""
        return msgspec.json.encode(replace(self, file=as_text(self.file))).decode()


class SyncJob:
    """One object into the files ``OBJECT-000001.jsonl``, ... of a folder, one for each run.

    ``format`` is ``"jsonl"``, ``"csv"`` or ``"parquet"``. ``where``, ``fields`` and ``nested`` are
    as for `ExportJob`. The folder also holds ``OBJECT.sync.json``, which is written after the
    file, so that a run that is stopped is made once more, under the same number. Delete it to begin
    with everything again.

    Raises UsageError for an object that has neither ``mod_datetime`` nor a filter by its id.
    """

    def __init__(
        self,
        object_name: str,
        folder: Path,
        *,
        format: str = "jsonl",  # noqa: A002 - what everybody calls it
        where: Sequence[str] | Where = None,
        fields: Sequence[str] | None = None,
        nested: bool = False,
        overlap: dt.timedelta = OVERLAP,
        pages_per_request: int = MAX_ITEMS,
        max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        if format not in FORMATS:
            raise UsageError(f'format must be one of {", ".join(FORMATS)}, not "{format}"')
        if overlap < dt.timedelta():
            raise UsageError(f"overlap must not be negative, as {overlap} is")
        self._wanted = Wanted(
            object_name, form=(format, ""), where=where, fields=fields, nested=nested
        )
        resource = self._wanted.resource
        if not can_page_by_key(resource):
            raise UsageError(
                f"{resource.attribute} cannot be synced, as the API does not filter them by id or "
                "time of change: export them whole"
            )
        self._name = resource.object.lstrip("_")
        self._folder = folder
        self._note = folder / f"{self._name}.sync.json"
        self._overlap = overlap
        self._pages_per_request = pages_per_request
        self._max_bytes = max_bytes_in_flight
        self._clock = clock
        self._now = now
        columns = [column for column in columns_of(resource.model) if column.name == CHANGED]
        self._stamps = picked_struct(resource.model, columns) if columns else None

    async def run(
        self,
        co: ChargeOver,
        *,
        observe: Callable[[ExportProgress], None] | None = None,
    ) -> SyncSummary:
        """Write what is new; may be called again. Raises what `ExportJob.run` raises.

        ``observe`` is called after every page.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self._folder} cannot be made: {error.strerror or error}") from None
        with held(self._folder / f"{self._name}.sync.lock"):
            return await self._run(co, observe)

    async def _run(
        self, co: ChargeOver, observe: Callable[[ExportProgress], None] | None
    ) -> SyncSummary:
        began = self._clock()
        wanted = self._wanted
        resource = wanted.resource_of(co)
        state = self._state(wanted.question(co))
        askers: list[Reader] = []
        newest = await self._newest(resource, askers, state)
        by: By = "mod_datetime" if newest is not _NONE else "id"
        since = _later(state.since, newest if isinstance(newest, dt.datetime) else None)
        readers: list[Reader] = []
        keep = _Sieve(state, by, self._begin(since), self._stamps, resource)
        made = wanted.make_format(resource._options.dates)
        output = self._folder / f"{self._name}-{state.runs + 1:06}.{wanted.format}"
        records = 0
        part = Part(output, {}, restart=True)
        try:
            part.append(made.head())
            async for reader in self._readings(resource, askers, state, by):
                readers.append(reader)
                async with aclosing(reader.pages()) as pages:
                    async for page in pages:
                        fresh = keep(page)
                        if fresh.ids:
                            part.append(made.encode(fresh))
                            records += len(fresh.ids)
                        progress = ExportProgress(
                            records=records,
                            total=readers[0].total,
                            requests=sum(reader.requests for reader in (*askers, *readers)),
                            seconds=self._clock() - began,
                        )
                        tell(observe, progress)
            if records:
                await finish(made, part)
            else:
                part.discard()
        finally:
            part.close()
        is_short = any(reader.is_short for reader in readers)
        after = replace(state, runs=state.runs + bool(records))
        if not is_short:
            after = replace(
                after,
                by=by,
                since=since,
                after=max(state.after, keep.highest),
                seen=keep.seen,
            )
        write_whole(self._note, msgspec.json.encode(after))
        return SyncSummary(
            object=resource.object,
            by=by,
            records=records,
            repeated=keep.repeated,
            requests=sum(reader.requests for reader in (*askers, *readers)),
            seconds=round(self._clock() - began, 3),
            file=str(output) if records else "",
            since=after.since,
            is_short=is_short,
        )

    def _state(self, question: dict[str, Any]) -> SyncState:
        found = read_note(self._note, SyncState, question, "sync", self._choice)
        if found is not None:
            return found
        return SyncState(question=question, by="mod_datetime" if self._stamps else "id")

    def _choice(self, why: str) -> UsageError:
        return UsageError(
            f"{self._note} {why}: go on with that sync's own options, use another folder, or "
            "delete it to begin with everything again"
        )

    async def _newest(
        self, resource: BaseResource[Any], askers: list[Reader], state: SyncState
    ) -> Any:
        """The newest change there is, None for no record, `_NONE` where the API tells no changes.

        Asked by every run: that a server once did not tell is no reason never to ask again. Adds
        to ``askers`` whoever has asked.
        """
        stamps = self._stamps
        if stamps is None:
            return _NONE

        async def first(where: Clause | None) -> list[dt.datetime | None]:
            askers.append(Reader(resource, where=where))
            page = await askers[-1].first_by(f"-{CHANGED}")
            return _stamps_of(page, stamps, resource)

        try:
            newest = await first(None)
            if newest == [None]:  # records without a time may come first
                newest = await first(Field(CHANGED) != None)  # noqa: E711
            if newest and newest[0] is not None:
                now = self._now().astimezone(dt.UTC)
                latest = (now + EASTERNMOST).replace(microsecond=0)
                if newest[0].tzinfo is None:
                    latest = latest.replace(tzinfo=None)
                if newest[0] > latest:
                    newest = await first(Field(CHANGED) <= latest)
        except BadRequest as error:
            if state.since is not None:
                raise  # it did tell them before
            # Test data of a third-party connector: "You cannot filter by: mod_datetime."
            logger.warning("%s: changes cannot be seen, only new ids: %s", self._name, error)
            return _NONE
        return newest[0] if newest else None

    async def _readings(
        self, resource: BaseResource[Any], askers: list[Reader], state: SyncState, by: By
    ) -> AsyncGenerator[Reader]:
        """One after the other: the last is asked for when those before it are done."""
        begin = self._begin(state.since)
        if by == "id":
            yield self._reader(resource, [], max(0, state.after - OVERLAP_IDS))
            return
        if begin is None:
            yield self._reader(resource, [], 0)
            return
        yield self._reader(resource, [Field(CHANGED) >= begin], 0)
        timeless = self._reader(resource, [Field(CHANGED) == None], 0)  # noqa: E711
        askers.append(timeless)
        try:
            is_any = (await timeless.first_by(resource.primary)).ids
        except BadRequest as error:
            logger.warning("%s: those without a time cannot be asked for: %s", self._name, error)
        else:
            if is_any:
                yield self._reader(resource, [Field(CHANGED) == None], 0)  # noqa: E711
        everything = self._reader(resource, [], 0)
        askers.append(everything)
        highest = await everything.first_by(f"-{resource.primary}")
        if max(highest.ids, default=0) > state.after:
            yield self._reader(resource, [], state.after)

    def _begin(self, since: str | None) -> dt.datetime | None:
        """From when on changes are read; None for all of them."""
        if since is None:
            return None
        moment = dt.datetime.fromisoformat(since)
        return moment - self._overlap - (SET_BACK if moment.tzinfo is None else dt.timedelta())

    def _reader(self, resource: BaseResource[Any], where: list[Clause], after: int) -> Reader:
        return Reader(
            resource,
            where=[*self._wanted.where, *where] or None,
            after=after,
            nested=self._wanted.nested,
            pages_per_request=self._pages_per_request,
            max_bytes_in_flight=self._max_bytes,
        )


_NONE = object()


def _later(known: str | None, newest: dt.datetime | None) -> str | None:
    """The later of both: the newest record may have been deleted since."""
    if newest is None:
        return known
    if known is not None and dt.datetime.fromisoformat(known) > newest:
        return known
    return moment_text(newest)


def _stamps_of(
    page: Page, stamps: type[Any], resource: BaseResource[Any]
) -> list[dt.datetime | None]:
    """When the records of a page were changed."""
    records = read_many(page.raw, stamps, resource._options.dates)
    return [getattr(record, CHANGED) for record in records]


class _Sieve:
    """Leaves out what the last run has written, and remembers what the next may meet again."""

    def __init__(
        self,
        state: SyncState,
        by: By,
        bound: dt.datetime | None,
        stamps: type[Any] | None,
        resource: BaseResource[Any],
    ) -> None:
        self._before = state.seen
        self._by = by
        self._bound = bound
        self._stamps = stamps
        self._resource = resource
        # Several readings may meet the same record.
        several = by == "mod_datetime" and state.since is not None
        self._met: set[int] | None = set() if several else None
        self.seen: dict[int, str] = {}
        self.repeated = 0
        self.highest = 0

    def __call__(self, page: Page) -> Page:
        parts = page.parts()
        self.highest = max(self.highest, page.ids[-1])
        kept: list[tuple[int, msgspec.Raw]] = []
        for number, part, may_return in zip(page.ids, parts, self._returning(page), strict=True):
            if self._met is not None:
                if number in self._met:
                    continue  # in another of this run's readings
                self._met.add(number)
            known = self._before.get(number)
            if known is None and not may_return:
                kept.append((number, part))
                continue
            digest = hashlib.blake2b(bytes(part), digest_size=12).hexdigest()
            if may_return:
                self.seen[number] = digest
            if known == digest:
                self.repeated += 1
            else:
                kept.append((number, part))
        if len(kept) == len(page.ids):
            return page
        return joined((number for number, _ in kept), (part for _, part in kept))

    def _returning(self, page: Page) -> list[bool]:
        """Whether the next run will meet each of them again, as far as one can tell now."""
        if self._by == "id" or self._stamps is None:
            low = self.highest - OVERLAP_IDS
            self.seen = {number: digest for number, digest in self.seen.items() if number > low}
            return [number > low for number in page.ids]
        bound = self._bound
        stamps = _stamps_of(page, self._stamps, self._resource)
        return [bound is None or stamp is None or stamp >= bound for stamp in stamps]


__all__ = ("SyncJob", "SyncState", "SyncSummary")
