"""Tests of the service; the fixtures come with chargeover_async.

pytest examples/service
"""

import pytest
from signup import Signup

from chargeover_async.sandbox import Quota

pytestmark = pytest.mark.asyncio


@pytest.fixture
def signup(chargeover_sandbox, chargeover_client):
    chargeover_sandbox.store.seed("item", {"external_key": "setup", "name": "Setting up"})
    return Signup(chargeover_client)


async def test_a_new_customer_gets_an_invoice(chargeover_sandbox, signup):
    await signup.sign_up("acme", "Acme")
    customer = chargeover_sandbox.assert_created_once("customer", external_key="acme")
    invoice = chargeover_sandbox.assert_created_once("invoice", total=49)
    assert invoice["customer_id"] == customer["customer_id"]


async def test_a_lost_answer_creates_nothing_twice(chargeover_sandbox, signup):
    chargeover_sandbox.lose_answer("POST /customer").lose_answer("POST /invoice")
    await signup.sign_up("acme", "Acme")
    chargeover_sandbox.assert_created_once("customer", company="Acme")
    chargeover_sandbox.assert_created_once("invoice", total=49)


async def test_ten_minutes_of_maintenance_are_sat_out(chargeover_sandbox, signup, chargeover_clock):
    chargeover_sandbox.down_for(600)
    await signup.sign_up("acme", "Acme")
    chargeover_sandbox.assert_created_once("invoice", total=49)
    assert 600 <= chargeover_clock.elapsed < 700  # and the test took milliseconds


@pytest.mark.chargeover_sandbox(quota=Quota(5, 60))
async def test_a_rush_keeps_to_the_quota(chargeover_sandbox, signup, chargeover_clock):
    keys = [f"k{number}" for number in range(10)]
    for key in keys:
        await signup.sign_up(key, "Acme")
    chargeover_sandbox.assert_each_created_once("customer", "external_key", keys)
    chargeover_sandbox.assert_within_quota()
    assert chargeover_clock.elapsed > 120
