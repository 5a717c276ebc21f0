"""Tokenized pay methods, which a gateway keeps: the record, and what may be written.

Source: pages "Store a pay method token", "Querying for pay method tokens"; recording
`create_tokenized_card`.
"""

from __future__ import annotations

import datetime as dt
from typing import TypedDict

from ._json.base import Record
from ._json.checks import Day, Id, Secret, Text


class TokenizedPayMethod(Record, frozen=True, kw_only=True):
    """A method that the gateway keeps; ``token`` is the gateway's, not ChargeOver's own."""

    tokenized_id: int
    customer_id: int | None = None
    name: str | None = None
    type: str | None = None
    paymethod_hint: str | None = None
    expdate: dt.date | None = None
    type_hint: str | None = None
    token: str | None = None
    gateway: str | None = None
    write_datetime: dt.datetime | None = None
    mod_datetime: dt.datetime | None = None


class TokenizedPayMethodCreate(TypedDict, total=False):
    """What may be sent when a token is stored; examples always send customer, type and token.

    ``type`` is usually ``"customer"``; ``expdate`` and ``type_hint`` are for First Data only.
    """

    customer_id: Id
    customer_external_key: Text
    customer_token: Text
    type: Text
    token: Secret
    name: Text
    paymethod_hint: Text
    expdate: Day
    type_hint: Text
    gateway: Text


__all__ = ("TokenizedPayMethod", "TokenizedPayMethodCreate")
