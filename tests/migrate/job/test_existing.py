"""What becomes of rows whose key is taken: fail, pass, compare or update."""

from __future__ import annotations

import json

import pytest
from support.import_world import CUSTOMERS, INVOICES, Account, Folder

from chargeover_async.errors import UsageError
from chargeover_async.migrate import ImportJob

BOTH = CUSTOMERS + INVOICES
FILES = {
    "customers_csv": "Id,Name\n1,same\n2,other\n3,new\n",
    "invoices_csv": "Id,Customer,Date\n7,1,2026-01-01\n8,2,2026-01-02\n9,3,2026-01-03\n",
    "lines_csv": "Invoice,Rate\n7,1\n8,1\n9,1\n",
}


async def taken(account: Account) -> None:
    """Two of three customers are there, one with another name."""
    await account.co.customers.create(company="same", external_key="c-1")
    await account.co.customers.create(company="held", external_key="c-2")


@pytest.mark.parametrize("journal", [False, True])
async def test_continue_compares_and_sends_what_refers(
    folder: Folder, account: Account, *, journal: bool
) -> None:
    """Same values: existing, with its id. Others: a failure that names them. Invoices go out."""
    await taken(account)
    results = folder.path / "results.csv"
    summary = await account.load(
        folder.plan(BOTH, **FILES),
        continue_on_existing=True,
        results=results,
        journal=account.journal if journal else None,
    )
    assert (summary.existing, summary.failed, summary.created) == (1, 1, 4)
    (failure,) = map(json.loads, account.failures.read_text("utf-8").splitlines())
    assert failure["key"] == "c-2"
    assert "holds other values: company is 'held', not 'other'" in failure["message"]
    assert set(account.records("invoice")) == {"i-7", "i-8", "i-9"}
    assert account.records("customer")["c-2"]["company"] == "held"
    rows = results.read_text("utf-8").splitlines()
    identity = account.records("customer")["c-1"]["customer_id"]
    assert f"customer,c-1,{identity},existing,customers.csv,2" in rows


@pytest.mark.parametrize("journal", [False, True])
async def test_update_creates_or_changes(
    folder: Folder, account: Account, *, journal: bool
) -> None:
    """By key; what is as the row says is left, and a second run finds all of it so."""
    await taken(account)
    plan = folder.plan(BOTH, **FILES)
    path = account.journal if journal else None
    summary = await account.load(plan, update=True, journal=path)
    assert (summary.created, summary.updated, summary.existing, summary.failed) == (4, 1, 1, 0)
    assert {key: record["company"] for key, record in account.records("customer").items()} == {
        "c-1": "same",
        "c-2": "other",
        "c-3": "new",
    }
    assert account.sandbox.store.count("customer") == 3
    summary = await account.load(plan, update=True)
    assert (summary.existing, summary.operations) == (6, 6)


async def test_a_change_of_few_rows_sends_what_differs_too(
    folder: Folder, account: Account
) -> None:
    """They are not read first: each is refused, looked up, and changed in that alone."""
    await account.co.customers.create(company="old", external_key="c-1", custom_1="mine")
    plan = folder.plan(CUSTOMERS + 'custom_1 = "mine"\n', customers_csv="Id,Name\n1,new\n")
    sent: list[object] = []
    update = type(account.co.customers).update

    def note(resource: object, target: object, **fields: object) -> object:
        sent.append(fields)
        return update(resource, target, **fields)  # type: ignore[arg-type] # as it came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(account.co.customers), "update", note)
        summary = await account.load(plan, update=True)
    assert (summary.updated, sent) == (1, [{"company": "new"}])


async def test_update_of_more_rows_than_are_under_way_at_a_time(
    folder: Folder, account: Account
) -> None:
    """The changes travel between the rows that are still to come, 25 in a request."""
    rows = "Id,Name\n" + "".join(f"{n},N{n}\n" for n in range(3_000))
    plan = folder.plan(CUSTOMERS, customers_csv=rows)
    await account.load(plan)
    plan = folder.plan(CUSTOMERS, customers_csv=rows.replace("N", "M").replace("Mame", "Name"))
    before = account.co.stats.requests
    summary = await account.load(plan, update=True, read_first=False)
    assert (summary.updated, summary.failed) == (3_000, 0)
    # A create that is refused, a look-up and a change for each row.
    assert account.co.stats.requests - before <= 1.2 * 3 * 3_000 / 25


async def test_update_leaves_out_what_cannot_be_changed(folder: Folder, account: Account) -> None:
    """`brand_id` is for new customers only; an item has no update and is compared."""
    plan = """
[[load]]
object = "customer"
file = "a.csv"
[load.fields]
external_key = "{Id}"
company = "{Name}"
brand_id = 1
[[load]]
object = "item"
file = "a.csv"
[load.fields]
external_key = "{Id}"
name = "{Name}"
"""
    await account.co.customers.create(company="old", external_key="1")
    await account.co.items.create(name="N", external_key="1")
    summary = await account.load(folder.plan(plan, a_csv="Id,Name\n1,N\n"), update=True)
    assert (summary.updated, summary.existing, summary.failed) == (1, 1, 0)
    assert account.records("customer")["1"]["company"] == "N"


def test_only_one_way_can_be_chosen(folder: Folder) -> None:
    """They contradict each other."""
    plan = folder.plan(CUSTOMERS, customers_csv="Id,Name\n")
    with pytest.raises(UsageError, match="only one of"):
        ImportJob(plan, update=True, allow_existing=True)


async def test_results_without_a_journal(folder: Folder, account: Account) -> None:
    """Whole or not there; an existing file is not overwritten."""
    results = folder.path / "results.csv"
    plan = folder.plan(CUSTOMERS, customers_csv="Id,Name\n1,A\n")
    await account.load(plan, results=results)
    identity = account.records("customer")["c-1"]["customer_id"]
    assert results.read_text("utf-8").splitlines() == [
        "object,external_key,id,state,file,row",
        f"customer,c-1,{identity},created,customers.csv,2",
    ]
    assert [path.name for path in folder.path.glob("results*")] == ["results.csv"]
    before = len(account.sandbox.log)
    with pytest.raises(UsageError, match="move it away or name another results file"):
        await account.load(plan, results=results)
    assert len(account.sandbox.log) == before


def test_preview_is_what_will_be_sent(folder: Folder) -> None:
    """The first good rows of each file, with their lines."""
    shown = ImportJob(folder.plan(BOTH, **FILES)).preview(1)
    assert [(record.file, record.row, record.object) for record in shown] == [
        ("customers.csv", 2, "customer"),
        ("invoices.csv", 2, "invoice"),
    ]
    assert shown[1].data["customer_external_key"] == "c-1"
    assert len(shown[1].data["line_items"]) == 1
