"""The file of a journal: its schema is a promise to those who have one from an earlier version."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from support.places import EXAMPLES, TESTS

from chargeover_async.errors import JournalError
from chargeover_async.migrate import read_plan
from chargeover_async.migrate.journal import Journal, JournalRow, read_rows, read_state
from chargeover_async.migrate.plan import plan_digest

VERSIONS = [1, 2]


def from_golden(path: Path, version: int = VERSIONS[-1]) -> None:
    """A journal as that version of the schema wrote it."""
    golden = TESTS / "migrate" / "journal" / f"journal_v{version}.sql"
    with sqlite3.connect(path, isolation_level=None) as made:
        made.executescript(golden.read_text("utf-8"))
    made.close()


def schema_of(path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(path) as found:
        rows = found.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name")
        schema = [(name, " ".join(sql.split())) for name, sql in rows]
        schema += [
            (name, str(found.execute(f"PRAGMA {name}").fetchone()[0]))
            for name in ("application_id", "user_version")
        ]
    found.close()
    return schema


def test_schema_is_that_of_its_version(tmp_path: Path) -> None:
    """Whoever changes a table must raise the version, keep the old golden file and read both."""
    from_golden(tmp_path / "golden")
    with Journal(tmp_path / "new"):
        pass
    assert schema_of(tmp_path / "new") == schema_of(tmp_path / "golden")


def test_journal_of_an_earlier_version_is_brought_up_to_date_by_who_writes_it(
    tmp_path: Path,
) -> None:
    """The same journal as if it had been begun today, its rows included."""
    from_golden(tmp_path / "now")
    for version in VERSIONS[:-1]:
        path = tmp_path / f"v{version}"
        from_golden(path, version)
        with Journal(path):
            pass
        assert schema_of(path) == schema_of(tmp_path / "now")
        assert list(read_rows(path)) == list(read_rows(tmp_path / "now"))


@pytest.mark.parametrize("version", VERSIONS)
def test_journal_of_each_version_is_read(tmp_path: Path, version: int) -> None:
    """Every state of a row, and where the job stands."""
    path = tmp_path / "golden"
    from_golden(path, version)
    state = read_state(path)
    assert (state.account, state.plan) == ("https://a.chargeover.com/api/v3", "plan.toml")
    assert state.loads[0].states == {"created": 1, "refused": 1, "sent": 1, "unknown": 1}
    assert (state.loads[0].rows, state.loads[0].untouched) == (6, 2)
    (unknown,) = read_rows(path, ["unknown"])
    assert unknown == JournalRow(
        file="customers.csv",
        row=5,
        object="customer",
        key="c-4",
        state="unknown",
        verb="create",
        id=None,
        error="OutcomeUnknown",
        message="no answer",
        data='{"company":"D"}',
        sends=2,
        sent_at=1790000000.5,
        settled_at=1790000001.5,
        load=0,
    )


def test_resolved_row_is_settled_for_good(tmp_path: Path) -> None:
    """Its data is forgotten, and who settled it is told."""
    path = tmp_path / "golden"
    from_golden(path)
    with Journal(path) as journal:
        journal.resolve(0, 5, 77)
        journal.resolve(0, 4, None)
    assert list(read_rows(path, ["unknown", "sent"])) == []
    rows = {row.row: row for row in read_rows(path)}
    assert (rows[5].state, rows[5].id, rows[5].data) == ("created", 77, None)
    assert rows[5].message == "settled by the operator"
    assert rows[4].state == "open"


def test_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Reading makes no journal."""
    with pytest.raises(JournalError, match="there is no journal"):
        read_state(tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_plans_and_files_have_the_checksums_that_journals_hold(tmp_path: Path) -> None:
    """A journal is bound to them: were they made in another way, it would be refused."""
    shop = read_plan(EXAMPLES / "shop" / "plan.toml")
    assert plan_digest(shop) == "bd7fef9735502a19184b22bb498d1b514d89573f4d9985ab0f7a3b8d5b262d83"
    assert [load.source.digest()[:16] for load in shop.loads] == [
        "1e3fbcaba7db3293",
        "7056b83283d7ebb7",
        "224cf154dee2699b",
    ]
    path = tmp_path / "again.failures.jsonl"
    path.write_bytes(b'{"object":"customer","data":{"company":"Acme"}}\n')
    again = read_plan(path)
    assert plan_digest(again) == "f385b0fdf042ae37eef02e6a4a1dfd32de4d128e0337133ce5bea670c2a3e668"
    assert [load.source.digest()[:8] for load in again.loads][:3] == [
        "5d972c2c",
        "a19d6efd",
        "575f8567",
    ]


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_no_journal(tmp_path: Path, kind: str) -> None:
    """It is neither opened, which could wait for ever, nor given a lock beside it."""
    path = tmp_path / "journal"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path(os.devnull)
    for use in (Journal(path).__enter__, lambda: read_state(path), lambda: list(read_rows(path))):
        with pytest.raises(JournalError, match="is no regular file; name a file on a local disk"):
            use()
    assert not path.with_name(path.name + ".lock").exists()
