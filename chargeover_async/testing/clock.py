"""A clock for tests in which waiting costs nothing: looptime's, put on the running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from chargeover_async._hints import needs_extra

# How often the loop looks for I/O before time may jump, some 2 ms in all. Between two ends of a
# loopback connection in one process bytes are there at once; this is for a machine under load.
_PATIENCE = 100

_latest: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()


class FakeClock:
    """The event loop's time since the clock was put on; it stops when the clock is taken off."""

    __slots__ = ("_end", "_loop", "_start")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._start = loop.time()
        self._end: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds, to the microsecond."""
        end = self._loop.time() if self._end is None else self._end
        return round(end - self._start, 6)

    def _stop(self) -> None:
        self._end = self._loop.time()

    def __repr__(self) -> str:
        return f"<FakeClock {self.elapsed:g} s>"


@contextmanager
def fake_clock() -> Generator[FakeClock]:
    """Let the running loop's time stand still while it works and jump while everybody waits.

    Waits for the quota, pauses before a repeat, timeouts and ``asyncio.sleep`` pass at once and in
    the right order; threads that the loop waits for take their real time. It is for servers in the
    same loop, as the sandbox is: for one elsewhere, time would jump to its timeouts.
    ``time.time()`` and ``datetime.now()`` do not move.

    Raises RuntimeError for an event loop that is not asyncio's own (uvloop).
    """
    try:
        import looptime
    except ModuleNotFoundError as error:
        raise RuntimeError(needs_extra("the fake clock needs", "testing")) from error
    running = asyncio.get_running_loop()
    if not hasattr(running, "_selector") or not isinstance(running, asyncio.BaseEventLoop):
        raise RuntimeError(f"the fake clock needs an event loop of asyncio's, not {running!r}")
    loop = looptime.patch_event_loop(running, _enabled=False)
    start = max(loop.time(), _latest.get(loop, 0.0))  # time never runs backwards under the clock
    loop.setup_looptime(start=start, noop_cycles=_PATIENCE)
    with loop.looptime_enabled():
        clock = FakeClock(loop)
        try:
            yield clock
        finally:
            clock._stop()
            _latest[loop] = loop.time()
