"""Imports into a sandbox: what is sent, in which order, and how it is accounted for."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.import_world import CUSTOMERS, INVOICES, Account, Folder

from chargeover_async import ChargeOver
from chargeover_async.errors import AuthFailed, BadRequest, ConnectFailed, UsageError
from chargeover_async.limits import NoLimit
from chargeover_async.migrate import (
    BadInput,
    ImportJob,
    Plan,
    Progress,
    Summary,
    read_plan,
    read_rows,
    read_state,
)
from chargeover_async.migrate.job.feed import InHand
from chargeover_async.migrate.job.told import Told, failure_of
from chargeover_async.migrate.job.verdict import Verdict
from chargeover_async.migrate.journal.journal import Settled
from chargeover_async.migrate.plan.record import Preparer
from chargeover_async.migrate.rows import Held, Row
from chargeover_async.retry import RetryPolicy

BOTH = CUSTOMERS + INVOICES
GOOD = {
    "customers_csv": "Id,Name\n1,Zoë\n2,B\n",
    "invoices_csv": "Id,Customer,Date\n7,1,2026-01-01\n8,2,2026-01-02\n",
    "lines_csv": "Invoice,Rate\n8,1.00\n7,2.50\n7,0\n",
}
HALF = "a\ud83d"  # half of an emoji, as a program cuts it that counts UTF-16
NO_KEYS = '[[load]]\nobject = "customer"\nfile = "a.csv"\n[load.fields]\ncompany = "{Name}"\n'


def failures(account: Account) -> list[dict[str, Any]]:
    return [json.loads(line) for line in account.failures.read_text("utf-8").splitlines()]


def adds_up(summary: Summary) -> bool:
    counts = (summary.created, summary.existing, summary.failed, summary.unknown)
    return sum(counts) + summary.not_reached == summary.operations


def many(count: int) -> str:
    return "Id,Name\n" + "".join(f"{number},N{number}\n" for number in range(count))


async def test_everything_is_imported(folder: Folder, account: Account) -> None:
    """Three requests: the first contact, the customers, the invoices with their lines."""
    summary = await account.load(folder.plan(BOTH, **GOOD))
    assert (summary.operations, summary.created, summary.requests) == (4, 4, 3)
    assert summary.failures == ""
    assert not account.failures.exists()
    customers, invoices = account.records("customer"), account.records("invoice")
    assert customers["c-1"]["company"] == "Zoë"
    assert invoices["i-7"]["customer_id"] == customers["c-1"]["customer_id"]
    assert invoices["i-7"]["total"] == 2.5
    assert [load.created for load in summary.loads] == [2, 2]


async def test_refused_row_is_written_down_and_the_others_go_on(
    folder: Folder, account: Account
) -> None:
    """The failure has row, reason, the data sent and the source; what refers to it is not sent."""
    await account.co.customers.create(company="taken", external_key="c-1")
    summary = await account.load(folder.plan(BOTH, **GOOD))
    assert (summary.created, summary.failed, summary.unknown) == (2, 2, 0)
    assert summary.failures == str(account.failures)
    first, second = failures(account)
    assert (first["file"], first["row"]) == ("customers.csv", 2)
    assert (first["object"], first["key"], first["state"]) == ("customer", "c-1", "refused")
    assert first["error"] == "AlreadyExists"
    assert first["message"] == 'A customer already exists with the external_key value "c-1"'
    assert first["data"] == {"external_key": "c-1", "company": "Zoë"}
    assert first["source"] == {"Id": "1", "Name": "Zoë"}
    assert (second["key"], second["state"]) == ("i-7", "not_sent")
    assert second["error"] == "DependencyFailed"
    assert second["message"].endswith(
        'customer "c-1" is not there: customers.csv row 2 was refused'
    )
    assert set(account.records("invoice")) == {"i-8"}


async def test_existing_rows_may_be_passed_over(folder: Folder, account: Account) -> None:
    """Running an import again adds what is missing and counts the rest as existing."""
    plan = folder.plan(BOTH, **GOOD)
    await account.load(plan)
    account.sandbox.store.table("invoice").remove(
        account.sandbox.store.table("invoice").by_key("i-8"), free_key=True
    )
    summary = await account.load(plan, allow_existing=True)
    assert (summary.existing, summary.created, summary.failed) == (3, 1, 0)
    assert adds_up(summary)


async def test_mended_failure_file_is_imported_again(folder: Folder, account: Account) -> None:
    """The entries are the plan: what failed is sent as it stands there, parents first."""
    await account.co.customers.create(company="taken", external_key="c-1")
    await account.load(folder.plan(BOTH, **GOOD))
    text = account.failures.read_text("utf-8").replace('"c-1"', '"c-1b"').replace("Zoë", "Zoé")
    mended = folder.write("mended.jsonl", text)
    account.failures.unlink()
    summary = await account.load(read_plan(mended))
    assert (summary.operations, summary.created) == (2, 2)
    customer, invoice = account.records("customer")["c-1b"], account.records("invoice")["i-7"]
    assert customer["company"] == "Zoé"
    assert invoice["customer_id"] == customer["customer_id"]
    assert invoice["total"] == 2.5


async def test_failure_of_a_bad_row_must_be_mended_first(folder: Folder, account: Account) -> None:
    """In its place, in the names of the API: the rest of the row is there, children included."""
    plan = folder.plan(
        BOTH, **{**GOOD, "invoices_csv": "Id,Customer,Date\n7,1,x\n8,2,2026-01-02\n"}
    )
    await account.load(plan, skip_bad_rows=True)
    text = account.failures.read_text("utf-8")
    again = folder.write("again.jsonl", text)
    with pytest.raises(BadInput, match=r'again\.jsonl row 1, .*field date: "x" is not a date'):
        ImportJob(read_plan(again)).check()
    account.failures.unlink()
    mended = folder.write("again.jsonl", text.replace('"date":"x"', '"date":"2026-01-01"'))
    assert (await account.load(read_plan(mended))).created == 1
    assert account.records("invoice")["i-7"]["total"] == 2.5


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        ('external_key = "{A}"', {"A": ""}),
        ('external_key = "x-{A}-{B}"', {"A": "1", "B": ""}),
        ('external_key = "{A}"', {"A": "\u200b"}),
        ('customer_id = "{A}"', {"A": "x"}),
        ('customer_id = "{A}{B}"', {"A": "1", "B": "x"}),
        ('memo = "{A}"', {"A": ["x"]}),
        ('memo = "{A} {B}"', {"A": ["x"], "B": "y"}),
        ('class_id = "{Security Code}"', {"Security Code": "x123"}),
        ('line_items = "{A}"', {"A": []}),
        ('line_items = "{A}"', {"A": [{"no_such": 1}]}),
        ('line_items = "{A} {B}"', {"A": [{"item_id": 1}], "B": 1}),
        ('memo = "{A}"', {"A": HALF}),
        ('date = "{A}"', {"A": "31.02.2026"}),
    ],
)
def test_what_was_bad_is_bad_in_the_failure_file_too(
    folder: Folder, field: str, cells: dict[str, Any]
) -> None:
    """Until somebody has mended it: nothing is lost, or made up, by writing it down."""
    name = field.partition(" ")[0]
    usual = {"customer_id": "1", "line_items": "[{ item_id = 1 }]"}
    usual.pop(name, None)
    lines = [f"{other} = {value}" for other, value in usual.items()]
    folder.write("a.jsonl", json.dumps(cells) + "\n")
    plan = folder.plan(
        '[[load]]\nobject = "invoice"\nfile = "a.jsonl"\n[load.fields]\n'
        + "\n".join([field, *lines])
    )
    load = plan.loads[0]
    (row,) = load.source.rows()
    assert isinstance(row, Row)
    bad = Preparer(load)(row)
    assert bad.problems
    held = InHand(0, 0, load, row, bad.key, bad.payload or None)
    found = failure_of(held, Verdict("not_sent", error=UsageError("x")))
    again = folder.write("again.jsonl", found.text(held.identifiers) + "\n")
    assert "123" not in again.read_text("utf-8")
    with pytest.raises(BadInput):
        ImportJob(read_plan(again)).check()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{"object": "invoice.line_items", "data": null}', "'invoice.line_items' cannot be import"),
        ('{"data": {"company": "A"}}', "None cannot be imported by itself"),
        ('{"object": "customer", "data": {"custom_1": "[masked]1111"}}', "put the true value in"),
        ("{", "not a JSON value"),
    ],
)
def test_entry_that_cannot_be_imported_is_told_once(
    folder: Folder, entry: str, message: str
) -> None:
    """No entry of a failure file is passed over in silence."""
    good = '{"object": "customer", "data": {"company": "A"}}\n'
    path = folder.write("again.jsonl", good + entry + "\n")
    with pytest.raises(BadInput, match=message) as caught:
        ImportJob(read_plan(path)).check()
    assert [problem.row for problem in caught.value.problems] == [2]


async def test_bad_rows_are_skipped_when_asked(folder: Folder, account: Account) -> None:
    """Bad rows, orphans, and what refers to bad rows are written down; the others are sent."""
    rows = {
        "customers_csv": "Id,Name\n1,A\n2\n3,C\n,D\n3,E\n",
        "invoices_csv": "Id,Customer,Date\n7,1,2026-01-01\n8,1,soon\n9,3,2026-01-02\n",
        "lines_csv": "Invoice,Rate\n7,1.00\n8,1.00\n9,x\n5,1.00\n",
    }
    summary = await account.load(folder.plan(BOTH, **rows), skip_bad_rows=True)
    assert (summary.operations, summary.created, summary.failed) == (9, 3, 6)
    assert adds_up(summary)
    assert {
        (failure["file"], failure["row"], failure["object"]) for failure in failures(account)
    } == {
        ("customers.csv", 3, "customer"),
        ("customers.csv", 5, "customer"),
        ("customers.csv", 6, "customer"),
        ("invoices.csv", 3, "invoice"),
        ("invoices.csv", 4, "invoice"),
        ("lines.csv", 5, "invoice.line_items"),
    }
    assert all(line["state"] == "not_sent" for line in failures(account))
    assert [line["row"] for line in failures(account) if line["data"] is None] == [3, 5]
    assert set(account.records("customer")) == {"c-1", "c-3"}
    assert account.records("customer")["c-3"]["company"] == "C"


async def test_bad_rows_stop_everything_before_the_first_request(
    folder: Folder, account: Account
) -> None:
    """Without being asked to skip them, nothing is sent, and no failure file is made."""
    before = len(account.sandbox.log)
    with pytest.raises(BadInput):
        await account.load(folder.plan(CUSTOMERS, customers_csv="Id,Name\n1,A\n1,B\n"))
    assert len(account.sandbox.log) == before
    assert not account.failures.exists()


async def test_parents_in_the_same_file_are_there_first(folder: Folder, account: Account) -> None:
    """Leaf before root in the file, root before leaf on the wire."""
    plan = CUSTOMERS + 'parent_customer_external_key = "{Parent}"\n'
    rows = "Id,Name,Parent\n1,leaf,c-2\n2,mid,c-3\n3,top,\n"
    summary = await account.load(folder.plan(plan, customers_csv=rows))
    assert (summary.created, summary.failed) == (3, 0)
    found = account.records("customer")
    assert found["c-1"]["parent_customer_id"] == found["c-2"]["customer_id"]
    assert found["c-2"]["parent_customer_id"] == found["c-3"]["customer_id"]


async def test_lost_answer_of_a_row_without_a_key_is_unknown(
    folder: Folder, account: Account
) -> None:
    """It may have happened; it is counted as unknown, not as failed, and not sent again."""
    account.sandbox.faults.script([None, "lost"])
    summary = await account.load(folder.plan(NO_KEYS, a_csv="Name\nA\nB\n"))
    assert (summary.created, summary.failed, summary.unknown) == (0, 0, 2)
    assert {failure["state"] for failure in failures(account)} == {"unknown"}
    assert account.sandbox.store.count("customer") == 2


async def test_lost_answer_of_a_row_with_a_key_is_looked_up(
    folder: Folder, account: Account
) -> None:
    """With keys a lost answer costs requests and nothing else."""
    account.sandbox.faults.script([None, "lost"])
    summary = await account.load(folder.plan(CUSTOMERS, customers_csv=GOOD["customers_csv"]))
    assert (summary.created, summary.failed, summary.unknown) == (2, 0, 0)
    assert account.sandbox.store.count("customer") == 2


async def test_stop_on_failure_takes_up_no_further_row(folder: Folder, account: Account) -> None:
    """What is under way is finished and counted; the rest is not reached, and says so."""
    await account.co.customers.create(company="taken", external_key="c-0")
    plan = folder.plan(BOTH, **{**GOOD, "customers_csv": many(1000)})
    summary = await account.load(plan, stop_on_failure=True)
    assert summary.failed == 1
    assert summary.created <= 200
    assert summary.not_reached >= 800
    assert adds_up(summary)
    assert summary.stopped.startswith("customers.csv row 2 was refused: A customer already exists")
    assert account.sandbox.store.count("customer") == 1 + summary.created


async def test_wrong_credentials_stop_at_the_first_request(
    folder: Folder, account: Account
) -> None:
    """One request, one error, nothing imported, no failure file."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(1000))
    async with ChargeOver(account.sandbox.url, "wrong", "wrong", limiter=NoLimit()) as co:
        with pytest.raises(AuthFailed):
            await ImportJob(plan, failures=account.failures).run(co)
        assert co.stats.requests == 1
    assert account.sandbox.store.count("customer") == 0
    assert not account.failures.exists()


