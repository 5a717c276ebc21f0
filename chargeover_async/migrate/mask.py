"""Card and bank numbers and credentials out of what is written to a file; pure.

A value is masked for its name (``password``, ``Security Code``, ``iban``), and inside any text for
what it is: card numbers by issuer, length and Luhn's check, IBANs by country, length and check
digits. Identifiers are kept, whatever they look like: without them no row can be found again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, cast

from chargeover_async.models._json.checks import SECRETS, is_key

MASK = "[masked]"
_SECRET_NAMES = re.compile(
    r"passw|passphrase|secret|cvv|cvc|cvn|\bcsc\b|iban|routing|authorization"
    r"|(sort|security)[_ -]?code|(private|api)[_ -]?key|bank[_ -]?(account|acct)"
    r"|(card|account|acct|ach|bank|creditcard)[_ -]?(no|nr|num|numbers?)\b"
    r"|^(card|credit[_ -]?card|pan|pin)$",
    re.IGNORECASE,
)
# Digits, alone or in groups however they are set apart; "+" in front makes it a phone number.
_DASHES = r"\s\-\u00ad\u2010-\u2015\u2212"
_DIGITS = re.compile(rf"(?<!\d)\d+(?:[{_DASHES}._/,\u00b7]{{1,3}}\d+)*")
_GROUP = re.compile(r"\d+")
_OTHER_GAP = re.compile(rf"[^{_DASHES}]")
# Where groups are set apart by anything else than blanks and dashes, they must be those of a card.
_GROUPS = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)}
_IBAN = re.compile(r"\b([A-Za-z]{2})\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
# The registry's lengths (ISO 13616) by country.
_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 "
    "EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 "
    "IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 "
    "NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28 "
    "TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
_IBAN_LENGTHS = {found[1]: int(found[2]) for found in re.finditer(r"([A-Z]{2})(\d\d)", _LENGTHS)}
# What each of them must hold: nearly every text has neither, which is seen in a third of the time.
_CARD_LIKE = re.compile(r"\d(?:\D{0,3}\d){12}")
_IBAN_LIKE = re.compile(r"[A-Za-z]{2}\d\d")

Keep = Collection[str]  # identifiers


def mask(value: Any, name: str = "", keep: Keep = ()) -> Any:
    """A copy of ``value`` (anything JSON can hold) without secrets.

    The last four digits of a card or IBAN stay, so that the record can be found.
    """
    if name and is_secret_column(name) and value not in (None, ""):
        return MASK
    if isinstance(value, Mapping):
        table = cast("Mapping[str, Any]", value)
        return {printable(key): mask(inner, key, keep) for key, inner in table.items()}
    if isinstance(value, (list, tuple)):
        return [mask(inner, "", keep) for inner in cast("Sequence[Any]", value)]
    if isinstance(value, str):
        return printable(mask_text(value, keep))
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        text = str(value)
        found = mask_text(text, keep)
        return value if found == text else found
    return value


def mask_payload(value: Any, keep: Keep = ()) -> Any:
    """The same for what is sent to the API, whose own names for secrets are known, too."""
    return mask(_mask_by_name(value), "", keep)


def _mask_by_name(value: Any) -> Any:
    """A copy of what is sent to the API in which every value with a secret's name is masked.

    Card numbers in other fields stay: this is the cheap half of `mask_payload`.
    """
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {
            name: _mask_named(inner)
            if _is_secret(name) and inner not in (None, "")
            else _mask_by_name(inner)
            if isinstance(inner, (dict, list))
            else inner
            for name, inner in table.items()
        }
    if isinstance(value, list):
        return [_mask_by_name(inner) for inner in cast("Sequence[Any]", value)]
    return value


def is_secret_column(name: str) -> bool:
    """Whether what a column holds is a secret, by its name."""
    return _SECRET_NAMES.search(name) is not None


def is_identifier(field: str) -> bool:
    """Whether a field names a record: ``external_key``, ``customer_id``, ``token``, ..."""
    last = field.rpartition(".")[2]
    return is_key(last) or last == "id" or last.endswith("_id")


def find_identifiers(value: Any) -> Iterator[str]:
    """The values of all identifying fields in what is sent, as text."""
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, Any]", value).items():
            if is_identifier(name) and isinstance(inner, (str, int)):
                yield str(inner)
            else:
                yield from find_identifiers(inner)
    elif isinstance(value, list):
        for inner in cast("Sequence[Any]", value):
            yield from find_identifiers(inner)


@lru_cache(maxsize=1_000)
def _is_secret(name: str) -> bool:
    return name in SECRETS or is_secret_column(name)


def _mask_named(value: Any) -> str:
    text = str(value)
    found = mask_text(text)
    return found if found != text and isinstance(value, (str, int)) else MASK


def printable(text: str) -> str:
    """The text as UTF-8 can hold it: half a surrogate pair is written as its escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def holds_mask(value: Any) -> bool:
    """Whether a text anywhere in ``value`` has been masked."""
    if isinstance(value, Mapping):
        return any(map(holds_mask, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, list):
        return any(map(holds_mask, cast("Sequence[Any]", value)))
    return isinstance(value, str) and MASK in value


def mask_text(text: str, keep: Keep = ()) -> str:
    """``text`` with card numbers and IBANs in it masked, but those in ``keep``."""
    if len(text) < 13:  # the shortest card number; most keys and ids are shorter
        return text
    if _CARD_LIKE.search(text):
        text = _DIGITS.sub(partial(_mask_digits, keep), text)
    if _IBAN_LIKE.search(text):
        text = _IBAN.sub(partial(_mask_iban, keep), text)
    return text


def _mask_digits(keep: Keep, found: re.Match[str]) -> str:
    """The digits with every card number among them masked; it begins and ends with a group."""
    text = found[0]
    before = found.string[: found.start()]
    if before.endswith("+") or re.search(r"\d\.$", before):
        return text
    groups = list(_GROUP.finditer(text))
    out, at, first = "", 0, 0
    while first < len(groups):
        digits, begin = "", groups[first].start()
        for last in range(first, len(groups)):
            digits += "".join(str(int(digit)) for digit in groups[last][0])
            number = text[begin : groups[last].end()]
            if len(digits) > 19:
                break
            sizes = tuple(len(group[0]) for group in groups[first : last + 1])
            whole = sizes in _GROUPS or not _OTHER_GAP.search(_GROUP.sub("", number))
            if last == first and text[begin - 1 : begin] == ".":
                whole = False  # behind a point stand the digits of a fraction
            if whole and _is_card(digits) and not any(number in text for text in keep):
                out += f"{text[at:begin]}{MASK}{digits[-4:]}"
                at, first = groups[last].end(), last
                break
        first += 1
    return out + text[at:]


def _is_card(digits: str) -> bool:
    """By what its issuer begins with and how long it makes them (ISO/IEC 7812), and by Luhn."""
    length = len(digits)
    if length < 13:
        return False
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    issued = (
        (digits[0] == "4" and length in {13, 16, 19})  # Visa
        or (length == 16 and (51 <= two <= 55 or 2221 <= four <= 2720))  # Mastercard
        or (length == 15 and two in {34, 37})  # American Express
        or (length in {14, 16, 19} and (two in {36, 38, 39} or 300 <= three <= 305))  # Diners
        or (length == 16 and 2200 <= four <= 2204)  # Mir
        or (length >= 16 and 3528 <= four <= 3589)  # JCB
        or two in {50, 56, 57, 58}  # Maestro
        or digits[0] == "6"  # Discover, UnionPay, Maestro
    )
    if not issued:
        return False
    numbers = [int(digit) for digit in reversed(digits)]
    doubled = (sum(divmod(2 * number, 10)) for number in numbers[1::2])
    return (sum(numbers[::2]) + sum(doubled)) % 10 == 0


def _mask_iban(keep: Keep, found: re.Match[str]) -> str:
    text, length = found[0], _IBAN_LENGTHS.get(found[1].upper(), 0)
    compact, end = "", 0
    while end < len(text) and len(compact) < length:
        compact += text[end] if text[end].isalnum() else ""
        end += 1
    goes_on = (text[end:] or found.string[found.end() :])[:1].isalnum()
    number = text[:end]
    if len(compact) != length or not length or goes_on or any(number in kept for kept in keep):
        return text
    moved = compact[4:] + compact[:4]
    if int("".join(str(int(sign, 36)) for sign in moved)) % 97 != 1:
        return text
    return MASK + compact[-4:] + text[end:]


__all__ = (
    "MASK",
    "Keep",
    "find_identifiers",
    "holds_mask",
    "is_identifier",
    "is_secret_column",
    "mask",
    "mask_payload",
    "mask_text",
    "printable",
)
