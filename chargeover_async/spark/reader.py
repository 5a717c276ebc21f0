"""Reading for Spark: a partition is an account, or a range of its ids."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyarrow and pyspark are no dependencies and come in as Any.
from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from chargeover_async._extras import arrow
from chargeover_async.cluster import Part, read_part
from chargeover_async.cluster.changes import OVERLAP, Mark, since_mark, take_mark, tells_changes
from chargeover_async.cluster.loop import running_loop
from chargeover_async.errors import UsageError

from .filters import pushed
from .interface import (
    DataSourceReader,
    DataSourceStreamReader,
    InputPartition,
    arrow_schema,
    names_of,
)
from .options import READ, STREAM, Options


def wanted_fields(schema: Any, options: Options) -> list[str] | None:
    """The fields of a schema that Spark hands over, without the account's column."""
    if schema is None:
        return None
    column = options.account_column()
    return [name for name in names_of(schema) if name != column]


class Reader(DataSourceReader):
    """Plans on the driver, reads in tasks; only what can be pickled is kept."""

    def __init__(self, options: Mapping[str, str], schema: Any) -> None:
        self._options = Options(options, READ)
        self._schema = schema
        self._clauses: list[Any] = []

    def partitions(self) -> list[Any]:
        """One for each part; asks the accounts for their ids where they are split by them."""
        parts = self._options.parts(wanted_fields(self._schema, self._options))
        return [
            InputPartition(msgspec.structs.replace(part, where=(*part.where, *self._clauses)))
            for part in parts
        ]

    def read(self, partition: Any) -> Iterator[Any]:
        """The Arrow batches of a part, in a task."""
        return _batches(partition.value, self._schema)


class FilteringReader(Reader):
    """The same with filters of the query taken over.

    Spark refuses a reader that can do so unless ``spark.sql.python.filterPushdown.enabled`` is set,
    so it is asked for by the option ``pushFilters``.
    """

    def pushFilters(self, filters: list[Any]) -> Iterable[Any]:  # noqa: N802 - Spark's name
        """Note what the API can do; all of them stay Spark's, too."""
        self._clauses = list(pushed(self._options.needed("object"), filters))
        return filters


class StreamReader(DataSourceStreamReader):
    """What is new or changed, by ``mod_datetime``: a target merges it by the primary key.

    An offset holds for each account how far it reached (`cluster.changes`). A record may come in
    two batches, unchanged, and is never missed.
    """

    def __init__(self, options: Mapping[str, str], schema: Any) -> None:
        self._options = Options(options, STREAM)
        self._schema = schema
        if self._options.text("splitBy") is not None:
            raise UsageError("a stream is not split by ids: each batch has what changed")
        if not tells_changes(self._parts()[0]):
            raise UsageError(
                f"{self._options.needed('object')} has no mod_datetime, so nothing tells what "
                "changed: read it whole"
            )
        self._overlap = OVERLAP
        if self._options.text("overlap") is not None:
            self._overlap = dt.timedelta(minutes=self._options.number("overlap", 0))

    def _parts(self) -> list[Part]:
        return self._options.parts(wanted_fields(self._schema, self._options))

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802 - Spark's name
        """Nothing was read of any account."""
        return {}

    def latestOffset(  # noqa: N802 - Spark's name
        self,
        start: dict[str, Any] | None = None,
        limit: Any = None,  # noqa: ARG002 - there is no less than what changed
    ) -> dict[str, Any]:
        """How far each account reaches: two requests each. Spark before 4.2 passes nothing."""
        with running_loop() as loop:
            marks = loop.run(_marks(self._parts()))
        found = {name: msgspec.to_builtins(mark) for name, mark in marks.items() if mark.since}
        return {**(start or {}), **found}

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[Any]:
        """What changed between two offsets, by account."""
        return [
            InputPartition(part)
            for whole in self._parts()
            if start.get(whole.connect.account) != end.get(whole.connect.account)
            for part in since_mark(
                whole,
                msgspec.convert(start.get(whole.connect.account, {}), Mark),
                self._overlap,
            )
        ]

    def read(self, partition: Any) -> Iterator[Any]:
        """The Arrow batches of a part, in a task."""
        return _batches(partition.value, self._schema)

    def commit(self, end: dict[str, str]) -> None:
        """Nothing is kept here: the checkpoint has the offsets."""

    def stop(self) -> None:
        """Nothing is held open between batches."""


def _batches(part: Part, schema: Any) -> Iterator[Any]:
    declared = None if schema is None else arrow_schema(schema)
    pa = arrow()
    for batch in read_part(part):
        if declared is None:
            yield batch
        else:  # the same values, in the order and by the inner names that the engine compares
            columns = [batch.column(field.name).cast(field.type) for field in declared]
            yield pa.RecordBatch.from_arrays(columns, schema=declared)


async def _marks(parts: Sequence[Part]) -> dict[str, Mark]:
    async def ask(part: Part) -> Mark:
        async with part.connect.open() as co:
            return await take_mark(part, co)

    marks = await asyncio.gather(*(ask(part) for part in parts))
    return {part.connect.account: mark for part, mark in zip(parts, marks, strict=True)}


__all__ = ("FilteringReader", "Reader", "StreamReader")
