"""A folder that a test fills with a plan and its files, and a sandbox to import into."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.import_world import Account, Folder

from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
from chargeover_async.retry import RetryPolicy
from chargeover_async.sandbox import Sandbox


@pytest.fixture(autouse=True)
def no_stray_loop(request: pytest.FixtureRequest) -> None:
    """looptime asks for the current loop even in plain tests; asking makes one nobody closes."""
    if not inspect.iscoroutinefunction(request.function):
        asyncio.set_event_loop(None)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    no_waits = RetryPolicy(attempts=3, base_s=0, cap_s=0)
    async with (
        Sandbox(quota=None) as sandbox,
        ChargeOver(
            sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit(), retry=no_waits
        ) as co,
    ):
        await co.items.create(name="the item with id 1")
        yield Account(sandbox, co, tmp_path)
