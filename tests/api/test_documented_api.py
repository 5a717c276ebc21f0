"""Every documented endpoint is a call of the library, and every documented field is read.

The exceptions are tables below, each entry with its reason; an entry that is no longer needed
fails, too.
"""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
import pytest
from api.documented import (
    FOLDER,
    Endpoint,
    body_of,
    endpoints,
    readable,
    tables,
)
from support.scripted import World

from chargeover_async import ChargeOver
from chargeover_async.models import Tierset
from chargeover_async.operation import Operation
from chargeover_async.resources import RESOURCES

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=f"the tables are not there ({FOLDER})")

ID = 5
LISTING = {
    "where": {"where": "customer_id:EQUALS:7"},
    "order": {"order": "customer_id:ASC"},
    "limit": {"limit": 10},
    "offset": {"offset": 0},
    "expand": {"expand": "line_items"},
}

# Objects that nobody has built yet.
PENDING: dict[str, str] = {}

# Our names, where they are not the table's.
METHODS = {
    "query": "list",
    "get_by_external_key": "get",
    "get_by_token": "get",
}
# How to call what does not take its documented body as keywords.
Call = Callable[[ChargeOver, dict[str, Any]], Operation[Any]]
CALLS: dict[str, Call] = {}
# Forms of a path that no call sends, and why.
UNSENT_FORMS: dict[str, str] = {}
# Fields of a body that no call sends, and why.
UNSENT_FIELDS: dict[str, dict[str, str]] = {
    "transaction.create_credit": {
        "transaction_type": "the method sets it",
        "gateway_method": "the method sets it",
    },
    "transaction.create_refund": {"transaction_type": "the method sets it"},
}
# Endpoints that are not called as documented, and why.
NOT_CALLED: dict[str, str] = {}
# Readable fields whose type is not the documented one, and why.
OTHER_TYPES: dict[str, str] = {}


ALL = endpoints()


def forms_of(endpoint: Endpoint) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Path and query of the endpoint, in every documented spelling; lists give no query."""
    forms = set()
    fixed = {k: v for k, v in endpoint.query.items() if k == "action" and v}
    for path, query in (
        (endpoint.path, fixed),
        *(
            (one.partition("?")[0], dict(parse_qsl(one.partition("?")[2])))
            for one in endpoint.alternatives
        ),
    ):
        path = path.replace("{id}", str(ID)).replace("{external_key}", "k").replace("{token}", "t")
        forms.add((path, frozenset(query.items())))
    return forms


def call_of(co: ChargeOver, endpoint: Endpoint, form: str | None = None) -> Operation[Any]:
    """The library's call for an endpoint, with a value for every documented field."""
    body = body_of(endpoint)
    for name in UNSENT_FIELDS.get(endpoint.key, ()):
        del body[name]
    if endpoint.key in CALLS:
        return CALLS[endpoint.key](co, body)
    resource = getattr(co, RESOURCES[endpoint.object].attribute)
    method = getattr(resource, METHODS.get(endpoint.name, endpoint.name))
    keywords: dict[str, Any] = {} if form is None else {"form": form}
    if endpoint.name == "get_by_external_key":
        return method(external_key="k")
    if endpoint.name == "get_by_token":
        return method(token="t")
    if endpoint.method == "GET":
        given = {k: v for name in endpoint.query for k, v in LISTING[name].items()}
        if "where" in given:
            from chargeover_async import F

            given["where"] = F.customer_id == 7
        if "order" in given:
            given["order"] = "customer_id"
        keywords |= given
    else:
        keywords |= body
    target = (ID,) if "{id}" in endpoint.path else ()
    return method(*target, **keywords)


