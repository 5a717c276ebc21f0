"""The request quota: its kinds, by an injected clock."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeover_async.sandbox import Quota, QuotaMeter, Sandbox


def admitted(quota, times):
    meter = QuotaMeter(quota)
    return [meter.admit(time) is None for time in times]


def test_rolling_window_counts_the_last_seconds():
    """A request is let through when fewer than the limit were in the window before it."""
    quota = Quota(limit=2, window_s=10)
    times = [0, 5, 9.9, 10, 14, 15]
    assert admitted(quota, times) == [True, True, False, True, False, True]


def test_rejected_requests_can_use_up_the_window():
    """By default a rejected request costs nothing; in one setting it does."""
    times = [0, 5, 9, 10.5]
    assert admitted(Quota(limit=1, window_s=10), times)[-1] is True
    assert admitted(Quota(limit=1, window_s=10, count_rejected=True), times)[-1] is False


def test_fixed_window_starts_anew_on_the_minute():
    """Twice the limit may pass around a boundary."""
    quota = Quota(limit=2, window_s=60, kind="fixed")
    times = [58, 59, 59.5, 60, 61, 62]
    assert admitted(quota, times) == [True, True, False, True, True, False]


def test_fixed_window_may_count_rejected_requests():
    """Counting them changes nothing within one window, which is full already."""
    quota = Quota(limit=1, window_s=60, kind="fixed", count_rejected=True)
    assert admitted(quota, [0, 1, 60]) == [True, False, True]


def test_bucket_refills_evenly():
    """A full bucket is a burst, then one request each window / limit."""
    quota = Quota(limit=4, window_s=60, kind="bucket")
    times = [0, 0, 0, 0, 0, 14, 15, 29, 30]
    expected = [True, True, True, True, False, False, True, False, True]
    assert admitted(quota, times) == expected


def test_bucket_may_charge_rejected_requests():
    """Charged for, a rejected request pushes the next one back."""
    quota = Quota(limit=1, window_s=10, kind="bucket", count_rejected=True)
    assert admitted(quota, [0, 5, 10, 20]) == [True, False, False, False]


def test_no_quota_lets_everything_through():
    """Kind None counts nothing."""
    assert all(admitted(Quota(limit=1, kind=None), [0] * 1000))


@pytest.mark.parametrize("kind", ["rolling", "fixed", "bucket"])
def test_wait_is_exactly_long_enough(kind):
    """After the wait that a rejection names, the request passes."""
    meter = QuotaMeter(Quota(limit=3, window_s=60, kind=kind))
    for second in range(3):
        assert meter.admit(float(second)) is None
    wait = meter.admit(3.0)
    assert wait is not None
    assert 0 < wait <= 60
    assert meter.admit(3.0 + wait) is None


@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=200),
    st.integers(1, 10),
    st.sampled_from(["rolling", "fixed", "bucket"]),
)
def test_no_window_holds_more_than_promised(gaps, limit, kind):
    """Rolling: never above the limit in any window; the others: never above twice the limit."""
    meter, now, passed = QuotaMeter(Quota(limit=limit, window_s=10, kind=kind)), 0.0, []
    for gap in gaps:
        now += gap
        if meter.admit(now) is None:
            passed.append(now)
    bound = limit if kind == "rolling" else 2 * limit
    for position, end in enumerate(passed):
        assert sum(1 for time in passed[: position + 1] if time > end - 10) <= bound


def by_hand(kind, limit, window, times):
    """Who is let through, counted with whole numbers and fractions."""
    passed: list[int] = []
    level, at = Fraction(limit), times[0]
    for now in times:
        if kind == "rolling":
            free = sum(time > now - window for time in passed) < limit
        elif kind == "fixed":
            free = sum(time // window == now // window for time in passed) < limit
        else:
            level = min(Fraction(limit), level + Fraction((now - at) * limit, window))
            at = now
            free = level >= 1
            level -= free
        if free:
            passed.append(now)
        yield free


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=60),
    st.sampled_from([1, 2, 7, 250, 5000]),
    st.sampled_from([1, 6, 60, 3600]),
    st.sampled_from(["rolling", "fixed", "bucket"]),
)
def test_each_kind_agrees_with_counting_by_hand(gaps, limit, window, kind):
    """At any scale neither too many nor too few are let through."""
    times = [
        moment for gap, moment in zip(gaps, accumulate(gaps), strict=True) for _ in range(gap % 4)
    ]
    quota = Quota(limit=limit, window_s=window, kind=kind)
    assert admitted(quota, times) == list(by_hand(kind, limit, window, times or [0]))[: len(times)]


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"window_s": 0}, {"window_s": float("inf")}, {"kind": "leaky"}]
)
def test_impossible_quota_cannot_be_built(wrong):
    """A quota that lets nothing through, or of a kind nobody knows, is an error."""
    with pytest.raises(ValueError, match="quota"):
        Quota(**wrong)


async def test_request_above_the_quota_is_answered_as_documented(connect):
    """The 429 has the vendor's body and no further header; the clock frees the quota again."""
    now = [100.0]
    async with (
        Sandbox(quota=Quota(limit=2, window_s=60), clock=lambda: now[0]) as sandbox,
        connect(sandbox) as call,
    ):
        bulk = [{"request_method": "GET", "uri": "/api/v3/customer", "payload": None}] * 25
        assert (await call("POST", "/_bulk", bulk))[0] == 200
        assert (await call("GET", "/customer"))[0] == 200
        async with call.session.get(f"{sandbox.url}/customer") as response:
            assert response.status == 429
            assert "Retry-After" not in response.headers
            assert await response.read() == (
                b'{"code":429,"status":"Error","message":"Rate limit exceeded","response":false}'
            )
        now[0] += 60
        assert (await call("GET", "/customer"))[0] == 200
        assert [entry.status for entry in sandbox.log] == [200, 200, 429, 200]
        assert [entry.at for entry in sandbox.log] == [100, 100, 100, 160]


async def test_retry_after_can_be_sent(connect):
    """A switch adds the header that no source shows, rounded up to whole seconds."""
    quota = Quota(limit=1, window_s=60, retry_after=True)
    now = [0.0]
    async with Sandbox(quota=quota, clock=lambda: now[0]) as sandbox, connect(sandbox) as call:
        await call("GET", "/customer")
        now[0] = 17.5
        async with call.session.get(f"{sandbox.url}/customer") as response:
            assert response.headers["Retry-After"] == "43"
