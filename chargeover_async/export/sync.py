"""Keeping up with an account: each run writes what is new or changed since the last one.

A run asks first for the newest ``mod_datetime`` there is: whatever changes from then on is at least
that new, and belongs to the next run as well. So the next run begins there, and ``overlap`` before
it, for changes that became visible later than their time says; what it meets there a second time,
unchanged, is left out. No clock but the server's is used. An object without ``mod_datetime`` is
followed by its ids: new records come, changes do not.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.errors import BadRequest, UsageError
from chargeover_async.models._json.checks import moment_text
from chargeover_async.models._json.read import read_many
from chargeover_async.query import Field, Where
from chargeover_async.resources._calls.base import BaseResource

from .columns import columns_of, picked_struct
from .job import ExportProgress, finish, tell
from .page import Page, joined
from .part import Part, held, write_whole
from .reader import Reader, can_page_by_key
from .wanted import FORMATS, Wanted

if TYPE_CHECKING:
    from chargeover_async.client import ChargeOver

logger = logging.getLogger("chargeover_async.export")

VERSION = 1
OVERLAP = dt.timedelta(minutes=10)
OVERLAP_IDS = 1_000
CHANGED = "mod_datetime"

By = Literal["mod_datetime", "id"]


class SyncState(msgspec.Struct, frozen=True, kw_only=True):
    """What the next run has to know.

    ``runs`` is the number of the last file. ``since`` is the newest change that there was when the
    last run began, ``after`` the highest id that was met. ``seen`` holds a digest of each record
    that the next run may meet again.
    """

    question: dict[str, Any]
    by: By
    runs: int = 0
    since: str | None = None
    after: int = 0
    seen: dict[int, str] = {}
    version: int = VERSION


class SyncSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has brought: ``records`` in ``file``, which is "" when there was none.

    ``repeated`` were met again in the overlap, unchanged, and left out. ``since`` is where the
    next run begins, before its overlap. ``by`` is "id" when changes cannot be seen.
    """

    object: str
    by: By
    records: int
    repeated: int
    requests: int
    seconds: float
    file: str = ""
    since: str | None = None

    def json(self) -> str:
        """As one JSON object."""
        return msgspec.json.encode(self).decode()


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
        clock: Callable[[], float] = time.monotonic,
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
        self._has_changes = CHANGED in {column.name for column in columns_of(resource.model)}
        self._name = resource.object.lstrip("_")
        self._folder = folder
        self._note = folder / f"{self._name}.sync.json"
        self._overlap = overlap
        self._pages_per_request = pages_per_request
        self._clock = clock
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
        newest, sent = await self._newest(resource, state)
        by: By = "mod_datetime" if newest is not _NONE else "id"
        reader = self._reader(resource, state, by)
        keep = _Sieve(state, by, self._bound(newest, state, by), self._stamps, resource)
        made = wanted.make_format(resource._options.dates)
        output = self._folder / f"{self._name}-{state.runs + 1:06}.{wanted.format}"
        records = 0
        part = Part(output, {}, restart=True)
        try:
            part.append(made.head())
            async with aclosing(reader.pages()) as pages:
                async for page in pages:
                    fresh = keep(page)
                    if fresh.ids:
                        part.append(made.encode(fresh))
                        records += len(fresh.ids)
                    progress = ExportProgress(
                        records=records,
                        total=reader.total,
                        requests=reader.requests + sent,
                        seconds=self._clock() - began,
                    )
                    tell(observe, progress)
            if records:
                await finish(made, part)
            else:
                part.discard()
        finally:
            part.close()
        since = _later(state.since, newest if isinstance(newest, dt.datetime) else None)
        write_whole(
            self._note,
            msgspec.json.encode(
                msgspec.structs.replace(
                    state,
                    by=by,
                    runs=state.runs + bool(records),
                    since=since,
                    after=max(state.after, keep.highest),
                    seen=keep.seen,
                )
            ),
        )
        return SyncSummary(
            object=resource.object,
            by=by,
            records=records,
            repeated=keep.repeated,
            requests=reader.requests + sent,
            seconds=round(self._clock() - began, 3),
            file=str(output) if records else "",
            since=since,
        )

    def _state(self, question: dict[str, Any]) -> SyncState:
        fresh = SyncState(question=question, by="mod_datetime" if self._has_changes else "id")
        try:
            found = msgspec.json.decode(self._note.read_bytes(), type=SyncState)
        except FileNotFoundError:
            return fresh
        except (OSError, msgspec.DecodeError) as error:
            raise self._choice(f"cannot be read ({error})") from None
        if found.version != VERSION:
            raise self._choice(f"is of version {found.version}, not {VERSION}")
        if found.question != question:
            names = sorted({*found.question, *question})
            other = [name for name in names if found.question.get(name) != question.get(name)]
            raise self._choice(f"is about another sync (other {', '.join(other)})")
        return found

    def _choice(self, why: str) -> UsageError:
        return UsageError(
            f"{self._note} {why}: go on with that sync's own options, use another folder, or "
            "delete it to begin with everything again"
        )

    async def _newest(self, resource: BaseResource[Any], state: SyncState) -> tuple[Any, int]:
        """The newest change there is, None for no record, `_NONE` where the API tells no changes.

        With the number of requests that it took.
        """
        if state.by == "id" or self._stamps is None:
            return _NONE, 0
        reader = Reader(resource)
        try:
            page = await reader.first_by(f"-{CHANGED}")
        except BadRequest as error:
            if state.since is not None:
                raise  # it did tell them before
            # Test data of a third-party connector: "You cannot filter by: mod_datetime."
            logger.warning("%s: changes cannot be seen, only new ids: %s", self._name, error)
            return _NONE, reader.requests
        records = read_many(page.raw, self._stamps, resource._options.dates)
        return (getattr(records[0], CHANGED) if records else None), reader.requests

    def _reader(self, resource: BaseResource[Any], state: SyncState, by: By) -> Reader:
        where = list(self._wanted.where)
        after = 0
        if by == "id":
            after = max(0, state.after - OVERLAP_IDS)
        elif state.since is not None:
            begin = dt.datetime.fromisoformat(state.since) - self._overlap
            where.append(Field(CHANGED) >= begin)
        return Reader(
            resource,
            where=where or None,
            after=after,
            nested=self._wanted.nested,
            pages_per_request=self._pages_per_request,
        )

    def _bound(self, newest: Any, state: SyncState, by: By) -> dt.datetime | None:
        """From when on the next run will meet changes again."""
        since = _later(state.since, newest if isinstance(newest, dt.datetime) else None)
        if by == "id" or since is None:
            return None
        return dt.datetime.fromisoformat(since) - self._overlap


_NONE = object()


def _later(known: str | None, newest: dt.datetime | None) -> str | None:
    """The later of both: the newest record may have been deleted since."""
    if newest is None:
        return known
    if known is not None and dt.datetime.fromisoformat(known) > newest:
        return known
    return moment_text(newest)


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
        self._dates = resource._options.dates
        self.seen: dict[int, str] = {}
        self.repeated = 0
        self.highest = 0

    def __call__(self, page: Page) -> Page:
        parts = page.parts()
        self.highest = max(self.highest, page.ids[-1])
        kept: list[tuple[int, msgspec.Raw]] = []
        for number, part, may_return in zip(page.ids, parts, self._returning(page), strict=True):
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
        records = read_many(page.raw, self._stamps, self._dates)
        stamps = [getattr(record, CHANGED) for record in records]
        return [bound is None or (stamp is not None and stamp >= bound) for stamp in stamps]


__all__ = ("SyncJob", "SyncState", "SyncSummary")
