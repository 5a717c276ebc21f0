"""The server dies in the middle of the work: every operation still ends, and says how."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from chargeover_async import (
    ChargeOver,
    ConnectFailed,
    OutcomeUnknown,
    RetryPolicy,
    TransportError,
)
from chargeover_async.limits import NoLimit
from chargeover_async.sandbox import Sandbox

pytestmark = pytest.mark.process

QUICK = RetryPolicy(attempts=3, base_s=0.001, cap_s=0.002)


@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "without keys"])
@pytest.mark.parametrize("after", [1, 30, 300])
async def test_every_operation_of_a_stream_ends_when_the_sandbox_is_killed(
    keyed: bool, after: int
) -> None:
    """2,000 creates, the server gone after some: a value or a typed error each, nothing hangs."""
    sandbox = Sandbox(quota=None)
    await sandbox.__aenter__()
    killed = False
    states: Counter[str] = Counter()
    done: set[int] = set()
    unknown = 0
    async with ChargeOver(
        sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit(), retry=QUICK
    ) as co:
        operations = (
            co.customers.create(company=f"c{n}", **({"external_key": f"k{n}"} if keyed else {}))
            for n in range(2_000)
        )
        async with asyncio.timeout(600):
            async for outcome in co.stream(operations):
                states[outcome.state] += 1
                if outcome.error is None:
                    assert outcome.value is not None
                    done.add(outcome.value.id)
                else:
                    assert isinstance(outcome.error, (OutcomeUnknown, ConnectFailed))
                    assert outcome.error.may_have_happened == (outcome.state == "unknown")
                    unknown += outcome.state == "unknown"
                if not killed and sum(states.values()) >= after:
                    killed = True
                    await sandbox.kill()
    assert sum(states.values()) == 2_000
    assert set(states) <= {"done", "unknown", "not_sent"}
    held = {record["customer_id"] for record in sandbox.store.records("customer")}
    assert done <= held
    assert len(held - done) <= unknown


async def test_a_direct_call_to_a_dead_server_says_that_nothing_was_sent() -> None:
    """A refused connection is ConnectFailed, not a lost answer."""
    async with Sandbox() as sandbox:
        url, user, password = sandbox.url, sandbox.username, sandbox.password
    async with ChargeOver(url, user, password, retry=QUICK) as co:
        with pytest.raises(ConnectFailed) as caught:
            await co.customers.create(company="Acme")
    assert isinstance(caught.value, TransportError)
    assert not caught.value.may_have_happened
    assert "nothing was sent" in str(caught.value)
