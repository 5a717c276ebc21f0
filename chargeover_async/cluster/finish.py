"""What the driver does at the end: adds the reports up and writes what a person needs of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from chargeover_async.errors import UsageError
from chargeover_async.export.formats import csv_text

from .report import PartReport

RESULTS = ("object", "external_key", "id", "state", "file", "row")  # as an import writes them


def finish_parts(
    reports: Iterable[PartReport | None],
    *,
    failures: str | os.PathLike[str] | None = None,
    results: str | os.PathLike[str] | None = None,
) -> PartReport:
    """Add up the reports of all parts, and write their refused rows and their ids.

    ``failures`` is a failure file as `chargeover-async import` writes and takes it, made only when
    a row was refused; ``results`` a CSV file of key and id, of reports made with ``placed=True``.
    Each is a path, or a URL for fsspec (``s3://...``). Neither overwrites.

    Raises UsageError for a report that is missing, for a file that is there or cannot be written,
    and when more rows were refused than were kept; whatever it raises, the rows are written, and
    the job can be run again: it then finds them there.
    """
    given = list(reports)
    if None in given:
        raise UsageError(
            f"{given.count(None)} of {len(given)} parts have no report: run the job again, what is "
            "there is found by its key"
        )
    total = PartReport.total(report for report in given if report is not None)
    if failures is not None and total.failures:
        with created(failures) as file:
            file.write("".join(f"{line}\n" for line in total.failures).encode())
    if results is not None:
        placed = [
            (row.object, row.key, row.id, row.became, f"part {row.part}", row.row)
            for row in total.placed
        ]
        with created(results) as file:
            file.write(csv_text([RESULTS, *placed]).encode())
    if total.not_kept and failures is not None:
        raise UsageError(
            f"{total.refused} rows were refused, and {total.not_kept} of them are not in "
            f"{os.fspath(failures)}: run the job again with a higher max_refused and another file"
        )
    return total


def check_absent(where: str | os.PathLike[str]) -> None:
    """Raise UsageError if a file is there, before a job that would have to write it."""
    text = os.fspath(where)
    if "://" in text:
        system, path = _remote(text)
        taken = system.exists(path)
    else:
        taken = Path(text).exists()
    if taken:
        raise UsageError(f"{text} exists; move it away or name another file")


@contextlib.contextmanager
def created(where: str | os.PathLike[str]) -> Generator[IO[bytes]]:
    """A new file, whole or not there; raises UsageError if there is one of that name."""
    check_absent(where)
    text = os.fspath(where)
    if "://" in text:
        system, path = _remote(text)
        with system.open(path, "wb") as file:  # put in place when it is closed
            yield file
        return
    local = Path(text)
    part = local.with_name(f"{local.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(local)
    except OSError as error:
        raise UsageError(f"{text} cannot be written: {error.strerror}") from None


def _remote(url: str) -> tuple[Any, str]:
    try:
        core: Any = import_module("fsspec.core")
    except ImportError:
        raise UsageError(f'{url} needs fsspec: pip install "fsspec"') from None
    system, path = core.url_to_fs(url)
    return system, path


__all__ = ("RESULTS", "check_absent", "created", "finish_parts")
