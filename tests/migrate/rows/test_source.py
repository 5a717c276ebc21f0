"""Files to rows."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.import_world import Folder

from chargeover_async.migrate.rows import FORMATS, BadFile, BadRow, Held, Row


def rows(path: Path, **options: str) -> list[Row | BadRow]:
    return list(FORMATS[path.suffix[1:]](Held(path), **options).rows())


def test_csv_rows_know_the_line_where_they_begin(folder: Folder) -> None:
    """Quoted newlines and blank lines do not shift the numbers."""
    path = folder.write("a.csv", 'A,B\n1,"x\ny"\n\n2,"q ""z"" ,"\r\n')
    assert rows(path) == [
        Row(2, {"A": "1", "B": "x\ny"}),
        Row(5, {"A": "2", "B": 'q "z" ,'}),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_and_byte_order_marks(folder: Folder, encoding: str) -> None:
    """The plan names the encoding; a mark in front of UTF-8 needs no word."""
    path = folder.write("a.csv", "Näme;B\nMüller;2\n", encoding)
    named = "utf-8" if encoding.startswith("utf-8") else encoding
    assert rows(path, encoding=named, delimiter=";") == [Row(2, {"Näme": "Müller", "B": "2"})]


def test_jsonl_keeps_types_and_exact_numbers(folder: Folder) -> None:
    """A JSON number with a point is a Decimal; nested values stay."""
    path = folder.write("a.jsonl", '\ufeff{"a": 1.10, "b": [{"c": null}]}\n\n{"a": 2}\n')
    assert rows(path) == [
        Row(1, {"a": Decimal("1.10"), "b": [{"c": None}]}),
        Row(3, {"a": 2}),
    ]


def test_unusual_line_separators_inside_json_text_do_not_split_it(folder: Folder) -> None:
    """U+2028 is text."""
    path = folder.write("a.jsonl", '{"a": "x\u2028y"}\n')
    assert rows(path) == [Row(1, {"a": "x\u2028y"})]


def test_bad_rows_come_out_and_reading_goes_on(folder: Folder) -> None:
    """A row with too few cells, or a line that is no JSON object, spoils only itself."""
    csv = rows(folder.write("a.csv", "A,B\n1\n1,2,3\n4,5\n"))
    assert [type(row) for row in csv] == [BadRow, BadRow, Row]
    assert csv[0] == BadRow(2, "the row has 1 cells, the header has 2", ["1"])
    found = rows(
        folder.write("a.jsonl", '{"a": 1\n[1]\n"x"\ntrue\nnull\n3\n{"a": NaN}\n{"a": 2}\n')
    )
    messages = [row.message for row in found if isinstance(row, BadRow)]
    assert [m.split(":")[0] for m in messages] == [
        "not a JSON value",
        "not a JSON object but a list",
        "not a JSON object but a text",
        "not a JSON object but true or false",
        "not a JSON object but null",
        "not a JSON object but a number",
        "not a JSON value",
    ]
    assert found[-1] == Row(8, {"a": 2})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"a\.csv is empty; its first line must name the columns"),
        ("A,B,A\n", r'a\.csv has two columns named "A"'),
        ('A,B\n1,2\n"x"y,3\n', r"a\.csv row 3 is not CSV: "),
        ('A,B\n1,"open\n', r"a\.csv row 2 is not CSV: unexpected end of data"),
    ],
)
def test_spoiled_csv_names_file_and_row(folder: Folder, content: str, message: str) -> None:
    """What spoils the file ends the reading with one message."""
    path = folder.write("a.csv", content)
    with pytest.raises(BadFile, match=message):
        rows(path)


def test_wrong_encoding_is_named(folder: Folder) -> None:
    """Latin-1 bytes are not UTF-8; the message says which encoding was tried."""
    path = folder.write("a.csv", "A\nMüller\n", "latin-1")
    with pytest.raises(
        BadFile, match=r'a\.csv is not text in the encoding "utf-8".*say what it is'
    ):
        rows(path)


def test_unreadable_file_is_named(folder: Folder) -> None:
    """A missing file and a folder have the system's reason in the message."""
    with pytest.raises(BadFile, match=r"no\.csv cannot be read: No such file"):
        rows(folder.path / "no.csv")
    (folder.path / "d.jsonl").mkdir()
    with pytest.raises(BadFile, match=r"d\.jsonl cannot be read: Is a directory"):
        rows(folder.path / "d.jsonl")


# -- what spreadsheets and other programs write -------------------------------------------------


