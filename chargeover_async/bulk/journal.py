"""What a stream tells a durable journal, and asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from chargeover_async._hints import describe
from chargeover_async.errors import ChargeOverError, NotSent
from chargeover_async.observe import logger
from chargeover_async.operation import Operation, Outcome

from .entry import Entry


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


class Teller:
    """Tells a journal what is about to leave, and all that an answer settled.

    ``on_failed`` is told why the journal cannot be told any more.
    """

    __slots__ = ("_journal", "_on_failed", "_untold")

    def __init__(self, journal: StreamJournal, on_failed: Callable[[str], None]) -> None:
        self._journal = journal
        self._on_failed = on_failed
        self._untold: list[Outcome[Any]] = []

    def was_sent(self, operation: Operation[Any]) -> bool:
        """See `StreamJournal.was_sent`; raises NotSent if the journal cannot say."""
        try:
            return self._journal.was_sent(operation)
        except Exception as error:
            self.failed(error)
            raise NotSent(_why(error)) from error

    async def sending(self, batch: list[Entry]) -> None:
        """These are about to leave, unless they cannot be noted."""
        operations = [
            entry.operation for entry in batch if entry.looks_up is None and not entry.rides
        ]
        try:
            if operations:
                await self._journal.sending(operations)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being noted
            self.failed(error)

    def settled(self, outcome: Outcome[Any]) -> None:
        """It is told with all that settles in this tick."""
        if not self._untold:
            asyncio.get_running_loop().call_soon(self.tell)
        self._untold.append(outcome)

    def tell(self) -> None:
        """Tell what has settled since, with one call."""
        outcomes, self._untold = self._untold, []
        if outcomes:
            try:
                self._journal.settled(outcomes)
            except Exception as error:  # noqa: BLE001 - what is settled stays settled
                self.failed(error)

    def failed(self, error: Exception) -> None:
        """Nothing more is sent."""
        if not isinstance(error, ChargeOverError):
            logger.error("the journal failed; a stream sends nothing more", exc_info=error)
        self._on_failed(_why(error))


def _why(error: Exception) -> str:
    name, _, text = describe(error).partition(": ")
    return f"the journal failed: {text or name}"


__all__ = ("StreamJournal", "Teller")
