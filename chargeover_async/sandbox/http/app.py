"""The HTTP side: one aiohttp application per sandbox, without any global state."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from chargeover_async.sandbox.api.bulk import Outcome, run_bulk
from chargeover_async.sandbox.api.router import PREFIX, Api
from chargeover_async.sandbox.api.variant import Variant
from chargeover_async.sandbox.protocol.answers import FAILED, Answer, Refused, decode, encode
from chargeover_async.sandbox.protocol.caller import Caller, caller_of
from chargeover_async.sandbox.protocol.values import is_array, is_object
from chargeover_async.sandbox.protocol.where import parse_query
from chargeover_async.sandbox.store.file import StorageError
from chargeover_async.sandbox.store.snapshot import shown, taken
from chargeover_async.sandbox.store.store import Store

from . import auth
from .delivering import Deliverer, deliveries
from .faults import Fault, Faults, seconds
from .mask import masked, masked_target
from .page import page_answer, refusal
from .quota import Quota, QuotaMeter

DEFAULT_QUOTA = Quota()
DEFAULT_CREDENTIAL = "sandbox"
MAX_BODY = 16 * 2**20
MAX_LOG = 20_000  # full batches of 25 make this some 80 MB
CONTROL = "/_sandbox/"

_JSON = "application/json"
# The wording is the vendor's; so is the absence of further keys.
_RATE_LIMITED = Answer(429, "Rate limit exceeded", False)
_PAGES = {
    "502": (502, "Bad Gateway"),
    "503": (503, "Service Unavailable"),
    "not_json": (200, "Welcome"),
}


@dataclass(slots=True)
class LogEntry:
    """One request as it arrived, and what came of it.

    ``at`` is a time of the sandbox's clock. ``path`` and ``query`` are as they were sent.
    ``status`` is 0 while there is no answer, and stays 0 if the connection was dropped. ``items``
    are the requests inside a ``_bulk``. ``fault`` is the fault that was played. ``number`` counts
    the requests of one application from 1; ``took`` is the seconds from arrival to the answer, None
    while it is worked on. ``body`` is what was sent, kept only if the sandbox was told to
    (``keep_bodies``), with card numbers and other secrets masked; no repr and no page shows it.
    """

    at: float
    method: str
    path: str
    query: str
    status: int = 0
    items: list[Outcome] = field(default_factory=list[Outcome])
    fault: str | None = None
    number: int = 0
    took: float | None = None
    body: bytes | None = field(default=None, repr=False)

    @property
    def caller(self) -> Caller:
        """The end customer that the request names (``on_behalf_*``), and its flags."""
        return caller_of(parse_query(self.query))


class Backend:
    """Everything behind one application: the API, its quota, its faults and its log."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        faults: Faults,
        *,
        quota: Quota,
        variant: Variant,
        username: str,
        password: str,
        sleep: Callable[[float], Awaitable[Any]],
        max_log: int,
        webhook_token: str,
        webhook_hosts: Collection[str],
    ) -> None:
        self.api = Api(store, variant)
        self.store = store
        self.clock = clock
        self.faults = faults
        self.meter = QuotaMeter(quota)
        self.username = username
        self.password = password
        self.log: deque[LogEntry] = deque(maxlen=max_log)
        self.keep_bodies = False
        self.arrived = 0  # requests, the control plane's left out
        self.webhook_token = webhook_token
        self.deliverer = Deliverer(store, token=webhook_token, hosts=webhook_hosts, sleep=sleep)
        self._sleep = sleep
        self._running: dict[asyncio.Task[Any], web.Request] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request; the quota and the faults are decided as it arrives."""
        at = self.clock()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is handled outside of any task")
        self._running[task] = request
        try:
            return await self._handle(request, at)
        finally:
            del self._running[task]

    async def end(self, *, abandoned_only: bool = False) -> None:
        """End the requests in flight where they stand; or only those whose client has gone.

        aiohttp forgets the task of a connection that is lost, so that only we can cancel it.
        """
        tasks = [
            task
            for task, request in self._running.items()
            if not abandoned_only or request.transport is None or request.transport.is_closing()
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, request: web.Request, at: float) -> web.StreamResponse:
        # Bytes that are not UTF-8 arrive as lone surrogates, which no answer could hold.
        target = request.raw_path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        path, _, query = target.partition("?")
        if path == "/" or path.startswith(CONTROL):
            return await self._control(request, path.removeprefix(CONTROL), query)
        self.arrived += 1
        entry = LogEntry(at, request.method, path, query, number=self.arrived)
        self.log.append(entry)
        try:
            return await self._answer(request, target, entry)
        finally:
            entry.took = self.clock() - at

    async def _answer(
        self, request: web.Request, target: str, entry: LogEntry
    ) -> web.StreamResponse:
        wait = self.meter.admit(entry.at)
        is_down = self.faults.is_down(entry.at)
        fault = None
        if wait is None and not is_down:
            fault = self.faults.draw(entry.method, entry.path.removeprefix(PREFIX))
        if fault is not None:
            entry.fault = fault.kind
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            entry.status = 413
            raise
        if self.keep_bodies:
            entry.body = masked(body)
        if wait is not None:
            return self._rate_limited(entry, wait)
        if is_down:
            return _page(entry, "503")
        if fault is None:
            return _json(entry, self._work(request, target, body, entry, None), request)
        return await self._faulty(request, target, body, entry, fault)

    async def _faulty(
        self, request: web.Request, target: str, body: bytes, entry: LogEntry, fault: Fault
    ) -> web.StreamResponse:
        kind = fault.kind
        if kind == "429":
            return self._rate_limited(entry, self.meter.quota.window_s)
        if kind == "500":
            return _json(entry, FAILED, request)
        if kind in ("502", "503"):
            return _page(entry, kind)
        if kind == "reset_before":
            return _drop(request, reset=True)
        if kind == "delay_before":
            await self._sleep(fault.value or 0)
        answer = self._work(request, target, body, entry, fault)
        if kind in ("reset_after", "lost"):
            return _drop(request, reset=kind == "reset_after")
        if kind == "cut":
            return await _cut(entry, answer, request)
        if kind == "not_json":
            return _page(entry, kind)
        if kind == "500_after":
            return _json(entry, FAILED, request)
        if kind == "delay_after":
            await self._sleep(fault.value or 0)
        return _json(entry, answer, request)

    def _work(
        self, request: web.Request, target: str, body: bytes, entry: LogEntry, fault: Fault | None
    ) -> Answer:
        try:
            auth.check(
                request.headers.get("Authorization"),
                self.username,
                self.password,
                url=f"{request.scheme}://{request.host}{target}",
                body=body,
            )
            payload = decode(body)
        except Refused as refused:
            return refused.answer
        try:
            if entry.path.rstrip("/") == f"{PREFIX}/_bulk" and entry.method == "POST":
                return self._bulk(payload, entry, fault)
            return self.api.answer(entry.method, target, payload)
        except StorageError as error:
            entry.items = []
            return Answer(500, str(error), False)
        finally:
            self.deliverer.wake()

    def _bulk(self, payload: Any, entry: LogEntry, fault: Fault | None) -> Answer:
        kind = None if fault is None else fault.kind
        broken = None
        if fault is not None and kind == "entry_500":
            broken = self.faults.position(fault, len(payload) if is_array(payload) else 0)
        answer, entry.items = run_bulk(self.api, payload, broken=broken, outer=entry.caller)
        if answer.code == 200 and kind == "short":
            answer.response["_bulk"].pop()
        if answer.code == 200 and kind == "long":
            answer.response["_bulk"].append(Answer(200, "", True).envelope())
        return answer

    def _rate_limited(self, entry: LogEntry, wait: float) -> web.Response:
        entry.status = 429
        headers = {"Content-Type": _JSON}
        if self.meter.quota.retry_after:
            headers["Retry-After"] = str(max(1, int(-(-wait // 1))))
        return web.Response(status=429, body=encode(_RATE_LIMITED.envelope()), headers=headers)

    # The control plane.

    async def _control(self, request: web.Request, command: str, query: str) -> web.Response:
        refused = refusal(request, navigating=command == "/")
        if refused is not None:
            return _plain(403, {"error": refused})
        try:
            shown = page_answer(self, request.method, command, query)
            if shown is not None:
                return shown
            sent = decode(await request.read())
            fields: Any = {} if sent is None else sent
            if not is_object(fields):
                raise TypeError("the body must be a JSON object")
            act = self._commands().get((request.method, command))
            if act is None:
                return _plain(404, {"error": f"no such command: {request.method} {command}"})
            changes = request.method != "GET"
            with self.store.transaction() if changes else self.store.reading():
                return _plain(200, act(fields))
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

    def _commands(self) -> dict[tuple[str, str], Callable[[dict[str, Any]], Any]]:
        return {
            ("POST", "reset"): self._reset,
            ("POST", "seed"): self._seed,
            ("POST", "snapshot"): self._snapshot,
            ("POST", "restore"): self._restore,
            ("POST", "faults"): self._set_faults,
            ("GET", "state"): self._state,
            ("GET", "log"): self._show_log,
            ("GET", "webhooks"): lambda _sent: {
                "token": self.webhook_token,
                "deliveries": deliveries(self.store),
            },
        }

    def reset(self) -> None:
        """Forget records, faults, log and used quota."""
        self.store.clear()
        self.faults.clear()
        self.log.clear()
        self.meter = QuotaMeter(self.meter.quota)

    def _reset(self, _sent: dict[str, Any]) -> Any:
        self.reset()
        return {}

    def _seed(self, sent: dict[str, Any]) -> Any:
        """``{"random": 7, "customer": [{...}], "item": [{...}]}``; answers the ids."""
        records = dict(sent)
        number = records.pop("random", None)
        unknown = records.keys() - self.store.specs.keys()
        if unknown:
            raise ValueError(f"unknown objects: {', '.join(sorted(unknown))}")
        if number is not None:
            self.store.reseed(int(number))
        return {
            name: [self.store.seed(name, record) for record in each]
            for name, each in records.items()
        }

    def _snapshot(self, sent: dict[str, Any]) -> Any:
        """``{"name": "before"}`` keeps it for `restore`; without a name the answer holds it."""
        name = sent.get("name")
        image = self.store.snapshot()
        if name is None:
            return {"snapshot": shown(image)}
        self.store.snapshots[str(name)] = image
        return {"name": str(name)}

    def _restore(self, sent: dict[str, Any]) -> Any:
        """``{"name": "before"}`` or ``{"snapshot": {...}}``; log, faults and quota stay."""
        if ("name" in sent) == ("snapshot" in sent):
            raise ValueError("restore takes a name or a snapshot")
        if "snapshot" in sent:
            self.store.restore(taken(sent["snapshot"]))
            return {}
        image = self.store.snapshots.get(str(sent["name"]))
        if image is None:
            known = ", ".join(self.store.snapshots) or "none"
            raise ValueError(f"there is no snapshot {sent['name']!r}; known are {known}")
        self.store.restore(image)
        return {}

    def _set_faults(self, sent: dict[str, Any]) -> Any:
        """``{"clear": true, "seed": 1, "rates": {...}, "script": [...], "maintenance": false}``.

        ``maintenance`` may also be the seconds that it shall last.
        """
        if sent.get("clear"):
            self.faults.clear()
        if "seed" in sent:
            self.faults.reseed(int(sent["seed"]))
        if "rates" in sent:
            self.faults.set_rates(dict(sent["rates"]))
        if "script" in sent:
            self.faults.script(list(sent["script"]))
        if "maintenance" in sent:
            wanted = sent["maintenance"]
            if isinstance(wanted, bool):
                self.faults.maintenance = wanted
            else:
                self.faults.down_until(self.clock() + seconds(wanted))
        return {
            "scripted": self.faults.scripted,
            "maintenance": self.faults.is_down(self.clock()),
        }

    def _state(self, _sent: dict[str, Any]) -> Any:
        return {
            "records": {name: self.store.count(name) for name in self.store.specs},
            "next_ids": {name: table.next_id for name, table in self.store.tables.items()},
            "requests": len(self.log),
            "scripted_faults": self.faults.scripted,
            "maintenance": self.faults.is_down(self.clock()),
        }

    def _show_log(self, _sent: dict[str, Any]) -> Any:
        return [
            {
                "number": entry.number,
                "at": entry.at,
                "method": entry.method,
                "path": masked_target(entry.path),
                "query": masked_target(entry.query),
                "status": entry.status,
                "took": entry.took,
                "items": [[method, masked_target(uri), code] for method, uri, code in entry.items],
                "fault": entry.fault,
                "on_behalf_addr": entry.caller.addr,
                "on_behalf_details": entry.caller.details,
                "flags": dict(entry.caller.flags),
            }
            for entry in self.log
        ]


_BACKEND: web.AppKey[Backend] = web.AppKey("backend", Backend)


def make_app(
    store: Store,
    clock: Callable[[], float] = time.monotonic,
    faults: Faults | None = None,
    *,
    quota: Quota | None = DEFAULT_QUOTA,
    variant: Variant | None = None,
    username: str = DEFAULT_CREDENTIAL,
    password: str = DEFAULT_CREDENTIAL,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    max_log: int = MAX_LOG,
    max_body: int = MAX_BODY,
    webhook_token: str = DEFAULT_CREDENTIAL,
    webhook_hosts: Collection[str] = (),
) -> web.Application:
    """A fresh application over ``store``; `backend_of` it is what stands behind.

    ``clock`` counts the seconds of the quota and of the log, ``sleep`` makes the delays of faults.
    ``quota=None`` lets everything through. A body above ``max_body`` bytes is answered with 413
    (UNVERIFIED: no source shows a limit). Webhooks carry ``webhook_token`` and go to this machine
    and to ``webhook_hosts`` only.
    """
    app = web.Application(client_max_size=max_body)
    backend = Backend(
        store,
        clock,
        faults if faults is not None else Faults(),
        quota=quota if quota is not None else Quota(kind=None),
        variant=variant or Variant(),
        username=username,
        password=password,
        sleep=sleep,
        max_log=max_log,
        webhook_token=webhook_token,
        webhook_hosts=webhook_hosts,
    )
    app[_BACKEND] = backend
    app.on_startup.append(_resume)
    app.on_cleanup.append(_rest)
    # One route for everything: keys in paths may hold any character, so the API splits them.
    app.router.add_route("*", "/{path:.*}", backend.handle)
    return app


async def _resume(app: web.Application) -> None:
    """Deliver what an earlier sandbox over the same records could not."""
    app[_BACKEND].deliverer.wake()


async def _rest(app: web.Application) -> None:
    await app[_BACKEND].deliverer.close()


def backend_of(app: web.Application) -> Backend:
    """What stands behind an application made by `make_app`: store, faults, log, quota."""
    return app[_BACKEND]


def _json(entry: LogEntry, answer: Answer, request: web.Request) -> web.Response:
    entry.status = answer.code
    headers = {"Content-Type": _JSON}
    if answer.record is not None:
        name, id_ = answer.record
        headers["Location"] = f"{request.scheme}://{request.host}{PREFIX}/{name}/{id_}"
    return web.Response(status=answer.code, body=encode(answer.envelope()), headers=headers)


def _plain(status: int, content: Any) -> web.Response:
    return web.Response(status=status, body=encode(content), headers={"Content-Type": _JSON})


def _page(entry: LogEntry, kind: str) -> web.Response:
    status, title = _PAGES[kind]
    entry.status = status
    html = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return web.Response(status=status, text=html, content_type="text/html")


def _drop(request: web.Request, *, reset: bool) -> web.Response:
    """Closes the connection without an answer; ``reset`` sends RST in place of FIN."""
    transport = request.transport
    if transport is not None:
        if reset:
            sock = transport.get_extra_info("socket")
            linger = "hh" if sys.platform == "win32" else "ii"  # the fields of struct linger
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(linger, 1, 0))
        transport.abort()
    return web.Response()  # aiohttp wants one; there is nowhere left to send it


async def _cut(entry: LogEntry, answer: Answer, request: web.Request) -> web.StreamResponse:
    """Sends half of what Content-Length promises, then closes."""
    entry.status = answer.code
    body = encode(answer.envelope())
    response = web.StreamResponse(status=answer.code, headers={"Content-Type": _JSON})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
