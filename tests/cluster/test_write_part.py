"""The sink: every row once, whatever the engine does, and every row counted."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from support.cluster_world import account, connect_to, customers, keys
from support.waiting import until

from chargeover_async import (
    AuthFailed,
    ChargeOver,
    ChargeOverError,
    ConnectFailed,
    Outcome,
    OutcomeUnknown,
    ServerError,
    UsageError,
)
from chargeover_async._wire.envelope import error_of
from chargeover_async.cluster import Connect, PartReport, check_columns, write_part
from chargeover_async.cluster.rows import RowMaker
from chargeover_async.cluster.write import _is_refusal
from chargeover_async.sandbox import Faults
from chargeover_async.sandbox.http.faults import KINDS


async def write(rows: Any, connect: Connect, object_name: str = "customer", **options: Any):
    """`write_part`, which blocks, beside the sandbox's loop."""
    options = {"attempt": 0} | options
    return await asyncio.to_thread(write_part, rows, object_name, connect, **options)


def counts(report: PartReport) -> tuple[int, int, int, int]:
    assert report.created + report.updated + report.existing + report.refused == report.rows
    return report.created, report.updated, report.existing, report.refused


async def test_rows_are_created_once_in_full_batches():
    async with account() as (sandbox, connect):
        report = await write(customers(400), connect)
        assert counts(report) == (400, 0, 0, 0)
        # 16 are full; how full they are depends on when the rows arrive, which a thread hands over.
        assert report.requests <= 32
        assert sorted(keys(sandbox)) == sorted(f"c-{number}" for number in range(400))


async def test_a_second_run_finds_everything():
    """A job that is run again is attempt 0 with everything existing."""
    async with account() as (sandbox, connect):
        await write(customers(60), connect)
        report = await write(customers(60), connect)
        assert counts(report) == (0, 0, 60, 0)
        assert len(keys(sandbox)) == 60


async def test_a_later_attempt_looks_up_first():
    """So that nothing that is there is created again: only the 50 that are absent go out."""
    async with account() as (sandbox, connect):
        await write(customers(100), connect)
        before = len(sandbox.log)
        looked_up = await write(customers(150), connect, attempt=1)
        sent = [item for entry in list(sandbox.log)[before:] for item in entry.items or [entry]]
        assert sum(item.method == "POST" for item in sent) == 50
        assert counts(looked_up) == (50, 0, 100, 0)
        assert looked_up.requests <= 16
        assert len(keys(sandbox)) == 150


@pytest.mark.parametrize("attempt", [0, 1])
async def test_a_record_with_other_values_refuses_its_row_and_no_other(attempt: int):
    """It is never called ours, and never raises: four attempts would end the same."""
    async with account() as (sandbox, connect):
        sandbox.store.seed("customer", {"external_key": "c-3", "company": "Somebody else"})
        report = await write(customers(6), connect, attempt=attempt)
        assert counts(report) == (5, 0, 0, 1)
        [failure] = report.refused_rows
        assert (failure.row, failure.key, failure.error) == (4, "c-3", "AlreadyExists")
        assert failure.data == {"external_key": "c-3", "company": "Company 3"}
        assert "Somebody else" in failure.message
        assert len(keys(sandbox)) == 6


@pytest.mark.parametrize("attempt", [0, 1])
async def test_what_a_record_does_not_show_is_never_taken_for_equal(attempt: int):
    """No invoice shows its tags: the row with them is refused and says so; lines are compared."""
    line = {"item_id": 1, "line_rate": Decimal("2.95"), "line_quantity": 1}
    rows = [
        {"external_key": f"i-{number}", "customer_external_key": "c-0", "line_items": [line]}
        for number in range(4)
    ]
    async with account() as (sandbox, connect):
        sandbox.store.seed("customer", {"external_key": "c-0", "company": "Acme"})
        sandbox.store.seed("item", {"item_id": 1, "name": "Hat"})
        await write(rows, connect, "invoice")
        rows[1] |= {"tags": ["a"]}
        rows[2] |= {"line_items": [line | {"line_rate": Decimal("3.95")}]}
        report = await write(rows, connect, "invoice", attempt=attempt)
        assert counts(report) == (0, 0, 2, 2)
        kept = {failure.key: failure.message for failure in report.refused_rows}
        assert "tags" in kept["i-1"]
        assert "line_items" in kept["i-2"]
        assert len(keys(sandbox, "invoice")) == 4


