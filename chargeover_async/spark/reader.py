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
from chargeover_async.cluster.loop import running_loop
from chargeover_async.errors import UsageError
from chargeover_async.export.columns import columns_of
from chargeover_async.export.wanted import resource_class
from chargeover_async.query import Field

from .filters import pushed
from .interface import (
    DataSourceReader,
    DataSourceStreamReader,
    InputPartition,
    arrow_schema,
    names_of,
)
from .options import READ, STREAM, Options

CHANGED = "mod_datetime"
OVERLAP_MINUTES = 10


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

    An offset holds for each account the newest change there was. A batch has what is that new or
    newer than its start, less an overlap, and records without a time of change; so a record may
    come twice, and is never missed.
    """

    def __init__(self, options: Mapping[str, str], schema: Any) -> None:
        self._options = Options(options, STREAM)
        self._schema = schema
        cls = resource_class(self._options.needed("object"))
        if CHANGED not in {column.name for column in columns_of(cls.model)}:
            raise UsageError(
                f"{cls.attribute} have no {CHANGED}, so nothing tells what changed: read them whole"
            )
        if self._options.text("splitBy") is not None:
            raise UsageError("a stream is not split by ids: each batch has what changed")
        self._overlap = dt.timedelta(minutes=self._options.number("overlap", OVERLAP_MINUTES))

    def _parts(self) -> list[Part]:
        return self._options.parts(wanted_fields(self._schema, self._options))

    def initialOffset(self) -> dict[str, str]:  # noqa: N802 - Spark's name
        """Nothing was read of any account."""
        return {}

    def latestOffset(  # noqa: N802 - Spark's name
        self,
        start: dict[str, str] | None = None,
        limit: Any = None,  # noqa: ARG002 - there is no less than what changed
    ) -> dict[str, str]:
        """The newest change of each account: a request each. Spark before 4.2 passes nothing."""
        parts = self._parts()
        with running_loop() as loop:
            found = loop.run(_newest(parts))
        return {**(start or {}), **{name: moment for name, moment in found.items() if moment}}

    def partitions(self, start: dict[str, str], end: dict[str, str]) -> Sequence[Any]:
        """What changed between two offsets, by account."""
        found: list[Part] = []
        for part in self._parts():
            since = start.get(part.connect.account)
            if since == end.get(part.connect.account):
                continue
            if since is None:
                found.append(part)
                continue
            begin = dt.datetime.fromisoformat(since) - self._overlap
            unknown = Field(CHANGED) == None  # noqa: E711 - builds IS:NULL
            found += [
                msgspec.structs.replace(part, where=(*part.where, clause))
                for clause in (Field(CHANGED) >= begin, unknown)
            ]
        return [InputPartition(part) for part in found]

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


async def _newest(parts: Sequence[Part]) -> dict[str, str]:
    async def ask(part: Part) -> str:
        async with part.connect.open() as co:
            resource: Any = getattr(co, resource_class(part.object).attribute)
            found = await resource.list(where=[*part.where] or None, order=f"-{CHANGED}", limit=1)
            moment = getattr(found[0], CHANGED) if found else None
            return "" if moment is None else moment.isoformat()

    answers = await asyncio.gather(*(ask(part) for part in parts))
    return {part.connect.account: moment for part, moment in zip(parts, answers, strict=True)}


__all__ = ("FilteringReader", "Reader", "StreamReader")
