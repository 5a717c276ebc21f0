"""The table of an object's fields is made of what is said elsewhere, and leaves nothing out."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, get_type_hints

import msgspec
import pytest
from support.places import SHARED

from chargeover_async import vocabulary
from chargeover_async.models._json.shape import shape_of
from chargeover_async.resources import RESOURCES
from chargeover_async.resources._calls.described import FieldInfo, describe

FILES = {"_log_system": "log"}
each = pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda kind: kind.attribute)


def table(name: str) -> dict[str, FieldInfo]:
    return {field.name: field for field in describe(RESOURCES[name])}


@each
def test_every_field_of_an_object_is_told_with_its_type(resource: type[Any]):
    """What answers hold, and what each call takes; nested fields too, once each."""
    found = describe(resource)
    names = {field.name: field for field in found}
    assert len(names) == len(found)
    for field in msgspec.structs.fields(resource.model):
        assert names[field.encode_name].read
    for verb in {"create", "update"} & set(resource.writes):
        told = {name for name, field in names.items() if getattr(field, verb)}
        assert {name for name in told if "." not in name} == set(
            get_type_hints(resource.writes[verb])
        )
        for name, kind in shape_of(resource.writes[verb]).kinds.items():
            if kind in {"list", "object"}:
                assert getattr(names[name], verb) == kind
    assert len(json.loads(msgspec.json.encode(found))) == len(found)


def test_an_invoice_is_told():
    """Types, meaning, codes, and what a new one needs."""
    invoice = table("invoice")
    assert invoice["invoice_id"] == FieldInfo(
        name="invoice_id", read="whole number", meaning="Invoice number"
    )
    assert invoice["total"].read == "amount"
    assert invoice["due_date"].create == ""
    assert (invoice["date"].read, invoice["date"].create) == ("date", "date")
    assert invoice["customer_id"].needs == (
        "customer_id",
        "customer_external_key",
        "customer_token",
    )
    assert invoice["line_items"].needs == ("line_items",)
    assert invoice["line_items.line_rate"].read == "amount"
    assert invoice["line_items.line_rate"].create == "amount"
    assert invoice["line_items.item_external_key"].meaning
    assert set(invoice["invoice_status_state"].codes) == {"o", "c"}
    assert all(invoice["invoice_status_state"].codes.values())
    assert "mon" in table("package")["paycycle"].codes
    assert table("ach")["type"].codes != table("creditcard")["type"].codes
    assert table("creditcard")["number"].create == "text"


def test_every_list_of_codes_stands_at_a_field():
    """But for those of actions and their arguments, which are no fields of an object."""
    told = {tuple(sorted(field.codes)) for kind in RESOURCES.values() for field in describe(kind)}
    for name in vocabulary.__all__:
        owner = getattr(vocabulary, name)
        if isinstance(owner, type) and name not in {"LoginDestination", "SubscribeProrateCycle"}:
            codes = {str(v) for k, v in vars(owner).items() if k.isupper()}
            assert tuple(sorted(codes)) in told, name


def test_every_meaning_is_one_of_a_field():
    """A field that is renamed takes its meaning along."""
    text = files("chargeover_async.resources").joinpath("meanings.json").read_text("utf-8")
    for name, meanings in json.loads(text).items():
        assert set(meanings) <= set(table(name)), name
        for meaning in meanings.values():
            assert meaning[0].isupper() or not meaning[0].isalpha()
            assert len(meaning) > 2


@pytest.mark.skipif(not (SHARED / "api").exists(), reason="the tables are not there")
@each
def test_a_documented_field_has_its_meaning(resource: type[Any]):
    """In the words of the vendor's table."""
    stem = FILES.get(resource.object, resource.object.lstrip("_"))
    path = SHARED / "api" / f"{stem}.json"
    rows = json.loads(path.read_text("utf-8"))["fields"] if path.exists() else []
    found = table(resource.object)
    without = [
        row["name"]
        for row in rows
        if row["name"] in found
        and not (found[row["name"]].meaning or found[row["name"]].codes)
        and row["name"] != "phone"
    ]
    assert without == []
