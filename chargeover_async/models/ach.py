"""Stored bank accounts (ACH, eCheck): the record, and what may be written.

Source: pages "Store an ACH account", "Querying for ACH accounts". No recording shows one.
"""

from __future__ import annotations

import datetime as dt
from typing import TypedDict

from ._json.base import Record
from ._json.checks import Id, Secret, Text


class AchAccount(Record, frozen=True, kw_only=True):
    """A stored bank account; what is written as ``number`` is read as ``mask_number`` etc."""

    ach_id: int
    customer_id: int | None = None
    external_key: str | None = None
    type: str | None = None
    type_name: str | None = None
    token: str | None = None
    name: str | None = None
    mask_number: str | None = None
    mask_routing: str | None = None
    mask_bank: str | None = None
    url_verifylink: str | None = None
    write_datetime: dt.datetime | None = None
    mod_datetime: dt.datetime | None = None


class AchAccountCreate(TypedDict, total=False):
    """What may be sent when a bank account is stored; no source says what must be.

    ``type`` is one of `AchType`. A Canadian ``routing`` is 0, the institution's three digits and
    the five of the branch.
    """

    customer_id: Id
    customer_external_key: Text
    customer_token: Text
    external_key: Text
    type: Text
    number: Secret
    routing: Secret
    name: Text
    bank: Text


__all__ = ("AchAccount", "AchAccountCreate")
