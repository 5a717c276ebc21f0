"""Direct calls over a scripted transport: what is sent again, and when."""

from __future__ import annotations

from typing import Any

import pytest
from support.direct_calls import CALLS, LOST, RECORD, Build, value_of
from support.scripted import (
    World,
    broken,
    envelope,
    lost,
    missing,
    never_left,
    refused,
    throttled,
)

from chargeover_async import (
    AuthFailed,
    BadRequest,
    ConnectFailed,
    DecodeError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    ServerError,
    TransportError,
)
from chargeover_async.limits import Priority
from chargeover_async.observe import RequestSent, RetryPlanned, Throttled

pytestmark = pytest.mark.looptime


# -- again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CALLS)
async def test_what_never_left_is_sent_again_whatever_it_is(kind: str):
    """Refused, DNS, TLS, no free connection: nothing was done, so everybody tries again."""
    call, good, value = CALLS[kind]
    world = World(never_left(), never_left(), good)
    operation = call(world.co)
    assert value_of(await operation) == value
    world.check()
    assert len(set(world.sent)) == 1
    assert operation.outcome is not None
    assert operation.outcome.attempts == 1
    assert [permit.ends for permit in world.limiter.permits] == [["unused"]] * 2 + [
        ["sent", "done"]
    ]
    assert (world.co.stats.requests, world.co.stats.retries) == (1, 2)


@pytest.mark.parametrize("kind", CALLS)
async def test_a_429_is_sent_again_whatever_it_is(kind: str):
    """A refusal for the quota did nothing; the limiter is told once for each."""
    call, good, value = CALLS[kind]
    world = World(throttled(**{"Retry-After": "3"}), throttled(), good)
    operation = call(world.co)
    assert value_of(await operation) == value
    world.check()
    assert world.limiter.pauses == [3.0, None]
    assert operation.outcome is not None
    assert operation.outcome.attempts == 3
    assert world.co.stats.rate_limited == 2
    assert [event.retry_after_s for event in world.events if isinstance(event, Throttled)] == [
        3.0,
        None,
    ]


async def test_429_are_no_attempts_but_end_with_the_total_time():
    """Twenty refusals are waited for; after ``total_s`` the last one is raised."""
    world = World(*[throttled()] * 20, envelope(200, 3), retry=RetryPolicy(attempts=2))
    assert await world.co.customers.count() == 3
    world.check()

    world = World(throttled(**{"retry-after": "2.5"}), retry=RetryPolicy(total_s=0))
    with pytest.raises(RateLimited) as caught:
        await world.co.customers.create(company="Acme")
    world.check()
    assert caught.value.retry_after_s == 2.5
    assert not caught.value.may_have_happened


async def test_a_429_under_a_limiter_that_never_pauses_is_not_hammered(looptime):
    """Without a pause of the limiter the call waits itself, at least a Retry-After."""
    world = World(throttled(**{"Retry-After": "9"}), envelope(200, 3))
    world.limiter.throttled = lambda *_, **__: None  # type: ignore[method-assign]
    assert await world.co.customers.count() == 3
    assert looptime >= 9


@pytest.mark.parametrize("what", LOST)
@pytest.mark.parametrize("kind", ["read", "idempotent"])
async def test_reads_and_idempotent_calls_are_sent_again_after_a_lost_answer(kind: str, what: str):
    """Sending them twice does no harm."""
    call, good, value = CALLS[kind]
    world = World(LOST[what], good)
    operation = call(world.co)
    assert await operation == value
    world.check()
    assert operation.outcome is not None
    assert operation.outcome.attempts == 2


@pytest.mark.parametrize("kind", ["read", "idempotent"])
async def test_a_500_in_the_apis_own_words_is_tried_few_times(kind: str):
    """Three sends, not eight; then the error, which for a write may have happened."""
    call, _, _ = CALLS[kind]
    world = World(*[broken()] * 3)
    with pytest.raises(ServerError) as caught:
        await call(world.co)
    world.check()
    assert caught.value.attempts == 3
    assert caught.value.may_have_happened is (kind != "read")


@pytest.mark.parametrize("kind", CALLS)
async def test_the_attempts_end_and_the_error_says_what_is_known(kind: str):
    """Nothing ever left: ConnectFailed after the allowed tries, and nothing happened."""
    call, _, _ = CALLS[kind]
    world = World(*[never_left("refused")] * 4, retry=RetryPolicy(attempts=4))
    operation = call(world.co)
    with pytest.raises(ConnectFailed, match="refused") as caught:
        await operation
    world.check()
    assert caught.value.attempts == 0
    assert operation.outcome is not None
    assert operation.outcome.state == "not_sent"
    assert world.co.stats.requests == 0


async def test_lost_answers_of_a_read_end_in_a_transport_error_that_changed_nothing():
    """A read that fails for good is refused, never unknown."""
    world = World(*[lost()] * 8)
    operation = world.co.customers.get(7)
    with pytest.raises(TransportError) as caught:
        await operation
    world.check()
    assert type(caught.value) is TransportError
    assert not caught.value.may_have_happened
    assert operation.outcome is not None
    assert operation.outcome.state == "refused"


async def test_lost_answers_of_a_write_end_in_an_unknown_outcome():
    """An update whose every answer is lost may have happened."""
    world = World(*[lost()] * 8)
    operation = world.co.customers.update(7, company="Acme")
    with pytest.raises(OutcomeUnknown) as caught:
        await operation
    world.check()
    assert caught.value.may_have_happened
    assert operation.outcome is not None
    assert operation.outcome.state == "unknown"
    assert world.co.stats.unknown == 1


async def test_a_write_that_was_lost_once_and_then_never_left_is_unknown():
    """What counts is whether any send may have been done, not how the last one ended."""
    world = World(lost(), never_left(), never_left(), retry=RetryPolicy(attempts=3))
    with pytest.raises(OutcomeUnknown):
        await world.co.customers.update(7, company="Acme")
    world.check()


async def test_a_refusal_after_a_lost_send_may_have_happened_by_the_lost_one():
    """A 400 for the second send says nothing about the first."""
    world = World(lost(), refused())
    with pytest.raises(BadRequest) as caught:
        await world.co.customers.update(7, company="Acme")
    assert caught.value.may_have_happened
    world = World(refused())
    with pytest.raises(BadRequest) as caught:
        await world.co.customers.update(7, company="Acme")
    assert not caught.value.may_have_happened


# -- once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", LOST)
async def test_a_create_without_a_key_is_never_sent_again(what: str):
    """A lost answer to it is OutcomeUnknown, after one request."""
    world = World(LOST[what])
    operation = world.co.customers.create(company="Acme")
    with pytest.raises(OutcomeUnknown, match="may have happened") as caught:
        await operation
    world.check()
    assert operation.outcome is not None
    assert (operation.outcome.state, operation.outcome.attempts) == ("unknown", 1)
    assert caught.value.operation == "POST /customer"


@pytest.mark.parametrize(
    "call",
    [
        lambda co: co.invoices.pay(1),
        lambda co: co.invoices.void(1),
        lambda co: co.invoices.email(1),
        lambda co: co.invoices.apply_balance(1),
        lambda co: co.invoices.pay_credit_card(1, number="4111111111111111"),
        lambda co: co.users.send_password_reset(1),
        lambda co: co.request("POST", "/invoice/1", query={"action": "pay"}),
    ],
)
async def test_what_moves_money_or_sends_mail_is_never_sent_again(call: Build):
    """Neither after a lost answer nor after a 500."""
    world = World(lost(), broken())
    with pytest.raises(OutcomeUnknown):
        await call(world.co)
    with pytest.raises(ServerError) as caught:
        await call(world.co)
    world.check()
    assert caught.value.may_have_happened
    assert caught.value.attempts == 1


async def test_a_500_for_a_create_without_a_key_says_that_it_may_have_happened():
    """The error stands after one send; its state is unknown."""
    world = World(broken())
    operation = world.co.customers.create(company="Acme")
    with pytest.raises(ServerError) as caught:
        await operation
    world.check()
    assert caught.value.may_have_happened
    assert operation.outcome is not None
    assert operation.outcome.state == "unknown"


