"""The pytest plugin of chargeover_async: fixtures, a marker, and nothing that acts by itself.

It stands beside the package so that pytest, which loads it in every run, does not import the
package for tests that do not ask for it. docs/testing.md shows the fixtures at work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chargeover_async import ChargeOver
    from chargeover_async.testing import FakeClock, TestSandbox

MARKER = "chargeover_sandbox"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**options): how chargeover_sandbox is made, as in quota=Quota(5, 60);"
        " the nearest mark wins, option by option",
    )


if find_spec("pytest_asyncio") is not None:
    from pytest_asyncio import fixture

    @fixture
    async def chargeover_sandbox(request: pytest.FixtureRequest) -> AsyncIterator[TestSandbox]:
        """A running `chargeover_async.testing.TestSandbox`, new for each test."""
        from chargeover_async.testing import TestSandbox

        options: dict[str, Any] = {}
        for mark in reversed(list(request.node.iter_markers(MARKER))):
            options.update(mark.kwargs)
        async with TestSandbox(**options) as sandbox:
            yield sandbox

    @fixture
    async def chargeover_client(chargeover_sandbox: TestSandbox) -> AsyncIterator[ChargeOver]:
        """A `chargeover_async.ChargeOver` connected to it; it keeps to the sandbox's quota."""
        async with chargeover_sandbox.client() as co:
            yield co

    @fixture
    async def chargeover_clock() -> AsyncIterator[FakeClock]:
        """A `chargeover_async.testing.fake_clock` around the test: waiting costs nothing."""
        from chargeover_async.testing import fake_clock

        with fake_clock() as clock:
            yield clock

else:

    def _missing() -> None:
        """Needs pytest-asyncio."""
        from chargeover_async._hints import needs_extra

        pytest.fail(
            needs_extra("this fixture needs", "testing")
            + " (or use chargeover_async.testing.TestSandbox yourself)",
            pytrace=False,
        )

    chargeover_sandbox = chargeover_client = chargeover_clock = pytest.fixture(_missing)


@pytest.fixture
def chargeover_env(
    chargeover_sandbox: TestSandbox, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The sandbox's URL and credentials in the environment, for `ChargeOver.from_env`."""
    environ = chargeover_sandbox.environ
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ
