"""Waiting in real time, for what another thread or process does: as long as it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(holds: Callable[[], bool]) -> None:
    """Come back when it holds; what never does is ended by the timeout of the test."""
    while not holds():  # noqa: ASYNC110 - what happens elsewhere sets no event here
        await asyncio.sleep(0.01)


def wait_until(holds: Callable[[], bool]) -> None:
    """The same without an event loop."""
    while not holds():
        time.sleep(0.01)


__all__ = ("until", "wait_until")
