"""Arrow batches and Parquet files (extra ``parquet``).

The columns are those of the object's struct, so that a file is the same whatever its first records
hold: whole numbers are int64, amounts decimal128(38, 18) and exact, dates date32, datetimes
timestamp[us] (in UTC where the account sends an offset), nested parts lists of structs, and custom
fields, which may hold anything, text.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyarrow is no dependency and comes in as Any.
from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from chargeover_async._extras import arrow
from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.errors import DecodeError
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.models._json.read import read_many
from chargeover_async.query import Where
from chargeover_async.resources._calls.base import BaseResource

from .columns import Column, choose, columns_of, kind_of, picked_struct
from .fetch import MAX_BYTES_IN_FLIGHT
from .formats import Format, json_text, mixed_text
from .page import Page
from .reader import Reader

DIGITS, SCALE = 38, 18  # an amount of 20 digits and 18 decimal places
ROW_GROUP = 32_768  # records; what a reader of the file takes at once

AWARE = "datetimes have an offset"


class Batches:
    """Makes pages into record batches of one schema.

    ``aware`` says whether datetimes have an offset, and is found out by the first page if it is
    None.
    """

    def __init__(
        self,
        model: type[Any],
        columns: Sequence[Column],
        dates: DateFormat | None,
        *,
        aware: bool | None = None,
    ) -> None:
        self._pa = arrow()
        self._model = model
        self._columns = columns
        self._dates = dates
        self._struct = picked_struct(model, columns)
        self._converters = [_convert(column.type) for column in columns]
        self.aware = aware

    @property
    def schema(self) -> Any:
        """The pyarrow.Schema."""
        pa = self._pa
        zone = "UTC" if self.aware else None
        return pa.schema(
            [pa.field(column.name, _arrow_type(pa, column.type, zone)) for column in self._columns]
        )

    def batch(self, page: Page) -> Any:
        """The pyarrow.RecordBatch of a page; raises DecodeError for what does not fit exactly."""
        records = read_many(page.raw, self._struct, self._dates)
        if self.aware is None:
            self.aware = any(
                value.tzinfo is not None
                for record in records
                for value in msgspec.structs.astuple(record)
                if isinstance(value, dt.datetime)
            )
        schema = self.schema
        arrays: list[Any] = []
        for column, convert, field in zip(self._columns, self._converters, schema, strict=True):
            values: list[Any] = [getattr(record, column.attribute) for record in records]
            if column.kind == "moment":
                self._check_offsets(column, values, page)
            if convert is not None:
                values = [None if value is None else convert(value) for value in values]
            try:
                arrays.append(self._pa.array(values, field.type))
            except (self._pa.ArrowException, OverflowError, TypeError, ValueError) as error:
                raise self._misfit(column, field.type, values, page, error) from None
        return self._pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _check_offsets(self, column: Column, values: Sequence[Any], page: Page) -> None:
        for number, value in zip(page.ids, values, strict=True):
            if value is not None and (value.tzinfo is not None) is not self.aware:
                raise DecodeError(
                    f"{self._model.__name__} {number}: {column.name} {value} has "
                    f"{'no' if self.aware else 'an'} offset, unlike the first datetimes: one "
                    "column cannot hold both; export as JSON Lines or CSV"
                )

    def _misfit(
        self, column: Column, kind: Any, values: Sequence[Any], page: Page, error: Exception
    ) -> DecodeError:
        for number, value in zip(page.ids, values, strict=True):
            try:
                self._pa.array([value], kind)
            except (self._pa.ArrowException, OverflowError, TypeError, ValueError):
                return DecodeError(
                    f"{self._model.__name__} {number}: {column.name} {str(value)[:80]} does not "
                    f"fit {kind} exactly; export as JSON Lines or CSV, or leave {column.name} out"
                )
        return DecodeError(f"{self._model.__name__}: {column.name}: {error}")


def _arrow_type(pa: Any, kind: Any, zone: str | None) -> Any:
    simple = {
        "id": pa.int64(),
        "text": pa.string(),
        "mixed": pa.string(),
        "flag": pa.bool_(),
        "money": pa.decimal128(DIGITS, SCALE),
        "day": pa.date32(),
        "moment": pa.timestamp("us", zone),
    }
    if get_origin(kind) is list and get_args(kind)[0] is not Any:
        return pa.list_(_arrow_type(pa, get_args(kind)[0], zone))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return pa.struct(
            [
                pa.field(column.name, _arrow_type(pa, column.type, zone))
                for column in columns_of(kind)
            ]
        )
    return simple.get(kind_of(kind), pa.string())


def _convert(kind: Any) -> Callable[[Any], Any] | None:
    """What a value of ``kind`` must become for pyarrow; None where it can stay as it is."""
    if get_origin(kind) is list and get_args(kind)[0] is not Any:
        inner = _convert(get_args(kind)[0])
        if inner is None:
            return None
        return lambda values: [None if value is None else inner(value) for value in values]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        parts = [
            (column.name, column.attribute, _convert(column.type)) for column in columns_of(kind)
        ]

        def to_dict(record: Any) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for name, attribute, inner in parts:
                value = getattr(record, attribute)
                found[name] = value if value is None or inner is None else inner(value)
            return found

        return to_dict
    kind_name = kind_of(kind)
    if kind_name == "mixed":
        return mixed_text
    return json_text if kind_name == "nested" else None


class Parquet(Format):
    """Record batches appended as an Arrow stream, made into a Parquet file at the end.

    A Parquet file can be read only once its last byte is written; a stream can be gone on with.
    """

    is_final = False

    def __init__(
        self, model: type[Any], columns: Sequence[Column], dates: DateFormat | None
    ) -> None:
        super().__init__()
        self._batches = Batches(model, columns, dates)
        self._pa = arrow()

    def encode(self, page: Page) -> bytes:
        """The batch, behind the schema if it is the first."""
        is_first = AWARE not in self.notes
        if not is_first:
            self._batches.aware = self.notes[AWARE]
        batch = self._batches.batch(page)
        self.notes[AWARE] = self._batches.aware
        head = self._batches.schema.serialize().to_pybytes() if is_first else b""
        data: bytes = head + batch.serialize().to_pybytes()
        return data

    def rewrite(self, part: Path, whole: Path) -> None:
        """Make the Parquet file, a row group at a time."""
        pa = self._pa
        if part.stat().st_size == 0:  # not one record
            pa.parquet.write_table(self._batches.schema.empty_table(), str(whole))
            return
        with (
            pa.OSFile(str(part), "rb") as source,
            pa.ipc.open_stream(source) as stream,
            pa.parquet.ParquetWriter(str(whole), stream.schema, compression="zstd") as out,
        ):
            waiting: list[Any] = []
            rows = 0
            for batch in stream:
                waiting.append(batch)
                rows += batch.num_rows
                if rows >= ROW_GROUP:
                    out.write_table(pa.Table.from_batches(waiting), row_group_size=rows)
                    waiting, rows = [], 0
            if waiting:
                out.write_table(pa.Table.from_batches(waiting), row_group_size=rows)


def arrow_batches(
    resource: BaseResource[Any],
    *,
    where: Where = None,
    fields: Sequence[str] | None = None,
    nested: bool = False,
    after: int = 0,
    pages_per_request: int = MAX_ITEMS,
    max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT,
) -> AsyncGenerator[Any]:
    """Every record of ``co.invoices``, say, as pyarrow.RecordBatch of up to 500, by rising id.

    All batches have one schema, made from the documented fields, or from ``fields`` in that order.
    The rest is as for `records`. Raises UsageError when pyarrow is missing or a field is unknown,
    and DecodeError for a value that its column cannot hold exactly.
    """
    model, dates = resource.model, resource._options.dates
    batches = Batches(model, choose(model, fields, resource.attribute), dates)
    reader = Reader(
        resource,
        where=where,
        nested=nested,
        after=after,
        pages_per_request=pages_per_request,
        max_bytes_in_flight=max_bytes_in_flight,
    )

    async def every() -> AsyncGenerator[Any]:
        async with aclosing(reader.pages()) as pages:
            async for page in pages:
                yield batches.batch(page)

    return every()


__all__ = ("Batches", "Parquet", "arrow_batches")
