"""Every documented endpoint is a call of the library, and every documented field is read.

The exceptions are tables below, each entry with its reason; an entry that is no longer needed
fails, too.
"""

from __future__ import annotations

import datetime as dt
import inspect
import types
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
import pytest
from support.documented import (
    FOLDER,
    Endpoint,
    body_of,
    endpoints,
    readable,
    tables,
)
from support.scripted import World

from chargeover_async import ChargeOver, F
from chargeover_async.models import Tierset
from chargeover_async.operation import Operation
from chargeover_async.resources import RESOURCES

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=f"the tables are not there ({FOLDER})")

ID = 5
LISTING: dict[str, Any] = {
    "where": F.customer_id == 7,
    "order": "customer_id",
    "limit": 10,
    "offset": 0,
    "expand": "line_items",
}

# Objects that nobody has built yet.
PENDING: dict[str, str] = {}

# Our names, where they are not the table's.
METHODS = {
    "query": "list",
    "get_by_external_key": "get",
    "get_by_token": "get",
}
# How to call what does not take its documented body as keywords, with the reason.
Call = Callable[..., Operation[Any]]
CALLS: dict[str, Call] = {
    # Fields that are arguments of their own.
    "aggregate.aggregate": lambda co, body: co.aggregate(
        body["object"], body["fields"], where=F.total > 1, group=body["group"]
    ),
    "chargeoverjs.commit": lambda co, body: co.chargeoverjs.commit(body["commit"]),
    "chargeoverjs.reject": lambda co, body: co.chargeoverjs.reject(body["reject"]),
    "config.set": lambda co, body: co.config.set(*body.popitem()),
    "invoice.apply_balance": lambda co, _, **form: co.invoices.apply_balance(ID, **form),
    # "from" is a word of Python.
    "currency.get_exchange_rate": lambda co, body, **form: co.currencies.get_exchange_rate(
        body["from"], body["to"], **form
    ),
    "currency.set_exchange_rate": lambda co, body, **form: co.currencies.set_exchange_rate(
        body["from"], body["to"], body["exchange"], **form
    ),
    # The vendor's text gives the action no name, so the caller does.
    "customer.email": lambda co, body: co.customers.email(ID, action="x", **body),
    # The body is a list.
    "report.report_data": lambda co, _, **form: co.reports.report_data(
        ID, where=F.a > 1, order="a", limit=10, offset=0, **form
    ),
    "usage.bulk": lambda co, _: co.usage.bulk([{"line_item_id": 7, "usage_value": 1}]),
    # Our names for a create and a delete are the same everywhere.
    "resthook.subscribe": lambda co, body: co.resthooks.create(**body),
    "resthook.unsubscribe": lambda co, _: co.resthooks.delete(ID),
    # Nothing but the object itself is asked for.
    "teapot.get": lambda co, _: co.teapot(),
}
# Spellings of a path that no call sends, and why.
UNSENT_FORMS: dict[str, str] = {
    "report.report_data": "getData is an older name in the PHP client; co.request sends it",
}
# Other names of an action that an option sends.
ALSO: dict[str, tuple[str, ...]] = {
    "user.send_password_reset": ("reset_password",),
    "user.set_password": ("reset_password",),
}
# Fields of a body that are not the caller's to give, and why.
SET_BY_US: dict[str, dict[str, str]] = {
    "transaction.create_credit": {
        "transaction_type": "it must be cre",
        "gateway_method": "it must be credit",
    },
    "transaction.create_refund": {"transaction_type": "it must be ref"},
}
# Fields whose value is not of the documented type, and why.
OTHER_SAMPLES: dict[str, dict[str, Any]] = {}
# Endpoints that are not called as documented, and why.
NOT_CALLED: dict[str, str] = {
    "customer.set_primary_contact": (
        "the vendor's text gives the action no name: the documented field superuser_id is updated"
    ),
}
# Readable fields whose type is not the documented one, and why.
OTHER_TYPES: dict[str, str] = {
    "admin.login_count": "a count: a number in a string",
    "invoice.line_items.is_taxed": 'a flag: "0" in every recording',
    "package.tierset.percent": "a percentage: a number in the newer docs",
    "usage.line_item_id": "an id: clients send a number",
    "usage.usage_value": "an amount: clients send a number",
    "user.customers.customer_id": "an id: a number in a string in the recordings",
}


ALL = endpoints()


def spellings(endpoint: Endpoint) -> set[tuple[str, str | None]]:
    """Path and action of an endpoint, in every documented spelling."""
    found = {(endpoint.path, endpoint.query.get("action"))}
    for alternative in endpoint.alternatives:
        path, _, query = alternative.partition("?")
        found.add((path, dict(parse_qsl(query)).get("action")))
    names = {"{id}": str(ID), "{external_key}": "external_key:k", "{token}": "token:t"}
    out: set[tuple[str, str | None]] = set()
    for path, action in found:
        for name, value in names.items():
            path = path.replace(f"external_key:{name}", value).replace(f"token:{name}", value)
            path = path.replace(name, value)
        out.add((path, action))
    return out


def call_of(co: ChargeOver, endpoint: Endpoint, **form: str) -> Operation[Any]:
    """The library's call for an endpoint, with a value for every documented field."""
    body = {
        name: value
        for name, value in body_of(endpoint).items()
        if name not in SET_BY_US.get(endpoint.key, ())
    } | OTHER_SAMPLES.get(endpoint.key, {})
    if endpoint.key in CALLS:
        return CALLS[endpoint.key](co, body, **form)
    resource = getattr(co, RESOURCES[endpoint.object].attribute)
    method = getattr(resource, METHODS.get(endpoint.name, endpoint.name))
    if form and "form" not in inspect.signature(method).parameters:
        raise TypeError("no such option")
    if endpoint.name == "get_by_external_key":
        return method(external_key="k")
    if endpoint.name == "get_by_token":
        return method(token="t")
    target = (ID,) if "{id}" in endpoint.path else ()
    if endpoint.method == "GET":
        return method(*target, **{name: LISTING[name] for name in endpoint.query})
    return method(*target, **body, **form)


def spelling_of(call: Operation[Any]) -> tuple[str, str | None]:
    return call.path, dict(call.query).get("action")


def names_in(value: Any) -> Any:
    """The keys of a body at every depth, without the values."""
    if isinstance(value, dict):
        return {name: names_in(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [names_in(inner) for inner in value]
    return None


@pytest.mark.parametrize("endpoint", ALL, ids=lambda one: one.key)
def test_an_endpoint_is_called_as_documented(endpoint: Endpoint):
    """Method, path, query and the names in the body; each documented spelling can be sent."""
    for reasons, key in ((PENDING, endpoint.table), (NOT_CALLED, endpoint.key)):
        if key in reasons:
            pytest.skip(reasons[key])
    co = World().co
    call = call_of(co, endpoint)
    call.close()
    assert call.method == endpoint.method
    assert {name for name, _ in call.query} - {"action"} == set(endpoint.query) - {"action"}
    path, action = spelling_of(call)
    known = spellings(endpoint)
    if endpoint.query.get("action", "") is None:  # no source names it
        assert (path, None) in known
        assert action is not None
        known = {(path, action)}
    assert (path, action) in known
    if endpoint.method in {"GET", "DELETE"}:
        assert call.payload is None
        return
    expected = body_of(endpoint)
    if list(expected) == [""]:  # the body itself is a list
        assert isinstance(call.payload, list)
    else:
        assert names_in(call.payload) == names_in(expected)
    sent = {(path, action)}
    for form in ("query", "path"):
        try:
            other = call_of(co, endpoint, form=form)
        except TypeError:  # it knows one form only
            continue
        other.close()
        assert other.payload == call.payload
        sent.add(spelling_of(other))
    for name in ALSO.get(endpoint.key, ()):
        other = call_of(co, endpoint, action=name)
        other.close()
        sent.add(spelling_of(other))
    assert bool(known - sent) == (endpoint.key in UNSENT_FORMS), known - sent


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
        (hint,) = [argument for argument in get_args(hint) if argument is not type(None)]
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
        table = next(table for table in tables().values() if table["object"] == name)
        required = [f.encode_name for f in msgspec.structs.fields(resource.model) if f.required]
        if required or table.get("fields"):
            assert required == [resource.primary], name
            if table.get("primary_key"):
                assert resource.primary == table["primary_key"], name


def test_the_exceptions_are_about_something():
    """A mistyped exception would hide nothing and stay for ever."""
    keys = {endpoint.key for endpoint in ALL}
    assert {*CALLS, *UNSENT_FORMS, *SET_BY_US, *OTHER_SAMPLES, *NOT_CALLED, *ALSO} <= keys
    assert set(PENDING) <= set(tables())
    assert len(keys) > 80
