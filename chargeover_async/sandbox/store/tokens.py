"""Tokens: random to look at, and the same each time for the same seed."""

from __future__ import annotations

import string
import struct
from hashlib import blake2b

_ALPHABET = string.ascii_lowercase + string.digits
# A quarter of a token, which has twelve letters and digits (recordings).
_QUARTERS = [a + b + c for a in _ALPHABET for b in _ALPHABET for c in _ALPHABET]
_COUNT = len(_QUARTERS)
_AT_ONCE = 8  # 64 bits of a digest each; so many at once are much cheaper
_NUMBERS = struct.Struct(f">{_AT_ONCE}Q").unpack


class Tokens:
    """Digests of the seed and of a number."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._block = -1
        self._made: list[str] = []

    def at(self, number: int) -> str:
        """The token of that number."""
        block, place = divmod(number, _AT_ONCE)
        if self._block != block:
            self._block, self._made = block, self._make(block)
        return self._made[place]

    def _make(self, block: int) -> list[str]:
        digest = blake2b(b"%d:%d" % (self.seed, block), digest_size=8 * _AT_ONCE).digest()
        tokens: list[str] = []
        numbers: tuple[int, ...] = _NUMBERS(digest)
        for bits in reversed(numbers):
            bits, first = divmod(bits, _COUNT)
            bits, second = divmod(bits, _COUNT)
            bits, third = divmod(bits, _COUNT)
            fourth = _QUARTERS[bits % _COUNT]
            tokens.append(_QUARTERS[first] + _QUARTERS[second] + _QUARTERS[third] + fourth)
        return tokens