async def test_unreachable_server_stops_at_the_first_request(
    folder: Folder, account: Account
) -> None:
    """A client that gives up soon may make the first contact in place of the patient one."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(30))
    await account.sandbox.stop()
    hasty = RetryPolicy(attempts=1)
    async with ChargeOver(account.sandbox.url, "a", "b", limiter=NoLimit(), retry=hasty) as contact:
        with pytest.raises(ConnectFailed):
            await ImportJob(plan, failures=account.failures).run(account.co, contact=contact)


async def test_file_that_changes_between_the_readings_stops_the_job(
    folder: Folder, account: Account
) -> None:
    """What was checked is not what would be sent."""
    job = ImportJob(folder.plan(CUSTOMERS, customers_csv=many(3)), failures=account.failures)
    job.check()
    folder.write("customers.csv", many(4))
    os.utime(folder.path / "customers.csv", ns=(1, 1))
    summary = await job.run(account.co)
    assert (summary.created, summary.not_reached) == (0, 3)
    assert summary.stopped.endswith("customers.csv changed after it was checked")


async def test_cancelled_import_accounts_for_the_rows_under_way(
    folder: Folder, account: Account
) -> None:
    """After a cancellation every row handed over is in the counts, and unknown ones in the file."""
    plan = folder.plan(NO_KEYS, a_csv="Name\n" + "x\n" * 500)
    job = ImportJob(plan, failures=account.failures)
    settled = asyncio.Event()
    task = asyncio.create_task(job.run(account.co, observe=lambda _: settled.set()))
    await settled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    summary = job.summary()
    assert adds_up(summary)
    assert summary.stopped.startswith("interrupted")
    there = account.sandbox.store.count("customer")
    assert summary.created <= there <= summary.created + summary.unknown


async def test_observer_that_fails_is_logged_and_the_import_goes_on(
    folder: Folder, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken progress bar loses no record."""

    def broken(_: Progress) -> None:
        raise RuntimeError("no terminal")

    job = ImportJob(folder.plan(CUSTOMERS, customers_csv=many(2)), failures=account.failures)
    with caplog.at_level(logging.ERROR, "chargeover_async.migrate"):
        summary = await job.run(account.co, observe=broken)
    assert summary.created == 2
    assert "the observer of an import failed" in caplog.text


