"""The sink: writes the rows of one part, so that the engine may do it again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal, cast, get_args

import msgspec

from chargeover_async.bulk import BulkSettings
from chargeover_async.client import ChargeOver
from chargeover_async.errors import (
    AlreadyExists,
    ApiError,
    ChargeOverError,
    NotFound,
    NotSent,
    UsageError,
)
from chargeover_async.migrate import Failure
from chargeover_async.operation import Operation, Outcome

from .connect import Connect
from .loop import Feed, Loop, running_loop
from .report import PartReport, Placed
from .rows import KEY, Empty, RowMaker, is_row, rows_of, writable

Existing = Literal["same", "update"]
# What an answer says of a row itself; any other (a redirect, a limit, credentials) is no verdict on
# it, and is the same for all rows.
OF_A_ROW = {400, 404, 409, 413, 422}
Became = Literal["created", "updated", "existing", "refused"]


def write_part(
    rows: Iterable[Any],
    object: str,  # noqa: A002 - the vendor's word for it
    connect: Connect,
    *,
    attempt: int,
    existing: Existing = "same",
    key: str | None = None,
    empty: Empty = "omit",
    part: int = 0,
    parts: int = 1,
    max_refused: int = 10_000,
    placed: bool = False,
) -> PartReport:
    """Write rows as records of ``object``, each once, however often and wherever this is called.

    ``rows`` are mappings of ChargeOver's field names to values, Arrow batches or Spark Rows; they
    are pulled in this thread, a few thousand ahead. Each has an ``external_key``, or ``key`` says
    how it is made: ``"shop-{id}"``; a row without one is refused, unsent. A key must be the same in
    every attempt, so never a row's number or anything random.

    ``attempt`` is 0 the first time: every row is created at once, and one whose key is taken is
    compared with the record that has it. From 1 on each key is looked up first, as most are there.
    With ``existing="same"`` a record that holds other values makes the row refused; with
    ``"update"`` it is changed to what the row says, as far as the API lets its fields be changed.
    ``empty`` says what a null means: the field is left out ("omit"), or null is sent ("null").

    ``parts`` is how many parts there are; more than one need a ``quota_share``. ``part`` is the
    number of this one. Of the refused rows ``max_refused`` are kept for a failure file; with
    ``placed`` the report has the id of every row that is there.

    Returns a `PartReport` in which every row is counted. Raises UsageError for what cannot be right
    with any row, before anything is sent; what ``rows`` raises; and where what became of a row is
    not known, or it could not be sent for no fault of its own (lost answers, no connection, the
    quota, credentials), that row's error: the engine's next attempt settles it.
    """
    cls = writable(object)
    if existing not in {"same", "update"}:
        raise UsageError(f'existing must be "same" or "update", not {existing!r}')
    if isinstance(attempt, bool) or not isinstance(attempt, int) or attempt < 0:
        raise UsageError(f"attempt must be a whole number from 0, not {attempt!r}")
    need_share([connect], parts)
    with running_loop() as loop:
        feed = Feed[Any](loop)
        co = connect.open()  # here, so that missing credentials show before the first row is pulled
        sink = _Sink(
            co,
            RowMaker(co, cls.object, key, empty),
            attempt=attempt,
            existing=existing,
            part=part,
            max_refused=max_refused,
            placed=placed,
        )
        return _pump(rows, feed, loop, sink).report(connect.account)


def need_share(connects: Sequence[Connect], parts: int) -> None:
    """Raise UsageError where several tasks would each believe that they have the whole quota."""
    if parts > 1:
        for connect in connects:
            if connect.quota_share is None:
                raise UsageError(
                    f"{parts} parts of {connect.account} need a shared quota, or each believes that"
                    " it has all 250 requests a minute: set quota_share (a URL of Redis, or a file "
                    "where all parts run on one host), or write one part"
                )


def _pump(rows: Iterable[Any], feed: Feed[Any], loop: Loop, sink: _Sink) -> _Sink:
    """Pull rows here, in the thread to which they belong, and have them written in the loop."""
    work = loop.start(sink.run(feed))
    try:
        for item in rows:
            if not all(feed.put(row) for row in rows_of(item)):
                break  # the work has ended: its error is raised below
        feed.end()
    except BaseException:
        feed.close()
        loop.cancel(work)  # nothing more is sent, and what is under way is awaited
        raise
    loop.finish(work)
    return sink


class _Row(msgspec.Struct):
    """What is known of a row between sending and answer."""

    number: int
    fields: dict[str, Any]
    is_update: bool = False
    id: int | None = None


class _Again:
    """The journal of a later attempt: every create may have been sent by an earlier one."""

    def was_sent(self, operation: Operation[Any]) -> bool:
        return not cast("_Row", operation.tag).is_update

    async def sending(self, operations: Sequence[Operation[Any]]) -> None:
        """Nothing is kept here: the disk of a task dies with its worker."""

    def settled(self, outcomes: Sequence[Outcome[Any]]) -> None:
        """The report says it."""


class _Sink:
    """Sends rows through one stream and counts what becomes of them."""

    def __init__(
        self,
        co: ChargeOver,
        maker: RowMaker,
        *,
        attempt: int,
        existing: Existing,
        part: int,
        max_refused: int,
        placed: bool,
    ) -> None:
        self._co = co
        self._maker = maker
        self._attempt = attempt
        self._updates = existing == "update"
        self._part = part
        self._max_refused = max_refused
        self._counts: dict[Became, int] = dict.fromkeys(get_args(Became), 0)
        self._rows = 0
        self._open = 0
        self._to_update: deque[_Row] = deque()
        self._unclear: list[tuple[_Row, AlreadyExists]] = []
        self._news = asyncio.Event()
        self._failures: list[str] = []
        self._placed: list[Placed] | None = [] if placed else None
        self._seconds = 0.0

    async def run(self, feed: Feed[Any]) -> None:
        """Write all that comes; raises the error of a row that is not settled."""
        began = time.monotonic()
        try:
            async with self._co:
                outcomes = cast(
                    "AsyncGenerator[Outcome[Any]]",
                    self._co.stream(
                        self._operations(feed),
                        settings=BulkSettings(on_existing="continue"),
                        journal=_Again() if self._attempt else None,
                    ),
                )
                async with aclosing(outcomes):
                    async for outcome in outcomes:
                        self._settle(outcome)
                for row, error in self._unclear:
                    await self._clear_up(row, error)
        except ChargeOverError as error:
            counts = ", ".join(f"{name} {count}" for name, count in self._counts.items())
            error.add_note(
                f"part {self._part}, attempt {self._attempt}: {counts}; the rest is not settled. "
                "Write the same part again: what is there is found by its key"
            )
            raise
        finally:
            feed.close()
            self._seconds = time.monotonic() - began

    async def _operations(self, feed: Feed[Any]) -> AsyncGenerator[Operation[Any]]:
        async for row in feed:
            while self._to_update:
                yield self._update(self._to_update.popleft())
            self._rows += 1
            operation = self._create(row)
            if operation is not None:
                yield operation
        while self._open or self._to_update:
            while self._to_update:
                yield self._update(self._to_update.popleft())
            self._news.clear()
            await self._news.wait()

    def _create(self, given: Any) -> Operation[Any] | None:
        """The creation of a row; None for one that is refused here."""
        number = self._rows
        if not is_row(given):
            error = UsageError(f"a row must map names to values, and is {type(given).__name__}")
            self._refuse(number, None, error, source=given)
            return None
        try:
            fields = self._maker.fields(given)
        except UsageError as error:
            self._refuse(number, None, error, source=given)
            return None
        try:
            operation = self._maker.create(fields)
        except UsageError as error:
            self._refuse(number, fields, error)
            return None
        operation.tag = _Row(number, fields)
        self._open += 1
        return operation

    def _update(self, row: _Row) -> Operation[Any]:
        operation = self._maker.update(row.fields)
        row.is_update = True
        operation.tag = row
        self._open += 1
        return operation

    # -- what became of a row -------------------------------------------------------------------

    def _settle(self, outcome: Outcome[Any]) -> None:
        row, error = cast("_Row", outcome.operation.tag), outcome.error
        self._open -= 1
        self._news.set()
        if error is None:
            row.id = row.id or outcome.unwrap().id
            if row.is_update:
                self._count("updated", row)
            elif outcome.attempts:
                self._count("created", row)
            else:  # found by its key, and never sent
                self._is_there(row)
        elif isinstance(error, AlreadyExists) and not row.is_update:
            row.id = error.existing_id
            if row.id is None:
                self._unclear.append((row, error))
            elif self._can_update(row) or not (error.differences or error.unseen):
                self._is_there(row)
            else:
                self._refuse(row.number, row.fields, error)
        elif _is_refusal(error, outcome) and not (row.is_update and isinstance(error, NotFound)):
            self._refuse(row.number, row.fields, error)
        else:
            raise error

    def _can_update(self, row: _Row) -> bool:
        return self._updates and bool(self._maker.changes(row.fields))

    def _is_there(self, row: _Row) -> None:
        if self._can_update(row):
            self._to_update.append(row)
        else:
            self._count("existing", row)

    async def _clear_up(self, row: _Row, error: AlreadyExists) -> None:
        """A key that is taken by a record that could not be read: is there one to be found?"""
        try:
            await self._maker.read(row.fields[KEY])
        except NotFound:
            self._refuse(row.number, row.fields, error)  # taken by what cannot be seen
        else:
            raise error  # it is there, and the next attempt compares it

    def _count(self, became: Became, row: _Row) -> None:
        self._counts[became] += 1
        if self._placed is not None and row.id is not None:
            name, key = self._maker.object, row.fields[KEY]
            self._placed.append(Placed(self._part, row.number, name, key, row.id, became))

    def _refuse(
        self,
        number: int,
        fields: dict[str, Any] | None,
        error: ChargeOverError,
        *,
        source: Any = None,
    ) -> None:
        self._counts["refused"] += 1
        if len(self._failures) < self._max_refused:
            self._failures.append(self._line(number, fields, error, source))

    def _line(
        self, number: int, fields: dict[str, Any] | None, error: ChargeOverError, source: Any
    ) -> str:
        """The row as a failure file has it, masked."""
        message = error.message
        if isinstance(error, AlreadyExists) and not error.may_have_happened:
            why = [
                f"{name} is {held!r}, not {sent!r}"
                for name, (sent, held) in sorted(error.differences.items())
            ]
            why += [f"{name} is not shown" for name in error.unseen]
            message += f"; record {error.existing_id}: {', '.join(why)}" if why else ""
        failure = Failure(
            file=f"part {self._part}",
            row=number,
            object=self._maker.object,
            key=str((fields or {}).get(KEY) or ""),
            state="not_sent" if isinstance(error, (UsageError, NotSent)) else "refused",
            error=type(error).__name__,
            message=message,
            data=fields,
            source=source,
        )
        try:
            return failure.text()
        except (TypeError, ValueError):  # a value that JSON does not have
            shown = cast("Mapping[Any, Any] | None", fields) or source
            return msgspec.structs.replace(failure, data=None, source=repr(shown)).text()

    def report(self, account: str) -> PartReport:
        """What became of all rows; to be asked for when `run` has returned."""
        stats = self._co.stats
        assert sum(self._counts.values()) == self._rows, "a row is counted once"
        return PartReport(
            object=self._maker.object,
            account=account,
            part=self._part,
            attempt=self._attempt,
            rows=self._rows,
            created=self._counts["created"],
            updated=self._counts["updated"],
            existing=self._counts["existing"],
            refused=self._counts["refused"],
            requests=stats.requests,
            rate_limited=stats.rate_limited,
            seconds=self._seconds,
            failures=tuple(self._failures),
            not_kept=self._counts["refused"] - len(self._failures),
            placed=tuple(self._placed or ()),
        )


def _is_refusal(error: ChargeOverError, outcome: Outcome[Any]) -> bool:
    """Whether the row itself is at fault, and surely nothing came of it."""
    if isinstance(error, UsageError):
        return outcome.state == "not_sent"
    return isinstance(error, ApiError) and error.status in OF_A_ROW and not error.may_have_happened


__all__ = ("Existing", "need_share", "write_part")
