"""Ctrl-C and SIGTERM, once and twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from chargeover_async.cli.interrupt import interruptible

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
async def test_two_that_come_together_are_two(
    capsys: pytest.CaptureFixture[str], first: signal.Signals, second: signal.Signals
) -> None:
    """The first is felt where the work waits, and the second where its end is awaited."""
    felt: list[str] = []
    never = asyncio.get_running_loop().create_future()

    async def work() -> None:
        with interruptible():
            try:
                await never
            except asyncio.CancelledError:
                felt.append("first")
                try:
                    await asyncio.shield(asyncio.get_running_loop().create_future())
                except asyncio.CancelledError:
                    felt.append("second")
                    raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    os.kill(os.getpid(), first)
    os.kill(os.getpid(), second)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, timeout=60)
    assert felt == ["first", "second"]
    said = capsys.readouterr().err
    assert said.index("what is under way is awaited") < said.index("Broken off.")
