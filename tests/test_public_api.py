"""What is public: a sorted tuple in every module, and an import that needs no extra."""

# ruff: noqa: S603 - the interpreter that runs this, on a text of ours
from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from support.places import DOCS, ROOT

import chargeover_async

EXTRAS = ("click", "rich", "redis", "pyarrow", "cryptography")


def public_modules() -> list[str]:
    """Every module without a leading underscore; the command line is nothing to import."""
    found = [chargeover_async.__name__]
    for info in pkgutil.walk_packages(chargeover_async.__path__, "chargeover_async."):
        parts = info.name.split(".")[1:]
        if not any(part.startswith("_") for part in parts) and parts[0] != "cli":
            found.append(info.name)
    return found


def classes_of(module: types.ModuleType) -> set[str]:
    """The classes that a module defines and does not hide by an underscore."""
    return {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and name[0] != "_"
    }


def in_order(names: tuple[str, ...]) -> list[str]:
    """Constants, classes, functions, each by the alphabet: the order that the linter keeps."""
    return sorted(
        set(names),
        key=lambda one: (
            0 if one.isupper() and len(one) > 1 else 1 if one[0].isupper() else 2,
            one,
        ),
    )


@pytest.mark.parametrize("name", public_modules())
def test_public_names_are_a_sorted_tuple(name: str):
    """Each of them exists, once."""
    module = importlib.import_module(name)
    names = getattr(module, "__all__", None)
    if names is None:
        # A module without a list offers nothing: it is reached through its folder.
        assert name.count(".") > 1, f"{name} has no __all__"
        return
    assert isinstance(names, tuple)
    assert list(names) == in_order(names)
    missing = [name for name in names if not hasattr(module, name)]
    assert missing == []


@pytest.mark.parametrize("name", [name for name in public_modules() if name.count(".") <= 1])
def test_a_public_module_offers_what_it_defines(name: str):
    """A class is public or has an underscore; a helper of the package says so in its docstring."""
    module = importlib.import_module(name)
    ours = {
        export
        for export in module.__all__
        if (getattr(getattr(module, export), "__module__", name) or "").startswith(
            "chargeover_async"
        )
        or export.startswith("__")
        or not inspect.isclass(getattr(module, export))
    }
    assert set(module.__all__) == ours, "a name of somebody else's is offered"
    assert classes_of(module) - set(module.__all__) <= INTERNAL.get(name, set())


# Classes of a public module that the package's other modules use and a user does not.
INTERNAL = {"chargeover_async.operation": {"Runner"}}


def test_the_package_offers_every_error_and_every_record():
    """At its root, where people look first; what may be written has a module of its own."""
    from chargeover_async import auth, bulk, errors, models

    offered = set(chargeover_async.__all__)
    assert set(errors.__all__) <= offered
    records = {
        name
        for name in models.__all__
        if isinstance(kind := getattr(models, name), type) and issubclass(kind, models.Record)
    }
    assert len(records) > 30
    assert records <= offered
    assert {"Bulk", "BulkReport", "BulkSettings", "ServerAssumptions"} <= set(
        bulk.__all__
    ) & offered
    assert "SignatureAuth" in set(auth.__all__) & offered
    for name in ("ChargeOver", "ExternalKey", "F", "Operation", "Outcome", "Ref", "UploadOutcome"):
        assert name in offered


def test_what_calls_return_and_take_can_be_imported():
    """Every class of ours in the annotations of the client and of resources is public somewhere."""
    from chargeover_async import resources

    public = {
        getattr(module, name)
        for path in public_modules()
        for module in [importlib.import_module(path)]
        for name in getattr(module, "__all__", ())
        if inspect.isclass(getattr(module, name))
    }
    kinds = [chargeover_async.ChargeOver, *resources.RESOURCES.values()]
    unknown = {
        f"{kind.__name__}.{name}: {used.__name__}"
        for kind in kinds
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
        for used in classes_in(typing.get_type_hints(method).values())
        if used.__module__.startswith("chargeover_async") and used not in public
    }
    assert unknown == set()


