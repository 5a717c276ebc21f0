"""The reference is made from the code: every public name, every call, every field is in it."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import sys
from types import ModuleType

import pytest
from support.places import ROOT

import chargeover_async
from chargeover_async.resources import RESOURCES

pytestmark = pytest.mark.skipif(not (ROOT / "mkdocs.yml").exists(), reason="it is in the checkout")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The program that writes it."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / ".ci" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference: ModuleType) -> dict[str, str]:
    """Path -> text."""
    return dict(reference.pages())


def test_every_public_module_has_a_page(reference: ModuleType) -> None:
    """But for the command line, which is nothing to import, and the client, which the root has."""
    there = {
        f"chargeover_async.{info.name}"
        for info in pkgutil.iter_modules(chargeover_async.__path__)
        if info.name[0] != "_" and info.name not in {"cli", "client"}
    }
    extra = {"chargeover_async", "chargeover_async.limits.redis", "chargeover_async.limits.file"}
    assert there | extra == reference.MODULE_NAMES, (
        "a new module goes into MODULES of .ci/reference.py and into nav of mkdocs.yml"
    )


def test_every_public_name_is_described_once(reference: ModuleType, pages: dict[str, str]) -> None:
    """At its home; calls at home on the page of their object."""
    headings = re.findall(r"^### `(\w+)`$", "".join(pages.values()), re.MULTILINE)
    calls = {resource.__name__ for resource in RESOURCES.values()}
    for name, _ in reference.MODULES.values():
        for public in reference.public(importlib.import_module(name)):
            assert public in calls or public in headings, f"{name}.{public}"


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda each: each.attribute)
def test_every_call_and_field_of_an_object_is_on_its_page(
    reference: ModuleType, pages: dict[str, str], resource: type
) -> None:
    """``**fields`` are written out, those of a line or a tier, too."""
    page = pages[f"objects/{resource.attribute}.md"]
    for name, _ in reference.members(resource):
        assert f"### `{name}`" in page
    for verb, shape in resource.writes.items():
        signature = page.partition(f"### `{verb}`")[2].partition("### `")[0]
        for inner in (shape, *reference.nested(shape)):
            for field in reference.hints(inner):
                assert f"| `{field}` |" in page, (verb, field)
        if hasattr(resource, verb) and reference.unpacked(getattr(resource, verb)):
            assert all(f"    {field}: " in signature for field in reference.hints(shape))


def test_a_customer_shows_what_it_takes(pages: dict[str, str]) -> None:
    """In the call, and in the table with what answers hold."""
    page = pages["objects/customers.md"]
    assert "    superuser_username: str | None = ...," in page
    assert ") -> Operation[Customer]\n" in page
    assert "| `customer_id` | whole number | answers |" in page
    assert "| `company` | text | answers, create, update |" in page
    assert "`a` Active, `i` Inactive" in page


def test_navigation_has_every_page(pages: dict[str, str]) -> None:
    """Neither more nor fewer than are written."""
    shown = re.findall(r"reference/(\S+\.md)", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(shown) == sorted(pages)


def test_what_builds_the_site_is_pinned() -> None:
    """So that tomorrow's release does not break it."""
    lines = (ROOT / ".ci" / "site.txt").read_text("utf-8").splitlines()
    assert all("==" in line for line in lines if not line.startswith("#"))
