"""From an HTTP answer to a reply, or to a fault that says what may be repeated.

Source: recordings (envelope, HTTP status equals ``code``); vendor's text, "HTTP Status Codes".
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

import msgspec

from chargeover_async.errors import (
    EXCERPT,
    AlreadyExists,
    ApiError,
    AuthFailed,
    BadRequest,
    NotFound,
    RateLimited,
    ServerError,
)
from chargeover_async.models._json.read import fast_page
from chargeover_async.retry import Fault

T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True):
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes


class Head(msgspec.Struct, frozen=True, gc=False):  # 25 an answer, and none in a circle
    """What the API's envelope says of its ``response``."""

    code: int
    status: str = ""
    message: str | None = ""

    @property
    def ok(self) -> bool:
        """Whether the API says that it did what was asked."""
        return self.status == "OK" and 200 <= self.code < 300


class Reply(Head, frozen=True, gc=False):
    """The API's envelope; ``response`` is not decoded yet."""

    response: msgspec.Raw = msgspec.Raw(b"null")


class Decoded(Head, Generic[T], frozen=True, gc=False, kw_only=True):
    """The API's envelope with what it holds, read in one pass over the bytes."""

    response: T


class WholeReader(ABC):
    """A reader of responses that can also take an answer as a whole, in one pass over its bytes."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, response: msgspec.Raw) -> Any:
        """As every reader does."""

    @abstractmethod
    def whole(self, answer: Answer) -> Decoded[Any] | None:
        """The envelope with what the call returns; None says to read one after the other."""


class NoAnswer(msgspec.Struct, frozen=True):
    """Why there is no answer, and whether the request left (``fault`` NEVER_LEFT or LOST)."""

    fault: Fault
    reason: str
    cause: BaseException | None = None


_decode = msgspec.json.Decoder(Reply, strict=False).decode


def parse(answer: Answer) -> Reply | None:
    """The envelope, or None when the body is not one."""
    return read_reply(answer.body)


def read_reply(body: bytes | msgspec.Raw) -> Reply | None:
    """The same of its bytes, or of those of one entry of a batch."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: not UTF-8
        return _read_apart(bytes(body))


def _read_apart(body: bytes) -> Reply | None:
    """An envelope that says what came of it, around a ``response`` that cannot be read.

    Such as one that is nested without end, or has text with half a surrogate pair.
    """
    parts = parts_of(body)
    response = b"null"
    head = list[bytes]()
    for part in parts or ():
        name, _, value = part.partition(b":")
        if name.strip() == b'"response"':
            response = value.strip()
        else:
            head.append(part)
    try:
        reply = _decode(b"{" + b",".join(head) + b"}")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return Reply(reply.code, reply.status, reply.message, msgspec.Raw(response))


_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)


def parts_of(body: bytes) -> list[bytes] | None:
    """What stands between the outermost commas of a JSON object or list; None if it is not JSON.

    For what msgspec does not read although it is JSON.
    """
    try:
        json.loads(body, parse_constant=int)  # NaN is no JSON: a ValueError
    except RecursionError:
        pass
    except ValueError:
        return None
    parts, depth, start = list[bytes](), 0, 0
    for token in _TOKEN.finditer(body):
        char = token[0]
        if char in {b"[", b"{"}:
            depth += 1
            start = token.end() if depth == 1 else start
        elif char in {b"]", b"}"}:
            depth -= 1
        if depth == (char == b","):  # the outermost comma or the last bracket
            parts.append(body[start : token.start()])
            start = token.end()
        if depth == 0:
            return None if body[token.end() :].strip() else parts
    return None


def parse_page(answer: Answer, kind: type[T]) -> Decoded[list[T]] | None:
    """The envelope and its records, where both are as expected; None says to look closer.

    `parse` would go over all of the answer only to find where it ends: a fifth of the time.
    """
    try:
        page = fast_page(answer.body, Decoded[list[kind]], kind, _response)  # type: ignore[valid-type]  # a type at run time
    except Exception:  # noqa: BLE001 - it comes again, and is told, when the response is read
        return None
    return cast("Decoded[list[T]]", page)


_response = attrgetter("response")


def fault_of(status: int, reply: Reply | None) -> Fault | None:
    """What an HTTP answer means for a repeat; None when it is a good one.

    Only the API's envelope is the API's word. An answer without one (a proxy's page, a redirect),
    or one that contradicts itself, says nothing about what was done, whatever its status. The
    API's clients decide on the envelope's ``status``, not on HTTP's, so an envelope that says Error
    is an error under HTTP 200, too. Source: HTTP status equals ``code`` in all recordings.
    """
    good = 200 <= status < 300
    if reply is None:
        return Fault.LOST
    if reply.ok:
        return None if good else Fault.LOST
    code = reply.code if good else status
    if reply.status != "Error" or code // 100 != reply.code // 100:
        return Fault.LOST
    if code == 429:
        return Fault.THROTTLED
    if 400 <= code < 500:
        return Fault.REFUSED
    return Fault.SERVER if code == 500 else Fault.LOST


def entry_fault(entry: Reply) -> Fault | None:
    """The same for one entry of a bulk answer, which has no HTTP status of its own."""
    return fault_of(200, entry)


ERROR_OF_STATUS: dict[int, type[ApiError]] = {
    401: AuthFailed,
    403: AuthFailed,
    404: NotFound,
    429: RateLimited,
}


def error_of(
    status: int, message: str | None, body: bytes | msgspec.Raw, **context: Any
) -> ApiError:
    """The exception for an error answer; ``context`` is operation, attempts and batch."""
    cls = ERROR_OF_STATUS.get(status)
    if cls is None:
        cls = ServerError if status >= 500 or status < 300 else BadRequest
    text = message or f"the API answered HTTP {status} without a message"
    if cls is BadRequest and is_taken_key(text):
        cls = AlreadyExists
    excerpt = bytes(body[: EXCERPT * 4] if isinstance(body, bytes) else body)
    return cls(text, status=status, body=excerpt.decode("utf-8", "replace"), **context)


def is_taken_key(message: str) -> bool:
    """Whether the API says that an external key is taken.

    The text is the vendor's (`A customer already exists with the external_key value "abcd1234"`);
    the wording for other objects is UNVERIFIED, so only its two ends are looked at.
    """
    return "already exists" in message and "external_key" in message
