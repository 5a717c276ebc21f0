"""Imports with a journal: broken off anywhere, they go on where they were."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.import_world import CUSTOMERS, INVOICES, Account, Folder

from chargeover_async import ChargeOver
from chargeover_async.errors import JournalError, UsageError
from chargeover_async.migrate import ImportJob, Plan, Summary
from chargeover_async.migrate.journal import Journal, read_rows, read_state
from chargeover_async.resources import ExternalKey

BOTH = CUSTOMERS + INVOICES
GOOD = {
    "customers_csv": "Id,Name\n1,Zoë\n2,B\n",
    "invoices_csv": "Id,Customer,Date\n7,1,2026-01-01\n8,2,2026-01-02\n",
    "lines_csv": "Invoice,Rate\n8,1.00\n7,2.50\n7,0\n",
}
NO_KEYS = '[[load]]\nobject = "customer"\nfile = "a.csv"\n[load.fields]\ncompany = "{Name}"\n'


def many(count: int) -> str:
    return "Id,Name\n" + "".join(f"{number},N{number}\n" for number in range(count))


def adds_up(summary: Summary) -> bool:
    counts = (summary.created, summary.updated, summary.existing, summary.failed, summary.unknown)
    return sum(counts) + summary.not_reached == summary.operations


async def load(account: Account, plan: Plan, **options: Any) -> Summary:
    options.setdefault("journal", account.journal)
    return await account.load(plan, **options)


async def break_off(account: Account, plan: Plan, after: int, **options: Any) -> Summary:
    """Cancel an import when so many rows are settled."""
    options.setdefault("journal", account.journal)
    job = ImportJob(plan, failures=account.failures, **options)
    reached = asyncio.Event()

    def observe(progress: Any) -> None:
        if progress.settled - progress.before >= after:
            reached.set()

    task = asyncio.create_task(job.run(account.co, observe=observe))
    waiter = asyncio.create_task(reached.wait())
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return job.summary()


def agrees(account: Account) -> None:
    """Every row that the journal calls created is in the store under its id, and no other."""
    rows = list(read_rows(account.journal, ("created", "existing", "updated")))
    for name in ("customer", "invoice"):
        held = {r["external_key"]: r[f"{name}_id"] for r in account.sandbox.store.records(name)}
        assert {row.key: row.id for row in rows if row.object == name} == held


async def test_import_with_a_journal_is_known_row_by_row(folder: Folder, account: Account) -> None:
    """Objects, files, rows, keys, ids; and where the job stands."""
    summary = await load(account, folder.plan(BOTH, **GOOD))
    assert (summary.operations, summary.created, summary.requests) == (4, 4, 3)
    agrees(account)
    rows = list(read_rows(account.journal))
    assert [(row.object, row.file, row.row, row.key) for row in rows] == [
        ("customer", "customers.csv", 2, "c-1"),
        ("customer", "customers.csv", 3, "c-2"),
        ("invoice", "invoices.csv", 2, "i-7"),
        ("invoice", "invoices.csv", 3, "i-8"),
    ]
    assert all(row.sends == 1 and row.sent_at and row.settled_at for row in rows)
    state = read_state(account.journal)
    assert state.account == account.co.url
    assert [load.states for load in state.loads[:2]] == [{"created": 2}, {"created": 2}]
    assert state.running == ""


async def test_finished_import_started_again_sends_nothing(
    folder: Folder, account: Account
) -> None:
    """One request, the first contact; the counts are those of the first run."""
    plan = folder.plan(BOTH, **GOOD)
    await load(account, plan)
    summary = await load(account, plan)
    assert (summary.created, summary.before, summary.requests) == (4, 4, 1)
    agrees(account)


@pytest.mark.parametrize("after", [0, 1, 300])
async def test_import_that_was_broken_off_goes_on(
    folder: Folder, account: Account, after: int
) -> None:
    """What was settled is skipped, what was under way is looked up, the rest is sent."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(600))
    first = await break_off(account, plan, after)
    assert adds_up(first)
    assert first.failed == 0
    assert not account.failures.exists()
    summary = await load(account, plan)
    assert (summary.created, summary.failed, summary.unknown) == (600, 0, 0)
    assert summary.before == first.created
    assert account.sandbox.store.count("customer") == 600
    agrees(account)