def test_columns_without_a_name_are_nobodys(folder: Folder) -> None:
    """Empty ones at the right, and the numbers of rows that pandas writes at the left."""
    path = folder.write("a.csv", ",A,B,,\n0,1,x,,\n1,2,y\n2,3,,,z\n3,4,w,,,,\n")
    assert rows(path) == [
        Row(2, {"A": "1", "B": "x"}),
        Row(3, {"A": "2", "B": "y"}),
        Row(4, {"A": "3", "B": ""}),
        Row(5, {"A": "4", "B": "w"}),
    ]
    assert FORMATS["csv"](Held(path)).columns() == ("A", "B")


def test_rows_of_nothing_but_delimiters_are_blank(folder: Folder) -> None:
    """The lines behind them keep their numbers."""
    path = folder.write("a.csv", 'A,B\n1,x\n,\n , \n"",""\n2,y\n,\n')
    assert rows(path) == [Row(2, {"A": "1", "B": "x"}), Row(6, {"A": "2", "B": "y"})]


def test_the_header_again_and_cells_without_a_column_are_bad_rows(folder: Folder) -> None:
    """Files that were put one behind the other; a delimiter too many in a text."""
    path = folder.write("a.csv", "A,B\n1,x\n\ufeffA,B\nA,x\n2,y,z\n3,y,,\n4\n")
    found = rows(path)
    assert found == [
        Row(2, {"A": "1", "B": "x"}),
        BadRow(3, "the header stands here again; delete this line", ["\ufeffA", "B"]),
        Row(4, {"A": "A", "B": "x"}),
        BadRow(5, "the row has 3 cells, the header has 2", ["2", "y", "z"]),
        Row(6, {"A": "3", "B": "y"}),
        BadRow(7, "the row has 1 cells, the header has 2", ["4"]),
    ]


def test_a_long_cell_is_no_mistake(folder: Folder) -> None:
    """The csv module's own limit is 131,072 characters."""
    path = folder.write("a.csv", f"A\n{'x' * 140_000}\n")
    assert rows(path) == [Row(2, {"A": "x" * 140_000})]


def test_a_line_without_end_is_not_read_to_its_end(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is no JSON Lines may be one line of gigabytes."""
    monkeypatch.setattr("chargeover_async.migrate.rows.json_rows.LONGEST", 100)
    path = folder.write("a.jsonl", '{"a": 1}\n{"a": "' + "x" * 200 + '"}\n')
    with pytest.raises(BadFile, match=r"a\.jsonl row 2 is longer than 100 characters"):
        rows(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"A": 1, "A": 2}', 'the name "A" stands there twice'),
        ('{"a": [{"B": 1, "B": 2}]}', 'the name "B" stands there twice'),
        ("[" * 100_000, "nested more than 100 deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100 deep"),
        ('{"a": ' + "9" * 5_000 + "}", "4300 digits"),
    ],
)
def test_json_that_cannot_be_meant_is_a_bad_row(folder: Folder, text: str, message: str) -> None:
    """And the rows behind it are read."""
    bad, good = rows(folder.write("a.jsonl", text + '\n{"a": 1}\n'))
    assert isinstance(bad, BadRow)
    assert message in bad.message
    assert good == Row(2, {"a": 1})


def test_brackets_in_a_text_are_no_depth(folder: Folder) -> None:
    """Nor are many objects side by side."""
    value = {"a": '\\"' + "[{" * 200, "b": [{} for _ in range(200)]}
    assert rows(folder.write("a.jsonl", json.dumps(value))) == [Row(1, value)]


@pytest.mark.parametrize(
    ("encoding", "content", "place"),
    [
        ("utf-8", b"A,B\n" + b"1,x\n" * 20_000 + b"2,M\xfcller\n", "line 20002, byte 0xfc"),
        ("utf-16-le", "A\nx\ny".encode("utf-16-le") + b"\x00\xd8\n\x00", "line 3, byte 0x00"),
    ],
)
def test_a_byte_that_is_no_text_is_named_by_its_line(
    folder: Folder, encoding: str, content: bytes, place: str
) -> None:
    """However long the file is before it."""
    path = folder.path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=place):
        rows(path, encoding=encoding)


# Not a lone carriage return outside of quotes: that ends a row for this reader, and for no other.
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1))
def test_any_text_comes_back_out_of_csv(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]
) -> None:
    """As the csv module, pandas or a spreadsheet write it: quoted where it must be."""
    path = tmp_path_factory.mktemp("c") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["A", "B"])
        writer.writerows(cells)
    found = [row for row in rows(path) if isinstance(row, Row)]
    kept = [cell for cell in cells if any(map(str.strip, cell)) and cell != ("A", "B")]
    assert [(row.cells["A"], row.cells["B"]) for row in found] == kept
