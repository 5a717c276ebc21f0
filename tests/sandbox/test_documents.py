"""Whatever the tables of the vendor's pages name, the sandbox has: endpoints, filters, fields.

The tables are not part of this repository; without them the tests skip.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.places import SHARED

from chargeover_async.sandbox.objects.table import OBJECTS

TABLES = Path(os.environ.get("CHARGEOVER_API_TABLES", "") or SHARED / "api")
# Tables of something else than records.
NO_RECORDS = {
    "project": "a word in the PHP client, with nothing behind it",
    "tierset": "nested in items and subscriptions",
    "webhooks": "sent, not asked for",
}
# Fields that are documented and not shown, and why.
UNSHOWN = {
    ("customer", name): "in lists of 2012 and 2013 only"
    for name in ("email", "phone", "bill_email", "ship_email")
}


def tables() -> dict[str, dict[str, Any]]:
    if not TABLES.is_dir():
        return {}
    return {path.stem: json.loads(path.read_text()) for path in sorted(TABLES.glob("*.json"))}


ALL = tables()
RECORDS = [name for name, table in ALL.items() if table.get("object") in OBJECTS] or ["absent"]


@pytest.fixture(autouse=True)
def _present() -> None:
    if not ALL:
        pytest.skip("tables absent")


def expanded(name: str) -> Iterator[str]:
    """``custom_1..custom_20`` as its twenty names."""
    match = re.fullmatch(r"(.*?)(\d+)\.\.\w*?_(\d+)", name)
    if match is None:
        yield name
    else:
        for number in range(int(match[2]), int(match[3]) + 1):
            yield f"{match[1]}{number}"


@pytest.mark.parametrize("name", [name for name in ALL if name not in NO_RECORDS] or ["absent"])
def test_every_documented_endpoint_is_known(account, name):
    """In every spelling; what it says of an empty request does not matter here."""
    for endpoint in ALL[name].get("endpoints", []):
        for path in (endpoint["path"], *endpoint.get("path_alternatives", [])):
            sent = re.sub(r"\{[^}]*\}", "1", path.split(" ")[0]).removeprefix("/api/v3")
            payload = None if endpoint["method"] == "GET" else {}
            message = account(endpoint["method"], sent, payload)["message"]
            assert "not supported" not in message, (path, message)


@pytest.mark.parametrize("name", RECORDS)
def test_every_documented_filter_is_taken(account, name):
    """All names of the page's list of fields to query by, dotted ones too."""
    object_ = ALL[name]["object"]
    for field in ALL[name].get("query_fields", []):
        for key in expanded(field):
            answers = [
                account("GET", f"/{object_}?where={key}:EQUALS:{value}")
                for value in ("1", "2026-01-01")
            ]
            assert 200 in [answer["code"] for answer in answers], answers[0]["message"]


@pytest.mark.parametrize("name", RECORDS)
def test_every_documented_field_is_shown(account, name):
    """A record of which nothing is known but its number has all keys."""
    spec = OBJECTS[ALL[name]["object"]]
    if not spec.reads:
        assert not any(field["read"] for field in ALL[name].get("fields", []))
        return
    account.store.seed(spec.name, {spec.key: 77777})
    record = account.ok("GET", f"/{spec.name}/77777")
    documented = {
        key
        for field in ALL[name].get("fields", [])
        if field["read"]
        for key in expanded(field["name"])
    }
    missing = {field for field in documented if (name, field) not in UNSHOWN} - record.keys()
    assert missing == set()


def test_every_table_is_one_of_an_object():
    """So that none is passed over in silence; a teapot has no records but an endpoint."""
    others = {name for name, table in ALL.items() if table.get("object") not in OBJECTS}
    assert others == {*NO_RECORDS, "teapot"}


def test_the_reasons_are_still_needed():
    for name in NO_RECORDS:
        assert ALL[name].get("object") not in OBJECTS
    for name, field in UNSHOWN:
        assert field not in OBJECTS[name].kinds
