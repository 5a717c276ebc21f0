"""What the sandbox's page in a browser asks for, and who may ask: this machine's own pages only.

The control plane has no password, so it answers loopback addresses only. A browser on this machine
is one, whatever page it shows; so the Host must be a name of this machine too (a page that points
its own domain at 127.0.0.1, "DNS rebinding", has another) and a request that comes from a page must
come from ours (``Origin``, ``Sec-Fetch-Site``). The page runs nothing but its own files.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Any, Protocol

from aiohttp import web

from ._faults import KINDS, Faults, value_of
from ._mask import masked_target
from ._quota import QuotaMeter, use_over_time
from ._router import PREFIX, Api
from ._store import Spec, Store
from ._values import NESTED, TEXTS, is_array, is_object
from ._where import OPERATIONS, parse_query
from ._wire import Answer, encode

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


class Entry(Protocol):
    """What the page shows of a request; see `LogEntry`."""

    at: float
    method: str
    path: str
    query: str
    status: int
    fault: str | None
    number: int
    took: float | None

    @property
    def items(self) -> Iterable[tuple[str, str, int]]: ...


class Shown(Protocol):
    """What stands behind the page; see `Backend`."""

    api: Api
    store: Store
    faults: Faults
    meter: QuotaMeter
    clock: Callable[[], float]
    username: str
    password: str

    @property
    def log(self) -> Any: ...


def refusal(request: web.Request, *, navigating: bool) -> str | None:
    """Why this request may not reach the control plane; None if it may.

    ``navigating``: what is asked for is the page itself, to which any page may link.
    """
    if not is_loopback(request.remote or ""):
        return "the control plane is for this machine only"
    host = request.headers.get("Host", "")
    if not is_loopback(_name(host)):
        return f"the control plane is at 127.0.0.1, ::1 or localhost, not at {host!r}"
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() != f"{request.scheme}://{host}".lower():
        return f"the control plane takes no requests from pages of {origin!r}"
    site = request.headers.get("Sec-Fetch-Site", "none")
    is_link = navigating and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in ("same-origin", "none") and not is_link:
        return "the control plane takes no requests from other pages"
    return None


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def page_answer(backend: Shown, method: str, command: str, query: str) -> web.Response | None:
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
        with backend.store.reading():
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
    return (files("chargeover_async.sandbox") / "page" / file).read_bytes(), kind


def about(backend: Shown) -> dict[str, Any]:
    """What does not change: credentials, objects with their fields, operators, kinds of faults."""
    return {
        "base": PREFIX,
        "username": backend.username,
        "password": backend.password,
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


def records(backend: Shown, rest: str, query: str) -> Answer:
    """What the API answers to a GET, without credentials, quota, faults and log."""
    return backend.api.answer("GET", f"{PREFIX}/{rest}?{query}", None)


def customers(backend: Shown, response: Any) -> dict[str, str]:
    """The names of the customers that these records belong to, by id; the records have ids only."""
    shown = response if is_array(response) else [response]
    ids = {str(record.get("customer_id")) for record in shown if is_object(record)} - {"None"}
    found = {id_: records(backend, f"customer/{id_}", "").response for id_ in ids}
    return {
        id_: customer.get("display_as") or customer.get("superuser_name") or ""
        for id_, customer in found.items()
        if is_object(customer)
    }


def live(backend: Shown, query: str) -> dict[str, Any]:
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


def _shown(entry: Entry, now: float) -> dict[str, Any]:
    target = f"{entry.path}?{entry.query}" if entry.query else entry.path
    return {
        "number": entry.number,
        "ago": round(now - entry.at, 3),
        "method": entry.method,
        "target": masked_target(target),
        "status": entry.status,
        "took": entry.took,
        "fault": entry.fault,
        "items": [[method, masked_target(uri), code] for method, uri, code in entry.items],
    }


def _quota(backend: Shown, now: float) -> dict[str, Any]:
    quota = backend.meter.quota
    span = SPANS * quota.window_s
    recent: list[Entry] = list(
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