async def test_rows_in_flight_are_looked_up_by_their_keys(folder: Folder, account: Account) -> None:
    """Answers that never came: 60 keys asked for in 3 requests, and what is absent is sent."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(60))
    await load(account, plan)
    with sqlite3.connect(account.journal) as journal:
        journal.execute("UPDATE rows SET state = 'sent', id = NULL, settled_at = NULL")
    journal.close()
    for key in ("c-3", "c-44"):
        table = account.sandbox.store.table("customer")
        table.remove(table.by_key(key), free_key=True)
    before = account.co.stats.requests
    summary = await load(account, plan)
    assert (summary.created, summary.unknown, summary.before) == (60, 0, 0)
    assert account.co.stats.lookups == 60
    assert account.co.stats.requests - before <= 1 + 3 + 2
    agrees(account)


async def test_found_record_that_holds_other_values_is_not_called_ours(
    folder: Folder, account: Account
) -> None:
    """It is unknown, with the differences; the next run asks again."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(2))
    await load(account, plan)
    with sqlite3.connect(account.journal) as journal:
        journal.execute("UPDATE rows SET state = 'sent', id = NULL")
    journal.close()
    await account.co.customers.update(ExternalKey("c-1"), company="changed since")
    for _ in range(2):
        summary = await load(account, plan)
        assert (summary.created, summary.unknown) == (1, 1)
        (row,) = read_rows(account.journal, ["unknown"])
        assert row.key == "c-1"
        assert row.message is not None
        assert "company sent 'N1' held 'changed since'" in row.message
        assert json.loads(row.data or "") == {"external_key": "c-1", "company": "N1"}


async def test_row_without_a_key_in_flight_is_unknown_until_it_is_resolved(
    folder: Folder, account: Account
) -> None:
    """It is never sent again by itself; the operator says what is true of it."""
    plan = folder.plan(NO_KEYS, a_csv="Name\nA\nB\nC\n")
    account.sandbox.faults.script([None, "lost"])
    first = await load(account, plan)
    assert (first.created, first.unknown) == (0, 3)
    again = await load(account, plan)
    assert (again.created, again.unknown) == (0, 3)
    assert account.sandbox.store.count("customer") == 3
    assert not account.failures.exists()
    row = next(read_rows(account.journal, ["unknown"]))
    assert (row.file, row.row, row.sends, row.data) == ("a.csv", 2, 1, '{"company":"A"}')
    assert row.sent_at is not None
    with Journal(account.journal) as journal:
        journal.resolve(0, 2, 1)
        journal.resolve(0, 3, None)
        with pytest.raises(UsageError, match="row 2 is not in doubt: it is created"):
            journal.resolve(0, 2, None)
        with pytest.raises(UsageError, match="row 9 is not in doubt: it was never under way"):
            journal.resolve(0, 9, None)
    summary = await load(account, plan)
    assert (summary.created, summary.unknown) == (2, 1)
    assert account.sandbox.store.count("customer") == 4


async def test_failures_are_written_once_over_all_runs(folder: Folder, account: Account) -> None:
    """The second run adds what is new to the file of the first; a torn last line is repaired."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(300))
    for taken in (3, 250):
        await account.co.customers.create(company="taken", external_key=f"c-{taken}")
    first = await break_off(account, plan, 30)
    assert first.failed in {1, 2}
    with account.failures.open("ab") as file:
        file.write(b'{"file":"custom')
    summary = await load(account, plan)
    assert (summary.created, summary.failed) == (298, 2)
    lines = [json.loads(line) for line in account.failures.read_text("utf-8").splitlines()]
    assert sorted(failure["key"] for failure in lines) == ["c-250", "c-3"]
    assert summary.failures == str(account.failures)


async def test_line_that_a_killed_process_did_not_write_is_written_by_the_next(
    folder: Folder, account: Account
) -> None:
    """The journal keeps it until it is in the file; it is not written a second time."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(3))
    await account.co.customers.create(company="taken", external_key="c-1")
    await load(account, plan)
    (line,) = account.failures.read_text("utf-8").splitlines()
    with sqlite3.connect(account.journal) as journal:
        journal.execute("INSERT INTO outbox VALUES (0, 3, ?)", (line,))
    journal.close()
    await load(account, plan)
    assert account.failures.read_text("utf-8").splitlines() == [line]
    with sqlite3.connect(account.journal) as journal:
        journal.execute("INSERT INTO outbox VALUES (0, 3, ?)", (line,))
    journal.close()
    account.failures.unlink()
    await load(account, plan)
    assert account.failures.read_text("utf-8").splitlines() == [line]


