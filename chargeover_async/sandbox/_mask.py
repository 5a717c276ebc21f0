"""Bodies of requests without what must not be kept: card and bank numbers, codes, passwords."""

from __future__ import annotations

import re
from typing import Any

from ._values import is_array, is_object
from ._wire import Refused, decode, encode

SECRET = frozenset(("number", "cvv", "routing", "password", "token"))
_MASK = "***"
_ANY_NAME = re.compile(rb"|".join(re.escape(name.encode()) for name in sorted(SECRET)))
_DIGITS = re.compile(rb"[0-9](?:[ -]?[0-9]){7,}")


def masked(body: bytes) -> bytes:
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
            name: _MASK if name in SECRET and each is not None else _without(each)
            for name, each in value.items()
        }
    if is_array(value):
        return [_without(each) for each in value]
    return value
