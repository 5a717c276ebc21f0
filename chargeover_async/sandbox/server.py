"""The sandbox as something that runs: inside a test, or until a signal ends it."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from aiohttp import web

from chargeover_async.sandbox.api.router import PREFIX
from chargeover_async.sandbox.api.variant import Variant
from chargeover_async.sandbox.http.app import app_of, backend_of
from chargeover_async.sandbox.http.delivering import deliveries
from chargeover_async.sandbox.http.faults import Faults
from chargeover_async.sandbox.http.guard import is_loopback
from chargeover_async.sandbox.http.log import LogEntry
from chargeover_async.sandbox.http.quota import Quota
from chargeover_async.sandbox.http.setup import (
    DEFAULT_CREDENTIAL,
    DEFAULT_QUOTA,
    MAX_BODY,
    MAX_LOG,
    Setup,
)
from chargeover_async.sandbox.objects.table import new_store
from chargeover_async.sandbox.store.seeding import seed_once
from chargeover_async.sandbox.store.store import Store

_ACCEPTING_TURNS = 3  # of the event loop, from accept() to the protocol
_GRACE_S = 2.0


class Sandbox:
    """An emulated account on a loopback port of this process.

    ::

        async with Sandbox() as sandbox:
            co = ChargeOver(sandbox.url, sandbox.username, sandbox.password)
            ...
            assert sandbox.store.by_key("customer", "acme-1")

    Attributes:
        store: the records, to be seeded before and read after.
        faults: what shall go wrong.
        log: the requests in order of arrival, the oldest forgotten after ``max_log``.

    ``clock`` (seconds, for quota and log), ``now`` (an aware datetime: the account's time and
    zone), ``sleep`` (of delays) and ``seed`` (of tokens) make a run repeatable. ``quota=None``
    lets every request through; a body above ``max_body`` bytes is answered with 413.
    ``keep_bodies`` keeps what was sent in the log (`LogEntry`), for tests that ask for it.

    Events are really posted to the hooks that are subscribed (``_resthook``), with
    ``webhook_token`` as the shared secret: to addresses of this machine, and to ``webhook_hosts``,
    host names to be posted to as well. Each is tried four times; `webhooks` says what came of it.

    With a ``path`` the records live in that file: whatever was answered survives the end of the
    process at any moment, and the next sandbox over the file has it. The log, the faults and the
    used quota do not live there. The file is held from here to `stop` or `kill`, and from `start`
    on again; raises StorageError if another sandbox holds it, or if it is something else.

    ``seeds`` are files that the account begins with: ``customer.jsonl`` (a record a line), a
    ``.json`` file like the body of ``POST /_sandbox/seed``, or a directory of both. An account in a
    file is seeded once. Raises ValueError, naming file and line, for what cannot be stored, OSError
    for what cannot be read.
    """

    def __init__(
        self,
        *,
        quota: Quota | None = DEFAULT_QUOTA,
        variant: Variant | None = None,
        faults: Faults | None = None,
        store: Store | None = None,
        path: str | os.PathLike[str] | None = None,
        seeds: Iterable[str | os.PathLike[str]] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        username: str = DEFAULT_CREDENTIAL,
        password: str = DEFAULT_CREDENTIAL,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        max_log: int = MAX_LOG,
        max_body: int = MAX_BODY,
        keep_bodies: bool = False,
        webhook_token: str = DEFAULT_CREDENTIAL,
        webhook_hosts: Collection[str] = (),
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"the sandbox speaks plain http, so only to loopback, not {host!r}")
        if ":" in username:
            raise ValueError("a user name of HTTP Basic cannot hold a colon")
        if store is not None and path is not None:
            raise ValueError("a sandbox has a store or a path, not both")
        self.host = host
        self.port = port
        self.username = username
        self.password = password
        self.store = store if store is not None else new_store(seed=seed, now=now, path=path)
        self._owns_store = store is None
        try:
            seed_once(self.store, seeds)
        except BaseException:
            self._let_go()
            raise
        self.faults = faults if faults is not None else Faults(seed=seed)
        self.quota = quota if quota is not None else Quota(kind=None)
        self.variant = variant or Variant()
        self.webhook_token = webhook_token
        self._clock = clock
        self._log: deque[LogEntry] = deque(maxlen=max_log)
        self._setup = Setup(
            clock=clock,
            sleep=sleep,
            log=self._log,
            max_body=max_body,
            keep_bodies=keep_bodies,
            webhook_hosts=tuple(webhook_hosts),
        )
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The base URL that a client is given, as ``http://127.0.0.1:8080/api/v3``."""
        return self.page_url.removesuffix("/") + PREFIX

    @property
    def page_url(self) -> str:
        """The page that shows in a browser what is in it, as ``http://127.0.0.1:8080/``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    @property
    def log(self) -> deque[LogEntry]:
        """The requests in order of arrival."""
        return self._log

    @property
    def is_running(self) -> bool:
        """Whether it listens."""
        return self._runner is not None

    @property
    def webhooks(self) -> list[dict[str, Any]]:
        """What was and is to be posted to the hooks, oldest first.

        Each has ``event``, ``context_id``, ``target_url``, ``resthook_id``, ``status`` (pending,
        delivered, failed, refused), ``attempts``, ``answer`` (the last status code, or what went
        wrong) and the payload as ``body``.
        """
        return deliveries(self.store)

    async def webhooks_settled(self) -> None:
        """Wait until every webhook is delivered or given up; raises RuntimeError when stopped."""
        if self._runner is None:
            raise RuntimeError("the sandbox is not running, so nothing is delivered")
        await backend_of(self._runner.app).deliverer.settled()

    async def start(self) -> Self:
        """Listen; after `stop` or `kill` again on the same port, with the same records."""
        if self._runner is not None:
            return self
        self.store.open()
        setup = replace(
            self._setup,
            faults=self.faults,
            quota=self.quota,
            variant=self.variant,
            username=self.username,
            password=self.password,
            webhook_token=self.webhook_token,
        )
        app = app_of(self.store, setup)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
        except OSError:
            await runner.cleanup()
            self._let_go()
            raise
        self.port = runner.addresses[0][1]
        self._runner = runner
        return self

    async def stop(self) -> None:
        """Stop listening, let requests in flight finish, close the rest; harmless when stopped."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await _stop_accepting(runner)
            await backend_of(runner.app).end(abandoned_only=True)
            await runner.cleanup()
            await backend_of(runner.app).end()
        self._let_go()

    async def kill(self) -> None:
        """Stop at once, as in a crash: no more listening, every connection aborted.

        A request that has not been worked on yet never will be; what was done stays done.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            self._let_go()
            return
        await _stop_accepting(runner)
        for site in list(runner.sites):
            await site.stop()
        server = runner.server
        for connection in server.connections if server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()
        await backend_of(runner.app).end()
        await runner.cleanup()
        self._let_go()

    def _let_go(self) -> None:
        if self._owns_store:
            self.store.close()

    async def __aenter__(self) -> Self:
        """Start listening."""
        return await self.start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening; at once if the block failed."""
        await (self.stop() if exc_type is None else self.kill())


