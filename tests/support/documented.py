"""The documented objects: endpoints, body fields and readable fields, in a form tests can walk."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from support.places import SHARED

from chargeover_async.models._json.fields import AddressesIn

FOLDER = SHARED / "api"

# What a caller passes for a documented type, and what the types are called in the tables.
SAMPLES: dict[str, Any] = {
    "integer": 7,
    "number": Decimal("1.50"),
    "boolean": True,
    "string": "x",
    "date": dt.date(2026, 1, 31),
    "datetime": dt.datetime(2026, 1, 31, 12, 0, 1, tzinfo=dt.UTC),
    "mixed": "m",
}
_TYPE = re.compile(r"[a-z]+")
_NUMBERED = re.compile(r"(\w+?)_(\d+)\.\.\w+?_(\d+)")
_NOTES = ("bill_notes", "ship_notes")


class Endpoint(NamedTuple):
    """One documented endpoint of one object."""

    table: str
    object: str
    name: str
    method: str
    path: str
    query: Mapping[str, Any]
    body: Mapping[str, str] | None
    alternatives: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.table}.{self.name}"


def tables() -> dict[str, dict[str, Any]]:
    """File name -> its content; {} where the files are absent."""
    found = {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))
    }
    return {name: table for name, table in found.items() if "object" in table}


def endpoints() -> list[Endpoint]:
    """Every endpoint of every object."""
    return [
        Endpoint(
            name,
            table["object"],
            endpoint["name"],
            endpoint["method"],
            endpoint["path"].removeprefix("/api/v3"),
            endpoint.get("query") or {},
            endpoint.get("body"),
            tuple(
                path.removeprefix("/api/v3").split(" ")[0]
                for path in endpoint.get("path_alternatives") or ()
            ),
        )
        for name, table in tables().items()
        for endpoint in table.get("endpoints", ())
    ]


def names_of(name: str) -> list[str]:
    """The names that one documented name stands for: ``bill_*``, ``custom_1..custom_20``."""
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        stem, first, last = numbered.groups()
        return [f"{stem}_{number}" for number in range(int(first), int(last) + 1)]
    if name.endswith("*"):
        known = [*AddressesIn.__annotations__, *_NOTES]
        return [field for field in known if field.startswith(name[:-1])]
    return [name]


def body_of(endpoint: Endpoint) -> dict[str, Any]:
    """A value for every documented field of the body."""
    nested = {
        name.rpartition(".")[2]: fields
        for name, fields in (tables()[endpoint.table].get("nested") or {}).items()
    }
    mode = ("create",) if endpoint.name.startswith("create") else ("create", "update")
    return {
        name: _sample(name, kind, nested, mode)
        for documented, kind in (endpoint.body or {}).items()
        for name in names_of(documented)
    }


def _sample(name: str, kind: str, nested: Mapping[str, Any], mode: tuple[str, ...]) -> Any:
    if "|" in kind:
        return kind.split("|", maxsplit=1)[0]  # a choice of words
    if kind.startswith("YYYY-MM-DD"):
        return SAMPLES["date"]
    if kind.startswith("ISO 4217"):
        return "USD"
    word = _TYPE.match(kind)
    assert word is not None, kind
    if word[0] in {"array", "an", "object"}:
        inner = _record(name, nested, mode)
        return inner if word[0] == "object" else [inner]
    if name == "percent":
        return SAMPLES["number"]  # "a number in the newer docs", says its description
    return SAMPLES.get("datetime" if "datetime" in kind else word[0], "x")


def _record(name: str, nested: Mapping[str, Any], mode: tuple[str, ...]) -> Any:
    fields = [field for field in nested.get(name, ()) if any(field.get(verb) for verb in mode)]
    if not fields:
        return "tag"  # a list of plain values
    return {
        key: _sample(key, field["type"], nested, mode)
        for field in fields
        for key in names_of(field["name"])
    }


def readable(table: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Parent ("" for the record itself), name and type of every field that answers hold."""
    levels = {"": table.get("fields", ()), **(table.get("nested") or {})}
    for parent, fields in levels.items():
        for field in fields:
            if field.get("read"):
                for name in names_of(field["name"]):
                    yield parent, name, field["type"]
