"""What meets in one tick: a grant and a cancellation, an outcome and one; and faults of our own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of, states, until
from support.fake_loop import run
from support.server_model import ServerModel, Trouble

from chargeover_async import (
    AlreadyExists,
    NotSent,
    OutcomeUnknown,
    ServerAssumptions,
    UsageError,
)
from chargeover_async.bulk import sending
from chargeover_async.bulk.gate import Gate
from chargeover_async.bulk.planner import Waiting


def test_a_producer_that_is_cancelled_as_it_is_let_in_passes_its_place_on() -> None:
    """Nobody behind it hangs, and who comes later finds the room that there is."""

    async def main() -> None:
        gate = Gate(1, 1_000)
        assert gate.try_enter(10)
        first, second = (asyncio.create_task(gate.enter(10)) for _ in range(2))
        await asyncio.sleep(0)
        gate.leave(10)  # lets the first one in, which has not run yet
        first.cancel()
        assert await second is True
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (gate.count, gate.bytes) == (1, 10)
        gate.leave(10)
        assert gate.try_enter(10)

    run(main())


def test_a_slot_is_free_again_when_all_that_waited_was_withdrawn() -> None:
    """The only slot was taken for what nobody wants any more."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate, max_in_flight=1).bulk() as bulk:
            made = customer(bulk.customers, 1)
            waiting = asyncio.create_task(made.wait())
            await asyncio.sleep(0.1)  # the slot is taken, the permit is waited for
            waiting.cancel()
            await asyncio.sleep(0.1)
            assert outcome_of(made).state == "not_sent"
            gate.opened.set()
            await asyncio.sleep(0.1)
            assert (await customer(bulk.customers, 2)).id
        assert server.sizes == [1]

    run(main())


@pytest.mark.parametrize("way", ["direct", "bulk"])
def test_a_waiter_that_is_cancelled_as_its_operation_settles_changes_nothing(way: str) -> None:
    """It is cancelled, and the operation is done."""

    async def main() -> None:
        co = client(ServerModel(delay=1.0))
        async with co.bulk() as bulk:
            made = customer(bulk.customers if way == "bulk" else co.customers, 1)
            driver = asyncio.create_task(made.wait())
            await asyncio.sleep(0)

            async def woken_first() -> None:
                await made.wait()
                late.cancel()  # it is woken as well, and has not run yet

            first = asyncio.create_task(woken_first())
            late = asyncio.create_task(made.wait())
            with pytest.raises(asyncio.CancelledError):
                await late
            await first
            assert (await driver).state == outcome_of(made).state == "done"
        assert bulk.report.done == (way == "bulk")

    run(main())


@pytest.mark.parametrize("room", [5, 1])
def test_handing_one_operation_over_twice_costs_no_room(room: int) -> None:
    """Whether there is room for it at once, or it is waited for."""

    async def main() -> None:
        gate = Gated()
        co = client(ServerModel(), limiter=gate, max_waiting=room)
        async with co.bulk() as bulk:
            made = await bulk.submit(customer(co.customers, 1))
            again = asyncio.create_task(bulk.submit(made))
            await asyncio.sleep(0.1)
            gate.opened.set()
            with pytest.raises(UsageError, match="already handed over"):
                await again
            held = bulk._engine._gate
            await until(lambda: made.done)
            assert (held.count, held.bytes) == (0, 0)
            for mark in range(room * 3):
                await bulk.submit(customer(co.customers, 2 + mark))
        assert outcome_of(made).state == "done"
        assert (held.count, held.bytes) == (0, 0)

    run(main())


def test_a_fault_of_our_own_after_a_send_leaves_nothing_open_and_nothing_called_unsent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was in that batch is unknown, once; slots and room are free again."""
    read, calls = sending.read_batch, list[int]()

    def fail(*given: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("a bug of ours")
        return read(*given, **more)

    monkeypatch.setattr(sending, "read_batch", fail)

    async def main() -> None:
        gate = Gated()
        server = ServerModel()
        number = server.seed("customer")
        async with client(server, limiter=gate, max_in_flight=1).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(3)]
            reading = bulk.customers.get(number)
            gate.opened.set()
            await until(lambda: made[0].done)
            later = customer(bulk.customers, 4)
        assert states(made) == ["unknown"] * 3
        for operation in made:
            error = outcome_of(operation).error
            assert isinstance(error, OutcomeUnknown)
            assert error.attempts == 1
            assert "the engine failed: ZeroDivisionError: a bug of ours" in str(error)
        assert isinstance(outcome_of(reading).error, NotSent)
        assert states([later]) == ["done"]
        assert [len(server.effects_of(mark)) for mark in range(3)] == [1] * 3

    run(main())
    assert "a bug of ours" in caplog.text


def test_a_fault_of_our_own_before_a_send_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Batches cannot be put together: everything settles, and leaving the scope ends."""

    async def main() -> None:
        gate = Gated()
        async with client(ServerModel(), limiter=gate).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(3)]
            take = Waiting.take

            def fail(waiting: Waiting) -> Any:
                take(waiting)  # some are on board already
                raise ZeroDivisionError("a bug of ours")

            monkeypatch.setattr(Waiting, "take", fail)
            gate.opened.set()
        assert all(operation.done for operation in made)
        assert "the engine failed: ZeroDivisionError" in str(outcome_of(made[0]).error)
        with pytest.raises(UsageError, match="closed"):
            customer(bulk.customers, 4)

    run(main())
    assert "a bug of ours" in caplog.text


