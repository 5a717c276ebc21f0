"""The layers of STYLE section 2, held by reading the import statements."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chargeover_async

ROOT = Path(chargeover_async.__file__).parent
PACKAGE = "chargeover_async"

# From the bottom up. A row sees the rows above it in this list, never its own and never a later
# one; the modules of one folder see each other. The number is that of STYLE section 2, where rows
# of one number are written in the order in which they build on each other.
LAYERS: list[tuple[int, set[str]]] = [
    (0, {"errors"}),
    (0, {"observe", "vocabulary"}),
    (0, {"_hints"}),
    (0, {"_extras", "_refs", "retry"}),
    (1, {"models"}),
    (1, {"query", "_same"}),
    (2, {"_wire", "webhooks"}),
    (2, {"auth"}),
    (2, {"operation"}),
    (3, {"limits"}),
    (4, {"_send"}),
    (5, {"resources"}),
    (5, {"bulk"}),
    (6, {"client"}),
    (7, {"migrate"}),
    (7, {"export"}),
    (7, {"cluster"}),
    (7, {"spark", "dlt"}),
    (8, {"cli"}),
    (9, {"__init__", "__main__", "testing"}),
]
ROW = {name: row for row, (_, names) in enumerate(LAYERS) for name in names}
# An emulator that shares the client's code shares its mistakes.
SIDES = {"sandbox": {"errors", "models"}}
SEES_A_SIDE = {"cli", "__main__", "testing"}

# Who may import what is not ours, besides the sandbox.
ONLY = {
    "aiohttp": {"_send/transport"},
    "yarl": {"_send/transport"},
    "jsonpath_ng": {"_refs"},
    "aiolimiter": {"limits/local"},
    "click": {"cli"},
    "cryptography": {"webhooks"},
    "looptime": {"testing"},
    "redis": {"limits/redis"},
    "rich": {"cli", "migrate/progress"},
}
# What a bare installation has: the standard library is everything else that is imported.
DEPENDENCIES = {"aiohttp", "yarl", "msgspec", "jsonpath_ng", "aiolimiter"}


def modules() -> dict[str, Path]:
    """``"models/_json/read"`` -> its file."""
    return {
        path.relative_to(ROOT).with_suffix("").as_posix(): path
        for path in sorted(ROOT.rglob("*.py"))
    }


def imports(name: str, path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """The full names of what a module imports; not what only a type checker reads."""
    tree = ast.parse(path.read_text("utf-8"))
    unseen = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    folder = [PACKAGE, *name.split("/")[:-1]]
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == PACKAGE:
                for alias in node.names:  # `from . import x`
                    yield f"{module}.{alias.name}", node
            else:
                yield module, node


def part(full: str) -> str | None:
    """``"models"`` for ``"chargeover_async.models._json.read"``; None for what is not ours."""
    parts = full.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def fault(user: str, used: str) -> str | None:
    """What is wrong with one part importing another; None when nothing is."""
    if user == used:
        return None
    if user in SIDES:
        return None if used in SIDES[user] else f"{user}/ may see {sorted(SIDES[user])} only"
    if used in SIDES:
        return None if user in SEES_A_SIDE else f"only {sorted(SEES_A_SIDE)} may see {used}/"
    if used not in ROW or user not in ROW:
        return f"{used if used not in ROW else user} has no layer"
    return None if ROW[used] < ROW[user] else f"{used} is not below {user}"


@pytest.mark.parametrize(("name", "path"), modules().items(), ids=modules())
def test_a_module_imports_only_from_lower_layers(name: str, path: Path):
    """Strictly lower, or siblings of its own folder."""
    user = name.split("/", maxsplit=1)[0]
    faults = [
        f"line {node.lineno}: {found}"
        for full, node in imports(name, path)
        if (used := part(full)) is not None and (found := fault(user, used)) is not None
    ]
    assert faults == []


@pytest.mark.parametrize(("name", "path"), modules().items(), ids=modules())
def test_what_is_not_ours_is_imported_in_one_place(name: str, path: Path):
    """So that it can be replaced, and so that a bare install imports."""
    if name.startswith("sandbox/"):
        return
    for full, node in imports(name, path):
        foreign = full.partition(".")[0]
        allowed = ONLY.get(foreign)
        assert allowed is None or {name, name.split("/", maxsplit=1)[0]} & allowed, (
            f"line {node.lineno}"
        )


@pytest.mark.parametrize(("name", "path"), modules().items(), ids=modules())
def test_an_extra_is_imported_where_it_is_used(name: str, path: Path):
    """At the top of a module stand the standard library and the four dependencies only."""
    if name.startswith("cli/"):
        return  # the command line is an extra itself
    tree = ast.parse(path.read_text("utf-8"))
    top = {node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))}
    for full, node in imports(name, path):
        foreign = full.partition(".")[0]
        if node in top and foreign not in {PACKAGE, "__future__", *sys.stdlib_module_names}:
            assert foreign in DEPENDENCIES, f"line {node.lineno}: {foreign}"


def test_every_part_has_its_place():
    """A new module must be given a layer."""
    parts = {name.split("/")[0] for name in modules()}
    assert parts - set(ROW) - set(SIDES) == set()
    assert [number for number, _ in LAYERS] == sorted(number for number, _ in LAYERS)
    assert len(modules()) > 50


def test_the_rules_can_be_broken():
    """Each of them finds what it is there for."""
    assert fault("models", "query") == "query is not below models"
    assert fault("errors", "observe") == "observe is not below errors"
    assert fault("observe", "_refs") == "_refs is not below observe"
    assert fault("sandbox", "query")
    assert fault("client", "sandbox")
    assert fault("client", "newcomer") == "newcomer has no layer"
    assert fault("cli", "sandbox") is None
    assert fault("query", "models") is None


def test_imports_are_found_however_they_are_written(tmp_path: Path):
    """Relative ones, those inside functions, and not those for type checkers."""
    path = tmp_path / "x.py"
    path.write_text(
        "from __future__ import annotations\n"
        "import aiohttp.web\n"
        "from . import _a\n"
        "from .. import errors\n"
        "from ..query import F\n"
        "from chargeover_async.models import x\n"
        "if TYPE_CHECKING:\n    from ..client import ChargeOver\n"
        "def f():\n    import rich\n"
    )
    assert {full for full, _ in imports("bulk/x", path)} == {
        "__future__",
        "aiohttp.web",
        "chargeover_async.bulk",
        "chargeover_async.errors",
        "chargeover_async.query",
        "chargeover_async.models",
        "rich",
    }
