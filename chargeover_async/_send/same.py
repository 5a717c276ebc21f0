"""Is a record that was found by its key what was sent? Asked until it is known, or cannot be."""

from __future__ import annotations

from typing import Any

import msgspec

from chargeover_async._send.comparison import Comparison, compare
from chargeover_async._wire.request import segment
from chargeover_async.models import DateFormat
from chargeover_async.models._json.checks import SECRETS
from chargeover_async.models._json.read import untyped

# What a field names by key or token, where that is an object of its own.
_OBJECTS = frozenset(
    {"ach", "admin", "brand", "class", "creditcard", "currency", "customer", "invoice", "item"}
    | {"terms", "tokenized", "user"}
)
_ALSO = {"parent_customer": "customer", "superuser": "user"}


class Found:
    """A record that has the key of a create, and what is to be asked to tell whether it is ours.

    Two things may have to be asked: which record a key or token in what was sent names, where the
    record shows an id in its place, and the record by its id, if it does not show all that was sent
    (UNVERIFIED: whether an answer by key ever shows less).
    """

    __slots__ = (
        "_by_id",
        "_dates",
        "_held",
        "_known",
        "_object",
        "asking",
        "comparison",
        "identity",
    )

    def __init__(self, name: str, dates: DateFormat | None = None) -> None:
        self._object = name
        self._dates = dates  # how the account writes them
        self._by_id = False
        self._held: Any = {}
        self._known: dict[tuple[str, str], int | None] = {}
        self.asking: tuple[str, str, str] | None = (
            None  # field, value and path of the next question
        )
        self.comparison = Comparison({})
        self.identity = 0

    @property
    def unseen(self) -> tuple[str, ...]:
        """What the record does not show of what was sent; secrets apart, which it never does."""
        return tuple(name for name in self.comparison.unseen if name not in SECRETS)

    def read(self, record: msgspec.Raw | None, sent: Any) -> None:
        """Take in an answer, None for a refusal; raises an Exception for what cannot be read."""
        if self.asking is not None and self.asking[0]:
            name, value, _ = self.asking
            self._known[name, value] = None
            if record is not None:
                self._known[name, value] = int(untyped(record)[f"{_object_of(name)}_id"])
        elif record is not None:
            self._held = untyped(record)
            self.identity = int(self._held[f"{self._object}_id"])
        wanted: list[tuple[str, str, str]] = []

        def resolve(name: str, value: str) -> int | None:
            key = (name, value)
            if key not in self._known and _object_of(name):
                how = "token" if name.endswith("_token") else "external_key"
                wanted.append((name, value, f"/{_object_of(name)}/{how}:{segment(value)}"))
            return self._known.get(key)

        self.comparison = compare(sent, self._held, resolve=resolve, dates=self._dates)
        self.asking = wanted[0] if wanted else None
        if self.asking is None and not self._by_id and self.unseen:
            self._by_id = True
            self.asking = ("", "", f"/{self._object}/{self.identity}")


def _object_of(name: str) -> str:
    prefix = name.removesuffix("_external_key").removesuffix("_token")
    found = _ALSO.get(prefix, prefix)
    return found if found in _OBJECTS else ""
