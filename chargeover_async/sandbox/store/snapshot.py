"""A snapshot as JSON, to be kept by whoever asked for it."""

from __future__ import annotations

from typing import Any

import msgspec

from chargeover_async.sandbox.protocol.values import is_array, is_object

from .row import Image

_VERSION = 1
_encode = msgspec.json.Encoder(decimal_format="number").encode


def to_json(image: Image) -> dict[str, Any]:
    """What `from_json` takes back: an object for JSON."""
    return {
        "version": _VERSION,
        "numbers": image.numbers,
        "keys": image.keys,
        "records": [
            (name, id_, _raw(data), None if more is None else _raw(more))
            for name, id_, data, more in image.records
        ],
        "actions": image.actions,
    }


def from_json(sent: Any) -> Image:
    """The image that `to_json` showed, after a way through JSON; raises ValueError for others."""
    if not is_object(sent) or sent.get("version") != _VERSION:
        raise ValueError(f"not a snapshot of version {_VERSION}")
    numbers, keys, records, actions = (
        sent.get(name) for name in ("numbers", "keys", "records", "actions")
    )
    if not (is_object(numbers) and is_array(keys) and is_array(records) and is_array(actions)):
        raise ValueError("a snapshot has numbers, keys, records and actions")
    return Image(numbers, keys, [_record(record) for record in records], actions)


def _record(sent: Any) -> tuple[str, int, str, str | None]:
    if not is_array(sent) or len(sent) != 4:
        raise ValueError(f"not a record of a snapshot: {sent!r:.100}")
    name, id_, data, more = sent
    if not isinstance(id_, int) or not is_object(data):
        raise ValueError(f"not a record of a snapshot: {sent!r:.100}")
    return name, id_, _encode(data).decode(), None if more is None else _encode(more).decode()


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())
