"""The body of a ``_bulk`` call and its answer.

Source: vendor's text, "Bulk / Batch Requests" and "JSONPath in Batches".
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chargeover_async.models._codec import encode

from .envelope import Reply

MAX_ITEMS = 25  # "There is a maximum of 25 requests within a single batch/bulk request."
PATH = "/_bulk"


class _Entries(msgspec.Struct, frozen=True):
    entries: list[Reply] = msgspec.field(name="_bulk")


_decode = msgspec.json.Decoder(_Entries, strict=False).decode


def encode_item(method: str, uri: str, payload: bytes | None, name: str | None = None) -> bytes:
    """One item; ``name`` is what a later item's JSONPath calls it."""
    tail = b"}" if name is None else b',"id":' + encode(name) + b"}"
    return (
        b'{"request_method":"'
        + method.encode()
        + b'","uri":'
        + encode(uri)
        + b',"payload":'
        + (payload if payload is not None else b"null")
        + tail
    )


def encode_batch(items: Iterable[bytes]) -> bytes:
    """The whole body."""
    return b"[" + b",".join(items) + b"]"


def decode_entries(response: msgspec.Raw) -> list[Reply] | None:
    """The entries in request order, or None when the answer holds none."""
    try:
        return _decode(response).entries
    except msgspec.DecodeError:
        return None
