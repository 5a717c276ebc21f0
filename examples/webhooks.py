"""A small receiver of webhooks.

CHARGEOVER_WEBHOOK_TOKEN=... python examples/webhooks.py

It answers at once and works behind the answer: ChargeOver waits 14 s, takes anything but 200 for a
failure, and then posts the event again. What waits in memory is lost when the process ends, so a
service that must not miss an event writes it down before it answers.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from chargeover_async import WebhookError
from chargeover_async.webhooks import MAX_BYTES, Event, Webhooks

log = logging.getLogger("receiver")
Handler = Callable[[Event], Awaitable[None]]


async def handle(event: Event) -> None:
    """What your service does; an event may come twice, late, and in any order."""
    if event.name == "invoice.status" and event.data.invoice is not None:
        invoice = event.data.invoice
        log.info("invoice %s is %s now", invoice.invoice_id, invoice.invoice_status_str)
    else:
        log.info("%s %s", event.name, event.context_id)


def make_app(webhooks: Webhooks, handler: Handler = handle) -> web.Application:
    waiting: asyncio.Queue[Event] = asyncio.Queue(maxsize=1_000)

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()  # answers 413 by itself above client_max_size
        try:
            event = webhooks.parse(body, request.headers)
        except WebhookError as error:
            log.warning("a payload was refused: %s", error)
            return web.Response(status=403)
        try:
            waiting.put_nowait(event)
        except asyncio.QueueFull:
            return web.Response(status=503)  # it will be posted again
        return web.Response()

    async def work() -> None:
        while True:
            event = await waiting.get()
            try:
                await handler(event)
            except Exception:
                log.exception("%r failed", event)
            finally:
                waiting.task_done()

    async def worker(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(work())
        yield
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(waiting.join(), 10)  # finish what was accepted
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app = web.Application(client_max_size=MAX_BYTES)
    app.router.add_post("/chargeover", receive)
    app.cleanup_ctx.append(worker)
    return app


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    web.run_app(make_app(Webhooks(os.environ["CHARGEOVER_WEBHOOK_TOKEN"])), port=8080)
