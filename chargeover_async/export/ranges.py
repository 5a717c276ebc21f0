"""Which ids to ask for next: pure, without any I/O.

A page can be asked for before the page in front of it is known, if its ids have an upper bound. So
the ids are split into ranges, each as wide as one page can probably hold:

1. The ranges that were asked for and those still to be asked are disjoint, and together with what
   was handed out they cover every id above the start.
2. An answer ends its range only if it has left nothing out. It has not if it reaches the range's
   last id. What a full page may have left out is asked for again. A page that is short proves
   nothing, for a server may cut pages where it likes: a count of all that was listed must be no
   higher, or what may be behind it is asked for until there is nothing (a *strict* range).
3. Pages are handed out by rising id, whatever the order in which the answers come, and none before
   everything in front of it is proven.
4. At most ``window`` ranges are under way, and few more answers are kept than that.

Where ids are dense a range is as wide as a page, so that one answer always ends it. Where they are
sparse, the width follows the density that the latest answers show.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

FILL = 0.9  # of a page, where ids are sparse: a range that overflows costs a page more
MEMORY = 0.9  # the weight of the density so far against that of one more answer
SPARSE = 0.25  # of a page: with less in the latest ranges, one goes out without an end
PROVE_PAGES = 16  # answers that are kept before a count is asked for to prove them


class Range(msgspec.Struct, frozen=True, order=True):
    """The ids above ``after``, up to and including ``upto``; without an end where that is None.

    ``strict``: nothing but an answer with no records at all ends it, or its last id.
    """

    after: int
    upto: int | None
    strict: bool = False


class _Piece(Generic[T]):
    """An answer: of what lies above ``after`` up to ``end``, ``listed`` records up to ``last``."""

    __slots__ = ("after", "end", "is_proven", "last", "listed", "page")

    def __init__(
        self, after: int, end: int, ids: Sequence[int], page: T | None, *, is_proven: bool
    ) -> None:
        self.after = after
        self.end = end
        self.listed = len(ids)
        self.last = ids[-1] if ids else after
        self.page = page
        self.is_proven = is_proven

    def __lt__(self, other: _Piece[T]) -> bool:
        return self.after < other.after


class Ranges(Generic[T]):
    """Hands out ranges of ids to ask for, and the answers by rising id.

    ``after`` is where to begin, ``highest`` the highest id known, ``full`` the number of records
    from which a page may have left some out, ``density`` how many of the ids exist (0 to 1).
    """

    def __init__(
        self, after: int, highest: int, *, full: int, density: float = 1.0, window: int = 1
    ) -> None:
        self.full = max(1, full)
        self.window = window
        self._todo: list[Range] = [Range(max(after, highest), None)]
        if highest > after:
            self._todo.insert(0, Range(after, highest))
        self._asked: set[Range] = set()
        self._kept: list[_Piece[T]] = []
        self._proving: Range | None = None
        self._position = after
        self._ids = density * 4 * self.full  # what an estimate is worth: four answers
        self._span = 4.0 * self.full
        self._fill = 1.0

    @property
    def position(self) -> int:
        """Everything up to this id was handed out."""
        return self._position

    @property
    def done(self) -> bool:
        """Whether every range is answered, and every answer handed out."""
        return not self._todo and not self._asked and not self._kept

    def take(self, most: int) -> list[Range]:
        """Up to ``most`` ranges to ask for now, the lowest first; [] while the window is full."""
        most = min(most, self.window - len(self._asked))
        if len(self._kept) > 2 * self.window + PROVE_PAGES:
            # The pages that wait must not grow in number: only what they wait for is asked.
            most = min(most, 1) if not self._asked else 0
        taken: list[Range] = []
        while self._todo and len(taken) < most:
            first = self._todo[0]
            width = self._width()
            last = len(taken) == most - 1 and self._fill < SPARSE
            if first.upto is None or first.upto - first.after <= width or last:
                taken.append(self._todo.pop(0))
            else:
                taken.append(Range(first.after, first.after + width))
                self._todo[0] = Range(first.after + width, first.upto)
        self._asked.update(taken)
        return taken

    def _width(self) -> int:
        density = min(1.0, self._ids / self._span)
        if density >= FILL:
            return self.full
        return int(FILL * self.full / max(density, 1e-12)) + 1

    def answer(
        self, asked: Range, ids: Sequence[int], page: T, *, is_proven: bool | None = None
    ) -> None:
        """Take the answer to one range: ``ids`` rising and within it, and what is to be kept.

        ``is_proven`` says what a count has shown of the pages that came together; None for none.
        """
        self._asked.remove(asked)
        is_full = len(ids) >= self.full
        self.full = max(self.full, len(ids))
        last = ids[-1] if ids else asked.after
        end = last if asked.upto is None else asked.upto
        if (ids and last == asked.upto) or (not ids and (asked.upto is None or asked.strict)):
            is_proven = True
        elif (
            is_full or asked.strict or is_proven is False or (asked.upto is None and not is_proven)
        ):
            is_strict = asked.strict or not is_full
            insort(self._todo, Range(last, asked.upto, is_strict))
            if not ids:
                return
            is_proven, end = True, last
        piece = _Piece(asked.after, end, ids, page if ids else None, is_proven=bool(is_proven))
        insort(self._kept, piece)
        if asked.upto is not None and not asked.strict:
            self._ids = MEMORY * self._ids + len(ids)
            self._span = MEMORY * self._span + (end - asked.after)
            self._fill = MEMORY * self._fill + (1 - MEMORY) * len(ids) / self.full

    def to_prove(self) -> Range | None:
        """Ids whose number is to be asked for, as pages wait for it; `proved` takes the answer."""
        if self._proving is not None or not self._kept:
            return None
        run, end = 0, self._position
        for piece in self._kept:
            if piece.after != end:
                break
            run, end = run + 1, piece.end
        if not run or self._kept[0].is_proven:
            return None
        if run < PROVE_PAGES and (self._asked or self._todo):
            return None
        self._proving = Range(self._position, end)
        return self._proving

    def proved(self, count: int | None) -> None:
        """Take the number of ids in what `to_prove` asked for; None if it cannot be had."""
        run, self._proving = self._proving, None
        assert run is not None
        assert run.upto is not None
        pieces = [piece for piece in self._kept if piece.end <= run.upto]
        is_proven = count is not None and sum(piece.listed for piece in pieces) >= count
        for piece in pieces:
            if not piece.is_proven and not is_proven:
                insort(self._todo, Range(piece.last, piece.end, strict=True))
                piece.end = piece.last
            piece.is_proven = True
        self._kept = [piece for piece in self._kept if piece.listed or piece.end > piece.after]

    def ready(self) -> Iterator[T]:
        """The pages whose turn it is, by rising id; each is handed out once."""
        while self._kept:
            piece = self._kept[0]
            if piece.after != self._position or not piece.is_proven:
                return
            del self._kept[0]
            self._position = piece.end
            if piece.page is not None:
                yield piece.page


__all__ = ("Range", "Ranges")
