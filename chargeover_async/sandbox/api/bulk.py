"""``_bulk``: up to 25 requests in one, with JSONPath references between them.

Source: the vendor's text, "Bulk / Batch Requests" and "JSONPath in Batches". Where it is silent,
`Variant` decides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from jsonpath_ng.jsonpath import JSONPath
from jsonpath_ng.parser import parse

from chargeover_async.sandbox.protocol.answers import FAILED, INVALID, NO_DATA, Answer, Refused
from chargeover_async.sandbox.protocol.caller import Caller
from chargeover_async.sandbox.protocol.values import is_array, is_object

from .router import PREFIX, Api
from .variant import Variant

MAX_ITEMS = 25
_MAX_PATH = 200  # characters; the grammar is recursive
_SUFFIX = "_jsonpath"
_MAX_DEPTH = 32


class Outcome(NamedTuple):
    """What became of one item of a ``_bulk``, for the log."""

    method: str
    uri: str
    code: int


def run_bulk(
    api: Api, payload: Any, *, broken: int | None = None, outer: Caller | None = None
) -> tuple[Answer, list[Outcome]]:
    """Run the items in order, each failing alone, and answer in the same order.

    The item at position ``broken`` is answered with a 500 and not run. ``outer`` is what the query
    of the batch itself says. All of it goes into the store's file at once (`Store.transaction`).
    """
    with api.store.transaction():
        return _run_bulk(api, payload, broken, outer)


def _run_bulk(
    api: Api, payload: Any, broken: int | None, outer: Caller | None
) -> tuple[Answer, list[Outcome]]:
    outcomes: list[Outcome] = []
    try:
        items = _items(payload)
    except Refused as refused:
        return refused.answer, outcomes
    variant = api.variant
    entries: list[dict[str, Any]] = []
    named: dict[str, dict[str, Any]] = {}
    failed = False
    for position, item in enumerate(items):
        method, uri = _text(item, "request_method").upper(), _text(item, "uri")
        if failed and variant.stop_after_failure == "truncate":
            break
        if position == broken:
            answer = FAILED
        elif failed and variant.stop_after_failure == "skip":
            answer = Answer(400, "Not run: an earlier request of this batch failed.", False)
        else:
            answer = _run(api, item, method, uri, named, outer)
        failed = failed or answer.code >= 400
        entry = answer.envelope()
        entries.append(entry)
        outcomes.append(Outcome(method, uri, answer.code))
        name = item.get("id")
        if name is not None:
            named[str(name)] = entry  # UNVERIFIED: of two with one name, the later counts
    return Answer(200, "", {"_bulk": entries}), outcomes


def _items(payload: Any) -> list[dict[str, Any]]:
    if payload is None or payload in ({}, []):
        raise Refused(NO_DATA)
    if not is_array(payload):
        raise Refused(INVALID)
    items = payload
    if len(items) > MAX_ITEMS:
        # The limit is the vendor's text; what happens above it is UNVERIFIED.
        raise Refused(f"A batch may hold at most {MAX_ITEMS} requests, not {len(items)}.")
    # UNVERIFIED: something that is not an object fails alone, like any other bad item.
    return [item if is_object(item) else {} for item in items]


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _run(
    api: Api,
    item: dict[str, Any],
    method: str,
    uri: str,
    named: dict[str, dict[str, Any]],
    outer: Caller | None,
) -> Answer:
    try:
        if not method:
            raise Refused("A required parameter was missing: request_method.")
        if not uri:
            raise Refused("A required parameter was missing: uri.")
        _check(api.variant, method, uri)
        payload = _follow(item.get("payload"), named, api.variant)
    except Refused as refused:
        return refused.answer
    return api.answer(method, uri, payload, outer=outer)


def _check(variant: Variant, method: str, uri: str) -> None:
    path, _, query = uri.partition("?")
    if not path.startswith(f"{PREFIX}/"):
        raise Refused(f"This is not a URI of the API: {uri}")  # UNVERIFIED
    if path.rstrip("/") == f"{PREFIX}/_bulk":
        raise Refused("A batch cannot hold a batch.")  # UNVERIFIED
    if method == "DELETE" and not variant.accept_delete:
        raise Refused("The request_method DELETE is not supported in a batch.")
    if query and not variant.accept_query:
        raise Refused("A query string is not supported in a batch.")
    if not variant.accept_actions and (
        "/_action/" in path or any(part.startswith("action=") for part in query.split("&"))
    ):
        raise Refused("Actions are not supported in a batch.")


def _follow(payload: Any, named: dict[str, dict[str, Any]], variant: Variant) -> Any:
    """The payload with every ``X_jsonpath`` replaced by the ``X_id`` it leads to.

    Only ``customer_jsonpath`` is shown; that other names work is UNVERIFIED.
    """
    if not is_object(payload):
        return payload
    fields = payload
    if variant.nested_jsonpath:
        return _replace(fields, named, variant, depth=0)
    return _replace_here(fields, named, variant)


def _replace(
    fields: dict[str, Any], named: dict[str, dict[str, Any]], variant: Variant, depth: int
) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise Refused(INVALID)
    fields = _replace_here(fields, named, variant)
    for name, value in fields.items():
        if isinstance(value, (dict, list)):
            fields = {**fields, name: _replace_inside(value, named, variant, depth + 1)}
    return fields


def _replace_inside(
    value: Any, named: dict[str, dict[str, Any]], variant: Variant, depth: int
) -> Any:
    if depth > _MAX_DEPTH:
        raise Refused(INVALID)
    if is_object(value):
        return _replace(value, named, variant, depth)
    if is_array(value):
        return [_replace_inside(part, named, variant, depth + 1) for part in value]
    return value


def _replace_here(
    fields: dict[str, Any], named: dict[str, dict[str, Any]], variant: Variant
) -> dict[str, Any]:
    for name in fields:
        if name.endswith(_SUFFIX):
            break
    else:
        return fields
    replaced: dict[str, Any] = {}
    for name, value in fields.items():
        if not name.endswith(_SUFFIX):
            replaced[name] = value
            continue
        try:
            replaced[f"{name.removesuffix(_SUFFIX)}_id"] = _look_up(name, value, named)
        except Refused:
            if variant.bad_reference == "error":
                raise
    return replaced


def _look_up(name: str, reference: Any, named: dict[str, dict[str, Any]]) -> Any:
    """The one value that ``<item id>:<JSONPath>`` leads to in the named item's whole entry."""
    if not isinstance(reference, str) or ":" not in reference:
        raise Refused(f"{name}: not of the form <id>:<JSONPath>")
    # The path starts at the first "$", so that the id may hold colons (UNVERIFIED).
    target, separator, path = reference.partition(":$")
    path = f"${path}"
    entry = named.get(target) if separator else None
    if entry is None:
        raise Refused(f'{name}: no earlier request of this batch is called "{target}"')
    if entry["code"] >= 400:
        raise Refused(f'{name}: the request called "{target}" failed')
    compiled = _compile(path)
    if compiled is None:
        raise Refused(f"{name}: not a JSONPath: {path}")
    try:
        values = [match.value for match in compiled.find(entry)]
    except Exception:  # noqa: BLE001 - jsonpath-ng lets errors of any kind out of odd paths
        values = []
    if len(values) != 1:
        raise Refused(f"{name}: {path} leads to {len(values)} values, not to one")
    if values[0] is None or isinstance(values[0], (dict, list)):
        raise Refused(f"{name}: {path} does not lead to an id")
    return values[0]


@lru_cache(maxsize=256)
def _compile(path: str) -> JSONPath | None:
    if len(path) > _MAX_PATH:
        return None
    try:
        return parse(path)
    except Exception:  # noqa: BLE001 - its lexer and parser raise bare Exception among others
        return None
