"""Writes the pages of the reference, plain Markdown, from the package itself.

    python .ci/reference.py docs/reference

A page for each public module, and one for each object of the API with its calls and fields. All of
it is read from the code at run time: docstrings, signatures, and the structs and TypedDicts that
answers are decoded into and arguments are checked by.
"""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

import chargeover_async
from chargeover_async import vocabulary
from chargeover_async.resources import RESOURCES

MODULES = {
    "client": ("chargeover_async", "The client, and what can be imported from the root"),
    "bulk": ("chargeover_async.bulk", "Bulk scopes and streams"),
    "operation": ("chargeover_async.operation", "Operations and outcomes"),
    "query": ("chargeover_async.query", "Filters and orders"),
    "errors": ("chargeover_async.errors", "Exceptions"),
    "retry": ("chargeover_async.retry", "What is sent again"),
    "limits": ("chargeover_async.limits", "The request quota"),
    "limits-redis": ("chargeover_async.limits.redis", "A quota in Redis or Valkey"),
    "limits-file": ("chargeover_async.limits.file", "A quota in a file"),
    "observe": ("chargeover_async.observe", "Events and counters"),
    "auth": ("chargeover_async.auth", "Credentials and signatures"),
    "webhooks": ("chargeover_async.webhooks", "Webhooks"),
    "migrate": ("chargeover_async.migrate", "Imports"),
    "export": ("chargeover_async.export", "Exports and syncs"),
    "cluster": ("chargeover_async.cluster", "Tasks of engines"),
    "dlt": ("chargeover_async.dlt", "A source for dlt"),
    "spark": ("chargeover_async.spark", "A data source for Spark"),
    "sandbox": ("chargeover_async.sandbox", "The sandbox"),
    "testing": ("chargeover_async.testing", "Tests of services"),
    "models": ("chargeover_async.models", "Records, and what may be written"),
    "resources": ("chargeover_async.resources", "Calls"),
    "vocabulary": ("chargeover_async.vocabulary", "The vendor's codes"),
}
"""Page -> module and title; the test of the reference knows that no public module is missing."""

_HOMES = sorted(
    MODULES, key=lambda page: page == "client"
)  # what the root re-exports is at home there

_WORDS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    bool: "yes or no",
    Decimal: "amount",
    dt.date: "date",
    dt.datetime: "date with time",
    float: "number",
    Any: "any",
}
_KINDS = {"money": "amount", "day": "date", "moment": "date with time", "flag": "yes or no"}
_KINDS |= {"integer": "whole number", "mixed": "any", "secret": "text, shown by no message"}


def prose(text: str | None) -> str:
    """A docstring as Markdown: literal blocks become fenced ones, double backticks single."""
    lines = inspect.cleandoc(text or "").partition("\nPYTEST_DONT_REWRITE")[0].split("\n")
    found: list[str] = []
    while lines:
        line = lines.pop(0)
        if not line.endswith("::"):
            found.append(line.replace("``", "`"))
        else:
            found.append(line.replace("``", "`").removesuffix("::" if line == "::" else ":"))
            shown: list[str] = []
            while lines and (not lines[0].strip() or lines[0].startswith(" ")):
                shown.append(lines.pop(0))
            block = textwrap.dedent("\n".join(shown)).strip("\n")
            found += ["", "```text", *block.split("\n"), "```", ""]
    return "\n".join(found).strip()


def said(value: Any) -> str:
    """The docstring of a class; that of dict is not one of ours."""
    text = inspect.getdoc(value)
    return "" if text == inspect.getdoc(dict) else prose(text)


def first_sentence(value: Any) -> str:
    """What it is, for a table."""
    text = prose(inspect.getdoc(value)).partition("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[^.]\.)\s(?=[A-Z`])", text)[0].replace("|", "\\|")


# -- types in words -----------------------------------------------------------------------------


def _parts(kind: Any) -> Iterator[Any]:
    """The alternatives of a type, without None."""
    origin = get_origin(kind)
    if origin in {typing.Annotated, typing.Required, typing.NotRequired}:
        yield from _parts(get_args(kind)[0])
    elif origin in {Union, types.UnionType}:
        for part in get_args(kind):
            yield from _parts(part)
    elif kind not in {type(None), None}:
        yield kind


def words(kind: Any) -> str:
    """A type as people say it: ``Decimal | None`` is an amount."""
    if get_origin(kind) is typing.Annotated and isinstance(get_args(kind)[1], str):
        return _KINDS.get(get_args(kind)[1], get_args(kind)[1])
    found: list[str] = []
    for part in _parts(kind):
        name = _word(part)
        if name and name not in found:
            found.append(name)
    return " or ".join(found) or "any"


