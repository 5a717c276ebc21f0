"""Who may import whom, how long a module and how full a folder may grow: held by reading the code.

Arrows go down: a room (a folder, or a module of the root) sees the rooms above it in `FLOORS`,
never its own floor and never a later one; the modules of one room see each other, without a circle.
Imports for a type checker only count, too: they hide circles, but do not open them.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import chargeover_async

ROOT = Path(chargeover_async.__file__).parent
PACKAGE = "chargeover_async"

# From the bottom up; "." stands for the modules that lie in the folder itself.
FLOORS: dict[str, list[set[str]]] = {
    "": [
        {"errors", "vocabulary"},
        {"observe", "_hints", "auth"},
        {"_extras", "_refs", "retry"},
        {"models"},
        {"query", "webhooks"},
        {"limits", "_wire"},
        {"operation"},
        {"_send"},
        {"resources"},
        {"bulk"},
        {"client"},
        {"export"},
        {"migrate"},
        {"cluster"},
        {"spark", "dlt"},
        {"cli"},
        {"__init__", "__main__", "testing"},
    ],
    "migrate": [
        {"mask"},
        {"rows"},
        {"plan"},
        {"check"},
        {"difference"},
        {"journal"},
        {"job"},
        {"__init__"},
    ],
    "sandbox": [
        {"protocol"},
        {"store"},
        {"records"},
        {"objects"},
        {"api"},
        {"http"},
        {"server"},
        {"__init__"},
        {"__main__"},
    ],
    "models": [{"_json"}, {"."}],
    "resources": [{"_calls"}, {"."}],
}
# An emulator that shares the client's code shares its mistakes.
SIDES = {"sandbox": {"errors", "models"}}
SEES_A_SIDE = {"cli", "__main__", "testing"}

# Tables and proofs that are read from the top to the bottom.
LONG = {"vocabulary", "limits/window", "limits/ledger"}
LONGEST = 400
# The vendor's nouns, one file an object: a table of contents is as long as it is.
NOUNS = {"models", "resources"}
FULLEST = 15

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
    "rich": {"cli"},
}
# What a bare installation has: the standard library is everything else that is imported.
DEPENDENCIES = {"aiohttp", "yarl", "msgspec", "jsonpath_ng", "aiolimiter"}


def find_modules(root: Path) -> dict[str, Path]:
    """``"models/_json/read"`` -> its file."""
    return {
        path.relative_to(root).with_suffix("").as_posix(): path
        for path in sorted(root.rglob("*.py"))
    }


MODULES = find_modules(ROOT)


def imports(name: str, path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """The full names of what a module imports, wherever in it that stands."""
    folder = [PACKAGE, *name.split("/")[:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}", node


def module_of(full: str, modules: Iterable[str] = MODULES) -> str | None:
    """``"a/b"`` for ``"chargeover_async.a.b.Name"``; None for what is not ours."""
    parts = full.split(".")
    if parts[0] != PACKAGE:
        return None
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[1:length])
        for found in (name, f"{name}/__init__" if name else "__init__"):
            if found in modules:
                return found
    return None


def room_of(module: str, folder: str) -> str:
    """The room of ``folder`` that a module of it lies in."""
    rooms = set[str]().union(*FLOORS[folder])
    first, *rest = module.removeprefix(f"{folder}/" if folder else "").split("/")
    return "." if "." in rooms and first not in rooms and not rest else first


def fault_of(user: str, used: str) -> str | None:
    """What is wrong with one module importing another, and what to do; None when nothing is."""
    at = user.partition("/")[0], used.partition("/")[0]
    if at[0] != at[1]:
        if at[0] in SIDES:
            if at[1] in SIDES[at[0]]:
                return None
            return f"{at[0]}/ may see {sorted(SIDES[at[0]])} only: write what it needs in {at[0]}/"
        if at[1] in SIDES:
            return None if at[0] in SEES_A_SIDE else f"only {sorted(SEES_A_SIDE)} may see {at[1]}/"
        return _compare("", user, used)
    return _compare(at[0], user, used) if at[0] in FLOORS else None


def _compare(folder: str, user: str, used: str) -> str | None:
    rooms = room_of(user, folder), room_of(used, folder)
    floor_of = {room: floor for floor, names in enumerate(FLOORS[folder]) for room in names}
    for room in rooms:
        if room not in floor_of:
            return f"{folder or 'the package'} has no floor for {room}: give it one in FLOORS"
    if rooms[0] == rooms[1] or floor_of[rooms[1]] < floor_of[rooms[0]]:
        return None
    return (
        f"{rooms[1]} is not below {rooms[0]}: move what both need further down, or let {rooms[0]} "
        "ask for it by a Protocol of its own"
    )


def arrows(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Which modules of ours each module imports."""
    return {
        name: {
            used
            for full, _ in imports(name, path)
            if (used := module_of(full, modules)) not in {None, name}
        }
        for name, path in modules.items()
    }


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, however indirectly."""
    found = []
    left = dict(graph)
    while left:  # whoever imports nothing that is left is in no circle; nor is who nobody imports
        targets = {used for names in left.values() for used in names}
        ends = {
            name for name, names in left.items() if not names & set(left) or name not in targets
        }
        if not ends:
            found.append(sorted(left))
            break
        for name in ends:
            del left[name]
    return found


@pytest.mark.parametrize(("name", "path"), MODULES.items(), ids=MODULES)
def test_a_module_imports_only_from_below(name: str, path: Path) -> None:
    """Or from its own room."""
    faults = [
        f"line {node.lineno} imports {full}: {fault}"
        for full, node in imports(name, path)
        if (used := module_of(full)) is not None and (fault := fault_of(name, used)) is not None
    ]
    assert faults == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Within a room, either: what both sides need is a module of its own."""
    assert circles(arrows(MODULES)) == [], (
        "these import each other: put what both need into a module below them"
    )


