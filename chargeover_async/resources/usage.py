"""Usage (metered data), record by record or 1,000 a call.

Source: pages "Storing Usage / metered data", "Bulk Usage / metered data upload" and "Query for
Usage / metered data"; the vendor's PHP and C# clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from typing import Any, ClassVar, Unpack

import msgspec

from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.models import Created
from chargeover_async.models._json.checks import Refs, dotted
from chargeover_async.models.usage import Usage, UsageCreate, UsageRecord
from chargeover_async.operation import Operation, Outcome, State
from chargeover_async.retry import Repeat

from ._calls.answers import read_created
from ._calls.lists import OffsetListable

_LINES = ("line_item_id", "line_item_external_key", "line_item_token")
_UPLOAD_LINES = (*_LINES, "line_item", "line_item.item_external_key")
MAX_UPLOAD = 1_000  # page "Bulk Usage / metered data upload"


class UploadOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one call of an upload: of all its rows together, as the API says no more.

    ``rows`` are the positions in what was uploaded, from 0, and ``records`` the records there.
    ``state`` is ``"done"`` (the API took the call), ``"refused"``, ``"not_sent"`` or
    ``"unknown"``; ``error`` is None exactly when ``value`` is the answer.

    Not shown by any source, so UNVERIFIED: what the id in ``value`` stands for, whether a call that
    is done may have left rows out, and whether one that is refused may have taken some. Give each
    record an ``external_key`` and ask ``co.usage.list(where=F.external_key == ...)`` where it
    matters.
    """

    rows: tuple[int, ...]
    records: tuple[UsageRecord, ...]
    state: State
    value: Created | None = None
    error: ChargeOverError | None = None

    @property
    def may_have_happened(self) -> bool:
        """Whether the server may hold these rows: it took them, or its answer was lost."""
        return self.state in {"done", "unknown"}

    def unwrap(self) -> Created:
        """The answer; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        assert self.value is not None
        return self.value


class UsageRecords(OffsetListable[Usage]):
    """``/usage``. Filtered by ``line_item_id``, ``external_key``, ``from`` and ``to``."""

    object = "usage"
    attribute = "usage"
    model = Usage
    primary = "usage_history_id"
    writes: ClassVar = {"create": UsageCreate, "bulk": UsageRecord}
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[UsageCreate]
    ) -> Operation[Created]:
        """Store what a subscription line used; ``from_`` and ``to`` are the period.

        A lost answer is OutcomeUnknown even with an ``external_key``: no source shows a usage
        record being read by its key, so it cannot be looked up safely. List by the key.
        Source: page "Storing Usage / metered data".
        """
        self._need("create", fields, extra, _LINES, "usage_value")
        payload, refs = self._prepare("create", _vendors(fields, "usage.create"), extra)
        return self._call("POST", "/usage", read_created, Repeat.ONCE, payload=payload, refs=refs)

    def bulk(self, records: Iterable[UsageRecord]) -> Operation[Created]:
        """Store up to 1,000 records in one call, without repeating it after a lost answer.

        `UploadOutcome` says what the answer does not. Raises UsageError for a record that cannot
        be right, naming its position. Source: page "Bulk Usage / metered data upload"; that the
        body is a plain list is UNVERIFIED.
        """
        if not isinstance(records, Iterable):
            raise UsageError(f"usage.bulk takes a list of records, not {type(records).__name__}")
        rows = [self._row(record, f"usage.bulk: [{n}]") for n, record in enumerate(records)]
        if not 1 <= len(rows) <= MAX_UPLOAD:
            raise UsageError(f"usage.bulk takes 1 to {MAX_UPLOAD} records, not {len(rows)}")
        return self._bulk(rows)

    def upload(
        self,
        records: Iterable[UsageRecord] | AsyncIterable[UsageRecord],
        *,
        rows_per_call: int = MAX_UPLOAD,
        concurrency: int = 4,
    ) -> AsyncGenerator[UploadOutcome, None]:
        """Store any number of records; yield what came of each call as it is answered.

        ``records`` is taken lazily, and at most ``concurrency`` calls are under way: memory is
        bounded by ``(concurrency + 1) * rows_per_call`` records. Each call is one request of the
        quota. A call is never sent again after its answer was lost, and one that the API refuses
        is not split: whether it took some rows is not known (`UploadOutcome`).

        A record that cannot be right is left out and yielded by itself with its UsageError; its
        neighbours go on. An error that ``records`` raises comes after the outcomes of what was
        taken before. Leaving the loop early cancels what is under way: rows that you have not
        been told about may have been stored.
        """
        if not 1 <= rows_per_call <= MAX_UPLOAD:
            raise UsageError(f"rows_per_call must be 1 to {MAX_UPLOAD}, not {rows_per_call}")
        given: object = records
        if isinstance(given, (str, bytes, dict)) or not isinstance(
            given, (Iterable, AsyncIterable)
        ):
            raise UsageError(f"usage.upload takes records, not {type(records).__name__}")
        if concurrency < 1:
            raise UsageError(f"concurrency must be at least 1, not {concurrency}")
        return _upload(self, records, rows_per_call, concurrency)

    def _bulk(self, rows: list[dict[str, Any]]) -> Operation[Created]:
        path = "/usage/_action/bulk"
        return self._call("POST", path, read_created, Repeat.ONCE, payload=rows)

    def _row(self, record: UsageRecord, where: str) -> dict[str, Any]:
        if not isinstance(record, Mapping):
            raise UsageError(f"{where}: a record is a mapping, not {type(record).__name__}")
        refs: Refs
        try:
            self._need("bulk", record, None, _UPLOAD_LINES, "usage_value")
            payload, refs = self._prepare("bulk", _vendors(record, "usage.bulk"), None)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
        if refs:
            raise UsageError(f"{where}: {dotted(refs[0][0])}: an upload takes no references")
        return payload


def _vendors(fields: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``fields`` under the vendor's names: ``from_`` is sent as ``from``."""
    if "from_" in fields and "from" in fields:
        raise UsageError(f"{where}: 'from' is given twice, as from_ and as from")
    return {"from" if name == "from_" else name: value for name, value in fields.items()}


