"""The rules of notes. Source: page "Querying for notes"; the vendor's PHP and C# clients."""

from __future__ import annotations

from typing import Any

from chargeover_async.models import Note
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import INTEGER, TEXT, text
from chargeover_async.sandbox.records.refs import need_named
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import NestedField, Spec, Tables

# What an object is called in a note -> its path segment; a subscription has two names.
_OBJECTS = {
    "customer": "customer",
    "billing_package": "package",
    "invoice": "invoice",
    "user": "user",
    "quote": "quote",
    "item": "item",
}
_CONTEXTS = {object_: context for context, object_ in _OBJECTS.items()}


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    """Clients send ``obj_type`` and ``obj_id``.

    UNVERIFIED: that ``context_str`` and ``context_id`` are taken as well, that a subscription may
    be called package, and that the object has to exist.
    """
    if not draft.data.get("note"):
        raise missing("note")
    kind = fields.get("obj_type")
    if kind is None:
        kind = fields.get("context_str")
    if kind is None:
        raise missing("obj_type")
    context = _CONTEXTS.get(text(kind), text(kind))
    if context not in _OBJECTS:
        raise Refused(INVALID)
    if fields.get("obj_id") is None and fields.get("context_id") is not None:
        fields = {**fields, "obj_id": fields["context_id"]}
    target = need_named(store, fields, "obj", _OBJECTS[context])
    draft.data |= {
        "context_str": context,
        "context_id": target.id,
        "note_datetime": draft.data["write_datetime"],
    }


def _seed(_store: Tables, draft: Draft, _record: dict[str, Any]) -> None:
    draft.data.setdefault("note_datetime", draft.data["write_datetime"])


def _kinds(_store: Tables, row: Row) -> list[Any]:
    context = row.data.get("context_str") or ""
    return [context, _OBJECTS.get(context, context)]


def _context_id(_store: Tables, row: Row) -> list[Any]:
    return [row.data.get("context_id")]


NOTE = Spec(
    name="note",
    key="note_id",
    model=Note,
    commands=frozenset(("create",)),
    defaults={"admin_id": 1, "note": "", "note_is_pinned": False},
    read_only=frozenset(
        ("user_id", "admin_id", "note_is_pinned", "note_datetime", "context_str", "context_id")
    ),
    nested={
        "obj_type": NestedField(TEXT, _kinds),
        "obj_id": NestedField(INTEGER, _context_id, "context_id"),
    },
    indexes=("context_id",),
    on_create=_create,
    on_seed=_seed,
)
