"""The recipe for OpenTelemetry: aiohttp's own instrumentation sees every request."""

from __future__ import annotations

from typing import Any

import aiohttp

from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
from chargeover_async.sandbox import Sandbox


async def test_a_trace_configuration_of_the_caller_sees_each_request() -> None:
    """``trace_configs`` reach aiohttp, beside the one that watches our own sends."""
    seen: list[int] = []

    async def ended(_session: Any, _context: Any, params: aiohttp.TraceRequestEndParams) -> None:
        seen.append(params.response.status)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    async with (
        Sandbox(quota=None) as sandbox,
        ChargeOver(
            sandbox.url,
            sandbox.username,
            sandbox.password,
            limiter=NoLimit(),
            trace_configs=[trace],
        ) as co,
    ):
        await co.customers.create(company="Acme")
        assert await co.customers.count() == 1
    assert seen == [201, 200]
