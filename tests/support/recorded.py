"""Real requests and answers: where they are, the call each one stands for, and how to compare."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import os
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import msgspec
from support.places import SHARED

from chargeover_async import ChargeOver, ExternalKey, F, Token, UsageError
from chargeover_async.operation import Operation
from chargeover_async.query import Clause
from chargeover_async.resources import RESOURCES, Resource

FILE = SHARED / "recordings" / "recordings.jsonl"
MORE = os.environ.get("CHARGEOVER_RECORDINGS")  # a second file of the same kind
PREFIX = "/api/v3"

to_json = msgspec.json.Encoder(decimal_format="number").encode


class Recorded(NamedTuple):
    """One request and its answer; numbers with a fraction as Decimal."""

    name: str
    method: str
    path: str
    query: str
    request: Any
    status: int
    answer: bytes

    @property
    def object(self) -> str:
        return self.path.removeprefix(PREFIX).split("/")[1]

    @property
    def response(self) -> Any:
        return json.loads(self.answer, parse_float=Decimal).get("response")


def recordings() -> list[Recorded]:
    """Every recording of the objects that the library wraps; [] where the files are absent."""
    return [
        recorded
        for path in (FILE, *([Path(MORE)] if MORE else []))
        if path.exists()
        for recorded in _read(path)
        if recorded.path.startswith(f"{PREFIX}/") and recorded.object in RESOURCES
    ]


def _read(path: Path) -> Iterator[Recorded]:
    for line in path.read_text("utf-8").splitlines():
        if line.strip():
            raw = json.loads(line, parse_float=Decimal)
            answer = raw["response"]
            yield Recorded(
                f"{raw['recording']}-{raw['n']}",
                raw["method"],
                raw["path"],
                raw["query"] or "",
                raw["request"],
                raw["status"],
                answer.encode() if isinstance(answer, str) else to_json(answer),
            )


# -- from a recording to a call of the library -----------------------------------------------

_COMPARE = {
    "EQUALS": "__eq__",
    "NOTEQUALS": "__ne__",
    "GT": "__gt__",
    "GTE": "__ge__",
    "LT": "__lt__",
    "LTE": "__le__",
    "CONTAINS": "contains",
}
_LISTING = {"where", "order", "limit", "offset"}


def call_of(co: ChargeOver, recorded: Recorded) -> Operation[Any]:
    """The library's call for a recorded request, found by its shape alone."""
    segments = [unquote(segment) for segment in recorded.path.removeprefix(PREFIX).split("/")[1:]]
    query = parse_qsl(recorded.query, keep_blank_values=True)
    flags = {k.removeprefix("_flag_"): int(v) for k, v in query if k.startswith("_flag_")}
    behalf = {k: v for k, v in query if k.startswith("on_behalf_")}
    if flags or behalf:
        co = co.with_options(flags=flags, **behalf)  # type: ignore[arg-type]
        query = [(k, v) for k, v in query if not k.startswith(("_flag_", "on_behalf_"))]
    given = dict(query)
    resource = getattr(co, RESOURCES[segments[0]].attribute)
    body = recorded.request
    action = given.pop("action", None)
    if len(segments) == 4 and segments[2] == "_action":
        action = segments.pop()
        segments.pop()
    if not set(given) <= _LISTING or len(given) != len(query) - (
        action is not None and "action" in dict(query)
    ):
        return co.request(
            recorded.method, recorded.path.removeprefix(PREFIX), query=dict(query), json=body
        )
    if recorded.method == "GET":
        return _get(resource, segments[1:], given)
    if recorded.method == "POST" and len(segments) == 1:
        return (
            _write(resource.create, (), body)
            if action is None
            else _action(resource, (), action, body or {})
        )
    target = _target(segments[1])
    if recorded.method == "PUT":
        return _write(resource.update, (target,), body)
    if recorded.method == "DELETE":
        return resource.delete(target)
    return _action(resource, (target,), str(action), body or {})


def _target(segment: str) -> Any:
    if segment.startswith("external_key:"):
        return ExternalKey(segment.removeprefix("external_key:"))
    if segment.startswith("token:"):
        return Token(segment.removeprefix("token:"))
    return int(segment)


def _get(resource: Resource[Any], rest: list[str], given: dict[str, str]) -> Operation[Any]:
    where = [_clause(text) for text in _split(given["where"], ",")] if given.get("where") else None
    if rest == ["_count"]:
        return resource.count(where=where)
    limit = int(given["limit"]) if "limit" in given else None
    if not rest:
        offset = int(given["offset"]) if "offset" in given else None
        order = given["order"].split(",") if "order" in given else None
        return resource.list(where=where, order=order, limit=limit, offset=offset)
    target = _target(rest[0])
    if rest[1:] == ["_revision"]:
        return resource.revisions(target, limit=limit)
    assert len(rest) == 1, rest
    if isinstance(target, ExternalKey):
        return resource.get(external_key=target)
    if isinstance(target, Token):
        return resource.get(token=target)
    return resource.get(target)


