"""What a sandbox received: one entry for each call, whether it came alone or in a ``_bulk``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from chargeover_async.sandbox import LogEntry
from chargeover_async.sandbox.api.router import PREFIX
from chargeover_async.sandbox.http.faults import fits, parse_target
from chargeover_async.sandbox.protocol.values import is_array, is_object

_SHOWN = 20  # calls in the message of a failed assertion

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Received:
    """One call as the server got it.

    Attributes:
        method: GET, POST, PUT or DELETE.
        path: below the API's base and percent-encoded, such as ``/customer/7``.
        query: the parameters behind the path, the last of a name.
        payload: the JSON that was sent, fractions as Decimal; None for none, or for what is none.
            Numbers of cards and accounts, codes, tokens and passwords are masked. It is in no repr.
        status: the code it was answered with; 0 without an answer, or while there is none.
        request: the number of the HTTP request that brought it, from 1.
        in_bulk: whether that was a ``_bulk``.
        fault: the fault that its request met.
    """

    method: str
    path: str
    query: Mapping[str, str]
    payload: Any = field(repr=False)
    status: int
    request: int
    in_bulk: bool = False
    fault: str | None = None

    def fits(self, target: str, fields: Mapping[str, Any] | None = None) -> bool:
        """Whether it is what ``target`` ("POST /customer") and some fields of the payload say.

        Numbers equal each other whatever their type, so ``"2.95"`` fits ``Decimal("2.95")``.
        """
        if not fits(self.method, self.path, parse_target(target)):
            return False
        return not fields or (is_object(self.payload) and covers(self.payload, fields))

    def __str__(self) -> str:
        """``POST /customer -> 201 (in _bulk 3)``; without the payload."""
        answer = str(self.status) if self.status else "no answer"
        place = f" (in _bulk {self.request})" if self.in_bulk else ""
        return f"{self.method} {self.path} -> {answer}{place}" + (
            f", met the fault {self.fault}" if self.fault else ""
        )


def read_calls(log: Iterable[LogEntry]) -> Iterator[Received]:
    """The calls of a log in order of arrival, those of a ``_bulk`` in its order.

    A ``_bulk`` that was not worked on (429, 503, ...) brings nothing; nothing in it was done.
    """
    for entry in log:
        sent = decode_body(entry.body)
        if not entry.items:
            yield _make(entry.method, f"{entry.path}?{entry.query}", sent, entry.status, entry)
            continue
        payloads = sent if is_array(sent) else []
        for position, item in enumerate(entry.items):
            part = payloads[position] if position < len(payloads) else None
            payload = part.get("payload") if is_object(part) else None
            yield _make(item.method, item.uri, payload, item.code, entry)


def _make(method: str, target: str, payload: Any, status: int, entry: LogEntry) -> Received:
    path, _, query = target.partition("?")
    return Received(
        method,
        path[len(PREFIX) :] if path.lower().startswith(PREFIX) else path,
        dict(parse_qsl(query, keep_blank_values=True)),
        payload,
        status,
        entry.number,
        bool(entry.items),
        entry.fault,
    )


def decode_body(body: bytes | None) -> Any:
    """The JSON of a body, or None."""
    if not body:
        return None
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError:
        return None


def covers(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether ``found`` has every field of ``wanted``, nested ones too, numbers by value."""
    return all(name in found and equal(found[name], value) for name, value in wanted.items())


def equal(found: Any, wanted: Any) -> bool:
    """Whether two JSON values say the same; an object may have more fields than are wanted."""
    if is_object(wanted) and is_object(found):
        return covers(found, wanted)
    if is_array(wanted) and is_array(found):
        return len(found) == len(wanted) and all(map(equal, found, wanted))
    if isinstance(found, str) and isinstance(wanted, str):
        return found == wanted
    return bool(found == wanted) or _number(found) == _number(wanted) is not None


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def list_lines(lines: Iterable[object]) -> str:
    """Lines for the message of a failed assertion, the last ones if there are many."""
    all_lines = [f"  {line}" for line in lines]
    left_out = len(all_lines) - _SHOWN
    if left_out > 0:
        all_lines = [f"  ... {left_out} before these", *all_lines[-_SHOWN:]]
    return "\n".join(all_lines) or "  nothing"