def _word(part: Any) -> str:
    if inspect.isclass(part) and (is_typeddict(part) or issubclass(part, msgspec.Struct)):
        return f"`{part.__name__}`"
    if part in _WORDS:
        return _WORDS[part]
    origin, inner = get_origin(part), [each for each in get_args(part) if each is not Ellipsis]
    if origin and inspect.isclass(origin) and issubclass(origin, Mapping):
        return "object"
    if origin and inspect.isclass(origin) and issubclass(origin, Iterable):
        return f"list of {words(inner[0])}"
    if origin is typing.Literal:
        return " or ".join(f"`{value!r}`" for value in inner)
    return f"`{getattr(part, '__name__', part)}`"


def hints(shape: type[Any]) -> dict[str, Any]:
    """Field -> type, of a struct or a TypedDict, under the names that travel."""
    found = get_type_hints(shape, include_extras=True)
    if is_typeddict(shape):
        return dict(sorted(found.items(), key=lambda field: _shared(field[0])))
    fields = msgspec.structs.fields(shape)
    named = {field.encode_name: found[field.name] for field in fields}
    return dict(sorted(named.items(), key=lambda field: _shared(field[0])))


def _shared(name: str) -> int:
    """What many objects have comes behind what is an object's own: addresses, custom fields."""
    return 2 if name.startswith("custom_") else 1 if re.match("(bill|ship)_", name) else 0


def nested(shape: type[Any]) -> Iterator[type[Any]]:
    """The shapes that fields of a shape hold, theirs too, each once."""
    seen: list[type[Any]] = []

    def walk(kind: Any) -> None:
        for part in _parts(kind):
            for inner in get_args(part):
                walk(inner)
            is_shape = inspect.isclass(part) and (
                is_typeddict(part) or issubclass(part, msgspec.Struct)
            )
            if is_shape and part is not shape and part not in seen:
                seen.append(part)
                for inner in hints(part).values():
                    walk(inner)

    for kind in hints(shape).values():
        walk(kind)
    yield from seen


# -- signatures ---------------------------------------------------------------------------------


def signature(name: str, function: Callable[..., Any], record: str = "T") -> str:
    """A call as it is typed, ``**fields`` written out, and what it gives by default."""
    found = inspect.signature(function)
    plain = [each for each in found.parameters.values() if each.name not in {"self", "cls"}]
    plain.sort(key=lambda each: each.name == "extra")
    written: list[str] = []
    starred = False
    for each in plain:
        if each.kind is each.KEYWORD_ONLY and not starred:
            starred = True
            written.append("*")
        starred = starred or each.kind is each.VAR_POSITIONAL
        if each.kind is each.VAR_KEYWORD and (shape := unpacked(function)):
            if not starred:
                written.append("*")
            written += [f"{field}: {_python(kind)} = ..." for field, kind in hints(shape).items()]
        else:
            written.append(_parameter(each))
    usual = [inspect.signature(each) for each in typing.get_overloads(function)][:1]
    result = re.sub(r"\bT\b", record, _python((usual or [found])[0].return_annotation))
    tail = f" -> {result}" if result else ""
    line = f"{name}({', '.join(written)}){tail}"
    if len(line) <= 88:
        return line
    return f"{name}(\n" + "".join(f"    {each},\n" for each in written) + f"){tail}"


def unpacked(function: Callable[..., Any]) -> type[Any] | None:
    """The TypedDict behind ``**fields: Unpack[...]``."""
    for kind in get_type_hints(function, include_extras=True).values():
        if get_origin(kind) is typing.Unpack:
            return typing.cast("type[Any]", get_args(kind)[0])
    return None


def _parameter(each: inspect.Parameter) -> str:
    star = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    kind = _python(each.annotation)
    text = f"{star}{each.name}" + (f": {kind}" if kind else "")
    if each.default is each.empty:
        return text
    return f"{text} = {_default(each.default)}"


def _default(value: Any) -> str:
    text = "..." if " object at 0x" in repr(value) else repr(value)
    return getattr(value, "__name__", text) if inspect.isroutine(value) else text


def _python(kind: Any) -> str:
    if kind is inspect.Parameter.empty:
        return ""
    if get_origin(kind) is typing.Annotated:
        if get_args(kind)[1] == "mixed":
            return "Any"
        kind = get_args(kind)[0]
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    text = re.sub(r"Optional\[([^\[\]]+)\]", r"\1 | None", text)
    text = (
        re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)
        .replace("NoneType", "None")
        .replace("~", "")
    )
    return re.sub(r"<(?:class|enum) '(\w+)'>", r"\1", text)


def code(text: str) -> str:
    """A fenced block that is shown, not run."""
    return f"```py\n{text}\n```"