async def test_what_refers_to_a_failed_row_of_an_earlier_run_is_not_sent(
    folder: Folder, account: Account
) -> None:
    """The second run knows what failed in the first."""
    await account.co.customers.create(company="taken", external_key="c-1")
    plan = folder.plan(BOTH, **GOOD)
    await load(account, plan)
    with sqlite3.connect(account.journal) as journal:
        journal.execute("DELETE FROM rows WHERE load = 1 AND row = 2")
    journal.close()
    account.failures.unlink()
    summary = await load(account, plan)
    assert (summary.created, summary.failed) == (2, 2)
    (line,) = account.failures.read_text("utf-8").splitlines()
    assert json.loads(line)["error"] == "DependencyFailed"


async def test_bad_rows_and_orphans_are_told_once(folder: Folder, account: Account) -> None:
    """They count as failed in every run, and are in the failure file once."""
    rows = {
        **GOOD,
        "customers_csv": "Id,Name\n1,A\n2\n3,C\n",
        "lines_csv": GOOD["lines_csv"] + "5,1\n",
    }
    plan = folder.plan(BOTH, **rows)
    first = await load(account, plan, skip_bad_rows=True)
    again = await load(account, plan, skip_bad_rows=True)
    assert adds_up(first)
    assert adds_up(again)
    assert (again.created, again.failed) == (first.created, first.failed) == (3, 3)
    assert len(account.failures.read_text("utf-8").splitlines()) == 3


async def test_server_out_of_reach_leaves_rows_open(folder: Folder, account: Account) -> None:
    """They are no failures: the job stops, and the next run sends them."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(2_500))
    job = ImportJob(plan, failures=account.failures, journal=account.journal)
    stop = asyncio.Event()
    task = asyncio.create_task(job.run(account.co, observe=lambda _: stop.set()))
    await stop.wait()
    await account.sandbox.kill()
    summary = await task
    assert summary.failed == 0
    assert summary.not_reached
    assert adds_up(summary)
    assert "was not sent" in summary.stopped
    assert not account.failures.exists()
    await account.sandbox.start()
    summary = await load(account, plan)
    assert (summary.created, summary.failed, summary.unknown) == (2_500, 0, 0)
    assert account.sandbox.store.count("customer") == 2_500
    agrees(account)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("rows", r"customers\.csv has changed since the journal .* was begun on 20"),
        ("plan", r"the plan plan\.toml has changed since the journal .* was begun on 20"),
        ("lines", r"lines\.csv has changed since"),
        ("account", r"is of an import into http.*, not into http.*; name another journal"),
    ],
)
async def test_journal_of_another_import_is_refused(
    folder: Folder, account: Account, what: str, message: str
) -> None:
    """Nothing is sent, and the message says what can be done."""
    await load(account, folder.plan(BOTH, **GOOD))
    files, text, co = dict(GOOD), BOTH, account.co
    if what == "rows":
        files["customers_csv"] = "Id,Name\n1,Zoe\n2,B\n"
    elif what == "lines":
        files["lines_csv"] = "Invoice,Rate\n8,1.00\n7,2.50\n7,1\n"
    elif what == "plan":
        text = BOTH.replace("{Name}", "{Name} Ltd.")
    else:
        co = ChargeOver("http://127.0.0.1:9/api/v3", "a", "b")
    before = len(account.sandbox.log)
    job = ImportJob(folder.plan(text, **files), journal=account.journal)
    with pytest.raises(JournalError, match=message):
        await job.run(co)
    assert len(account.sandbox.log) == before
    await co.aclose()


async def test_files_that_are_only_touched_are_no_change(folder: Folder, account: Account) -> None:
    """What counts is what is in them."""
    plan = folder.plan(BOTH, **GOOD)
    await load(account, plan)
    os.utime(folder.path / "customers.csv", ns=(1, 1))
    summary = await load(account, plan)
    assert summary.before == 4


async def test_second_importer_is_refused(folder: Folder, account: Account) -> None:
    """The first goes on; the second says who has the journal."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(100))
    with Journal(account.journal):
        before = len(account.sandbox.log)
        with pytest.raises(JournalError, match=f"another import uses .*process {os.getpid()} on"):
            await load(account, plan)
        assert len(account.sandbox.log) == before
        assert read_state(account.journal).running.startswith(f"process {os.getpid()} on")
    assert (await load(account, plan)).created == 100


