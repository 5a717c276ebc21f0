"""Answers, refusals, and how both are written as JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

NO_DATA = "A required parameter was missing: No data."  # recording fail_to_create_customer
INVALID = "Missing or invalid parameter."  # the vendor's generic sample of a 400

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class Answer(NamedTuple):
    """What a request comes to, before it is written; ``record`` names what Location points at."""

    code: int
    message: str
    response: Any
    record: tuple[str, int] | None = None

    def envelope(self) -> dict[str, Any]:
        """The four keys of every recorded answer (no ``details``: absent from all recordings)."""
        return {
            "code": self.code,
            "status": "OK" if self.code < 400 else "Error",
            "message": self.message,
            "response": self.response,
        }


# UNVERIFIED: no source shows the text of a 500.
FAILED = Answer(500, "An internal error occurred.", False)


class Refused(Exception):
    """The request is answered with an error and nothing was changed."""

    def __init__(self, message: str, code: int = 400, response: bool | None = False) -> None:
        super().__init__(message)
        self.answer = Answer(code, message, response)


def unsupported(command: str, name: str, record: object = "") -> Refused:
    """The error for a command that a known object does not have.

    Recording `update_custom_package_value`: ``modify(package, 628)``.
    """
    return Refused(f"The command requested is not supported: {command}({name}, {record})")


def missing(parameter: str) -> Refused:
    """The error for a parameter that must be there; its text follows `NO_DATA` (UNVERIFIED)."""
    return Refused(f"A required parameter was missing: {parameter}.")


def amount(value: Decimal) -> int | Decimal:
    """A number as the recordings have it: 4500, 0 and 100.99, never 4500.00."""
    return int(value) if value == value.to_integral_value() else value.normalize()


def decode(body: bytes) -> Any:
    """The JSON of a request, numbers exact; None for an empty body.

    The PHP client sends no body at all for an empty array.
    """
    if not body or body.isspace():
        return None
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
        # UNVERIFIED: the code is documented ("send an invalid JSON request"), the text is not.
        raise Refused("The request could not be read: malformed JSON.") from None


def encode(envelope: Any) -> bytes:
    r"""JSON as the real server writes it, with every slash as ``\/`` (vendor's text, recordings).

    A slash cannot stand outside a string in JSON, so replacing bytes is exact.
    """
    return _encoder.encode(envelope).replace(b"/", b"\\/")
