"""Coupons. Source: page "Retrieve a list of coupons"."""

from __future__ import annotations

import datetime as dt

from ._json.base import Mixed, Record


class Coupon(Record, frozen=True, kw_only=True):
    """A coupon, which a subscription names by its ``code`` when it is created.

    ``type`` is ``"give-a-discount"`` or ``"free-trial"``. ``discount`` and ``freetrial`` are absent
    from the page's example, so their shape is not known.
    """

    coupon_id: int
    code: str | None = None
    descrip: str | None = None
    type: str | None = None
    discount_item_id: int | None = None
    enabled: bool | None = None
    discount: Mixed = None
    freetrial: Mixed = None
    write_datetime: dt.datetime | None = None
    write_ipaddr: str | None = None


__all__ = ("Coupon",)
