"""Records come, change and go by the store alone: whoever writes past it is told so."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from chargeover_async.sandbox import new_store
from chargeover_async.sandbox.store.frozen import FrozenDict, FrozenList, freeze

NESTED = {"a": {"b": [1, {"c": Decimal(2)}]}, "d": [[3], "x"]}
# What might change a container is called with each of these.
ARGUMENTS: list[tuple[Any, ...]] = [
    *((), ("a",), (0,), (0, 9), ("a", 9), ({"new": 1},), ([("new", 1)],), ([9],), (2,)),
    (slice(0, 1),),
    (slice(0, 1), []),
]
# They make a new object, or are about the class and not about what is in it.
HARMLESS = {"__init__", "__class__", "__new__", "__getattribute__", "__setattr__", "__delattr__"}


@pytest.mark.parametrize("kind", [dict, list])
def test_nothing_that_a_container_can_do_changes_a_frozen_one(kind):
    """Every method of dict and list, whatever it is given, leaves it as it is."""
    value = freeze(NESTED if kind is dict else [NESTED, 1])
    before = copy.deepcopy(value)
    refused = set()
    for name, arguments in product(set(dir(kind)) - HARMLESS, ARGUMENTS):
        try:
            getattr(value, name)(*arguments)
        except TypeError as error:
            if "Store.change" in str(error):
                refused.add(name)
        except Exception:  # noqa: BLE001, S110 - whatever it says, it must not have changed
            pass
        assert value == before, name
    wanted = {"__setitem__", "__delitem__", "pop", "clear"}
    wanted |= {"update", "setdefault", "__ior__"} if kind is dict else {"append", "__iadd__"}
    assert wanted <= refused


def test_every_part_of_a_frozen_value_is_frozen():
    """However deep it lies; a copy of it is plain, so that a rule can go on from there."""
    value = freeze({**NESTED, "e": ({"f": []},)})
    parts: list[Any] = [value]
    for part in parts:
        inner = part.values() if isinstance(part, dict) else part
        parts += [child for child in inner if isinstance(child, (dict, list, tuple))]
    assert {type(part) for part in parts} == {FrozenDict, FrozenList}
    assert len(parts) == 9
    for plain in (copy.deepcopy(value), pickle.loads(pickle.dumps(value)), {**value}):  # noqa: S301
        assert type(plain) is dict
        assert plain == value
    assert type(copy.deepcopy(value)["d"][0]) is list


@pytest.mark.parametrize("name", ["data", "given", "notes", "id", "name", "other"])
def test_a_row_cannot_be_written_to(name):
    """The error says what to do instead, and of which record."""
    store = new_store()
    row = store.table("customer").rows[store.seed("customer", {"company": "A"})]
    with pytest.raises(AttributeError, match=rf"Store\.change alone: customer 1, {name}"):
        setattr(row, name, {})
    assert row.data["company"] == "A"


def test_what_was_handed_in_or_out_is_not_what_is_stored():
    """A caller may go on with its own lists and with those that it was given."""
    store = new_store()
    tags = ["one", {"two": [2]}]
    id_ = store.seed("customer", {"company": "A", "tags": tags, "custom_1": tags})
    row = store.table("customer").rows[id_]
    sent = {"deep": [1]}
    store.change(row, custom_2=sent)
    tags.append("three")
    sent["deep"].append(2)
    shown = store.records("customer")[0]
    shown["custom_1"].append("four")
    shown["custom_2"]["deep"].append(3)
    record = store.find("customer", id_)
    assert record is not None
    assert record["tags"] == record["custom_1"] == ["one", {"two": [2]}]
    assert record["custom_2"] == {"deep": [1]}


def test_what_a_record_lacks_is_shared_and_frozen():
    """The empty list of one record's answer is that of all."""
    store = new_store()
    store.seed("invoice", {"customer_id": 1})
    spec = store.specs["package"]
    assert type(spec.template["tags"]) is FrozenList


def test_a_change_moves_key_and_indexes():
    """Whatever the store looks records up by says what the record says."""
    store = new_store()
    for name in ("a", "b"):
        store.seed("customer", {"external_key": name})
    row = store.table("invoice").rows[store.seed("invoice", {"customer_id": 1})]
    store.change(row, customer_id=2, external_key="i")
    assert store.of_customer("invoice", 1) == []
    assert store.of_customer("invoice", 2) == [row]
    assert store.table("invoice").by_key("i") is row
    store.change(row, customer_id=None, external_key=None)
    assert store.of_customer("invoice", 2) == []
    assert store.table("invoice").keys == {}
