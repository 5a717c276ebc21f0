"""A client over the model of the server, in a loop whose time jumps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from support.server_model import ServerModel

from chargeover_async import BulkSettings, ChargeOver, LocalLimiter, NoLimit, RetryPolicy
from chargeover_async.operation import Operation

URL = "https://example.chargeover.com/api/v3"


class Gated(NoLimit):
    """Grants nothing until it is opened, so that a test decides when a batch is put together."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    async def acquire(self, priority: Any) -> Any:
        await self.opened.wait()
        return await super().acquire(priority)


def client(
    server: ServerModel,
    *,
    limiter: Any = None,
    retry: RetryPolicy | None = None,
    on_event: Any = None,
    **settings: Any,
) -> ChargeOver:
    """A client whose every request goes to ``server``; without a quota unless one is given."""
    return ChargeOver(
        URL,
        "user",
        "password",
        transport=server,
        limiter=limiter if limiter is not None else NoLimit(),
        retry=retry or RetryPolicy(),
        bulk=BulkSettings(**settings),
        on_event=on_event,
        random=random.Random(1),
    )


def customer(resource: Any, mark: int, **fields: Any) -> Operation[Any]:
    """A create that carries its mark, and a key when one is given."""
    return resource.create(company=f"Company {mark}", extra={"mark": mark}, **fields)  # type: ignore[no-any-return]


def states(operations: list[Operation[Any]]) -> list[str]:
    """How each of them ended."""
    return [outcome_of(operation).state for operation in operations]


def outcome_of(operation: Operation[Any]) -> Any:
    """Its outcome, which must be there; untyped, for tests look into every corner of it."""
    assert operation.outcome is not None, operation
    return operation.outcome


async def until(holds: Callable[[], bool], step: float = 0.01) -> None:
    """Let the program run until ``holds``; in a loop whose time jumps this waits for nothing."""
    while not holds():  # noqa: ASYNC110 - a state of the engine is no event
        await asyncio.sleep(step)


__all__ = ("Gated", "LocalLimiter", "client", "customer", "outcome_of", "states", "until")
