"""``docs/api.md`` and the lists of names show every object with its methods, as they are."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from support.places import ROOT

from chargeover_async.resources import RESOURCES

PROGRAM = ROOT / ".ci" / "exports.py"
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="it is in the checkout")


@pytest.fixture(scope="module")
def exports() -> ModuleType:
    """The program that writes them."""
    spec = importlib.util.spec_from_file_location("exports", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_follows_from_the_modules_is_written():
    """Else the output names the files: ``python .ci/exports.py`` writes them anew."""
    command = [sys.executable, str(PROGRAM), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert (done.returncode, done.stdout) == (0, ""), "run python .ci/exports.py"


def test_every_object_is_found(exports: ModuleType):
    """By its class, in whatever module it stands."""
    found = {attribute: name for attribute, name, _ in exports.resources()}
    assert found == {kind.attribute: kind.__name__ for kind in RESOURCES.values()}
    assert len(found) == len(RESOURCES) >= 30


def test_every_object_has_its_parts():
    """A record, the fields that may be written, and a place in the sandbox; else they are named."""
    from chargeover_async import models
    from chargeover_async.sandbox.objects.table import OBJECTS

    missing = {
        f"{name}: {part}"
        for name, resource in RESOURCES.items()
        for part, is_there in {
            "sandbox/objects, in its table": name in OBJECTS,
            "models, in its __all__": resource.model.__name__ in models.__all__,
            "writes, for create": not hasattr(resource, "create") or "create" in resource.writes,
        }.items()
        if not is_there
    }
    assert missing == {"teapot: sandbox/objects, in its table"}  # it is no object


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda one: one.attribute)
def test_every_method_says_what_it_is(exports: ModuleType, resource: type[Any]):
    """In a docstring of its own; and every object names its endpoint."""
    assert f"/{resource.object}" in (resource.__doc__ or ""), "the docstring names the path"
    for name in exports.methods(resource):
        method = getattr(resource, "__call__" if name == "(call it)" else name)
        assert method.__doc__, name
