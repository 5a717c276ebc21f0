"""Streams: any length, bounded memory, in either order; sources and consumers that misbehave."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from support.bulk_world import client, customer, outcome_of
from support.fake_loop import elapsed, run
from support.server_model import ServerModel, Trouble

from chargeover_async import ChargeOver, Operation, UsageError


def source(co: ChargeOver, count: int, **fields: Any) -> Iterator[Operation[Any]]:
    for mark in range(count):
        operation = customer(co.customers, mark, **fields)
        operation.tag = mark
        yield operation


@pytest.mark.parametrize("ordered", [True, False])
def test_every_outcome_comes_once(ordered: bool) -> None:
    """Under faults; with ``ordered`` in input order."""

    async def main() -> None:
        dice = random.Random(3)
        kinds: Any = ["ok", "ok", "429", "item_400", "lost_before", "502_after"]
        server = ServerModel(plan=lambda _: Trouble(dice.choice(kinds), 3, dice.random()))
        co = client(server)
        tags = [
            outcome.operation.tag async for outcome in co.stream(source(co, 700), ordered=ordered)
        ]
        assert sorted(tags) == list(range(700))
        assert (tags == list(range(700))) == ordered

    run(main())


@pytest.mark.parametrize("ordered", [True, False])
def test_a_slow_consumer_holds_back_the_source(ordered: bool) -> None:
    """At most ``window`` operations are taken and not yielded."""

    async def main() -> None:
        server = ServerModel()
        co = client(server)
        taken = yielded = 0

        def counted() -> Iterator[Operation[Any]]:
            nonlocal taken
            for operation in source(co, 500):
                taken += 1
                yield operation

        async for _ in co.stream(counted(), ordered=ordered, window=50):
            yielded += 1
            if yielded % 10 == 0:
                await asyncio.sleep(1.0)
            assert taken - yielded <= 51  # one is in the source's hand
        assert yielded == 500

    run(main())


def test_nothing_keeps_a_settled_operation_alive() -> None:
    """Of 5,000 operations with families, records and keys, a handful live at any time."""

    async def main() -> None:
        server = ServerModel(plan=lambda sent: Trouble("lost_after" if sent.at % 7 < 0.3 else "ok"))
        co = client(server)
        alive: weakref.WeakSet[Any] = weakref.WeakSet()

        def mixed() -> Iterator[Operation[Any]]:
            parent: Any = None
            for mark in range(5_000):
                if mark % 8 == 0:
                    parent = one = customer(co.customers, mark, external_key=f"k{mark}")
                elif mark % 8 == 7:
                    one = co.customers.update(parent, bill_city="x", extra={"mark": mark})
                else:
                    extra = {"mark": mark}
                    one = co.invoices.create(
                        customer_id=parent.ref(), line_items=[{"item_id": 1}], extra=extra
                    )
                alive.add(one)
                yield one

        most = seen = 0
        async for _ in co.stream(mixed(), window=200):
            seen += 1
            if seen % 500 == 0:
                gc.collect()
                most = max(most, len(alive))
        assert seen == 5_000
        assert most <= 300  # the window, and parents of what is in it

    run(main())


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_source_that_raises_is_told_after_the_outcomes_of_what_it_gave(
    asynchronous: bool,
) -> None:
    """30 outcomes, then its own exception."""

    async def main() -> None:
        server = ServerModel()
        co = client(server)

        def broken() -> Iterator[Operation[Any]]:
            yield from source(co, 30)
            raise ZeroDivisionError

        async def broken_async() -> AsyncIterator[Operation[Any]]:
            for operation in broken():
                await asyncio.sleep(0.01)
                yield operation

        seen = 0
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the loop is what raises
            async for outcome in co.stream(broken_async() if asynchronous else broken()):
                assert outcome.state == "done"
                seen += 1
        assert seen == 30

    run(main())


def test_a_consumer_that_breaks_off_sends_nothing_more() -> None:
    """What is in flight is awaited; everything that was taken is settled; no task is left."""

    async def main() -> None:
        server = ServerModel()
        co = client(server, max_in_flight=2)
        given: list[Any] = []

        def endless() -> Iterator[Operation[Any]]:
            for operation in source(co, 10**9):
                given.append(operation)
                yield operation

        async with aclosing(co.stream(endless(), window=200)) as outcomes:  # type: ignore[type-var]
            async for _ in outcomes:
                break
        sent = sum(server.sizes)
        assert sent == len(server.effects)
        assert all(operation.outcome is not None for operation in given)
        assert sum(outcome_of(operation).state == "done" for operation in given) == sent

    run(main())


@pytest.mark.parametrize("where", ["waiting", "in the window"])
def test_an_async_source_that_hangs_is_closed_when_the_consumer_breaks_off(where: str) -> None:
    """It is cancelled where it waits, and its own cleaning up is run."""

    async def main() -> None:
        server = ServerModel()
        co = client(server)
        closed = False

        async def hanging() -> AsyncIterator[Operation[Any]]:
            nonlocal closed
            try:
                for operation in source(co, 5):
                    yield operation
                if where == "waiting":
                    await asyncio.Event().wait()
                while True:
                    yield customer(co.customers, 1)
            finally:
                closed = True

        async with aclosing(co.stream(hanging(), window=5)) as outcomes:  # type: ignore[type-var]
            async for _ in outcomes:
                break
        assert closed

    run(main())


def test_a_cancelled_consumer_leaves_nothing_behind() -> None:
    """Cancelled twice, even: every operation settles and no task is left."""

    async def main() -> None:
        server = ServerModel(delay=10.0)
        co = client(server, max_in_flight=1)
        given: list[Any] = []

        def endless() -> Iterator[Operation[Any]]:
            for operation in source(co, 10**9):
                given.append(operation)
                yield operation

        async def consume() -> None:
            async with aclosing(co.stream(endless(), window=100)) as outcomes:  # type: ignore[type-var]
                async for _ in outcomes:
                    pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(25.0)
        task.cancel()
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(operation.outcome is not None for operation in given)

    run(main())


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_consumer_cancelled_once_more_waits_for_nothing(steps: int) -> None:
    """However soon it comes, the second one is not lost in what the first set off."""

    async def main() -> None:
        co = client(ServerModel(delay=600.0), max_in_flight=1)

        async def consume() -> None:
            async with aclosing(co.stream(source(co, 10**9), window=100)) as outcomes:  # type: ignore[type-var]
                async for _ in outcomes:
                    pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(10.0)
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert elapsed() < 60

    run(main())


def test_an_operation_that_can_never_fit_is_an_outcome_of_its_own() -> None:
    """The stream goes on."""

    async def main() -> None:
        co = client(ServerModel(), max_batch_bytes=300)
        some = [customer(co.customers, 1), co.customers.create(company="x" * 999)]
        some.append(customer(co.customers, 3))
        ended = [outcome.state async for outcome in co.stream(some, ordered=True)]
        assert ended == ["done", "not_sent", "done"]

    run(main())


def test_what_is_no_operation_or_was_handed_over_before_is_the_callers_mistake() -> None:
    """UsageError, after the outcomes of what came before."""

    async def main() -> None:
        co = client(ServerModel())
        one = customer(co.customers, 1)
        for wrong in ([one, "not one"], [one]):
            with pytest.raises(UsageError):  # noqa: PT012 - the loop is what raises
                async for outcome in co.stream(wrong):  # type: ignore[arg-type]
                    assert outcome.state == "done"

    run(main())


def test_references_work_across_the_window() -> None:
    """A child far behind its parent, whose outcome was yielded long ago."""

    async def main() -> None:
        server = ServerModel()
        co = client(server)

        def family() -> Iterator[Operation[Any]]:
            parent = customer(co.customers, 0)
            ref = parent.ref()
            yield parent
            yield from source(co, 100)
            yield co.invoices.create(customer_id=ref, line_items=[{"item_id": 1}])

        last = [outcome async for outcome in co.stream(family(), ordered=True, window=10)][-1]
        assert last.state == "done"
        assert server.effects[-1].payload["customer_id"] == server.effects[0].id

    run(main())


def test_an_empty_source_ends_at_once() -> None:
    """No request and no task."""

    async def main() -> None:
        server = ServerModel()
        nothing: list[Operation[Any]] = []
        assert [outcome async for outcome in client(server).stream(nothing)] == []
        assert server.sent == []

    run(main())


def test_a_client_closed_under_a_stream_ends_it() -> None:
    """Every operation of the source has an outcome all the same."""
    from chargeover_async import LocalLimiter, QuotaSettings

    async def main() -> None:
        limiter = LocalLimiter(QuotaSettings(4, 60.0))
        co = client(ServerModel(), limiter=limiter)

        async def close() -> None:
            await asyncio.sleep(40.0)
            await limiter.aclose()

        closing = asyncio.create_task(close())
        ended = [outcome.state async for outcome in co.stream(source(co, 500), window=50)]
        await closing
        assert len(ended) == 500
        assert set(ended) == {"done", "not_sent"}

    run(main())


def test_a_mixed_stream_of_thousands_loses_and_doubles_nothing() -> None:
    """10 % of answers lost after commit, 5 % reset, 5 % 500, 2 % 429: the store is the witness."""

    async def main() -> None:
        dice = random.Random(5)

        def plan(_: Any) -> Trouble:
            throw = dice.random()
            for share, kind in ((0.1, "lost_after"), (0.15, "lost_before"), (0.2, "500_before")):
                if throw < share:
                    return Trouble(kind)  # type: ignore[arg-type]
            return Trouble("429" if throw < 0.22 else "ok")

        server = ServerModel(plan=plan)
        there = [server.seed("customer") for _ in range(50)]
        co = client(server)

        def mixed() -> Iterator[Operation[Any]]:
            for mark in range(0, 6_000, 3):
                parent = customer(co.customers, mark, external_key=f"c{mark}")
                child = co.invoices.create(
                    customer_id=parent.ref(),
                    external_key=f"i{mark}",
                    line_items=[{"item_id": 1}],
                    extra={"mark": mark + 1},
                )
                change = co.customers.update(
                    dice.choice(there), bill_city="x", extra={"mark": mark + 2}
                )
                for offset, operation in enumerate((parent, child, change)):
                    operation.tag = mark + offset
                    yield operation

        ended = {outcome.operation.tag: outcome.state async for outcome in co.stream(mixed())}
        keyed = {mark: state for mark, state in ended.items() if mark % 3 != 2}
        assert keyed == {mark: "done" for mark in range(6_000) if mark % 3 != 2}
        # A 500 is repeated a few times only, and says itself that it may have happened.
        changes = Counter(state for mark, state in ended.items() if mark % 3 == 2)
        assert changes.keys() <= {"done", "unknown"}
        assert changes["unknown"] <= 50
        for mark in range(0, 6_000, 3):
            invoice = server.by_key("invoice", f"i{mark}")
            parent = server.by_key("customer", f"c{mark}")
            assert invoice is not None
            assert parent is not None
            assert invoice["customer_id"] == parent["customer_id"]
        assert len(server.records) == 50 + 4_000

    run(main())
