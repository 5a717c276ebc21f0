"""Answers that are the same for every object."""

from __future__ import annotations

import datetime as dt

from ._json.base import Record


class Created(Record, frozen=True, kw_only=True):
    """The answer to a create or an update: the id of the record (recordings)."""

    id: int


class Revision(Record, frozen=True, kw_only=True):
    """One entry of a record's history, newest first (vendor's text, "Object Revisions")."""

    context_str: str | None = None
    context_id: int | None = None
    admin_id: int | None = None
    admin_name: str | None = None
    user_id: int | None = None
    user_name: str | None = None
    integration_id: int | None = None
    revision_datetime: dt.datetime | None = None
    revision_ipaddr: str | None = None
    revision_note: str | None = None


__all__ = ("Created", "Revision")
