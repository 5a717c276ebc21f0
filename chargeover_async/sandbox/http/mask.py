"""Requests without what must not be kept: card and bank numbers, codes, passwords."""

from __future__ import annotations

import re
from typing import Any

from chargeover_async.sandbox.protocol.answers import Refused, decode, encode
from chargeover_async.sandbox.protocol.values import is_array, is_object

SECRET = frozenset(("number", "cvv", "routing", "password", "token"))
_MASK = "***"
_ANY_NAME = re.compile(rb"|".join(re.escape(name.encode()) for name in sorted(SECRET)))
_IN_QUERY = re.compile(
    rf"(?:(?<![a-z0-9_])|(?<=%2C))((?:{'|'.join(sorted(SECRET))})(?:(?::|%3A)[A-Z]+(?::|%3A)|=))"
    r"([^,&]+?)(?=,|%2C|&|$)",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<![0-9])[0-9](?:(?:[ +-]|%20|%2D)?[0-9]){12,18}(?![0-9])", re.IGNORECASE)
_DIGITS = re.compile(rb"[0-9](?:[ -]?[0-9]){7,}")


def mask_body(body: bytes) -> bytes:
    """``body`` as it may be kept: every value of a `SECRET` name, at any depth, is ``***``.

    A body without such a name is returned as it is. One that is not JSON loses every run of eight
    digits or more.
    """
    if not _ANY_NAME.search(body) and b"\\u" not in body:
        return body
    try:
        return encode(_without(decode(body)))
    except (Refused, RecursionError):
        return _DIGITS.sub(_MASK.encode(), body)


def _without(value: Any) -> Any:
    if is_object(value):
        return {
            name: _MASK if name in SECRET and part is not None else _without(part)
            for name, part in value.items()
        }
    if is_array(value):
        return [_without(part) for part in value]
    return value


def mask_target(target: str) -> str:
    """A path with its query as it may be shown.

    The values of `SECRET` names, in a ``where`` or by themselves, are ``***``; so is whatever has
    the length and the check digit of a card number.
    """
    if "=" in target:  # there is a query
        target = _IN_QUERY.sub(lambda match: match[1] + _MASK, target)
    return _CARD.sub(lambda match: _MASK if _has_check_digit(match[0]) else match[0], target)


def _has_check_digit(text: str) -> bool:
    """Whether the digits have the check digit of a card number (Luhn)."""
    digits = re.sub(r"%20|%2D|[^0-9]", "", text, flags=re.IGNORECASE)
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