@pytest.mark.parametrize("call", ["unused", "done"])
def test_a_limiter_that_cannot_take_a_permit_back_holds_nobody_up(
    call: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; what was sent is done, and the scope ends."""

    async def main() -> None:
        gate = Gated()
        acquire = gate.acquire

        class Odd:
            def __init__(self, permit: Any) -> None:
                self.sent = permit.sent
                self.done = self.fail if call == "done" else permit.done
                self.unused = self.fail if call == "unused" else permit.unused

            def fail(self) -> None:
                raise ZeroDivisionError("a bug of the limiter")

        async def odd(priority: Any) -> Any:
            return Odd(await acquire(priority))

        gate.acquire = odd  # type: ignore[method-assign]
        async with client(ServerModel(), limiter=gate, max_in_flight=1).bulk() as bulk:
            made = customer(bulk.customers, 1)
            waiting = asyncio.create_task(made.wait())
            await asyncio.sleep(0.1)
            waiting.cancel()
            await asyncio.sleep(0.1)
            gate.opened.set()
            await asyncio.sleep(0.1)
            later = customer(bulk.customers, 2)
        assert states([later]) == ["done"]

    run(main())
    assert "a bug of the limiter" in caplog.text


def test_who_is_refused_while_its_target_is_open_goes_again_behind_it() -> None:
    """The target's entry could not be read, so the reference found nothing: no verdict yet."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("item_garbage", 0)]), Gated()
        runs = ServerAssumptions(later_items="run")  # so the refusal is for what it says
        async with client(server, limiter=gate, assumptions=runs).bulk() as bulk:
            target = customer(bulk.customers, 1, external_key="a")
            user = bulk.users.create(customer_id=target.ref(), extra={"mark": 2})
            gate.opened.set()
        assert states([target, user]) == ["done", "done"]
        assert outcome_of(user).attempts == 2
        assert len(server.effects_of(2)) == 1

    run(main())


@pytest.mark.parametrize(("theirs", "state"), [(False, "done"), (True, "unknown")])
def test_a_look_up_compares_with_what_references_were_filled_in(theirs: bool, state: str) -> None:
    """A record of another customer has our key: the id in it is not ours."""

    async def main() -> None:
        lost = [Trouble(), Trouble("lost_before" if theirs else "lost_after")]
        server = ServerModel(plan=lost)
        other = server.seed("customer")
        async with client(server, references="client").bulk() as bulk:
            target = customer(bulk.customers, 1)
            await target
            user = bulk.users.create(
                customer_id=target.ref(), external_key="u", first_name="Ann", extra={"mark": 2}
            )
            await until(lambda: len(server.sent) == 2)
            if theirs:
                more: Any = {"first_name": "Ann", "mark": 2}
                server.seed("user", external_key="u", customer_id=other, **more)
        assert states([user]) == [state]
        error = outcome_of(user).error
        if theirs:
            assert isinstance(error, AlreadyExists)
            assert error.differences == {"customer_id": ((await target).id, other)}
            assert error.may_have_happened

    run(main())


def test_a_child_is_looked_up_when_what_it_refers_to_is_known() -> None:
    """Both were lost in one batch: the child is compared by the id that its parent has."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("lost_after")]), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            target = customer(bulk.customers, 1, external_key="a")
            user = bulk.users.create(customer_id=target.ref(), external_key="u", extra={"mark": 2})
            gate.opened.set()
        assert states([target, user]) == ["done", "done"]
        asked = [item["uri"] for sent in server.sent[1:] for item in sent.items]
        assert asked == ["/api/v3/customer/external_key:a", "/api/v3/user/external_key:u"]

    run(main())


@pytest.mark.parametrize("kind", ["500_after", "500_before", "lost_after", "502_before"])
def test_a_create_that_waits_in_doubt_is_not_called_unsent_when_nobody_waits(kind: Any) -> None:
    """It runs to its end: what the server holds is known by then."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble(kind)])
        async with client(server).bulk() as bulk:
            made = customer(bulk.customers, 1, external_key="a")
            waiting = asyncio.create_task(made.wait())
            await until(lambda: made.entry.stage.name == "PAUSED")
            waiting.cancel()
        assert states([made]) == ["done"]
        assert len(server.effects_of(1)) == 1

    run(main())
