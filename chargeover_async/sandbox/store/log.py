"""What was done to records besides changing them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

KEPT_ACTIONS = 100_000


class Done(NamedTuple):
    """An action that was carried out: what a test asks when nothing may happen twice."""

    object: str
    id: int
    action: str


class ActionLog(deque[Done]):
    """The latest actions; ``added`` counts all there ever were."""

    added = 0

    def append(self, done: Done) -> None:
        """Add the latest."""
        self.added += 1
        super().append(done)

    def numbered(self) -> Iterable[tuple[int, Done]]:
        """The actions with their numbers, from 1 for the first there ever was."""
        return enumerate(self, self.added - len(self) + 1)
