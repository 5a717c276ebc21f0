"""One exchange: permit, transport, counters, events, pauses.

What every way of sending shares: `direct` sends one operation a request, the bulk engine many.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

from chargeover_async._hints import describe
from chargeover_async._wire.envelope import Answer, NoAnswer
from chargeover_async._wire.request import Request
from chargeover_async.errors import ChargeOverError, NotSent
from chargeover_async.limits import Limiter, Permit, Priority
from chargeover_async.models import DateFormat
from chargeover_async.observe import (
    Observer,
    RequestSent,
    RetryPlanned,
    Settled,
    Stats,
    Throttled,
    logger,
    notify,
)
from chargeover_async.operation import Operation, Outcome
from chargeover_async.retry import Fault, Next, RetryBudget, RetryPolicy, retry_after_s

from .life import Life
from .result import Result
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
        "dates",
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
        dates: DateFormat | None = None,
    ) -> None:
        self.transport = transport
        self.limiter = limiter
        self.policy = policy
        self.budget = RetryBudget(policy)
        self.carriers: list[Carrier] = []
        self.stats = Stats()
        self.dates = dates  # how the account writes them
        self.observer = observer
        # Jitter needs no secrecy.
        self.random = source or random.Random()  # noqa: S311

    async def permit(self, priority: Priority) -> Permit:
        """Permission for one request; raises NotSent, or what else says why there is none."""
        try:
            return await self.limiter.acquire(priority)
        except ChargeOverError:  # the client was closed, say
            raise
        except Exception as error:  # a limiter that somebody passed in
            logger.exception("the quota failed")
            raise NotSent(f"the quota failed: {describe(error)}") from error

    async def exchange(
        self, request: Request, permit: Permit, operations: int = 1
    ) -> Answer | NoAnswer:
        """Send one HTTP request under ``permit``, count it, and learn from a 429.

        Raises nothing but what ends a task: a transport of the caller's own that raises may have
        sent it, and that there is an answer counts for more than what a limiter makes of it.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        fault: Fault | None = None
        status = 0
        try:
            answer = await self.transport.send(request, permit)
            if isinstance(answer, NoAnswer):
                fault = answer.fault
            else:
                status = answer.status
                if status == 429:
                    fault = Fault.THROTTLED
                    self.throttled(answer, permit)
        except Exception as error:  # noqa: BLE001 - a transport that somebody passed in
            logger.exception("a request failed in an unforeseen way")
            fault = Fault.LOST
            answer = NoAnswer(fault, describe(error), error)
        finally:
            tell_limiter(permit.unused if fault is Fault.NEVER_LEFT else permit.done)
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
        tell_limiter(lambda: self.limiter.throttled(wait, permit=permit))
        notify(self.observer, Throttled(retry_after_s=wait))

    def plan_retry(self, label: str, step: Next, result: Result, life: Life) -> float:
        """The seconds to wait before the next step; counts and tells it."""
        delay = self.retry_delay(result, life.tries)
        self.tell_retry(label, step, result, life, delay)
        return delay

    def retry_delay(self, result: Result, tries: int) -> float:
        """The seconds to wait before a request is repeated; takes one from the budget."""
        if result.fault is not Fault.THROTTLED:
            return self.budget.spend(self.policy.delay_s(max(1, tries), self.random))
        if self.limiter.stats.is_paused:
            return 0.0  # the limiter makes everybody wait
        # One that has no such notion (`NoLimit`).
        delay = self.policy.delay_s(max(1, tries), self.random)
        return max(delay, result.retry_after_s or 0.0)

    def tell_retry(
        self, label: str, step: Next, result: Result, life: Life, delay_s: float
    ) -> None:
        """Count an operation that goes on after a fault, and tell the observer."""
        if step is Next.LOOK_UP:
            self.stats.lookups += 1
        else:
            self.stats.retries += 1
        if self.observer is not None:
            notify(
                self.observer,
                RetryPlanned(
                    operation=label,
                    step=step.value,
                    reason=result.story,
                    attempts=life.attempts,
                    delay_s=delay_s,
                ),
            )

    def tell_settled(self, outcome: Outcome[Any]) -> None:
        """Count an operation that ended, and tell the observer."""
        if outcome.state == "unknown":
            self.stats.unknown += 1
        if self.observer is not None:
            notify(
                self.observer,
                Settled(
                    operation=outcome.operation.label,
                    state=outcome.state,
                    attempts=outcome.attempts,
                    batch=outcome.batch,
                ),
            )


def tell_limiter(call: Callable[[], object]) -> None:
    """Tell a limiter that somebody passed in, whose faults stay its own."""
    try:
        call()
    except Exception:  # noqa: BLE001 - the answer counts for more
        logger.exception("a limiter failed")


def retry_after(answer: Answer | NoAnswer | None) -> float | None:
    """The Retry-After of an answer, in seconds."""
    if not isinstance(answer, Answer):
        return None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return retry_after_s(headers.get("retry-after"))
