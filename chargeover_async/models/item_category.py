"""Categories of items. Source: page "Query for categories"; the vendor's C# client."""

from __future__ import annotations

from ._json.base import Record


class ItemCategory(Record, frozen=True, kw_only=True):
    """A category; the one called Root has None for its key, the others have ``""``."""

    item_category_id: int
    name: str | None = None
    external_key: str | None = None


__all__ = ("ItemCategory",)
