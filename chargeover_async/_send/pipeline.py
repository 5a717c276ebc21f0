"""From an operation to its outcome: references, quota, transport, envelope, repeat.

One readable coroutine for a direct call (`Pipeline.run`); the bulk engine uses the same `exchange`
for its batches, and the same decisions (`_judge`).
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, Protocol

import msgspec

from chargeover_async._refs import REF_IN_PATH, resolve, with_values
from chargeover_async._wire.envelope import Answer, NoAnswer, Reply
from chargeover_async._wire.request import Request, segment
from chargeover_async.errors import ChargeOverError, NotSent, OutcomeUnknown, UsageError
from chargeover_async.limits import Limiter, Permit, Priority
from chargeover_async.models._json.read import encode
from chargeover_async.observe import Observer, RequestSent, RetryPlanned, Stats, Throttled, notify
from chargeover_async.operation import Operation, Outcome, state_of
from chargeover_async.retry import Fault, Next, Repeat, RetryBudget, RetryPolicy, retry_after_s

from .life import (
    Result,
    adopt,
    asks_again,
    decide,
    failure,
    gone_after_delete,
    result_of,
    success,
    unknown,
)
from .transport import Transport


class Carrier(Protocol):
    """A bulk engine that takes direct calls along (`BulkSettings.carry_direct_calls`)."""

    def carry(self, operation: Operation[Any]) -> Operation[Any] | None:
        """A copy of ``operation`` that is queued at the head, or None if it had better go alone."""
        ...


class Pipeline:
    """What every way of sending shares: one account's quota, connections, policy and counters."""

    __slots__ = (
        "budget",
        "carriers",
        "limiter",
        "observer",
        "policy",
        "random",
        "stats",
        "transport",
    )

    def __init__(
        self,
        transport: Transport,
        limiter: Limiter,
        policy: RetryPolicy,
        *,
        observer: Observer | None = None,
        source: random.Random | None = None,
    ) -> None:
        self.transport = transport
        self.limiter = limiter
        self.policy = policy
        self.budget = RetryBudget(policy)
        self.carriers: list[Carrier] = []
        self.stats = Stats()
        self.observer = observer
        # Jitter needs no secrecy.
        self.random = source or random.Random()  # noqa: S311

    def accept(self, operation: Operation[Any]) -> None:
        """A direct call is sent when it is awaited, not before."""

    async def exchange(
        self, request: Request, permit: Permit, operations: int = 1
    ) -> Answer | NoAnswer:
        """Send one HTTP request under ``permit``, count it, and learn from a 429."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        fault: Fault | None = None
        try:
            answer = await self.transport.send(request, permit)
            if isinstance(answer, NoAnswer):
                fault, status = answer.fault, 0
            else:
                status = answer.status
                if status == 429:
                    fault = Fault.THROTTLED
                    self.throttled(answer, permit)
        finally:
            if fault is Fault.NEVER_LEFT:
                permit.unused()
            else:
                permit.done()
        if fault is None and 200 <= status < 300:
            self.budget.earn()
        if fault is not Fault.NEVER_LEFT:
            self.stats.requests += 1
            self.stats.operations += operations
        if self.observer is not None:
            notify(
                self.observer,
                RequestSent(
                    method=request.method,
                    path=request.path,
                    status=status,
                    duration_s=loop.time() - started,
                    operations=operations,
                    fault=fault.value if fault else None,
                ),
            )
        return answer

    def throttled(self, answer: Answer | None = None, permit: Permit | None = None) -> None:
        """A 429 came in: everybody pauses."""
        wait = retry_after(answer)
        self.stats.rate_limited += 1
        self.limiter.throttled(wait, permit=permit)
        notify(self.observer, Throttled(retry_after_s=wait))

    def plan_retry(self, label: str, step: Next, result: Result, attempts: int) -> float:
        """The seconds to wait before the next step; counts and tells it."""
        delay = self.retry_delay(result, attempts)
        self.tell_retry(label, step, result, attempts, delay)
        return delay

    def retry_delay(self, result: Result, attempts: int) -> float:
        """The seconds to wait before a request is repeated; takes one from the budget."""
        if result.fault is not Fault.THROTTLED:
            return self.budget.spend(self.policy.delay_s(max(1, attempts), self.random))
        if self.limiter.stats.is_paused:
            return 0.0  # the limiter makes everybody wait
        # One that has no such notion (`NoLimit`).
        delay = self.policy.delay_s(max(1, attempts), self.random)
        return max(delay, result.retry_after_s or 0.0)

    def tell_retry(
        self, label: str, step: Next, result: Result, attempts: int, delay_s: float
    ) -> None:
        """Count an operation that goes on after a fault, and tell the observer."""
        if step is Next.LOOK_UP:
            self.stats.lookups += 1
        else:
            self.stats.retries += 1
        if self.observer is not None:
            reason = result.reason or (result.fault.value if result.fault else "")
            notify(
                self.observer,
                RetryPlanned(
                    operation=label,
                    step=step.value,
                    reason=reason,
                    attempts=attempts,
                    delay_s=delay_s,
                ),
            )

    # -- direct calls ------------------------------------------------------------------------

    async def run(self, operation: Operation[Any], priority: Priority = Priority.DIRECT) -> None:
        """Send one operation by itself and settle it; a cancelled one settles, too."""
        for carrier in self.carriers if priority is Priority.DIRECT else ():
            rider = carrier.carry(operation)
            if rider is not None:
                if await _rode(operation, rider):
                    return
                break
        call = _Call(self, operation, priority)
        try:
            outcome, answer = await call.outcome()
        except asyncio.CancelledError:
            if call.in_flight or call.sent_before:
                operation.settle_error(_cancelled(operation, call.attempts, "cancelled"))
            else:
                operation.settle_error(
                    NotSent("cancelled before it was sent", operation=operation.label)
                )
            raise
        except ChargeOverError as error:
            if isinstance(error, NotSent) and call.sent_before:
                # The client was closed, or the quota: this send did not leave, an earlier one did.
                error = _cancelled(operation, call.attempts, "given up, as the client was closed")
            operation.settle_error(error)
        except BaseException as error:
            # A fault of ours, or of a transport or limiter that somebody passed in: whoever else
            # waits must not wait for ever.
            broken = _cancelled(operation, call.attempts, f"given up: {type(error).__name__}")
            operation.settle_error(broken)
            raise
        else:
            if outcome.state == "unknown":
                self.stats.unknown += 1
            operation.settle(outcome, answer)


async def _rode(operation: Operation[Any], rider: Operation[Any]) -> bool:
    """Whether an operation is settled by its copy in a batch; if not, nothing came of that."""
    try:
        outcome = await rider.wait()
    except asyncio.CancelledError:
        if rider.outcome is None:
            operation.settle_error(_cancelled(operation, 1, "cancelled"))
        else:
            _hand_over(rider.outcome, operation)
        raise
    if isinstance(outcome.error, NotSent):
        return False  # the scope was closed first, which is no affair of this call
    _hand_over(outcome, operation)
    return True


def _hand_over(outcome: Outcome[Any], operation: Operation[Any]) -> None:
    answer = outcome.operation.answer
    operation.settle(msgspec.structs.replace(outcome, operation=operation), answer)


def _cancelled(operation: Operation[Any], attempts: int, why: str) -> ChargeOverError:
    if operation.repeat is Repeat.READ:
        return NotSent(why, operation=operation.label, attempts=attempts)
    return OutcomeUnknown(
        f"{why} while it was under way: it may have happened",
        operation=operation.label,
        attempts=attempts,
    )


def retry_after(answer: Answer | None) -> float | None:
    """The Retry-After of an answer, in seconds."""
    if answer is None:
        return None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return retry_after_s(headers.get("retry-after"))


async def filled(operation: Operation[Any]) -> tuple[str, Any]:
    """Path and payload with every reference replaced by its value.

    Waits for targets that are under way. Raises UsageError for one that nobody has sent, and
    DependencyFailed for one that was not done.
    """
    refs = operation.refs or []
    every = [ref for _, ref in refs]
    if operation.path_ref is not None:
        every.append(operation.path_ref)
    for ref in every:
        target = ref.target
        if not target.done:
            if target.entry is None:
                raise UsageError(
                    f"{operation.label} refers to {target.label}, which nobody has sent"
                )
            await target.wait()
    return fill(operation)


def fill(operation: Operation[Any]) -> tuple[str, Any]:
    """The same, when every target is settled."""
    path = operation.path
    if operation.path_ref is not None:
        path = path.replace(REF_IN_PATH, segment(str(resolve(operation.path_ref, operation.label))))
    payload = operation.payload
    if operation.refs:
        values = [(where, resolve(ref, operation.label)) for where, ref in operation.refs]
        payload = with_values(payload, values)
    return path, payload


def lookup_request(operation: Operation[Any]) -> Request:
    """The request that finds a keyed create's record by its external key."""
    assert operation.key is not None
    return Request("GET", f"/{operation.object}/external_key:{segment(operation.key)}")


