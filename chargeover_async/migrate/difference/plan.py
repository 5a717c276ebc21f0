"""A whole plan against an account: row by row what is to be done, and what is there besides."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import msgspec

from chargeover_async.client import ChargeOver
from chargeover_async.migrate.check.check import check
from chargeover_async.migrate.check.found import BATCH, REQUESTS_PER_MINUTE, Checked
from chargeover_async.migrate.check.load import LoadCheck
from chargeover_async.migrate.mask import mask_payload, mask_text
from chargeover_async.migrate.plan.plan import Plan
from chargeover_async.migrate.plan.record import Prepared
from chargeover_async.migrate.rows import Row

from .change import Change
from .reading import Readings


class FieldDifference(msgspec.Struct, frozen=True):
    """A field that a record holds otherwise; secrets are masked.

    ``before`` is what it holds, ``after`` what the row says. ``is_shown`` False: the record does
    not show it. ``is_sent`` False: the API does not change it.
    """

    name: str
    before: Any
    after: Any
    is_shown: bool = True
    is_sent: bool = True


class RowDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What an import would do with one row: ``"create"``, ``"change"``, ``"leave"``.

    ``"besides"`` is a record that the plan does not name; it has no ``file`` and ``row`` 0.
    """

    what: Literal["create", "change", "leave", "besides"]
    object: str
    key: str
    id: int | None = None
    file: str = ""
    row: int = 0
    fields: tuple[FieldDifference, ...] = ()


class Outlook(msgspec.Struct, frozen=True):
    """What an import of a plan would do, by a reading of the account.

    ``requests`` are what it would take, a reading like this one included; ``seconds`` at 250 a
    minute.
    """

    creates: int
    changes: int
    leaves: int
    requests: int
    seconds: float


async def compare_plan(
    plan: Plan, co: ChargeOver, *, skip_bad_rows: bool = False, besides: bool = True
) -> AsyncGenerator[RowDifference]:
    """What an import of ``plan`` with ``update=True`` would do in an account, row by row.

    It only reads: every record of the objects of the plan, in as few requests as the server allows.
    Rows come in the order of the plan, and behind those of an object what the account has of it
    besides, unless ``besides`` is False. Then of each object no more is read than is needed.
    Raises BadInput as `ImportJob.check` does, and what reading raises.
    """
    checked = check(plan, skip_bad_rows=skip_bad_rows)
    readings = Readings(co, time.monotonic, thorough=True)
    try:
        last = {found.load.object: found.number for found in checked.loads}
        for found in checked.loads:
            name = found.load.object
            await _read(readings, found, whole=besides)
            for prepared in _rows(found):
                change = readings.change_of(found.load, prepared.key, prepared.payload)
                if besides:
                    readings.held.ask_for(name, prepared.key)
                yield _row(found, prepared, change or Change(what="create"))
            if besides and last[name] == found.number:
                for key, number in readings.held.besides(name):
                    yield RowDifference(what="besides", object=name, key=key, id=number)
    finally:
        readings.close()
        checked.close()


async def look_ahead(checked: Checked, co: ChargeOver, existing: str) -> Outlook:
    """What an import of what was checked would take; reads, and changes nothing.

    ``existing`` says what becomes of rows whose key is taken: "pass", "continue" or "update". What
    need not be read counts as to be created. Raises what reading raises.
    """
    before = co.stats.requests
    changes = existing == "update"
    readings = Readings(co, time.monotonic, compares=existing != "pass", changes=changes, few=0)
    counts = {"create": 0, "change": 0, "leave": 0}
    requests = 1
    try:
        for found in checked.loads:
            await _read(readings, found, whole=False)
            sent = dict.fromkeys(counts, 0)
            for prepared in _rows(found):
                change = readings.change_of(found.load, prepared.key, prepared.payload)
                sent["create" if change is None else change.what] += 1
            requests += math.ceil((sent["create"] + changes * sent["change"]) / BATCH)
            for what, rows in sent.items():
                counts[what] += rows
    finally:
        readings.close()
    requests += co.stats.requests - before
    seconds = requests * 60 / REQUESTS_PER_MINUTE
    return Outlook(counts["create"], counts["change"], counts["leave"], requests, seconds)


async def _read(readings: Readings, found: LoadCheck, *, whole: bool) -> None:
    await readings.read(
        found.load, partial(_pairs, found), found.rows - found.bad, whole=whole, is_needed=whole
    )


def _rows(found: LoadCheck) -> Iterator[Prepared]:
    notes = found.notes()
    for row in found.load.source.rows():
        if isinstance(row, Row) and not notes.problems(row.line):
            yield found.prepare(row)


def _pairs(found: LoadCheck) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((row.key, row.payload) for row in _rows(found))


def _row(found: LoadCheck, row: Prepared, change: Change) -> RowDifference:
    keep = frozenset({row.key}) if mask_text(row.key) == row.key else frozenset[str]()
    before = mask_payload({name: held for name, (_, held) in change.differs.items()}, keep)
    after = mask_payload(
        {name: row.payload.get(name) for name in (*change.differs, *change.unseen)}, keep
    )
    return RowDifference(
        what=change.what,
        object=found.load.object,
        key=row.key if keep else mask_text(row.key),
        id=change.id,
        file=found.load.source.name,
        row=row.row.line,
        fields=tuple(_fields(change, before, after)),
    )


def _fields(
    change: Change, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[FieldDifference]:
    for name in change.differs:
        yield FieldDifference(name, before[name], after[name], True, name in change.fields)
    for name in change.unseen:
        yield FieldDifference(name, None, after[name], False, name in change.fields)


__all__ = ("FieldDifference", "Outlook", "RowDifference", "compare_plan", "look_ahead")
