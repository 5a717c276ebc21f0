"""Memory that does not grow with the input, and restarts that do not read it all again."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator

import pytest
from support.import_world import CUSTOMERS, INVOICES, Account, Folder

from chargeover_async.errors import JournalError
from chargeover_async.migrate import BadInput, ImportJob, Progress
from chargeover_async.migrate.check.check import check
from chargeover_async.migrate.rows import FORMATS, Held, Row

FAMILY = """
[[load]]
object = "customer"
file = "customers.csv"
[load.fields]
external_key = "c-{Id}"
parent_customer_external_key = "c-{Parent}"
company = "{Name}"
"""


def files(count: int) -> dict[str, str]:
    """Customers of whom every second has a parent, invoices with lines, references to all."""
    ids = range(count)
    parents = {number: number - 1 for number in ids if number % 2}
    return {
        "customers_csv": "Id,Name,Parent\n"
        + "".join(f"{n},N{n},{parents.get(n, '')}\n" for n in ids),
        "invoices_csv": "Id,Customer,Date\n" + "".join(f"{n},{n},2026-01-01\n" for n in ids),
        "lines_csv": "Invoice,Rate\n" + "".join(f"{n},1.00\n{n},2.00\n" for n in ids),
    }


def peak(folder: Folder, count: int) -> int:
    """Bytes that Python takes for a check, at most, and for what is left of it."""
    plan = folder.plan(FAMILY + INVOICES, **files(count))
    tracemalloc.start()
    checked = check(plan)
    assert checked.operations == 2 * count
    assert checked.loads[0].rounds == {1: count // 2}
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    checked.close()
    return found


def test_memory_of_a_check_does_not_grow_with_the_files(folder: Folder) -> None:
    """Four times as many keys, references, parents and child rows take hardly more memory."""
    peak(folder, 100)  # what is imported and cached on first use
    small, large = peak(folder, 600), peak(folder, 2_400)
    assert large < 1.25 * small


def test_rows_of_many_bad_rows_are_found_by_their_lines(folder: Folder) -> None:
    """More mistakes than are read at a time, some of them two in a row."""
    rows = "".join(
        f"{n},{1 if n % 3 else n},2026-01-{'xx' if n % 2 else '01'}\n" for n in range(2_000)
    )
    plan = folder.plan(
        CUSTOMERS + INVOICES,
        customers_csv="Id,Name\n1,A\n",
        invoices_csv="Id,Customer,Date\n" + rows,
        lines_csv="Invoice,Rate\n" + "".join(f"{n},1\n" for n in range(2_000)),
    )
    with pytest.raises(BadInput) as caught:
        check(plan)
    checked = check(plan, skip_bad_rows=True)
    notes = checked.loads[1].notes()
    found = {line: len(notes.problems(line)) for line in range(2, 2_002)}
    for line, count in found.items():
        number = line - 2
        unknown = number % 3 == 0
        assert count == (number % 2) + (unknown and not number % 2), line
    assert checked.loads[1].bad == sum(1 for count in found.values() if count)
    assert caught.value.count == sum(found.values())
    checked.close()


async def test_second_run_does_not_check_again(
    folder: Folder, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same plan, same files, same journal: nothing is read but what may have to be sent."""
    plan = folder.plan(FAMILY + INVOICES, **files(10))
    first = await account.load(plan, journal=account.journal)
    assert first.created == 20
    monkeypatch.setattr("chargeover_async.migrate.job.job.check", None)
    monkeypatch.setattr("chargeover_async.migrate.check.load.LoadCheck.prepare", None)
    summary = await account.load(plan, journal=account.journal)
    assert (summary.created, summary.before) == (20, 20)


async def test_second_run_remembers_rounds_and_mistakes(folder: Folder, account: Account) -> None:
    """Parents still go first, and bad rows are still bad, without a second check."""
    good = files(10)
    good["customers_csv"] += "20,N20,\n,no key,\n"
    plan = folder.plan(FAMILY + INVOICES, **good)
    job = ImportJob(plan, journal=account.journal, skip_bad_rows=True)
    account.sandbox.faults.script([None, "503", "503", "503", "503", "503", "503", "503"])
    await job.run(account.co)
    account.sandbox.faults.clear()
    again = ImportJob(plan, journal=account.journal, skip_bad_rows=True)
    forecast = again.check()
    assert (forecast.operations, forecast.bad_rows) == (22, 1)
    summary = await again.run(account.co)
    assert (summary.created, summary.failed) == (21, 1)
    held = account.records("customer")
    assert held["c-9"]["parent_customer_id"] == held["c-8"]["customer_id"]
    strict = ImportJob(plan, journal=account.journal)
    with pytest.raises(BadInput, match="the key is empty"):
        strict.check()


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_rows_that_are_skipped_are_not_looked_into(folder: Folder, name: str) -> None:
    """A line that cannot be read is passed over like any other; the numbers stay those of lines."""
    text = 'A,B\n1,"x\ny"\n2\n3,z\n' if name == "a.csv" else '{"A": 1}\n\n{\n{"A": 3}\n'
    path = folder.write(name, text)
    source = FORMATS[path.suffix[1:]](Held(path))
    lines = [row.line for row in source.rows()]
    bad = lines[1]

    def rows() -> Iterator[object]:
        yield from source.rows(lambda line: line == bad)

    assert [row.line for row in rows() if isinstance(row, Row)] == [lines[0], lines[2]]
    assert len(list(rows())) == 2


async def test_forecast_with_a_journal_is_of_what_is_left(folder: Folder, account: Account) -> None:
    """Bad rows, rounds and files of their own included: as many requests as it then takes."""
    good = files(60)
    good["customers_csv"] += "60,N60,\n,no key,\n"
    good["lines_csv"] += "99,1.00\n"
    plan = folder.plan(FAMILY + INVOICES, **good)
    options = {"journal": account.journal, "skip_bad_rows": True}
    fresh = ImportJob(plan, **options).check()
    assert (fresh.operations, fresh.bad_rows, fresh.before) == (123, 2, 0)
    job = ImportJob(plan, **options)

    def interrupt(progress: Progress) -> None:
        if progress.created == 31:  # all who have no parent
            running.cancel()

    running = asyncio.create_task(job.run(account.co, observe=interrupt))
    await asyncio.wait([running])
    first = job.summary()
    assert (first.created, first.unknown) == (31, 0)
    again = ImportJob(plan, **options)
    forecast = again.check()
    assert (forecast.operations, forecast.bad_rows) == (123, 2)
    assert forecast.before == first.created + first.failed
    assert 1 < forecast.requests < fresh.requests
    summary = await again.run(account.co)
    assert (summary.created, summary.failed) == (121, 2)
    assert summary.requests == forecast.requests
    done = ImportJob(plan, **options).check()
    assert (done.before, done.requests) == (123, 1)


async def test_forecast_refuses_a_journal_of_other_files(folder: Folder, account: Account) -> None:
    """As the import itself would; and it makes no journal."""
    plan = folder.plan(FAMILY, customers_csv="Id,Name,Parent\n1,A,\n")
    ImportJob(plan, journal=account.journal).check()
    assert not account.journal.exists()
    await account.load(plan, journal=account.journal)
    folder.write("customers.csv", "Id,Name,Parent\n1,B,\n")
    with pytest.raises(JournalError, match=r"customers\.csv has changed since"):
        ImportJob(plan, journal=account.journal).check()
