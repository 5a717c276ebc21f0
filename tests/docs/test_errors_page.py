"""docs/errors.md has every exception and every exit code, with what to do."""

from __future__ import annotations

import re

from support.places import DOCS

from chargeover_async import errors
from chargeover_async.cli.exits import Exit

TEXT = (DOCS / "errors.md").read_text("utf-8")


def rows(title: str) -> dict[str, list[str]]:
    """First cell -> the others, of the first table behind a heading."""
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (.+) \|$", section, re.MULTILINE)
    found = [line.split(" | ") for line in lines]
    return {cells[0].strip("`"): cells[1:] for cells in found}


def test_every_exception_says_what_to_do() -> None:
    """None is missing, and none is made up."""
    told = rows("Exceptions")
    told.pop("exception")
    assert sorted(told) == sorted(errors.__all__)
    assert all(len(cells) == 2 and all(cells) for cells in told.values())


def test_every_exit_code_says_what_to_do() -> None:
    """Those of the commands, and click's own 2."""
    told = rows("Exit codes")
    told.pop("code")
    assert [int(code) for code in told] == sorted({*map(int, Exit), 2})
    assert all(len(cells) == 2 and all(cells) for cells in told.values())