def classes_in(hints: Iterable[object]) -> Iterator[type]:
    """The classes of annotations, at every depth."""
    for hint in hints:
        if inspect.isclass(hint):
            yield hint
        yield from classes_in(typing.get_args(hint))
        if isinstance(typing.get_origin(hint), type):
            yield typing.get_origin(hint)


def documented_names() -> set[str]:
    """``chargeover_async.x.y`` and what is imported from there, in README and docs."""
    found: set[str] = set()
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        text = page.read_text("utf-8")
        found |= set(re.findall(r"\bchargeover_async(?:\.[a-zA-Z]\w*)+", text))
        for module, names in re.findall(
            r"from (chargeover_async[.\w]*) import (\([^)]*\)|[\w, ]+)", text
        ):
            found |= {f"{module}.{name}" for name in re.findall(r"\w+", names)}
    return found


@pytest.mark.parametrize("name", sorted(documented_names()))
def test_a_documented_name_can_be_imported(name: str):
    """From where the pages say, wherever it is at home, and it is no secret there."""
    parts = name.split(".")
    found: object = chargeover_async
    for depth, part in enumerate(parts[1:], 1):
        if isinstance(found, types.ModuleType) and not hasattr(found, part):
            importlib.import_module(".".join(parts[: depth + 1]))
        if isinstance(found, types.ModuleType) and hasattr(found, "__all__"):
            value = getattr(found, part)
            assert isinstance(value, types.ModuleType) or part in found.__all__
        found = getattr(found, part)


def test_the_pages_are_read():
    """Names of all forms."""
    names = documented_names()
    assert len(names) > 15
    assert {
        "chargeover_async.vocabulary",
        "chargeover_async.ChargeOver",
        "chargeover_async.limits.redis.RedisLimiter",
    } <= names


def test_a_star_import_gives_the_public_names():
    """And no more."""
    scope: dict[str, object] = {}
    exec("from chargeover_async import *", scope)  # noqa: S102
    assert set(scope) - {"__builtins__"} == set(chargeover_async.__all__)


PROBE = """
import importlib, json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {extras!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
import chargeover_async
loaded = sorted(sys.modules)
for name in {modules!r}:
    importlib.import_module(name)
print(json.dumps(loaded))
"""


def run(code: str, **environment: str) -> str:
    """What an interpreter of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(chargeover_async.__file__).parents[1],
        env=os.environ | environment,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_bare_install_imports():
    """Without click, rich, redis or pyarrow; and no part that is not needed is imported."""
    loaded = set(json.loads(run(PROBE.format(extras=EXTRAS, modules=public_modules()))))
    assert "chargeover_async.client" in loaded
    for late in (
        "jsonpath_ng",
        "sqlite3",
        "chargeover_async.sandbox",
        "chargeover_async.migrate",
        "chargeover_async.export",
    ):
        assert late not in loaded, f"{late} is imported before it is used"


COUNT = """
import sys

calls = 0

def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")

sys.setprofile(count)
{}
sys.setprofile(None)
print(calls)
"""


def test_the_import_is_quick(tmp_path: Path):
    """With a warm cache it is at most half as much work again as aiohttp and msgspec alone.

    In calls of functions, which are the same on every machine; time is not, from run to run.
    """
    cache = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    run("import chargeover_async", **cache)
    alone = int(run(COUNT.format("import aiohttp, msgspec"), **cache))
    ours = int(run(COUNT.format("import chargeover_async"), **cache))
    assert alone < ours < 1.5 * alone


def test_the_command_line_names_the_extra_that_it_needs():
    """Instead of a traceback."""
    probe = (
        "import sys\nsys.modules['click'] = None\nimport runpy\nsys.argv = ['chargeover-async']\n"
        "runpy.run_module('chargeover_async', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(chargeover_async.__file__).parents[1],
        timeout=600,
    )
    assert done.returncode != 0
    assert "chargeover-async[cli]" in done.stderr
    assert "Traceback" not in done.stderr
