"""Webhooks really posted: what waits in the store goes out, is tried again, and leaves a trace.

Source: pages "Webhooks", "Verifying and validating webhooks", "Network errors and timeouts" and
"Retrieve the system log". UNVERIFIED: how often and after how long the real account tries again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from chargeover_async.sandbox.store.file import StorageError
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.store import Store

from .guard import is_loopback

TIMEOUT_S = 14.0  # page "Network errors and timeouts"
DELAYS_S = (1.0, 5.0, 25.0)  # before the second, third and fourth try, which is the last
AT_ONCE = 8
WAITING = 200  # on their way, or waiting to be tried again
KEPT = 1_000  # deliveries that are done, and lines of the system log

PENDING, DELIVERED, FAILED, REFUSED = "pending", "delivered", "failed", "refused"


def deliveries(store: Store) -> list[dict[str, Any]]:
    """What was and is to be delivered, oldest first, with the payload as ``body``."""
    records = store.records("_delivery")
    return [{**record, "body": json.loads(record["body"])} for record in records]


class Deliverer:
    """Posts the deliveries that wait in a store, each until it is answered 200 or given up.

    1. Nothing is posted but to this machine, or to a host in ``hosts``; no redirect is followed and
       no proxy asked.
    2. A delivery is tried at most ``1 + len(DELAYS_S)`` times, also over restarts of a store with a
       file; at most `AT_ONCE` are on their way.
    3. Order is not promised (page "Order of events"): one that has to wait holds up no other, but
       where `WAITING` of them do.
    """

    def __init__(
        self,
        store: Store,
        *,
        token: str,
        hosts: Collection[str] = (),
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._token = token
        self._hosts = frozenset(host.lower() for host in hosts)
        self._sleep = sleep
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def wake(self) -> None:
        """Take up what is new; to be called whenever something may have happened."""
        waiting = self._store.having("_delivery", "pending", 1)
        if not waiting or self._closed:
            return
        for row in waiting:
            if len(self._tasks) >= WAITING:
                return
            if row.id not in self._tasks:
                self._tasks[row.id] = asyncio.create_task(self._deliver(row.id))

    async def settled(self) -> None:
        """Wait until nothing is on its way any more."""
        self.wake()
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def close(self) -> None:
        """Stop for good; what is not delivered stays pending in the store."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _deliver(self, id_: int) -> None:
        try:
            # A store that cannot be written to says so to whoever asks it something.
            with suppress(StorageError):
                while await self._try(id_):
                    pass
        finally:
            del self._tasks[id_]
            self.wake()

    async def _try(self, id_: int) -> bool:
        """Try once, after the wait that is due; whether to try again."""
        row = self._row(id_)
        if row is None:
            return False
        tried: int = row.data["attempts"]
        if tried:
            await self._sleep(DELAYS_S[min(tried, len(DELAYS_S)) - 1])
        async with self._slots:
            row = self._row(id_)
            if row is None:
                return False
            data = row.data
            if self._may_post(data["target_url"]):
                answer = await self._post(data["target_url"], data["body"])
                status = DELIVERED if answer == "200" else PENDING
                if status == PENDING and tried >= len(DELAYS_S):
                    status = FAILED
                tried += 1
            else:
                status, answer = REFUSED, "not an address of this machine"
        self._note(id_, status, answer, tried)
        return status == PENDING

    def _row(self, id_: int) -> Row | None:
        row = self._store.row("_delivery", id_)
        return None if row is None or row.data.get("pending") is None else row

    def _may_post(self, url: str) -> bool:
        host = (urlsplit(url).hostname or "").lower()
        return is_loopback(host) or host in self._hosts

    async def _post(self, url: str, body: str) -> str:
        """The status code of the answer, or what went wrong."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(force_close=True),
            )
        payload = f'{body[:-1]},"security_token":{json.dumps(self._token)}}}'
        headers = {
            "Content-Type": "application/json",
            "X-ChargeOver-Key": self._token,
            "X-ChargeOver-Source": urlsplit(self._store.site).hostname or "",
        }
        try:
            async with self._session.post(
                url, data=payload.encode(), headers=headers, allow_redirects=False
            ) as response:
                return str(response.status)
        except TimeoutError:
            return f"no answer within {TIMEOUT_S:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__

    def _note(self, id_: int, status: str, answer: str, tried: int) -> None:
        """Write down what came of a try; the store may have been emptied meanwhile."""
        row = self._row(id_)
        if row is None:
            return
        store = self._store
        pending = 1 if status == PENDING else None
        changes = {"status": status, "answer": answer, "attempts": tried, "pending": pending}
        with store.transaction():
            data = row.data
            store.change(row, **changes)
            if status != DELIVERED:
                # UNVERIFIED: the words; the page's entries report answers that are not 200.
                msg = f"Webhook {data['event']} to {data['target_url']}: {answer}"
                entry = {"msg": msg, "log_datetime": store.stamp()}
                store.insert(store.draft("_log_system", entry))
            self._forget("_delivery")
            self._forget("_log_system")

    def _forget(self, name: str) -> None:
        """Keep the newest `KEPT` rows of a table, and whatever still waits."""
        table = self._store.table(name)
        while len(table.ids) > KEPT:
            row = table.rows[table.ids[0]]
            if row.data.get("pending") is not None:
                return
            table.remove(row)
