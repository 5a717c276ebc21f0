"""An operation in an engine, with the engine's own notes."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from chargeover_async._refs import PayloadPath, Ref
from chargeover_async.errors import AlreadyExists, ChargeOverError
from chargeover_async.operation import Operation

if TYPE_CHECKING:
    from .engine import Engine


class Stage(enum.Enum):
    """Where an entry is."""

    BLOCKED = "waits for another operation"
    READY = "waits for a permit"
    FLYING = "is in a request"
    PAUSED = "waits before it is sent again, or is looked up"
    SETTLED = "is settled"


class Entry:
    """An operation in an engine, with the engine's own notes.

    ``sent_before`` says that a send got no answer, so that its key may be taken by itself;
    ``in_doubt`` that the server may hold its effect right now, as far as is known.
    """

    # What every entry needs stands in slots. The rest is the same for nearly all of them: it stands
    # on the class until it differs, which halves the time that an entry takes to be made.
    __slots__ = (
        "__dict__",
        "attempts",
        "batch",
        "blockers",
        "engine",
        "first_sent",
        "item",
        "operation",
        "seq",
        "size",
        "stage",
        "tries",
    )

    rides: bool = False  # a direct call that is taken along: of no account to the scope or stream
    alone: bool = False  # cannot travel in a batch
    cap: int = 0  # travels in batches of at most so many, 0 for no bound
    suspect: bool = False  # refused behind another's failure: goes first in its next batch
    dependants: list[Entry] | None = None  # who refers to it
    before: Entry | None = None  # the one before it on the same record
    after: Entry | None = None  # the one behind it
    values: list[tuple[PayloadPath, Any]] | None = None  # references that are resolved
    path_value: Any = None
    failed_by: ChargeOverError | None = None  # why a reference will never have a value
    sent_before: bool = False
    in_doubt: bool = False
    ask_first: bool = False  # another process sent it: before all else, what came of that?
    lookup: Entry | None = None  # the look-up of its key that is under way
    looks_up: Entry | None = None  # this is a look-up for that entry
    existing: AlreadyExists | None = None  # why its key is looked up, if none was lost

    def __init__(self, engine: Engine, operation: Operation[Any], seq: int) -> None:
        self.engine = engine
        self.operation = operation
        self.seq = seq
        self.stage = Stage.BLOCKED
        self.item: bytes | None = None  # its item of a batch, encoded, when nothing refers
        self.size = 0
        self.blockers = 0  # unsettled operations that it waits for
        self.attempts = 0  # sends that left
        self.tries = 0  # sends that were not answered 429
        self.batch = 0
        self.first_sent = 0.0

    def __lt__(self, other: Entry) -> bool:
        return self.seq < other.seq

    def withdraw(self) -> None:
        """Nobody waits for it any more: do not send it if it is unsent."""
        self.engine.withdraw(self)

    def open_refs(self) -> list[tuple[PayloadPath, Ref]]:
        """References in the payload whose target is not settled yet."""
        refs = self.operation.refs
        return [one for one in refs if not one[1].target.done] if refs else []


def refs_of(operation: Operation[Any]) -> list[Ref]:
    """Every reference, in the payload and in the path."""
    refs = [ref for _, ref in operation.refs] if operation.refs else []
    if operation.path_ref is not None:
        refs.append(operation.path_ref)
    return refs


__all__ = ("Entry", "Stage", "refs_of")
