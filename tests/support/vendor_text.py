"""The example requests and answers in the vendor's text, taken out of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from support.places import SHARED

_REQUEST = re.compile(r"(GET|POST|PUT|DELETE) (/\S+)(?: HTTP/1\.1)?")
_BARE = re.compile(r"/(?:api/)?v3/\S+")
_URL = re.compile(r"https://[\w.-]+(/api/v3/\S+)")
_CURL = re.compile(r"curl -u (\S+):(\S+) https://[\w.-]+(/api/v3/\S+)")
_HEADER = re.compile(r"[A-Z][A-Za-z-]+: .*")
_STATUS = re.compile(r"HTTP/1\.[01] (\d{3}) .*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(slots=True)
class Example:
    """A request of the text, and the answer that stands behind it, if one does.

    ``elided`` is true where the body of the request says "... other data here ...".
    """

    line: int
    method: str
    uri: str
    credentials: tuple[str, str] | None = None
    headers: list[str] = field(default_factory=list)
    body: Any = None
    elided: bool = False
    status: int | None = None
    answer: dict[str, Any] | None = None


def find_text() -> Path | None:
    """Where the text is; None where it is not."""
    given = os.environ.get("CHARGEOVER_TEXT")
    found = [Path(given)] if given else sorted(SHARED.glob("000_*.txt"))
    return next((path for path in found if path.is_file()), None)


def examples(text: str) -> Iterator[Example]:
    """Every example request, in order, each with what follows it."""
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        found = _request(lines[position], position + 1)
        position += 1
        if found is not None:
            position = _rest(lines, position, found)
            yield found


def _request(line: str, number: int) -> Example | None:
    line = line.strip()
    if match := _REQUEST.fullmatch(line):
        return Example(number, match[1], match[2])
    if match := _CURL.match(line):
        # The text's "…/CHANGE-THIS" stands for any request.
        return (
            None if "CHANGE" in match[3] else Example(number, "GET", match[3], (match[1], match[2]))
        )
    if match := _URL.fullmatch(line) or _BARE.fullmatch(line):
        return Example(number, "GET", match[1] if match.re is _URL else match[0])
    return None


def _rest(lines: list[str], position: int, example: Example) -> int:
    while position < len(lines) and _HEADER.fullmatch(lines[position]):
        example.headers.append(lines[position])
        position += 1
    if position < len(lines) and lines[position] in ("{", "["):
        position, example.body, example.elided = read_json(lines, position)
    if lines[position : position + 1] == ["API Response"]:
        position += 1
        if match := _STATUS.fullmatch(lines[position]):
            example.status = int(match[1])
            position += 1
        while _HEADER.fullmatch(lines[position]):
            position += 1
        position, example.answer, _ = read_json(lines, position)
    return position


def read_json(lines: list[str], position: int) -> tuple[int, Any, bool]:
    """The JSON that starts at a line, though "..." stands for parts of it or for its end."""
    kept: list[str] = []
    open_: list[str] = []
    elided = False
    while position < len(lines):
        line = lines[position]
        position += 1
        if line.strip().startswith("..."):
            elided = True
            continue
        bare = _QUOTED.sub("", line)
        if elided and not re.fullmatch(r'[\s"{}\[\]:,\w.-]*', bare):
            position -= 1
            break
        if elided and not (bare.strip() and bare.strip()[0] in "{}[]:,"):
            position -= 1  # prose: the answer was cut short
            break
        kept.append(line)
        for character in bare:
            if character in "{[":
                open_.append("}" if character == "{" else "]")
            elif character in "}]":
                open_.pop()
        if not open_:
            break
    whole = " ".join(kept) + " " + " ".join(reversed(open_))
    whole = re.sub(r",(\s*[}\]])", r"\1", whole)
    return position, json.loads(whole, parse_float=Decimal), elided
