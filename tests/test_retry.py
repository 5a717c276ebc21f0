"""The repeat table cell by cell, the bounds of a policy, jitter, the budget, Retry-After."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

import msgspec
import pytest

from chargeover_async import Repeat, RetryPolicy, UsageError
from chargeover_async.retry import TABLE, Fault, Next, RetryBudget, retry_after_s

READ, IDEMPOTENT, KEYED, ONCE = Repeat.READ, Repeat.IDEMPOTENT, Repeat.KEYED, Repeat.ONCE

# DESIGN section 2, written out once more by hand.
CELLS = [
    (Fault.NEVER_LEFT, READ, Next.AGAIN),
    (Fault.NEVER_LEFT, IDEMPOTENT, Next.AGAIN),
    (Fault.NEVER_LEFT, KEYED, Next.AGAIN),
    (Fault.NEVER_LEFT, ONCE, Next.AGAIN),
    (Fault.THROTTLED, READ, Next.AGAIN),
    (Fault.THROTTLED, IDEMPOTENT, Next.AGAIN),
    (Fault.THROTTLED, KEYED, Next.AGAIN),
    (Fault.THROTTLED, ONCE, Next.AGAIN),
    (Fault.LOST, READ, Next.AGAIN),
    (Fault.LOST, IDEMPOTENT, Next.AGAIN),
    (Fault.LOST, KEYED, Next.LOOK_UP),
    (Fault.LOST, ONCE, Next.UNKNOWN),
    (Fault.SERVER, READ, Next.AFTER_500),
    (Fault.SERVER, IDEMPOTENT, Next.AFTER_500),
    (Fault.SERVER, KEYED, Next.LOOK_UP),
    (Fault.SERVER, ONCE, Next.FAIL),
    (Fault.REFUSED, READ, Next.FAIL),
    (Fault.REFUSED, IDEMPOTENT, Next.FAIL),
    (Fault.REFUSED, KEYED, Next.FAIL),
    (Fault.REFUSED, ONCE, Next.FAIL),
]


@pytest.mark.parametrize(("fault", "repeat", "step"), CELLS)
def test_each_cell_of_the_repeat_table(fault: Fault, repeat: Repeat, step: Next):
    """What happened, how safe it is to repeat, what is done."""
    assert TABLE[fault, repeat] is step


def test_the_table_is_complete():
    """No combination is left to chance."""
    assert {(fault, repeat) for fault, repeat, _ in CELLS} == set(TABLE)
    assert len(TABLE) == len(Fault) * len(Repeat)


@pytest.mark.parametrize(
    ("fault", "step", "attempts", "elapsed", "expected"),
    [
        (Fault.LOST, Next.AGAIN, 7, 0.0, True),
        (Fault.LOST, Next.AGAIN, 8, 0.0, False),
        (Fault.LOST, Next.AGAIN, 1, 299.9, True),
        (Fault.LOST, Next.AGAIN, 1, 300.0, False),
        (Fault.SERVER, Next.AFTER_500, 2, 0.0, True),
        (Fault.SERVER, Next.AFTER_500, 3, 0.0, False),
        (Fault.THROTTLED, Next.AGAIN, 1000, 299.9, True),
        (Fault.THROTTLED, Next.AGAIN, 0, 300.0, False),
    ],
)
def test_repeats_end_by_number_and_by_time(
    fault: Fault, step: Next, attempts: int, elapsed: float, expected: bool
):
    """Eight sends, three after a 500, five minutes; a 429 counts by time alone."""
    assert RetryPolicy().may_repeat(fault, step, attempts, elapsed) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": -1},
        {"few": 0},
        {"attempts_after_500": 0},
        {"attempts": 2.5},
        {"attempts": True},
        {"few": "3"},
        {"base_s": -0.1},
        {"base_s": math.nan},
        {"cap_s": math.inf},
        {"total_s": -1.0},
        {"total_s": math.inf},
        {"budget": math.nan},
        {"budget_per_success": -0.5},
        {"cap_s": "30"},
        {"cap_s": None},
    ],
)
def test_a_policy_that_cannot_be_right_cannot_be_built(wrong: dict[str, Any]):
    """Never an endless repeat, never a wait that cannot be slept."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        RetryPolicy(**wrong)


@pytest.mark.parametrize("attempts", [1, 2, 5, 10, 31, 10_000])
def test_jitter_is_spread_over_the_whole_wait(attempts: int):
    """Uniform from 0 to the bound, so that waiters of one outage do not come back together."""
    policy = RetryPolicy(base_s=0.5, cap_s=30.0)
    bound = min(30.0, 0.5 * 2.0 ** (attempts - 1)) if attempts < 100 else 30.0
    source = random.Random(4)
    waits = [policy.delay_s(attempts, source) for _ in range(2000)]
    assert min(waits) >= 0
    assert max(waits) <= bound
    assert min(waits) < bound * 0.01
    assert max(waits) > bound * 0.99
    assert sum(waits) / 2000 == pytest.approx(bound / 2, rel=0.05)


def test_the_budget_is_spent_earned_back_and_never_exceeded():
    """A retry costs one; a good answer earns half of one, up to where it began."""
    policy = RetryPolicy(budget=3, budget_per_success=0.5, cap_s=30.0)
    budget = RetryBudget(policy)
    for _ in range(10):
        budget.earn()
    assert [budget.spend(0.1) for _ in range(5)] == [0.1, 0.1, 0.1, 30.0, 30.0]
    budget.earn()
    assert budget.spend(0.1) == 30.0
    budget.earn()
    assert budget.spend(0.1) == 0.1
    assert budget.spend(40.0) == 40.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("NaN", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("Infinity", None),
        ("1e400", None),
        ("-1", None),
        ("-0.5", None),
        ("0", 0.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("60", 60.0),
        ("301", 300.0),
        ("999999999", 300.0),
        ("1e3", 300.0),
    ],
)
def test_a_retry_after_is_read_bounded_and_never_nonsense(header: str | None, seconds: Any):
    """Seconds from 0 to 300; anything else is as if there were none."""
    assert retry_after_s(header) == seconds


def test_the_old_name_of_the_sends_after_a_500_is_taken_and_read():
    """Given by either name it is the same policy, and a copy may change it by either."""
    old, new = RetryPolicy(few=5), RetryPolicy(attempts_after_500=5)
    assert old == new
    assert old.few == old.attempts_after_500 == new.few == 5
    assert RetryPolicy().few == 3
    assert msgspec.structs.replace(old, attempts_after_500=2).few == 2
    assert msgspec.structs.replace(old, few=7).attempts_after_500 == 7
    assert msgspec.structs.replace(old, attempts=2).few == 5
    assert copy.deepcopy(old) == old