async def test_observer_sees_every_row(folder: Folder, account: Account) -> None:
    """Counts grow by one; requests are those of this import."""
    seen: list[Progress] = []
    job = ImportJob(folder.plan(CUSTOMERS, customers_csv=many(60)), failures=account.failures)
    await job.run(account.co, observe=seen.append)
    assert [progress.settled for progress in seen] == list(range(1, 61))
    assert seen[-1].requests == 4


async def test_existing_failure_file_is_refused_before_anything_is_sent(
    folder: Folder, account: Account
) -> None:
    """The failures of the last run are not lost to the next."""
    account.failures.write_text("precious\n")
    before = len(account.sandbox.log)
    with pytest.raises(UsageError, match="holds the failures of an earlier import"):
        await account.load(folder.plan(CUSTOMERS, customers_csv=many(2)))
    assert len(account.sandbox.log) == before


async def test_summary_before_anything_is_zero(folder: Folder) -> None:
    """A job can always be asked."""
    plan = folder.plan(CUSTOMERS, customers_csv=many(2))
    assert ImportJob(plan).summary() == Summary(operations=0)


@pytest.mark.parametrize("with_journal", [False, True])
async def test_a_bad_duplicate_does_not_stand_for_the_good_row(
    folder: Folder, account: Account, *, with_journal: bool
) -> None:
    """Keys 1, 2, 1: the invoices of 1 are those of the first, also in a run that goes on."""
    plan = folder.plan(
        CUSTOMERS + INVOICES,
        customers_csv="Id,Name\n1,A\n2,B\n1,C\n",
        invoices_csv="Id,Customer,Date\n7,1,2026-01-01\n8,2,2026-01-01\n9,1,2026-01-01\n",
        lines_csv="Invoice,Rate\n7,1.00\n8,1.00\n9,1.00\n",
    )
    journal = account.journal if with_journal else None
    if with_journal:  # the first run ends before the invoices
        account.sandbox.faults.script([None, None, *["503"] * 30])
        await account.load(plan, skip_bad_rows=True, journal=journal)
        account.sandbox.faults.clear()
    summary = await account.load(plan, skip_bad_rows=True, journal=journal)
    assert (summary.created, summary.failed) == (5, 1)
    held = account.records("customer")
    assert held["c-1"]["company"] == "A"
    for key, customer in (("i-7", "c-1"), ("i-8", "c-2"), ("i-9", "c-1")):
        invoice = account.records("invoice")[key]
        assert invoice["customer_id"] == held[customer]["customer_id"]


