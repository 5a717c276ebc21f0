"""Lists that the API only reads: coupons, item categories, definitions of custom fields.

What is in them comes from a seed. Source: pages "Retrieve a list of coupons", "Query for
categories" and "List custom fields".
"""

from __future__ import annotations

from chargeover_async.models import Coupon, CustomField, ItemCategory
from chargeover_async.sandbox.store.tables import Spec

COUPON = Spec(
    name="coupon",
    key="coupon_id",
    model=Coupon,
    commands=frozenset(),
    defaults={
        "descrip": "",
        "type": "give-a-discount",
        "enabled": True,
        "write_ipaddr": "127.0.0.1",
    },
)

ITEM_CATEGORY = Spec(
    name="item_category",
    key="item_category_id",
    model=ItemCategory,
    commands=frozenset(),
    defaults={"name": "", "external_key": ""},
    # The page's example: category 1, the only one whose key is null.
    preset=({"item_category_id": 1, "name": "Root", "external_key": None},),
)

CUSTOMFIELD = Spec(
    name="_customfield",
    key="customfield_id",
    model=CustomField,
    commands=frozenset(),
    defaults={"name": "", "enabled": True, "type": "string"},
)
