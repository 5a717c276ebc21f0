"""Files to rows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
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
    assert [type(one) for one in csv] == [BadRow, BadRow, Row]
    assert csv[0] == BadRow(2, "the row has 1 cells, the header has 2", ["1"])
    found = rows(
        folder.write("a.jsonl", '{"a": 1\n[1]\n"x"\ntrue\nnull\n3\n{"a": NaN}\n{"a": 2}\n')
    )
    messages = [one.message for one in found if isinstance(one, BadRow)]
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
