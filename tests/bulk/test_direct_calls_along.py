"""Direct calls that travel in the batches of a scope or stream (`carry_direct_calls`)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of
from support.fake_loop import run
from support.server_model import ServerModel, Trouble

from chargeover_async import BadRequest, ExternalKey, LocalLimiter, NotSent, QuotaSettings

PERMIT_S = 60.0 / 250


def endless(co: Any) -> Iterator[Any]:
    """Creates without end."""
    mark = 1_000_000
    while True:
        mark += 1
        yield customer(co.customers, mark)


@contextlib.asynccontextmanager
async def job(co: Any, outcomes: list[Any] | None = None) -> Any:
    """A stream that goes on until the block is left."""

    async def stream() -> None:
        async for outcome in co.stream(endless(co)):
            if outcomes is not None:
                outcomes.append(outcome)

    task = asyncio.create_task(stream())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_stream_keeps_its_rate_under_one_direct_call_a_second() -> None:
    """200 calls, each out within two permits; at least 80 % of the rate is asked, 95 % is had."""

    async def main() -> None:
        loop, dice = asyncio.get_running_loop(), random.Random(4)
        server = ServerModel(delay=0.1)
        limiter = LocalLimiter(QuotaSettings(250, 60.0), random=random.Random(1))
        co = client(server, limiter=limiter, carry_direct_calls=True)
        there = server.seed("customer")
        done: list[Any] = []
        async with job(co, done):
            await asyncio.sleep(130.0)
            at, before = loop.time(), len(done)
            await asyncio.sleep(200.0)
            alone = (len(done) - before) / (loop.time() - at)
            at, before = loop.time(), len(done)
            waits = []
            for number in range(200):
                asked = loop.time()
                if number % 2:
                    await co.customers.get(there)
                else:
                    await co.customers.update(there, company=f"Direct {number}")
                waits.append(loop.time() - asked - 0.2)
                await asyncio.sleep(max(0.0, asked + 0.5 + dice.random() - loop.time()))
            beside = (len(done) - before) / (loop.time() - at)
        assert max(waits) <= 2 * PERMIT_S + 0.01
        assert beside >= 0.95 * alone

    run(main())


def test_only_the_caller_learns_of_a_call_that_was_taken_along() -> None:
    """Its value is the caller's; the scope's report and the stream's outcomes are of its own."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        co = client(server, limiter=gate, carry_direct_calls=True)
        async with co.bulk() as bulk:
            for mark in range(30):
                customer(bulk.customers, mark)
            await asyncio.sleep(0.01)
            call = asyncio.create_task(customer(co.customers, 99, external_key="k99").wait())
            await asyncio.sleep(0.01)
            gate.opened.set()
            outcome = await call
        assert outcome.value is not None
        assert outcome.value.id == server.by_key("customer", "k99")["customer_id"]  # type: ignore[index]
        assert outcome.operation.key == "k99"
        assert outcome.batch == 1
        assert (bulk.report.done, sum(server.sizes)) == (30, 31)
        assert server.sent[0].marks[0] == 99  # at the head
        assert [effect.mark for effect in server.effects].count(99) == 1

    run(main())


def test_what_cannot_travel_in_a_batch_goes_alone() -> None:
    """Lists, actions and deletes; and any call while nothing waits."""

    async def main() -> None:
        server = ServerModel()
        limiter = LocalLimiter(QuotaSettings(250, 60.0), random=random.Random(1))
        co = client(server, limiter=limiter, carry_direct_calls=True)
        there = server.seed("customer")
        async with job(co):
            await asyncio.sleep(100.0)
            await co.customers.list(limit=5)
            await co.customers.set_active(there)
            await co.customers.delete(there)
        alone = [sent.request.method for sent in server.sent if sent.request.path != "/_bulk"]
        assert alone == ["GET", "POST", "DELETE"]

    run(main())


def test_a_refusal_is_raised_as_of_any_call() -> None:
    """The error names the caller's operation, and its neighbours are done."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("item_400", 0)]), Gated()
        co = client(server, limiter=gate, carry_direct_calls=True)
        async with co.bulk() as bulk:
            others = [customer(bulk.customers, mark) for mark in range(10)]
            await asyncio.sleep(0.01)
            call = asyncio.create_task(customer(co.customers, 99, external_key="k99").wait())
            await asyncio.sleep(0.01)
            gate.opened.set()
            error = (await call).error
        assert isinstance(error, BadRequest)
        assert "k99" in error.operation
        assert {outcome_of(operation).state for operation in others} == {"done"}

    run(main())


def test_a_closed_scope_is_no_affair_of_the_call() -> None:
    """Left by an exception before the batch leaves: the call goes alone, once."""

    async def main() -> None:
        server = ServerModel()
        limiter = LocalLimiter(QuotaSettings(4, 60.0), random=random.Random(1))
        co = client(server, limiter=limiter, carry_direct_calls=True)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what is left
            async with co.bulk() as bulk:
                for mark in range(300):
                    customer(bulk.customers, mark)
                await asyncio.sleep(30.0)
                call = asyncio.create_task(customer(co.customers, 999, external_key="k").wait())
                await asyncio.sleep(0.01)
                raise ZeroDivisionError
        assert (await call).state == "done"
        assert server.sent[-1].request.path == "/customer"
        assert [effect.mark for effect in server.effects].count(999) == 1

    run(main())


@pytest.mark.parametrize("sent", [False, True])
def test_a_cancelled_call_settles_and_disturbs_nobody(*, sent: bool) -> None:
    """Unsent it is withdrawn; in flight it runs to its end, and the caller cannot know."""

    async def main() -> None:
        server, gate = ServerModel(delay=1.0), Gated()
        co = client(server, limiter=gate, carry_direct_calls=True)
        async with co.bulk() as bulk:
            others = [customer(bulk.customers, mark) for mark in range(10)]
            await asyncio.sleep(0.01)
            direct = customer(co.customers, 99)
            call = asyncio.create_task(direct.wait())
            await asyncio.sleep(0.01)
            if sent:
                gate.opened.set()
                await asyncio.sleep(0.5)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            gate.opened.set()
        assert {outcome_of(operation).state for operation in others} == {"done"}
        assert outcome_of(direct).state == ("unknown" if sent else "not_sent")
        assert isinstance(outcome_of(direct).error, NotSent) is not sent
        assert [effect.mark for effect in server.effects].count(99) == int(sent)

    run(main())


def test_a_call_on_a_record_with_open_work_goes_alone() -> None:
    """It would have to wait for all of that; direct calls do not stand in this line."""

    async def main() -> None:
        server = ServerModel()
        limiter = LocalLimiter(QuotaSettings(4, 60.0), random=random.Random(1))
        co = client(server, limiter=limiter, carry_direct_calls=True)
        async with co.bulk() as bulk:
            for mark in range(300):
                customer(bulk.customers, mark, external_key=f"k{mark}")
            bulk.customers.update(ExternalKey("k299"), company="queued", extra={"mark": 300})
            await asyncio.sleep(30.0)
            call = asyncio.create_task(
                co.customers.update(ExternalKey("k0"), company="x", extra={"mark": 301}).wait()
            )
            other = asyncio.create_task(
                co.customers.update(ExternalKey("k299"), company="y", extra={"mark": 302}).wait()
            )
            assert (await call).state == "done"
            await other
        alone = [sent.marks for sent in server.sent if sent.request.path != "/_bulk"]
        assert [302] in alone
        assert [301] not in alone

    run(main())
