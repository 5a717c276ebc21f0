"""Operations on one record never overtake each other."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of, states
from support.fake_loop import run
from support.server_model import ServerModel, Trouble, Ways

from chargeover_async import ServerAssumptions
from chargeover_async.resources import ExternalKey


def marks(server: ServerModel) -> list[Any]:
    return [effect.mark for effect in server.effects]


def test_invariant_5_operations_on_one_record_leave_one_after_the_other() -> None:
    """Ten updates of one record take ten requests, in order; others are not held up."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        one, two = server.seed("customer"), server.seed("customer")
        async with client(server, limiter=gate).bulk() as bulk:
            for mark in range(10):
                bulk.customers.update(one, bill_city="x", extra={"mark": mark})
            bulk.customers.update(two, bill_city="y", extra={"mark": "other"})
            gate.opened.set()
        assert [mark for mark in marks(server) if mark != "other"] == list(range(10))
        assert server.effects[1].mark == "other"

    run(main())


@pytest.mark.parametrize("kind", ["lost_after", "lost_before", "500_before", "429", "502_after"])
def test_invariant_5_holds_while_an_earlier_one_is_repeated(kind: Any) -> None:
    """The second update waits while the first is backing off."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble(kind), Trouble(kind)])
        one = server.seed("customer")
        async with client(server).bulk() as bulk:
            first = bulk.customers.update(one, bill_city="a", extra={"mark": 1})
            second = bulk.customers.update(one, bill_city="b", extra={"mark": 2})
        assert states([first, second]) == ["done", "done"]
        assert marks(server) == sorted(marks(server))
        assert server.records["customer", one]["bill_city"] == "b"

    run(main())


def test_a_withdrawn_one_in_the_middle_does_not_let_the_next_one_pass() -> None:
    """A in flight, B behind it withdrawn: C still waits for A."""

    async def main() -> None:
        import asyncio

        server = ServerModel()
        one = server.seed("customer")
        async with client(server).bulk() as bulk:
            first = bulk.customers.update(one, bill_city="a", extra={"mark": 1})
            second = bulk.customers.update(one, bill_city="b", extra={"mark": 2})
            third = bulk.customers.update(one, bill_city="c", extra={"mark": 3})
            await asyncio.sleep(0.05)
            waiter = asyncio.create_task(second.wait())
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.sleep(0.05)
            assert states([second]) == ["not_sent"]
            fourth = bulk.customers.update(one, bill_city="d", extra={"mark": 4})
            await asyncio.sleep(0)
            assert len(server.sent) == 1
        assert states([first, third, fourth]) == ["done"] * 3
        assert marks(server) == [1, 3, 4]

    run(main())


def test_the_last_one_withdrawn_leaves_the_earlier_one_in_front() -> None:
    """A in flight, B behind it withdrawn, then C is queued: it waits for A, too."""

    async def main() -> None:
        import asyncio

        server = ServerModel(delay=1.0)
        one = server.seed("customer")
        async with client(server).bulk() as bulk:
            bulk.customers.update(one, bill_city="a", extra={"mark": 1})
            second = bulk.customers.update(one, bill_city="b", extra={"mark": 2})
            await asyncio.sleep(0.1)
            waiter = asyncio.create_task(second.wait())
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.sleep(0.1)
            bulk.customers.update(one, bill_city="c", extra={"mark": 3})
            await asyncio.sleep(0.5)
            assert len(server.sent) == 1
        assert marks(server) == [1, 3]

    run(main())


def test_actions_on_a_handle_keep_their_order() -> None:
    """Pay, then void, an invoice that is created in the same scope."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble(), Trouble("429"), Trouble("never_left")])
        one = server.seed("customer")
        async with client(server).bulk() as bulk:
            bill = bulk.invoices.create(customer_id=one, line_items=[{"item_id": 1}])
            paid, voided = bulk.invoices.pay(bill), bulk.invoices.void(bill)
        assert states([bill, paid, voided]) == ["done"] * 3
        assert [effect.verb for effect in server.effects] == ["create", "pay", "void"]

    run(main())


def test_a_create_and_an_update_by_its_key_keep_their_order() -> None:
    """The key names the record before it exists."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble("lost_before")])
        async with client(server).bulk() as bulk:
            made = customer(bulk.customers, 1, external_key="a")
            changed = bulk.customers.update(ExternalKey("a"), bill_city="x", extra={"mark": 2})
        assert states([made, changed]) == ["done", "done"]
        assert marks(server) == [1, 2]

    run(main())


def test_a_child_that_also_waits_for_its_record_does_not_ride_with_its_target() -> None:
    """Its target could go with it in one batch, the earlier change of its record could not."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        one = server.seed("customer")
        assumed = ServerAssumptions(jsonpath_keys=None)
        async with client(server, limiter=gate, assumptions=assumed).bulk() as bulk:
            first = bulk.customers.update(one, bill_city="a", extra={"mark": 1})
            parent = customer(bulk.customers, 2)
            extra = {"mark": 3, "parent_customer_id": parent.ref()}
            second = bulk.customers.update(one, bill_city="b", extra=extra)
            gate.opened.set()
        assert states([first, parent, second]) == ["done"] * 3
        assert server.sizes == [2, 1]

    run(main())


@pytest.mark.parametrize("seed", range(20))
def test_invariant_5_holds_under_random_faults(seed: int) -> None:
    """Updates of five records with every fault; the effects on each are in order."""

    async def main() -> None:
        source = random.Random(seed)
        kinds: Any = [
            "ok",
            "ok",
            "lost_after",
            "lost_before",
            "500_after",
            "item_500",
            "429",
            "cut",
        ]
        server = ServerModel(
            Ways(later_items=source.choice(["run", "skip", "truncate"])),
            lambda _: Trouble(source.choice(kinds), source.randint(0, 4)),
        )
        records = [server.seed("customer") for _ in range(5)]
        order: dict[int, list[int]] = {record: [] for record in records}
        made = []
        async with client(server).bulk() as bulk:
            for mark in range(60):
                record = source.choice(records)
                order[record].append(mark)
                made.append(bulk.customers.update(record, bill_city="x", extra={"mark": mark}))
        for record in records:
            done = [effect.mark for effect in server.effects if effect.id == record]
            assert done == sorted(done)
        for operation in made:
            assert outcome_of(operation).state in {"done", "unknown"}

    run(main())
