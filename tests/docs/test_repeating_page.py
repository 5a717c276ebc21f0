"""docs/explanation/repeating.md has the table that decides, and the policy's numbers."""

from __future__ import annotations

import re

from support.places import DOCS

from chargeover_async import Repeat, RetryPolicy
from chargeover_async.retry import TABLE, Fault, Next

TEXT = (DOCS / "explanation" / "repeating.md").read_text("utf-8")
WORDS = {
    "again": Next.AGAIN,
    "again, few times": Next.AFTER_500,
    "look the key up": Next.LOOK_UP,
    "unknown": Next.UNKNOWN,
    "error": Next.FAIL,
}


def test_the_table_is_the_one_of_the_code() -> None:
    """Cell by cell."""
    rows = re.findall(r"^\| (.+) \|$", TEXT, re.MULTILINE)[1:]
    told = {
        (fault, repeat): WORDS[cell]
        for row, fault in zip(rows, Fault, strict=True)
        for cell, repeat in zip(row.split(" | ")[1:], Repeat, strict=True)
    }
    assert told == TABLE


def test_the_numbers_are_those_of_the_policy() -> None:
    """Whoever changes one changes the page."""
    policy = RetryPolicy()
    assert f"at most {policy.attempts}\n  sends within {policy.total_s:g} s" in TEXT
    assert f"up to {policy.base_s:g} s, 1 s, 2 s, ... {policy.cap_s:g} s" in TEXT
    assert f"at most {policy.attempts_after_500} sends" in TEXT
