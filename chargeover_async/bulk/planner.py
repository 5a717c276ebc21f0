"""Which of the waiting operations go into the next batch: pure, without tasks and time.

Theory: an entry is *ready* when everything it refers to is settled and no earlier operation on its
record is unsettled. Ready entries go first come, first served. An entry that waits only for others
of the same batch may travel with them if the server can be told so (``*_jsonpath``), so a family
(an entry and all that refer to it) is taken as a whole where it fits. What does not fit is left for
the next batch while others fill this one; only when nothing else would fill it, a family is split,
and its rest goes out with values once the answer is in.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, Any

from chargeover_async._ref import Ref
from chargeover_async.operation import Operation, PayloadPath

from .assumptions import ServerAssumptions

if TYPE_CHECKING:
    from .engine import Engine

LOOK_AHEAD = 64
"""How many entries that do not fit are passed over in the search for some that do."""

LEAVE_EMPTY = 2
"""A batch may leave so many of 25 places empty before a family is split: at most 8 % more
requests, and families of up to 12 stay whole."""


class Stage(enum.Enum):
    """Where an entry is."""

    BLOCKED = "waits for another operation"
    READY = "waits for a permit"
    FLYING = "is in a request"
    PAUSED = "waits before it is sent again, or is looked up"
    SETTLED = "is settled"


class Entry:
    """An operation in an engine, with the engine's own notes."""

    __slots__ = (
        "alone",
        "attempts",
        "batch",
        "blockers",
        "cap",
        "dependants",
        "engine",
        "failed_by",
        "first_sent",
        "followers",
        "item",
        "looks_up",
        "operation",
        "path_value",
        "sent_before",
        "seq",
        "size",
        "stage",
        "suspect",
        "tries",
        "values",
    )

    def __init__(self, engine: Engine, operation: Operation[Any], seq: int) -> None:
        self.engine = engine
        self.operation = operation
        self.seq = seq
        self.stage = Stage.BLOCKED
        self.item: bytes | None = None  # its item of a batch, encoded, when nothing refers
        self.size = 0
        self.alone = False  # cannot travel in a batch
        self.cap = 0  # travels in batches of at most so many, 0 for no bound
        self.suspect = False  # refused behind another's failure: goes first in its next batch
        self.blockers = 0  # unsettled operations that it waits for
        self.dependants: list[Entry] | None = None  # who refers to it
        self.followers: list[Entry] | None = None  # the next on the same record
        self.values: list[tuple[PayloadPath, Any]] | None = None  # references that are resolved
        self.path_value: Any = None
        self.failed_by: Any = None  # the error of a target, once it failed
        self.attempts = 0
        self.tries = 0
        self.batch = 0
        self.first_sent = 0.0
        self.sent_before = False
        self.looks_up: Entry | None = None  # this is a look-up for that entry

    def withdraw(self) -> None:
        """Nobody waits for it any more: do not send it if it is unsent."""
        self.engine.withdraw(self)

    def open_refs(self) -> list[tuple[PayloadPath, Ref]]:
        """References whose target is not settled yet."""
        refs = self.operation.refs
        return [one for one in refs if one[1].target.outcome is None] if refs else []


