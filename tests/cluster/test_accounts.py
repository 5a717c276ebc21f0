"""Many accounts in one process: one's trouble is its own, and is never silent."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from support.cluster_world import account, connect_to
from support.export_world import fill

from chargeover_async import AuthFailed, ChargeOver, ConnectFailed, UsageError
from chargeover_async.cluster import Accounts, Connect


def nobody() -> tuple[str, str]:
    return "nobody", "wrong"


async def open_accounts(stack: AsyncExitStack, count: int) -> list[Connect]:
    """Accounts with as many customers as their number says."""
    connects: list[Connect] = []
    for number in range(count):
        sandbox, _ = await stack.enter_async_context(account())
        fill(sandbox, range(1, number + 1))
        connects.append(connect_to(sandbox, account=f"a{number}"))
    return connects


async def test_each_account_is_worked_on_once_and_a_few_at_a_time():
    async with AsyncExitStack() as stack:
        connects = await open_accounts(stack, 7)
        now: set[str] = set()
        most = 0

        async def work(connect: Connect, co: ChargeOver) -> int:
            nonlocal most
            now.add(connect.account)
            most = max(most, len(now))
            count = await co.customers.count()
            now.remove(connect.account)
            return count

        found = {
            outcome.account: outcome.value
            async for outcome in Accounts(connects, at_once=3).run(work)
        }
        assert found == {f"a{number}": number for number in range(7)}
        assert most == 3


async def test_the_trouble_of_one_leaves_the_others_alone_and_is_told():
    """Wrong credentials, and a server that is away."""
    async with AsyncExitStack() as stack:
        connects = await open_accounts(stack, 4)
        async with account() as (gone, _):
            away = connect_to(gone, account="away")
            wrong = connect_to(gone, account="wrong", url=connects[3].url, login=nobody)
        given = [*connects[:3], wrong, away]
        outcomes = {
            outcome.account: outcome
            async for outcome in Accounts(given).run(lambda _, co: co.customers.count())
        }
        assert [outcomes[f"a{number}"].value for number in range(3)] == [0, 1, 2]
        assert isinstance(outcomes["wrong"].error, AuthFailed)
        assert isinstance(outcomes["away"].error, ConnectFailed)
        rows: list[tuple[str, int]] = []

        async def read() -> None:
            async for name, batch in Accounts(given).batches("customer", fields=["customer_id"]):
                rows.extend((name, row["customer_id"]) for row in batch.to_pylist())

        with pytest.raises(ExceptionGroup, match="2 of 5 accounts were not read whole") as caught:
            await read()
        assert sorted(rows) == [("a1", 1), ("a2", 1), ("a2", 2)]
        notes = {error.__notes__[-1] for error in caught.value.exceptions}
        assert notes == {"account wrong", "account away"}


async def test_an_error_of_the_program_is_raised():
    async with AsyncExitStack() as stack:
        connects = await open_accounts(stack, 2)

        async def work(_: Connect, __: ChargeOver) -> None:
            raise LookupError("a bug")

        with pytest.raises(LookupError, match="a bug"):
            async for _ in Accounts(connects).run(work):
                pass


async def test_leaving_early_ends_what_is_under_way():
    async with AsyncExitStack() as stack:
        connects = await open_accounts(stack, 5)
        async with aclosing(Accounts(connects, at_once=2).batches("customer")) as batches:
            async for _ in batches:
                break
        left = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
        assert not any("Accounts" in name or name == "_one" for name in left)


@pytest.mark.parametrize(
    ("urls", "options", "said"),
    [
        ([], {}, "must be an account"),
        (["a", "a"], {}, "the same"),
        (["a"], {"at_once": 0}, "at_once"),
    ],
)
def test_what_cannot_be_meant_is_refused(urls: list[str], options: dict[str, Any], said: str):
    connects = [Connect(url=f"https://{url}.chargeover.com/api/v3") for url in urls]
    with pytest.raises(UsageError, match=said):
        Accounts(connects, **options)
