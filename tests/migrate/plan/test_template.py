"""Templates of a plan."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeover_async.errors import UsageError
from chargeover_async.migrate.plan.template import is_empty, parse_template


@pytest.mark.parametrize(
    ("source", "cells", "wanted"),
    [
        ("plain", {}, "plain"),
        ("chinook-{Id}", {"Id": "7"}, "chinook-7"),
        ("{A} {B}", {"A": "x", "B": "y"}, "x y"),
        ("{A} {B}", {"A": "x", "B": ""}, "x"),
        ("{A}", {"A": "  kept  "}, "  kept  "),
        ("{{{A}}}", {"A": "x"}, "{x}"),
        ("{{}}", {}, "{}"),
        ("{a:b!r}", {"a:b!r": "odd column names are names"}, "odd column names are names"),
        ("n-{A}", {"A": 5}, "n-5"),
        ("n-{A}", {"A": Decimal("1.50")}, "n-1.50"),
        ("n-{A}", {"A": True}, "n-true"),
        ("{A}", {"A": [1]}, [1]),
        ("{A}", {}, None),
    ],
)
def test_template_fills(source: str, cells: dict[str, object], wanted: object) -> None:
    """A template gives its text with the cells put in, or the one cell as it is."""
    assert parse_template(source).fill(cells) == wanted


@pytest.mark.parametrize("source", ["{", "}", "a{b", "a}b", "{}", "{a}}", "{{a}"])
def test_lone_brace_is_refused_with_its_place(source: str) -> None:
    """A brace that is neither doubled nor around a column is a mistake of the plan."""
    with pytest.raises(UsageError, match=r'has a lone "[{}]" at position \d'):
        parse_template(source)


def test_list_cannot_stand_among_text() -> None:
    """A JSON list has no text form."""
    with pytest.raises(ValueError, match='column "A" holds a JSON list or object'):
        parse_template("x{A}").fill({"A": [1]})


@pytest.mark.parametrize("value", [None, "", " ", "\t\n"])
def test_empty_cells(value: object) -> None:
    """Absent, null, and white space alone are empty."""
    assert is_empty(value)


@pytest.mark.parametrize("value", [0, False, "0", [], Decimal(0)])
def test_zero_and_false_are_not_empty(value: object) -> None:
    """Zero is an amount and false is an answer."""
    assert not is_empty(value)


def test_template_is_empty_when_all_its_columns_are() -> None:
    """A constant is never empty; text around empty columns does not fill them."""
    assert parse_template("x-{A}{B}").is_empty({"A": "", "B": None})
    assert not parse_template("x-{A}{B}").is_empty({"A": "", "B": "b"})
    assert not parse_template("constant").is_empty({})


@given(st.text())
def test_any_text_survives_doubled_braces(text: str) -> None:
    """What is written with doubled braces comes out as it was, but for white space at the ends."""
    source = text.replace("{", "{{").replace("}", "}}")
    assert parse_template(source).fill({}) == text.strip()
