"""What can be done with any object: create, update, get, delete, act; lists are `find`'s."""

from __future__ import annotations

from typing import Any

from chargeover_async.sandbox.protocol.answers import INVALID, NO_DATA, Answer, Refused, unsupported
from chargeover_async.sandbox.protocol.values import (
    DATE,
    MIXED,
    MOMENT,
    TAKE,
    TEXT,
    date,
    is_array,
    is_object,
    moment,
    text,
)
from chargeover_async.sandbox.store.log import Done
from chargeover_async.sandbox.store.row import KEPT_REVISIONS, Draft, Row
from chargeover_async.sandbox.store.tables import Spec, Tables

from .events import tell_hooks
from .refs import find_named


def create(store: Tables, spec: Spec, payload: Any) -> Answer:
    """201 and the new id (recordings `new_customer`, `create_item`, `create_contact`)."""
    if "create" not in spec.commands:
        raise unsupported("create", spec.name)
    fields = resolve(store, spec, _fields(payload))
    known = None if spec.same is None else spec.same(store, fields)
    if known is not None:
        _change(store, spec, known, fields)
        return Answer(201, "", {"id": known.id}, (spec.name, known.id))
    changes = accept(store, spec, fields)
    draft = store.draft(spec.name, changes)
    store.table(spec.name).check_key(changes.get("external_key"), draft.id)
    spec.on_create(store, draft, fields)
    row = store.insert(draft)
    tell_hooks(store, spec.name, row, "insert")
    return Answer(201, "", {"id": row.id}, (spec.name, row.id))


def update(store: Tables, spec: Spec, row: Row, payload: Any) -> Answer:
    """202 and the id; what is not sent keeps its value (recordings `update_customer` and others).

    What is sent as it is read changes nothing, so that a record can be written back as it stands.
    UNVERIFIED: an update without any field is refused like a create without any.
    """
    if "modify" not in spec.commands:
        raise unsupported("modify", spec.name, row.id)
    fields = {
        name: value
        for name, value in _fields(payload).items()
        if name not in spec.kinds or store.value(spec, row, name) != value
    }
    _change(store, spec, row, resolve(store, spec, fields))
    return Answer(202, "", {"id": row.id}, (spec.name, row.id))


def _change(store: Tables, spec: Spec, row: Row, fields: dict[str, Any]) -> None:
    changes = accept(store, spec, fields, closed=spec.create_only)
    if "external_key" in changes:
        store.table(spec.name).check_key(changes["external_key"], row.id)
    spec.before_update(store, row, fields)
    before, stamp = row.data, store.stamp()
    draft = Draft(spec.name, row.id, {**before, **changes, "mod_datetime": stamp})
    spec.on_update(store, draft, fields)
    store.table(spec.name).change(row, draft.data)
    store.forget(row, (name for name in spec.derived if name not in spec.sticky))
    store.note(row, stamp, f"{_title(spec)} updated")
    spec.after_update(store, row, before)
    tell_hooks(store, spec.name, row, "update")


def get(store: Tables, spec: Spec, row: Row) -> Answer:
    """200 and the record."""
    return Answer(200, "", store.render(spec, row))


def delete(store: Tables, spec: Spec, row: Row) -> Answer:
    """200 and true (recording `delete_customer`)."""
    if "delete" not in spec.commands:
        raise unsupported("delete", spec.name, row.id)
    spec.on_delete(store, row)
    tell_hooks(store, spec.name, row, "delete")
    store.remove(row, free_key=store.deleted_keys == "freed")
    return Answer(200, "", True)


def act(store: Tables, spec: Spec, row: Row, name: str, payload: Any) -> Answer:
    """200 and what the action says; an unknown one is not supported.

    Source of the wording: recording `update_custom_package_value`.
    """
    action = spec.actions.get(name)
    if action is None:
        raise unsupported(name, spec.name, row.id)
    answer = as_answer(action(store, row, _body(spec, name, payload)))
    if answer.code < 400 and answer.response is not False:
        stamp = store.stamp()
        if name not in spec.quiet:
            store.change(row, mod_datetime=stamp)
        store.note(row, stamp, f"{_title(spec)}: {name}")
        store.actions.append(Done(spec.name, row.id, name))
    return answer