async def test_a_journal_has_one_writer_by_whatever_name(folder: Folder, account: Account) -> None:
    """A link to a journal in use is refused like the journal itself."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(100))
    with Journal(account.journal):
        link = folder.path / "link"
        link.symlink_to(account.journal)
        with pytest.raises(JournalError, match="another import uses"):
            await load(account, plan, journal=link)


@pytest.mark.parametrize("kind", ["folder", "no folder", "no journal", "other sqlite", "newer"])
async def test_journal_that_cannot_be_used_stops_before_anything_is_sent(
    folder: Folder, account: Account, kind: str
) -> None:
    """One JournalError that names the file and the reason."""
    path = folder.path / "journal"
    wanted = "unable to open"
    if kind == "folder":
        path.mkdir()
    elif kind == "no folder":
        path = folder.path / "nowhere" / "journal"
    elif kind == "no journal":
        path.write_bytes(b"Id,Name\n1,A\n" * 100)
        wanted = "it is no SQLite file"
    elif kind == "other sqlite":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE t (a)")
        other.close()
        wanted = "is no journal of an import"
    else:
        with Journal(path):
            pass
        with sqlite3.connect(path) as newer:
            newer.execute("PRAGMA user_version = 99")
        newer.close()
        wanted = "has version 99, and this program reads 2"
    before = len(account.sandbox.log)
    with pytest.raises(JournalError, match=wanted):
        await load(account, folder.plan(CUSTOMERS, customers_csv=many(3)), journal=path)
    assert len(account.sandbox.log) == before
    assert account.sandbox.store.count("customer") == 0


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no place that even root cannot write to")
async def test_read_only_path_stops_before_anything_is_sent(
    folder: Folder, account: Account
) -> None:
    """It says what to do."""
    with pytest.raises(JournalError, match="a folder that can be written"):
        await load(
            account,
            folder.plan(CUSTOMERS, customers_csv=many(3)),
            journal=Path("/proc/journal"),
        )
    assert account.sandbox.store.count("customer") == 0


async def test_full_disk_stops_the_import_safely(
    folder: Folder, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not in the journal is not sent; with room again the import goes on."""
    count = 6_000  # more than are taken up at a time: some wait for room when the journal fails
    plan = folder.plan(CUSTOMERS, customers_csv=many(count))
    entered = Journal.__enter__

    def small(self: Journal) -> Journal:
        entered(self)
        self._connection.execute("PRAGMA max_page_count = 24")
        return self

    monkeypatch.setattr(Journal, "__enter__", small)
    summary = await load(account, plan)
    assert "the disk is full; make room and start again with the same journal" in summary.stopped
    assert 0 < summary.not_reached < count
    assert adds_up(summary)
    assert summary.failed == 0
    noted = {row.key for row in read_rows(account.journal)}
    assert set(account.records("customer")) <= noted
    monkeypatch.undo()
    summary = await load(account, plan)
    assert (summary.created, summary.failed, summary.unknown) == (count, 0, 0)
    assert account.sandbox.store.count("customer") == count
    agrees(account)


async def test_no_secret_is_in_the_journal(folder: Folder, account: Account) -> None:
    """A card number in a key or a text, a password, a security code."""
    plan = """
[[load]]
object = "customer"
file = "a.csv"
[load.fields]
external_key = "{Card}"
company = "{Name}"
[[load]]
object = "user"
file = "a.csv"
[load.fields]
password = "{Password}"
first_name = "card {Card}"
customer_external_key = "{Card}"
"""
    card, password = "4111111111111111", "hunter-two-and-three"
    rows = f"Card,Name,Password\n{card},A {card},{password}\n"
    account.sandbox.faults.script([None, None, "lost", None])
    summary = await load(account, folder.plan(plan, a_csv=rows))
    assert (summary.created, summary.unknown) == (1, 1)
    for path in account.journal.parent.glob(f"{account.journal.name}*"):
        text = path.read_bytes()
        assert card.encode() not in text
        assert password.encode() not in text
    (row,) = read_rows(account.journal, ["unknown"])
    assert json.loads(row.data or "")["password"] == "[masked]"
    assert (await load(account, folder.plan(plan, a_csv=rows))).created == 1


