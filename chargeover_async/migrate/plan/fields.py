"""What may be loaded: the objects, their fields with their kinds, and what a key refers to.

All of it is read from the TypedDicts of the models, so a new field needs no line here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, cast, get_args, get_type_hints, is_typeddict

import msgspec

from chargeover_async.models._json.mend import field_types
from chargeover_async.models._json.shape import Shape, shape_of, struct_in
from chargeover_async.resources import RESOURCES

KEY = "external_key"
_SUFFIX = "_external_key"
# The one reference whose name does not end with the name of its object (vendor's page "Users").
# A line of a subscription is no object that can be loaded, though its name ends in one.
_OTHER_NAMES: dict[str, str | None] = {"superuser": "user", "line_item": None}


class FieldTable(msgspec.Struct, frozen=True):
    """The fields of one object or nested object.

    ``shape`` checks a whole record; ``nested`` holds the tables of fields that are an object
    (``pricemodel``) or a list of objects (``line_items``).
    """

    shape: Shape
    nested: Mapping[str, FieldTable]

    @property
    def kinds(self) -> Mapping[str, str]:
        """Field name -> ``"text"``, ``"key"``, ``"id"``, ``"money"``, ``"day"``, ..."""
        return self.shape.kinds


def find_object(name: str) -> str | None:
    """The object of this name, which may be that of the client: ``subscriptions`` are packages."""
    for found in loadable():
        client = RESOURCES[found].attribute
        if name in {found, client, client.removesuffix("s")}:
            return found
    return None


def loadable() -> tuple[str, ...]:
    """The objects that can be created, sorted."""
    return tuple(
        sorted(name for name, resource in RESOURCES.items() if "create" in resource.writes)
    )


@cache
def fields_of(object_name: str) -> FieldTable:
    """The fields of a new record of ``object_name``; KeyError when it cannot be created."""
    resource = RESOURCES[object_name]
    return _table(resource.writes["create"], resource.model)


def _table(typed_dict: Any, model: type[Any] | None) -> FieldTable:
    nested: dict[str, FieldTable] = {}
    held = {} if model is None else field_types(cast("Hashable", model))
    for name, annotation in get_type_hints(typed_dict, include_extras=True).items():
        inner = _typed_dict_in(annotation)
        if inner is not None:
            nested[name] = _table(inner, struct_in(held.get(name)))
    return FieldTable(shape_of(typed_dict, cast("Hashable", model)), nested)


def _typed_dict_in(annotation: Any) -> Any:
    if is_typeddict(annotation):
        return annotation
    for argument in get_args(annotation):
        found = _typed_dict_in(argument)
        if found is not None:
            return found
    return None


@cache
def referred_object(field: str) -> str | None:
    """The object that ``field`` names by its key: ``"customer"`` for ``customer_external_key``.

    None for any other field, ``external_key`` itself included.
    """
    if not field.endswith(_SUFFIX):
        return None
    stem = field.removesuffix(_SUFFIX)
    if stem in _OTHER_NAMES:
        return _OTHER_NAMES[stem]
    matches = [name for name in RESOURCES if stem == name or stem.endswith(f"_{name}")]
    return max(matches, key=len, default=None)


__all__ = ("KEY", "FieldTable", "fields_of", "find_object", "loadable", "referred_object")