@pytest.mark.parametrize("attempt", [0, 1])
async def test_update_changes_what_is_there_to_what_the_row_says(attempt: int):
    """Lists, too, which no comparison sees."""
    async with account() as (sandbox, connect):
        sandbox.store.seed("customer", {"external_key": "c-3", "company": "Somebody else"})
        sandbox.store.seed("customer", {"external_key": "c-4", "company": "Company 4"})
        report = await write(
            customers(6, tags=["a"]), connect, attempt=attempt, existing="update", placed=True
        )
        assert counts(report) == (4, 2, 0, 0)
        held = {record["external_key"]: record for record in sandbox.store.records("customer")}
        assert {held[key]["company"] for key in ("c-3", "c-4")} == {"Company 3", "Company 4"}
        assert [held[f"c-{number}"]["tags"] for number in range(6)] == [["a"]] * 6
        assert {row.key: row.id for row in report.placed} == {
            key: record["customer_id"] for key, record in held.items()
        }


async def test_update_of_an_object_that_has_none_compares():
    async with account() as (sandbox, connect):
        sandbox.store.seed("item", {"external_key": "i-1", "name": "Hat"})
        rows = [{"external_key": "i-1", "name": "Hat"}, {"external_key": "i-2", "name": "Coat"}]
        report = await write(rows, connect, "item", existing="update")
        assert counts(report) == (1, 0, 1, 0)
        assert sorted(keys(sandbox, "item")) == ["i-1", "i-2"]


async def test_what_is_wrong_with_a_row_is_reported_and_not_sent():
    """Without a key, with a field that is none, with a value that is none, with no names at all."""
    rows: list[Any] = [
        {"company": "No key"},
        {"external_key": None, "company": "No key"},
        {"external_key": "  ", "company": "No key"},
        {"external_key": "c-1", "compani": "Acme"},
        {"external_key": "c-2", "company": "Acme", "custom_1": 1.5},
        {"external_key": "c-3", "company": object()},
        ["c-4"],
        {"external_key": 5, "company": "A whole number is a key"},
        {"external_key": 0.1, "company": "A float is none"},
    ]
    async with account() as (sandbox, connect):
        report = await write(rows, connect)
        kept = {failure.row: failure for failure in report.refused_rows}
        assert keys(sandbox) == ["5"]
        assert report.created == 1
        assert report.refused == len(rows) - 1
        assert sorted(kept) == [1, 2, 3, 4, 5, 6, 7, 9]
        assert kept[1].source == {"company": "No key"}
        assert "did you mean" in kept[4].message
        assert all(failure.state == "not_sent" for failure in kept.values())


async def test_what_the_api_refuses_is_reported():
    """A reference that is not there, among rows that are right."""
    rows = [
        {
            "external_key": f"i-{number}",
            "customer_external_key": "c-0" if number % 2 else "nobody",
            "line_items": [{"item_id": 1, "line_rate": Decimal("2.95")}],
        }
        for number in range(4)
    ]
    async with account() as (sandbox, connect):
        sandbox.store.seed("customer", {"external_key": "c-0", "company": "Acme"})
        sandbox.store.seed("item", {"item_id": 1, "name": "Hat"})
        report = await write(rows, connect, "invoice")
        assert counts(report) == (2, 0, 0, 2)
        assert {failure.state for failure in report.refused_rows} == {"refused"}
        # Money is exact in what is kept, too.
        lines = [failure.data["line_items"] for failure in report.refused_rows if failure.data]
        assert lines[0][0]["line_rate"] == Decimal("2.95")


async def test_refused_rows_are_kept_up_to_a_bound_and_counted_beyond():
    async with account() as (_, connect):
        report = await write([{"company": "x"}] * 30, connect, max_refused=10)
        assert (report.refused, len(report.failures), report.not_kept) == (30, 10, 20)


async def test_no_secret_is_in_a_report():
    row = {"external_key": "u-1", "username": "a", "password": "hunter22", "x": "4111111111111111"}
    async with account() as (_, connect):
        report = await write([row], connect, "user")
        assert report.refused == 1
        assert "hunter22" not in repr(report)
        assert "4111111111111111" not in repr(report)


# -- what raises, so that the engine tries again ---------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults({"lost": 1.0}, seed=1), OutcomeUnknown),
        (Faults({"500": 1.0}, seed=1), ServerError),
    ],
)
async def test_what_is_not_known_raises(faults: Faults, error: type[Exception]):
    """And says that the same part is to be written again."""
    async with account(faults=faults) as (_, connect):
        with pytest.raises((error, OutcomeUnknown)) as caught:
            await write(customers(30), connect)
        assert "Write the same part again" in caught.value.__notes__[0]


async def test_wrong_credentials_raise_and_no_row_is_called_refused():
    async with account() as (sandbox, _):
        connect = connect_to(sandbox, login=Wrong())
        with pytest.raises(AuthFailed):
            await write(customers(3), connect)
        with pytest.raises(AuthFailed):
            await asyncio.to_thread(connect.check)


