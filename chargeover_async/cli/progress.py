"""Shows where an import, an export or a sync stands: a bar on a terminal, lines anywhere else.

The jobs themselves never print: they tell an observer.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Generator
from typing import TextIO, TypeGuard, TypeVar

import msgspec

from chargeover_async.export import ExportProgress
from chargeover_async.migrate import Progress

REDRAW_S = 0.1  # more often nobody sees, and every row costs
EVERY_S = 5.0  # between two plain lines: alive in a log, and no flood over a night

T = TypeVar("T")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How much of how much is done, in how many seconds; ``before`` of it by earlier runs.

    ``total`` is None where nobody knows; ``noun`` is what is counted, ``more`` what else there is.
    """

    done: int
    total: int | None
    before: int
    seconds: float
    requests: int
    noun: str = ""
    troubles: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def rate(self) -> float | None:
        """How much a second, in this run; None as long as it has none."""
        fresh = self.done - self.before
        return fresh / self.seconds if fresh > 0 and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far."""
        if self.rate is None or self.total is None:
            return None
        return max(0, self.total - self.done) / self.rate

    def details(self) -> str:
        """What went wrong, rate, requests, and what else there is."""
        found = [*self.troubles]
        if self.rate is not None:
            found += [f"{self.rate:.0f} a second", f"{self.requests} requests"]
        return ", ".join([*found, *self.more])

    def line(self) -> str:
        """All of it in one line."""
        text = f"{self.done}{self.noun}"
        if self.total is not None:
            share = f"{self.done / self.total:.0%}" if self.total else "100%"
            text = f"{self.done} of {self.total}{self.noun} ({share})"
        if details := self.details():
            text += f", {details}"
        return text if self.seconds_left is None else f"{text}, {self.seconds_left:.0f} s left"


def of_import(progress: Progress) -> Standing:
    """Rows, with failures, unknown ones, and how much of the quota is in use."""
    troubles = [f"{progress.failed} failed"]
    if progress.unknown:
        troubles.append(f"{progress.unknown} unknown")
    if progress.rate_limited:
        troubles.append(f"{progress.rate_limited} times told to slow down")
    quota = (f"quota {progress.in_window} of {progress.limit}",) if progress.limit else ()
    return Standing(
        done=progress.settled,
        total=progress.operations,
        before=progress.before,
        seconds=progress.seconds,
        requests=progress.requests,
        troubles=tuple(troubles),
        more=quota,
    )


def of_export(progress: ExportProgress) -> Standing:
    """Records."""
    return Standing(
        done=progress.records,
        total=progress.total,
        before=progress.resumed_at,
        seconds=progress.seconds,
        requests=progress.requests,
        noun=" records",
    )


@contextlib.contextmanager
def show(
    out: TextIO | None,
    standing: Callable[[T], Standing],
    *,
    every_s: float = EVERY_S,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Callable[[T], None]]:
    """An observer that shows progress on ``out``: a bar if it is a terminal, else a line at times.

    ``standing`` says what the progress of the job means.
    """
    if not _is_terminal(out):
        due = clock() + every_s

        def write(progress: T) -> None:
            nonlocal due
            if out is not None and (now := clock()) >= due:
                due = now + every_s
                with contextlib.suppress(OSError, ValueError):  # closed, or full
                    out.write(standing(progress).line() + "\n")
                    out.flush()

        yield write
        return
    # Not above: most commands have no bar, and all would start later for it.
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[details]}"),
        rich.TextColumn("{task.fields[left]}"),
    )
    with rich.Progress(*columns, console=Console(file=out), transient=True) as bar:
        task = bar.add_task("", total=None, details="", left="")
        due = 0.0

        def draw(progress: T) -> None:
            nonlocal due
            found, now = standing(progress), clock()
            if now < due and found.done != found.total:
                return
            due = now + REDRAW_S
            left = found.seconds_left
            bar.update(
                task,
                completed=found.done,
                total=found.total,
                details=found.details(),
                left="" if left is None else f"{dt.timedelta(seconds=int(left))} left",
            )

        yield draw


def _is_terminal(out: TextIO | None) -> TypeGuard[TextIO]:
    return out is not None and not out.closed and out.isatty()


__all__ = ("Standing", "of_export", "of_import", "show")