async def _stop_accepting(runner: web.AppRunner) -> None:
    """Accept nothing more, and let what is being accepted become a connection that can be closed.

    A server that is closed in between leaves its socket open (asyncio before Python 3.13).
    """
    loop = asyncio.get_running_loop()
    for site in runner.sites:
        listening = site._server  # aiohttp tells addresses only
        for listener in listening.sockets if isinstance(listening, asyncio.Server) else ():
            with suppress(NotImplementedError):  # Windows has no readers
                loop.remove_reader(listener.fileno())
    for _ in range(_ACCEPTING_TURNS):
        await asyncio.sleep(0)


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    quota_limit: int = 250,
    quota_window_s: float = 60.0,
    quota_kind: Literal["rolling", "fixed", "bucket"] | None = "rolling",
    username: str = DEFAULT_CREDENTIAL,
    password: str = DEFAULT_CREDENTIAL,
    seed: int = 0,
    variant: Variant | None = None,
    faults: Faults | None = None,
    path: str | os.PathLike[str] | None = None,
    seeds: Iterable[str | os.PathLike[str]] = (),
    maintenance_s: float = 0.0,
    webhook_token: str = DEFAULT_CREDENTIAL,
    webhook_hosts: Collection[str] = (),
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> None:
    """Serve a sandbox until SIGINT or SIGTERM; blocks.

    Writes one line to ``out`` (standard output) once it listens: the URL, the user name and the
    password, separated by blanks. Where its page is goes to ``err`` (standard error). ``port=0``
    takes a free one; ``quota_kind=None`` counts nothing; ``path`` names the file that the records
    live in; the rest is as for `Sandbox`. Raises ValueError for a host that is not loopback,
    OSError for a port that is taken, StorageError for a file that cannot be had.
    """
    sandbox = Sandbox(
        host=host,
        port=port,
        quota=Quota(quota_limit, quota_window_s, quota_kind),
        username=username,
        password=password,
        seed=seed,
        variant=variant,
        faults=faults,
        path=path,
        seeds=seeds,
        webhook_token=webhook_token,
        webhook_hosts=webhook_hosts,
    )
    if maintenance_s:
        sandbox.faults.down_until(time.monotonic() + maintenance_s)
    asyncio.run(_serve(sandbox, out or sys.stdout, err or sys.stderr))


async def _serve(sandbox: Sandbox, out: TextIO, err: TextIO) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    with suppress(NotImplementedError):  # Windows: there Ctrl-C ends the loop by itself
        for number in signals:
            loop.add_signal_handler(number, ended.set)
    try:
        async with sandbox:
            out.write(f"{sandbox.url} {sandbox.username} {sandbox.password}\n")
            out.flush()
            err.write(f"What is in it, in a browser: {sandbox.page_url}\n")
            err.flush()
            await ended.wait()
    finally:
        with suppress(NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)
