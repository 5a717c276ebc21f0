"""Bringing one record to what is said of it, whether it is there or not: several calls in one."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Literal

import msgspec

from chargeover_async._send.comparison import compare
from chargeover_async.errors import AlreadyExists, NotFound, UsageError
from chargeover_async.models._json.read import read_untyped
from chargeover_async.models._json.shape import shape_of

from .kinds import Addressable
from .target import ExternalKey


class Upserted(msgspec.Struct, frozen=True):
    """The record that has the key, and what was done: ``fields`` are those that were changed."""

    id: int
    what: Literal["created", "updated", "unchanged"]
    fields: tuple[str, ...] = ()


def upsert(
    resource: Addressable[Any],
    fields: Mapping[str, Any],
    extra: Mapping[str, Any] | None,
    *,
    change: bool = True,
) -> Coroutine[Any, Any, Upserted]:
    """Create the record; where its key is taken, look at the one that has it and change it.

    What cannot be right is refused now, the rest happens when it is awaited.
    """
    verb = "upsert" if change else "get_or_create"
    where = f"{resource.attribute}.{verb}"
    key = fields.get("external_key")
    if not isinstance(key, str) or not key.strip():
        raise UsageError(f"{where} needs external_key, by which the record is known")
    sent, refs = resource._prepare("create", fields, extra)
    if refs:
        raise UsageError(f"{where} takes ids and keys, no references to other operations")
    return _upsert(resource, ExternalKey(key), sent, {**(extra or {})}, change=change)


async def _upsert(
    resource: Any, key: ExternalKey, sent: dict[str, Any], extra: dict[str, Any], *, change: bool
) -> Upserted:
    fields = {name: value for name, value in sent.items() if name not in extra}
    try:
        created = await resource.create(extra=extra, **fields)
    except AlreadyExists as error:
        taken = error
    else:
        return Upserted(created.id, "created")
    try:
        record = read_untyped(await resource.get(external_key=str(key), raw=True))
    except NotFound:  # it was deleted, and its key stays taken (vendor's text, "External Keys")
        raise taken from None
    identity = int(record[resource.primary])
    comparison = compare(sent, record, dates=resource._options.dates)
    known = shape_of(resource.writes["update"]).kinds.keys() if change else ()
    names = [
        name
        for name in (*comparison.differs, *comparison.unseen)
        if change and (name in known or name in extra)
    ]
    if not names:
        return Upserted(identity, "unchanged")
    await resource.update(
        key,
        extra={name: sent[name] for name in names if name in extra},
        **{name: sent[name] for name in names if name not in extra},
    )
    return Upserted(identity, "updated", tuple(names))


__all__ = ("Upserted", "upsert")
