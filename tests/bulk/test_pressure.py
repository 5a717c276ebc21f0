"""Bounds by count and bytes; producers wait first come, first served."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.bulk_world import Gated, client, customer, outcome_of, states
from support.fake_loop import run
from support.server_model import ServerModel

from chargeover_async import NotSent, UsageError
from chargeover_async.bulk.gate import Gate
from chargeover_async.errors import QueueFull


def test_invariant_9_producers_come_in_first_come_first_served() -> None:
    """20 producers and room for 2: they are queued in the order in which they asked."""

    async def main() -> None:
        server = ServerModel()
        co = client(server, max_waiting=2)
        order: list[int] = []
        most = 0
        async with co.bulk() as bulk:

            async def produce(mark: int) -> None:
                nonlocal most
                await bulk.submit(customer(co.customers, mark))
                order.append(mark)
                most = max(most, bulk.unsettled)

            await asyncio.gather(*(produce(mark) for mark in range(20)))
        assert order == list(range(20))
        assert most == 2
        assert bulk.report.done == 20

    run(main())


def test_invariant_9_bytes_bound_the_queue() -> None:
    """Never more bytes than allowed, also with several producers woken at once."""

    async def main() -> None:
        server = ServerModel()
        co = client(server, max_waiting_bytes=3_000)
        most = 0
        async with co.bulk() as bulk:

            async def produce(mark: int) -> None:
                nonlocal most
                await bulk.submit(co.customers.create(company="x" * (100 * (mark % 9) + 1)))
                most = max(most, bulk._engine._gate.bytes)

            await asyncio.gather(*(produce(mark) for mark in range(60)))
        assert 2_000 < most <= 3_000
        assert bulk.report.done == 60

    run(main())


def test_what_can_never_fit_is_refused_at_once() -> None:
    """Also when the queue is full and others wait: nobody waits in vain."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        co = client(server, limiter=gate, max_waiting=1, max_batch_bytes=500)
        async with co.bulk() as bulk:
            customer(bulk.customers, 1)
            huge = co.customers.create(company="x" * 1000)
            with pytest.raises(UsageError, match="can never fit"):
                await asyncio.wait_for(bulk.submit(huge), 0.01)
            assert states([huge]) == ["not_sent"]
            gate.opened.set()

    run(main())


def test_a_full_queue_refuses_what_is_built_in_the_scope() -> None:
    """QueueFull at once, and the handle of what was not queued is settled."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate, max_waiting=3).bulk() as bulk:
            for mark in range(3):
                customer(bulk.customers, mark)
            with pytest.raises(QueueFull, match=r"bulk\.submit"):
                customer(bulk.customers, 4)
            gate.opened.set()
        assert bulk.report.done == 3

    run(main())


def test_who_builds_in_the_scope_does_not_pass_a_waiting_producer() -> None:
    """The room that comes free belongs to the one who waits."""

    async def main() -> None:
        server = ServerModel()
        co = client(server, max_waiting=1)
        async with co.bulk() as bulk:
            first = customer(bulk.customers, 1)
            second = customer(co.customers, 2)
            task = asyncio.create_task(bulk.submit(second))
            await first
            with pytest.raises(QueueFull):
                customer(bulk.customers, 3)
            await task
        assert states([first, second]) == ["done", "done"]

    run(main())


@pytest.mark.parametrize("before_the_grant", [True, False])
def test_a_producer_cancelled_in_the_tick_of_its_grant_passes_it_on(before_the_grant: bool) -> None:
    """The next one in the queue comes in; nothing is counted twice."""

    async def main() -> None:
        gate = Gate(1, 100)
        assert gate.try_enter(10)
        tasks = [asyncio.create_task(gate.enter(10)) for _ in range(3)]
        await asyncio.sleep(0)
        if before_the_grant:
            tasks[0].cancel()
            gate.leave(10)
        else:
            gate.leave(10)
            tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        await asyncio.sleep(0)
        assert tasks[0].cancelled()
        assert tasks[1].done()
        assert not tasks[2].done()
        assert (gate.count, gate.bytes) == (1, 10)
        gate.leave(10)
        assert await tasks[2]

    run(main())


def test_a_cancelled_producer_settles_its_operation() -> None:
    """It was never queued, and says so."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        co = client(server, limiter=gate, max_waiting=1)
        async with co.bulk() as bulk:
            customer(bulk.customers, 1)
            late = customer(co.customers, 2)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(bulk.submit(late), 0.1)
            assert isinstance(outcome_of(late).error, NotSent)
            gate.opened.set()
        assert bulk.report.done == 1

    run(main())


def test_a_large_one_at_the_head_is_not_passed_and_lets_the_next_in_when_it_leaves() -> None:
    """Strictly in turn; the cancelled head does not block those behind it."""

    async def main() -> None:
        gate = Gate(100, 100)
        assert gate.try_enter(60)
        large = asyncio.create_task(gate.enter(90))
        await asyncio.sleep(0)
        small = asyncio.create_task(gate.enter(10))
        await asyncio.sleep(0)
        assert not small.done()
        assert not gate.try_enter(1)
        large.cancel()
        await asyncio.sleep(0)
        assert await small

    run(main())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "cancel", "tick"]), st.integers(0, 60)),
        max_size=60,
    )
)
@example(steps=[("enter", 39), ("enter", 60), ("tick", 0), ("enter", 0), ("leave", 0), ("tick", 0)])
def test_the_gate_counts_right_whatever_comes_in_one_tick(steps: list[tuple[str, int]]) -> None:
    """Entering, leaving and cancelling in any order: bounds hold, order holds, sums agree."""

    async def main() -> None:
        gate = Gate(4, 100)
        tasks: list[tuple[asyncio.Task[bool], int]] = []
        inside: list[int] = []
        order: list[int] = []

        async def enter(number: int, size: int) -> bool:
            came = await gate.enter(size)
            if came:
                inside.append(size)
                order.append(number)
            return came

        for kind, number in steps:
            if kind == "enter":
                size = number + 1
                tasks.append((asyncio.create_task(enter(len(tasks), size)), size))
            elif kind == "leave" and inside:
                gate.leave(inside.pop(number % len(inside)))
            elif kind == "cancel" and tasks:
                tasks[number % len(tasks)][0].cancel()
            elif kind == "tick":
                await asyncio.sleep(0)
            assert gate.count <= 4
            assert gate.bytes <= 100
        gate.close()
        results = await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        assert order == sorted(order)
        assert gate.count == len(inside)
        assert gate.bytes == sum(inside)
        assert all(
            result in {True, False} or isinstance(result, asyncio.CancelledError)
            for result in results
        )

    run(main())


def test_look_ups_take_no_room_from_producers() -> None:
    """The queue is at its bound while a key is looked up; the bound holds and nothing hangs."""
    from support.server_model import Trouble

    async def main() -> None:
        server = ServerModel(plan=[Trouble("lost_after"), Trouble("lost_before")])
        co = client(server, max_waiting=2)
        made: list[Any] = []
        async with co.bulk() as bulk:
            for mark in range(10):
                one = customer(co.customers, mark, external_key=f"k{mark}")
                made.append(one)
                await bulk.submit(one)
                assert bulk.unsettled <= 2
        assert states(made) == ["done"] * 10

    run(main())
