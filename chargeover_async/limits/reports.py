"""A permit of a shared quota, and what is to be told to the ledger of all of them."""

from __future__ import annotations

import itertools
import math
import secrets
from collections import deque
from typing import Protocol

from .base import Priority
from .ledger import SECOND, Call, Reply, Report, Rules
from .window import Slot


class Keeper(Protocol):
    """Who granted a permit."""

    def sent(self, permit: SharedPermit) -> None: ...
    def done(self, permit: SharedPermit) -> None: ...
    def unused(self, permit: SharedPermit) -> None: ...


class SharedPermit:
    """A permit of a `SharedLimiter`."""

    __slots__ = (
        "_keeper",
        "alone",
        "due_at",
        "granted_at",
        "is_early",
        "is_open",
        "lapses_at",
        "leased_at",
        "made",
        "priority",
        "sent_at",
        "slot",
    )

    def __init__(
        self,
        keeper: Keeper,
        slot: str,
        *,
        due_at: float,
        lapses_at: float,
        alone: Slot | None = None,
    ) -> None:
        self._keeper = keeper
        self.slot = slot
        self.due_at = due_at
        self.lapses_at = lapses_at
        self.alone = alone
        self.made = -1
        self.leased_at = -math.inf
        self.granted_at = -math.inf
        self.sent_at: float | None = None
        self.is_open = False
        self.is_early = False
        self.priority = Priority.BULK

    def sent(self) -> None:
        """The bytes are leaving now. Raises NotSent when the permit has lapsed: do not send."""
        self._keeper.sent(self)

    def done(self) -> None:
        """The answer is in, or the attempt has failed."""
        self._keeper.done(self)

    def unused(self) -> None:
        """Nothing was sent: the permit costs nothing."""
        self._keeper.unused(self)


class Reports:
    """What came of the permits and was not told yet, and what the ledger answered last."""

    def __init__(self, rules: Rules, *, trust_empty: bool) -> None:
        self._rules = rules
        self.trust_empty = trust_empty
        self._process = secrets.token_hex(8)
        self._own_slots = itertools.count(1)
        self._settled: deque[tuple[float, str]] = deque()
        self._returned: dict[str, None] = {}
        self._refusals: deque[tuple[float | None, int]] = deque()
        self._heard_at = -math.inf
        self.reply: Reply | None = None

    @property
    def has_refusals(self) -> bool:
        """Whether a 429 is to be told."""
        return bool(self._refusals)

    @property
    def has_returned(self) -> bool:
        """Whether slots are to be given back."""
        return bool(self._returned)

    @property
    def has_settled(self) -> bool:
        """Whether the end of a request is to be told."""
        return bool(self._settled)

    @property
    def told_books(self) -> int:
        """The name of the ledger that answered last; 0 before the first answer."""
        return self.reply.books if self.reply is not None else 0

    def heard(self, reply: Reply, asked_at: float) -> None:
        """The ledger has answered to a call that was made at ``asked_at``."""
        self.reply = reply
        self._heard_at = asked_at

    def own_slot(self) -> str:
        """A new name for a slot that the ledger did not make."""
        return f"{self._process}-{next(self._own_slots)}"

    def settled(self, slot: str, at: float) -> None:
        """A request has ended."""
        self._settled.append((at, slot))

    def returned(self, slot: str) -> None:
        """Nothing was sent for a slot."""
        self._returned[slot] = None

    def refused(self, retry_after_s: float | None, made: int) -> None:
        """A request was answered with 429; ``made`` is when its slot was made, -1 unknown."""
        self._refusals.append((retry_after_s, made))

    def call(self, now: float, held: list[Report], *, direct: int, bulk: int, chance: int) -> Call:
        """All of it, with the slots that are ``held``, and how many more are wanted."""
        reply = self.reply
        settled = [
            Report("S", slot, max(0, math.ceil((now - at) * SECOND))) for at, slot in self._settled
        ]
        returned = [Report("U", slot) for slot in self._returned]
        refusals = [
            Report("T", "", _retry_after_us(retry_after_s), made)
            for retry_after_s, made in self._refusals
        ]
        return Call(
            rules=self._rules,
            process=self._process,
            books=self.told_books,
            seen=reply.now if reply is not None else 0,
            elapsed=math.ceil((now - self._heard_at) * SECOND) if reply is not None else 0,
            direct=direct,
            bulk=bulk,
            chance=chance,
            trusts_empty=self.trust_empty,
            reports=(*settled, *returned, *held, *refusals),
        )

    def forget(self, told: tuple[Report, ...]) -> None:
        """What was told need not be told again; what came up meanwhile stays."""
        for report in told:
            if report.kind == "S":
                self._settled.popleft()
            elif report.kind == "U":
                self._returned.pop(report.slot, None)
            elif report.kind == "T":
                self._refusals.popleft()

    def forget_settled_before(self, at: float) -> None:
        """What no longer counts need not be kept until somebody hears it."""
        while self._settled and self._settled[0][0] < at:
            self._settled.popleft()


def _retry_after_us(seconds: float | None) -> int:
    if seconds is None or not 0 <= seconds < math.inf:
        return -1
    return round(min(seconds, 1e6) * SECOND)


__all__ = ("Keeper", "Reports", "SharedPermit")
