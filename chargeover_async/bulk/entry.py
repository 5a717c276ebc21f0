"""An operation in an engine, with the engine's own notes, and the request that several are in."""

from __future__ import annotations

import enum
from typing import Any, Protocol

from chargeover_async._refs import PayloadPath, Ref, with_values
from chargeover_async._send.life import Life
from chargeover_async.errors import ChargeOverError
from chargeover_async.limits import Permit
from chargeover_async.operation import Operation


class Stage(enum.Enum):
    """Where an entry is."""

    BLOCKED = "waits for another operation"
    READY = "waits for a permit"
    FLYING = "is in a request"
    PAUSED = "waits before it is sent again, or is looked up"
    SETTLED = "is settled"


class Home(Protocol):
    """The engine that an entry is in."""

    def withdraw(self, entry: Entry) -> None:
        """Nobody waits for it any more."""
        ...


class Entry(Life):
    """An operation in an engine, with the engine's own notes."""

    # As in `Life`: what every entry needs stands in slots, the rest on the class until it differs.
    __slots__ = ("blockers", "engine", "item", "operation", "seq", "size", "stage")

    rides: bool = False  # a direct call that is taken along: of no account to the scope or stream
    alone: bool = False  # cannot travel in a batch
    cap: int = 0  # travels in batches of at most so many, 0 for no bound
    suspect: bool = False  # refused behind another's failure: goes first in its next batch
    dependants: list[Entry] | None = None  # who refers to it
    before: Entry | None = None  # the one before it on the same record
    after: Entry | None = None  # the one behind it
    values: list[tuple[PayloadPath, Any]] | None = None  # references that are resolved
    path_value: str = ""
    failed_by: ChargeOverError | None = None  # why a reference will never have a value
    ask_first: bool = False  # another process sent it: before all else, what came of that?
    asks_later: bool = False  # its key is looked up when all that it refers to is settled
    lookup: Entry | None = None  # the look-up of its key that is under way
    looks_up: Entry | None = None  # this is a look-up for that entry

    def __init__(self, engine: Home, operation: Operation[Any], seq: int) -> None:
        # As `Life.__init__`, spelt out: a migration does this a million times.
        self.attempts = 0
        self.tries = 0
        self.batch = 0
        self.since = 0.0
        self.engine = engine
        self.operation = operation
        self.seq = seq
        self.stage = Stage.BLOCKED
        self.item: bytes | None = None  # its item of a batch, encoded, when nothing refers
        self.size = 0
        self.blockers = 0  # unsettled operations that it waits for

    def __lt__(self, other: Entry) -> bool:
        return self.seq < other.seq

    @property
    def may_leave(self) -> bool:
        """Whether it waits for nothing, and nothing that it waited for has failed."""
        return not self.blockers and self.failed_by is None

    @property
    def payload(self) -> Any:
        """What is sent, with the references that are resolved."""
        payload = self.operation.payload
        return with_values(payload, self.values) if self.values else payload

    def withdraw(self) -> None:
        """Nobody waits for it any more: do not send it if it is unsent."""
        self.engine.withdraw(self)

    def open_refs(self) -> list[tuple[PayloadPath, Ref]]:
        """References in the payload whose target is not settled yet."""
        refs = self.operation.refs
        return [(path, ref) for path, ref in refs if not ref.target.done] if refs else []


class Flight:
    """One request with its batch."""

    __slots__ = ("batch", "number", "permit", "started")

    def __init__(self, batch: list[Entry], permit: Permit, number: int) -> None:
        self.batch = batch
        self.permit = permit
        self.number = number
        self.started = False


def refs_of(operation: Operation[Any]) -> list[Ref]:
    """Every reference, in the payload and in the path."""
    refs = [ref for _, ref in operation.refs] if operation.refs else []
    if operation.path_ref is not None:
        refs.append(operation.path_ref)
    return refs


__all__ = ("Entry", "Flight", "Home", "Stage", "refs_of")
