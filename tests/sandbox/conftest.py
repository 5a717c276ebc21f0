"""A sandbox without HTTP for the rules, and one on a port for the rest."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.sandbox_state import whole_state

from chargeover_async.sandbox import Sandbox, Variant, new_store
from chargeover_async.sandbox.api.bulk import run_bulk
from chargeover_async.sandbox.api.router import PREFIX, Api
from chargeover_async.sandbox.protocol.answers import decode, encode


class Wall:
    """The account's time; a test moves it."""

    def __init__(self) -> None:
        self.value = dt.datetime(2026, 3, 1, 9, 30, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.value

    def advance(self, **delta: float) -> None:
        self.value += dt.timedelta(**delta)


class Account:
    """Calls the API in process; payloads and answers go through JSON, numbers stay exact."""

    def __init__(
        self, wall: Wall, variant: Variant | None = None, path: Path | None = None
    ) -> None:
        self.wall = wall
        self.path = path
        self.store = new_store(now=wall, path=path)
        self.api = Api(self.store, variant)

    def end(self) -> None:
        """Every account of these tests lives in a file: all that it has must be there as well."""
        before = whole_state(self.store)
        self.store.close()
        again = new_store(now=self.wall, path=self.path)
        try:
            assert whole_state(again) == before
        finally:
            again.close()

    def __call__(self, method: str, path: str, payload: Any = None) -> dict[str, Any]:
        answer = self.api.answer(method, PREFIX + path, _sent(payload))
        return decode(encode(answer.envelope()))

    def ok(self, method: str, path: str, payload: Any = None) -> Any:
        envelope = self(method, path, payload)
        assert envelope["status"] == "OK", envelope
        return envelope["response"]

    def refused(self, method: str, path: str, payload: Any = None) -> str:
        before = self.snapshot()
        envelope = self(method, path, payload)
        assert envelope["code"] == 400, envelope
        assert envelope["status"] == "Error"
        assert envelope["response"] is False
        assert self.snapshot() == before, "a refused request changed something"
        return envelope["message"]

    def snapshot(self) -> dict[str, Any]:
        return {name: self.store.records(name) for name in self.store.specs}

    def bulk(self, items: Any, **options: Any) -> list[dict[str, Any]]:
        answer, _ = run_bulk(self.api, _sent(items), **options)
        envelope = decode(encode(answer.envelope()))
        assert envelope["code"] == 200, envelope
        return envelope["response"]["_bulk"]

    def customer(self, **fields: Any) -> int:
        return self.ok("POST", "/customer", {"company": "Acme", **fields})["id"]

    def item(self, base: Any = "10", **fields: Any) -> int:
        payload = {"type": "service", "name": "Thing", "pricemodel": {"base": base}, **fields}
        return self.ok("POST", "/item", payload)["id"]

    def card(self, customer_id: int, number: str = "4111 1111 1111 1111", **fields: Any) -> int:
        payload = {"customer_id": customer_id, "number": number, "expdate": "2030-10-01", **fields}
        return self.ok("POST", "/creditcard", payload)["id"]

    def invoice(self, customer_id: int, *lines: dict[str, Any], **fields: Any) -> int:
        payload = {"customer_id": customer_id, "line_items": list(lines), **fields}
        return self.ok("POST", "/invoice", payload)["id"]


def _sent(payload: Any) -> Any:
    if payload is None:
        return None
    return decode(json.dumps(payload, default=_number).encode())


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(value)


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def make_account(wall: Wall, tmp_path: Path) -> Iterator[Callable[..., Account]]:
    made: list[Account] = []

    def make(**switches: Any) -> Account:
        path = tmp_path / f"account{len(made)}.db"
        made.append(Account(wall, Variant(**switches), path))
        return made[-1]

    yield make
    for account in made:
        account.end()


@pytest.fixture
def account(make_account: Callable[..., Account]) -> Account:
    return make_account()


class Caller:
    """An HTTP client with the sandbox's credentials."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    async def __call__(
        self, method: str, path: str, payload: Any = None, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        async with self.session.request(
            method, self.sandbox.url + path, json=payload, **options
        ) as response:
            return response.status, decode(await response.read())


@asynccontextmanager
async def calling(sandbox: Sandbox) -> AsyncIterator[Caller]:
    """A client of ``sandbox`` that never repeats a request and keeps no connection."""
    headers = {
        "Authorization": aiohttp.encode_basic_auth(sandbox.username, sandbox.password),
    }
    async with aiohttp.ClientSession(
        headers=headers, connector=aiohttp.TCPConnector(force_close=True)
    ) as session:
        yield Caller(sandbox, session)


@pytest.fixture
async def sandbox(wall: Wall) -> AsyncIterator[Sandbox]:
    async with Sandbox(quota=None, now=wall) as running:
        yield running


@pytest.fixture
async def call(sandbox: Sandbox) -> AsyncIterator[Caller]:
    async with calling(sandbox) as caller:
        yield caller


@pytest.fixture
def connect() -> Callable[[Sandbox], Any]:
    return calling