@pytest.mark.parametrize(("name", "path"), MODULES.items(), ids=MODULES)
def test_no_module_grows_too_long(name: str, path: Path) -> None:
    """One that does knows two things."""
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= LONGEST or name in LONG, (
        f"{name} has {lines} lines: find the second thing that it knows, and give it a module"
    )


def test_no_folder_grows_too_full() -> None:
    """One that does holds two kinds of things; those of the vendor's nouns are tables."""
    files = Counter(path.parent.relative_to(ROOT).as_posix() for path in MODULES.values())
    full = {name: count for name, count in files.items() if count > FULLEST and name not in NOUNS}
    assert full == {}, "give what belongs together a folder of its own"


@pytest.mark.parametrize(("name", "path"), MODULES.items(), ids=MODULES)
def test_only_folders_and_the_root_hide_by_a_name(name: str, path: Path) -> None:
    """A leading underscore marks a private folder or a private module of the root."""
    *folders, module = name.split("/")
    assert not folders or not module.startswith("_") or module.startswith("__"), (
        "inside a folder no module has an underscore: the folder's __init__ lists what is public"
    )


@pytest.mark.parametrize(("name", "path"), MODULES.items(), ids=MODULES)
def test_what_is_not_ours_is_imported_in_one_place(name: str, path: Path) -> None:
    """So that it can be replaced, and so that a bare install imports."""
    if name.startswith("sandbox/"):
        return
    for full, node in imports(name, path):
        foreign = full.partition(".")[0]
        allowed = ONLY.get(foreign)
        assert allowed is None or {name, name.split("/", maxsplit=1)[0]} & allowed, (
            f"line {node.lineno}: {foreign} is for {sorted(allowed or ())} alone; ask there"
        )


@pytest.mark.parametrize(("name", "path"), MODULES.items(), ids=MODULES)
def test_an_extra_is_imported_where_it_is_used(name: str, path: Path) -> None:
    """At the top of a module stand the standard library and the four dependencies only."""
    if name.startswith("cli/"):
        return  # the command line is an extra itself
    tree = ast.parse(path.read_text("utf-8"))
    top = {node.lineno for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))}
    for full, node in imports(name, path):
        foreign = full.partition(".")[0]
        if node.lineno in top and foreign not in {PACKAGE, "__future__", *sys.stdlib_module_names}:
            assert foreign in DEPENDENCIES, (
                f"line {node.lineno}: import {foreign} inside the function that needs it"
            )


def test_every_room_of_the_table_is_there() -> None:
    """A floor for what is gone would be a false map."""
    for folder, floors in FLOORS.items():
        rooms = {room_of(name, folder) for name in MODULES if name.startswith(folder)}
        named = set[str]().union(*floors)
        assert named - rooms - {"."} == set(), (
            f"not there any more: take it out of FLOORS[{folder!r}]"
        )
    assert len(MODULES) > 150


def test_the_rules_can_be_broken() -> None:
    """Each of them finds what it is there for."""
    assert "query is not below models" in str(fault_of("models/customer", "query"))
    assert "errors is not below vocabulary" in str(fault_of("vocabulary", "errors"))
    assert "_hints is not below observe" in str(fault_of("observe", "_hints"))
    assert fault_of("sandbox/api/bulk", "query")
    assert fault_of("client", "sandbox/server")
    assert "no floor for newcomer" in str(fault_of("client", "newcomer"))
    assert "job is not below rows" in str(fault_of("migrate/rows/source", "migrate/job/feed"))
    assert fault_of("models/_json/read", "models/customer")
    assert fault_of("cli/sandbox", "sandbox/server") is None
    assert fault_of("query", "models/__init__") is None
    assert fault_of("models/customer", "models/_json/base") is None
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_imports_are_found_however_they_are_written(tmp_path: Path) -> None:
    """Relative ones, those inside functions, and those for type checkers."""
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
        "__future__.annotations",
        "aiohttp.web",
        "chargeover_async.bulk._a",
        "chargeover_async.errors",
        "chargeover_async.query.F",
        "chargeover_async.models.x",
        "chargeover_async.client.ChargeOver",
        "rich",
    }
    modules = {"query", "errors", "client", "models/__init__", "bulk/__init__"}
    assert module_of("chargeover_async.query.F", modules) == "query"
    assert module_of("chargeover_async.models.x", modules) == "models/__init__"
    assert module_of("aiohttp.web", modules) is None
