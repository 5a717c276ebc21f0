"""Notes on customers, subscriptions, invoices and so on.

Source: page "Querying for notes"; the vendor's PHP and C# clients (creating). No source shows a
single GET, an update or a delete of a note.
"""

from __future__ import annotations

import datetime as dt
from typing import TypedDict

from ._json.base import Record
from ._json.checks import Id, Text


class Note(Record, frozen=True, kw_only=True):
    """A note; ``context_str`` and ``context_id`` name what it is attached to.

    ``context_str`` is ``"customer"``, ``"billing_package"`` (a subscription), ``"invoice"``,
    ``"user"``, ``"quote"`` or ``"item"``.
    """

    note_id: int
    user_id: int | None = None
    admin_id: int | None = None
    note: str | None = None
    note_is_pinned: bool | None = None
    note_datetime: dt.datetime | None = None
    context_str: str | None = None
    context_id: int | None = None


class NoteCreate(TypedDict, total=False):
    """What may be sent when a note is created; all but the key and the token are required.

    These are the names of the vendor's clients. UNVERIFIED: whether ``context_str`` and
    ``context_id``, which the newer page reads and filters by, are accepted here (``extra``).
    """

    note: Text
    obj_type: Text
    obj_id: Id
    obj_external_key: Text
    obj_token: Text


__all__ = ("Note", "NoteCreate")
