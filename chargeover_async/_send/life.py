"""From what came back to what becomes of an operation: the repeat table with its limits.

Pure: the pipeline (one operation a request) and the bulk engine (many) both ask here.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import msgspec

from chargeover_async._refs import Ref
from chargeover_async._wire.envelope import (
    Answer,
    Decoded,
    NoAnswer,
    Reply,
    WholeReader,
    error_of,
    fault_of,
    is_taken_key,
    parse,
)
from chargeover_async.errors import (
    AlreadyExists,
    ChargeOverError,
    ConnectFailed,
    DecodeError,
    OutcomeUnknown,
    RateLimited,
    TransportError,
)
from chargeover_async.models._json.checks import SECRETS
from chargeover_async.models._json.read import untyped
from chargeover_async.operation import Operation, Outcome, Reader
from chargeover_async.retry import TABLE, Fault, Next, Repeat, RetryPolicy


class Result(msgspec.Struct, frozen=True):
    """What one send brought for one operation: a reply, or a fault with its story.

    A good answer that was read as a whole is in ``whole``, and there is no ``reply``.
    """

    fault: Fault | None
    reply: Reply | None = None
    status: int = 0
    reason: str = ""
    body: bytes = b""
    cause: BaseException | None = None
    retry_after_s: float | None = None
    whole: Decoded[Any] | None = None


def result_of(
    answer: Answer | NoAnswer, retry_after: float | None = None, reader: Reader | None = None
) -> Result:
    """The result of a request that carried one operation.

    A good answer is read as a whole if a ``reader`` is given that can do so.
    """
    if isinstance(answer, NoAnswer):
        return Result(answer.fault, reason=answer.reason, cause=answer.cause)
    if isinstance(reader, WholeReader) and 200 <= answer.status < 300:
        whole = reader.whole(answer)
        if whole is not None and whole.ok:
            return Result(None, None, answer.status, whole=whole)
    reply = parse(answer)
    fault = fault_of(answer.status, reply)
    reason = ""
    if fault is Fault.LOST:
        what = "an answer that is not the API's" if reply is None else "an error of the server"
        reason = f"HTTP {answer.status} with {what}"
    status = answer.status
    if reply is not None and fault is not None and 200 <= status < 300:
        status = reply.code
    return Result(fault, reply, status, reason, answer.body, None, retry_after)


def decide(
    policy: RetryPolicy,
    operation: Operation[Any],
    result: Result,
    *,
    tries: int,
    elapsed_s: float,
    sent_before: bool,
) -> Next:
    """The next step for an operation that ended a send in a fault.

    ``tries`` counts the sends so far, those that never left included and those answered 429 not.
    ``sent_before`` says that this send or an earlier one may have been done by the server. Then
    "already exists" is no conflict yet, but a reason to look the key up.
    """
    fault = result.fault
    assert fault is not None
    repeat = operation.repeat
    if fault is Fault.REFUSED and sent_before and repeat is Repeat.KEYED and _is_taken(result):
        return Next.LOOK_UP
    step = TABLE[fault, repeat]
    if step in {Next.AGAIN, Next.AFTER_500} and not policy.may_repeat(
        fault, step, tries, elapsed_s
    ):
        lost = sent_before and repeat is not Repeat.READ and fault is not Fault.SERVER
        return Next.UNKNOWN if lost else Next.FAIL
    return step


def asks_again(policy: RetryPolicy, result: Result, *, tries: int, elapsed_s: float) -> bool:
    """Whether a look-up of a key that ended in a fault is sent once more.

    It is more patient than another read with a server that fails (500): what hangs on it is
    whether a record is there.
    """
    fault = result.fault
    assert fault is not None
    return fault is not Fault.REFUSED and policy.may_repeat(fault, Next.AGAIN, tries, elapsed_s)


def _is_taken(result: Result) -> bool:
    return result.reply is not None and is_taken_key(result.reply.message or "")


def gone_after_delete(operation: Operation[Any], result: Result, *, sent_before: bool) -> bool:
    """Whether a 404 means that an earlier send of this delete was done."""
    return operation.method == "DELETE" and sent_before and result.status == 404


def failure(
    result: Result, operation: Operation[Any], attempts: int, batch: int
) -> ChargeOverError:
    """The exception for a fault that stands."""
    context: dict[str, Any] = {"operation": operation.label, "attempts": attempts, "batch": batch}
    fault = result.fault
    error: ChargeOverError
    if fault is Fault.NEVER_LEFT:
        error = ConnectFailed(f"nothing was sent: {result.reason}", **context)
    elif fault is Fault.LOST:
        error = TransportError(f"no readable answer: {result.reason}", **context)
    else:
        reply = result.reply
        error = error_of(
            result.status, reply.message if reply else None, result.body or _body(reply), **context
        )
        if isinstance(error, RateLimited):
            error.retry_after_s = result.retry_after_s
        if operation.repeat is Repeat.READ:
            error.may_have_happened = False
    error.__cause__ = result.cause
    return error


def _body(reply: Reply | None) -> bytes:
    return bytes(reply.response) if reply is not None else b""


def unknown(result: Result, label: str, attempts: int, batch: int) -> OutcomeUnknown:
    """The exception for an operation that may have happened."""
    reason = result.reason
    if not reason and result.reply is not None:
        reason = f"the server failed: {result.reply.message}"
    error = OutcomeUnknown(
        f"it was sent and may have happened, once: {reason}. Look it up before you repeat it",
        operation=label,
        attempts=attempts,
        batch=batch,
    )
    error.__cause__ = result.cause
    return error


def success(operation: Operation[Any], reply: Reply, attempts: int, batch: int) -> Outcome[Any]:
    """The outcome of a good reply; a value that cannot be read is a DecodeError, state done."""
    try:
        value = operation.reader(reply.response)
    except DecodeError as error:
        error.operation, error.attempts, error.batch = operation.label, attempts, batch
        return Outcome(operation, "done", None, error, attempts, batch)
    except Exception as failed:  # noqa: BLE001 - the caller's own type may raise what it likes
        unreadable = DecodeError(
            f"the answer could not be read: {type(failed).__name__}: {failed}",
            raw=bytes(reply.response),
            operation=operation.label,
            attempts=attempts,
            batch=batch,
        )
        unreadable.__cause__ = failed
        return Outcome(operation, "done", None, unreadable, attempts, batch)
    return Outcome(operation, "done", value, None, attempts, batch)


# -- adopting what a lost create left behind ---------------------------------------------------


def differences(sent: dict[str, Any], held: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields that were sent and are held with another value, as ``{name: (sent, held)}``.

    Only plain values that the record shows under the same name are compared, and by their meaning:
    what a server does to a value when it stores it makes no difference (`_same`).
    """
    found: dict[str, tuple[Any, Any]] = {}
    for name, value in sent.items():
        if name not in held or value is None or isinstance(value, (dict, list, Ref)):
            continue
        if name in SECRETS:  # the result goes into messages
            continue
        if not _same(value, held[name]):
            found[name] = (value, held[name])
    return found


