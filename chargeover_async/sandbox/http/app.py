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
from typing import Any

from aiohttp import web

from chargeover_async.sandbox.api.bulk import run_bulk
from chargeover_async.sandbox.api.router import PREFIX
from chargeover_async.sandbox.api.variant import Variant
from chargeover_async.sandbox.protocol.answers import FAILED, Answer, Refused, decode, encode
from chargeover_async.sandbox.protocol.values import is_array
from chargeover_async.sandbox.store.file import StorageError
from chargeover_async.sandbox.store.store import Store

from . import auth
from .control import CONTROL, control
from .delivering import Deliverer
from .faults import Fault, Faults
from .log import LogEntry
from .mask import mask_body
from .quota import Quota
from .setup import DEFAULT_CREDENTIAL, DEFAULT_QUOTA, MAX_BODY, MAX_LOG, Behind, Setup

_JSON = "application/json"
# The wording is the vendor's; so is the absence of further keys.
_RATE_LIMITED = Answer(429, "Rate limit exceeded", False)
_PAGES = {
    "502": (502, "Bad Gateway"),
    "503": (503, "Service Unavailable"),
    "not_json": (200, "Welcome"),
}


class Backend(Behind):
    """What stands behind one application, and how it answers HTTP requests."""

    def __init__(self, store: Store, setup: Setup) -> None:
        super().__init__(store, setup)
        self.deliverer = Deliverer(
            store, token=setup.webhook_token, hosts=setup.webhook_hosts, sleep=setup.sleep
        )
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
            return await control(self, request, path.removeprefix(CONTROL), query)
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
        if self.setup.keep_bodies:
            entry.body = mask_body(body)
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
            return self._rate_limited(entry, self.setup.quota.window_s)
        if kind == "500":
            return _json(entry, FAILED, request)
        if kind in ("502", "503"):
            return _page(entry, kind)
        if kind == "reset_before":
            return _drop(request, reset=True)
        if kind == "delay_before":
            await self.setup.sleep(fault.value or 0)
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
            await self.setup.sleep(fault.value or 0)
        return _json(entry, answer, request)

    def _work(
        self, request: web.Request, target: str, body: bytes, entry: LogEntry, fault: Fault | None
    ) -> Answer:
        try:
            auth.check(
                request.headers.get("Authorization"),
                self.setup.username,
                self.setup.password,
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
        if self.setup.quota.retry_after:
            headers["Retry-After"] = str(max(1, int(-(-wait // 1))))
        return web.Response(status=429, body=encode(_RATE_LIMITED.envelope()), headers=headers)


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
    return app_of(
        store,
        Setup(
            clock=clock,
            faults=faults if faults is not None else Faults(),
            quota=quota if quota is not None else Quota(kind=None),
            variant=variant or Variant(),
            username=username,
            password=password,
            sleep=sleep,
            log=deque(maxlen=max_log),
            max_body=max_body,
            webhook_token=webhook_token,
            webhook_hosts=webhook_hosts,
        ),
    )


def app_of(store: Store, setup: Setup) -> web.Application:
    """A fresh application over ``store``, as `make_app` makes it."""
    app = web.Application(client_max_size=setup.max_body)
    backend = Backend(store, setup)
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
    if answer.code == 401:  # clients such as httplib2 send nothing until they are asked
        headers["WWW-Authenticate"] = 'Basic realm="ChargeOver"'
    return web.Response(status=answer.code, body=encode(answer.envelope()), headers=headers)


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
