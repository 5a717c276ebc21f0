"""A CSV file is read alike by every reader, whatever its cells hold."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeover_async.export.formats import csv_text

CELLS = st.text(st.sampled_from("ab ,;\"\r\n\t'\u2028\x85\u00e9") | st.characters(codec="utf-8"))
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=5)
)


@given(TABLES)
def test_any_text_comes_back_from_the_csv_module(rows: list[list[str]]) -> None:
    """A carriage return alone, too, which some versions of Python leave unquoted."""
    assert list(csv.reader(io.StringIO(csv_text(rows), newline=""))) == rows


@given(TABLES)
def test_any_text_comes_back_from_arrow(rows: list[list[str]]) -> None:
    """Another reader, with rules of its own for the ends of lines."""
    arrow = pytest.importorskip("pyarrow")
    reader = pytest.importorskip("pyarrow.csv")
    names = [f"c{place}" for place in range(len(rows[0]))]
    table = reader.read_csv(
        io.BytesIO(csv_text([names, *rows]).encode()),
        parse_options=reader.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=reader.ConvertOptions(
            column_types=dict.fromkeys(names, arrow.string()), strings_can_be_null=False
        ),
    )
    assert [list(row.values()) for row in table.to_pylist()] == rows


def test_a_lone_carriage_return_is_quoted() -> None:
    """In this row; the others stay as they are."""
    assert csv_text([["a\rb", "c"], ["d", 7]]) == '"a\rb","c"\nd,7\n'