@dataclass(frozen=True)
class Wrong:
    def __call__(self) -> tuple[str, str]:
        return "nobody", "wrong"


async def test_no_server_raises():
    async with account() as (_, connect):
        pass
    with pytest.raises(ConnectFailed):
        await write(customers(3), connect)


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 432), 451, 500, 502, 503])
def test_only_a_verdict_on_the_row_itself_refuses_it(status: int):
    """A redirect, wrong credentials or a limit would refuse every row, and none is to blame."""

    async def create() -> Outcome[Any]:
        async with ChargeOver("https://example.chargeover.com/api/v3", "a", "b") as co:
            operation = co.customers.create(external_key="c-1")
            operation.settle_error(error_of(status, "no", b"", attempts=1))
            assert operation.outcome is not None
            return operation.outcome

    outcome = asyncio.run(create())
    assert outcome.error is not None
    assert _is_refusal(outcome.error, outcome) is (status in {400, 404, 409, 413, 422})


async def test_lost_answers_settle_in_the_next_attempt():
    """The engine's retry is the settlement: nothing twice, nothing left out, exact counts."""
    async with account(faults=Faults(script=["lost*40"])) as (sandbox, connect):
        attempt = 0
        while True:
            try:
                report = await write(customers(120), connect, attempt=attempt)
                break
            except OutcomeUnknown:
                attempt += 1
        assert attempt >= 1
        assert sorted(keys(sandbox)) == sorted(f"c-{number}" for number in range(120))
        assert report.created + report.existing == 120


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_the_server_does_every_row_is_there_once_in_the_end(seed: int):
    """Attempt after attempt until one succeeds, among faults of every kind, in both modes."""
    source = random.Random(seed)
    kinds = [kind for kind in KINDS if kind != "429" and not kind.startswith("delay")]
    rates = dict.fromkeys(source.sample(kinds, 4), 0.15)
    existing = source.choice(["same", "update"])
    rows = customers(150)
    async with account(faults=Faults(rates, seed=seed)) as (sandbox, connect):
        for attempt in itertools.count():
            if attempt == 3:
                sandbox.faults.clear()  # some day a server is well again
            try:
                report = await write(rows, connect, attempt=attempt, existing=existing)
            except ChargeOverError:
                assert attempt < 3
            else:
                break
        assert sorted(keys(sandbox)) == sorted(str(row["external_key"]) for row in rows)
        assert (report.rows, report.refused) == (150, 0)
        held = {record["external_key"]: record for record in sandbox.store.records("customer")}
        assert all(held[row["external_key"]]["company"] == row["company"] for row in rows)


async def test_an_error_of_the_rows_is_the_callers_and_stops_the_writing():
    def rows() -> Iterator[dict[str, Any]]:
        yield from customers(10)
        raise LookupError("the shuffle file is gone")

    async with account() as (sandbox, connect):
        with pytest.raises(LookupError, match="shuffle"):
            await write(rows(), connect)
        assert len(keys(sandbox)) in {0, 1, 10}  # what had left runs to its end


async def test_rows_are_pulled_in_the_callers_thread_and_while_answers_come():
    """An iterator may block until what it has given is in the account."""
    async with account() as (sandbox, connect):
        threads: set[int] = set()
        arrived = threading.Event()

        def rows() -> Iterator[dict[str, Any]]:
            threads.add(threading.get_ident())
            yield from customers(1)
            assert arrived.wait(60)
            threads.add(threading.get_ident())
            yield from customers(2)

        def call() -> PartReport:
            threads.add(threading.get_ident())
            return write_part(rows(), "customer", connect, attempt=0)

        work = asyncio.create_task(asyncio.to_thread(call))
        await until(lambda: bool(keys(sandbox)))
        arrived.set()
        assert counts(await work) == (2, 0, 1, 0)
        assert len(threads) == 1


async def test_memory_is_bounded_by_what_is_on_the_way():
    """Rows are not pulled faster than they are sent."""
    async with account() as (sandbox, connect):
        ahead: list[int] = []

        def rows() -> Iterator[dict[str, Any]]:
            for number, row in enumerate(customers(8_000)):
                if number % 500 == 0:
                    ahead.append(number - len(sandbox.store.table("customer").ids))
                yield row

        report = await write(rows(), connect)
        assert counts(report) == (8_000, 0, 0, 0)
        assert max(ahead) < 4_000


# -- forms of rows, and keys ---------------------------------------------------------------------


