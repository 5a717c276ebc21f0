"""The value that a reference stands for: one, or an error that says what was found."""

from __future__ import annotations

from typing import Any

import pytest
from support.scripted import World, created, envelope

from chargeover_async import ExternalKey, UsageError
from chargeover_async._wire.envelope import Answer

PATH = "$.response.x"


@pytest.mark.parametrize("value", [None, [], {}, [1, 2], {"a": 1}])
@pytest.mark.parametrize("place", ["payload", "path"])
async def test_null_and_what_is_many_is_no_value(value: Any, place: str):
    """It is not sent as null, which would clear a field; the target stays done."""
    world = World(envelope(201, {"id": 7, "x": value}))
    customers = world.co.customers
    target = customers.create(company="Acme")
    ref = target.ref(PATH)
    user = customers.create(custom_1=ref) if place == "payload" else customers.delete(ref)
    assert (await target).id == 7
    with pytest.raises(UsageError, match=r"refers to \$\.response\.x of .* no single value"):
        await user
    assert len(world.sent) == 1


@pytest.mark.parametrize("value", [0, 1, "", "x", False, True, "1.50"])
async def test_a_value_of_any_other_kind_is_sent_as_it_is(value: Any):
    """Empty text, 0 and false are values."""
    world = World(envelope(201, {"id": 7, "x": value}), created(8))
    target = world.co.customers.create(company="Acme")
    user = world.co.customers.create(custom_1={"a": [target.ref(PATH)]})
    await target
    await user
    assert world.script.body(1) == {"custom_1": {"a": [value]}}


async def test_an_amount_stays_exact():
    """As it was in the answer."""
    body = b'{"code":201,"status":"OK","message":"","response":{"id":7,"x":1.10}}'
    world = World(Answer(201, {}, body), created(8))
    target = world.co.customers.create(company="Acme")
    user = world.co.customers.create(custom_1=target.ref(PATH))
    await target
    await user
    assert world.script.requests[1].body == b'{"custom_1":1.10}'


@pytest.mark.parametrize("value", ["", ".", ".."])
async def test_a_value_that_is_no_name_does_not_go_into_a_path(value: str):
    """A server would read another path."""
    world = World(envelope(201, {"id": 7, "x": value}))
    target = world.co.customers.create(company="Acme")
    user = world.co.customers.delete(target.ref(PATH))
    await target
    with pytest.raises(UsageError, match="no name of a record"):
        await user
    assert len(world.sent) == 1


async def test_a_target_by_key_is_no_reference():
    """Its key is text of the caller's own."""
    world = World(envelope(200, True))
    await world.co.customers.delete(ExternalKey("$.response.id"))
    assert world.sent == ["DELETE /customer/external_key:%24.response.id"]
