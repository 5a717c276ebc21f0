"""What goes out for one operation or a batch of them: pure."""

from __future__ import annotations

from typing import Any

from chargeover_async._refs import REF_IN_PATH, with_values
from chargeover_async._wire.bulk import PATH, encode_batch, encode_item
from chargeover_async._wire.request import API_PATH, Request, query_string, segment
from chargeover_async.errors import UsageError
from chargeover_async.models._json.read import encode
from chargeover_async.operation import Operation

from .entry import Entry
from .settings import ServerAssumptions

REF_BYTES = 96  # what the name and path of a reference take more than the number put for it
NAME_BYTES = 32  # the comma before an item and the name that references call it, rounded up


def measure(entry: Entry, assumptions: ServerAssumptions) -> None:
    """Encode what can be encoded now, and note the size and whether a batch may hold it.

    Raises UsageError for what cannot be written as JSON. A value of a reference counts as a
    number here; longer ones are rare, and an answer of 413 splits the batch.
    """
    operation = entry.operation
    payload = operation.payload
    if operation.refs:
        payload = with_values(payload, [(path, 2**53) for path, _ in operation.refs])
    try:
        encoded = None if payload is None else encode(payload)
    except Exception as error:  # noqa: BLE001 - a payload holds what it likes
        raise UsageError(f"{operation.label} cannot be written as JSON: {error}") from None
    item = encode_item(operation.method, _uri(operation.path, operation), encoded)
    entry.size = len(item) + NAME_BYTES
    if operation.refs:
        entry.size += REF_BYTES * len(operation.refs)
    elif operation.path_ref is None:
        entry.item = item
    if _alone(operation, assumptions):
        entry.alone = True


def _alone(operation: Operation[Any], assumptions: ServerAssumptions) -> bool:
    if operation.method == "DELETE" and not assumptions.deletes:
        return True
    if not assumptions.actions and "/_action/" in operation.path:
        return True
    return bool(operation.query) and not all(
        assumptions.actions if name == "action" else assumptions.queries
        for name, _ in operation.query
    )


def request_of(batch: list[Entry]) -> Request:
    """One operation to its own endpoint, several as ``_bulk``."""
    if len(batch) == 1:
        operation = batch[0].operation
        path, payload = _path_and_payload(batch[0])
        body = None if payload is None else encode(payload)
        return Request(operation.method, path, operation.query, body)
    names = {
        ref.target.entry for entry in batch if entry.operation.refs for _, ref in entry.open_refs()
    }
    items = [
        entry.item if entry.item is not None and entry not in names else _item(entry, names)
        for entry in batch
    ]
    return Request("POST", PATH, (), encode_batch(items))


def unwritable(batch: list[Entry]) -> set[Entry]:
    """What keeps a batch from being written: those that cannot be written by themselves either."""
    found = set[Entry]()
    for entry in batch:
        try:
            request_of([entry])
        except Exception:  # noqa: BLE001 - a payload holds what it likes
            found.add(entry)
    return found


def _item(entry: Entry, names: set[Entry]) -> bytes:
    """One item of a batch; the names sent are the engine's own, so callers may choose alike."""
    operation = entry.operation
    name = f"op{entry.seq}" if entry in names else None
    path, payload = _path_and_payload(entry)
    told = {key: f"op{ref.target.entry.seq}:{ref.path}" for (key, *_), ref in entry.open_refs()}
    if told:
        payload = {
            jsonpath_key(key) if key in told else key: told.get(key, value)
            for key, value in payload.items()
        }
    encoded = None if payload is None else encode(payload)
    return encode_item(operation.method, _uri(path, operation), encoded, name)


def _path_and_payload(entry: Entry) -> tuple[str, Any]:
    operation = entry.operation
    path = operation.path
    if operation.path_ref is not None:
        path = path.replace(REF_IN_PATH, segment(entry.path_value))
    return path, entry.payload


def _uri(path: str, operation: Operation[Any]) -> str:
    return API_PATH + path + (query_string(operation.query) if operation.query else "")


def jsonpath_key(name: str) -> str:
    """``customer_jsonpath`` for ``customer_id``."""
    return name.removesuffix("_id") + "_jsonpath"


__all__ = ("jsonpath_key", "measure", "request_of", "unwritable")
