"""REST hooks: where the account posts its events (`webhooks`).

Source: pages "Subscribing" and "Unsubscribing"; the vendor's PHP, C# and Python clients.
"""

from __future__ import annotations

from typing import TypedDict

from ._json.base import Record
from ._json.checks import Text


class Resthook(Record, frozen=True, kw_only=True):
    """A subscription to one event.

    UNVERIFIED: no source shows a record; ``target_url`` and ``event`` are what is sent.
    """

    resthook_id: int
    target_url: str | None = None
    event: str | None = None


class ResthookCreate(TypedDict, total=False):
    """What is sent to subscribe; both are required."""

    target_url: Text
    event: Text


__all__ = ("Resthook", "ResthookCreate")
