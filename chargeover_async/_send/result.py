"""What one send brought for one operation, as its life is told it, and how an operation ended."""

from __future__ import annotations

from typing import Any

import msgspec

from chargeover_async._wire.envelope import (
    Answer,
    Decoded,
    NoAnswer,
    Reply,
    WholeReader,
    fault_of,
    parse,
)
from chargeover_async.operation import Outcome, Reader
from chargeover_async.retry import Fault


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

    @property
    def story(self) -> str:
        """A fault in words."""
        if self.reason or self.reply is None:
            return self.reason or (self.fault.value if self.fault else "")
        who = "the server failed" if self.fault is Fault.SERVER else "the API said"
        return f"{who}: {self.reply.message}"


def result_of(
    answer: Answer | NoAnswer, retry_after: float | None = None, reader: Reader | None = None
) -> Result:
    """The result of a request that carried one operation.

    A good answer is read as a whole if a ``reader`` is given that can do so.
    """
    if isinstance(answer, NoAnswer):
        return Result(answer.fault, reason=answer.reason, cause=answer.cause)
    if isinstance(reader, WholeReader) and 200 <= answer.status < 300:
        try:
            whole = reader.whole(answer)
        except Exception:  # noqa: BLE001 - it comes again, and is told, when it is read apart
            whole = None
        if whole is not None and whole.ok:
            return Result(None, None, answer.status, whole=whole)
    reply = parse(answer)
    fault = fault_of(answer.status, reply)
    reason = ""
    if fault is Fault.LOST:
        reason = f"HTTP {answer.status} with "
        if reply is not None:
            reason += f"an envelope that says {reply.status!r}, {reply.code}: {reply.message}"
        elif 300 <= answer.status < 400:
            reason += "a redirect; redirects are not followed: check the URL"
        else:
            reason += "an answer that is not the API's"
    status = answer.status
    if reply is not None and fault is not None and 200 <= status < 300:
        status = reply.code
    return Result(fault, reply, status, reason, answer.body, None, retry_after)


class End(msgspec.Struct, frozen=True, gc=False):
    """How an operation ended, and the answer that references to it are read from."""

    outcome: Outcome[Any]
    answer: msgspec.Raw | None = None
