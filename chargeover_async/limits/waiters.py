"""Who waits for a permit: two classes, first in first out, and whose turn it is between them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from .base import Priority

P = TypeVar("P")

Queue: TypeAlias = "OrderedDict[asyncio.Future[P], None]"

_EPSILON = 1e-9

_LEAVING_TURNS = 3
"""Turns of the loop after `Permit.sent` within which the HTTP layer has written: aiohttp, under
Python 3.11, writes in a task of its own, a turn later."""


def when_left(
    loop: asyncio.AbstractEventLoop, then: Callable[[], None], turns: int = _LEAVING_TURNS
) -> None:
    """Call ``then`` once what is about to be written has left, however long the loop is blocked."""
    if turns:
        loop.call_soon(when_left, loop, then, turns - 1)
    else:
        then()


class Turns:
    """Whose turn it is: direct calls go first, and bulk is owed its share of what they take.

    While both classes wait, bulk that is owed a turn gets it, but never two in a row.
    """

    __slots__ = ("_bulk_share", "_bulk_was_last", "debt")

    def __init__(self, bulk_share: float) -> None:
        self._bulk_share = bulk_share
        self._bulk_was_last = False
        self.debt = 0.0
        """What bulk is owed, in permits."""

    def choose(self, *, direct: bool, bulk: bool) -> Priority:
        """Who is next; changes nothing."""
        owed = (
            direct
            and bulk
            and not self._bulk_was_last
            and self.debt > 1 - self._bulk_share - _EPSILON
        )
        return Priority.DIRECT if direct and not owed else Priority.BULK

    def can_owe_more(self, most: float) -> bool:
        """Whether a direct call may go ahead of bulk that waits, if ``most`` may be owed."""
        return self.debt <= most - self._bulk_share + _EPSILON

    def take(self, priority: Priority, *, both: bool) -> float:
        """Count a turn, ``both`` if both classes waited; returns by how much the debt changed."""
        before = self.debt
        if priority is Priority.BULK:
            self.debt = max(0.0, before - (1 - self._bulk_share))
            self._bulk_was_last = both
        else:
            if both:
                self.debt += self._bulk_share
            self._bulk_was_last = False
        return self.debt - before

    def give_back(self, change: float) -> None:
        """Take back a turn that was not used."""
        self.debt = max(0.0, self.debt - change)


class Waiters(Generic[P]):
    """The two queues; each waiter is a future of its permit."""

    __slots__ = ("bulk", "direct", "waited_s")

    def __init__(self) -> None:
        self.direct: Queue[P] = OrderedDict()
        self.bulk: Queue[P] = OrderedDict()
        self.waited_s = 0.0

    def __len__(self) -> int:
        return len(self.direct) + len(self.bulk)

    def __str__(self) -> str:
        return f"{len(self.direct)} direct and {len(self.bulk)} bulk waiting"

    def queue(self, priority: Priority) -> Queue[P]:
        """The waiters of one class, the first in front."""
        return self.direct if priority is Priority.DIRECT else self.bulk

    async def wait(
        self,
        turn: asyncio.Future[P],
        clock: Callable[[], float],
        withdraw: Callable[[P | None], None],
    ) -> P:
        """The permit of this waiter, which is in its queue.

        When its task is cancelled, the waiter leaves and ``withdraw`` is called with the permit
        that it was granted in the same tick of the loop, or None.
        """
        asked_at = clock()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self.direct.pop(turn, None)
                self.bulk.pop(turn, None)
                withdraw(None)
            else:
                withdraw(turn.result() if turn.exception() is None else None)
            raise
        self.waited_s += max(0.0, clock() - asked_at)
        return turn.result()

    def next(self, priority: Priority) -> asyncio.Future[P] | None:
        """Take out the first of a class; None if it was cancelled and has not withdrawn yet."""
        turn, _ = self.queue(priority).popitem(last=False)
        return None if turn.done() else turn

    def fail(self, error: Callable[[], Exception]) -> None:
        """Nobody gets a permit any more: each waiter gets an error of its own."""
        for queue in (self.direct, self.bulk):
            while queue:
                turn, _ = queue.popitem(last=False)
                if not turn.done():
                    turn.set_exception(error())

    def clear(self) -> None:
        """Forget the waiters of an event loop that is closed."""
        self.direct.clear()
        self.bulk.clear()


__all__ = ("Queue", "Turns", "Waiters", "when_left")
