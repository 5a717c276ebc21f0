"""What the journal is told: by the stream about its operations, by the job about the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from chargeover_async.migrate.journal.journal import Journal, Sent, Settled
from chargeover_async.migrate.mask import mask_payload, mask_text, printable
from chargeover_async.migrate.rows import BadRow
from chargeover_async.operation import Operation, Outcome

from .feed import InHand
from .outputs import Failure
from .verdict import Verdict

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Told:
    """The journal, as a stream wants it (`ChargeOver.stream`).

    ``wants_lines``: it keeps the lines for the failure file until they are there.
    """

    def __init__(
        self, journal: Journal, judge: Callable[[Outcome[Any]], Verdict], *, wants_lines: bool
    ) -> None:
        self.journal = journal
        self._judge = judge
        self._wants_lines = wants_lines

    def was_sent(self, operation: Operation[Any]) -> bool:
        """Whether an earlier run has sent it and did not learn what came of it."""
        return cast("InHand", operation.tag).was_sent

    async def sending(self, operations: Sequence[Operation[Any]]) -> None:
        """They are about to be sent; returns when that is on disk."""
        rows = (cast("InHand", operation.tag) for operation in operations)
        await self.journal.sending(
            Sent(row.index, row.row.line, row.shown_key, row.verb) for row in rows
        )

    def settled(self, outcomes: Sequence[Outcome[Any]]) -> None:
        """What came of them; a row that is to be changed, or created, now is not settled."""
        entries = ((outcome, self._judge(outcome)) for outcome in outcomes)
        self.journal.settled(
            self._entry(cast("InHand", outcome.operation.tag), found)
            for outcome, found in entries
            if found.became not in {"to_update", "to_create"}
        )

    def not_sent(self, row: InHand, found: Verdict) -> None:
        """A row is not sent, and never will be: it is bad, or there already."""
        self.journal.settled([self._entry(row, found)])

    def _entry(self, row: InHand, found: Verdict) -> Settled:
        failed = found.became in {"refused", "not_sent"}
        line = failure_of(row, found).text(row.identifiers) if failed and self._wants_lines else ""
        unknown = found.became == "unknown" and row.payload is not None
        return Settled(
            row.number,
            row.row.line,
            row.shown_key,
            row.verb,
            found.became,
            _encode(mask_payload(row.payload, row.identifiers)).decode() if unknown else None,
            found.id,
            None if found.error is None else type(found.error).__name__,
            printable(mask_text(found.message, row.identifiers)) or None,
            line,
        )


def failure_of(row: InHand, found: Verdict) -> Failure:
    """The entry of the failure file for a row that was not imported."""
    name = row.load.object
    return Failure(
        file=row.file,
        row=row.row.line,
        object=f"{name}.{row.children.field}" if row.children else name,
        key=row.shown_key,
        state=found.became,
        error=type(found.error).__name__,
        message=found.message,
        data=row.payload,
        source=row.row.raw if isinstance(row.row, BadRow) else row.row.cells,
    )


__all__ = ("Told", "failure_of")
