"""The testing kit and its fixtures as a typed test uses them; checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

import pytest

from chargeover_async import ChargeOver
from chargeover_async.sandbox import Quota
from chargeover_async.testing import FakeClock, Received, TestSandbox, fake_clock


@pytest.mark.chargeover_sandbox(quota=Quota(5, 60))
async def a_test(
    chargeover_sandbox: TestSandbox,
    chargeover_client: ChargeOver,
    chargeover_clock: FakeClock,
    chargeover_env: dict[str, str],
) -> None:
    box = chargeover_sandbox
    assert_type(box.lose_answer("POST /customer").refuse(times=2), TestSandbox)
    box.drop().fail(status=503).cut_answer("/_bulk").delay(2.5).down_for(30).play("entry_500=2")
    with box.down():
        pass
    assert_type(box.calls, list[Received])
    assert_type(box.bulks, list[list[Received]])
    assert_type(box.received("POST /customer", company="Acme"), list[Received])
    assert_type(box.assert_received("POST", times=1), list[Received])
    box.assert_not_received()
    assert_type(box.assert_created_once("customer", company="Acme"), dict[str, Any])
    box.assert_each_created_once("customer", "company", ["Acme"])
    box.assert_within_quota()
    assert_type(box.records("customer", company="Acme"), list[dict[str, Any]])
    assert_type(box.client(connections=2), ChargeOver)
    assert_type(box.environ, dict[str, str])
    assert_type(chargeover_clock.elapsed, float)
    with fake_clock() as clock:
        assert_type(clock, FakeClock)
    async with TestSandbox(quota=None, username="me") as other, other.client() as co:
        await co.customers.count()
