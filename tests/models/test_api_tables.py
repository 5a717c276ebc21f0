"""Every field of the documented tables is in the models, with a type that holds it."""

from __future__ import annotations

import datetime as dt
import json
import types
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from support.places import SHARED

from chargeover_async.models import Customer, Invoice, Item, Tierset, User
from chargeover_async.models._json.shape import shape_of
from chargeover_async.resources import RESOURCES

FOLDER = SHARED / "api"
MODELS: dict[str, Any] = {
    "customer": Customer,
    "invoice": Invoice,
    "item": Item,
    "user": User,
    "tierset": Tierset,
}
READS = {
    "integer": int,
    "number": Decimal,
    "boolean": bool,
    "string": str,
    "date": dt.date,
    "datetime": dt.datetime,
}
WRITES = {
    "integer": {"id", "integer"},
    "number": {"money"},
    "boolean": {"flag"},
    "string": {"text", "key", "secret"},
    "date": {"day"},
    "datetime": {"moment", "day"},
    "mixed": {"mixed"},
    "array": {"list"},
    "object": {"object", "list"},
}
# Read as what they mean, not as the text they come as (recordings).
MEANT: dict[str, type] = {
    "user.customers.customer_id": int,
    "invoice.line_items.is_taxed": bool,
    "tierset.percent": Decimal,
    "item.tiersets.percent": Decimal,
}

needed = pytest.mark.skipif(not FOLDER.exists(), reason=f"the tables are not there ({FOLDER})")


def table(name: str) -> dict[str, Any]:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {"fields": [], "nested": {}}


def inner(hint: Any) -> Any:
    """``X`` of ``X | None`` and of ``list[X]``."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [argument for argument in get_args(hint) if argument is not type(None)]
    return get_args(hint)[0] if get_origin(hint) is list else hint


def documented(name: str) -> list[tuple[str, dict[str, Any]]]:
    found = table(name)
    rows = [(row["name"], row) for row in found["fields"]]
    for parent, fields in found.get("nested", {}).items():
        if isinstance(fields, list):
            rows += [(f"{parent}.{row['name']}", row) for row in fields]
    return rows


@needed
@pytest.mark.parametrize("name", MODELS)
def test_every_field_that_is_read_is_on_the_struct(name: str):
    """Under the vendor's name, nested ones included, with the documented type."""
    rows = documented(name)
    assert len(rows) > 15
    faults = []
    for path, row in rows:
        if not row["read"]:
            continue
        kind = MODELS[name]
        hint: Any = kind
        for part in path.split("."):
            if not (isinstance(hint, type) and issubclass(hint, msgspec.Struct)):
                break  # an object whose shape no source shows
            hint = inner(get_type_hints(hint).get(part))
        wanted = MEANT.get(f"{name}.{path}", READS.get(row["type"]))
        if hint is None or (wanted is not None and hint is not wanted):
            faults.append(f"{path}: documented {row['type']}, read as {hint}")
    assert faults == []


@needed
@pytest.mark.parametrize("verb", ["create", "update"])
@pytest.mark.parametrize("name", [name for name in MODELS if name in RESOURCES])
def test_every_field_that_is_written_is_in_the_table(name: str, verb: str):
    """With the check for its type; where the API has the call."""
    if verb not in RESOURCES[name].writes:
        return
    shape = shape_of(RESOURCES[name].writes[verb])
    faults = []
    for path, row in documented(name):
        if row[verb] is not True or "." in path:
            continue
        kind = shape.kinds.get(path)
        if kind not in WRITES[row["type"]] | ({"id"} if path.endswith("_id") else set()):
            faults.append(f"{path}: documented {row['type']}, written as {kind}")
    assert faults == []
