"""A record that is looked up is compared by the account's own dates, in a call and in a batch."""

from __future__ import annotations

from typing import Any

import pytest
from support.scripted import World, envelope, lost

from chargeover_async import AlreadyExists, DateFormat

OWN = DateFormat(date="%m/%d/%Y", datetime="%m/%d/%Y %H:%M:%S")
SENT: dict[str, Any] = {
    "external_key": "i-1",
    "customer_id": 5,
    "date": "2026-01-31",
    "line_items": [{"item_id": 1}],
}


def world(dates: DateFormat | None, **held: Any) -> World:
    record = {"invoice_id": 7, "external_key": "i-1", "customer_id": 5, "date": "01/31/2026"}
    record["line_items"] = [{"item_id": 1}]
    return World(lost(), envelope(200, record | held), dates=dates)


async def create(given: World, *, in_bulk: bool) -> int:
    if not in_bulk:
        return (await given.co.invoices.create(**SENT)).id
    async with given.co.bulk() as bulk:
        made = bulk.invoices.create(**SENT)
    return (await made).id


@pytest.mark.parametrize("in_bulk", [False, True])
async def test_a_date_in_the_accounts_own_format_is_the_same_date(in_bulk: bool):
    """So the create whose answer was lost is done, and not somebody else's record."""
    assert await create(world(OWN), in_bulk=in_bulk) == 7
    with pytest.raises(AlreadyExists, match=r"date sent '2026-01-31' held '02/01/2026'"):
        await create(world(OWN, date="02/01/2026"), in_bulk=in_bulk)


async def test_without_the_format_it_cannot_be_told():
    """It is not taken for equal by a guess: 01/02 may be either day."""
    with pytest.raises(AlreadyExists, match="date"):
        await create(world(None), in_bulk=False)
