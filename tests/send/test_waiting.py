"""One operation has one outcome, whoever waits, is cancelled, or closes the client."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import pytest
from support.direct_calls import CALLS
from support.scripted import (
    Gate,
    World,
    created,
    envelope,
    lost,
    refused,
)

from chargeover_async import (
    BadRequest,
    ChargeOver,
    NotSent,
    OutcomeUnknown,
    RetryPolicy,
)

pytestmark = pytest.mark.looptime


# -- one operation, one outcome --------------------------------------------------------------------


async def test_awaiting_twice_sends_once():
    """The second await gives the same value, or raises the same error."""
    world = World(envelope(200, 3), refused())
    operation = world.co.customers.count()
    assert await operation == await operation == 3
    bad = world.co.customers.count()
    errors = []
    for _ in range(2):
        with pytest.raises(BadRequest) as caught:
            await bad
        errors.append(caught.value)
    assert errors[0] is errors[1]
    world.check()


async def test_two_tasks_that_await_one_operation_share_one_request():
    """Whoever comes second waits for the first one's answer."""
    gate = Gate(envelope(200, 3))
    world = World(gate)
    operation = world.co.customers.count()

    async def wait() -> int:
        return await operation

    tasks = [asyncio.create_task(wait()) for _ in range(3)]
    await gate.reached.wait()
    gate.open.set()
    assert await asyncio.gather(*tasks) == [3, 3, 3]
    world.check()


async def test_several_tasks_may_be_made_of_one_operation():
    """Each task waits in its own place; the request is sent once."""
    gate = Gate(envelope(200, 3))
    world = World(gate)
    operation = world.co.customers.count()
    tasks = [asyncio.create_task(operation) for _ in range(3)]
    await gate.reached.wait()
    gate.open.set()
    assert await asyncio.gather(*tasks) == [3, 3, 3]
    assert await asyncio.create_task(operation) == 3
    world.check()


async def test_an_operation_works_wherever_a_coroutine_does():
    """create_task, TaskGroup, gather, wait_for, timeout and shield take it as it is."""
    world = World(*[envelope(200, n) for n in range(7)])
    count = world.co.customers.count
    assert await asyncio.create_task(count()) == 0
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(count()), group.create_task(count())]
    assert [task.result() for task in tasks] == [1, 2]
    assert await asyncio.gather(count(), count()) == [3, 4]
    assert await asyncio.wait_for(count(), 1) == 5
    assert await asyncio.shield(count()) == 6
    world.check()


def test_asyncio_run_takes_an_operation():
    """A script may hand its one call to ``asyncio.run``."""
    world = World(envelope(200, 3))
    assert asyncio.run(world.co.customers.count()) == 3  # type: ignore[arg-type]


async def test_a_task_that_is_cancelled_before_it_began_sends_nothing():
    """The operation is settled as not sent, without a warning."""
    world = World()
    operation = world.co.customers.create(company="Acme")
    task = asyncio.create_task(operation)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(NotSent, match="cancelled"):
        await operation
    world.check()


async def test_an_operation_that_nobody_awaits_warns():
    """As a forgotten coroutine does, and names the call; an awaited one does not."""
    world = World(envelope(200, 3))
    with pytest.warns(RuntimeWarning, match=r"GET /customer/_count was never awaited"):
        world.co.customers.count()
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await world.co.customers.count()
        world.co.customers.count().close()
        gc.collect()


async def test_a_closed_operation_cannot_be_sent():
    """`close` gives it up; awaiting it says so."""
    world = World()
    operation = world.co.customers.count()
    operation.close()
    operation.close()
    with pytest.raises(NotSent, match="closed before it was sent"):
        await operation
    assert operation.done


async def test_closing_a_settled_operation_changes_nothing():
    """Its value stays."""
    world = World(envelope(200, 3))
    operation = world.co.customers.count()
    await operation
    operation.close()
    assert await operation == 3


# -- cancelling ------------------------------------------------------------------------------------


async def test_cancelled_while_it_waits_for_the_quota_it_was_not_sent():
    """No permit is taken, nothing is sent, and the outcome says so."""
    hold = asyncio.Event()
    world = World(hold=hold)
    operation = world.co.customers.create(company="Acme")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(operation, 5)
    assert operation.outcome is not None
    assert operation.outcome.state == "not_sent"
    with pytest.raises(NotSent):
        await operation
    assert world.limiter.permits == []


@pytest.mark.parametrize(("kind", "error"), [("read", NotSent), ("once", OutcomeUnknown)])
async def test_cancelled_under_way_the_permit_ends_and_a_write_is_unknown(kind: str, error: Any):
    """A read changed nothing; anything else may have happened."""
    world = World(Gate(created()))
    operation = CALLS[kind][0](world.co)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(operation, 5)
    world.check()
    with pytest.raises(error):
        await operation


