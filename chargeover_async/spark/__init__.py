"""A data source for Spark 4 (and Sail), by its Python Data Source API; pyspark is not needed here.

::

    spark.dataSource.register(ChargeOverSource)

    invoices = spark.read.format("chargeover").option("object", "invoice").load()
    (
        customers.coalesce(4).write.format("chargeover").mode("append")
        .option("object", "customer").option("quotaShare", "redis://quota:6379/0")
        .option("failures", "s3://lake/chargeover/failures.jsonl").save()
    )

Its options are in ``docs/engines.md``. User name and password are never options, which Spark's
pages show: tasks find them in their environment.
"""

from __future__ import annotations

from .source import ChargeOverSource

__all__ = ("ChargeOverSource",)
