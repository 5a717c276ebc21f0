"""Progress for people."""

from __future__ import annotations

import io

from chargeover_async.cli.progress import Lines, line, shown
from chargeover_async.migrate import Progress


def progress(created: int, seconds: float, **more: int) -> Progress:
    counts = {"operations": 200, "existing": 0, "failed": 0, "unknown": 0, "requests": 4,
              "rate_limited": 0, **more}  # fmt: skip
    return Progress(created=created, seconds=seconds, **counts)


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


def test_plain_lines_come_every_few_seconds() -> None:
    """At 4.9 s nothing, at 5 s a line, then not before 10 s."""
    out, now = io.StringIO(), [0.0]
    lines = Lines(out, every_s=5.0, clock=lambda: now[0])
    written = []
    for now[0] in (1.0, 4.9, 5.0, 9.9, 10.0):
        lines(progress(1, now[0]))
        written.append(out.getvalue().count("\n"))
    assert written == [0, 0, 1, 1, 2]


def test_no_terminal_gets_plain_lines() -> None:
    """A log file has no place for a bar."""
    with shown(io.StringIO(), 200) as observe:
        assert isinstance(observe, Lines)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_gets_a_bar() -> None:
    """The bar counts failures too, and leaves the screen clean at the end."""
    out = Terminal()
    with shown(out, 200) as observe:
        observe(progress(199, 1.0, failed=1))
    assert "200/200" in out.getvalue()
    assert "1 failed, 200 a second, 4 requests" in " ".join(out.getvalue().split())