def names_in(value: Any) -> Any:
    """The keys of a body at every depth, without the values."""
    if isinstance(value, dict):
        return {name: names_in(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [names_in(one) for one in value]
    return None


@pytest.mark.parametrize("endpoint", ALL, ids=lambda one: one.key)
def test_an_endpoint_is_called_as_documented(endpoint: Endpoint):
    """Method, path, query, and the names in the body; every spelling can be sent."""
    if endpoint.table in PENDING:
        pytest.skip(PENDING[endpoint.table])
    if endpoint.key in NOT_CALLED:
        pytest.skip(NOT_CALLED[endpoint.key])
    co = World().co
    call = call_of(co, endpoint)
    call.close()
    assert call.method == endpoint.method
    forms = forms_of(endpoint)
    action = {(k, v) for k, v in call.query if k == "action"}
    assert (call.path, frozenset(action)) in forms
    if endpoint.method == "GET":
        assert {name for name, _ in call.query} == set(endpoint.query)
        assert call.payload is None
        return
    if endpoint.method == "DELETE":
        assert (call.query, call.payload) == ((), None)
        return
    sent = {**body_of(endpoint), **dict.fromkeys(UNSENT_FIELDS.get(endpoint.key, ()))}
    if endpoint.key not in CALLS:
        assert names_in(call.payload) == names_in(sent)
    sent_forms = {(call.path, frozenset(action))}
    for form in ("query", "path"):
        try:
            other = call_of(co, endpoint, form)
        except TypeError:  # no such option
            continue
        other.close()
        assert other.payload == call.payload
        sent_forms.add((other.path, frozenset((k, v) for k, v in other.query if k == "action")))
    missing = forms - sent_forms
    assert bool(missing) == (endpoint.key in UNSENT_FORMS), missing


# -- reading ---------------------------------------------------------------------------------

READS: dict[str, Any] = {
    "integer": int,
    "number": Decimal,
    "boolean": bool,
    "string": str,
    "date": dt.date,
    "datetime": dt.datetime,
}


def models() -> list[tuple[str, Any]]:
    """Every table of fields with the struct that reads it."""
    found: list[tuple[str, Any]] = []
    for name, table in tables().items():
        if table.get("fields") and name not in PENDING:
            resource = RESOURCES.get(table["object"])
            found.append((name, Tierset if name == "tierset" else resource and resource.model))
    return found


def hints_of(kind: Any) -> dict[str, Any]:
    """Wire name -> type of every field of a struct."""
    hints = get_type_hints(kind)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(kind)}


def plain(hint: Any) -> Any:
    """``X`` for ``X | None``."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [one for one in get_args(hint) if one is not type(None)]
    return hint


def struct_at(kind: Any, parent: str) -> Any:
    """The struct of a nested field; a table writes it as ``tiersets.tiers`` or as ``tiers``."""
    if not parent:
        return kind
    for name, hint in hints_of(kind).items():
        inner = plain(hint)
        inner = get_args(inner)[0] if get_origin(inner) is list else inner
        if not (isinstance(inner, type) and issubclass(inner, msgspec.Struct)):
            continue
        if name == parent:
            return inner
        deeper = parent.removeprefix(f"{name}.")
        found = struct_at(inner, deeper)
        if found is not None:
            return found
    return None


def fits(documented: str, hint: Any) -> bool:
    if hint is Any or documented == "mixed":
        return hint is Any
    hint = plain(hint)
    if documented == "array":
        return get_origin(hint) is list
    if documented == "object":
        return isinstance(hint, type) and issubclass(hint, msgspec.Struct)
    return hint is READS[documented]


@pytest.mark.parametrize(
    ("name", "model"), models(), ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_documented_field_is_on_its_struct(name: str, model: Any):
    """Under its name, with a type that holds it, nested ones included."""
    assert model is not None, f"nothing reads {name}"
    wrong = []
    for parent, field, kind in readable(tables()[name]):
        path = ".".join(filter(None, (name, parent, field)))
        struct = struct_at(model, parent)
        if struct is None:
            wrong.append(f"{path}: nothing reads {parent}")
            continue
        hint = hints_of(struct).get(field)
        if hint is None:
            wrong.append(f"{path} is not read")
        elif fits(kind, hint) == (path in OTHER_TYPES):
            wrong.append(f"{path}: {kind} is read as {hint}")
    assert wrong == []


def test_the_primary_key_is_required_and_nothing_else():
    """So that an answer of an older or newer version of the API still decodes."""
    for name, resource in RESOURCES.items():
        table = next(one for one in tables().values() if one["object"] == name)
        required = [f.encode_name for f in msgspec.structs.fields(resource.model) if f.required]
        if required or table.get("fields"):
            assert required == [resource.primary], name
            if table.get("primary_key"):
                assert resource.primary == table["primary_key"], name


def test_the_exceptions_are_about_something():
    """A mistyped exception would hide nothing and stay for ever."""
    keys = {one.key for one in ALL}
    assert {*CALLS, *UNSENT_FORMS, *UNSENT_FIELDS, *NOT_CALLED} <= keys
    assert set(PENDING) <= set(tables())
    assert len(keys) > 80
