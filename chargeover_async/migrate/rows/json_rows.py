"""JSON Lines: an object on each line, numbers exact."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar, NoReturn, cast

from .row import BadFile, BadRow, Row, Skip
from .source import Source

LONGEST = 1 << 26  # characters of a line
DEEPEST = 100  # lists and objects in one another; Python's own limit is 1,000 or so


class JsonSource(Source, frozen=True):
    """A JSON Lines file."""

    format: ClassVar[str] = "jsonl"
    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """See `Source.rows`."""
        with self._open() as file:
            line = 0
            while text := file.readline(LONGEST):
                line += 1
                if len(text) == LONGEST:
                    raise BadFile(f"{self.name} row {line} is longer than {LONGEST} characters")
                if text.strip() and (skip is None or not skip(line)):
                    yield _row(line, text)


def _row(line: int, text: str) -> Row | BadRow:
    try:
        # Counted at once, and too high where brackets stand in texts: few rows have so many.
        if text.count("[") + text.count("{") > DEEPEST and _depth(text) > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        value: object = json.loads(
            text,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_twice,
        )
    except ValueError as error:
        return BadRow(line, f"not a JSON value: {error}", text.rstrip("\n"))
    if isinstance(value, dict):
        return Row(line, cast("dict[str, Any]", value))
    kind = _KINDS.get(type(value), "a number")
    return BadRow(line, f"not a JSON object but {kind}", value)


def _depth(text: str) -> int:
    depth = deepest = 0
    for sign in re.findall(r'"(?:[^"\\]|\\.)*"|[\[{\]}]', text):
        if sign in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in "]}":
            depth -= 1
    return deepest


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the name "{twice}" stands there twice')
    return found


_KINDS: dict[type, str] = {
    list: "a list",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}

__all__ = ("JsonSource",)
