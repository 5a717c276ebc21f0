"""Finds out what is there, in the fewest requests: by pages, or by asking for the keys.

Nothing that is believed here can do harm. A record that was read is compared as it was read; one
that was not is created, and if it is there after all, the API refuses that and it is looked up; a
reading that fails leaves its rows to be sent as if nothing had been read.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async._wire.request import segment
from chargeover_async.client import ChargeOver
from chargeover_async.errors import AuthFailed, ChargeOverError, DecodeError
from chargeover_async.export.asking import Asker
from chargeover_async.export.fetch import BULK_IN_FLIGHT, Fetcher
from chargeover_async.export.page import Page
from chargeover_async.export.reader import Reader
from chargeover_async.migrate.plan.fields import KEY, referred_object
from chargeover_async.migrate.plan.plan import Load
from chargeover_async.models._json.read import untyped
from chargeover_async.query import MAX_PAGE
from chargeover_async.resources import RESOURCES
from chargeover_async.resources._calls.kinds import Addressable, Countable

from .change import Change, find_change, needed, updatable_fields
from .held import Held, Kept

logger = logging.getLogger("chargeover_async.migrate")

FEW = MAX_ITEMS  # rows that are not worth a question: they fit into one request
MAX_BYTES = 72 * 2**20  # of pages on their way: 25 pages of customers in each of three requests
BREATH = 200  # rows between two turns of the event loop
# What lists leave out, by the models' docstrings (recordings): records are read by themselves then.
LISTS_LEAVE_OUT = {
    "customer": {"tags"},
    "invoice": {"line_items"},
    "item": {"service_data", "categories"},
    "package": {"line_items"},
    "quote": {"line_items"},
    "transaction": {"applied_to"},
}
Rows = Callable[[], Iterator[tuple[str, dict[str, Any]]]]  # key and payload of each


class Cost(msgspec.Struct, frozen=True):
    """What it takes to bring ``rows`` rows into an account with ``records`` records.

    Requests, at best: by reading pages first, by asking for the keys first, by sending at once.
    """

    pages: int
    keys: int
    at_once: int

    @property
    def way(self) -> str:
        """The cheapest, the simplest of those that cost the same."""
        least = min(self.at_once, self.keys, self.pages)
        names = ("at_once", "keys", "pages")
        return next(name for name in names if getattr(self, name) == least)


def cost_of(rows: int, records: int, *, compares: bool, changes: bool, leaves_out: bool) -> Cost:
    """Estimate the requests of each way.

    ``compares``: what is there is looked at; ``changes``: and changed; ``leaves_out``: the plan
    writes what lists do not show, so that records must be read by themselves.
    """
    there = min(rows, records)
    new = _batches(rows - there)
    pages = 4 + math.ceil(records / (MAX_ITEMS * MAX_PAGE))
    if compares and leaves_out:
        pages += _batches(there)
    again = _batches(there) * (compares + changes)  # a look-up and a change for each
    return Cost(pages + new, _batches(rows) + new, _batches(rows) + again)


def _batches(rows: int) -> int:
    return math.ceil(rows / MAX_ITEMS)


class Readings:
    """What is known of the records that a plan is about.

    ``compares`` False asks for no more than whether they are there; ``thorough`` looks at all that
    a row says, also of a record that is to be changed in any case. ``few`` rows are not asked for,
    as they are sent in a request. What was read more than
    ``max_age_s`` seconds ago is not changed by what was read: `change_of` knows nothing of it.
    """

    def __init__(
        self,
        co: ChargeOver,
        clock: Callable[[], float],
        *,
        compares: bool = True,
        changes: bool = True,
        max_age_s: float = math.inf,
        thorough: bool = False,
        few: int = FEW,
    ) -> None:
        self._co = co
        self._clock = clock
        self._compares = compares
        self._changes = changes
        self._max_age_s = max_age_s
        self._thorough = thorough
        self._few = few
        # Where absence is known, too: of an object, or of what one load of it asks for.
        self._known: set[tuple[str, str]] = set()
        self._names: dict[str, frozenset[str]] = {}
        self.counts: dict[str, int] = {}
        self.held = Held()

    def close(self) -> None:
        """Forget everything."""
        self.held.close()

    # -- asking what is known ------------------------------------------------------------------

    def change_of(self, load: Load, key: str, payload: Mapping[str, Any]) -> Change | None:
        """What is to be done with a row; None if that is not known."""
        name = load.object
        if not key:
            return None
        kept = self.held.find(name, key)
        if kept is None:
            is_absent = not self._known.isdisjoint({(name, ""), (name, load.where)})
            return _CREATE if is_absent else None
        if not self._compares:
            return Change(what="leave", id=kept.id)
        try:
            change = self._compare(name, payload, kept)
        except Exception as error:  # noqa: BLE001 - whatever a record may hold
            logger.warning("%s %d cannot be compared: %r", name, kept.id, error)
            return None
        is_old = self._clock() - kept.at > self._max_age_s
        return None if is_old and (change.fields or change.differs) else change

    def _compare(self, name: str, payload: Mapping[str, Any], kept: Kept) -> Change:
        dates = self._resource(name)._options.dates
        return find_change(name, payload, kept.fields, resolve=self._resolve, dates=dates)

    def _resolve(self, field: str, value: str) -> int | None:
        target = referred_object(field)
        return None if target is None else self.held.id_of(target, value)

    def _resource(self, name: str) -> Any:
        return getattr(self._co, RESOURCES[name].attribute)

    # -- reading -------------------------------------------------------------------------------

    async def read(
        self,
        load: Load,
        rows: Rows,
        count: int,
        *,
        whole: bool = False,
        is_needed: bool = False,
    ) -> None:
        """Read what the ``count`` rows of a load are about, as far as that saves requests.

        ``rows`` gives them, any number of times. ``whole`` reads every record of the object,
        whatever it costs. Raises AuthFailed; whatever else goes wrong leaves less known, and is
        raised only if this ``is_needed``.
        """
        name = load.object
        if (name, "") in self._known or (count <= self._few and not whole):
            return
        names = _written(load)
        self._names[name] = needed(names) | {KEY, RESOURCES[name].primary}
        try:
            way = "pages" if whole else await self._choose(name, names, count)
            if way == "pages":
                await self._read_pages(name)
                if self._compares:
                    await self._read_unseen(load, rows)
            elif way == "keys":
                await self._read_keys(load, rows)
        except AuthFailed:
            raise
        except ChargeOverError as error:
            if is_needed:
                raise
            logger.warning(
                "what is there of %s is not known, as it cannot be read: %s", name, error
            )

    async def _choose(self, name: str, names: frozenset[str], count: int) -> str:
        resource = self._resource(name)
        if not isinstance(resource, Countable):
            return "at_once"
        if name not in self.counts:
            self.counts[name] = int(await resource.count())
        cost = cost_of(
            count,
            self.counts[name],
            compares=self._compares,
            changes=self._changes and bool(updatable_fields(name)),
            leaves_out=not names.isdisjoint(LISTS_LEAVE_OUT.get(name, ())),
        )
        if cost.way == "keys" and not isinstance(resource, Addressable):
            return "at_once"
        return cost.way

    async def _read_pages(self, name: str) -> None:
        reader = Reader(self._resource(name), max_bytes_in_flight=MAX_BYTES)
        wanted = self._names[name]
        async with aclosing(reader.pages()) as pages:
            async for page in pages:
                at = self._clock()
                self.held.keep(name, self._pick(name, page, wanted), at, whole=False)
                await asyncio.sleep(0)
        self._known.add((name, ""))

    def _pick(
        self, name: str, page: Page, wanted: frozenset[str]
    ) -> Iterator[tuple[str, int, dict[str, Any]]]:
        for number, part in zip(page.ids, page.parts(), strict=True):
            record = untyped(part)
            if KEY not in record:
                raise DecodeError(f"a list of {name} does not show its {KEY}", object=name)
            yield str(record[KEY] or ""), number, _only(record, wanted)

    async def _read_unseen(self, load: Load, rows: Rows) -> None:
        """Read by themselves the records of which all that is shown agrees, but not all is shown.

        One that is to be changed in any case is sent what it does not show along with the rest.
        """
        name = load.object
        fetcher = Fetcher(
            self._resource(name),
            where=None,
            nested=True,
            pages_per_request=MAX_ITEMS,
            page=MAX_PAGE,
        )
        known = updatable_fields(name)
        ids: list[int] = []
        keys: dict[int, str] = {}
        for number, (key, payload) in enumerate(rows()):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            kept = self.held.find(name, key) if key else None
            if kept is None or kept.whole:
                continue
            change = self._compare(name, payload, kept)
            will_change = not self._thorough and not known.isdisjoint(change.differs)
            if not change.unseen or will_change:
                continue
            ids.append(kept.id)
            keys[kept.id] = key
            if len(ids) == MAX_ITEMS * BULK_IN_FLIGHT:
                await self._read_ids(name, fetcher, ids, keys)
                ids, keys = [], {}
        if ids:
            await self._read_ids(name, fetcher, ids, keys)

    async def _read_ids(
        self, name: str, fetcher: Fetcher, ids: list[int], keys: dict[int, str]
    ) -> None:
        at = self._clock()
        chunks = [ids[begin : begin + MAX_ITEMS] for begin in range(0, len(ids), MAX_ITEMS)]
        wanted = self._names[name]
        for found in await asyncio.gather(*map(fetcher.get_records, chunks)):
            records = ((number, untyped(raw)) for number, raw in found)
            self.held.keep(
                name,
                (
                    (keys[number], number, _only(record, wanted))
                    for number, record in records
                    if record.get(KEY) == keys[number]
                ),
                at,
                whole=True,
            )

    async def _read_keys(self, load: Load, rows: Rows) -> None:
        """Ask for the keys of the rows, 25 in a request.

        An answer that says neither what is there nor that nothing is leaves the key unknown, and
        with it all that are not there: the row is then sent as if nothing had been read.
        """
        name = load.object
        asker = Asker(self._resource(name))
        waiting: list[str] = []
        flights: set[asyncio.Task[bool]] = set()
        told = True
        try:
            for number, (key, _) in enumerate(rows()):
                if number % BREATH == 0:
                    await asyncio.sleep(0)
                if key:
                    waiting.append(key)
                if len(waiting) == MAX_ITEMS:
                    flights.add(asyncio.create_task(self._ask(name, asker, waiting)))
                    waiting = []
                if len(flights) == BULK_IN_FLIGHT:
                    done, flights = await asyncio.wait(flights, return_when=asyncio.FIRST_COMPLETED)
                    told = all(task.result() for task in done) and told
            if waiting:
                flights.add(asyncio.create_task(self._ask(name, asker, waiting)))
            for task in flights:
                told = await task and told
        finally:
            for task in flights:
                task.cancel()
            await asyncio.gather(*flights, return_exceptions=True)
        if told:
            self._known.add((name, load.where))

    async def _ask(self, name: str, asker: Asker, keys: list[str]) -> bool:
        """Whether all was told; records that are there are kept."""
        at = self._clock()
        replies = await asker.get_many(
            [(f"/{name}/external_key:{segment(key)}", ()) for key in keys]
        )
        wanted, primary = self._names[name], RESOURCES[name].primary
        found: list[tuple[str, int, dict[str, Any]]] = []
        told = True
        for key, reply in zip(keys, replies, strict=True):
            if reply is not None and reply.ok:
                try:
                    record = untyped(reply.response)
                    if record[KEY] == key:
                        found.append((key, int(record[primary]), _only(record, wanted)))
                        continue
                except Exception as error:  # noqa: BLE001 - whatever an answer may hold
                    logger.warning("%s %s cannot be read: %r", name, key, error)
            told = told and reply is not None and reply.code == 404
        self.held.keep(name, found, at, whole=True)
        return told


_CREATE = Change(what="create")


def _only(record: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name in wanted}


def _written(load: Load) -> frozenset[str]:
    """The fields that the rows of a load may write."""
    if load.fields is None:
        return frozenset(load.table.kinds)
    names = {field.name for field in load.fields}
    return frozenset(names | {child.field for child in load.children})


__all__ = ("Cost", "Readings", "cost_of")
