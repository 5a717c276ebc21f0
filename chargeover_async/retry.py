"""What may be sent again, and when: decisions only, nothing here sleeps or sends."""

from __future__ import annotations

import enum
import math
import random
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from .errors import UsageError


class Fault(enum.Enum):
    """Why there is no good reply; the rows of the repeat table."""

    NEVER_LEFT = "never left"
    THROTTLED = "429"
    LOST = "sent, no readable answer"
    SERVER = "500 in the API's own envelope"
    REFUSED = "4xx"


class Repeat(enum.Enum):
    """How safe an operation is to send twice."""

    READ = "read"  # GET
    IDEMPOTENT = "idempotent"  # PUT, DELETE, actions that set a state
    KEYED = "keyed"  # a create with an external_key, which the API accepts once
    ONCE = "once"  # any other create; an action that moves money or sends mail


class Next(enum.Enum):
    """What to do with an operation after a fault."""

    AGAIN = "send again"
    AFTER_500 = "send again, but few times"
    LOOK_UP = "look the key up: found is done, absent is sent again"
    LOOK_ON = "look up what a found record is compared by"
    UNKNOWN = "it may have happened; never sent again by itself"
    FAIL = "the error stands"


TABLE: dict[tuple[Fault, Repeat], Next] = {
    **{(Fault.NEVER_LEFT, repeat): Next.AGAIN for repeat in Repeat},
    **{(Fault.THROTTLED, repeat): Next.AGAIN for repeat in Repeat},
    (Fault.LOST, Repeat.READ): Next.AGAIN,
    (Fault.LOST, Repeat.IDEMPOTENT): Next.AGAIN,
    (Fault.LOST, Repeat.KEYED): Next.LOOK_UP,
    (Fault.LOST, Repeat.ONCE): Next.UNKNOWN,
    (Fault.SERVER, Repeat.READ): Next.AFTER_500,
    (Fault.SERVER, Repeat.IDEMPOTENT): Next.AFTER_500,
    (Fault.SERVER, Repeat.KEYED): Next.LOOK_UP,
    (Fault.SERVER, Repeat.ONCE): Next.FAIL,
    **{(Fault.REFUSED, repeat): Next.FAIL for repeat in Repeat},
}


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long to try again.

    The wait before try n + 1 is uniform between 0 and ``min(cap_s, base_s * 2**(n - 1))`` ("full
    jitter"), and not shorter than a Retry-After. ``attempts`` bounds the sends of one operation
    (a 429 is not counted: it did nothing), ``attempts_after_500`` those that end in a 500 of the
    API's own (``few``, the name it had before, is taken, too), ``total_s`` the time from the first
    send to the last.

    ``budget`` is the number of retries that may be spent ahead; each good answer earns
    ``budget_per_success`` back. With nothing left every retry waits ``cap_s``, so that a sick
    server is not hammered.
    """

    attempts: int = 8
    attempts_after_500: int = 3
    base_s: float = 0.5
    cap_s: float = 30.0
    total_s: float = 300.0
    budget: float = 50.0
    budget_per_success: float = 0.5
    few: int | None = None

    def __post_init__(self) -> None:
        few: object = _few.__get__(self)
        if few is not None:
            force_setattr(self, "attempts_after_500", few)
            _few.__set__(self, None)
        for name, value in (
            ("attempts", self.attempts),
            ("attempts_after_500" if few is None else "few", self.attempts_after_500),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(
                    f"RetryPolicy: {name} must be a whole number from 1, not {value!r}"
                )
        for name in ("base_s", "cap_s", "total_s", "budget", "budget_per_success"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
                raise UsageError(
                    f"RetryPolicy: {name} must be a finite number from 0, not {value!r}"
                )

    def may_repeat(self, fault: Fault, step: Next, attempts: int, elapsed_s: float) -> bool:
        """Whether one more send is within the limits, after ``attempts`` sends."""
        if elapsed_s >= self.total_s:
            return False
        if fault is Fault.THROTTLED:
            return True
        return attempts < (self.attempts_after_500 if step is Next.AFTER_500 else self.attempts)

    def delay_s(self, attempts: int, source: random.Random) -> float:
        """The wait after ``attempts`` sends."""
        return source.uniform(0.0, min(self.cap_s, self.base_s * 2.0 ** min(attempts - 1, 30)))


# Set by its old name, and read by it, but kept in one place: a copy with either changed is right.
_few: Any = RetryPolicy.few
RetryPolicy.few = property(lambda policy: policy.attempts_after_500)  # type: ignore[assignment]


class RetryBudget:
    """The retries that may still be spent; shared by everything one client sends."""

    __slots__ = ("_left", "_policy")

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._left = policy.budget

    def earn(self) -> None:
        """A good answer came in."""
        self._left = min(self._policy.budget, self._left + self._policy.budget_per_success)

    def spend(self, delay_s: float) -> float:
        """Take one retry; the wait for it, which is the cap when nothing is left."""
        if self._left >= 1:
            self._left -= 1
            return delay_s
        return max(delay_s, self._policy.cap_s)


def retry_after_s(header: str | None, longest_s: float = 300.0) -> float | None:
    """A Retry-After in seconds, 0 to ``longest_s``; None when absent or not a number.

    UNVERIFIED: no source shows this header from the API.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return None
    return min(seconds, longest_s) if math.isfinite(seconds) and seconds >= 0 else None


__all__ = ("Fault", "Next", "Repeat", "RetryBudget", "RetryPolicy")
