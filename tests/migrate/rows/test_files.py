"""Compressed and Parquet files as sources of an import."""

from __future__ import annotations

import datetime as dt
import gzip
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.import_world import CUSTOMERS, Account, Folder

from chargeover_async import _extras
from chargeover_async.errors import UsageError
from chargeover_async.migrate import read_plan
from chargeover_async.migrate.plan.record import Preparer
from chargeover_async.migrate.rows import FORMATS, BadFile, Held, Row

CSV = "Id,Name\n1,Müller\n2,Zoë\n"


def squeeze(data: bytes, ending: str) -> bytes:
    if ending == "gz":
        return gzip.compress(data)
    module = _extras.zstd()
    options = {module.CompressionParameter.checksum_flag: 1}
    return bytes(module.compress(data, options=options))


def parquet(path: Path, **columns: Any) -> Path:
    pa = pytest.importorskip("pyarrow")
    _extras.arrow().parquet.write_table(pa.table(columns), str(path), row_group_size=2)
    return path


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compressed_file_reads_like_the_plain_one(folder: Folder, ending: str) -> None:
    """Text, encodings, several members one behind the other."""
    if ending == "zst" and sys.version_info < (3, 14):
        pytest.importorskip("backports.zstd")
    path = folder.path / f"customers.csv.{ending}"
    head, tail = CSV.encode("cp1252")[:12], CSV.encode("cp1252")[12:]
    path.write_bytes(squeeze(head, ending) + squeeze(tail, ending))
    source = FORMATS["csv"](Held(path), encoding="cp1252")
    assert source.columns() == ("Id", "Name")
    assert [row.cells for row in source.rows() if isinstance(row, Row)] == [
        {"Id": "1", "Name": "Müller"},
        {"Id": "2", "Name": "Zoë"},
    ]
    plan = folder.write("plan.toml", CUSTOMERS.replace("customers.csv", path.name))
    assert read_plan(plan).loads[0].source.format == "csv"
    for damaged in (path.read_bytes()[:-5], b"no such thing", path.read_bytes()[:-5] + b"12345"):
        path.write_bytes(damaged)
        with pytest.raises(BadFile, match=path.name):
            list(source.rows())


def test_parquet_rows_are_what_json_would_have(folder: Folder) -> None:
    """Dates as text, decimals and doubles by their digits, nested values, absent ones."""
    pytest.importorskip("pyarrow")
    path = parquet(
        folder.path / "a.parquet",
        Id=[1, 2, None],
        Price=[Decimal("2.950000"), Decimal("100.00"), None],
        Rate=[0.1, float("nan"), 1e3],
        Day=[dt.date(2026, 1, 2), None, None],
        At=[dt.datetime(2026, 1, 2, 3, 4, 5), None, None],  # noqa: DTZ001 - as the API's are
        Name=["Ünï", "", None],
        Lines=[[{"a": Decimal("1.10")}], [], None],
        Flag=[True, False, None],
    )
    source = FORMATS["parquet"](Held(path))
    assert source.columns() == ("Id", "Price", "Rate", "Day", "At", "Name", "Lines", "Flag")
    found = list(source.rows())
    assert found[0] == Row(
        1,
        {
            "Id": 1,
            "Price": Decimal("2.95"),
            "Rate": Decimal("0.1"),
            "Day": "2026-01-02",
            "At": "2026-01-02 03:04:05",
            "Name": "Ünï",
            "Lines": [{"a": Decimal("1.1")}],
            "Flag": True,
        },
    )
    assert isinstance(found[1], Row)
    assert (str(found[1].cells["Price"]), found[1].cells["Rate"]) == ("100", None)
    assert [row.line for row in found] == [1, 2, 3]
    assert isinstance(found[2], Row)
    assert found[2].cells["Rate"] == Decimal(1000)


def test_what_is_no_parquet_is_said_with_its_name(folder: Folder) -> None:
    """Another kind of file, one that is cut off, one that is not there, bytes in a column."""
    pytest.importorskip("pyarrow")
    path = folder.write("a.parquet", "Id,Name\n")
    with pytest.raises(BadFile, match=r"a\.parquet is not a Parquet file"):
        FORMATS["parquet"](Held(path)).columns()
    with pytest.raises(BadFile, match=r"none\.parquet cannot be read"):
        list(FORMATS["parquet"](Held(folder.path / "none.parquet")).rows())
    parquet(path, Id=[b"1"])
    with pytest.raises(BadFile, match="type bytes cannot be imported"):
        list(FORMATS["parquet"](Held(path)).rows())


