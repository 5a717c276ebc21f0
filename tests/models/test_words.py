"""Cells to values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeover_async.models._json.words import convert


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("text", "0171", "0171"),
        ("text", 171, "171"),
        ("text", Decimal("1.50"), "1.50"),
        ("key", "a/b", "a/b"),
        ("id", " 12 ", 12),
        ("integer", "-3", -3),
        ("id", Decimal("7.0"), 7),  # as some programs write a column with gaps
        ("integer", Decimal("-1E+2"), -100),
        ("flag", Decimal("1.0"), True),
        ("integer", 4, 4),
        ("flag", "Yes", True),
        ("flag", "0", False),
        ("flag", "FALSE", False),
        ("flag", True, True),
        ("flag", 1, True),
        ("money", "1234.50", Decimal("1234.50")),
        ("money", "-.5", Decimal("-0.5")),
        ("money", "5.", Decimal(5)),
        ("money", 3, 3),
        ("money", Decimal("0.10"), Decimal("0.10")),
        ("day", "2021-01-31", dt.date(2021, 1, 31)),
        ("day", "2021-01-01 00:00:00", dt.date(2021, 1, 1)),
        ("day", "2021-01-01T00:00:00.000", dt.date(2021, 1, 1)),
        ("day", dt.date(2021, 1, 1), dt.date(2021, 1, 1)),
        ("moment", "2021-01-01 10:20:30", dt.datetime(2021, 1, 1, 10, 20, 30)),  # noqa: DTZ001
        ("moment", "2021-01-01", dt.date(2021, 1, 1)),
        ("mixed", [1], [1]),
        ("list", ["a"], ["a"]),
        ("object", {"base": 1}, {"base": 1}),
    ],
)
def test_value_is_converted_by_kind(kind: str, value: object, wanted: object) -> None:
    """Each kind takes its usual spellings, from CSV text and from JSON values."""
    found = convert(kind, value)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("money", "1,234.50", '"1,234.50" is not an amount'),
        ("money", "1e3", "is not an amount"),
        ("money", "NaN", "is not an amount"),
        ("money", "$5", "is not an amount"),
        ("money", "1_000", "is not an amount"),
        ("money", "٣", "is not an amount"),
        ("money", True, "True is not an amount"),
        ("id", "1.0", '"1.0" is not a whole number'),
        ("id", "٣", "is not a whole number"),
        ("integer", "", "is not a whole number"),
        ("flag", "maybe", '"maybe" is not a yes or no'),
        ("flag", 2, "is not a yes or no"),
        ("flag", Decimal(2), "is not a yes or no"),
        ("id", Decimal("7.5"), '"7.5" is not a whole number'),
        ("id", Decimal("1E+999999999"), "is not a whole number"),
        ("id", Decimal("NaN"), "is not a whole number"),
        ("id", "9" * 5_000, "is not a whole number"),
        ("day", "01/02/2021", '"01/02/2021" is not a date written as YYYY-MM-DD'),
        ("day", "20210101", "is not a date"),
        ("day", "2021-02-30", "is not a date"),
        ("day", "2021-01-01 10:00:00", "it has a time other than midnight"),
        ("day", "2021-01-01T00:00:00+02:00", "a date without an offset"),
        ("moment", "soon", "is not a date or a date with time"),
        ("text", ["a"], "is not text"),
        ("text", True, "is not text"),
        ("list", "a", "is not a list"),
        ("object", "a", "is not an object"),
    ],
)
def test_doubtful_value_is_refused(kind: str, value: object, message: str) -> None:
    """What could mean two things, or nothing, is an error that shows it."""
    with pytest.raises(ValueError, match=message):
        convert(kind, value)


def test_date_format_reads_other_dates_and_no_iso_dates() -> None:
    """With a format, dates are written in that and in nothing else."""
    assert convert("day", "31.12.2020", "%d.%m.%Y") == dt.date(2020, 12, 31)
    with pytest.raises(ValueError, match=r'"2020-12-31" is not a date written as "%d.%m.%Y"'):
        convert("day", "2020-12-31", "%d.%m.%Y")


@pytest.mark.parametrize("value", [4111111111111111, Decimal(4111), ["4111"], {"a": "4111"}, True])
def test_a_secret_is_shown_by_no_message(value: object) -> None:
    """Not even of a wrong type: it may be a card number all the same."""
    if isinstance(value, (int, Decimal)) and value is not True:
        assert convert("secret", value) == str(value)
        return
    with pytest.raises(ValueError, match=f"^a {type(value).__name__} is not text") as caught:
        convert("secret", value)
    assert "4111" not in str(caught.value)
    assert "True" not in str(caught.value)


@pytest.mark.parametrize("value", [2, -1, Decimal(2), 2.0, 0.5, "2", "", "01", None, [True]])
def test_a_flag_is_yes_or_no_and_nothing_between(value: object) -> None:
    """A number other than 0 and 1 may be a count."""
    with pytest.raises(ValueError, match="is not a yes or no"):
        convert("flag", value)


def test_long_value_is_cut_in_messages() -> None:
    """A message stays readable whatever the cell holds."""
    with pytest.raises(ValueError, match=r"x\.\.\.") as caught:
        convert("money", "x" * 1000)
    assert len(str(caught.value)) < 200


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_amounts_are_exact(amount: Decimal) -> None:
    """Text that spells an amount gives exactly that amount."""
    found = convert("money", f"{amount:f}")
    assert found == amount
