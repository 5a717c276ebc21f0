"""The payment gateway that the sandbox plays: which methods it takes, and which it declines.

Nothing is charged anywhere. What is declined is decided by the method alone, so that a test can
make a payment fail: by a card that has expired, or by one of `DECLINED_CARDS`,
`DECLINED_ACCOUNTS` and `DECLINED_TOKEN`. The text for an expired card is recorded (a client's
fixture `attempt_failure_of_invoice`), the others are UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chargeover_async.sandbox.protocol.answers import Refused

EXPIRED = "Your card has expired."
DECLINED = "Your card was declined."

# Numbers that other gateways publish for the same purpose.
DECLINED_CARDS: Mapping[str, str] = {
    "4000000000000002": DECLINED,
    "4000000000009995": "Your card has insufficient funds.",
    "4000000000000069": EXPIRED,
}
DECLINED_ACCOUNTS: Mapping[str, str] = {
    "000111111113": "The bank account is closed.",
    "000222222227": "The bank account has insufficient funds.",
}
DECLINED_TOKEN = "declined"  # noqa: S105 - a word within a token, such as tok_chargeDeclined

# ``paymethod`` -> the object that a stored method of that kind is.
METHODS: Mapping[str, str] = {"crd": "creditcard", "ach": "ach", "tok": "tokenized"}

_SHORTEST, _LONGEST = 12, 19
_BIN, _LAST = 6, 4


class Brand(NamedTuple):
    """A brand of card: its code, its name, and the ``gateway_method`` of a payment with it."""

    type: str
    name: str
    method: str


_VISA = Brand("visa", "Visa", "visa")
_MASTERCARD = Brand("mast", "MasterCard", "mastercard")
_DISCOVER = Brand("disc", "Discover", "discover")
_AMEX = Brand("amex", "American Express", "american-express")
_OTHER = Brand("", "", "")
BRANDS: Mapping[str, Brand] = {
    brand.type: brand for brand in (_VISA, _MASTERCARD, _DISCOVER, _AMEX, _OTHER)
}


def digits(sent: str) -> str:
    """A number without the blanks and dashes that are allowed in it."""
    return sent.replace(" ", "").replace("-", "")


def card_number(sent: str) -> str:
    """The digits of a card number, checked; no message ever holds them.

    UNVERIFIED: that length and check digit are checked, and the text.
    """
    number = digits(sent)
    sound = number.isascii() and number.isdigit() and _SHORTEST <= len(number) <= _LONGEST
    if not sound or _checksum(number) % 10:
        raise Refused("The credit card number is not valid.")
    return number


def _checksum(number: str) -> int:
    total = 0
    for position, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total


def brand_of(number: str) -> Brand:
    """The brand that a card number belongs to; one without a name for any other."""
    if number.startswith("4"):
        return _VISA
    if number[:2] in ("34", "37"):
        return _AMEX
    if "51" <= number[:2] <= "55" or "2221" <= number[:4] <= "2720":
        return _MASTERCARD
    if number.startswith(("6011", "65")) or "644" <= number[:3] <= "649":
        return _DISCOVER
    return _OTHER


def mask_card(number: str) -> str:
    """``xxxx-xxxx-xxxx-4242``, as in the recordings; newer pages have ``x4242``."""
    return f"xxxx-xxxx-xxxx-{number[-_LAST:]}"


def mask_bin(number: str) -> str:
    """First six and last four: ``411111xxx1111``."""
    return f"{number[:_BIN]}xxx{number[-_LAST:]}"


def mask_account(number: str) -> str:
    """``x6667``; of a number that short that nothing would be hidden, the last digit only."""
    return f"x{number[-_LAST:]}" if len(number) > _LAST else f"x{number[-1:]}"
