"""A second run of an import: what is there is read, and only what differs is sent."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.import_world import CUSTOMERS, INVOICES, Account, Folder

from chargeover_async import ChargeOver, ExternalKey
from chargeover_async.errors import BadRequest
from chargeover_async.export.reader import Reader
from chargeover_async.limits import NoLimit
from chargeover_async.migrate.difference.held import Held
from chargeover_async.migrate.job.first import read_stage
from chargeover_async.retry import RetryPolicy
from chargeover_async.sandbox import Faults, Sandbox, Variant

TAGGED = CUSTOMERS + 'tags = ["{Tag}"]\n'
MODES = ("allow_existing", "continue_on_existing", "update")


@asynccontextmanager
async def account_in(path: Path, **options: Any) -> AsyncIterator[Account]:
    patient = RetryPolicy(attempts=20, base_s=0, cap_s=0, budget=10_000)
    async with (
        Sandbox(quota=None, keep_bodies=True, max_log=100_000, **options) as sandbox,
        ChargeOver(
            sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit(), retry=patient
        ) as co,
    ):
        sandbox.store.seed("item", {"item_id": 1, "name": "the item with id 1"})
        yield Account(sandbox, co, path)


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    async with account_in(tmp_path) as found:
        yield found


def writes(account: Account, since: int = 0) -> list[dict[str, Any]]:
    """Every item that was to change something, with its payload."""
    found: list[dict[str, Any]] = []
    for entry in list(account.sandbox.log)[since:]:
        body = json.loads(entry.body) if entry.body else None
        if entry.path.endswith("/_bulk"):
            found += [item for item in body if item["request_method"] != "GET"]
        elif entry.method != "GET":
            found.append({"request_method": entry.method, "uri": entry.path, "payload": body})
    return found


def table(names: dict[int, str], tag: str = "") -> str:
    rows = "".join(f"{n},{name},{tag}\n" for n, name in names.items())
    return f"Id,Name,Tag\n{rows}"


@pytest.mark.parametrize("mode", MODES)
async def test_unchanged_rows_cost_their_reading(
    folder: Folder, account: Account, mode: str
) -> None:
    """3,000 records, seven pages: nothing is written."""
    plan = folder.plan(CUSTOMERS, customers_csv=table({n: f"N{n}" for n in range(3_000)}))
    await account.load(plan)
    before = len(account.sandbox.log)
    summary = await account.load(plan, **{mode: True})
    assert (summary.existing, summary.failed, summary.created) == (3_000, 0, 0)
    assert writes(account, before) == []
    assert summary.requests <= 7


async def test_only_what_is_new_or_differs_is_sent(folder: Folder, account: Account) -> None:
    """30 changed and 15 new of 3,015: two requests, each change with its one field."""
    names = {n: f"N{n}" for n in range(3_000)}
    await account.load(folder.plan(CUSTOMERS, customers_csv=table(names)))
    names.update({n: f"M{n}" for n in range(0, 3_000, 100)})
    names.update({n: f"N{n}" for n in range(3_000, 3_015)})
    before = len(account.sandbox.log)
    plan = folder.plan(CUSTOMERS, customers_csv=table(names))
    results = folder.path / "results.csv"
    summary = await account.load(plan, update=True, results=results)
    assert (summary.updated, summary.created, summary.existing) == (30, 15, 2_970)
    assert summary.requests <= 1.1 * (5 + 1 + 45 / 25) + 1
    found = writes(account, before)
    assert len(found) == 45
    for item in found:
        if item["request_method"] == "PUT":
            assert set(item["payload"]) == {"company"}
    assert {key: record["company"] for key, record in account.records("customer").items()} == {
        f"c-{n}": name for n, name in names.items()
    }
    assert len(results.read_text("utf-8").splitlines()) == 3_016


async def test_what_lists_leave_out_is_read_by_itself(folder: Folder, account: Account) -> None:
    """A customer's tags: those that changed are sent, the others are known to be equal."""
    names = {n: f"N{n}" for n in range(200)}
    await account.load(folder.plan(TAGGED, customers_csv=table(names, "old")))
    before = len(account.sandbox.log)
    rows = table(names, "old").replace("7,N7,old", "7,N7,new").replace("9,N9,old", "9,M9,old")
    plan = folder.plan(TAGGED, customers_csv=rows)
    summary = await account.load(plan, update=True)
    changed = {n for n in names if n % 10 == 7 or n % 10 == 9} & {
        n for n in names if f"\n{n},N{n},old" not in rows
    }
    assert (summary.updated, summary.existing) == (len(changed), 200 - len(changed))
    sent = [item["payload"] for item in writes(account, before)]
    assert {"tags": ["new"]} in sent
    assert {"company": "M9"} in sent
    before = len(account.sandbox.log)
    summary = await account.load(plan, update=True)
    assert (summary.updated, summary.existing) == (0, 200)
    assert writes(account, before) == []