def _clause(text: str) -> Clause:
    name, operator, value = _split(text, ":")
    if operator in {"IS", "ISNOT"}:
        return F[name] == None if operator == "IS" else F[name] != None  # noqa: E711
    plain = value.replace("\\:", ":").replace("\\,", ",")
    return getattr(F[name], _COMPARE[operator])(plain)


def _split(text: str, separator: str) -> list[str]:
    parts = [""]
    escaped = False
    for char in text:
        if char == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += char
        escaped = char == "\\" and not escaped
    return parts


def _write(method: Any, target: tuple[Any, ...], body: dict[str, Any]) -> Operation[Any]:
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    shape = method.__self__.writes["update" if target else "create"]
    for name, value in body.items():
        (known if name in shape.__annotations__ or name in _names(shape) else extra)[name] = value
    return method(*target, **known, extra=extra or None)


def _names(shape: Any) -> set[str]:
    return set(shape.__optional_keys__ | shape.__required_keys__)


def _action(
    resource: Resource[Any], target: tuple[Any, ...], action: str, body: dict[str, Any]
) -> Operation[Any]:
    """The method that sends this action with this body, in the form that is its default."""
    for name, method in inspect.getmembers(type(resource), inspect.isfunction):
        if (
            name.startswith("_")
            or hasattr(Resource, name)
            or name in {"create", "update", "delete"}
        ):
            continue
        known = _names(resource.writes[name]) if name in resource.writes else set()
        rest = {key: value for key, value in body.items() if key not in known}
        plain = {key: value for key, value in body.items() if key in known}
        attempts: list[dict[str, Any]] = [body, {"action": action, **body}]
        if rest and "extra" in inspect.signature(method).parameters:
            attempts.append({**plain, "extra": rest})
        for arguments in attempts:
            try:
                call = getattr(resource, name)(*target, **arguments)
            except (TypeError, UsageError):
                continue
            if not isinstance(call, Operation):
                continue
            same = dict(call.query).get("action") == action or call.path.endswith(f"/{action}")
            if same and call.payload == body:
                return call
            call.close()
    raise AssertionError(f"no method of {resource.attribute} does {action} with {body}")


# -- comparing a value with the raw JSON -----------------------------------------------------


def differences(raw: Any, value: Any, path: str = "$") -> list[str]:
    """What was lost or changed between the raw JSON and the value that was read from it.

    What may differ is the form, never the content: a number or a flag in a string, an empty string
    for an absent number, an empty list for an absent object, a date or datetime for its text.
    """
    if isinstance(value, msgspec.Struct):
        return _of_struct(raw, value, path)
    if isinstance(value, list) and isinstance(raw, list):
        if len(value) != len(raw):
            return [f"{path}: {len(raw)} became {len(value)}"]
        return [
            difference
            for index, (left, right) in enumerate(zip(raw, value, strict=True))
            for difference in differences(left, right, f"{path}[{index}]")
        ]
    return [] if _is_same(raw, value) else [f"{path}: {raw!r} became {value!r}"]


def _of_struct(raw: Any, value: msgspec.Struct, path: str) -> list[str]:
    if not isinstance(raw, dict):
        return [f"{path}: {raw!r} became {type(value).__name__}"]
    fields = {field.encode_name: field for field in msgspec.structs.fields(value)}
    found = [f"{path}.{name} is lost" for name in raw if name not in fields]
    for name, field in fields.items():
        read = getattr(value, field.name)
        if name not in raw:
            if read is not None:
                found.append(f"{path}.{name}: {read!r} came from nowhere")
        elif raw[name] == "" and read is None:
            if "str" in str(field.type):
                found.append(f"{path}.{name}: empty text became null")
        else:
            found += differences(raw[name], read, f"{path}.{name}")
    return found


def _is_same(raw: Any, value: Any) -> bool:
    if raw is None or value is None:
        return raw is value
    if isinstance(value, bool):
        return isinstance(raw, (bool, int, str)) and str(raw).lower() in (
            {"true", "1"} if value else {"false", "0"}
        )
    if isinstance(value, (int, Decimal)):
        try:
            return not isinstance(raw, bool) and str(Decimal(str(raw))) == str(Decimal(value))
        except InvalidOperation:
            return False
    if isinstance(value, dt.datetime):
        return raw in {value.isoformat(" "), value.isoformat("T")}
    if isinstance(value, dt.date):
        return raw in {value.isoformat(), f"{value.isoformat()} 00:00:00"}
    return type(raw) is type(value) and raw == value
