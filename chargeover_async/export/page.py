"""A page of records as the API sent it: its ids, and the JSON that nobody has decoded yet."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cache
from types import GenericAlias
from typing import Any

import msgspec

from chargeover_async.errors import DecodeError

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Page(msgspec.Struct, frozen=True):
    """Some records by rising id: ``raw`` is the JSON array of them."""

    ids: list[int]
    raw: bytes | msgspec.Raw

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.raw) if isinstance(self.raw, bytes) else len(memoryview(self.raw))

    def parts(self) -> list[msgspec.Raw]:
        """The JSON of each record."""
        return _split(self.raw)


def joined(ids: Iterable[int], parts: Iterable[bytes | msgspec.Raw]) -> Page:
    """A page of these records."""
    return Page(list(ids), b"[" + b",".join(parts) + b"]")


@cache
def _decoder(primary: Hashable) -> msgspec.json.Decoder[Any]:
    only_id: Any = msgspec.defstruct("OnlyId", [("id", int, msgspec.field(name=str(primary)))])
    return msgspec.json.Decoder(GenericAlias(list, (only_id,)), strict=False)


def read_page(raw: msgspec.Raw, primary: str, object_name: str) -> Page:
    """The page that a list answered; raises DecodeError if it is no list of records with ids."""
    try:
        return Page([record.id for record in _decoder(primary).decode(raw)], raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: not UTF-8
        raise DecodeError(
            f"a page of {object_name} is not a list of records with {primary}: {error}",
            object=object_name,
            raw=bytes(raw[:2000]) if isinstance(raw, bytes) else bytes(raw)[:2000],
        ) from None


def check_order(page: Page, after: int, upto: int | None, primary: str, object_name: str) -> Page:
    """``page`` if its ids rise within the range that was asked for; raises DecodeError."""
    last = after
    for number in page.ids:
        if number <= last or (upto is not None and number > upto):
            asked = f"above {after}" if upto is None else f"above {after} and up to {upto}"
            raise DecodeError(
                f"the API does not page {object_name} by {primary}: asked for those {asked} in "
                f"rising order, it answered {number} behind {last}",
                object=object_name,
            )
        last = number
    return page


__all__ = ("Page", "check_order", "joined", "read_page")
