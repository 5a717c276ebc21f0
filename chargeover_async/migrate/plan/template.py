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
    """A parsed template; ``parts`` alternates literal text and column names, text first.

    ``columns`` are those that it names, in order; ``alone`` is the one that it consists of, if it
    is one and nothing else. Both follow from the parts, and are asked for at every row.
    """

    source: str
    parts: tuple[str, ...]
    columns: tuple[str, ...] = ()
    alone: str | None = None

    def __post_init__(self) -> None:
        columns = self.parts[1::2]
        only = len(columns) == 1 and not self.parts[0] and not self.parts[2]
        msgspec.structs.force_setattr(self, "columns", columns)
        msgspec.structs.force_setattr(self, "alone", columns[0] if only else None)

    def is_empty(self, cells: Mapping[str, Any]) -> bool:
        """Whether it names columns and all of them are empty in this row."""
        for column in self.columns:
            value = cells.get(column)
            if (value and not value.isspace()) if type(value) is str else not is_empty(value):
                return False
        return bool(self.columns)

    def fill(self, cells: Mapping[str, Any]) -> Any:
        """Its value for one row; ValueError when a list or object stands among other text."""
        if self.alone is not None:
            return cells.get(self.alone)
        out = list(self.parts)
        for index, column in enumerate(self.columns):
            value = cells.get(column)
            out[2 * index + 1] = value if type(value) is str else _text(value, column)
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
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def _text(value: Any, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, Decimal)):
        return str(value)
    raise ValueError(f'column "{column}" holds a JSON list or object, which can only stand alone')


__all__ = ("Template", "is_empty", "parse_template")
