"""What the tests of exports share: a filled sandbox with a client."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
from chargeover_async.retry import RetryPolicy
from chargeover_async.sandbox import Faults, Sandbox, Variant

NO_WAITS = RetryPolicy(attempts=4, base_s=0, cap_s=0)
NAMES = ("Ünï çødé", 'quo"ted, and comma', "two\nlines", "back\\slash / slash", "日本語", "🙂", "")


@contextlib.asynccontextmanager
async def account(
    *,
    retry: RetryPolicy = NO_WAITS,
    ids: Iterable[int] = (),
    variant: Variant | None = None,
    faults: Faults | None = None,
) -> AsyncGenerator[tuple[Sandbox, ChargeOver]]:
    """A sandbox with customers of these ids, and a client that never waits."""
    async with (
        Sandbox(quota=None, variant=variant, faults=faults) as sandbox,
        ChargeOver(
            sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit(), retry=retry
        ) as co,
    ):
        fill(sandbox, ids)
        yield sandbox, co


def fill(sandbox: Sandbox, ids: Iterable[int]) -> None:
    for number in ids:
        sandbox.store.seed("customer", customer(number))


def customer(number: int) -> dict[str, Any]:
    return {
        "customer_id": number,
        "company": f"{NAMES[number % len(NAMES)]} {number}",
        "external_key": f"key-{number}",
        "custom_1": f"{number}",
        "balance": Decimal(number) / 100,
    }


def ids_in(sandbox: Sandbox) -> list[int]:
    return list(sandbox.store.table("customer").ids)


def requests(sandbox: Sandbox) -> list[str]:
    """``"GET /customer"`` and the like, in order of arrival."""
    return [f"{entry.method} {entry.path.removeprefix('/api/v3')}" for entry in sandbox.log]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row, parse_float=Decimal) for row in path.read_bytes().splitlines()]


def listed(sandbox: Sandbox, name: str = "customer") -> list[dict[str, Any]]:
    """The records as a list shows them, as JSON reads them."""
    store = sandbox.store
    spec = store.specs[name]
    encode = msgspec.json.Encoder(decimal_format="number").encode
    return [
        json.loads(encode(store.render(spec, row, single=False)), parse_float=Decimal)
        for row in store.table(name).scan()
    ]
