"""Shows the progress of an import: a bar on a terminal, plain lines anywhere else.

Both are observers for `ImportJob`; the job itself never prints. The bar needs rich (extra
``cli``), the lines need nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Generator
from typing import TextIO

from chargeover_async.migrate import Progress

REDRAW_S = 0.1  # more often nobody sees, and every row costs
EVERY_S = 5.0  # between two plain lines: alive in a log, and no flood over a night


def line(progress: Progress) -> str:
    """One line about where an import stands, with its rate and the time left."""
    settled, total = progress.settled, progress.operations
    share = f"{settled / total:.0%}" if total else "100%"
    text = f"{settled} of {total} ({share}), {details(progress)}"
    left = seconds_left(progress)
    return text if left is None else f"{text}, {left:.0f} s left"


def details(progress: Progress) -> str:
    """Failures, unknown rows, rate, requests, and how much of the quota is in use."""
    text = f"{progress.failed} failed"
    if progress.unknown:
        text += f", {progress.unknown} unknown"
    if progress.rate_limited:
        text += f", {progress.rate_limited} times told to slow down"
    if seconds_left(progress) is not None:
        rate = (progress.settled - progress.before) / progress.seconds
        text += f", {rate:.0f} a second, {progress.requests} requests"
    if progress.limit:
        text += f", quota {progress.in_window} of {progress.limit}"
    return text


def seconds_left(progress: Progress) -> float | None:
    """At the rate of this run so far; None as long as it has none."""
    done = progress.settled - progress.before
    if done <= 0 or progress.seconds <= 0:
        return None
    return (progress.operations - progress.settled) * progress.seconds / done


class Lines:
    """Writes a line when ``every_s`` seconds have passed since the last."""

    def __init__(
        self,
        out: TextIO,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._every_s = every_s
        self._clock = clock
        self._next = clock() + every_s

    def __call__(self, progress: Progress) -> None:
        """Take note of the progress."""
        now = self._clock()
        if now >= self._next:
            self._next = now + self._every_s
            self._out.write(line(progress) + "\n")
            self._out.flush()


@contextlib.contextmanager
def shown(out: TextIO, operations: int) -> Generator[Callable[[Progress], None]]:
    """An observer that shows progress on ``out`` as it suits: a bar if it is a terminal."""
    if not out.isatty():
        yield Lines(out)
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[details]}"),
        rich.TextColumn("{task.fields[left]}"),
    )
    with rich.Progress(*columns, console=Console(file=out), transient=True) as bar:
        task = bar.add_task("import", total=operations, details="", left="")
        drawn = -1.0

        def update(progress: Progress) -> None:
            nonlocal drawn
            done = progress.settled >= progress.operations
            if progress.seconds - drawn < REDRAW_S and not done:
                return
            drawn = progress.seconds
            left = seconds_left(progress)
            bar.update(
                task,
                completed=progress.settled,
                details=details(progress),
                left="" if left is None else f"{dt.timedelta(seconds=int(left))} left",
            )

        yield update


__all__ = ("Lines", "details", "line", "seconds_left", "shown")
