"""The map for newcomers is true: what it names is there."""

from __future__ import annotations

import re

from support.places import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_every_path_of_the_map_is_there() -> None:
    """In the table and the text, and the modules of the drawing."""
    paths = set(re.findall(r"`((?:chargeover_async|tests|\.ci)/[\w/.]*)`", TEXT))
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
    drawing = TEXT.partition("## The map")[2].partition("## To add")[0]
    rooms = set(re.findall(r"\b((?:_send|_wire|api|http)/[a-z_]+)", drawing))
    rooms |= {f"bulk/{name}" for name in ("batch", "gate", "unsettled", "planner", "sending")}
    assert len(rooms) > 8
    package = ROOT / "chargeover_async"
    found = {
        path.relative_to(base).with_suffix("").as_posix()
        for base in (package, package / "sandbox")
        for path in base.rglob("*.py")
    }
    assert rooms - found == set()


def test_the_names_of_the_map_are_there() -> None:
    """What it says to look for can be found by a search."""
    for name, path in {
        "KINDS": "sandbox/http/faults.py",
        "TABLE": "retry.py",
        "def throttled": "_send/pipeline.py",
        "def _seal": "bulk/sending.py",
        "class Books": "limits/books.py",
        "class Limiter": "limits/base.py",
    }.items():
        assert name.split()[-1] in TEXT
        assert name in (ROOT / "chargeover_async" / path).read_text("utf-8"), (name, path)
