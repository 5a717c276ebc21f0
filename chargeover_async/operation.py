"""One operation: what to send, what comes back, how safe it is to repeat, and what came of it.

A resource method builds an operation; nothing is sent by that. Then it goes one of three ways:
``await`` it (a direct call), hand it to a bulk scope or a stream, or build it in a bulk scope,
which takes it at once. Either way it is sent for one purpose only: an operation has one outcome,
and awaiting it again gives the same one.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine, Generator
from decimal import Decimal
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

from ._refs import DEFAULT_PATH, PayloadPath, Ref, check_path, find_one
from .errors import (
    ChargeOverError,
    ConnectFailed,
    DecodeError,
    NotSent,
    UsageError,
)
from .models._json.read import untyped
from .query import QueryPairs
from .retry import Repeat

T = TypeVar("T")

State = Literal["done", "refused", "not_sent", "unknown"]
Reader = Callable[[msgspec.Raw], Any]


class _WithId(msgspec.Struct):
    id: Any


_read_id = msgspec.json.Decoder(_WithId, float_hook=Decimal).decode


class Outcome(msgspec.Struct, Generic[T], frozen=True):
    """What came of one operation, with its evidence.

    ``state`` is ``"done"`` (the server did it), ``"refused"`` (it answered no, or a read failed:
    nothing changed), ``"not_sent"`` or ``"unknown"`` (it may have happened). ``value`` is what the
    call returns, ``error`` is None exactly when it has one. ``attempts`` counts the sends, and
    ``batch`` is the number of the batch it last travelled in, 0 when it went alone.
    """

    operation: Operation[T]
    state: State
    value: T | None = None
    error: ChargeOverError | None = None
    attempts: int = 0
    batch: int = 0

    def unwrap(self) -> T:
        """The value; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None only where T allows it


def state_of(error: ChargeOverError) -> State:
    """How an operation that ended in ``error`` stands at the server."""
    if isinstance(error, DecodeError):
        return "done"
    if error.may_have_happened:
        return "unknown"
    if error.attempts == 0 or isinstance(error, (NotSent, ConnectFailed)):
        return "not_sent"
    return "refused"


class Runner(Protocol):
    """Who takes an operation that a resource method has built."""

    def accept(self, operation: Operation[Any]) -> None:
        """Take note of a new operation (a bulk scope queues it, a client does nothing)."""
        ...

    async def run(self, operation: Operation[Any]) -> None:
        """Send an operation that nobody has taken, and settle it."""
        ...


