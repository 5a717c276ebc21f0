"""Closing, leaving by an exception, the second call, and the event loop that ends first."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of, states, until
from support.fake_loop import FakeLoop, elapsed, run
from support.server_model import ServerModel, Trouble

from chargeover_async import LocalLimiter, NoLimit, QuotaSettings, UsageError
from chargeover_async.limits import Permit, Priority


def test_invariant_1_every_operation_settles_when_the_scope_is_left() -> None:
    """Drained: all done, and the report adds up."""

    async def main() -> None:
        server = ServerModel()
        async with client(server).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(120)]
        assert states(made) == ["done"] * 120
        assert (bulk.report.done, bulk.unsettled) == (120, 0)

    run(main(), debug=True)


def test_invariant_8_leaving_by_an_exception_sends_nothing_more() -> None:
    """What is in flight is awaited; the rest was never sent; the exception passes."""

    async def main() -> None:
        server = ServerModel(delay=1.0)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the block is the matter
            async with client(server, max_in_flight=1).bulk() as bulk:
                made = [customer(bulk.customers, mark) for mark in range(60)]
                await asyncio.sleep(0.5)
                raise ZeroDivisionError
        assert states(made) == ["done"] * 25 + ["not_sent"] * 35
        assert server.sizes == [25]
        assert elapsed() == 2.0

    run(main())


def test_an_exception_between_the_permit_and_the_first_byte_sends_nothing() -> None:
    """A batch that is put together in this very tick does not leave."""

    async def main() -> None:
        limiter, server = NoLimit(), ServerModel()
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the block is the matter
            async with client(server, limiter=limiter).bulk() as bulk:
                made = customer(bulk.customers, 1)
                await asyncio.sleep(0)
                assert made.entry.stage.name == "FLYING"
                raise ZeroDivisionError
        assert (server.sent, limiter.granted, limiter.in_flight) == ([], 0, 0)
        assert states([made]) == ["not_sent"]

    run(main())


def test_past_the_deadline_nothing_more_is_sent_and_the_report_says_all() -> None:
    """Done, never sent; what is in flight at the deadline is awaited."""

    async def main() -> None:
        server = ServerModel(delay=1.0)
        bulk = client(server, max_in_flight=1).bulk()
        made = [customer(bulk.customers, mark) for mark in range(100)]
        report = await bulk.aclose(3.0)
        assert (report.done, report.not_sent, report.unknown) == (50, 50, 0)
        assert states(made) == ["done"] * 50 + ["not_sent"] * 50
        assert elapsed() == 4.0

    run(main())


def test_a_second_close_breaks_off_and_both_report_the_same() -> None:
    """What was in flight is unknown, and neither call returns before everything is settled."""

    async def main() -> None:
        server = ServerModel(delay=100.0)
        bulk = client(server, max_in_flight=1).bulk()
        made = [customer(bulk.customers, mark) for mark in range(40)]
        first = asyncio.create_task(bulk.aclose())
        await asyncio.sleep(1.0)
        second = await bulk.aclose()
        assert second == await first
        assert (second.unknown, second.not_sent) == (25, 15)
        assert all(operation.outcome for operation in made)
        assert elapsed() == 1.0

    run(main())


def test_a_close_after_the_close_changes_nothing() -> None:
    """An explicit close inside the block, then leaving it."""

    async def main() -> None:
        server = ServerModel()
        async with client(server).bulk() as bulk:
            customer(bulk.customers, 1)
            first = await bulk.aclose()
        assert bulk.report == first == await bulk.aclose()

    run(main())


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_cancelled_close_settles_everything_however_often_it_is_cancelled(times: int) -> None:
    """Cancelling breaks off; cancelling again does not leave anybody waiting."""

    async def main() -> None:
        class Stubborn(ServerModel):
            async def send(self, request: Any, permit: Any) -> Any:
                try:
                    return await super().send(request, permit)
                except asyncio.CancelledError:
                    await asyncio.sleep(5.0)  # as one that closes its connection politely
                    raise

        server = Stubborn(delay=50.0)
        bulk = client(server, max_in_flight=1).bulk()
        made = [customer(bulk.customers, mark) for mark in range(40)]
        closing = asyncio.create_task(bulk.aclose())
        await asyncio.sleep(1.0)
        for _ in range(times):
            closing.cancel()
            await asyncio.sleep(0.1)
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert states(made) == ["unknown"] * 25 + ["not_sent"] * 15

    run(main())


def test_producers_that_wait_are_sent_home_when_the_scope_closes() -> None:
    """They get a UsageError, and their operations are settled, unsent."""

    async def main() -> None:
        server = ServerModel()
        co = client(server, max_waiting=1)
        bulk = co.bulk()
        customer(bulk.customers, 0)
        late = [customer(co.customers, mark) for mark in (1, 2)]
        tasks = [asyncio.create_task(bulk.submit(operation)) for operation in late]
        await asyncio.sleep(0)
        report = await bulk.aclose()
        for task in tasks:
            with pytest.raises(UsageError, match="closed"):
                await task
        assert states(late) == ["not_sent", "not_sent"]
        assert report.done == 1

    run(main())


def test_a_closed_scope_refuses_at_once() -> None:
    """Building and submitting alike."""

    async def main() -> None:
        co = client(ServerModel())
        bulk = co.bulk()
        await bulk.aclose()
        with pytest.raises(UsageError, match="closed"):
            customer(bulk.customers, 1)
        late = customer(co.customers, 2)
        with pytest.raises(UsageError, match="closed"):
            await bulk.submit(late)
        assert states([late]) == ["not_sent"]

    run(main())


def test_a_client_that_is_closed_under_the_scope_settles_everything() -> None:
    """The quota grants nothing more: what waits was never sent."""

    async def main() -> None:
        server = ServerModel()
        limiter = LocalLimiter(QuotaSettings(4, 60.0))
        bulk = client(server, limiter=limiter).bulk()
        made = [customer(bulk.customers, mark) for mark in range(200)]
        await asyncio.sleep(20.0)
        await limiter.aclose()
        await asyncio.sleep(1.0)
        assert all(operation.outcome for operation in made)
        report = await bulk.aclose()
        assert report.done + report.not_sent == 200
        assert report.not_sent > 0

    run(main())


def test_a_limiter_that_fails_does_not_hang_the_scope() -> None:
    """Whatever it raises, everything settles, unsent, and says why."""

    class Broken(NoLimit):
        async def acquire(self, priority: Priority) -> Permit:
            raise ConnectionError("the store of the quota is away")

    async def main() -> None:
        async with client(ServerModel(), limiter=Broken()).bulk() as bulk:
            made = customer(bulk.customers, 1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert "the store of the quota is away" in str(outcome_of(made).error)

    run(main())


def test_a_transport_that_raises_is_an_answer_that_was_lost() -> None:
    """A keyed create is looked up, one without a key is unknown; the scope goes on."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble("raise")])
        gate = Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            keyed = customer(bulk.customers, 1, external_key="a")
            once = customer(bulk.customers, 2)
            gate.opened.set()
        assert states([keyed, once]) == ["done", "unknown"]

    run(main())


