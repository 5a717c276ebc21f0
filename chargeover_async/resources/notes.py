"""Notes. Source: page "Querying for notes"; the vendor's PHP and C# clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from chargeover_async.models import Created
from chargeover_async.models.note import Note, NoteCreate
from chargeover_async.operation import Operation

from ._calls.kinds import Countable
from ._calls.lists import OffsetListable


class Notes(OffsetListable[Note], Countable[Note]):
    """``/note``.

    Filtered by ``context_str`` and ``context_id``, which name the object a note is attached to, or
    by ``obj_type`` and ``obj_id``, as older clients do.
    """

    object = "note"
    attribute = "notes"
    model = Note
    writes: ClassVar = {"create": NoteCreate}
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[NoteCreate]
    ) -> Operation[Created]:
        """Attach a note to an object: ``create(note="...", obj_type="customer", obj_id=5)``.

        A lost answer is OutcomeUnknown: a note has no key to look it up by. Source: the vendor's
        PHP and C# clients; the names that go out are theirs.
        """
        objects = ("obj_id", "obj_external_key", "obj_token", "context_id")
        self._need("create", fields, extra, "note", ("obj_type", "context_str"), objects)
        return self._create(fields, extra)


__all__ = ("Notes",)
