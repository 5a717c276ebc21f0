"""No quota at all: for tests, benchmarks, and servers that have none."""

from __future__ import annotations

from chargeover_async.errors import NotSent

from .base import Permit, Priority, QuotaStats


class _FreePermit:
    __slots__ = ("_limiter", "_open")

    def __init__(self, limiter: NoLimit) -> None:
        self._limiter = limiter
        self._open = True

    def sent(self) -> None:
        pass

    def done(self) -> None:
        if self._open:
            self._open = False
            self._limiter.in_flight -= 1

    def unused(self) -> None:
        if self._open:
            self.done()
            self._limiter.granted -= 1


class NoLimit:
    """Grants every permit at once, and counts; a 429 is counted and otherwise ignored."""

    __slots__ = ("_closed", "_direct", "_throttled", "granted", "in_flight")

    def __init__(self) -> None:
        self.granted = 0
        self.in_flight = 0
        self._direct = 0
        self._throttled = 0
        self._closed = False

    @property
    def stats(self) -> QuotaStats:
        """What was granted; nobody ever waits."""
        return QuotaStats(
            granted=self.granted,
            granted_direct=self._direct,
            throttled=self._throttled,
            in_flight=self.in_flight,
        )

    async def acquire(self, priority: Priority) -> Permit:
        """Get a permit without waiting. Raises NotSent once closed."""
        if self._closed:
            raise NotSent("the quota is closed; nothing more is sent")
        self.granted += 1
        self.in_flight += 1
        if priority is Priority.DIRECT:
            self._direct += 1
        return _FreePermit(self)

    def throttled(
        self,
        retry_after_s: float | None = None,  # noqa: ARG002 - the Protocol's
        *,
        permit: Permit | None = None,  # noqa: ARG002 - the Protocol's
    ) -> None:
        """Count a 429."""
        self._throttled += 1

    async def aclose(self) -> None:
        """Grant nothing more."""
        self._closed = True


__all__ = ("NoLimit",)