@pytest.mark.parametrize("after", [0.0, 0.1, 0.3, 1.0])
def test_an_event_loop_that_ends_first_leaves_no_pending_future(after: float) -> None:
    """Every task is cancelled, as `asyncio.run` does; every operation settles all the same."""
    loop = FakeLoop()
    server = ServerModel(plan=[Trouble("lost_after")])
    made: list[Any] = []

    async def main() -> None:
        bulk = client(server, max_in_flight=1).bulk()
        made.extend(customer(bulk.customers, mark, external_key=str(mark)) for mark in range(40))
        await asyncio.sleep(after)

    loop.run_until_complete(main())
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()
    assert all(operation.outcome is not None for operation in made)
    for mark, operation in enumerate(made):
        if outcome_of(operation).state == "not_sent":
            assert server.effects_of(mark) == []
    gc.collect()
    assert loop.complaints == []


def test_a_deadline_during_a_look_up_awaits_the_look_up() -> None:
    """The create was lost and is there; the look-up in flight is awaited and adopts it."""

    async def main() -> None:
        server = ServerModel(
            plan=lambda sent: Trouble("lost_after" if len(server.sent) == 0 else "ok", delay=2.0)
        )
        bulk = client(server).bulk()
        made = customer(bulk.customers, 1, external_key="a")
        await until(lambda: len(server.sent) == 2)
        report = await bulk.aclose(0.5)
        assert report.done == 1
        assert states([made]) == ["done"]

    run(main())


def test_a_deadline_before_a_look_up_reports_unknown() -> None:
    """What is lost and not settled yet is unknown, not unsent."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble("lost_after")])
        bulk = client(server).bulk()
        made = customer(bulk.customers, 1, external_key="a")
        await asyncio.sleep(0.2001)
        report = await bulk.aclose(0.0)
        assert (report.unknown, states([made])) == (1, ["unknown"])

    run(main())


def test_absence_seen_while_stopping_is_reported_unknown() -> None:
    """The look-up comes back empty after the deadline: it is neither sent again nor called sure."""

    async def main() -> None:
        server = ServerModel(
            plan=lambda sent: Trouble("lost_before" if len(server.sent) == 0 else "ok", delay=2.0)
        )
        bulk = client(server).bulk()
        made = customer(bulk.customers, 1, external_key="a")
        await until(lambda: made.entry.lookup is not None)
        await until(lambda: made.entry.lookup.stage.name == "FLYING")
        await bulk.aclose(0.5)
        assert states([made]) == ["unknown"]
        assert server.effects == []

    run(main())
