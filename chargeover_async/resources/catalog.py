"""What items are sorted and discounted by, and what custom fields mean: read-only lists."""

from __future__ import annotations

from chargeover_async.models.coupon import Coupon
from chargeover_async.models.customfield import CustomField
from chargeover_async.models.item_category import ItemCategory

from ._calls.kinds import Countable, Listable
from ._calls.lists import Unfiltered


class ItemCategories(Listable[ItemCategory], Countable[ItemCategory]):
    """``/item_category``. Source: page "Query for categories"; no other endpoint was found."""

    object = "item_category"
    attribute = "item_categories"
    model = ItemCategory
    __slots__ = ()


class Coupons(Unfiltered[Coupon]):
    """``/coupon``. Source: page "Retrieve a list of coupons"."""

    object = "coupon"
    attribute = "coupons"
    model = Coupon
    __slots__ = ()


class CustomFieldDefinitions(Unfiltered[CustomField]):
    """``/_customfield``: what the custom fields stand for. Source: page "List custom fields"."""

    object = "_customfield"
    attribute = "customfields"
    model = CustomField
    __slots__ = ()


__all__ = ("Coupons", "CustomFieldDefinitions", "ItemCategories")