async def test_invoices_are_compared_by_owner_and_lines(folder: Folder, account: Account) -> None:
    """By what the keys name and by each line; a line that changed is sent, an owner cannot be."""
    ids = range(40)
    files = {
        "customers_csv": table({n: f"N{n}" for n in ids}),
        "invoices_csv": "Id,Customer,Date\n" + "".join(f"{n},{n},2026-01-01\n" for n in ids),
        "lines_csv": "Invoice,Rate\n" + "".join(f"{n},{n}.50\n{n},1\n" for n in ids),
    }
    await account.load(folder.plan(CUSTOMERS + INVOICES, **files))
    before = len(account.sandbox.log)
    for mode in ("continue_on_existing", "update"):
        summary = await account.load(folder.plan(CUSTOMERS + INVOICES, **files), **{mode: True})
        assert (summary.existing, summary.failed) == (80, 0)
    assert writes(account, before) == []
    files["lines_csv"] = files["lines_csv"].replace("\n3,3.50", "\n3,9.99")
    files["invoices_csv"] = files["invoices_csv"].replace("\n5,5,", "\n5,6,")
    plan = folder.plan(CUSTOMERS + INVOICES, **files)
    summary = await account.load(plan, continue_on_existing=True)
    assert (summary.existing, summary.failed) == (78, 2)
    lines = account.failures.read_text("utf-8").splitlines()
    failures = {failure["key"]: failure for failure in map(json.loads, lines)}
    assert "holds other values: line_items is" in failures["i-3"]["message"]
    assert "holds other values: customer_external_key is" in failures["i-5"]["message"]
    before = len(account.sandbox.log)
    summary = await account.load(plan, update=True, failures=folder.path / "more.jsonl")
    assert (summary.updated, summary.existing, summary.failed) == (1, 79, 0)
    (item,) = writes(account, before)
    assert set(item["payload"]) == {"line_items"}