def _same(sent: Any, held: Any) -> bool:
    """Whether ``held`` is what a server holds that was sent ``sent``.

    Numbers are compared as numbers, in text too (``"08"`` and 8, ``"2.95"`` and ``"2.950000"``),
    moments as moments (a date with the midnight it is stored as), text without regard to blanks.
    Text may be held cut (``transaction_detail`` at 32 characters, recording
    `create_and_apply_credit`).
    """
    if sent == held:
        return True
    if held is None:
        return not sent
    if isinstance(sent, bool) or isinstance(held, bool):
        return _flag_text(sent) == _flag_text(held)
    numbers = _number(sent), _number(held)
    if None not in numbers:
        return numbers[0] == numbers[1]
    if not isinstance(sent, str) or not isinstance(held, str):
        return False
    moments = _moment(sent), _moment(held)
    if moments[0] is not None and moments[1] is not None:
        return _same_moment(moments[0], moments[1])
    sent, held = " ".join(sent.split()), " ".join(held.split())
    return sent == held or (len(held) >= SHORTEST_CUT - 1 and sent.startswith(held))


SHORTEST_CUT = 32  # characters; one less where the cut left a blank at the end


def _number(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    return Decimal(str(value)) if isinstance(value, (int, Decimal, float)) else None


_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?", re.ASCII)


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:
        return None


def _same_moment(sent: dt.datetime, held: dt.datetime) -> bool:
    """Two aware moments are compared as such, others by what their clocks show."""
    if sent.tzinfo and held.tzinfo:
        return sent == held
    return sent.replace(tzinfo=None) == held.replace(tzinfo=None)


def _flag_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def adopt(
    operation: Operation[Any],
    record: msgspec.Raw,
    payload: dict[str, Any],
    attempts: int,
    batch: int,
) -> tuple[Outcome[Any], msgspec.Raw | None]:
    """The outcome of a create whose key was found, and the answer it would have had.

    What the record holds is compared with ``payload``, what was sent, before it is called ours.
    """
    context: dict[str, Any] = {"operation": operation.label, "attempts": attempts, "batch": batch}
    try:
        held = untyped(record)
        identity = int(held[f"{operation.object}_id"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        error: ChargeOverError = OutcomeUnknown(
            "a record with this external_key exists, and the answer about it cannot be read",
            **context,
        )
        return Outcome(operation, "unknown", None, error, attempts, batch), None
    other = differences(payload, held)
    if other:
        shown = ", ".join(f"{k} sent {a!r} held {b!r}" for k, (a, b) in sorted(other.items()))
        error = AlreadyExists(
            f"{operation.object} {identity} has this external_key and holds other values: {shown}. "
            "It is either somebody else's, or ours and changed since",
            existing_id=identity,
            differences=other,
            status=400,
            **context,
        )
        error.may_have_happened = True
        return Outcome(operation, "unknown", None, error, attempts, batch), None
    answer = msgspec.Raw(b'{"id":%d}' % identity)
    return success(operation, Reply(201, response=answer), attempts, batch), answer