# -- uploading ---------------------------------------------------------------------------------


class _Chunk(msgspec.Struct):
    """Records that go in one call, and those that cannot go at all."""

    rows: list[int]
    records: list[UsageRecord]
    payload: list[dict[str, Any]]
    refused: list[UploadOutcome]


async def _each(records: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    if isinstance(records, AsyncIterable):
        try:
            async for record in records:
                yield record
        finally:
            if isinstance(records, AsyncGenerator):  # let it clean up now, not some day
                await records.aclose()
    else:
        for record in records:
            yield record


async def _chunks(
    usage: UsageRecords, records: Iterable[Any] | AsyncIterable[Any], size: int
) -> AsyncGenerator[_Chunk, None]:
    """Full chunks, the last one excepted; one that ``records`` broke off in is given, too."""
    chunk = _Chunk([], [], [], [])
    row = 0
    source = _each(records)
    failed: Exception | None = None
    try:
        while True:
            try:
                record = await anext(source)
            except StopAsyncIteration:
                break
            except Exception as error:  # noqa: BLE001 - raised again below, after what came before
                failed = error
                break
            try:
                payload = usage._row(record, f"row {row}")
            except UsageError as error:
                chunk.refused.append(
                    UploadOutcome(rows=(row,), records=(record,), state="not_sent", error=error)
                )
            else:
                chunk.rows.append(row)
                chunk.records.append(record)
                chunk.payload.append(payload)
            row += 1
            if len(chunk.rows) + len(chunk.refused) == size:
                yield chunk
                chunk = _Chunk([], [], [], [])
        if chunk.rows or chunk.refused:
            yield chunk
        if failed is not None:
            raise failed
    finally:
        await source.aclose()


async def _send(usage: UsageRecords, chunk: _Chunk) -> UploadOutcome:
    rows, records = tuple(chunk.rows), tuple(chunk.records)
    try:
        outcome: Outcome[Created] = await usage._bulk(chunk.payload).wait()
    except ChargeOverError as error:  # a bulk scope that has no room, or is closed
        return UploadOutcome(rows=rows, records=records, state="not_sent", error=error)
    return UploadOutcome(
        rows=rows,
        records=records,
        state=outcome.state,
        value=outcome.value,
        error=outcome.error,
    )


async def _next(chunks: AsyncGenerator[_Chunk, None]) -> tuple[_Chunk | None, Exception | None]:
    """The next chunk, or None at the end, with the error that the source ended in."""
    try:
        return await anext(chunks, None), None
    except Exception as error:  # noqa: BLE001 - raised by who asked, when the calls are answered
        return None, error


async def _upload(
    usage: UsageRecords,
    records: Iterable[Any] | AsyncIterable[Any],
    size: int,
    concurrency: int,
) -> AsyncGenerator[UploadOutcome, None]:
    """What `UsageRecords.upload` returns.

    1. At most ``concurrency`` calls are under way, and one chunk is being filled.
    2. Every row taken from ``records`` is in exactly one outcome, unless the consumer leaves.
    3. An outcome is yielded as soon as it is known, however slow ``records`` is.
    4. Nothing is under way when this ends, in whatever way.
    """
    chunks = _chunks(usage, records, size)
    calls: set[asyncio.Task[UploadOutcome]] = set()
    filling: asyncio.Task[tuple[_Chunk | None, Exception | None]] | None = None
    more = True
    failed: Exception | None = None
    try:
        while more or calls:
            if more and filling is None and len(calls) < concurrency:
                filling = asyncio.create_task(_next(chunks), name="chargeover-usage")
            waited: set[asyncio.Task[Any]] = {*calls, *([filling] if filling else [])}
            done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if filling is not None and filling in done:
                chunk, failed = filling.result()
                filling = None
                if chunk is None:
                    more = False
                else:
                    if chunk.rows:
                        calls.add(asyncio.create_task(_send(usage, chunk)))
                    for refused in chunk.refused:
                        yield refused
            for call in done & calls:
                calls.discard(call)
                yield call.result()
        if failed is not None:
            raise failed
    finally:
        under_way: list[asyncio.Task[Any]] = [*calls, *([filling] if filling else [])]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await chunks.aclose()


__all__ = ("UploadOutcome", "UsageRecords")