class Waiting:
    """The ready entries, in the order in which they will leave."""

    __slots__ = ("_alone", "_first", "_ready", "assumptions", "count", "max_bytes", "max_ops")

    def __init__(self, assumptions: ServerAssumptions, max_ops: int, max_bytes: int) -> None:
        self.assumptions = assumptions
        self.max_ops = max_ops
        self.max_bytes = max_bytes
        self.count = 0  # ready entries
        self._first: deque[Entry] = deque()  # look-ups, repeats, and what has waited for others
        self._ready: deque[Entry] = deque()
        self._alone: deque[Entry] = deque()

    def add(self, entry: Entry, *, again: bool = False) -> None:
        """Queue a ready entry; ``again`` puts it before the ones that are new."""
        entry.stage = Stage.READY
        self.count += 1
        queue = self._alone if entry.alone else self._first if again else self._ready
        queue.append(entry)

    def drop(self, entry: Entry) -> None:
        """A ready entry was settled or taken otherwise; its place in the queue is skipped."""
        assert entry.stage is Stage.READY
        self.count -= 1

    def take(self) -> list[Entry]:
        """The next batch, in an order in which targets stand before their users; [] for none."""
        alone, queued = self._head(self._alone), self._head(self._first) or self._head(self._ready)
        batch: list[Entry] = []
        if alone is not None and (queued is None or alone.seq < queued.seq):
            self._alone.popleft()
            self._board([alone], batch)
        else:
            self._fill(batch)
        return batch

    def _head(self, queue: deque[Entry]) -> Entry | None:
        while queue and queue[0].stage is not Stage.READY:
            queue.popleft()
        return queue[0] if queue else None

    def _board(self, family: list[Entry], batch: list[Entry]) -> int:
        """Put a family into the batch; the bytes it takes."""
        size = 0
        for entry in family:
            if entry.stage is Stage.READY:
                self.count -= 1
            entry.stage = Stage.FLYING
            batch.append(entry)
            size += entry.size
        return size

    def _fill(self, batch: list[Entry]) -> None:
        room, space = self.max_ops, self.max_bytes
        for queue in (self._first, self._ready):
            passed: list[Entry] = []
            while room > 0 and len(passed) < LOOK_AHEAD and queue:
                entry = queue.popleft()
                if entry.stage is not Stage.READY:
                    continue
                family = self._family(entry, self.max_ops, batch)
                within = min(room, entry.cap - len(batch)) if entry.cap else room
                if (
                    len(family) > within
                    or (entry.suspect and batch)
                    or sum(one.size for one in family) > space
                ):
                    passed.append(entry)
                    continue
                room = within - len(family)
                space -= self._board(family, batch)
            if room > LEAVE_EMPTY or not batch:
                for index, entry in enumerate(passed):
                    part = self._part(entry, room, space, batch)
                    if not part:
                        continue
                    passed[index] = part[0]  # boards, so its stage makes the queue skip it
                    room -= len(part)
                    if entry.cap:
                        room = 0
                    space -= self._board(part, batch)
            queue.extendleft(one for one in reversed(passed) if one.stage is Stage.READY)

    def _part(self, entry: Entry, room: int, space: int, batch: list[Entry]) -> list[Entry]:
        """As much of a family as there is room for, targets first."""
        if room <= 0 or entry.size > space or (batch and (entry.cap or entry.suspect)):
            return []
        part = self._family(entry, min(room, entry.cap or room), batch)
        while sum(one.size for one in part) > space:
            part.pop()
        return part

    def _family(self, root: Entry, most: int, batch: list[Entry]) -> list[Entry]:
        """The root and those that can travel with it, targets before users, at most ``most``.

        Who also waits for something that is in ``batch`` already can come along.
        """
        family = [root]
        if root.dependants is None:
            return family
        members = {root, *batch}
        for one in family:
            for child in one.dependants or ():
                if len(family) >= most:
                    return family
                if child not in members and self._rides_with(child, members):
                    family.append(child)
                    members.add(child)
        return family

    def _rides_with(self, entry: Entry, members: set[Entry]) -> bool:
        """Whether ``entry`` waits for nothing but ``members``, and the server can be told so."""
        if entry.stage is not Stage.BLOCKED or entry.alone or entry.cap or entry.suspect:
            return False
        if entry.operation.path_ref is not None and entry.path_value is None:
            return False
        targets: set[Entry] = set()
        for path, ref in entry.open_refs():
            name = path[0]
            if len(path) != 1 or not isinstance(name, str) or not name.endswith("_id"):
                return False
            if not self.assumptions.allows(jsonpath_key(name), ref.path):
                return False
            target = ref.target.entry
            if target not in members:
                return False
            targets.add(target)
        # An earlier operation on the same record is a blocker that is no target.
        return len(targets) == entry.blockers


def jsonpath_key(name: str) -> str:
    """``customer_jsonpath`` for ``customer_id``."""
    return name.removesuffix("_id") + "_jsonpath"
