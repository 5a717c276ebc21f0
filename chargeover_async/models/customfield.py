"""Definitions of custom fields. Source: page "List custom fields"."""

from __future__ import annotations

from ._json.base import Mixed, Record


class CustomField(Record, frozen=True, kw_only=True):
    """What ``custom_1`` and so on stand for: ``field`` of the object ``context_str``.

    ``type`` is ``"string"``, ``"select"``, ``"date"`` or ``"number"``; ``type_opts`` has the
    choices of a select and is None otherwise.
    """

    customfield_id: int
    context_str: str | None = None
    field: str | None = None
    name: str | None = None
    enabled: bool | None = None
    type: str | None = None
    type_opts: Mixed = None


__all__ = ("CustomField",)
