"""Direct calls: one operation a request, from references to outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from chargeover_async._hints import describe
from chargeover_async._refs import REF_IN_PATH, resolve, resolve_in_path, with_values
from chargeover_async._wire.request import Request, segment
from chargeover_async.errors import ChargeOverError, NotSent, UsageError
from chargeover_async.limits import Priority
from chargeover_async.models._json.read import encode
from chargeover_async.observe import logger
from chargeover_async.operation import Operation, Outcome
from chargeover_async.retry import Next

from .life import Life
from .pipeline import Pipeline, retry_after
from .result import End, Result, result_of


class Direct:
    """Sends operations one by one, each when it is awaited."""

    __slots__ = ("pipeline",)

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def accept(self, operation: Operation[Any]) -> None:
        """A direct call is sent when it is awaited, not before."""

    async def run(self, operation: Operation[Any], priority: Priority = Priority.DIRECT) -> None:
        """Send one operation by itself and settle it; a cancelled one settles, too."""
        for carrier in self.pipeline.carriers if priority is Priority.DIRECT else ():
            rider = carrier.carry(operation)
            if rider is not None:
                if await self._rode(operation, rider):
                    return
                break
        call = _Call(self.pipeline, operation, priority)
        try:
            end = await call.end()
        except BaseException as error:
            self._settle(operation, call.broken_off(error))
            if not isinstance(error, Exception):
                raise
        else:
            self._settle(operation, end)

    def _settle(self, operation: Operation[Any], end: End) -> None:
        operation.settle(end.outcome, end.answer)
        self.pipeline.tell_settled(end.outcome)

    async def _rode(self, operation: Operation[Any], rider: Operation[Any]) -> bool:
        """Whether an operation is settled by its copy in a batch; if not, nothing came of that."""
        try:
            outcome = await rider.wait()
        except asyncio.CancelledError:
            if rider.outcome is None:
                self._settle(operation, Life().cut_off(operation, CANCELLED))
            else:
                self._hand_over(rider.outcome, operation)
            raise
        if isinstance(outcome.error, NotSent):
            return False  # the scope was closed first, which is no affair of this call
        self._hand_over(outcome, operation)
        return True

    def _hand_over(self, outcome: Outcome[Any], operation: Operation[Any]) -> None:
        own = msgspec.structs.replace(outcome, operation=operation)
        self._settle(operation, End(own, outcome.operation.answer))


CANCELLED = "cancelled while it was under way"


async def _filled(operation: Operation[Any]) -> tuple[str, Any]:
    """Path and payload with every reference replaced by its value.

    Waits for targets that are under way. Raises UsageError for one that nobody has sent, and
    DependencyFailed for one that was not done.
    """
    every = [ref for _, ref in operation.refs or ()]
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
    path, payload = operation.path, operation.payload
    if operation.path_ref is not None:
        value = resolve_in_path(operation.path_ref, operation.label)
        path = path.replace(REF_IN_PATH, segment(value))
    if operation.refs:
        values = [(where, resolve(ref, operation.label)) for where, ref in operation.refs]
        payload = with_values(payload, values)
    return path, payload


class _Call:
    """One direct call under way; what is known of it if it is broken off."""

    def __init__(self, pipeline: Pipeline, operation: Operation[Any], priority: Priority) -> None:
        self.pipeline = pipeline
        self.operation = operation
        self.priority = priority
        self.life = Life()
        self.in_flight = False  # the operation itself, no question for its key

    async def end(self) -> End:
        """Send it until it ends; raises what ends the task, and what the quota raises."""
        operation, pipeline, life = self.operation, self.pipeline, self.life
        try:
            path, sent = await _filled(operation)
            body = None if sent is None else encode(sent)
        except ChargeOverError as error:
            return life.failed(operation, error)
        except (TypeError, ValueError, RecursionError) as error:
            text = f"{operation.label} cannot be written as JSON: {error}"
            return life.failed(operation, UsageError(text))
        request = Request(operation.method, path, operation.query, body)
        loop = asyncio.get_running_loop()
        question: Life | None = None  # for its key, while that is looked up
        while True:
            if question is None:
                result = await self._send(request, life)
                step = life.answered(operation, result, pipeline.policy, loop.time())
            else:
                result = await self._send(life.question(operation), question)
                question.dates = pipeline.dates
                step = life.looked_up(
                    operation, question, result, sent, pipeline.policy, loop.time()
                )
            if isinstance(step, End):
                return step
            if question is None:
                delay = pipeline.plan_retry(operation.label, step, result, life)
                question = Life() if step is Next.LOOK_UP else None
            elif step is Next.LOOK_UP:
                asked = life.question(operation)
                label = f"{asked.method} {asked.path}"
                delay = pipeline.plan_retry(label, Next.AGAIN, result, question)
            else:  # no record has its key, or there is more to ask about that record
                delay = 0.0
                question = Life() if step is Next.LOOK_ON else None
            await asyncio.sleep(delay)

    async def _send(self, request: Request, life: Life) -> Result:
        loop = asyncio.get_running_loop()
        permit = await self.pipeline.permit(self.priority)
        life.leaves(loop.time())
        # Whoever is referred to keeps the answer as it came, also if that was said meanwhile.
        itself = life is self.life
        self.in_flight = itself
        answer = await self.pipeline.exchange(request, permit)
        self.in_flight = False
        reader = self.operation.reader if itself and not self.operation.keep_answer else None
        return result_of(answer, retry_after(answer), reader)

    def broken_off(self, error: BaseException) -> End:
        """How it ends when ``error`` came out of `end`."""
        operation, life = self.operation, self.life
        if isinstance(error, asyncio.CancelledError):
            if self.in_flight:
                return life.cut_off(operation, CANCELLED)
            return life.withdrawn(operation) or life.given_up(operation, "cancelled")
        why = error.message if isinstance(error, ChargeOverError) else ""
        if not why:
            logger.error("a call failed in an unforeseen way", exc_info=error)
            why = f"given up: {describe(error)}"
        give_up = life.cut_off if self.in_flight else life.given_up
        return give_up(operation, why, error)
