"""Reports and aggregates.

Source: page "Run a report"; the vendor's PHP client (``Aggregate``, ``report()``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from ._json.base import Record
from ._json.checks import MixedIn, Text


class Report(Record, frozen=True, kw_only=True):
    """A report of the account.

    UNVERIFIED: no source shows a record but for its id; pass a subclass as ``as_=`` to read what
    your account returns.
    """

    report_id: int


class AggregateQuery(TypedDict, total=False):
    """What `Aggregate` sends: the object, fields or ``FUNC(field)``, filters, and groups."""

    object: Text
    fields: Sequence[str]
    where: Sequence[str]
    group: MixedIn


__all__ = ("Report",)
