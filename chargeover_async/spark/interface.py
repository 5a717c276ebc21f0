"""The classes of ``pyspark.sql.datasource`` to build on; plain ones where there is no pyspark.

Databricks, Sail and every cluster bring a pyspark of their own, so none is a dependency of ours,
and our classes can be imported, called and tested without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:

    class DataSource:
        """What is registered: reads, writes and streams by options."""

        options: dict[str, str]

        def __init__(self, options: dict[str, str]) -> None: ...

    class DataSourceReader:
        """Plans partitions on the driver, reads one in a task."""

    class DataSourceStreamReader:
        """The same for a stream."""

    class DataSourceArrowWriter:
        """Writes the Arrow batches of a partition in a task, commits on the driver."""

    class InputPartition:
        """What a task reads."""

        value: Any

        def __init__(self, value: Any) -> None: ...

    class WriterCommitMessage:
        """What a task says to the commit."""

else:

    class _Source:
        def __init__(self, options):
            self.options = options

    class _Partition:
        def __init__(self, value):
            self.value = value

    def _base(name, fallback=object):
        try:
            return getattr(import_module("pyspark.sql.datasource"), name)
        except (ImportError, AttributeError):
            return fallback

    DataSource = _base("DataSource", _Source)
    DataSourceReader = _base("DataSourceReader")
    DataSourceStreamReader = _base("DataSourceStreamReader")
    DataSourceArrowWriter = _base("DataSourceArrowWriter")
    InputPartition = _base("InputPartition", _Partition)
    WriterCommitMessage = _base("WriterCommitMessage")


class Task(NamedTuple):
    """The number of the partition a task has, and how often it was tried before."""

    partition: int
    attempt: int


def current_task() -> Task:
    """The task this runs in; (0, 0) where the engine does not tell, as Sail."""
    try:
        context: Any = import_module("pyspark").TaskContext.get()
    except (ImportError, AttributeError):
        context = None
    if context is None:
        return Task(0, 0)
    return Task(context.partitionId(), context.attemptNumber())


def names_of(schema: Any) -> list[str]:
    """The columns of Spark's schema, or of the Arrow schema that Sail hands over."""
    return list(schema.fieldNames() if hasattr(schema, "fieldNames") else schema.names)


def spark_schema(schema: Any) -> Any:
    """An Arrow schema as Spark's; as it is where there is no pyspark."""
    try:
        convert: Any = import_module("pyspark.sql.pandas.types").from_arrow_schema
    except (ImportError, AttributeError):
        return schema
    return convert(schema, prefer_timestamp_ntz=True)


def arrow_schema(schema: Any) -> Any:
    """Spark's schema as Arrow, as the engine compares it; None where there is no pyspark."""
    if not hasattr(schema, "fieldNames"):
        return schema  # Sail's, which is Arrow, or none
    try:
        convert: Any = import_module("pyspark.sql.pandas.types").to_arrow_schema
    except (ImportError, AttributeError):
        return None
    return convert(schema, timezone="UTC")


__all__ = (
    "DataSource",
    "DataSourceArrowWriter",
    "DataSourceReader",
    "DataSourceStreamReader",
    "InputPartition",
    "Task",
    "WriterCommitMessage",
    "arrow_schema",
    "current_task",
    "names_of",
    "spark_schema",
)
