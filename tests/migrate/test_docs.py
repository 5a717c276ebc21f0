"""What docs/import.md says is what the code does: each documented key, option and code."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import msgspec
import pytest
from support.import_world import Folder
from support.places import DOCS

from chargeover_async.cli.exits import Exit
from chargeover_async.cli.import_ import import_command
from chargeover_async.migrate import Failure, Summary
from chargeover_async.migrate.plan.fields import fields_of, loadable
from chargeover_async.migrate.plan.record import Preparer
from chargeover_async.migrate.rows import Row

DOCS = DOCS / "import.md"
TEXT = DOCS.read_text("utf-8")


def section(title: str) -> str:
    return re.split(r"^##+ ", TEXT.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(title: str) -> list[str]:
    return re.findall(r"^\| (`.+?`|\d)[^|]* \|", section(title), flags=re.MULTILINE)


def test_options_in_the_text_are_those_of_the_command() -> None:
    """None is missing, none is made up."""
    told = {cell.strip("`").split()[0] for cell in first_cells("Options")}
    assert told == {
        option.opts[0] for option in import_command.params if option.opts[0].startswith("--")
    }


def test_exit_codes_in_the_text_are_those_of_the_commands() -> None:
    """And 2, which is click's."""
    assert {int(cell) for cell in first_cells("Exit codes")} == {*map(int, Exit), 2}


def test_names_in_the_text_are_those_of_summary_and_failure() -> None:
    """Scripts rely on them."""
    told = section("The failure file")
    for name in Failure.__struct_fields__:
        assert f"`{name}`" in told
    told = section("The summary")
    for name in json.loads(Summary(operations=0).json()):
        assert f"`{name}`" in told


def test_objects_in_the_text_are_all_that_can_be_imported() -> None:
    """With their lists that take child rows, and their fields that hold an object."""
    told: dict[str, tuple[set[str], set[str]]] = {}
    for line in section("Objects").splitlines():
        if line.startswith("| `"):
            names, lists, objects = (
                set(re.findall(r"`(.+?)`", cell)) for cell in line.split("|")[1:4]
            )
            told |= dict.fromkeys(names, (lists, objects))
    for name in loadable():
        table = fields_of(name)
        lists = {field for field in table.nested if table.kinds[field] == "list"}
        assert told.pop(name) == (lists, table.nested.keys() - lists), name
    assert not told


# -- each key of a plan, by what it changes -----------------------------------------------------


class Case(msgspec.Struct):
    """A line of the plan, the file it reads, and what comes of the row."""

    line: str
    wanted: dict[str, Any]
    file: bytes = b"Name,When,Who,Empty\nZo\xc3\xab,2025-12-31,7,\n"
    name: str = "rows.csv"


USUAL = {"memo": "Zoë", "date": "2025-12-31", "customer_external_key": "c-7"}
USUAL_FILE = Case("", USUAL).file
ONE_LINE = {"line_items": [{"item_id": 1}]}
LINES = """
[load.children.line_items]
file = "rows.csv"
match = { Who = "Who" }
fields = { item_id = 1, descrip = "{Name}" }
"""
KEYS = {
    "object": Case("", USUAL),
    "file": Case("", USUAL),
    "format": Case('format = "csv"', USUAL, name="rows.txt"),
    "encoding": Case('encoding = "cp1252"', USUAL, USUAL_FILE.replace(b"\xc3\xab", b"\xeb")),
    "max_unpacked_mb": Case(
        "max_unpacked_mb = 1", USUAL, gzip.compress(USUAL_FILE), name="rows.csv.gz"
    ),
    "delimiter": Case('delimiter = "|"', USUAL, USUAL_FILE.replace(b",", b"|")),
    "date_format": Case(
        'date_format = "%d.%m.%Y"', USUAL, USUAL_FILE.replace(b"2025-12-31", b"31.12.2025")
    ),
    "empty": Case('empty = "text"', {**USUAL, "refnumber": ""}),
    "unknown_references": Case('unknown_references = "send"', USUAL),
    "fields": Case("", USUAL),
    "children": Case("", {**USUAL, "line_items": [{"item_id": 1, "descrip": "Zoë"}]}),
}


def test_every_documented_key_is_tried_here() -> None:
    """And nothing else is."""
    assert [cell.strip("`") for cell in first_cells("Keys of `[[load]]`")] == [*KEYS, "match"]


@pytest.mark.parametrize("key", KEYS)
def test_documented_key_does_what_it_says(folder: Folder, key: str) -> None:
    """The row comes out the same however the file is written, when the plan says how."""
    case = KEYS[key]
    (folder.path / case.name).write_bytes(case.file)
    plan = folder.plan(
        f"""
        [[load]]
        object = "invoice"
        file = "{case.name}"
        {case.line}
        [load.fields]
        memo = "{{Name}}"
        date = "{{When}}"
        customer_external_key = "c-{{Who}}"
        refnumber = "{{Empty}}"
        {LINES if key == "children" else "line_items = [{ item_id = 1 }]"}
        """
    )
    load = plan.loads[0]
    (row,) = load.source.rows()
    assert isinstance(row, Row)
    children = {child.field: [row] for child in load.children}
    record = Preparer(load)(row, children)
    assert (record.payload, record.problems) == ({**ONE_LINE, **case.wanted}, ())
