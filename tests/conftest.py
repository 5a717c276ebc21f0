"""What every test shares."""

from __future__ import annotations

import asyncio
import inspect
import os

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no bug of ours. CI runs the same examples each time; elsewhere they vary.
settings.register_profile(
    "steady",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def no_stray_loop(request: pytest.FixtureRequest) -> None:
    """looptime asks for the current loop even in plain tests; asking makes one nobody closes."""
    if not inspect.iscoroutinefunction(getattr(request, "function", None)):
        asyncio.set_event_loop(None)