class Operation(Coroutine[Any, Any, T]):
    """One call of the API, not sent until it is awaited or handed to a bulk scope or a stream.

    ``tag`` is free for the caller, to carry a source row, say. ``label`` names it in messages.
    ``outcome`` is None until it is settled.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_driven",
        "_ended",
        "_taken",
        "_waiters",
        "entry",
        "keep_answer",
        "key",
        "method",
        "object",
        "path",
        "path_ref",
        "payload",
        "query",
        "reader",
        "record",
        "refs",
        "repeat",
        "runner",
        "tag",
    )

    def __init__(
        self,
        runner: Runner,
        object: str,  # noqa: A002 - the vendor's word for it
        method: str,
        path: str,
        reader: Reader,
        repeat: Repeat,
        *,
        query: QueryPairs = (),
        payload: Any = None,
        refs: list[tuple[PayloadPath, Ref]] | None = None,
        path_ref: Ref | None = None,
        key: str | None = None,
        record: tuple[str, str, Any] | None = None,
    ) -> None:
        self.runner = runner
        self.object = object
        self.method = method
        self.path = path  # below the API's base; holds REF_IN_PATH where path_ref goes
        self.reader = reader
        self.repeat = repeat
        self.query = query
        self.payload = payload
        self.refs = refs or None
        self.path_ref = path_ref
        self.key = key
        self.record = record  # operations with the same one never overtake each other
        self.tag: Any = None
        # What the outcome says. Not the outcome itself: it names this operation, and a circle would
        # keep both until the garbage collector comes by, where a stream has thousands a second.
        self._ended: tuple[State, T | None, ChargeOverError | None, int, int] | None = None
        self.entry: Any = None  # the engine's own notes, while it is in one
        self.keep_answer = repeat is not Repeat.READ
        self._answer: msgspec.Raw | None = None
        self._taken = False
        self._waiters: list[asyncio.Future[None]] | None = None
        self._driven: dict[asyncio.Task[Any] | None, Coroutine[Any, Any, T]] | None = None

    # -- for the user ------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """Method and path, and the external key of a create: ``POST /customer external_key='a'``.

        Never the payload: it may hold card numbers.
        """
        key = f" external_key={self.key!r}" if self.key is not None else ""
        return f"{self.method} {self.path}{key}"

    def ref(self, path: str = DEFAULT_PATH) -> Ref:
        """A reference to a value in this operation's answer, by default the new id.

        ``path`` is a JSONPath on the whole envelope. Raises UsageError if it is not one.
        """
        if self._ended is None:
            self.keep_answer = True
        return Ref(self, check_path(path))

    @property
    def outcome(self) -> Outcome[T] | None:
        """What came of it; None until that is known."""
        return None if self._ended is None else Outcome(self, *self._ended)

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._ended is not None

    def close(self) -> None:
        """Give up an operation that nobody has sent; it can't be sent afterwards."""
        if not self._taken and self._ended is None:
            self.settle_error(NotSent("closed before it was sent", operation=self.label))
        for coroutine in list((self._driven or {}).values()):
            coroutine.close()

    def __repr__(self) -> str:
        state = self._ended[0] if self._ended else "taken" if self._taken else "new"
        return f"<Operation {self.label} {state}>"

    def copy(self) -> Operation[T]:
        """The same call once more, unsent; for who takes one along in the place of this one."""
        return Operation(
            self.runner,
            self.object,
            self.method,
            self.path,
            self.reader,
            self.repeat,
            query=self.query,
            payload=self.payload,
            refs=self.refs,
            path_ref=self.path_ref,
            key=self.key,
            record=self.record,
        )

    # -- awaiting ----------------------------------------------------------------------------
    # An operation is a coroutine to asyncio, so that create_task and TaskGroup take it.

    def __await__(self) -> Generator[Any, Any, T]:
        return self._wait().__await__()

    def send(self, value: Any) -> Any:
        """For asyncio, which drives coroutines by this."""
        return self._drive(lambda coroutine: coroutine.send(value))

    def throw(self, *exc: Any) -> Any:
        """For asyncio, which cancels coroutines by this."""
        if not self._taken and self._ended is None:
            self.settle_error(
                NotSent("cancelled before it was sent", operation=self.label)
            )  # its task was cancelled before it began
        return self._drive(lambda coroutine: coroutine.throw(*exc))

    def _drive(self, step: Callable[[Coroutine[Any, Any, T]], Any]) -> Any:
        # A task has its own place in the waiting: several may wait for one operation.
        task = asyncio.current_task()
        if self._driven is None:
            self._driven = {}
        coroutine = self._driven.get(task)
        if coroutine is None:
            coroutine = self._driven[task] = self._wait()
        try:
            return step(coroutine)
        except BaseException:  # it ended
            del self._driven[task]
            raise

    async def _wait(self) -> T:
        return (await self.wait()).unwrap()

    async def _settled(self) -> None:
        future = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if self._ended is None:
                self._waiters.remove(future)
                if not self._waiters and self.entry is not None:
                    # The last one who wanted it is gone: what is unsent need not be sent.
                    self.entry.withdraw()
            raise

    async def wait(self) -> Outcome[T]:
        """The outcome, without raising its error."""
        if self._ended is None:
            if not self._taken:
                self.take()
                await self.runner.run(self)
            else:
                await self._settled()
        outcome = self.outcome
        if outcome is None:  # pragma: no cover - a runner settles what it runs
            raise AssertionError(f"{self!r} was run and not settled")
        return outcome

    def __del__(self) -> None:
        if not self._taken and self._ended is None:
            warnings.warn(
                f"{self.label} was never awaited nor handed to a bulk scope: nothing was sent",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )

    # -- for who runs it ---------------------------------------------------------------------

    def take(self) -> None:
        """Claim the operation; raises UsageError if somebody has it already."""
        if self._taken or self._ended is not None:
            raise UsageError(f"{self.label} was already handed over; an operation is sent once")
        self._taken = True

    def settle(self, outcome: Outcome[T], answer: msgspec.Raw | None = None) -> None:
        """Record the outcome and wake who waits for it; a second call is an error of ours."""
        assert self._ended is None, f"{self!r} settled twice"
        self._ended = (
            outcome.state,
            outcome.value,
            outcome.error,
            outcome.attempts,
            outcome.batch,
        )
        self._taken = True
        if answer is not None and self.keep_answer:
            # No copy: 25 of these share the buffer of their batch, which is no larger than copies.
            self._answer = answer
        if self._waiters is not None:
            waiters, self._waiters = self._waiters, None
            for future in waiters:
                if not future.done():
                    future.set_result(None)

    @property
    def answer(self) -> msgspec.Raw | None:
        """What the API answered, as far as it was kept for references."""
        return self._answer

    def refuse(self, error: ChargeOverError) -> None:
        """Settle an operation that could not be taken, unless somebody else has it."""
        if not self._taken and self._ended is None:
            error.operation = error.operation or self.label
            self.settle_error(error)

    def settle_error(self, error: ChargeOverError, *, batch: int = 0) -> None:
        """Record an error as the outcome."""
        self.settle(Outcome(self, state_of(error), None, error, error.attempts, batch))

    def value_at(self, path: str) -> Any:
        """The value that ``path`` finds in the answer.

        Raises LookupError or UsageError, and what else an answer or a path may lead to.
        """
        if self._answer is None:
            raise UsageError(
                f"the answer of {self.label} was not kept: call ref() before it is sent"
            )
        if path == DEFAULT_PATH:  # nearly every reference: no need to read, or to search, the rest
            try:
                return _read_id(self._answer).id
            except (msgspec.DecodeError, ValueError, RecursionError):
                pass  # not there, and so it will be told
        return find_one(
            path, {"code": 200, "status": "OK", "message": "", "response": untyped(self._answer)}
        )


__all__ = ("Operation", "Outcome")