@pytest.mark.parametrize("with_journal", [False, True])
async def test_keys_are_kept_and_secrets_masked_in_all_that_is_written(
    folder: Folder, account: Account, tmp_path: Path, *, with_journal: bool
) -> None:
    """A key that passes for a card is written as it is; a card in a text, or its column, is not."""
    key, card, code = "4000000000000002", "5500000000000004", "secret-code"
    plan = folder.plan(
        CUSTOMERS.replace("c-{Id}", "{Id}") + 'custom_1 = "{Note}"\nno_taxes = "{Security Code}"\n',
        customers_csv="Id,Name,Note,Security Code\n"
        f"{key},A,paid with {card},1\n{key}1,B,,{code}\n{key},C {card},,0\n{key}2,D,,1\n",
    )
    account.sandbox.store.seed("customer", {"company": "Z", "external_key": key})
    results = tmp_path / "results.csv"
    journal = account.journal if with_journal else None
    job = ImportJob(
        plan, skip_bad_rows=True, failures=account.failures, results=results, journal=journal
    )
    with pytest.raises(BadInput) as bad:
        ImportJob(plan).check()
    summary = await job.run(account.co)
    assert (summary.created, summary.failed) == (1, 3)
    lines = failures(account)
    assert {line["key"] for line in lines} == {key, f"{key}1"}
    assert {line["source"]["Id"] for line in lines} == {key, f"{key}1"}
    (duplicate,) = [line for line in lines if line["source"]["Name"].startswith("C")]
    assert f'the key "{key}" is taken' in duplicate["message"]
    assert duplicate["source"]["Name"] == "C [masked]0004"
    (sent,) = [line for line in lines if line["row"] == 2]
    assert sent["data"]["external_key"] == key
    assert sent["data"]["custom_1"] == "paid with [masked]0004"
    written = [str(bad.value), account.failures.read_text("utf-8")]
    if with_journal:
        assert {row.key for row in read_rows(account.journal)} == {key, f"{key}1", f"{key}2"}
        written += [str(row) for row in read_rows(account.journal)]
        written.append(account.journal.read_bytes().decode("latin-1"))
    for text in written:
        assert key in text
        assert card not in text
        assert code not in text


