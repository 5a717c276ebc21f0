"""Events: what happened in the account, written down for whoever subscribed to it.

What is posted is settled when the event happens, and waits in the store as a `_delivery` row until
it is delivered. The events are those that a source shows; each object's are in its `Spec`.

Source: pages "Webhooks" and "Verifying and validating webhooks"; the samples in the vendor's PHP
repository.
"""

from __future__ import annotations

from typing import Any

from chargeover_async.sandbox.protocol.answers import encode
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Tables


def tell_hooks(store: Tables, name: str, row: Row, event: str, **extra: Any) -> None:
    """Queue an event of an object for the hooks that asked for it."""
    hooks = store.table("_resthook")
    spec = store.specs[name]
    if not hooks.rows or event not in spec.events or not store.caller.wants_webhooks:
        return
    wanted = f"{name}.{event}"
    targets = [hook for hook in hooks.rows.values() if hook.data.get("event") == wanted]
    if not targets:
        return
    data: dict[str, Any] = {name: store.render(spec, row)}
    for other in spec.events[event]:
        found = _find_related(store, name, row, other)
        if found is not None:
            data[other] = store.render(store.specs[other], found)
    body = {"context_str": name, "context_id": row.id, "event": event, "data": data | extra}
    text = encode(body).decode()
    for hook in targets:
        fields = {
            "resthook_id": hook.id,
            "target_url": hook.data["target_url"],
            "event": wanted,
            "context_id": row.id,
            "body": text,
            "status": "pending",
            "pending": 1,
            "attempts": 0,
        }
        store.insert(store.draft("_delivery", fields))


def _find_related(store: Tables, name: str, row: Row, other: str) -> Row | None:
    customer = row if name == "customer" else store.row("customer", row.data.get("customer_id"))
    if customer is None or other == "customer":
        return customer
    return store.row("user", customer.data.get("superuser_id"))