class _Call:
    """One direct call under way; what is known of it if it is cancelled."""

    def __init__(self, pipeline: Pipeline, operation: Operation[Any], priority: Priority) -> None:
        self.pipeline = pipeline
        self.operation = operation
        self.priority = priority
        self.attempts = 0  # sends that left
        self.tries = 0  # sends that were not answered 429
        self.in_flight = False
        self.sent_before = False
        self.payload: Any = None

    async def outcome(self) -> tuple[Outcome[Any], Any]:
        operation, pipeline = self.operation, self.pipeline
        path, self.payload = await filled(operation)
        body = None if self.payload is None else encode(self.payload)
        request = Request(operation.method, path, operation.query, body)
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            result = await self._send(request)
            if result.whole is not None:
                value = result.whole.response
                return Outcome(operation, "done", value, None, self.attempts), None
            if result.fault is None:
                assert result.reply is not None
                reply = result.reply
                return success(operation, reply, self.attempts, 0), reply.response
            if gone_after_delete(operation, result, sent_before=self.sent_before):
                reply = Reply(200, response=_TRUE)
                return success(operation, reply, self.attempts, 0), reply.response
            if result.fault in (Fault.LOST, Fault.SERVER):
                self.sent_before = True
            step = decide(
                pipeline.policy,
                operation,
                result,
                tries=self.tries,
                elapsed_s=loop.time() - started,
                sent_before=self.sent_before,
            )
            if step is Next.FAIL:
                error = failure(result, operation, self.attempts, 0)
                if self.sent_before and operation.repeat is not Repeat.READ:
                    error.may_have_happened = True  # by an earlier send, whatever this one met
                return _failed(operation, error), None
            if step is Next.UNKNOWN:
                error = unknown(result, operation.label, self.attempts, 0)
                return _failed(operation, error), None
            delay = pipeline.plan_retry(operation.label, step, result, self.tries)
            await asyncio.sleep(delay)
            if step is Next.LOOK_UP:
                found = await self._look_up(result, started)
                if found is not None:
                    return found

    async def _send(self, request: Request, *, is_look_up: bool = False) -> Result:
        permit = await self.pipeline.limiter.acquire(self.priority)
        self.in_flight = True
        answer = await self.pipeline.exchange(request, permit)
        self.in_flight = False
        if not (isinstance(answer, NoAnswer) and answer.fault is Fault.NEVER_LEFT):
            self.attempts += 1
        wait_s = retry_after(answer if isinstance(answer, Answer) else None)
        # Whoever is referred to keeps the answer as it came, also if that was said meanwhile.
        apart = is_look_up or self.operation.keep_answer
        result = result_of(answer, wait_s, None if apart else self.operation.reader)
        if result.fault is not Fault.THROTTLED:
            self.tries += 1
        return result

    async def _look_up(self, lost: Result, started: float) -> tuple[Outcome[Any], Any] | None:
        """Found: the outcome. Absent: None, and it may be sent again."""
        operation, pipeline = self.operation, self.pipeline
        loop = asyncio.get_running_loop()
        sends, sent_tries = self.attempts, self.tries
        tries = 0
        while True:
            result = await self._send(lookup_request(operation), is_look_up=True)
            # A look-up is no attempt of the operation.
            self.attempts, self.tries = sends, sent_tries
            tries += result.fault is not Fault.THROTTLED
            if result.fault is None:
                assert result.reply is not None
                return adopt(operation, result.reply.response, self.payload, sends, 0)
            elapsed_s = loop.time() - started
            again = pipeline.policy.may_repeat(Fault.LOST, Next.AGAIN, sent_tries, elapsed_s)
            if result.fault is Fault.REFUSED and result.status == 404 and again:
                return None
            if not asks_again(pipeline.policy, result, tries=tries, elapsed_s=elapsed_s):
                return _failed(operation, unknown(lost, operation.label, sends, 0)), None
            await asyncio.sleep(pipeline.plan_retry(operation.label, Next.AGAIN, result, tries))


_TRUE = msgspec.Raw(b"true")


def _failed(operation: Operation[Any], error: ChargeOverError) -> Outcome[Any]:
    return Outcome(operation, state_of(error), None, error, error.attempts, error.batch)
