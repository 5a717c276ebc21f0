"""A record brought to what is said of it, whether it is there or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chargeover_async import ChargeOver, ExternalKey
from chargeover_async.errors import AlreadyExists, UsageError
from chargeover_async.limits import NoLimit
from chargeover_async.resources import Upserted
from chargeover_async.sandbox import Sandbox


@pytest.fixture
async def world() -> AsyncIterator[tuple[Sandbox, ChargeOver]]:
    async with (
        Sandbox(quota=None) as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        yield sandbox, co


async def test_it_is_created_changed_and_left(world: Any) -> None:
    """The outcome says which, with the fields that were changed; nothing else is sent."""
    sandbox, co = world
    first = await co.customers.upsert(external_key="a", company="A", tags=["x"])
    assert first == Upserted(1, "created")
    assert len(sandbox.log) == 1
    await co.customers.update(ExternalKey("a"), custom_1="another's")
    again = await co.customers.upsert(external_key="a", company="B", tags=["x"])
    assert again == Upserted(1, "updated", ("company",))
    assert await co.customers.upsert(external_key="a", company="B") == Upserted(1, "unchanged")
    held = await co.customers.get(1)
    assert (held.company, held.custom_1, held.tags) == ("B", "another's", ["x"])


async def test_get_or_create_leaves_what_is_there(world: Any) -> None:
    """Also of an object that has no update."""
    _, co = world
    assert (await co.items.get_or_create(external_key="a", name="A")).what == "created"
    assert await co.items.get_or_create(external_key="a", name="B") == Upserted(1, "unchanged")
    assert (await co.items.get(1)).name == "A"


async def test_extra_fields_are_created_and_changed_too(world: Any) -> None:
    """They travel as they were given."""
    _, co = world
    await co.customers.upsert(external_key="a", company="A", extra={"bill_notes": "x"})
    again = await co.customers.upsert(external_key="a", company="A", extra={"bill_notes": "y"})
    assert again.fields == ("bill_notes",)


async def test_in_a_bulk_scope_they_travel_together(world: Any) -> None:
    """50, half of them there with another name: creates, look-ups and changes, 25 a request."""
    sandbox, co = world
    for number in range(25):
        sandbox.store.seed("customer", {"external_key": f"k{number}", "company": "old"})
    async with co.bulk() as bulk:
        done = await asyncio.gather(
            *(bulk.customers.upsert(external_key=f"k{n}", company="new") for n in range(50))
        )
    assert [upserted.what for upserted in done] == ["updated"] * 25 + ["created"] * 25
    assert {record["company"] for record in sandbox.store.records("customer")} == {"new"}
    assert len(sandbox.log) <= 8


async def test_a_key_that_stays_taken_by_a_deleted_record_is_an_error(world: Any) -> None:
    """There is nothing to change, and nothing can be created (vendor's text, "External Keys")."""
    _, co = world
    await co.customers.upsert(external_key="a", company="A")
    await co.customers.delete(1)
    with pytest.raises(AlreadyExists):
        await co.customers.upsert(external_key="a", company="A")


async def test_what_cannot_be_right_is_refused_before_anything_is_sent(world: Any) -> None:
    """No key, an unknown field, a reference to what has no answer yet."""
    sandbox, co = world
    with pytest.raises(UsageError, match=r"customers\.upsert needs external_key"):
        co.customers.upsert(company="A")
    with pytest.raises(UsageError, match="companie"):
        co.customers.upsert(external_key="a", companie="A")
    acme = co.customers.create(company="A")
    with pytest.raises(UsageError, match="no references"):
        co.users.upsert(external_key="a", customer_id=acme.ref())
    acme.close()
    assert len(sandbox.log) == 0
