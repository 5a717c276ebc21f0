"""JSON Lines: an object on each line, numbers exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar, NoReturn, cast

from .row import BadRow, Row, Skip
from .source import Source


class JsonSource(Source, frozen=True):
    """A JSON Lines file."""

    format: ClassVar[str] = "jsonl"
    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """See `Source.rows`."""
        with self._open() as file:
            for line, text in enumerate(file, 1):
                if text.strip() and (skip is None or not skip(line)):
                    yield _row(line, text)


def _row(line: int, text: str) -> Row | BadRow:
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except ValueError as error:
        return BadRow(line, f"not a JSON value: {error}", text.rstrip("\n"))
    if isinstance(value, dict):
        return Row(line, cast("dict[str, Any]", value))
    kind = _KINDS.get(type(value), "a number")  # pyright: ignore[reportUnknownArgumentType]
    return BadRow(line, f"not a JSON object but {kind}", value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_KINDS: dict[type, str] = {
    list: "a list",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}

__all__ = ("JsonSource",)
