"""What the sandbox's page in a browser asks for. It runs nothing but its own files."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Any

from aiohttp import web

from chargeover_async.sandbox.api.router import PREFIX
from chargeover_async.sandbox.protocol.answers import Answer, encode
from chargeover_async.sandbox.protocol.values import NESTED, TEXTS, is_array, is_object
from chargeover_async.sandbox.protocol.where import OPERATIONS, parse_query
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.store import Store
from chargeover_async.sandbox.store.tables import Spec

from .faults import KINDS, value_of
from .log import LogEntry
from .mask import mask_target
from .quota import use_over_time
from .setup import Behind

SPANS = 3  # of the quota's window that the page draws
SAMPLES = 180
MAX_ENTRIES = 200  # of the log in one answer

_FILES = {
    "/": ("index.html", "text/html"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
    "records.js": ("records.js", "text/javascript"),
    "parts.js": ("parts.js", "text/javascript"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_answer(backend: Behind, method: str, command: str, query: str) -> web.Response | None:
    """The answer to what the page asks for; None for what is none of its own.

    ``command`` is "/" for the page itself, else what follows ``/_sandbox/``.
    """
    if method not in ("GET", "HEAD"):
        return None
    if command in _FILES:
        body, kind = _read(command)
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=_HEADERS)
    if command == "about":
        return _json(200, about(backend))
    if command == "live":
        backend.store.freshen()
        return _json(200, live(backend, query))
    if command.startswith("records/"):
        answer = records(backend, command.removeprefix("records/"), query)
        content = {**answer.envelope(), "customers": customers(backend, answer.response)}
        return _json(answer.code, content)
    return None


def _json(status: int, content: Any) -> web.Response:
    headers = {**_HEADERS, "Content-Type": "application/json"}
    return web.Response(status=status, body=encode(content), headers=headers)


@cache
def _read(name: str) -> tuple[bytes, str]:
    file, kind = _FILES[name]
    return (files("chargeover_async.sandbox.http") / "page" / file).read_bytes(), kind


def about(backend: Behind) -> dict[str, Any]:
    """What does not change: credentials, objects with their fields, operators, kinds of faults."""
    return {
        "base": PREFIX,
        "username": backend.setup.username,
        "password": backend.setup.password,
        "objects": [
            {
                "name": spec.name,
                "key": spec.key,
                "fields": [name for name, kind in spec.kinds.items() if kind != NESTED],
                "filters": [
                    *(n for n, kind in spec.kinds.items() if kind not in (NESTED, TEXTS)),
                    *spec.nested,
                ],
            }
            for spec in _objects(backend.store)
        ],
        "operations": sorted(OPERATIONS),
        "faults": [
            {"kind": kind, "text": text, "value": value_of(kind)} for kind, text in KINDS.items()
        ],
    }


def _objects(store: Store) -> list[Spec]:
    """The objects of the API that can be read."""
    return [spec for spec in store.specs.values() if spec.reads and not spec.internal]


def records(backend: Behind, rest: str, query: str) -> Answer:
    """What the API answers to a GET, without credentials, quota, faults and log."""
    return backend.api.answer("GET", f"{PREFIX}/{rest}?{query}", None)


def customers(backend: Behind, response: Any) -> dict[str, str]:
    """The names of the customers that these records belong to, by id; the records have ids only."""
    shown = response if is_array(response) else [response]
    ids = [record.get("customer_id") for record in shown if is_object(record)]
    store, spec = backend.store, backend.store.specs["customer"]
    rows = [store.row("customer", id_) for id_ in ids if isinstance(id_, int)]
    return {str(row.id): _name_of(store, spec, row) for row in rows if row is not None}


def _name_of(store: Store, customer: Spec, row: Row) -> str:
    """The company; the main contact of a customer without one."""
    company = store.value(customer, row, "display_as")
    return str(company or store.value(customer, row, "superuser_name") or "")


def live(backend: Behind, query: str) -> dict[str, Any]:
    """What changes: counts, the log behind the request number ``after``, quota and faults."""
    sent = parse_query(query).get("after", "")
    after = int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 16 else 0
    now = backend.clock()
    log = backend.log
    newest = list(takewhile(lambda entry: entry.number > after, reversed(log)))
    return {
        "records": {spec.name: backend.store.count(spec.name) for spec in _objects(backend.store)},
        "log": {
            "first": log[0].number if log else 0,
            "last": log[-1].number if log else 0,
            "entries": [_shown(entry, now) for entry in reversed(newest[:MAX_ENTRIES])],
        },
        "quota": _quota(backend, now),
        "faults": {
            "rates": backend.faults.rates,
            "scripted": backend.faults.scripted,
            "maintenance": backend.faults.is_down(now),
        },
    }


def _shown(entry: LogEntry, now: float) -> dict[str, Any]:
    target = f"{entry.path}?{entry.query}" if entry.query else entry.path
    return {
        "number": entry.number,
        "ago": round(now - entry.at, 3),
        "method": entry.method,
        "target": mask_target(target),
        "status": entry.status,
        "took": entry.took,
        "fault": entry.fault,
        "items": [[method, mask_target(uri), code] for method, uri, code in entry.items],
    }


def _quota(backend: Behind, now: float) -> dict[str, Any]:
    quota = backend.meter.quota
    span = SPANS * quota.window_s
    recent: list[LogEntry] = list(
        takewhile(lambda entry: entry.at >= now - span - quota.window_s, reversed(backend.log))
    )
    recent.reverse()
    step = span / SAMPLES
    times = [now - span + step * (number + 1) for number in range(SAMPLES)]
    used = use_over_time(quota, [entry.at for entry in recent], times)
    used[-1] = backend.meter.used(now)  # what it is, in case the log has forgotten a part
    counts, refused = [0] * SAMPLES, [0] * SAMPLES
    for entry in recent:
        place = int((entry.at - (now - span)) // step)
        if 0 <= place < SAMPLES:
            counts[place] += 1
            refused[place] += entry.status == 429
    return {
        "kind": quota.kind,
        "limit": quota.limit,
        "window_s": quota.window_s,
        "step_s": step,
        "used": [round(value, 2) for value in used],
        "requests": counts,
        "refused": refused,
    }
