"""Direct calls that refer to the answers of others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from support.direct_calls import RECORD
from support.scripted import (
    World,
    created,
    envelope,
    refused,
)

from chargeover_async import (
    BadRequest,
    DependencyFailed,
    UsageError,
)

pytestmark = pytest.mark.looptime


async def test_a_direct_call_may_refer_to_an_operation_that_is_done():
    """Its id goes where the reference stood, in the payload and in the path."""
    world = World(created(41), created(42), envelope(200, RECORD))
    acme = world.co.customers.create(company="Acme")
    await acme
    line = {"item_id": 1, "line_rate": Decimal("2.95")}
    await world.co.invoices.create(customer_id=acme.ref(), line_items=[line])
    await world.co.customers.get(acme)
    world.check()
    assert world.script.body(1)["customer_id"] == 41
    assert world.sent[2] == "GET /customer/41"


async def test_a_reference_to_what_nobody_sent_is_refused():
    """Before anything is sent."""
    world = World()
    acme = world.co.customers.create(company="Acme")
    call = world.co.customers.get(acme)
    with pytest.raises(UsageError, match="nobody has sent"):
        await call
    acme.close()
    world.check()


async def test_a_reference_to_what_was_refused_is_a_failed_dependency():
    """The cause is the target's error; nothing is sent."""
    world = World(refused())
    acme = world.co.customers.create(company="Acme")
    with pytest.raises(BadRequest) as first:
        await acme
    call = world.co.users.create(customer_id=acme.ref())
    with pytest.raises(DependencyFailed) as caught:
        await call
    assert caught.value.__cause__ is first.value
    world.check()


@pytest.mark.parametrize("path", ["$.response.number", "$.response", "$..*"])
async def test_a_path_that_finds_no_single_value_is_refused(path: str):
    """Nothing, an object, or several values: nothing is sent."""
    world = World(created(41))
    acme = world.co.customers.create(company="Acme")
    reference = acme.ref(path)
    await acme
    with pytest.raises(UsageError, match="nothing was sent"):
        await world.co.users.create(customer_id=reference)
    world.check()


@pytest.mark.parametrize("path", ["response.id", "$.[", "", 5])
def test_what_is_no_json_path_is_refused_at_once(path: Any):
    """Where it is written, not where it is used."""
    acme = World().co.customers.create(company="Acme")
    with pytest.raises(UsageError, match="JSONPath"):
        acme.ref(path)
    acme.close()
