"""Shows the progress of an import: a bar on a terminal, plain lines anywhere else.

Both are observers for `ImportJob`; the job itself never prints. The bar needs rich (extra
``cli``), the lines need nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from typing import TextIO

from .job import Progress

EVERY_S = 5.0  # between two plain lines: alive in a log, and no flood over a night


def line(progress: Progress) -> str:
    """One line about where an import stands, with its rate and the time left."""
    settled, total = progress.settled, progress.operations
    share = f"{settled / total:.0%}" if total else "100%"
    text = f"{settled} of {total} ({share}), {progress.failed} failed"
    if progress.unknown:
        text += f", {progress.unknown} unknown"
    if progress.rate_limited:
        text += f", {progress.rate_limited} times told to slow down"
    if settled and progress.seconds > 0:
        rate = settled / progress.seconds
        text += f", {rate:.0f} a second, {progress.requests} requests"
        text += f", {(total - settled) / rate:.0f} s left"
    return text


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
        rich.TextColumn("{task.fields[failed]} failed, {task.fields[requests]} requests"),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(file=out), transient=True) as bar:
        task = bar.add_task("import", total=operations, failed=0, requests=0)

        def update(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.settled,
                failed=progress.failed + progress.unknown,
                requests=progress.requests,
            )

        yield update


__all__ = ("Lines", "line", "shown")
