"""How a body names another record: ``X_id``, ``X_external_key`` or ``X_token``.

Source: the vendor's text, "External Keys" and "Object Tokens". UNVERIFIED: a reference that names
nothing is refused; an ``X_id`` wins over the other forms.
"""

from __future__ import annotations

from typing import Any

from chargeover_async.sandbox.protocol.answers import Refused, missing
from chargeover_async.sandbox.protocol.values import integer, text
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Tables


def find_named(store: Tables, fields: dict[str, Any], prefix: str, object_: str) -> Row | None:
    """The record that ``fields`` name under ``prefix``; None when they name none."""
    for form in ("id", "external_key", "token"):
        name = f"{prefix}_{form}"
        sent = fields.get(name)
        if sent is None:
            continue
        row = _look_up(store, object_, form, sent)
        if row is None:
            raise Refused(f'There is no {object_} with the {name} value "{sent}"')
        return row
    return None


def _look_up(store: Tables, object_: str, form: str, sent: object) -> Row | None:
    table = store.table(object_)
    if form == "id":
        return table.rows.get(integer(sent))
    return table.by_key(text(sent)) if form == "external_key" else table.by_token(text(sent))


def need_named(store: Tables, fields: dict[str, Any], prefix: str, object_: str) -> Row:
    """The record that ``fields`` name; a 400 when they name none."""
    row = find_named(store, fields, prefix, object_)
    if row is None:
        raise missing(f"{prefix}_id")
    return row