async def test_arrow_batches_are_rows_and_their_nulls_are_left_out():
    batch = pa.RecordBatch.from_pylist(
        [
            {"id": 1, "company": "Acme", "bill_city": None, "since": None},
            {"id": 2, "company": None, "bill_city": "Storrs", "since": "x"},
        ]
    ).drop_columns(["since"])
    async with account() as (sandbox, connect):
        report = await write([batch], connect, key="shop-{id}")
        assert report.created == 2
        assert sorted(keys(sandbox)) == ["shop-1", "shop-2"]
        again = await write([batch], connect, key="shop-{id}", empty="null")
        assert counts(again) == (0, 0, 2, 0)


async def test_a_null_is_left_out_or_sent_at_every_depth():
    row = {"id": 1, "company": None, "line_items": [{"item_id": 3, "descrip": None}]}
    async with account() as (_, connect), connect.open() as co:
        omits = RowMaker(co, "invoice", "shop-{id}", "omit").fields(row)
        assert omits == {"line_items": [{"item_id": 3}], "external_key": "shop-1"}
        sends = RowMaker(co, "invoice", "shop-{id}", "null").fields(row)
        assert sends["company"] is None
        assert sends["line_items"] == row["line_items"]
        assert "id" not in sends


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": None}, '"id" is empty'),
        ({"id": 1.0}, "text and whole numbers"),
        ({"id": True}, "text and whole numbers"),
        ({"id": Decimal("1.5")}, "text and whole numbers"),
        ({"id": Decimal("NaN")}, "text and whole numbers"),
        ({"id": 1, "external_key": "other"}, "'shop-1' was made for it"),
    ],
)
async def test_a_key_that_cannot_be_made_refuses_the_row(row: dict[str, Any], said: str):
    async with account() as (sandbox, connect):
        report = await write([{"company": "Acme", **row}], connect, key="shop-{id}")
        assert report.refused == 1
        assert said in report.refused_rows[0].message
        assert not sandbox.log


async def test_a_decimal_that_is_whole_makes_the_key_of_the_whole_number():
    async with account() as (sandbox, connect):
        await write([{"company": "Acme", "id": Decimal("12.000")}], connect, key="shop-{id}")
        assert keys(sandbox) == ["shop-12"]


@pytest.mark.parametrize("key", ["shop", "shop-{}", "shop-{id", "{", "shop-{a{b}}"])
def test_a_template_that_makes_no_keys_is_refused(key: str):
    with pytest.raises(UsageError, match="key"):
        check_columns("customer", ["id"], key)


@pytest.mark.parametrize(
    "name", ["transaction", "creditcard", "ach", "usage", "note", "tokenized", "nonsense"]
)
def test_an_object_without_keys_is_refused_by_name(name: str):
    connect = Connect(url="https://example.chargeover.com/api/v3")
    with pytest.raises(UsageError, match=name):
        write_part([], name, connect, attempt=0)
    with pytest.raises(UsageError, match=name):
        check_columns(name, ["external_key"])


def test_columns_are_checked_before_anything_starts():
    check_columns("customers", ["company", "external_key"])
    check_columns("customer", ["company", "id"], "shop-{id}")
    with pytest.raises(UsageError, match="no column external_key"):
        check_columns("customer", ["company"])
    with pytest.raises(UsageError, match="did you mean"):
        check_columns("customer", ["compani", "external_key"])


@pytest.mark.parametrize(
    "options",
    [
        {"attempt": -1},
        {"attempt": True},
        {"attempt": 0, "existing": "overwrite"},
        {"attempt": 0, "empty": "text"},
        {"attempt": 0, "parts": 2},
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_row_is_pulled(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """Several parts without a shared quota among them."""
    monkeypatch.setenv("CHARGEOVER_USERNAME", "a")
    monkeypatch.setenv("CHARGEOVER_PASSWORD", "b")
    rows = iter(customers(1))
    with pytest.raises(UsageError):
        write_part(
            rows, "customer", Connect(url="https://example.chargeover.com/api/v3"), **options
        )
    assert next(rows)


async def test_everything_that_travels_can_be_pickled():
    async with account() as (_, connect):
        report = await write(customers(2), connect, placed=True)
        assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301
        assert pickle.loads(pickle.dumps(connect)) == connect  # noqa: S301
    with pytest.raises(ConnectFailed) as caught:
        await write(customers(1), connect)
    assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message  # noqa: S301


async def test_two_copies_at_once_make_each_record_once():
    """What speculation does: the server's refusal of the second key settles it."""
    async with account() as (sandbox, connect):
        reports = await asyncio.gather(*(write(customers(400), connect) for _ in range(2)))
        assert sorted(keys(sandbox)) == sorted(f"c-{number}" for number in range(400))
        assert sum(report.created for report in reports) == 400
        assert sum(report.existing for report in reports) == 400
        assert sum(report.refused for report in reports) == 0
