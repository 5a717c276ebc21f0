"""The books of an import: how many rows became what, and what was sent for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from chargeover_async.client import ChargeOver
from chargeover_async.migrate.check.found import Checked
from chargeover_async.migrate.journal.reading import FINAL

_encoder = msgspec.json.Encoder(decimal_format="number")

_COUNTS_AS = {"refused": "failed", "not_sent": "failed"}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where an import stands: counts of rows, ``requests`` since it began, ``seconds`` likewise.

    ``before`` rows of the counts were settled by earlier runs with the same journal. ``limit`` is
    the number of requests that the quota allows in ``window_s`` seconds, 0 for no quota.
    """

    operations: int
    created: int
    existing: int
    failed: int
    unknown: int
    requests: int
    rate_limited: int
    seconds: float
    updated: int = 0
    before: int = 0
    in_window: int = 0
    limit: int = 0

    @property
    def settled(self) -> int:
        """Rows whose outcome is known, or known to be unknown."""
        return self.created + self.updated + self.existing + self.failed + self.unknown


class LoadSummary(msgspec.Struct, frozen=True):
    """What became of one file of the plan."""

    object: str
    file: str
    rows: int
    created: int
    updated: int
    existing: int
    failed: int
    unknown: int

    @property
    def not_reached(self) -> int:
        """Rows that were never tried because the job stopped."""
        known = self.created + self.updated + self.existing + self.failed + self.unknown
        return self.rows - known


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an import, with earlier runs of the same journal.

    ``operations`` counts the rows that stand for a record; ``created + updated + existing +
    failed + unknown + not_reached`` is always the same number. ``existing`` rows have a key that
    is taken, and that was allowed. ``before`` rows were settled by earlier runs.
    ``failed`` rows are surely not there; ``unknown`` ones may be: look them up. ``not_reached``
    were never tried because the job stopped; ``stopped`` says why. ``requests`` counts everything
    sent, retries included; ``seconds`` is the time from the first request. ``failures``
    is the path of the failure file, ``""`` if there is none.
    """

    operations: int
    created: int = 0
    updated: int = 0
    existing: int = 0
    failed: int = 0
    unknown: int = 0
    not_reached: int = 0
    before: int = 0
    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    seconds: float = 0.0
    stopped: str = ""
    failures: str = ""
    loads: tuple[LoadSummary, ...] = ()

    def json(self) -> str:
        """The summary as one line of JSON."""
        return _encoder.encode(self).decode()


class Books:
    """Counts the rows of an import; every row is counted once, by the index of its load."""

    def __init__(self, checked: Checked, clock: Callable[[], float]) -> None:
        self._checked = checked
        self._clock = clock
        self._loads = [Counter[str]() for _ in checked.loads]
        self._all = Counter[str]()
        self._before = 0
        self._co: ChargeOver | None = None
        self._began = 0.0
        self._counters = (0, 0, 0)
        self.requests_elsewhere = 0  # by other clients, for this import

    def take_over(self, states: Mapping[int, Mapping[str, int]]) -> None:
        """Count what earlier runs have settled: rows by the number of their file and by state.

        What is in doubt is taken up again, and counts when that is done.
        """
        for load in self._checked.loads:
            for number in (load.number, *load.child_numbers):
                for state in FINAL:
                    self.count(load.number, state, states.get(number, {}).get(state, 0))
        self._before = self._all.total()

    def begin(self, co: ChargeOver) -> None:
        """From now on time and requests count."""
        self._co = co
        self._counters = _counters(co)
        self._began = self._clock()

    def count(self, load: int, became: str, rows: int = 1) -> None:
        """So many rows of a load became this."""
        name = _COUNTS_AS.get(became, became)
        self._loads[load][name] += rows
        self._all[name] += rows

    def progress(self) -> Progress:
        """Where it stands."""
        requests, _, rate_limited = self._since()
        quota = None if self._co is None else self._co.limiter.stats
        return Progress(
            operations=self._checked.operations,
            created=self._all["created"],
            updated=self._all["updated"],
            existing=self._all["existing"],
            failed=self._all["failed"],
            unknown=self._all["unknown"],
            before=self._before,
            requests=requests,
            rate_limited=rate_limited,
            seconds=self._clock() - self._began if quota is not None else 0.0,
            in_window=0 if quota is None else quota.in_window,
            limit=0 if quota is None else quota.limit,
        )

    def summary(self, stopped: str, failures: str) -> Summary:
        """What came of it so far."""
        progress = self.progress()
        return Summary(
            operations=progress.operations,
            created=progress.created,
            updated=progress.updated,
            existing=progress.existing,
            failed=progress.failed,
            unknown=progress.unknown,
            not_reached=progress.operations - progress.settled,
            before=progress.before,
            requests=progress.requests,
            retries=self._since()[1],
            rate_limited=progress.rate_limited,
            seconds=round(progress.seconds, 3),
            stopped=stopped,
            failures=failures,
            loads=tuple(
                LoadSummary(
                    found.load.object,
                    found.load.source.name,
                    found.operations,
                    counts["created"],
                    counts["updated"],
                    counts["existing"],
                    counts["failed"],
                    counts["unknown"],
                )
                for found, counts in zip(self._checked.loads, self._loads, strict=True)
            ),
        )

    def _since(self) -> tuple[int, int, int]:
        """Requests, retries and 429s of this job (of everything the client did meanwhile)."""
        if self._co is None:
            return 0, 0, 0
        now, before = _counters(self._co), self._counters
        return now[0] - before[0] + self.requests_elsewhere, now[1] - before[1], now[2] - before[2]


def _counters(co: ChargeOver) -> tuple[int, int, int]:
    return co.stats.requests, co.stats.retries, co.stats.rate_limited


__all__ = ("Books", "LoadSummary", "Progress", "Summary")
