"""The example's receiver, over HTTP."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from support.places import EXAMPLES

from chargeover_async.webhooks import MAX_BYTES, Event, Webhooks

TOKEN = "SFkJ3fy02n17YxNXm96tCGUKVTOAIBsH"
FILE = EXAMPLES / "webhooks.py"
BODY = json.dumps(
    {
        "context_str": "invoice",
        "context_id": 5,
        "event": "status",
        "data": {"invoice": {"invoice_id": 5, "invoice_status_str": "closed-paid"}},
        "security_token": TOKEN,
    }
).encode()


def example() -> Any:
    spec = importlib.util.spec_from_file_location("example_webhooks", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def receiving(handler: Any = None) -> AsyncIterator[TestClient[Any, Any]]:
    module = example()
    app = module.make_app(Webhooks(TOKEN), *([handler] if handler else []))
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_an_event_is_answered_200_and_handled_behind_the_answer():
    """The handler may take longer than the account waits."""
    handled: list[Event] = []
    go = asyncio.Event()

    async def slow(event: Event) -> None:
        await go.wait()
        handled.append(event)

    async with receiving(slow) as client:
        answer = await client.post("/chargeover", data=BODY)
        assert answer.status == 200
        assert handled == []
        go.set()
    assert [event.name for event in handled] == ["invoice.status"]


async def test_a_handler_that_fails_does_not_stop_the_next_event():
    """It is logged, with nothing of the payload."""
    handled: list[str] = []

    async def fails(event: Event) -> None:
        handled.append(event.name)
        raise RuntimeError("no")

    async with receiving(fails) as client:
        for _ in range(2):
            assert (await client.post("/chargeover", data=BODY)).status == 200
    assert handled == ["invoice.status"] * 2


async def test_what_is_not_from_the_account_is_answered_403():
    """And is not handled."""
    handled: list[Event] = []

    async def note(event: Event) -> None:
        handled.append(event)

    async with receiving(note) as client:
        for body in (b"{}", BODY.replace(TOKEN.encode(), b"x" * 32)):
            assert (await client.post("/chargeover", data=body)).status == 403
    assert handled == []


async def test_an_oversize_body_is_answered_413():
    """Without reading it to its end."""
    async with receiving() as client:
        answer = await client.post("/chargeover", data=io.BytesIO(b"x" * (MAX_BYTES + 1)))
        assert answer.status == 413


async def test_the_handler_of_the_example_runs(caplog: pytest.LogCaptureFixture):
    """As it stands, for an event it knows and one it does not."""
    caplog.set_level("INFO", "receiver")
    async with receiving() as client:
        await client.post("/chargeover", data=BODY)
        await client.post("/chargeover", data=BODY.replace(b"status", b"dance", 1))
    assert "invoice 5 is closed-paid now" in caplog.text
    assert "invoice.dance 5" in caplog.text
