"""Card and bank numbers and credentials out of what is written to a file; pure.

A value is masked for its name (``password``, ``cvv``, ``iban``), and inside any text for its form:
card numbers by length, first digit and Luhn's check, IBANs by their check digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

from chargeover_async.models._json.checks import SECRETS

MASK = "[masked]"
_SECRET_NAMES = re.compile(
    r"passw|passphrase|secret|cvv|cvc|iban|routing|sort_?code|private_?key|authorization"
    r"|(card|account|acct|ach|bank|creditcard)[_ -]?(no|nr|num|number)\b"
    r"|^(card|creditcard|pan|pin)$",
    re.IGNORECASE,
)
# 13 to 19 digits, alone or in groups, beginning as cards do; "+" in front makes it a phone number.
_CARD = re.compile(r"(?<![\d+.])[2-6](?:[ -]?\d){12,18}(?![\d])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")
# What each of them must hold: nearly every text has neither, which is seen in a third of the time.
_CARD_LIKE = re.compile(r"\d(?:[ -]?\d){12}")
_IBAN_LIKE = re.compile(r"[A-Z]{2}\d\d")


def mask(value: Any, name: str = "") -> Any:
    """A copy of ``value`` (anything JSON can hold) without secrets.

    The last four digits of a card or IBAN stay, so that the record can be found.
    """
    if name and _SECRET_NAMES.search(name) and value not in (None, ""):
        return MASK
    if isinstance(value, Mapping):
        table = cast("Mapping[str, Any]", value)
        return {key: mask(inner, key) for key, inner in table.items()}
    if isinstance(value, (list, tuple)):
        return [mask(inner) for inner in cast("Sequence[Any]", value)]
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        text = str(value)
        found = mask_text(text)
        return value if found == text else found
    return value


def mask_payload(value: Any) -> Any:
    """The same for what is sent to the API, whose own names for secrets are known, too."""
    return mask(mask_by_name(value))


def mask_by_name(value: Any) -> Any:
    """A copy of what is sent to the API in which every value with a secret's name is masked.

    Card numbers in other fields stay: this is the cheap half of `mask_payload`.
    """
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {
            name: _mask_named(inner)
            if _is_secret(name) and inner not in (None, "")
            else mask_by_name(inner)
            if isinstance(inner, (dict, list))
            else inner
            for name, inner in table.items()
        }
    if isinstance(value, list):
        return [mask_by_name(inner) for inner in cast("Sequence[Any]", value)]
    return value


@lru_cache(maxsize=1_000)
def _is_secret(name: str) -> bool:
    return name in SECRETS or _SECRET_NAMES.search(name) is not None


def _mask_named(value: Any) -> str:
    text = str(value)
    found = mask_text(text)
    return found if found != text and isinstance(value, (str, int)) else MASK


def holds_mask(value: Any) -> bool:
    """Whether a text anywhere in ``value`` has been masked."""
    if isinstance(value, Mapping):
        return any(map(holds_mask, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, list):
        return any(map(holds_mask, cast("Sequence[Any]", value)))
    return isinstance(value, str) and MASK in value


def mask_text(text: str) -> str:
    """``text`` with card numbers and IBANs in it masked."""
    if len(text) < 13:  # the shortest card number; most keys and ids are shorter
        return text
    if _CARD_LIKE.search(text):
        text = _CARD.sub(lambda found: _hide(found[0]) if _luhn(found[0]) else found[0], text)
    if _IBAN_LIKE.search(text):
        text = _IBAN.sub(lambda found: _hide(found[0]) if _iban(found[0]) else found[0], text)
    return text


def _hide(number: str) -> str:
    return MASK + number.replace(" ", "").replace("-", "")[-4:]


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number) if digit.isascii() and digit.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _iban(number: str) -> bool:
    compact = number.replace(" ", "")
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


__all__ = ("MASK", "holds_mask", "mask", "mask_by_name", "mask_payload", "mask_text")
