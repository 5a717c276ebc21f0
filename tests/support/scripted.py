"""A transport that answers from a list and a limiter that keeps count: no network, no waiting."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from chargeover_async import ChargeOver, RetryPolicy
from chargeover_async._wire.envelope import Answer, NoAnswer
from chargeover_async._wire.request import Request
from chargeover_async.limits import Permit, Priority, QuotaStats
from chargeover_async.observe import Event
from chargeover_async.retry import Fault

URL = "https://example.chargeover.com/api/v3"

Step = Answer | NoAnswer | BaseException | Callable[[Request], Any]


def envelope(code: int = 200, response: Any = True, message: str = "", **more: Any) -> Answer:
    """An answer in the API's envelope; HTTP's status is ``http`` or the code."""
    http = more.pop("http", code)
    headers = more.pop("headers", {})
    body = {
        "code": code,
        "status": "OK" if code < 300 else "Error",
        "message": message,
        "response": response,
        **more,
    }
    return Answer(http, headers, json.dumps(body, default=_plain).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(value)


def created(number: int = 7) -> Answer:
    return envelope(201, {"id": number})


def refused(message: str = "Missing or invalid parameter.", code: int = 400) -> Answer:
    return envelope(code, False, message)


def taken(key: str = "k-1") -> Answer:
    return refused(f'A customer already exists with the external_key value "{key}"')


def missing() -> Answer:
    return envelope(404, None, "This customer does not exist.")


def throttled(**headers: str) -> Answer:
    return envelope(429, False, "Rate limit exceeded", headers=headers)


def broken() -> Answer:
    """500 in the API's own envelope."""
    return envelope(500, False, "Internal error")


def gateway(status: int = 502) -> Answer:
    return Answer(status, {}, b"<html>Bad Gateway</html>")


def cut() -> Answer:
    return Answer(200, {}, b'{"code":200,"status":"OK","respo')


def lost(reason: str = "sent, then ServerDisconnectedError") -> NoAnswer:
    return NoAnswer(Fault.LOST, reason, ConnectionResetError("reset"))


def never_left(reason: str = "ConnectionRefusedError") -> NoAnswer:
    return NoAnswer(Fault.NEVER_LEFT, reason, ConnectionRefusedError("refused"))


class Gate:
    """A step that holds its answer back until it is opened."""

    def __init__(self, answer: Step) -> None:
        self.answer = answer
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, request: Request) -> Step:
        self.reached.set()
        await self.open.wait()
        return self.answer


class Script:
    """A transport: one step for each request, in order; running out of steps fails the test."""

    def __init__(self, *steps: Step | Gate) -> None:
        self.steps = list(steps)
        self.requests: list[Request] = []
        self.closed = False

    async def send(self, request: Request, permit: Permit) -> Answer | NoAnswer:
        assert self.steps, f"one request too many: {request}"
        self.requests.append(request)
        step: Any = self.steps.pop(0)
        if not isinstance(step, NoAnswer) or step.fault is Fault.LOST:
            permit.sent()
        if isinstance(step, Gate):
            step = await step(request)
        elif callable(step) and not isinstance(step, (Answer, NoAnswer, BaseException)):
            step = step(request)
        if isinstance(step, BaseException):
            raise step
        return step

    async def aclose(self) -> None:
        self.closed = True

    @property
    def sent(self) -> list[str]:
        """``METHOD target`` of each request."""
        return [f"{request.method} {request.target}" for request in self.requests]

    def body(self, index: int) -> Any:
        body = self.requests[index].body
        return None if body is None else json.loads(body, parse_float=Decimal)


class CountedPermit:
    def __init__(self) -> None:
        self.ends: list[str] = []

    def sent(self) -> None:
        self.ends.append("sent")

    def done(self) -> None:
        self.ends.append("done")

    def unused(self) -> None:
        self.ends.append("unused")

    @property
    def is_ended(self) -> bool:
        return bool({"done", "unused"} & set(self.ends))


class Counted:
    """A limiter that grants at once (or after ``hold`` is set) and remembers every permit."""

    def __init__(self, hold: asyncio.Event | None = None) -> None:
        self.permits: list[CountedPermit] = []
        self.priorities: list[Priority] = []
        self.pauses: list[float | None] = []
        self.hold = hold

    @property
    def stats(self) -> QuotaStats:
        # As a real one: after a 429 it is the limiter that makes everybody wait.
        return QuotaStats(granted=len(self.permits), paused_for_s=1.0 if self.pauses else 0.0)

    async def acquire(self, priority: Priority) -> CountedPermit:
        if self.hold is not None:
            await self.hold.wait()
        permit = CountedPermit()
        self.permits.append(permit)
        self.priorities.append(priority)
        return permit

    def throttled(
        self, retry_after_s: float | None = None, *, permit: Permit | None = None
    ) -> None:
        self.pauses.append(retry_after_s)

    async def aclose(self) -> None:
        pass


class World:
    """A client over a script, and what it did."""

    def __init__(self, *steps: Step | Gate, hold: asyncio.Event | None = None, **options: Any):
        self.script = Script(*steps)
        self.limiter = Counted(hold)
        self.events: list[Event] = []
        options.setdefault("retry", RetryPolicy())
        self.co = ChargeOver(
            URL,
            "user",
            "password",
            transport=self.script,
            limiter=self.limiter,
            on_event=self.events.append,
            random=random.Random(1),
            **options,
        )

    @property
    def sent(self) -> list[str]:
        return self.script.sent

    def check(self) -> None:
        """Every step was used, one permit for each request, and every permit ended."""
        assert not self.script.steps, f"not sent: {self.script.steps}"
        assert len(self.limiter.permits) == len(self.script.requests)
        assert all(permit.is_ended for permit in self.limiter.permits)