async def test_cancelled_while_it_waits_to_repeat_a_lost_write_is_unknown():
    """The first send may have been done."""
    world = World(lost(), retry=RetryPolicy(base_s=1000, cap_s=1000, total_s=10_000))
    operation = world.co.customers.update(7, company="Acme")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(operation, 1)
    world.check()
    assert operation.outcome is not None
    assert operation.outcome.state == "unknown"


async def test_cancelling_the_second_waiter_leaves_the_first_alone():
    """Only who sends is the call."""
    gate = Gate(envelope(200, 3))
    world = World(gate)
    operation = world.co.customers.count()
    first = asyncio.create_task(operation)
    await gate.reached.wait()
    second = asyncio.create_task(operation)
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.open.set()
    assert await first == 3
    world.check()


async def test_cancelling_the_sender_wakes_whoever_else_waits():
    """They get a typed error instead of waiting for ever."""
    gate = Gate(created())
    world = World(gate)
    operation = world.co.customers.create(company="Acme")
    first, second = asyncio.create_task(operation), asyncio.create_task(operation)
    await gate.reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(OutcomeUnknown, match="cancelled"):
        await second
    world.check()


async def test_a_fault_of_a_transport_settles_the_operation_and_ends_the_permit():
    """It may have sent: an exception that nobody expected is a lost answer, to all who wait."""
    world = World(ZeroDivisionError("a bug"))
    operation = world.co.customers.create(company="Acme")
    first, second = asyncio.create_task(operation), asyncio.create_task(operation)
    with pytest.raises(OutcomeUnknown, match="ZeroDivisionError") as caught:
        await first
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(OutcomeUnknown, match="ZeroDivisionError"):
        await second
    world.check()


# -- closing ---------------------------------------------------------------------------------------


async def test_a_closed_client_sends_nothing_more():
    """Neither new calls nor calls that wait for the quota; a second close does nothing."""
    hold = asyncio.Event()
    world = World(hold=hold)
    task = asyncio.create_task(world.co.customers.create(company="Acme"))
    await asyncio.sleep(0)
    await world.co.aclose()
    await world.co.aclose()
    hold.set()
    with pytest.raises(NotSent, match="closed"):
        await task
    with pytest.raises(NotSent, match="closed"):
        await world.co.customers.count()
    assert world.script.closed
    assert world.script.requests == []
    assert [permit.ends for permit in world.limiter.permits] == [["unused"]]


async def test_a_lost_write_that_cannot_be_settled_before_the_close_is_unknown():
    """The look-up is not sent any more, so nobody knows; it is not called unsent."""
    world = World(lost(), retry=RetryPolicy(base_s=100, cap_s=100))
    operation = world.co.customers.create(company="Acme", external_key="k-1")
    task = asyncio.create_task(operation)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await world.co.aclose()
    with pytest.raises(OutcomeUnknown):
        await task
    world.check()


async def test_closing_one_client_leaves_a_shared_quota_open():
    """The other client of the same account goes on."""
    world = World()
    other = ChargeOver(
        "https://example.chargeover.com",
        "u",
        "p",
        limiter=world.co.limiter,
        transport=World(envelope(200, 3)).script,
    )
    assert world.co.limiter is other.limiter is world.limiter
    await world.co.aclose()
    assert await other.customers.count() == 3


async def test_with_options_shares_everything_but_the_options():
    """Flags and the end customer's address go with the calls made through it."""
    world = World(envelope(200, 3), envelope(200, 3))
    other = world.co.with_options(on_behalf_addr="10.0.0.1", flags={"emails": 0})
    await other.customers.count()
    await world.co.customers.count()
    assert world.sent == [
        "GET /customer/_count?on_behalf_addr=10.0.0.1&_flag_emails=0",
        "GET /customer/_count",
    ]
    assert other.stats is world.co.stats


async def test_with_options_keeps_what_it_is_not_told():
    """A service that acts for an end customer does so with a flag set, too."""
    world = World(*[envelope(200, 3)] * 3, on_behalf_addr="10.0.0.1", flags={"emails": 1})
    other = world.co.with_options(flags={"emails": 0})
    await other.customers.count()
    await other.with_options(on_behalf_addr="10.0.0.2", flags={"webhooks": 0}).customers.count()
    await world.co.customers.count()
    assert world.sent == [
        "GET /customer/_count?on_behalf_addr=10.0.0.1&_flag_emails=0",
        "GET /customer/_count?on_behalf_addr=10.0.0.2&_flag_emails=0&_flag_webhooks=0",
        "GET /customer/_count?on_behalf_addr=10.0.0.1&_flag_emails=1",
    ]
