"""docs/explanation/journal.md has every state that a row can be in."""

from __future__ import annotations

import re

from support.places import DOCS

from chargeover_async.cli.journal import STATES

TEXT = (DOCS / "explanation" / "journal.md").read_text("utf-8")


def test_every_state_says_what_is_true_and_what_comes_next() -> None:
    """None is missing, and none is made up; the diagram has no others."""
    rows = re.findall(r"^\| (.+?) \| .+ \| .+ \|$", TEXT, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(STATES)
    diagram = TEXT.partition("```mermaid")[2].partition("```")[0]
    assert set(re.findall(r"(\w+) -->", diagram)) <= set(STATES)
