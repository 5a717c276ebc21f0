"""Writing from Spark: a task writes its partition, the commit message is the journal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from chargeover_async.cluster import PartReport, check_columns, finish_parts, write_part
from chargeover_async.cluster.finish import check_absent
from chargeover_async.errors import UsageError

from .interface import DataSourceArrowWriter, WriterCommitMessage, current_task, names_of
from .options import WRITE, Options

logger = logging.getLogger("chargeover_async.spark")

SHOWN = 5  # refused rows in a message


class Message(WriterCommitMessage):
    """The report of a task."""

    def __init__(self, report: PartReport) -> None:
        self.report = report


class Writer(DataSourceArrowWriter):
    """Checks on the driver all that can be known before a task starts.

    Raises UsageError for columns that are no fields, no key, files that are there already, and what
    the options cannot mean; and what the first request raises, which shows that the credentials are
    right, and takes the wait of a quota that is shared for the first time.
    """

    def __init__(self, options: Mapping[str, str], schema: Any) -> None:
        given = Options(options, WRITE)
        self._object = given.needed("object")
        self._key = given.text("key")
        [self._connect] = given.connects()
        self._existing: Any = given.text("existing", "same")
        self._empty: Any = given.text("empty", "omit")
        if self._existing not in {"same", "update"}:
            raise UsageError(f'existing must be "same" or "update", not "{self._existing}"')
        self._max_refused = given.number("maxRefused", 10_000)
        self._failures = given.text("failures")
        self._results = given.text("results")
        check_columns(self._object, names_of(schema), self._key)
        for path in (self._failures, self._results):
            if path is not None:
                check_absent(path)
        self._connect.check()

    def write(self, iterator: Iterator[Any]) -> Message:
        """Write a partition; what is not settled raises, so that Spark tries again."""
        task = current_task()
        report = write_part(
            iterator,
            self._object,
            self._connect,
            attempt=task.attempt,
            existing=self._existing,
            key=self._key,
            empty=self._empty,
            part=task.partition,
            parts=task.partition + 1,  # the second one shows that there are several
            max_refused=self._max_refused,
            placed=self._results is not None,
        )
        return Message(report)

    def commit(self, messages: Sequence[Any]) -> None:
        """Add the reports up, and write the refused rows and the ids.

        Raises UsageError for refused rows without a file to write them to: a job that says that it
        went well has written every row, or says where the others are.
        """
        reports = [None if entry is None else cast("Message", entry).report for entry in messages]
        total = finish_parts(reports, failures=self._failures, results=self._results)
        logger.info("%s", total)
        if total.refused and self._failures is None:
            reasons = [
                f"{failure.key or failure.file} row {failure.row}: {failure.message}"
                for failure in total.refused_rows[:SHOWN]
            ]
            raise UsageError(
                f"{total}. The refused rows are not there, all others are. Set the option "
                '"failures" to a file for them, and run the job again. The first: '
                + "; ".join(reasons)
            )

    def abort(self, messages: Sequence[Any]) -> None:
        """Say what is there all the same: a job that is run again finds it by its keys."""
        reports = [cast("Message", entry).report for entry in messages if entry is not None]
        logger.warning(
            "the job failed; %d of its tasks were done: %s. Run it again: what is there is found "
            "by its key",
            len(reports),
            PartReport.total(reports),
        )


__all__ = ("Message", "Writer")
