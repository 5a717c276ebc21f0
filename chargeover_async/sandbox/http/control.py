"""The control plane, ``/_sandbox/``: what a test or the page asks of the sandbox itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from chargeover_async.sandbox.protocol.answers import Refused, decode, encode
from chargeover_async.sandbox.protocol.values import is_object
from chargeover_async.sandbox.store.file import StorageError
from chargeover_async.sandbox.store.snapshot import from_json, to_json

from .delivering import deliveries
from .faults import seconds
from .guard import refusal
from .mask import mask_target
from .page import page_answer
from .setup import Behind

CONTROL = "/_sandbox/"


async def control(behind: Behind, request: web.Request, command: str, query: str) -> web.Response:
    """The answer to what is asked of ``/_sandbox/``; ``command`` is what follows that, or "/"."""
    refused = refusal(request, navigating=command == "/")
    if refused is not None:
        return _plain(403, {"error": refused})
    try:
        shown = page_answer(behind, request.method, command, query)
        if shown is not None:
            return shown
        sent = decode(await request.read())
        fields: Any = {} if sent is None else sent
        if not is_object(fields):
            raise TypeError("the body must be a JSON object")
        act = COMMANDS.get((request.method, command))
        if act is None:
            return _plain(404, {"error": f"no such command: {request.method} {command}"})
        if request.method == "GET":
            behind.store.freshen()
            return _plain(200, act(behind, fields))
        with behind.store.transaction():
            return _plain(200, act(behind, fields))
    except StorageError as error:
        return _plain(500, {"error": str(error)})
    except (
        Refused,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        # A seed is taken as given, so a wrong one fails wherever its values are first used.
        return _plain(400, {"error": str(error)})


def _reset(behind: Behind, _sent: dict[str, Any]) -> Any:
    behind.reset()
    return {}


def _seed(behind: Behind, body: dict[str, Any]) -> Any:
    """``{"random": 7, "customer": [{...}], "item": [{...}]}``; answers the ids."""
    records = dict(body)
    number = records.pop("random", None)
    unknown = records.keys() - behind.store.specs.keys()
    if unknown:
        raise ValueError(f"unknown objects: {', '.join(sorted(unknown))}")
    if number is not None:
        behind.store.reseed(int(number))
    return {
        name: [behind.store.seed(name, record) for record in sent] for name, sent in records.items()
    }


def _snapshot(behind: Behind, sent: dict[str, Any]) -> Any:
    """``{"name": "before"}`` keeps it for `restore`; without a name the answer holds it."""
    name = sent.get("name")
    image = behind.store.snapshot()
    if name is None:
        return {"snapshot": to_json(image)}
    behind.store.snapshots[str(name)] = image
    return {"name": str(name)}


def _restore(behind: Behind, sent: dict[str, Any]) -> Any:
    """``{"name": "before"}`` or ``{"snapshot": {...}}``; log, faults and quota stay."""
    if ("name" in sent) == ("snapshot" in sent):
        raise ValueError("restore takes a name or a snapshot")
    if "snapshot" in sent:
        behind.store.restore(from_json(sent["snapshot"]))
        return {}
    image = behind.store.snapshots.get(str(sent["name"]))
    if image is None:
        known = ", ".join(behind.store.snapshots) or "none"
        raise ValueError(f"there is no snapshot {sent['name']!r}; known are {known}")
    behind.store.restore(image)
    return {}


def _set_faults(behind: Behind, sent: dict[str, Any]) -> Any:
    """``{"clear": true, "seed": 1, "rates": {...}, "script": [...], "maintenance": false}``.

    ``maintenance`` may also be the seconds that it shall last.
    """
    if sent.get("clear"):
        behind.faults.clear()
    if "seed" in sent:
        behind.faults.reseed(int(sent["seed"]))
    if "rates" in sent:
        behind.faults.set_rates(dict(sent["rates"]))
    if "script" in sent:
        behind.faults.script(list(sent["script"]))
    if "maintenance" in sent:
        wanted = sent["maintenance"]
        if isinstance(wanted, bool):
            behind.faults.maintenance = wanted
        else:
            behind.faults.down_until(behind.clock() + seconds(wanted))
    return {
        "scripted": behind.faults.scripted,
        "maintenance": behind.faults.is_down(behind.clock()),
    }


def _state(behind: Behind, _sent: dict[str, Any]) -> Any:
    return {
        "records": {name: behind.store.count(name) for name in behind.store.specs},
        "next_ids": {name: table.next_id for name, table in behind.store.tables.items()},
        "requests": len(behind.log),
        "scripted_faults": behind.faults.scripted,
        "maintenance": behind.faults.is_down(behind.clock()),
    }


def _show_log(behind: Behind, _sent: dict[str, Any]) -> Any:
    return [
        {
            "number": entry.number,
            "at": entry.at,
            "method": entry.method,
            "path": mask_target(entry.path),
            "query": mask_target(entry.query),
            "status": entry.status,
            "took": entry.took,
            "items": [[method, mask_target(uri), code] for method, uri, code in entry.items],
            "fault": entry.fault,
            "on_behalf_addr": entry.caller.addr,
            "on_behalf_details": entry.caller.details,
            "flags": dict(entry.caller.flags),
        }
        for entry in behind.log
    ]


def _show_webhooks(behind: Behind, _sent: dict[str, Any]) -> Any:
    return {"token": behind.setup.webhook_token, "deliveries": deliveries(behind.store)}


COMMANDS: Mapping[tuple[str, str], Callable[[Behind, dict[str, Any]], Any]] = {
    ("POST", "reset"): _reset,
    ("POST", "seed"): _seed,
    ("POST", "snapshot"): _snapshot,
    ("POST", "restore"): _restore,
    ("POST", "faults"): _set_faults,
    ("GET", "state"): _state,
    ("GET", "log"): _show_log,
    ("GET", "webhooks"): _show_webhooks,
}


def _plain(status: int, content: Any) -> web.Response:
    headers = {"Content-Type": "application/json"}
    return web.Response(status=status, body=encode(content), headers=headers)
