"""The rules of usage (metered data).

Source: pages "Storing Usage / metered data" and "Bulk Usage / metered data upload".
"""

from __future__ import annotations

from typing import Any

from chargeover_async.models import Usage
from chargeover_async.sandbox.protocol.answers import INVALID, Answer, Refused, missing
from chargeover_async.sandbox.protocol.values import is_array, is_object, text
from chargeover_async.sandbox.records import crud
from chargeover_async.sandbox.records.refs import find_named, need_named
from chargeover_async.sandbox.store.row import Draft
from chargeover_async.sandbox.store.tables import Spec, Tables

from .line import lines_of
from .state import state_of

MAX_UPLOAD = 1000  # page "Bulk Usage / metered data upload"
_TYPES = frozenset(("add", "max", "lat", "pia", "pas", "dlt"))


def _create(_store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    _check(draft.data, fields)


def _check(data: dict[str, Any], fields: dict[str, Any]) -> None:
    for name in ("line_item_id", "usage_value"):
        if fields.get(name) is None:
            raise missing(name)
    if data.get("type") is None:
        data["type"] = "add"
    if data["type"] not in _TYPES:
        raise Refused(INVALID)
    start, end = data.get("from"), data.get("to")
    if start is not None and end is not None and end < start:
        raise Refused(INVALID)  # UNVERIFIED


def _bulk(store: Tables, sent: Any) -> Answer:
    """Stores up to 1,000 records; the page answers 201 and an id.

    UNVERIFIED: the body is a plain list; all records are stored or none; the id is that of the
    last one; records beyond the limit are refused as a whole.
    """
    if not sent:
        raise missing("line_item_id")
    if not is_array(sent):
        raise Refused(INVALID)
    if len(sent) > MAX_UPLOAD:
        raise Refused(f"At most {MAX_UPLOAD} usage records can be sent at once.")
    spec, table = store.specs["usage"], store.table("usage")
    taken: list[dict[str, Any]] = []
    keys: set[str] = set()
    for entry in sent:
        if not is_object(entry):
            raise Refused(INVALID)
        fields = crud.resolve(store, spec, _of_customer(store, entry))
        data = crud.accept(store, spec, fields)
        _check(data, fields)
        key = data.get("external_key")
        table.check_key(key, 0)
        if key in keys:
            raise Refused(f'A usage already exists with the external_key value "{key}"')
        if key:
            keys.add(key)
        taken.append(data)
    for data in taken:
        store.insert(store.draft("usage", data))
    return Answer(201, "", {"id": table.next_id - 1})


def _of_customer(store: Tables, entry: dict[str, Any]) -> dict[str, Any]:
    """A record whose line is named by the keys of its customer and of its item.

    UNVERIFIED: whether these are objects or names with a dot is not shown, so both are taken; the
    first line that fits, of the oldest subscription that is active, is meant.
    """
    customer_key = _find_dotted(entry, "customer", "external_key")
    item_key = _find_dotted(entry, "line_item", "item_external_key")
    if customer_key is None and item_key is None:
        return entry
    for value, name in ((customer_key, "customer"), (item_key, "line_item")):
        if value is None:
            raise missing(f"{name}.{'external_key' if name == 'customer' else 'item_external_key'}")
    customer = need_named(store, {"customer_external_key": customer_key}, "customer", "customer")
    item = find_named(store, {"item_external_key": item_key}, "item", "item")
    for package in store.of_customer("package", customer.id):
        if state_of(store, package) != "a":
            continue
        for line in lines_of(store, package.id):
            if item is not None and line.data.get("item_id") == item.id:
                return {**entry, "line_item_id": line.id}
    raise Refused(
        f'The customer "{customer_key}" has no subscription line of the item "{item_key}"'
    )


def _find_dotted(entry: dict[str, Any], outer: str, inner: str) -> str | None:
    value = entry.get(f"{outer}.{inner}")
    if value is None and is_object(entry.get(outer)):
        value = entry[outer].get(inner)
    return None if value is None else text(value)


USAGE = Spec(
    name="usage",
    key="usage_history_id",
    model=Usage,
    commands=frozenset(("create",)),
    defaults={"type": "add"},
    private=frozenset(("invoice_id",)),  # the invoice that charged it
    references={"line_item": "line_item"},
    indexes=("line_item_id",),
    on_create=_create,
    collection_actions={"bulk": _bulk},
    lists_taken=frozenset(("bulk",)),
)
