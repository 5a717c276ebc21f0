"""What becomes of an operation: the one place where that is decided, for direct calls and batches.

Pure, and told the time. A `Life` is asked after each answer, to the operation itself (`answered`)
or to the question for its key (`looked_up`), and says what is to be done next, or how it ended:

===================== ========= ========== ======================= ==============================
answer                READ      IDEMPOTENT KEYED                   ONCE
===================== ========= ========== ======================= ==============================
good                  done      done       done                    done
never left            again*    again*     again*                  again*
429, `tries` stays    again*    again*     again*                  again*
no readable one       again*    again*     look up                 unknown
500 in an envelope    few*      few*       look up                 ServerError: may have happened
404 to a DELETE       error     **done**   error                   error
"the key is taken"    error     error      **look up**             error
any other 4xx         error     error      error                   error
found: same                                done
found: other                               AlreadyExists, unknown
found: unreadable                          unknown
404 to the question                        doubt is over, again*
4xx to the question                        unknown
any other to it                            look up again*, then unknown
===================== ========= ========== ======================= ==============================

``*`` if the policy has a try and time left. If not: what was never sent, or was answered 429, is
unknown if an earlier send got no answer, else the error stands; after a lost answer a read ends as
TransportError and an update as unknown; after a 500 the ServerError stands. In bold: if an earlier
send got no answer. No readable answer, a 500 and a key that is taken after all are a *doubt*: the
server may hold the effect. Whatever else ends an operation in doubt leaves it unknown; of reads
nothing is ever unknown.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chargeover_async._hints import describe
from chargeover_async._wire.envelope import (
    Reply,
    error_of,
    is_taken_key,
)
from chargeover_async._wire.request import Request, segment
from chargeover_async.errors import (
    AlreadyExists,
    ChargeOverError,
    ConnectFailed,
    DecodeError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    TransportError,
)
from chargeover_async.models import DateFormat
from chargeover_async.operation import Operation, Outcome, state_of
from chargeover_async.retry import TABLE, Fault, Next, Repeat, RetryPolicy

from .result import End, Result
from .same import Found

READ, KEYED = Repeat.READ, Repeat.KEYED
NEVER_LEFT, THROTTLED, REFUSED = Fault.NEVER_LEFT, Fault.THROTTLED, Fault.REFUSED
AGAIN, LOOK_UP = Next.AGAIN, Next.LOOK_UP
_TRUE = Reply(200, "OK", response=msgspec.Raw(b"true"))


class Life:
    """One operation from its first send to its end, or one question for a key; see the module."""

    # What nearly every life needs stands in slots; the rest stands on the class until it differs,
    # which halves the time that one takes to be made.
    __slots__ = ("__dict__", "attempts", "batch", "since", "tries")

    sent_before: bool = False  # some send got no answer: never taken back
    in_doubt: bool = False  # the server may hold its effect, as far as is known now
    lost: Result | None = None  # the latest send that got no answer
    dates: DateFormat | None = None  # of a question: how the account writes them
    existing: AlreadyExists | None = None  # its key is taken, and is looked up to learn by which
    found: Found | None = None  # a record that has its key, while it is not known to be ours

    def __init__(self) -> None:
        self.attempts = 0  # sends that left
        self.tries = 0  # sends that were not answered 429
        self.batch = 0  # the number of the batch it last travelled in
        self.since = 0.0  # when it was first sent

    def leaves(self, now: float) -> None:
        """It is sent now."""
        if not self.attempts and not self.tries:
            self.since = now

    def answered(
        self, operation: Operation[Any], result: Result, policy: RetryPolicy, now: float
    ) -> Next | End:
        """A send of ``operation`` brought ``result``: its end, or what is next after a pause.

        That is to send it again, or (LOOK_UP) to look its key up.
        """
        fault, repeat = result.fault, operation.repeat
        if fault is None:  # as nearly always
            self.attempts += 1
            self.tries += 1
            if result.whole is not None:
                return self._has(operation, result.whole.response, None)
            assert result.reply is not None
            return self._done(operation, result.reply)
        self._count(fault)
        if fault is REFUSED:
            if self.sent_before:
                if operation.method == "DELETE" and result.status == 404:
                    return self._done(operation, _TRUE)  # by an earlier send
                if repeat is KEYED and _is_taken(result):
                    self._doubt(result)
                    return LOOK_UP
            return self._error(operation, result)
        if fault is not NEVER_LEFT and fault is not THROTTLED:
            self._doubt(result)
        step = TABLE[fault, repeat]
        if step is Next.UNKNOWN:
            return self._unknown(operation, result.story, result.cause)
        if step is LOOK_UP:
            return step
        if step is not Next.FAIL and policy.may_repeat(fault, step, self.tries, now - self.since):
            return step
        if self.sent_before and repeat is not READ and fault is not Fault.SERVER:
            return self._unknown(operation, result.story, result.cause)
        return self._error(operation, result)

    def looked_up(
        self,
        operation: Operation[Any],
        question: Life,
        result: Result,
        sent: Any,
        policy: RetryPolicy,
        now: float,
        *,
        sure: bool = True,
    ) -> Next | End:
        """The ``question`` for its key brought ``result``: its end, or what is next.

        That is to send it again, at once, or (LOOK_UP) to ask again, after a pause, or (LOOK_ON) to
        ask the next question, at once (`question`).
        ``sent`` is the payload that was sent, by which a record is known as ours. A 404 that is not
        ``sure`` does not end the doubt; sending again is safe, as the key is taken if it is wrong.
        """
        fault, elapsed_s = result.fault, now - self.since
        question._count(fault)
        if fault is None or (fault is REFUSED and self.found is not None):
            return self._found(operation, result, sent, question.dates)
        if fault is REFUSED and result.status == 404 and self.existing is None:
            if policy.may_repeat(Fault.LOST, AGAIN, self.tries, elapsed_s):
                self.in_doubt = not sure
                return AGAIN
            return self.given_up(operation, "no record has its key, and no try is left")
        # More patient than another read with a server that fails (500): what hangs on it is whether
        # a record is there.
        if fault is not REFUSED and policy.may_repeat(fault, AGAIN, question.tries, elapsed_s):
            return LOOK_UP
        label = f"the look-up of {operation.label}"
        error = _failure(result, label, READ, question.attempts, question.batch)
        return self.given_up(
            operation, f"its key could not be looked up: {result.story or error.message}", error
        )

    def question(self, operation: Operation[Any]) -> Request:
        """What is to be asked next, when it is to be looked up."""
        if self.found is not None and self.found.asking is not None:
            return Request("GET", self.found.asking[2])
        assert operation.key is not None
        return Request("GET", f"/{operation.object}/external_key:{segment(operation.key)}")

    # -- what ends otherwise than by an answer of its own ------------------------------------------

    def cut_off(
        self, operation: Operation[Any], why: str, cause: BaseException | None = None
    ) -> End:
        """Nobody waits for the answer to a send that may have left."""
        self.attempts += 1
        self.in_doubt = True
        return self.given_up(operation, why, cause)

    def given_up(
        self, operation: Operation[Any], why: str, cause: BaseException | None = None
    ) -> End:
        """It is not under way and will not be sent again."""
        if self.existing is not None:
            return self.failed(operation, self.existing)
        if self.in_doubt and operation.repeat is not READ:
            return self._unknown(operation, why, cause)
        error = NotSent(f"{why}; nothing came of it")
        error.__cause__ = cause
        return self.failed(operation, error)

    def behind(self, operation: Operation[Any], cause: ChargeOverError) -> End:
        """What it refers to failed with ``cause``, when it has perhaps been out itself."""
        return self.stopped_by(operation, cause, "what it refers to was not done")

    def stopped_by(self, operation: Operation[Any], error: ChargeOverError, why: str) -> End:
        """It cannot be sent (again): ``error`` stands unless it is in doubt."""
        if self.in_doubt:
            return self.given_up(operation, why, error)
        return self.failed(operation, error)

    def withdrawn(self, operation: Operation[Any]) -> End | None:
        """Nobody waits for it any more; None while something may have come of it."""
        if self.in_doubt:
            return None
        again = " again" if self.attempts else ""
        return self.given_up(operation, f"cancelled, and so withdrawn before it was sent{again}")

    def failed(self, operation: Operation[Any], error: ChargeOverError) -> End:
        """It ended in ``error``."""
        error.operation = error.operation or operation.label
        error.attempts, error.batch = self.attempts, self.batch
        return End(Outcome(operation, state_of(error), None, error, self.attempts, self.batch))

    # -- details -----------------------------------------------------------------------------------

    def _count(self, fault: Fault | None) -> None:
        if fault is not NEVER_LEFT:
            self.attempts += 1
        if fault is not THROTTLED:
            self.tries += 1

    def _doubt(self, result: Result) -> None:
        self.sent_before = self.in_doubt = True
        self.lost = result

    def _error(self, operation: Operation[Any], result: Result) -> End:
        """The fault stands."""
        error = _failure(result, operation.label, operation.repeat, self.attempts, self.batch)
        if self.in_doubt and operation.repeat is not READ:
            error.may_have_happened = True  # by an earlier send, whatever this one met
        return self.failed(operation, error)

    def _unknown(
        self, operation: Operation[Any], why: str, cause: BaseException | None = None
    ) -> End:
        first = self.lost.story if self.lost is not None else ""
        story = f"{first}; {why}" if first and first != why else why
        error = OutcomeUnknown(
            f"it was sent and may have happened, once: {story}. Look it up before you repeat it"
        )
        error.__cause__ = cause or (self.lost.cause if self.lost is not None else None)
        return self.failed(operation, error)

    def _found(
        self, operation: Operation[Any], result: Result, sent: Any, dates: DateFormat | None
    ) -> Next | End:
        """A record has its key: ours, another's, or one of which that cannot be told (yet)."""
        found = self.found = self.found or Found(operation.object, dates)
        try:
            found.read(
                result.reply.response if result.fault is None and result.reply else None, sent
            )
            other = found.comparison.differs
            answer = msgspec.Raw(b'{"id":%d}' % found.identity)
            shown = ", ".join(f"{k} sent {a!r} held {b!r}" for k, (a, b) in sorted(other.items()))
        except Exception as error:  # noqa: BLE001 - whatever a record may hold
            return self.given_up(
                operation,
                "a record with this external_key exists, and the answer about it cannot be read "
                f"({type(error).__name__})",
                error,
            )
        if not other and found.asking is not None:
            return Next.LOOK_ON
        if self.existing is not None:
            self.existing.existing_id, self.existing.differences = found.identity, other
            self.existing.unseen = found.unseen
            return self.failed(operation, self.existing)
        if not other and not found.unseen:
            return self._done(operation, Reply(201, "OK", response=answer))
        what = f"holds other values: {shown}"
        if not other:
            what = f"does not tell whether it holds what was sent in {', '.join(found.unseen)}"
        taken = AlreadyExists(
            f"{operation.object} {found.identity} has this external_key and {what}. "
            "It is either somebody else's, or ours and changed since",
            existing_id=found.identity,
            differences=other,
            unseen=found.unseen,
            status=400,
        )
        taken.may_have_happened = True
        return self.failed(operation, taken)

    def _done(self, operation: Operation[Any], reply: Reply) -> End:
        """A value that cannot be read is a DecodeError, and it was done all the same."""
        try:
            value = operation.reader(reply.response)
        except DecodeError as error:
            unreadable = error
        except Exception as error:  # noqa: BLE001 - the caller's own type may raise what it likes
            unreadable = DecodeError(
                f"the answer could not be read: {describe(error)}",
                raw=bytes(reply.response),
            )
            unreadable.__cause__ = error
        else:
            return self._has(operation, value, reply.response)
        unreadable.operation = operation.label
        return End(self.failed(operation, unreadable).outcome, reply.response)

    def _has(self, operation: Operation[Any], value: Any, answer: msgspec.Raw | None) -> End:
        return End(Outcome(operation, "done", value, None, self.attempts, self.batch), answer)


def _is_taken(result: Result) -> bool:
    return result.reply is not None and is_taken_key(result.reply.message or "")


def _failure(
    result: Result, label: str, repeat: Repeat, attempts: int, batch: int
) -> ChargeOverError:
    """The exception for a fault that stands."""
    context: dict[str, Any] = {"operation": label, "attempts": attempts, "batch": batch}
    error: ChargeOverError
    if result.fault is NEVER_LEFT:
        error = ConnectFailed(f"nothing was sent: {result.reason}", **context)
    elif result.fault is Fault.LOST:
        error = TransportError(f"no readable answer: {result.reason}", **context)
    else:
        reply = result.reply
        body = result.body or (bytes(reply.response) if reply is not None else b"")
        error = error_of(result.status, reply.message if reply else None, body, **context)
        if isinstance(error, RateLimited):
            error.retry_after_s = result.retry_after_s
        if repeat is READ:
            error.may_have_happened = False
    error.__cause__ = result.cause
    return error