# -- classes and functions ----------------------------------------------------------------------


def members(owner: type[Any]) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class of ours, in the order of the source."""
    seen: set[str] = set()
    for base in owner.__mro__:
        if not base.__module__.startswith("chargeover_async"):
            continue
        for name, value in vars(base).items():
            inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if name[0] == "_" or name in seen or not inspect.getdoc(inner):
                continue
            if inspect.isfunction(inner) or isinstance(inner, property):
                seen.add(name)
                yield name, inner


def described(name: str, value: Any) -> str:
    """One public name: a heading, how it is called, what it says, its parts."""
    lines = [f"### `{name}`", ""]
    if inspect.isclass(value):
        lines += [*_class(name, value)]
    elif inspect.isroutine(value):
        lines += [code(signature(name, value)), "", prose(inspect.getdoc(value)), ""]
    else:
        shown = _python(value) if get_origin(value) else repr(value)
        lines += [code(f"{name} = {textwrap.shorten(shown, 300)}"), ""]
    return "\n".join(lines)


def _class(name: str, value: type[Any]) -> Iterator[str]:
    if is_typeddict(value) or value.__module__.startswith("chargeover_async.models"):
        yield from (said(value), "")
        yield from fields_table([("", value)])
    elif issubclass(value, BaseException):
        tree = [base.__name__ for base in value.__mro__ if base.__module__ in MODULE_NAMES]
        yield from (f"`{' < '.join(tree)}`", "", prose(inspect.getdoc(value)), "")
    else:
        is_struct = issubclass(value, msgspec.Struct)
        if (is_struct or "__init__" in vars(value)) and not getattr(value, "_is_protocol", False):
            yield from (code(signature(name, value)), "")
        yield from (prose(inspect.getdoc(value)), "")
        constants = list(_constants(value))
        if constants:
            yield from ("| name | value | meaning |", "|---|---|---|", *constants, "")
    for each, inner in members(value):
        yield f"#### `{name}.{each}`"
        yield ""
        if not isinstance(inner, property):
            yield from (code(signature(each, inner)), "")
        yield from (prose(inspect.getdoc(inner)), "")


def _constants(value: type[Any]) -> Iterator[str]:
    """Constants of a class with the text that stands below each in the source."""
    if value.__module__ != vocabulary.__name__:
        return
    for name, word, meaning in _CODES.get(value.__name__, ()):
        yield f"| `{name}` | `{word}` | {meaning} |"


def _codes() -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    owner = ""
    source = inspect.getsource(vocabulary)
    pattern = r'^class (\w+)|^    (\w+): Final = (\S+)\n    """(.*?)"""'
    for match in re.finditer(pattern, source, re.MULTILINE | re.DOTALL):
        owner = match[1] or owner
        if match[2]:
            meaning = prose(match[4]).replace("\n", " ").replace("|", "\\|")
            word = getattr(getattr(vocabulary, owner), match[2])
            found.setdefault(owner, []).append((match[2], word, meaning))
    return found


_CODES = _codes()
MODULE_NAMES = frozenset(name for name, _ in MODULES.values())


def fields_table(shapes: list[tuple[str, type[Any]]], *, marks: bool = False) -> Iterator[str]:
    """The fields of shapes that belong together; ``marks`` adds a column that says in which."""
    found: dict[str, tuple[str, list[str]]] = {}
    for title, shape in shapes:
        for name, kind in hints(shape).items():
            found.setdefault(name, (words(kind), []))[1].append(title)
    if not found:
        return
    told = any(map(meaning, found))
    yield f"| field | type |{' where |' * marks}{' meaning |' * told}"
    yield f"|{'---|' * (2 + marks + told)}"
    for name, (kind, titles) in found.items():
        cells = [f"`{name}`", kind, *[", ".join(titles)] * marks, *[meaning(name)] * told]
        yield f"| {' | '.join(cells)} |"
    yield ""


def meaning(name: str) -> str:
    """The vendor's codes of a field, and what its name stands for."""
    for owner, codes in _CODES.items():
        told = inspect.getdoc(getattr(vocabulary, owner)) or ""
        if f"``{name}``" in told and name not in {"type", "type_hint", "status"}:
            return ", ".join(f"`{word}` {text.rstrip('.')}" for _, word, text in codes)
    if found := re.fullmatch(r"(\w+)_(external_key|token)", name):
        return f"stands for `{found[1]}_id`"
    return ""


# -- pages --------------------------------------------------------------------------------------


def public(module: types.ModuleType) -> tuple[str, ...]:
    """What a module lists; vocabulary lists its classes."""
    return tuple(name for name in module.__all__ if name != "__version__")