async def test_a_record_that_went_is_created_and_one_that_came_is_compared(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and sending the account is somebody else's, too."""
    async with account_in(tmp_path, variant=Variant(deleted_keys="freed")) as account:
        names = {n: f"N{n}" for n in range(100)}
        await account.load(folder.plan(CUSTOMERS, customers_csv=table(names)))
        renamed = {n: f"M{n}" for n in range(101)}
        plan = folder.plan(CUSTOMERS, customers_csv=table(renamed))

        async def meddle(*args: Any) -> None:
            await read_stage(*args)
            await account.co.customers.delete(ExternalKey("c-5"))
            await account.co.customers.create(external_key="c-100", company="other")

        monkeypatch.setattr("chargeover_async.migrate.job.job.read_stage", meddle)
        summary = await account.load(plan, update=True)
        assert (summary.updated, summary.created, summary.failed) == (100, 1, 0)
        assert {key: record["company"] for key, record in account.records("customer").items()} == {
            f"c-{n}": name for n, name in renamed.items()
        }


async def test_what_was_read_long_ago_is_looked_up_again(folder: Folder, account: Account) -> None:
    """A change is made by what the record is now; what is equal is left."""
    names = {n: f"N{n}" for n in range(100)}
    await account.load(folder.plan(CUSTOMERS, customers_csv=table(names)))
    names[3] = "M3"
    times = iter(range(0, 10**9, 100))
    summary = await account.load(
        folder.plan(CUSTOMERS, customers_csv=table(names)),
        update=True,
        max_age_s=60,
        clock=lambda: float(next(times)),
    )
    assert (summary.updated, summary.existing) == (1, 99)
    asked = [item for entry in account.sandbox.log for item in entry.items]
    assert sum("external_key:c-3" in item.uri for item in asked) >= 2


@pytest.mark.parametrize(
    "variant",
    [
        Variant(accept_query=False),
        Variant(stop_after_failure="skip"),
        Variant(stop_after_failure="truncate"),
    ],
    ids=["no queries in _bulk", "skip", "truncate"],
)
async def test_whatever_the_server_does_the_end_is_the_same(
    folder: Folder, tmp_path: Path, variant: Variant
) -> None:
    """Pages go alone, or the rest of a batch is not run: the account is what the files say."""
    async with account_in(tmp_path, variant=variant) as account:
        names = {n: f"N{n}" for n in range(2_000)}
        await account.load(folder.plan(CUSTOMERS, customers_csv=table(names)))
        names.update({n: f"M{n}" for n in range(0, 2_000, 50)})
        before = len(account.sandbox.log)
        plan = folder.plan(CUSTOMERS, customers_csv=table(names))
        summary = await account.load(plan, update=True)
        assert (summary.updated, summary.existing) == (40, 1_960)
        assert len(writes(account, before)) == 40
        assert summary.requests <= 4 + math.ceil(2_000 / 500) + 4


async def test_lost_answers_and_429_change_nothing_but_the_requests(
    folder: Folder, tmp_path: Path
) -> None:
    """5 % lost, 2 % throttled: no record is written twice with the same values."""
    faults = Faults(seed=3)
    async with account_in(tmp_path, faults=faults) as account:
        names = {n: f"N{n}" for n in range(2_000)}
        await account.load(folder.plan(CUSTOMERS, customers_csv=table(names)))
        names.update({n: f"M{n}" for n in range(0, 2_000, 3)})
        faults.set_rates({"lost": 0.05, "429": 0.02})
        plan = folder.plan(CUSTOMERS, customers_csv=table(names))
        journal = folder.path / "again.journal"
        summary = await account.load(plan, update=True, journal=journal)
        faults.set_rates({})
        assert (summary.failed, summary.unknown, summary.not_reached) == (0, 0, 0)
        assert (summary.updated, summary.existing) == (667, 1_333)
        assert {record["company"] for record in account.records("customer").values()} == {
            *names.values()
        }


async def test_a_full_disk_leaves_more_unknown_and_nothing_undone(
    folder: Folder, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be kept is not known: every row is sent."""
    plan = folder.plan(CUSTOMERS, customers_csv=table({n: f"N{n}" for n in range(60)}))
    await account.load(plan)
    make = Held.__init__

    def small(self: Held) -> None:
        make(self)
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA max_page_count = 2")

    monkeypatch.setattr(Held, "__init__", small)
    summary = await account.load(plan, update=True)
    assert (summary.existing, summary.failed) == (60, 0)


async def test_a_list_that_cannot_be_read_is_done_without(
    folder: Folder, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then every row is sent, as if nothing had been read; the end is the same."""
    names = {n: f"N{n}" for n in range(60)}
    plan = folder.plan(CUSTOMERS, customers_csv=table(names))
    await account.load(plan)

    async def refuse(self: Reader) -> AsyncIterator[Any]:
        raise BadRequest("You cannot filter by: customer_id.", status=400)
        yield

    monkeypatch.setattr(Reader, "pages", refuse)
    monkeypatch.setattr(
        "chargeover_async.migrate.difference.reading.Asker.get_many",
        lambda *_: (_ for _ in ()).throw(BadRequest("no", status=400)),
    )
    summary = await account.load(plan, continue_on_existing=True)
    assert (summary.existing, summary.failed) == (60, 0)


ROW = st.fixed_dictionaries(
    {
        "Name": st.sampled_from(["A", "B", ""]),
        "Mail": st.sampled_from(["a@example.com", "b@example.com", ""]),
        "City": st.sampled_from(["", "X", "Y "]),
        "Tag": st.sampled_from(["", "s", "t"]),
        "Free": st.sampled_from(["yes", "no", ""]),
    }
)
PLAN = """
[[load]]
object = "customer"
file = "rows.csv"
[load.fields]
external_key = "c-{Id}"
company = "{Name}"
superuser_email = "{Mail}"
bill_city = "{City}"
tags = ["{Tag}"]
no_taxes = "{Free}"
"""
FIELDS = {
    "Name": "company",
    "Mail": "superuser_email",
    "City": "bill_city",
    "Tag": "tags",
    "Free": "no_taxes",
}


def csv_of(rows: dict[int, dict[str, str]]) -> str:
    head = ["Id", *FIELDS]
    lines = [",".join([str(n), *(row[name] for name in FIELDS)]) for n, row in rows.items()]
    return "\n".join([",".join(head), *lines]) + "\n"


def apply(held: dict[str, dict[str, Any]], rows: dict[int, dict[str, str]]) -> None:
    """The naive model: what a row says is set, what it leaves empty stays."""
    for number, row in rows.items():
        record = held.setdefault(f"c-{number}", {})
        for column, field in FIELDS.items():
            if row[column].strip():
                value: Any = row[column]
                record[field] = [value] if field == "tags" else value
                if field == "no_taxes":
                    record[field] = value == "yes"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(st.integers(0, 60), ROW, min_size=26),
    st.dictionaries(st.integers(0, 60), ROW, min_size=26),
    st.booleans(),
)
def test_applying_the_difference_gives_what_a_naive_model_gives(
    tmp_path: Path, first: dict[int, Any], second: dict[int, Any], by_keys: bool
) -> None:
    """And a second run sends nothing but reads."""

    async def main() -> None:
        folder = Folder(tmp_path)
        async with account_in(tmp_path) as account:
            if by_keys:  # many others: asking for the keys takes fewer requests
                for number in range(300):
                    account.sandbox.store.seed("customer", {"company": f"other {number}"})
            held: dict[str, dict[str, Any]] = {}
            for rows in (first, second):
                apply(held, rows)
                plan = folder.plan(PLAN, rows_csv=csv_of(rows))
                summary = await account.load(plan, update=True)
                assert (summary.failed, summary.unknown) == (0, 0)
                records = account.records("customer")
                records.pop(None, None)  # type: ignore[call-overload]
                assert set(records) == set(held)
                for key, fields in held.items():
                    single = account.sandbox.store.find(
                        "customer", int(str(records[key]["customer_id"]))
                    )
                    assert {name: single[name] for name in fields} == fields
            before = len(account.sandbox.log)
            summary = await account.load(plan, update=True)
            assert writes(account, before) == []
            assert summary.existing == len(second)

    asyncio.run(main())
