"""Usage (metered data): the record, and what may be written.

Source: pages "Storing Usage / metered data", "Query for Usage / metered data" and "Bulk Usage /
metered data upload"; the vendor's PHP and C# clients.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict

import msgspec

from ._json.checks import Id, MixedIn, Moment, Money, Text
from ._json.fields import CustomFields, CustomFieldsIn


class Usage(CustomFields, frozen=True, kw_only=True):
    """What a subscription line used in a period, as lists return it.

    ``from_`` is the vendor's ``from``, which Python keeps for itself. ``type`` says how values of
    one period combine (``"add"``, the default, ``"max"``, ``"lat"``, ``"pia"``, ``"pas"``,
    ``"dlt"``; no source explains the others).
    """

    usage_history_id: int
    line_item_id: int | None = None
    usage_value: Decimal | None = None
    type: str | None = None
    from_: dt.datetime | None = msgspec.field(name="from", default=None)
    to: dt.datetime | None = None
    external_key: str | None = None


_From = TypedDict("_From", {"from": Moment}, total=False)


class UsageCreate(CustomFieldsIn, _From, total=False):
    """What may be sent for one usage record; the line is named by id, key or token.

    ``from_`` is sent as ``from``, which may be given as such in a dict.
    """

    line_item_id: Id
    line_item_external_key: Text
    line_item_token: Text
    usage_value: Money
    type: Text
    # UNVERIFIED: the documentation calls it an array; its content is not shown.
    options: Sequence[MixedIn] | None
    from_: Moment
    to: Moment
    external_key: Text


class UsageOfCustomer(TypedDict, total=False):
    """The customer of an uploaded record."""

    external_key: Text


class UsageOfLine(TypedDict, total=False):
    """The line of an uploaded record, by the key of its item."""

    item_external_key: Text


_Dotted = TypedDict(
    "_Dotted",
    {"customer.external_key": Text, "line_item.item_external_key": Text},
    total=False,
)


class UsageRecord(UsageCreate, _Dotted, total=False):
    """One record of a bulk upload: its line may also be named by customer and item.

    UNVERIFIED: the page shows ``customer.external_key`` and ``line_item.item_external_key``, not
    whether they are nested objects or names with a dot. Both can be written, and go out as given.
    """

    customer: UsageOfCustomer
    line_item: UsageOfLine


__all__ = ("Usage", "UsageCreate", "UsageRecord")
