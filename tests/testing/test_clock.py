"""`fake_clock`: waiting costs nothing, and everything comes in the right order."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from chargeover_async import QuotaSettings
from chargeover_async.sandbox import Quota
from chargeover_async.testing import TestSandbox, fake_clock


async def test_sleeps_and_timeouts_pass_at_once_and_in_order():
    """Their sum is the clock's time; hours cost no second."""
    order: list[str] = []

    async def wait(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    began = time.monotonic()
    with fake_clock() as clock:
        await asyncio.gather(wait(7200, "late"), wait(1, "early"), wait(3600, "middle"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        assert 7260 <= clock.elapsed < 7260.01
        assert repr(clock) == "<FakeClock 7260 s>"
    stopped = clock.elapsed
    await asyncio.sleep(0.01)
    assert clock.elapsed == stopped < 7261
    assert order == ["early", "middle", "late"]
    assert time.monotonic() - began < 60


async def test_time_never_runs_backwards_under_the_clock():
    """Used again in the same loop it goes on from where it was."""
    loop = asyncio.get_running_loop()
    with fake_clock():
        await asyncio.sleep(1000)
        first = loop.time()
    with fake_clock() as clock:
        assert loop.time() >= first
        assert clock.elapsed == 0


async def test_threads_take_their_real_time():
    """Time does not jump to a timeout while one is at work."""
    with fake_clock() as clock:
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(lambda: time.sleep(0.05) or 7) == 7
        assert clock.elapsed < 1


async def test_requests_over_real_sockets_are_not_overtaken_by_timers():
    """Eight workers, waits for the quota, faults: nothing times out and nothing is doubled."""
    with fake_clock() as clock:
        async with (
            TestSandbox(quota=Quota(30, 60)) as sandbox,
            sandbox.client(quota=QuotaSettings(30, 60)) as co,
        ):
            sandbox.faults.set_rates({"lost": 0.05, "503": 0.05, "delay_after=2": 0.05})

            async def work(worker: int) -> None:
                for number in range(15):
                    await co.customers.create(external_key=f"{worker}-{number}", company="Acme")

            async with asyncio.TaskGroup() as group:
                for worker in range(8):
                    group.create_task(work(worker))
            sandbox.faults.clear()
            sandbox.assert_within_quota()
            keys = [f"{worker}-{number}" for worker in range(8) for number in range(15)]
            sandbox.assert_each_created_once("customer", "external_key", keys)
            assert co.stats.unknown == 0
            assert 180 < clock.elapsed < 600


def test_an_event_loop_of_another_kind_is_refused():
    """With the reason, before anything is changed."""

    class Other(asyncio.SelectorEventLoop):
        """As uvloop's: an event loop without a selector of Python's."""

        @property
        def _selector(self) -> object:
            if sys._getframe(1).f_code.co_name == "fake_clock":
                raise AttributeError("_selector")
            return self._kept

        @_selector.setter
        def _selector(self, selector: object) -> None:
            self._kept = selector

    async def main() -> None:
        with pytest.raises(RuntimeError, match="an event loop of asyncio's"), fake_clock():
            pass

    with asyncio.Runner(loop_factory=Other) as runner:
        runner.run(main())


async def test_without_looptime_the_error_names_the_extra(monkeypatch):
    """It is an extra: the sandbox of the kit works without it."""
    monkeypatch.setitem(sys.modules, "looptime", None)
    wanted = r'pip install "chargeover-async\[testing\]"'
    with pytest.raises(RuntimeError, match=wanted), fake_clock():
        pass
