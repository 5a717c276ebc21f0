"""Items (products). Source: recordings `create_item`, `one_item`; page "Create an item"."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar, Unpack

from chargeover_async.models import Created, Item, ItemCreate
from chargeover_async.operation import Operation

from ._calls.kinds import Resource
from ._calls.upserting import Upserted, upsert


class Items(Resource[Item]):
    """``/item``; no source shows an update or a delete."""

    object = "item"
    attribute = "items"
    model = Item
    writes: ClassVar = {"create": ItemCreate}
    needs: ClassVar = ()
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[ItemCreate]
    ) -> Operation[Created]:
        """Create an item, its price in ``pricemodel``. Source: recording `create_item`."""
        return self._create(fields, extra)

    def get_or_create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[ItemCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The item with this ``external_key``, created with the fields if there is none.

        One that is there is neither changed nor compared. Otherwise as `create`; needs a key.
        """
        return upsert(self, fields, extra, change=False)


__all__ = ("Items",)