async def test_journal_is_read_while_the_job_runs(folder: Folder, account: Account) -> None:
    """It shows numbers that grow, and who has it."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(2_000))
    seen: list[int] = []

    def observe(progress: Any) -> None:
        if progress.settled % 500 == 0:
            state = read_state(account.journal)
            assert state.running
            assert sum(state.loads[0].states.values()) + state.loads[0].untouched == 2_000
            seen.append(state.loads[0].states.get("created", 0))

    job = ImportJob(plan, journal=account.journal)
    await job.run(account.co, observe=observe)
    assert seen == sorted(seen)
    assert len(seen) == 4


async def test_results_map_keys_to_ids_over_all_runs(folder: Folder, account: Account) -> None:
    """With a journal the file is made anew from it, with the rows of earlier runs."""
    results = folder.path / "results.csv"
    plan = folder.plan(CUSTOMERS, customers_csv=many(300))
    await break_off(account, plan, 30, results=results)
    assert results.exists()
    await load(account, plan, results=results)
    lines = results.read_text("utf-8").splitlines()
    assert lines[0] == "object,external_key,id,state,file,row"
    held = account.records("customer")
    assert lines[1:] == [
        f"customer,c-{number},{held[f'c-{number}']['customer_id']},created,customers.csv,"
        f"{number + 2}"
        for number in range(300)
    ]


async def test_an_update_that_is_open_sends_its_fields_whatever_is_said_later(
    account: Account, folder: Folder
) -> None:
    """A row that an earlier run was changing is changed by the next, ``update`` or not."""
    plan = folder.plan(CUSTOMERS, customers_csv="Id,Name\n1,new\n")
    await account.co.customers.create(external_key="c-1", company="old")
    await load(account, plan, update=True)
    with sqlite3.connect(account.journal) as journal:  # as a kill before the answer leaves it
        journal.execute("UPDATE rows SET state = 'sent', id = NULL")
    journal.close()
    await account.co.customers.update(ExternalKey("c-1"), company="old")
    summary = await load(account, plan)
    assert (summary.updated, account.records("customer")["c-1"]["company"]) == (1, "new")


async def test_an_update_that_stops_leaves_what_was_to_be_changed(
    account: Account, folder: Folder
) -> None:
    """Records found to exist are not changed after the stop; the import ends, and can go on."""
    for number in range(5):
        await account.co.customers.create(external_key=f"c-{number}", company="old")
    plan = folder.plan(CUSTOMERS, customers_csv=many(5))
    job = ImportJob(plan, update=True, journal=account.journal, failures=account.failures)
    settle = job._settle

    def settle_and_stop(outcome: Any) -> None:
        settle(outcome)
        job._stop.because("a row was not sent")

    job._settle = settle_and_stop  # type: ignore[method-assign]
    summary = await job.run(account.co)
    assert (summary.updated, summary.not_reached) == (0, 5)
    assert (await load(account, plan, update=True)).updated == 5


async def test_a_row_in_doubt_is_looked_up_whatever_became_of_what_it_refers_to(
    folder: Folder, account: Account
) -> None:
    """It may be there: to say that it was not sent, for its customer failed, would be false."""
    plan = folder.plan(
        CUSTOMERS + INVOICES,
        customers_csv="Id,Name\n1,A\n",
        invoices_csv="Id,Customer,Date\n7,1,2026-01-01\n8,1,2026-01-01\n",
        lines_csv="Invoice,Rate\n7,1\n8,1\n",
    )
    await load(account, plan)
    with contextlib.closing(sqlite3.connect(account.journal, isolation_level=None)) as journal:
        journal.execute("UPDATE rows SET state = 'refused', id = NULL WHERE load = 0")
        journal.execute("UPDATE rows SET state = 'sent', id = NULL WHERE load = 1 AND row = 2")
        journal.execute("DELETE FROM rows WHERE load = 1 AND row = 3")
    summary = await load(account, plan)
    assert (summary.created, summary.failed, summary.unknown) == (1, 2, 0)
    states = {(row.load, row.row): row.state for row in read_rows(account.journal)}
    assert states == {(0, 2): "refused", (1, 2): "created", (1, 3): "not_sent"}
    assert account.sandbox.store.count("invoice") == 2
