"""Creates with an external key whose answer is lost: looked up, adopted or sent again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from support.direct_calls import LOST, RECORD
from support.scripted import (
    World,
    broken,
    created,
    envelope,
    lost,
    missing,
    never_left,
    refused,
    taken,
    throttled,
)

from chargeover_async import (
    AlreadyExists,
    OutcomeUnknown,
    Repeat,
    RetryPolicy,
    UsageError,
)

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("what", [*LOST, "500"])
async def test_a_keyed_create_is_looked_up_and_adopted(what: str):
    """Found and equal: it is ours, and the call returns as if its answer had come."""
    world = World({**LOST, "500": broken()}[what], envelope(200, RECORD))
    operation = world.co.customers.create(company="Acme", external_key="k-1")
    assert (await operation).id == 7
    world.check()
    assert world.sent == ["POST /customer", "GET /customer/external_key:k-1"]
    assert operation.outcome is not None
    assert (operation.outcome.state, operation.outcome.attempts) == ("done", 1)
    assert (world.co.stats.lookups, world.co.stats.retries) == (1, 0)


@pytest.mark.parametrize("what", [*LOST, "500"])
async def test_a_keyed_create_that_is_absent_is_sent_again(what: str):
    """The look-up finds nothing, so the second send is no double."""
    world = World({**LOST, "500": broken()}[what], missing(), created(9))
    operation = world.co.customers.create(company="Acme", external_key="k-1")
    assert (await operation).id == 9
    world.check()
    assert [request.split()[0] for request in world.sent] == ["POST", "GET", "POST"]
    assert (
        world.script.body(0) == world.script.body(2) == {"company": "Acme", "external_key": "k-1"}
    )
    assert operation.outcome is not None
    assert operation.outcome.attempts == 2


async def test_a_record_that_holds_other_values_is_not_called_ours():
    """AlreadyExists names the differences, the id, and that it may have happened."""
    world = World(lost(), envelope(200, {**RECORD, "company": "Umbrella"}))
    operation = world.co.customers.create(company="Acme", external_key="k-1")
    with pytest.raises(AlreadyExists, match="holds other values") as caught:
        await operation
    world.check()
    assert caught.value.existing_id == 7
    assert caught.value.differences == {"company": ("Acme", "Umbrella")}
    assert caught.value.may_have_happened
    assert operation.outcome is not None
    assert operation.outcome.state == "unknown"


async def test_already_exists_after_a_send_of_ours_is_looked_up():
    """The lost first send was done: the duplicate is our own record."""
    world = World(lost(), missing(), taken(), envelope(200, RECORD))
    assert (await world.co.customers.create(company="Acme", external_key="k-1")).id == 7
    world.check()


async def test_already_exists_at_the_first_send_is_somebody_elses():
    """Nothing of ours was sent before, so the refusal stands without a look-up."""
    world = World(taken())
    operation = world.co.customers.create(company="Acme", external_key="k-1")
    with pytest.raises(AlreadyExists) as caught:
        await operation
    world.check()
    assert not caught.value.may_have_happened
    assert operation.outcome is not None
    assert operation.outcome.state == "refused"


@pytest.mark.parametrize("first", [throttled(), never_left()])
async def test_already_exists_after_a_send_that_did_nothing_is_somebody_elses(first: Any):
    """A 429, or a send that never left, cannot have made the record."""
    world = World(first, taken())
    with pytest.raises(AlreadyExists):
        await world.co.customers.create(company="Acme", external_key="k-1")
    world.check()


async def test_a_look_up_that_meets_faults_is_repeated_like_a_read():
    """Lost, refused connection, 429: the look-up goes on; attempts count the create only."""
    world = World(lost(), lost(), never_left(), throttled(), broken(), envelope(200, RECORD))
    operation = world.co.customers.create(company="Acme", external_key="k-1")
    assert (await operation).id == 7
    world.check()
    assert operation.outcome is not None
    assert operation.outcome.attempts == 1


@pytest.mark.parametrize(
    "answers",
    [
        [refused(code=401)],
        [refused()],
        [lost()] * 8,
        [envelope(200, ["not", "a", "record"])],
        [envelope(200, {"customer_id": "x"})],
    ],
)
async def test_a_look_up_that_cannot_be_read_leaves_the_outcome_unknown(answers: list[Any]):
    """Neither found nor absent is not a reason to send again."""
    world = World(lost(), *answers)
    with pytest.raises(OutcomeUnknown):
        await world.co.customers.create(company="Acme", external_key="k-1")
    world.check()


async def test_a_create_that_stays_absent_and_lost_ends_unknown():
    """The rounds of send and look-up are bounded by the attempts."""
    world = World(lost(), missing(), lost(), missing(), retry=RetryPolicy(attempts=2))
    operation = world.co.customers.create(company="Acme", external_key="k-1")
    with pytest.raises(OutcomeUnknown):
        await operation
    world.check()
    assert operation.outcome is not None
    assert operation.outcome.attempts == 2


@pytest.mark.parametrize(
    ("name", "sent", "held", "equal"),
    [
        ("thing", "Acme", "Acme", True),
        ("thing", "Acme ", "Acme", False),
        ("thing", "", None, True),
        ("thing", 5, "5", True),
        ("amount", Decimal("2.50"), 2.5, True),
        ("amount", "100.00", 100, True),
        ("thing", "100.00", 100, False),
        ("thing", True, "1", True),
        ("thing", True, 0, False),
        ("date", "2026-01-31", "2026-01-31 00:00:00", True),
        ("date", "2026-01-31", "2026-02-01 00:00:00", False),
        ("thing", "Acme", None, False),
        ("thing", "5", "6", False),
        ("thing", 5, "many", False),
        ("thing", 5, 6, False),
        ("thing", [{"a": 1}], [{"a": 2}], False),
        ("thing", [{"a": 1}], [{"a": 1, "b": 2}], True),
    ],
)
async def test_values_are_compared_as_the_api_writes_them(
    name: str, sent: Any, held: Any, equal: bool
):
    """Amounts by value, flags as flags, a date with its midnight, text exactly, lists by entry."""
    world = World(lost(), envelope(200, {**RECORD, name: held}))
    operation = world.co.customers.create(external_key="k-1", extra={name: sent})
    outcome = await operation.wait()
    assert (outcome.error is None) is equal
    if not equal:
        assert isinstance(outcome.error, AlreadyExists)
        assert list(outcome.error.differences) == [name]


async def test_an_unwrapped_create_with_a_key_is_looked_up_too():
    """``repeat=Repeat.KEYED`` takes the key from the body."""
    world = World(lost(), envelope(200, {"widget_id": 3, "external_key": "a b"}))
    call = world.co.request("POST", "/widget", json={"external_key": "a b"}, repeat=Repeat.KEYED)
    assert await call == {"id": 3}
    world.check()
    assert world.sent[1].endswith("a%20b")


@pytest.mark.parametrize(
    ("method", "path", "json"),
    [
        ("POST", "/widget", None),
        ("POST", "/widget", {"name": "x"}),
        ("POST", "/widget", [1]),
        ("POST", "/widget/1", {"external_key": "a"}),
        ("PUT", "/widget", {"external_key": "a"}),
    ],
)
async def test_keyed_without_a_key_is_refused_before_it_is_sent(method: str, path: str, json: Any):
    """What cannot be looked up cannot be called keyed."""
    with pytest.raises(UsageError, match="external_key"):
        World().co.request(method, path, json=json, repeat=Repeat.KEYED)
