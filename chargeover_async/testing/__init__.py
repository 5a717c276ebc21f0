"""What the tests of a service need: a sandbox that plays faults by name, and a fake clock.

With pytest and pytest-asyncio the fixtures are there once the package is installed; docs/testing.md
shows them at work. Without them::

    async with TestSandbox() as sandbox, sandbox.client() as co:
        sandbox.lose_answer("POST /customer")
        await my_service(co).sign_up("Acme")
        sandbox.assert_created_once("customer", company="Acme")

`fake_clock` needs the extra ``testing``; nothing here is imported by the rest of the package.
"""

from __future__ import annotations

from .clock import FakeClock, fake_clock
from .received import Received
from .sandbox import TestSandbox

__all__ = (
    "FakeClock",
    "Received",
    "TestSandbox",
    "fake_clock",
)
