"""Direct calls end to end over a scripted transport: the repeat table of DESIGN section 2."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from support.scripted import (
    Gate,
    World,
    broken,
    created,
    cut,
    envelope,
    gateway,
    lost,
    missing,
    never_left,
    refused,
    taken,
    throttled,
)

from chargeover_async import (
    AlreadyExists,
    AuthFailed,
    BadRequest,
    ChargeOver,
    ConnectFailed,
    DecodeError,
    DependencyFailed,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Repeat,
    RetryPolicy,
    ServerError,
    TransportError,
    UsageError,
)
from chargeover_async.limits import Priority
from chargeover_async.observe import RequestSent, RetryPlanned, Throttled
from chargeover_async.operation import Operation

pytestmark = pytest.mark.looptime

Build = Callable[[ChargeOver], Operation[Any]]

RECORD = {"customer_id": 7, "company": "Acme", "external_key": "k-1"}
CALLS: dict[str, tuple[Build, Any, Any]] = {
    # class of the operation: the call, a good answer, its value
    "read": (lambda co: co.customers.count(), envelope(200, 3), 3),
    "idempotent": (lambda co: co.customers.delete(7), envelope(200, True), True),
    "keyed": (
        lambda co: co.customers.create(company="Acme", external_key="k-1"),
        created(7),
        7,
    ),
    "once": (lambda co: co.customers.create(company="Acme"), created(7), 7),
}
LOST = {
    "reset": lost(),
    "502": gateway(502),
    "503": gateway(503),
    "504": gateway(504),
    "500 of a proxy": gateway(500),
    "cut JSON": cut(),
    "empty 200": envelope(200).__class__(200, {}, b""),
    "Error under a good code": envelope(200, False, status="Error"),
}


def value_of(result: Any) -> Any:
    return getattr(result, "id", result)


# -- again -----------------------------------------------------------------------------------


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
    assert [one.ends for one in world.limiter.permits] == [["unused"]] * 2 + [["sent", "done"]]
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
    assert [one.retry_after_s for one in world.events if isinstance(one, Throttled)] == [3.0, None]


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


# -- once ------------------------------------------------------------------------------------


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


# -- keyed -----------------------------------------------------------------------------------


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
    assert [one.split()[0] for one in world.sent] == ["POST", "GET", "POST"]
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
    world = World(lost(), envelope(200, {"widget_id": 3}))
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


# -- 4xx and deletes -------------------------------------------------------------------------


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


# -- waiting ---------------------------------------------------------------------------------


async def test_waits_grow_and_stay_under_their_cap():
    """Full jitter: each wait is at most base * 2**n, and at most the cap."""
    policy = RetryPolicy(attempts=9, base_s=1.0, cap_s=10.0)
    world = World(*[lost()] * 8, envelope(200, 3), retry=policy)
    assert await world.co.customers.count() == 3
    waits = [one.delay_s for one in world.events if isinstance(one, RetryPlanned)]
    for wait, most in zip(waits, [1, 2, 4, 8, 10, 10, 10, 10], strict=True):
        assert 0 <= wait <= most
    assert sum(waits) > 8


async def test_a_sick_server_is_not_hammered_once_the_budget_is_spent():
    """With nothing left every retry waits the cap."""
    policy = RetryPolicy(base_s=0.0, cap_s=30.0, budget=2, attempts=5)
    world = World(*[lost()] * 4, envelope(200, 3), retry=policy)
    assert await world.co.customers.count() == 3
    waits = [one.delay_s for one in world.events if isinstance(one, RetryPlanned)]
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
    seen = [one for one in world.events if isinstance(one, RequestSent)]
    assert [one.status for one in seen] == [0, 404, 429, 0, 200]
    assert [one.fault is None for one in seen] == [False, True, False, False, True]
    assert world.co.stats.requests == world.co.stats.operations == 5


async def test_an_observer_that_fails_changes_nothing(caplog):
    """Its exception is logged and goes no further."""
    world = World(envelope(200, 3))

    def fail(_event: Any) -> None:
        raise RuntimeError("no")

    world.co._pipeline.observer = fail
    assert await world.co.customers.count() == 3
    assert "an observer failed on RequestSent" in caplog.text


# -- one operation, one outcome --------------------------------------------------------------


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


# -- cancelling ------------------------------------------------------------------------------


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


# -- closing ---------------------------------------------------------------------------------


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
    assert [one.ends for one in world.limiter.permits] == [["unused"]]


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


# -- references ------------------------------------------------------------------------------


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
