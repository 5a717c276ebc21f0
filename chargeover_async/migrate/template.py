"""Templates: a text with ``{Column}`` in it, filled from the cells of a row.

``{{`` and ``}}`` stand for braces. A template that is one column and nothing else keeps the type
of a JSON cell; any other gives text, trimmed at both ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from chargeover_async.errors import UsageError

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


class Template(msgspec.Struct, frozen=True):
    """A parsed template; ``parts`` alternates literal text and column names, text first."""

    source: str
    parts: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names, in order."""
        return self.parts[1::2]

    def is_empty(self, cells: Mapping[str, Any]) -> bool:
        """Whether it names columns and all of them are empty in this row."""
        return len(self.parts) > 1 and all(is_empty(cells.get(one)) for one in self.columns)

    def fill(self, cells: Mapping[str, Any]) -> Any:
        """Its value for one row; ValueError when a list or object stands among other text."""
        parts = self.parts
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return cells.get(parts[1])
        out = [
            _text(cells.get(part), part) if index % 2 else part for index, part in enumerate(parts)
        ]
        return "".join(out).strip()


def parse_template(source: str) -> Template:
    """Read a template; raises UsageError for a brace that opens or closes nothing."""
    parts = [""]
    end = 0
    for token in _TOKEN.finditer(source):
        parts[-1] += source[end : token.start()]
        end = token.end()
        if token[1] is not None:
            parts += [token[1], ""]
        elif len(token[0]) == 2:
            parts[-1] += token[0][0]
        else:
            raise UsageError(
                f'"{source}" has a lone "{token[0]}" at position {token.start() + 1}; '
                'columns are written {Column}, braces are doubled: "{{" and "}}"'
            )
    parts[-1] += source[end:]
    return Template(source, tuple(parts))


def is_empty(value: object) -> bool:
    """Whether a cell counts as empty: absent, null, or nothing but white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def _text(value: Any, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, Decimal)):
        return str(value)
    raise ValueError(f'column "{column}" holds a JSON list or object, which can only stand alone')


__all__ = ("Template", "is_empty", "parse_template")
