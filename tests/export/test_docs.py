"""What docs/export.md says is what the command does."""

from __future__ import annotations

import ast
import re
import shlex

import click
import pytest
from support.places import DOCS

from chargeover_async.cli import cli

DOCS = DOCS / "export.md"
TEXT = DOCS.read_text("utf-8")


def test_options_in_the_text_are_those_of_the_command() -> None:
    """None is missing, but for the one that every command has; none is made up."""
    told = set(re.findall(r"^\| `(--[a-z]+)", TEXT, flags=re.MULTILINE))
    there = {one.opts[0] for one in cli.commands["export"].params if one.opts[0].startswith("--")}
    assert told == there - {"--url"}
    sync = TEXT.partition("## Sync")[2].partition("\n## ")[0]
    for option in cli.commands["sync"].params:
        assert option.opts[0] in sync or option.opts[0] in {"object_name", "--url"}


def test_commands_in_the_text_can_be_parsed() -> None:
    """Each example is a command line that the command takes."""
    blocks = "".join(re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL))
    examples = blocks.replace("\\\n", " ").splitlines()
    assert len(examples) >= 4
    for example in examples:
        program, name, *words = shlex.split(example.partition("|")[0])
        assert program == "chargeover-async"
        assert cli.commands[name].make_context(name, words, parent=click.Context(cli))


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL))
def test_python_in_the_text_is_python(code: str) -> None:
    """And imports what exists."""
    tree = compile(
        code, str(DOCS), "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    assert isinstance(tree, ast.Module)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            exec(compile(ast.Module([node], []), str(DOCS), "exec"), {})  # noqa: S102