def homes() -> dict[int, str]:
    """Where each public name is described: the page that lists it, the root last."""
    found: dict[int, str] = {}
    for page in _HOMES:
        module = importlib.import_module(MODULES[page][0])
        for name in public(module):
            value = getattr(module, name)
            if page != "resources" or value not in RESOURCES.values():
                found.setdefault(id(value), page)
    for resource in RESOURCES.values():
        found[id(resource)] = f"objects/{resource.attribute}"
    return found


def module_page(page: str, where: Mapping[int, str]) -> str:
    """A module: its docstring, a table of its names, each name described."""
    name, title = MODULES[page]
    module = importlib.import_module(name)
    ours, elsewhere = [], []
    for each in public(module):
        home = where[id(getattr(module, each))]
        (ours if home == page else elsewhere).append((each, home))
    lines = [f"# {title}", "", f"`import {name}`", "", prose(module.__doc__), ""]
    if elsewhere:
        linked = ", ".join(f"[`{each}`]({home}.md)" for each, home in elsewhere)
        lines += [f"Described elsewhere: {linked}.", ""]
    lines += ["## Names", ""]
    lines += [described(each, getattr(module, each)) for each, _ in ours]
    return "\n".join(lines)


def object_page(resource: type[Any]) -> str:
    """An object: its calls, each with its fields, and the record with all of them."""
    attribute, model = resource.attribute, resource.model
    calls = list(members(resource))
    if "__call__" in vars(resource):
        calls.insert(0, ("__call__", resource.__call__))
    lines = [
        f"# co.{attribute}",
        "",
        prose(resource.__doc__),
        "",
        "| call | what it does |",
        "|---|---|",
    ]
    lines += [
        f"| [`{_bare(attribute, name)}`](#{_bare(attribute, name)}) | {first_sentence(call)} |"
        for name, call in calls
    ]
    lines += ["", "Every call can be awaited, and taken by `co.stream` and a bulk scope.", ""]
    lines += ["## Calls", ""]
    for name, call in calls:
        if isinstance(call, property):
            continue
        lines += [
            f"### `{_bare(attribute, name)}`",
            "",
            code(signature(_called(attribute, name), call, model.__name__)),
            "",
        ]
        lines += [prose(inspect.getdoc(call)), ""]
        if name == "create" and resource.needs:
            needed = ", and ".join(
                " or ".join(f"`{each}`" for each in group) for group in resource.needs
            )
            lines += [f"A new one needs {needed}.", ""]
    record = [("answers", model)] if inspect.isclass(model) and hints(model) else []
    shapes = record + [(verb, shape) for verb, shape in resource.writes.items()]
    if shapes:
        note = "Where: in answers, and what may be given to which call."
        lines += ["## Fields", "", note, "", *fields_table(shapes, marks=True)]
    if record:
        lines += [f"Answers are `{model.__name__}`: {prose(model.__doc__)}", ""]
    inner: list[type[Any]] = []
    for _, shape in shapes:
        inner += [each for each in nested(shape) if each not in inner]
    for shape in inner:
        lines += [
            f"## {shape.__name__}",
            "",
            said(shape),
            "",
            *fields_table([("", shape)]),
        ]
    return "\n".join(lines)


def _called(attribute: str, name: str) -> str:
    return f"co.{attribute}" if name == "__call__" else f"co.{attribute}.{name}"


def _bare(attribute: str, name: str) -> str:
    return attribute if name == "__call__" else name


def index() -> str:
    """The first page of the reference."""
    lines = [
        "# Reference",
        "",
        "Made from the code: what its docstrings say is what these pages say.",
        "",
    ]
    lines += ["## Objects", "", "| object | calls | record |", "|---|---|---|"]
    for resource in sorted(RESOURCES.values(), key=lambda each: each.attribute):
        link = f"[`co.{resource.attribute}`](objects/{resource.attribute}.md)"
        lines.append(f"| `{resource.object}` | {link} | `{resource.model.__name__}` |")
    lines += ["", "## Modules", "", "| module | what is in it |", "|---|---|"]
    lines += [f"| [`{name}`]({page}.md) | {title} |" for page, (name, title) in MODULES.items()]
    return "\n".join(lines)


def pages() -> Iterator[tuple[str, str]]:
    """Path and text of every page."""
    where = homes()
    yield "index.md", index()
    for page in MODULES:
        yield f"{page}.md", module_page(page, where)
    for resource in RESOURCES.values():
        yield f"objects/{resource.attribute}.md", object_page(resource)


def main(folder: Path) -> None:
    """Write them all."""
    for name, text in pages():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    print(f"the reference of chargeover_async {chargeover_async.__version__}")
