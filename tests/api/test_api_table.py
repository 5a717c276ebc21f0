"""``docs/api.md`` shows every object with its methods, as they are."""

from __future__ import annotations

import inspect
import os
from typing import Any

import pytest
from support.places import DOCS

from chargeover_async.resources import RESOURCES

PAGE = DOCS / "api.md"
HEAD = "| object | attribute | record | methods |\n|---|---|---|---|\n"


def methods(resource: type[Any]) -> list[str]:
    """The public methods of an object: what its bases have first, then its own."""
    names = [
        name
        for kind in reversed(resource.__mro__)
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]
    first = [name for name in ORDER if name in names]
    found = [*first, *dict.fromkeys(name for name in names if name not in ORDER)]
    return (["(call it)"] if "__call__" in vars(resource) else []) + found


ORDER = ("get", "list", "iterate", "count", "revisions", "create", "update", "delete")


def table() -> str:
    rows = [
        f"| `{resource.object}` | `co.{resource.attribute}` | `{resource.model.__name__}` "
        f"| {', '.join(f'`{name}`' for name in methods(resource))} |\n"
        for resource in sorted(RESOURCES.values(), key=lambda one: one.attribute)
    ]
    return HEAD + "".join(rows)


def test_the_page_shows_every_object_and_method():
    """Written anew with ``WRITE_DOCS=1``; the rest of the page is by hand."""
    text = PAGE.read_text("utf-8")
    start = text.index(HEAD)
    end = text.index("\n\n", start) + 1
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(text[:start] + table() + text[end:], "utf-8")
    else:
        assert text[start:end] == table()


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda one: one.attribute)
def test_every_method_says_what_it_is(resource: type[Any]):
    """In a docstring of its own; and every object names its endpoint."""
    assert f"/{resource.object}" in (resource.__doc__ or ""), "the docstring names the path"
    for name in methods(resource):
        method = getattr(resource, "__call__" if name == "(call it)" else name)
        assert method.__doc__, name
