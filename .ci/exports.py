"""Writes the lists that follow from the models and the resources, so that nobody keeps them.

    python .ci/exports.py [--check]

A module under ``models/`` or ``resources/`` says in ``__all__`` what it offers. From that are made:
what the two folders and the root of the package offer, the attributes of a client
(``resources/table.py``), and the table of ``docs/api.md``. ``--check`` writes nothing and exits
with 1, naming them, if a file is not as it would be written.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "chargeover_async"
MODELS, CALLS = PACKAGE / "models", PACKAGE / "resources"
WIDTH = 100

Names = Mapping[str, tuple[str, ...]]


def in_order(names: Iterable[str]) -> list[str]:
    """Constants, classes, functions, each by the alphabet: the order that the linter keeps."""
    return sorted(names, key=lambda name: (not _is_constant(name), not name[0].isupper(), name))


def _is_constant(name: str) -> bool:
    return name.isupper() and len(name) > 1


def offered(folder: Path) -> Names:
    """Module -> its ``__all__``, for the modules of a folder that have one."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                found[path.stem] = ast.literal_eval(node.value)
    return {module: names for module, names in found.items() if module != "__init__"}


def resources() -> Iterator[tuple[str, str, str]]:
    """Attribute, class and module of each object, by attribute."""
    found: list[tuple[str, str, str]] = []
    for path in sorted(CALLS.glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                own = {
                    ast.unparse(line.targets[0]): line.value
                    for line in node.body
                    if isinstance(line, ast.Assign)
                }
                if "object" in own:
                    found.append((ast.literal_eval(own["attribute"]), node.name, path.stem))
    yield from sorted(found)


def imports(names: Names, package: str = ".") -> str:
    """Import statements as the formatter has them."""
    lines: list[str] = []
    for module, wanted in sorted(names.items()):
        ordered = sorted(in_order(wanted), key=lambda name: (not _is_constant(name), name.lower()))
        line = f"from {package}{module} import {', '.join(ordered)}"
        if len(line) > WIDTH:
            line = "\n    ".join([f"from {package}{module} import (", *[f"{n}," for n in ordered]])
            line += "\n)"
        lines.append(line)
    return "\n".join(lines)


def all_of(names: Iterable[str]) -> str:
    """The statement ``__all__ = ...``."""
    return "\n    ".join(["__all__ = (", *[f'"{name}",' for name in in_order(names)]]) + "\n)\n"


def folder_text(path: Path, given: Names) -> str:
    """A folder's ``__init__``: its docstring, what stands in private modules, what is offered."""
    text = path.read_text("utf-8")
    head = text[: text.index("\nfrom __future__")]
    found = {**given, **offered(path.parent)}
    names = [name for names in found.values() for name in names]
    return f"{head}\nfrom __future__ import annotations\n\n{imports(found)}\n\n{all_of(names)}"


def table_text(path: Path) -> str:
    """``resources/table.py`` with every object as an import and as an attribute."""
    text = path.read_text("utf-8")
    modules: dict[str, tuple[str, ...]] = {}
    attributes = ""
    for attribute, name, module in resources():
        modules[module] = (*modules.get(module, ()), name)
        attributes += f"    {attribute}: {name}\n"
    text = re.sub(
        r"(?m)(^from \.(?!_)\w+ import (\([^)]*\)|.*)\n)+", lambda _: f"{imports(modules)}\n", text
    )
    return re.sub(r"(?m)(^    [a-z_]+: \w+\n)+", lambda _: attributes, text, count=1)


def root_text(path: Path) -> str:
    """The package's ``__init__``: every record of the models, and what it imports besides."""
    text = path.read_text("utf-8")
    records = (
        name
        for module, names in offered(MODELS).items()
        for name in names
        if name in records_of(MODELS / f"{module}.py")
    )
    models = imports({"models": (*records, "Record")})
    text = re.sub(r"from \.models import \([^)]*\)", lambda _: models, text)
    imported = [
        alias.asname or alias.name
        for node in ast.parse(text).body
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    ]
    return text[: text.index("__all__ = (")] + all_of([*imported, "__version__"])


def records_of(path: Path) -> set[str]:
    """The structs of a module; its other classes are TypedDicts, which say ``total=False``."""
    return {
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and "total" not in {k.arg for k in node.keywords}
    }


# What a folder offers out of its private modules.
GIVEN_MODELS = {"_json.base": ("Record",), "_json.mend": ("DateFormat",)}
GIVEN_CALLS = {
    "_calls.answers": ("OnUnreadable",),
    "_calls.kinds": ("Resource",),
    "_calls.options": ("ActionForm",),
    "_calls.target": ("ExternalKey", "Target", "Token"),
    "_calls.upserting": ("Upserted",),
}


def texts() -> Iterator[tuple[Path, str]]:
    """Each file with the text that it should have."""
    path = MODELS / "__init__.py"
    yield path, folder_text(path, GIVEN_MODELS)
    path = CALLS / "__init__.py"
    yield path, folder_text(path, GIVEN_CALLS)
    path = CALLS / "table.py"
    yield path, table_text(path)
    path = PACKAGE / "__init__.py"
    yield path, root_text(path)
    path = ROOT / "docs" / "api.md"
    yield path, api_text(path)  # the last one, as it imports what was written


HEAD = "| object | attribute | record | methods |\n|---|---|---|---|\n"
_FIRST = ("get", "list", "iterate", "count", "revisions", "create", "update", "delete")


def methods(resource: type) -> list[str]:
    """The public methods of an object: what its bases have first, then its own."""
    names = [
        name
        for kind in reversed(resource.__mro__)
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]
    found = [name for name in _FIRST if name in names]
    found += dict.fromkeys(name for name in names if name not in _FIRST)
    return (["(call it)"] if "__call__" in vars(resource) else []) + found


def api_text(path: Path) -> str:
    """``docs/api.md`` with its table of objects; the package is imported as it is on the disk."""
    sys.path.insert(0, str(ROOT))
    from chargeover_async.resources import RESOURCES

    rows = [
        f"| `{resource.object}` | `co.{resource.attribute}` | `{resource.model.__name__}` "
        f"| {', '.join(f'`{name}`' for name in methods(resource))} |\n"
        for resource in sorted(RESOURCES.values(), key=lambda resource: resource.attribute)
    ]
    text = path.read_text("utf-8")
    start = text.index(HEAD)
    return text[:start] + HEAD + "".join(rows) + text[text.index("\n\n", start) + 1 :]


def main() -> int:
    """Write, or check."""
    is_check = "--check" in sys.argv
    changed: list[str] = []
    for path, text in texts():
        if path.read_text("utf-8") != text:
            changed.append(str(path.relative_to(ROOT)))
            if not is_check:
                path.write_text(text, "utf-8")
    print("".join(f"{name}\n" for name in changed), end="")
    return int(is_check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
