"""What is registered with Spark: ``spark.dataSource.register(ChargeOverSource)``."""

from __future__ import annotations

from typing import Any

from chargeover_async.cluster import part_schema
from chargeover_async.errors import UsageError

from .interface import DataSource, spark_schema
from .options import STREAM, Options
from .reader import FilteringReader, Reader, StreamReader
from .writer import Writer


class ChargeOverSource(DataSource):
    """The format ``chargeover``: see ``docs/engines.md`` for its options."""

    @classmethod
    def name(cls) -> str:
        """What ``format(...)`` takes."""
        return "chargeover"

    def schema(self) -> Any:
        """The columns of the object, the same whatever its records hold; nothing is asked for."""
        options = Options(self.options, STREAM)
        return spark_schema(part_schema(options.parts(split=False)[0]))

    def reader(self, schema: Any) -> Reader:
        """For ``spark.read``."""
        pushes = Options(self.options, STREAM).flag("pushFilters")
        return (FilteringReader if pushes else Reader)(self.options, schema)

    def streamReader(self, schema: Any) -> StreamReader:  # noqa: N802 - Spark's name
        """For ``spark.readStream``."""
        return StreamReader(self.options, schema)

    def writer(self, schema: Any, overwrite: bool) -> Writer:
        """For ``df.write`` with ``mode("append")``; nothing of an account is ever overwritten."""
        if overwrite:
            raise UsageError(
                'ChargeOver is written with mode("append") only: "overwrite" would have to delete '
                "what the account holds. To change records by their keys, set existing=update"
            )
        return Writer(self.options, schema)


__all__ = ("ChargeOverSource",)