# -- 4xx and deletes -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(), BadRequest),
        (refused(code=401), AuthFailed),
        (refused(code=403), AuthFailed),
        (missing(), NotFound),
        (refused(code=409), BadRequest),
        (envelope(400, False, "no", http=200), BadRequest),
    ],
)
async def test_a_refusal_is_an_error_at_once(kind: str, answer: Any, error: type[Exception]):
    """One request, the API's own words, nothing happened."""
    world = World(answer)
    operation = CALLS[kind][0](world.co)
    with pytest.raises(error) as caught:
        await operation
    world.check()
    assert operation.outcome is not None
    assert operation.outcome.state == "refused"
    assert caught.value.attempts == 1  # type: ignore[attr-defined]


async def test_a_delete_that_is_gone_at_the_second_send_was_done():
    """Lost, then 404: true."""
    world = World(lost(), missing())
    assert await world.co.customers.delete(7) is True
    world.check()


@pytest.mark.parametrize("before", [[], [throttled()], [never_left()]])
async def test_a_delete_of_what_never_was_is_not_found(before: list[Any]):
    """Without a send that may have been done, 404 stands."""
    world = World(*before, missing())
    with pytest.raises(NotFound):
        await world.co.customers.delete(7)
    world.check()


async def test_an_update_that_renames_its_own_address_is_not_sent_twice():
    """The second send could not find the record any more."""
    from chargeover_async import ExternalKey

    world = World(lost())
    with pytest.raises(OutcomeUnknown):
        await world.co.customers.update(ExternalKey("a"), external_key="b")
    world.check()


async def test_an_answer_that_cannot_be_read_is_a_decode_error_and_done():
    """The server did it: nothing is sent again."""
    world = World(envelope(201, {"id": "many"}))
    operation = world.co.customers.create(company="Acme")
    with pytest.raises(DecodeError) as caught:
        await operation
    world.check()
    assert operation.outcome is not None
    assert operation.outcome.state == "done"
    assert caught.value.operation == "POST /customer"


# -- waiting ---------------------------------------------------------------------------------------


async def test_waits_grow_and_stay_under_their_cap():
    """Full jitter: each wait is at most base * 2**n, and at most the cap."""
    policy = RetryPolicy(attempts=9, base_s=1.0, cap_s=10.0)
    world = World(*[lost()] * 8, envelope(200, 3), retry=policy)
    assert await world.co.customers.count() == 3
    waits = [event.delay_s for event in world.events if isinstance(event, RetryPlanned)]
    for wait, most in zip(waits, [1, 2, 4, 8, 10, 10, 10, 10], strict=True):
        assert 0 <= wait <= most
    assert sum(waits) > 8


async def test_a_sick_server_is_not_hammered_once_the_budget_is_spent():
    """With nothing left every retry waits the cap."""
    policy = RetryPolicy(base_s=0.0, cap_s=30.0, budget=2, attempts=5)
    world = World(*[lost()] * 4, envelope(200, 3), retry=policy)
    assert await world.co.customers.count() == 3
    waits = [event.delay_s for event in world.events if isinstance(event, RetryPlanned)]
    assert waits == [0.0, 0.0, 30.0, 30.0]


async def test_the_total_time_ends_the_repeats(looptime):
    """With time left for three waits there are four sends."""
    policy = RetryPolicy(attempts=100, base_s=10.0, cap_s=10.0, budget=0, total_s=25.0)
    world = World(*[lost()] * 4, retry=policy)
    with pytest.raises(TransportError):
        await world.co.customers.count()
    world.check()
    assert looptime == 30


async def test_a_direct_call_asks_the_limiter_once_for_each_request():
    """Retries and look-ups are requests, too; all of them are direct ones."""
    world = World(lost(), missing(), throttled(), lost(), envelope(200, RECORD))
    await world.co.customers.create(company="Acme", external_key="k-1")
    world.check()
    assert world.limiter.priorities == [Priority.DIRECT] * 5
    seen = [event for event in world.events if isinstance(event, RequestSent)]
    assert [event.status for event in seen] == [0, 404, 429, 0, 200]
    assert [event.fault is None for event in seen] == [False, True, False, False, True]
    assert world.co.stats.requests == world.co.stats.operations == 5


async def test_an_observer_that_fails_changes_nothing(caplog):
    """Its exception is logged and goes no further."""
    world = World(envelope(200, 3))

    def fail(_event: Any) -> None:
        raise RuntimeError("no")

    world.co._pipeline.observer = fail
    assert await world.co.customers.count() == 3
    assert "an observer failed on RequestSent" in caplog.text
