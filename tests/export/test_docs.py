"""What docs/export.md says is what the command does."""

from __future__ import annotations

import re

from support.places import DOCS

from chargeover_async.cli import cli

DOCS = DOCS / "export.md"
TEXT = DOCS.read_text("utf-8")


def test_options_in_the_text_are_those_of_the_command() -> None:
    """None is missing, but for the one that every command has; none is made up."""
    told = set(re.findall(r"^\| `(--[a-z-]+)", TEXT, flags=re.MULTILINE))
    there = {
        option.opts[0]
        for option in cli.commands["export"].params
        if option.opts[0].startswith("--")
    }
    assert told == there - {"--url"}
    sync = TEXT.partition("## Sync")[2].partition("\n## ")[0]
    for option in cli.commands["sync"].params:
        assert option.opts[0] in sync or option.opts[0] in {"object_names", "--url"}
