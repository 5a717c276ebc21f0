"""A small service on the client: whoever signs up becomes a customer with a first invoice."""

import asyncio
import contextlib
from typing import Any

from chargeover_async import AlreadyExists, ChargeOver, Operation, ServerError, TransportError


class Signup:
    """Signs companies up, each once, however often it is asked to and whatever goes wrong."""

    def __init__(self, co: ChargeOver) -> None:
        self._co = co

    async def sign_up(self, key: str, company: str) -> None:
        """Asks again every minute, for an hour, while the API is down."""
        async with asyncio.timeout(3600):
            while True:
                try:
                    return await self._sign_up(key, company)
                except (ServerError, TransportError):
                    await asyncio.sleep(60)

    async def _sign_up(self, key: str, company: str) -> None:
        await _ensure(self._co.customers.create(external_key=key, company=company))
        await _ensure(
            self._co.invoices.create(
                external_key=f"{key}-first",
                customer_external_key=key,
                line_items=[{"item_external_key": "setup", "line_rate": "49.00"}],
            )
        )


async def _ensure(create: Operation[Any]) -> None:
    with contextlib.suppress(AlreadyExists):  # an earlier attempt came this far
        await create