@pytest.mark.parametrize("with_journal", [False, True])
async def test_half_a_character_spoils_its_row_alone(
    folder: Folder, account: Account, *, with_journal: bool
) -> None:
    """In a key, a text, a name, a column that nobody asked for, or a pair of columns that match."""
    rows = [
        {"Id": "1", "Name": "A", "Other": HALF, HALF: 1},
        {"Id": HALF, "Name": "B"},
        {"Id": "3", "Name": HALF},
        {"Id": HALF, "Name": HALF},
        {"Id": "5", "Name": [HALF]},
    ]
    lines = [{"Invoice": HALF, "Rate": 1}, {"Invoice": "7", "Rate": 1}]
    for name, entries in (("customers", rows), ("lines", lines)):
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        folder.write(f"{name}.jsonl", text)
    text = BOTH.replace("customers.csv", "customers.jsonl").replace("lines.csv", "lines.jsonl")
    plan = folder.plan(text, invoices_csv="Id,Customer,Date\n7,1,2026-01-01\n")
    with pytest.raises(BadInput) as bad:
        ImportJob(plan).check()
    assert {problem.row for problem in bad.value.problems} == {1, 2, 3, 4, 5}
    str(bad.value).encode()
    summary = await account.load(
        plan, skip_bad_rows=True, journal=account.journal if with_journal else None
    )
    assert (summary.created, summary.failed) == (2, 5)
    assert len(failures(account)) == 5
    found = [line["source"] for line in failures(account) if line["object"] == "customer"]
    assert found[0] == {"Id": "a\\ud83d", "Name": "B"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a name in Latin-1, where the system says UTF-8."""
    found = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    found.mkdir()
    return found


async def test_names_that_are_no_text_are_written_as_escapes(place: Path, account: Account) -> None:
    """Of a folder, the plan and its files."""
    folder = Folder(place)
    name = os.fsdecode(b"caf\xe9.csv")
    folder.write(name, "Id,Name\n1,A\n,B\n")
    plan = folder.plan(CUSTOMERS)
    source = msgspec.structs.replace(plan.loads[0].source, held=Held(place / name))
    load = msgspec.structs.replace(plan.loads[0], source=source)
    plan = Plan(place / os.fsdecode(b"caf\xe9.toml"), (load,))
    journal, failed = place / "j", place / "f.jsonl"
    options = {"skip_bad_rows": True, "journal": journal, "failures": failed}
    summary = await account.load(plan, **options, results=place / "r.csv")
    assert (summary.created, summary.failed) == (1, 1)
    again = await account.load(plan, **options)
    assert (again.before, again.loads[0].file) == (2, "caf\\udce9.csv")
    for text in (summary.json(), read_state(journal).path, failed.read_text("utf-8")):
        assert "caf\\" in text


async def test_many_bad_rows_in_a_row_stop_nothing(folder: Folder, account: Account) -> None:
    """The good ones behind them are sent, and every row has its line."""
    rows = "Id,Name\n" + "".join(f"{number % 3},N\n" for number in range(700)) + "9,last\n"
    summary = await account.load(folder.plan(CUSTOMERS, customers_csv=rows), skip_bad_rows=True)
    assert (summary.created, summary.failed, summary.stopped) == (4, 697, "")
    assert len(failures(account)) == 697


async def test_parents_go_first_whatever_is_to_be_done_with_unknown_references(
    folder: Folder, account: Account
) -> None:
    """A child that stands before its parent, or hundreds of rows from it, is sent behind it."""
    plan = folder.plan(
        CUSTOMERS.replace("[load.fields]", 'unknown_references = "send"\n[load.fields]')
        + 'parent_customer_external_key = "c-{Parent}"\n',
        customers_csv="Id,Name,Parent\n1,child,400\n"
        + "".join(f"{number},N,\n" for number in range(2, 400))
        + "400,parent,401\n401,grandparent,\n",
    )
    summary = await account.load(plan)
    assert (summary.created, summary.failed) == (401, 0)
    held = account.records("customer")
    assert held["c-1"]["parent_customer_id"] == held["c-400"]["customer_id"]
    assert held["c-400"]["parent_customer_id"] == held["c-401"]["customer_id"]


def test_words_of_the_server_are_masked_where_they_are_kept(folder: Folder) -> None:
    """It may say again what it was sent; the journal and the failure file are there to stay."""
    card = "5500000000000004"
    told = Told(journal := Kept(), lambda _: Verdict("refused"), wants_lines=True)  # type: ignore[arg-type]
    load = folder.plan(CUSTOMERS, customers_csv="Id,Name\n1,A\n").loads[0]
    row = InHand(0, 0, load, Row(2, {"Id": "1", "Name": "A"}), "c-1", {"company": "A"})
    for became in ("refused", "unknown", "not_sent"):
        told.not_sent(row, Verdict(became, error=BadRequest(f"no: {card}")))  # type: ignore[arg-type]
    for entry in journal.entries:
        assert "no: [masked]0004" in (entry.message or "")
        assert card not in (entry.line or "")


class Kept:
    """Takes what a journal is told."""

    def __init__(self) -> None:
        self.entries: list[Settled] = []

    def settled(self, entries: Iterable[Settled]) -> None:
        self.entries += entries
