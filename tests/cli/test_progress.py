"""Progress for people."""

from __future__ import annotations

import io

import pytest

from chargeover_async.cli.progress import of_export, of_import, show
from chargeover_async.export import ExportProgress
from chargeover_async.migrate import Progress


def progress(created: int, seconds: float, **more: int) -> Progress:
    counts = {"operations": 200, "existing": 0, "failed": 0, "unknown": 0, "requests": 4,
              "rate_limited": 0, **more}  # fmt: skip
    return Progress(created=created, seconds=seconds, **counts)


def line(progress: Progress) -> str:
    return of_import(progress).line()


def test_line_tells_counts_rate_and_time_left() -> None:
    """50 of 200 in 2 s: 25 a second, 6 s to go."""
    assert line(progress(49, 2.0, failed=1)) == (
        "50 of 200 (25%), 1 failed, 25 a second, 4 requests, 6 s left"
    )


def test_line_tells_unknown_and_429s_only_if_there_are_any() -> None:
    """And has no rate before the first row is settled."""
    assert line(progress(0, 0.0)) == "0 of 200 (0%), 0 failed"
    assert ", 2 unknown, 3 times told to slow down" in line(
        progress(10, 1.0, unknown=2, rate_limited=3)
    )


def test_rate_and_time_left_are_those_of_this_run() -> None:
    """100 rows of an earlier run count as done, and not as fast."""
    text = line(progress(150, 5.0, before=100, in_window=240, limit=250))
    assert text == (
        "150 of 200 (75%), 0 failed, 10 a second, 4 requests, quota 240 of 250, 5 s left"
    )


@pytest.mark.parametrize(
    ("total", "text"),
    [
        (5000, "3000 of 5000 records (60%), 1000 a second, 7 requests, 2 s left"),
        (2000, "3000 of 2000 records (150%), 1000 a second, 7 requests, 0 s left"),
        (None, "3000 records, 1000 a second, 7 requests"),
    ],
)
def test_exports_have_the_same_line(total: int | None, text: str) -> None:
    """Without a share and an end where the API does not count; it may have counted too few."""
    found = ExportProgress(records=3000, total=total, requests=7, seconds=2.0, resumed_at=1000)
    assert of_export(found).line() == text


def test_plain_lines_come_every_few_seconds() -> None:
    """A log file has no place for a bar: at 4.9 s nothing, at 5 s a line, then not before 10 s."""
    out, now = io.StringIO(), [0.0]
    written = []
    with show(out, of_import, every_s=5.0, clock=lambda: now[0]) as observe:
        for now[0] in (1.0, 4.9, 5.0, 9.9, 10.0):
            observe(progress(1, now[0]))
            written.append(out.getvalue().count("\n"))
    assert written == [0, 0, 1, 1, 2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_gets_a_bar() -> None:
    """The bar counts failures too, and leaves the screen clean at the end."""
    out = Terminal()
    with show(out, of_import) as observe:
        observe(progress(199, 1.0, failed=1))
    assert "200/200" in out.getvalue()
    assert "1 failed, 200 a second, 4 requests" in " ".join(out.getvalue().split())


def test_terminal_gets_a_bar_without_an_end() -> None:
    """Where the API does not count."""
    out = Terminal()
    with show(out, of_export) as observe:
        observe(ExportProgress(records=30, total=None, requests=7, seconds=1.0))
    assert "30/?" in out.getvalue()
