"""The source: reads one part as Arrow batches of one schema (extra ``parquet``)."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyarrow is no dependency and comes in as Any.
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chargeover_async._extras import arrow
from chargeover_async.client import ChargeOver
from chargeover_async.errors import DecodeError
from chargeover_async.export import arrow_batches
from chargeover_async.export.arrow import Batches
from chargeover_async.export.columns import choose
from chargeover_async.export.wanted import resource_class

from .loop import Loop, running_loop
from .plan import Part


def part_schema(part: Part) -> Any:
    """The pyarrow.Schema of every batch of ``part``, known without reading."""
    pa = arrow()
    cls = resource_class(part.object)
    columns = choose(cls.model, part.fields, cls.attribute)
    schema = Batches(cls.model, columns, None, aware=part.moments == "utc").schema
    if part.account_column is None:
        return schema
    return pa.schema([pa.field(part.account_column, pa.string()), *schema])


def read_part(part: Part) -> Iterator[Any]:
    """Every record of ``part`` as pyarrow.RecordBatch of up to 500, by rising id.

    The next pages are fetched while you work on one; leaving early sends nothing more. Raises
    UsageError when pyarrow is missing, DecodeError for a value that its column cannot hold exactly
    and for datetimes that are not as ``part.moments`` says, and what a list raises. Read once more
    from the start after an error: nothing of a part is remembered.
    """
    with running_loop() as loop:
        co = part.connect.open()
        try:
            yield from batches_of(part, loop, co)
        finally:
            loop.run(co.aclose())


def batches_of(part: Part, loop: Loop, co: ChargeOver) -> Iterator[Any]:
    """`read_part` by a client that is there already, in its loop."""
    pa = arrow()
    schema = part_schema(part)
    inner = schema if part.account_column is None else pa.schema([*schema][1:])
    batches = arrow_batches(
        part.resource_of(co),
        where=part.clauses() or None,
        fields=part.fields,
        nested=part.nested,
        after=part.after,
    )
    try:
        while (batch := loop.run(anext(batches, None))) is not None:
            yield _as_declared(pa, batch, inner, schema, part)
    finally:
        loop.run(batches.aclose())


def _as_declared(pa: Any, batch: Any, inner: Any, schema: Any, part: Part) -> Any:
    if not batch.schema.equals(inner):
        if any(
            found.type != field.type and column.null_count < batch.num_rows
            for found, field, column in zip(batch.schema, inner, batch.columns, strict=True)
        ):
            other = {"local": "utc", "utc": "local"}[part.moments]
            raise DecodeError(
                f"{part.connect.account}: {part.object}: datetimes have "
                f"{'an' if part.moments == 'local' else 'no'} offset, so one table cannot hold them"
                f' as "{part.moments}": set moments to "{other}"',
                object=part.object,
            )
        batch = batch.cast(inner)
    if part.account_column is None:
        return batch
    name = pa.array([part.connect.account], pa.string()).take(pa.array([0] * batch.num_rows))
    return pa.RecordBatch.from_arrays([name, *batch.columns], schema=schema)


__all__ = ("batches_of", "part_schema", "read_part")
