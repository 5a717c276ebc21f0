"""Requests that ChargeOver.js keeps until they are committed or rejected.

Source: pages "Get a list of pending requests" and "Commit or reject a ChargeOver.js request".
"""

from __future__ import annotations

from typing import TypedDict

from ._json.base import Record
from ._json.checks import Text


class PendingRequest(Record, frozen=True, kw_only=True):
    """What a visitor asked for; ``payload`` is JSON as text, ``action`` says what it is for."""

    chargeoverjs_id: int
    action: str | None = None
    payload: str | None = None
    token: str | None = None


class CommitRequest(TypedDict, total=False):
    """What `Chargeoverjs.commit` sends: the token of a pending request."""

    commit: Text


class RejectRequest(TypedDict, total=False):
    """What `Chargeoverjs.reject` sends: the token of a pending request."""

    reject: Text


__all__ = ("PendingRequest",)
