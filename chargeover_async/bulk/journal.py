"""What a stream tells a durable journal, and asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from chargeover_async.operation import Operation, Outcome


class StreamJournal(Protocol):
    """Keeps account of a stream across a crash of this process.

    An operation that may have been sent is always known to the journal: `sending` has returned
    before the first byte of a request leaves. One that `settled` was not told of since may be done,
    and whoever starts again finds out by looking up its key: see `was_sent`.
    """

    def was_sent(self, operation: Operation[Any]) -> bool:
        """Whether an earlier process sent this operation and never learnt what came of it.

        Asked once of each operation, when it is taken. If so, a create with a key begins with a
        look-up of the key, as after a lost answer; what may be repeated is sent again; and anything
        else ends as OutcomeUnknown, unsent.
        """
        ...

    async def sending(self, operations: Sequence[Operation[Any]]) -> None:
        """These leave in one request once this returns, for the first time or once more.

        Called once for a request, with its 1 to 25 operations; look-ups are not told. If it raises,
        none of them is sent, and the stream sends nothing more: all that is unsent settles as
        NotSent. If it is cancelled, none of them is sent either, whatever it has noted.
        """
        ...

    def settled(self, outcomes: Sequence[Outcome[Any]]) -> None:
        """These operations ended: what the answer to a request settled comes in one call.

        It must not block. An error in it is logged, and the stream sends nothing more.
        """
        ...


__all__ = ("StreamJournal",)