def act_on_collection(store: Tables, spec: Spec, name: str, payload: Any) -> Answer:
    """What an action without a record says, such as ``transaction?action=pay``."""
    action = spec.collection_actions.get(name)
    if action is None:
        raise unsupported(name, spec.name)
    answer = as_answer(action(store, _body(spec, name, payload)))
    if answer.code < 400 and answer.response is not False:
        made = answer.response
        id_ = made["id"] if is_object(made) and isinstance(made.get("id"), int) else 0
        store.actions.append(Done(spec.name, id_, name))
    return answer


def as_answer(result: Any) -> Answer:
    """What an action answers: a whole `Answer`, or what stands in the response of a 200."""
    return result if isinstance(result, Answer) else Answer(200, "", result)


def _title(spec: Spec) -> str:
    return spec.name.lstrip("_").capitalize()


def _body(spec: Spec, name: str, payload: Any) -> Any:
    """The body of an action; none at all and an empty array count as an empty object."""
    if name in spec.lists_taken and is_array(payload):
        return payload
    if payload is None or payload == []:
        return {}
    if not is_object(payload):
        raise Refused(INVALID)
    return payload


def revisions(store: Tables, spec: Spec, row: Row, query: dict[str, str]) -> Answer:
    """200 and the newest revisions first, with the keys of the vendor's text.

    UNVERIFIED: a limit outside 1 to 10 is taken as 10.
    """
    sent = query.get("limit", "")
    limit = int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 3 else KEPT_REVISIONS
    if not 1 <= limit <= KEPT_REVISIONS:
        limit = KEPT_REVISIONS
    notes = list(row.notes)
    if len(notes) < KEPT_REVISIONS:  # creation is known from the record and not stored twice
        created = row.data["write_datetime"], f"{_title(spec)} created"
        notes.insert(0, created)
    admin = store.row("admin", 1)  # there is one set of credentials, hers
    entries = [
        {
            "context_str": spec.name,
            "context_id": row.id,
            "admin_id": 1,
            "admin_name": "" if admin is None else admin.data.get("name"),
            "user_id": None,
            "user_name": None,
            "integration_id": None,
            "revision_datetime": store.iso(stamp) if store.iso_datetimes else stamp,
            "revision_ipaddr": "127.0.0.1",
            "revision_note": note,
        }
        for stamp, note in reversed(notes)
    ]
    return Answer(200, "", entries[:limit])


def _fields(payload: Any) -> dict[str, Any]:
    if payload is None or payload in ({}, []):
        raise Refused(NO_DATA)
    if not is_object(payload):
        raise Refused(INVALID)
    return payload


def accept(
    store: Tables, spec: Spec, fields: dict[str, Any], closed: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The values to store, taken by kind; null sets a field back to its default.

    So does an empty text where none can be (UNVERIFIED: forms and PHP scripts send it for nothing).
    UNVERIFIED: a field that is unknown or not for the caller to set is ignored.
    """
    changes: dict[str, Any] = {}
    writable = spec.writable
    for sent, value in fields.items():
        name = spec.aliases.get(sent, sent)
        kind = writable.get(name)
        if kind is None or name in closed:
            continue
        if value is None or (value == "" and kind not in (TEXT, MIXED)):
            changes[name] = spec.template[name]
        elif kind == TEXT:
            changes[name] = value if type(value) is str else text(value)
        elif kind == DATE:
            changes[name] = date(value, store.zone)
        elif kind == MOMENT:
            changes[name] = moment(value, store.zone)
        else:
            changes[name] = TAKE[kind](value)
    if changes.get("external_key") == "":
        changes["external_key"] = None  # UNVERIFIED: an empty key is no key
    for name, object_ in spec.choices.items():
        if changes.get(name) is not None and store.row(object_, changes[name]) is None:
            # UNVERIFIED: no source shows a reference that names nothing.
            known = ", ".join(map(str, store.table(object_).ids))
            raise Refused(f"There is no {name} {changes[name]} (the sandbox has {known})")
    return changes


def resolve(store: Tables, spec: Spec, fields: dict[str, Any]) -> dict[str, Any]:
    """``fields`` with each ``X_external_key`` and ``X_token`` turned into ``X_id``, all checked."""
    if spec.reference_fields.isdisjoint(fields):
        return fields
    for prefix, object_ in spec.references.items():
        row = find_named(store, fields, prefix, object_)
        if row is not None and fields.get(f"{prefix}_id") is None:
            fields = {**fields, f"{prefix}_id": row.id}
    return fields
