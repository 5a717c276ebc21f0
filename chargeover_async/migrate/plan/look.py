"""What people see of a key; pure."""

from __future__ import annotations

import unicodedata

# Letters and signs that show nothing, besides those that Unicode calls format characters.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
_INVISIBLE = dict.fromkeys(map(ord, _BLANK))


def look_of(key: str) -> str:
    """The key without what cannot be seen: keys that look the same have the same.

    Blanks at the ends and one behind the other, characters without a width, and the two ways to
    write an accent.
    """
    if not key.isascii():
        seen = (sign for sign in key if unicodedata.category(sign) != "Cf")
        key = unicodedata.normalize("NFC", "".join(seen).translate(_INVISIBLE))
    return " ".join(key.split())


__all__ = ("look_of",)
