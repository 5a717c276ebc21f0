"""No quota at all."""

import pytest

from chargeover_async.errors import NotSent
from chargeover_async.limits import Limiter, NoLimit, Priority


async def test_every_permit_is_granted_at_once_and_counted():
    """Ten thousand permits, no waiting, exact counts; the ends may come twice."""
    limiter: Limiter = NoLimit()
    permits = [await limiter.acquire(Priority.BULK) for _ in range(10_000)]
    permits.append(await limiter.acquire(Priority.DIRECT))
    assert limiter.stats.in_flight == 10_001
    for permit in permits[:-1]:
        permit.sent()
        permit.done()
        permit.done()
        permit.unused()
    permits[-1].unused()
    limiter.throttled(3.0, permit=permits[0])
    stats = limiter.stats
    assert (stats.granted, stats.granted_direct, stats.in_flight) == (10_000, 1, 0)
    assert (stats.throttled, stats.is_paused, stats.waiting) == (1, False, 0)


async def test_a_closed_one_grants_nothing():
    """Closing is the same everywhere."""
    limiter = NoLimit()
    await limiter.aclose()
    with pytest.raises(NotSent):
        await limiter.acquire(Priority.DIRECT)
