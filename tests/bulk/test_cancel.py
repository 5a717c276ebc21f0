"""A waiter that is cancelled withdraws what is unsent, and disturbs nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of, states, until
from support.fake_loop import run
from support.server_model import ServerModel, Trouble

from chargeover_async import DependencyFailed, NotSent, OutcomeUnknown

STAGES = ("queued", "sealed", "in_flight", "backing_off", "looked_up")


async def _cancel_one(stage: str, victim: int) -> None:
    """50 keyed creates, each with a waiter; the one at ``victim`` is cancelled in ``stage``."""
    lossy = stage in {"backing_off", "looked_up"}
    server = ServerModel(plan=[Trouble("lost_before")] * 2 if lossy else None, delay=1.0)
    gate = Gated()
    async with client(server, limiter=gate).bulk() as bulk:
        made = [customer(bulk.customers, mark, external_key=f"k{mark}") for mark in range(50)]
        waiters = [asyncio.create_task(operation.wait()) for operation in made]
        await asyncio.sleep(0)
        if stage != "queued":
            gate.opened.set()
            # Two steps of the loop: the batches are put together, and nothing is sent yet.
            await until(
                lambda: any(operation.entry.stage.name == "FLYING" for operation in made), 0.0
            )
        if stage == "in_flight":
            await asyncio.sleep(0.5)
        elif stage == "backing_off":
            await until(lambda: any(operation.entry.stage.name == "PAUSED" for operation in made))
        elif stage == "looked_up":
            await until(lambda: any(operation.entry.lookup for operation in made))
        waiters[victim].cancel()
        await asyncio.sleep(0)
        gate.opened.set()
    others = [operation for index, operation in enumerate(made) if index != victim]
    assert states(others) == ["done"] * 49
    for mark, operation in enumerate(made):
        count = len(server.effects_of(mark))
        assert count == (outcome_of(operation).state == "done")
        if outcome_of(operation).state == "done":
            record = server.by_key("customer", f"k{mark}")
            assert record is not None
            assert record["customer_id"] == operation.outcome.value.id  # type: ignore[union-attr]
    assert outcome_of(made[victim]).state == ("not_sent" if stage == "queued" else "done")
    assert waiters[victim].cancelled()
    assert bulk.report.done == 50 - (stage == "queued")


@pytest.mark.parametrize("stage", STAGES)
def test_invariant_6_each_of_fifty_cancelled_in_turn_leaves_the_others_alone(stage: str) -> None:
    """Whoever it is and whenever it happens, the other 49 get their own results."""
    for victim in range(50):
        run(_cancel_one(stage, victim))


def test_a_withdrawn_target_fails_its_dependants_with_the_cause() -> None:
    """They settle, unsent, with an error that names what was withdrawn."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1)
            child = bulk.invoices.create(customer_id=parent.ref(), line_items=[{"item_id": 1}])
            grandchild = bulk.invoices.pay(child)
            waiter = asyncio.create_task(parent.wait())
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.sleep(0)
            assert states([parent, child, grandchild]) == ["not_sent"] * 3
            for operation in (child, grandchild):
                error = outcome_of(operation).error
                assert isinstance(error, DependencyFailed)
                assert isinstance(error.__cause__, NotSent)
                assert "withdrawn" in str(error)
            gate.opened.set()
        assert server.sent == []

    run(main())


def test_one_of_two_waiters_is_cancelled_and_the_operation_goes_on() -> None:
    """Somebody still wants it."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = customer(bulk.customers, 1)
            first, second = (asyncio.create_task(made.wait()) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            gate.opened.set()
            assert (await second).state == "done"

    run(main())


def test_a_withdrawn_operation_costs_no_request() -> None:
    """The permit that was waited for is given back."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        co = client(server, limiter=gate)
        async with co.bulk() as bulk:
            made = customer(bulk.customers, 1)
            waiter = asyncio.create_task(made.wait())
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.sleep(0)
            gate.opened.set()
            await asyncio.sleep(0.1)
        assert (gate.granted, gate.in_flight, server.sent) == (0, 0, [])

    run(main())


@pytest.mark.parametrize("kind", ["429", "never_left", "lost_after"])
def test_backing_off_is_withdrawn_only_when_nothing_can_have_come_of_it(kind: Any) -> None:
    """A refused or unsent one is let go; one in doubt runs to its end."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble(kind)])
        async with client(server).bulk() as bulk:
            made = customer(bulk.customers, 1, external_key="a")
            waiter = asyncio.create_task(made.wait())
            await asyncio.sleep(0.205)
            assert made.entry.stage.name == "PAUSED" or made.entry.stage.name == "FLYING"
            waiter.cancel()
        state = outcome_of(made).state
        assert (state == "done") == (len(server.effects) == 1)
        if kind == "lost_after":
            assert state == "done"

    run(main())


def test_a_cancelled_gather_withdraws_all_that_is_unsent() -> None:
    """As a service does on a client's disconnect."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(30)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*made), 1.0)
            assert states(made) == ["not_sent"] * 30
            gate.opened.set()
        assert server.sent == []

    run(main())


def test_a_task_that_is_cancelled_before_it_began_leaves_a_settled_operation() -> None:
    """An operation of a scope is a coroutine to asyncio; cancelling it early is no loss."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = customer(bulk.customers, 1)
            task = asyncio.create_task(made)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            gate.opened.set()
        assert made.outcome is not None

    run(main())


def test_an_unknown_outcome_is_told_to_who_waits() -> None:
    """One without a key whose answer is lost raises OutcomeUnknown, once, and was sent once."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble("lost_after")])
        async with client(server).bulk() as bulk:
            with pytest.raises(OutcomeUnknown):
                await customer(bulk.customers, 1)
        assert len(server.effects) == 1

    run(main())
