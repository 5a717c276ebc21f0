"""Settings of the account, its log, and the requests of ChargeOver.js that wait for review.

Source: pages "Retrieve the system log", "Get a list of pending requests" and "Commit or reject a
ChargeOver.js request"; the vendor's clients for settings.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chargeover_async.models import LogEntry, PendingRequest
from chargeover_async.sandbox.protocol.answers import (
    INVALID,
    NO_DATA,
    Answer,
    Refused,
    decode,
    missing,
)
from chargeover_async.sandbox.protocol.values import is_object, mixed, text
from chargeover_async.sandbox.records import crud
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Spec, Tables


class _Setting(msgspec.Struct):
    """A key and its value; what is set cannot be read back through the API."""

    config_id: int
    key: str
    value: Any = None


def _set(store: Tables, sent: Any) -> Answer:
    """Keeps a value for each key, whatever it is called.

    UNVERIFIED: the answer. An old script of the vendor's takes it for a create, so it is a 201.
    """
    if sent is None or sent in ({}, []):
        raise Refused(NO_DATA)
    if not is_object(sent):
        raise Refused(INVALID)
    values = {name: mixed(value) for name, value in sent.items()}
    last = 0
    by_key = {row.data["key"]: row for row in store.table("_config").scan()}
    for name, value in values.items():
        row = by_key.get(name)
        if row is None:
            row = store.insert(store.draft("_config", {"key": name, "value": value}))
        else:
            store.change(row, value=value, mod_datetime=store.stamp())
        last = row.id
    return Answer(201, "", {"id": last})


CONFIG = Spec(
    name="_config",
    key="config_id",
    model=_Setting,
    commands=frozenset(),
    reads=False,
    post=_set,
)

LOG = Spec(name="_log_system", key="log_id", model=LogEntry, commands=frozenset(), unpaged=True)


def _decide(store: Tables, sent: Any) -> bool:
    """Does or discards what a pending request asks; the body's key says which."""
    if not is_object(sent):
        raise Refused(INVALID if sent else NO_DATA)
    verb = next((name for name in ("commit", "reject") if sent.get(name) is not None), None)
    if verb is None:
        raise missing("commit")
    row = store.table("_chargeoverjs").by_token(text(sent[verb]))
    if row is None:
        raise Refused("This object does not exist.", 404, None)  # the page's sample
    if verb == "commit":
        _commit(store, row)
    store.remove(row)
    return True


def _commit(store: Tables, row: Row) -> None:
    """Creates what ``<object>.create`` asks for; other actions are done without effect."""
    name, _, verb = (row.data.get("action") or "").partition(".")
    payload = decode((row.data.get("payload") or "").encode("utf-8", "replace"))
    if verb != "create" or not is_object(payload):
        return
    fields = payload.get(name, payload)
    contact = payload.get("user")
    if not is_object(fields) or not (contact is None or is_object(contact)):
        raise Refused(INVALID)
    if name == "customer":
        known = {part: contact[part] for part in (*_CONTACT,) if contact and part in contact}
        fields = {**fields, **{f"superuser_{part}": value for part, value in known.items()}}
    spec = store.specs.get(name)
    if spec is None or spec.internal:
        raise Refused(INVALID)
    crud.create(store, spec, fields)


_CONTACT = ("username", "email", "name", "first_name", "last_name", "phone")

CHARGEOVERJS = Spec(
    name="_chargeoverjs",
    key="chargeoverjs_id",
    model=PendingRequest,
    commands=frozenset(),
    unpaged=True,
    post=_decide,
)
