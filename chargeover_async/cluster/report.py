"""What a task tells the driver: the commit message, which is the journal of a job."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Self

import msgspec

from chargeover_async.migrate import Failure


class Placed(msgspec.Struct, frozen=True):
    """A row that is in the account: its number in its part (from 1), key, id, and how it came."""

    part: int
    row: int
    object: str
    key: str
    id: int
    became: str


class PartReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of one part, or of several added up; nothing in it is in doubt.

    ``created + updated + existing + refused == rows``. ``existing`` rows have a key that is taken
    by a record with the same values; that may be the work of an earlier attempt, or of a copy of
    the task. An update does not look at what it changes, so ``updated`` has such rows, too, and
    ``created`` may count a row that a copy has created at the same time. ``refused`` rows are not
    in the account as they were given: the API or a check said no, or the record with their key
    holds other values, or does not show all of them.

    ``failures`` are lines of a failure file, one a refused row, with card and bank numbers masked;
    ``not_kept`` of the refused rows have none, for want of room. ``placed`` is there if it was
    asked for. ``requests`` and ``rate_limited`` (429s) count what this attempt sent.
    """

    object: str
    account: str
    part: int = 0
    attempt: int = 0
    rows: int = 0
    created: int = 0
    updated: int = 0
    existing: int = 0
    refused: int = 0
    requests: int = 0
    rate_limited: int = 0
    seconds: float = 0.0
    failures: tuple[str, ...] = ()
    not_kept: int = 0
    placed: tuple[Placed, ...] = ()

    @property
    def refused_rows(self) -> list[Failure]:
        """The refused rows that were kept."""
        return [Failure(**json.loads(line, parse_float=Decimal)) for line in self.failures]

    @classmethod
    def total(cls, reports: Iterable[PartReport]) -> Self:
        """The sum of reports; ``part`` counts them, ``seconds`` and ``attempt`` are the highest."""
        given = list(reports)
        sums = {
            name: sum(getattr(report, name) for report in given)
            for name in (
                "rows",
                "created",
                "updated",
                "existing",
                "refused",
                "requests",
                "rate_limited",
                "not_kept",
            )
        }
        return cls(
            object=", ".join(sorted({report.object for report in given})),
            account=", ".join(sorted({report.account for report in given})),
            part=len(given),
            attempt=max((report.attempt for report in given), default=0),
            seconds=max((report.seconds for report in given), default=0.0),
            failures=tuple(line for report in given for line in report.failures),
            placed=tuple(row for report in given for row in report.placed),
            **sums,
        )

    def __str__(self) -> str:
        return (
            f"{self.object}: {self.rows} rows, created {self.created}, updated {self.updated}, "
            f"existing {self.existing}, refused {self.refused}, requests {self.requests}"
        )


__all__ = ("PartReport", "Placed")