async def test_a_parquet_file_is_imported(folder: Folder, account: Account) -> None:
    """By the same plan as a CSV file; a column that is not there is noticed before."""
    pytest.importorskip("pyarrow")
    parquet(folder.path / "customers.parquet", Id=[1, 2, 3], Name=["A", "Zoë", "C"])
    plan = CUSTOMERS.replace("customers.csv", "customers.parquet")
    assert (await account.load(folder.plan(plan))).created == 3
    assert account.records("customer")["c-2"]["company"] == "Zoë"
    with pytest.raises(UsageError, match="Nam"):
        folder.check(plan.replace("{Name}", "{Nam}"))


def test_a_missing_library_is_named_with_its_extra(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the file is met, not before."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = folder.write("a.csv.zst", "x")
    with pytest.raises(UsageError, match=r"chargeover-async\[zstd\]"):
        list(FORMATS["csv"](Held(path)).rows())
    path = folder.write("a.parquet", "x")
    with pytest.raises(UsageError, match=r"chargeover-async\[parquet\]"):
        list(FORMATS["parquet"](Held(path)).rows())


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_file_unpacks_to_no_more_than_the_plan_says(folder: Folder, ending: str) -> None:
    """A few kilobytes may be gigabytes."""
    if ending == "zst" and sys.version_info < (3, 14):
        pytest.importorskip("backports.zstd")
    path = folder.path / f"a.csv.{ending}"
    path.write_bytes(squeeze(b"A\n" + b"1\n" * 600_000, ending))
    assert path.stat().st_size < 20_000
    source = FORMATS["csv"](Held(path), max_unpacked_mb=1)
    with pytest.raises(BadFile, match="unpacks to more than 1 MB; if it should, say max_unpacked"):
        list(source.rows())
    assert len(list(FORMATS["csv"](Held(path), max_unpacked_mb=2).rows())) == 600_000


def test_only_columns_that_are_asked_for_are_read(folder: Folder) -> None:
    """Another may hold what no record can: bytes, or two of the same name."""
    pytest.importorskip("pyarrow")
    parquet(folder.path / "customers.parquet", Id=[1], Name=["A"], Blob=[b"x"])
    plan = CUSTOMERS.replace("customers.csv", "customers.parquet")
    assert folder.check(plan).operations == 1
    with pytest.raises(UsageError, match="type bytes cannot be imported"):
        folder.check(plan.replace("{Name}", "{Blob}"))


def test_a_column_that_stands_there_twice_is_refused(folder: Folder) -> None:
    """As in CSV."""
    pa = pytest.importorskip("pyarrow")
    path = folder.path / "a.parquet"
    table = pa.table([[1], [2]], names=["A", "A"])
    _extras.arrow().parquet.write_table(table, str(path))
    for read in (FORMATS["parquet"](Held(path)).columns, FORMATS["parquet"](Held(path)).rows):
        with pytest.raises(BadFile, match='has two columns named "A"'):
            list(read())


def test_whole_numbers_are_whole_whatever_type_holds_them(folder: Folder) -> None:
    """Warehouses write DECIMAL(38,0), pandas a double where a column has gaps; so do lists."""
    pa = pytest.importorskip("pyarrow")
    path = folder.path / "a.parquet"
    line = pa.struct([("item_id", pa.decimal128(38, 0)), ("line_rate", pa.decimal128(10, 2))])
    lines = [[{"item_id": Decimal(1), "line_rate": Decimal("1.50")}]]
    table = pa.table(
        {
            "Customer": pa.array([Decimal(345)], pa.decimal128(38, 0)),
            "Class": pa.array([7.0]),
            "lines": pa.array(lines, pa.list_(line)),
        }
    )
    _extras.arrow().parquet.write_table(table, str(path))
    folder.write("b.jsonl", '{"Customer": 345, "Class": 7.0, "lines": [{"item_id": 1.0, '
                 '"line_rate": 1.50}]}')  # fmt: skip
    for name in ("a.parquet", "b.jsonl"):
        plan = folder.plan(f"""
            [[load]]
            object = "invoice"
            file = "{name}"
            [load.fields]
            customer_id = "{{Customer}}"
            class_id = "{{Class}}"
            memo = "{{Class}}"
            line_items = "{{lines}}"
        """)
        load = plan.loads[0]
        (row,) = load.source.rows()
        assert isinstance(row, Row)
        made = Preparer(load)(row)
        assert made.problems == ()
        assert made.payload["customer_id"] == 345
        assert made.payload["class_id"] == 7
        entries = [{"item_id": 1, "line_rate": Decimal("1.5")}]
        assert made.payload["line_items"] == entries
        assert type(made.payload["line_items"][0]["item_id"]) is int
