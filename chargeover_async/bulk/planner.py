"""Which of the waiting operations go into the next batch: pure, without tasks and time.

Theory: an entry is *ready* when everything it refers to is settled and no earlier operation on its
record is unsettled. Ready entries leave by age: the oldest always has a place in the next batch, so
nothing is passed over for good. An entry that waits only for others of the same batch may travel
with them if the server can be told so (``*_jsonpath``), so a family (an entry and all that refer to
it) is taken as a whole where it fits. What does not fit is passed over while younger ones fill the
batch; only when nothing else would fill it, a family is split, and its rest goes out with values
once the answer is in.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

from .batch import jsonpath_key
from .entry import Entry, Stage
from .settings import ServerAssumptions

FLYING, READY = Stage.FLYING, Stage.READY

LOOK_AHEAD = 64
"""How many entries that do not fit are passed over in the search for some that do."""

LEAVE_EMPTY = 2
"""A batch may leave so many of 25 places empty before a family is split: at most 8 % more
requests, and families of up to 12 stay whole."""


class _ByAge:
    """Entries, the oldest first.

    They come by age, but for those that come back or had to wait: a line for the many and a heap
    for the few, as a heap of all took three times as long.
    """

    __slots__ = ("_heap", "_line")

    def __init__(self) -> None:
        self._line: deque[Entry] = deque()
        self._heap: list[tuple[int, Entry]] = []

    def __bool__(self) -> bool:
        return bool(self._line or self._heap)

    def push(self, entry: Entry) -> None:
        if not self._line or self._line[-1].seq < entry.seq:
            self._line.append(entry)
        else:
            heappush(self._heap, (entry.seq, entry))

    def pop(self) -> Entry:
        if self._heap and (not self._line or self._heap[0][0] < self._line[0].seq):
            return heappop(self._heap)[1]
        return self._line.popleft()

    def oldest(self) -> Entry | None:
        """The oldest that is ready still; settled ones before it are dropped."""
        while self:
            entry = self.pop()
            if entry.stage is READY:
                heappush(self._heap, (entry.seq, entry))
                return entry
        return None

    def clear(self) -> None:
        self._line.clear()
        self._heap.clear()


class Waiting:
    """The ready entries, oldest first."""

    __slots__ = (
        "_alone",
        "_queue",
        "assumptions",
        "count",
        "max_bytes",
        "max_ops",
        "suspects_lead",
    )

    def __init__(self, assumptions: ServerAssumptions, max_ops: int, max_bytes: int) -> None:
        self.assumptions = assumptions
        self.max_ops = max_ops
        self.max_bytes = max_bytes
        self.count = 0  # ready entries
        self.suspects_lead = True  # an entry that is `suspect` travels at the head of a batch
        # Entries that were settled since stay until their turn comes, and are skipped then.
        self._queue = _ByAge()
        self._alone = _ByAge()

    def add(self, entry: Entry) -> None:
        """Queue an entry, which is ready from now on."""
        entry.stage = READY
        self.count += 1
        (self._alone if entry.alone else self._queue).push(entry)

    def drop(self) -> None:
        """A ready entry was settled without being taken."""
        self.count -= 1
        if self.count == 0:  # nothing but settled ones
            self._queue.clear()
            self._alone.clear()

    def take(self) -> list[Entry]:
        """The next batch, in an order in which targets stand before their users; [] for none."""
        batch: list[Entry] = []
        if self._alone:
            alone, head = self._alone.oldest(), self._queue.oldest()
            if alone is not None and (head is None or alone < head):
                self._alone.pop()
                self._board([alone], batch)
                return batch
        self._fill(batch)
        return batch

    def _fill(self, batch: list[Entry]) -> None:
        queue, passed = self._queue, list[Entry]()
        room, space = self.max_ops, self.max_bytes
        while room > 0 and queue and len(passed) < LOOK_AHEAD:
            entry = queue.pop()
            if entry.stage is not READY:
                continue
            size = entry.size
            if entry.dependants is None and not entry.cap and not entry.suspect and size <= space:
                # By itself and without a condition, as most are: the short way of what follows.
                entry.stage = FLYING
                self.count -= 1
                batch.append(entry)
                room -= 1
                space -= size
                continue
            most = self._most(entry, room, batch)
            family = self._family(entry, most + 1, batch) if most > 0 else []
            size = entry.size if len(family) == 1 else sum(member.size for member in family)
            if batch and (not family or len(family) > most or size > space):
                passed.append(entry)
                continue
            family = _prefix(family, most, space)  # shorter only for the oldest
            room = most - len(family)
            space -= self._board(family, batch)
        if room > LEAVE_EMPTY:
            for entry in passed:
                most = self._most(entry, room, batch)
                if most <= 0 or entry.size > space:
                    continue
                part = _prefix(self._family(entry, most, batch), most, space)
                room = most - len(part)
                space -= self._board(part, batch)
        for entry in passed:
            if entry.stage is READY:
                queue.push(entry)

    def _most(self, entry: Entry, room: int, batch: list[Entry]) -> int:
        """How many may board from now on if ``entry`` does; 0 when it may not."""
        if batch and entry.suspect and self.suspects_lead:
            return 0
        return min(room, entry.cap - len(batch)) if entry.cap else room

    def _board(self, family: list[Entry], batch: list[Entry]) -> int:
        """Put a family into the batch; the bytes it takes."""
        size = 0
        for entry in family:
            if entry.stage is READY:
                self.count -= 1
            entry.stage = FLYING
            batch.append(entry)
            size += entry.size
        return size

    def _family(self, root: Entry, most: int, batch: list[Entry]) -> list[Entry]:
        """The root and those that can travel with it, targets before users, at most ``most``.

        Who also waits for something that is in ``batch`` already can come along.
        """
        family = [root]
        if root.dependants is None:
            return family
        members = {root, *batch}
        for member in family:
            for child in member.dependants or ():
                if len(family) >= most:
                    return family
                if child not in members and self._rides_with(child, members):
                    family.append(child)
                    members.add(child)
        return family

    def _rides_with(self, entry: Entry, members: set[Entry]) -> bool:
        """Whether ``entry`` waits for nothing but ``members``, and the server can be told so."""
        if entry.stage is not Stage.BLOCKED or entry.alone or entry.cap or entry.in_doubt:
            return False
        if entry.suspect and self.suspects_lead:
            return False
        operation = entry.operation
        if operation.path_ref is not None and not operation.path_ref.target.done:
            return False
        targets: set[Entry] = set()
        for path, ref in entry.open_refs():
            name = path[0]
            if len(path) != 1 or not isinstance(name, str) or not name.endswith("_id"):
                return False
            key = jsonpath_key(name)
            if key in operation.payload or not self.assumptions.allows(key, ref.path):
                return False
            target = ref.target.entry
            if target not in members:
                return False
            targets.add(target)
        # An earlier operation on the same record is a blocker that is no target.
        return len(targets) == entry.blockers


def _prefix(family: list[Entry], most: int, space: int) -> list[Entry]:
    """As many of a family as may board, the first in any case; targets stay before users."""
    taken, size = 0, 0
    for entry in family[:most]:
        size += entry.size
        if taken and size > space:
            break
        taken += 1
    return family[:taken]


__all__ = ("LEAVE_EMPTY", "LOOK_AHEAD", "Waiting")
