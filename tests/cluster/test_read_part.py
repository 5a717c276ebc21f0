"""Reading in parts: every record once, whatever the cuts, in one schema."""

from __future__ import annotations

import asyncio
import pickle
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.cluster_world import account, connect_to
from support.export_world import fill, requests

from chargeover_async import AuthFailed, DecodeError, F, UsageError
from chargeover_async.cluster import Connect, Part, part_schema, plan_parts, read_part

SHARE = "redis://not-used:1/0"


async def plan(*given: Any, **options: Any) -> list[Part]:
    return await asyncio.to_thread(plan_parts, *given, **options)


async def rows(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """What all parts bring, each of which has travelled."""
    found: list[dict[str, Any]] = []
    for part in parts:
        arrived: Part = pickle.loads(pickle.dumps(part))  # noqa: S301
        for batch in await asyncio.to_thread(list, read_part(arrived)):
            assert batch.schema.equals(part_schema(part))
            found += batch.to_pylist()
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_ranges_of_ids_cover_every_record_once(seed: int, tmp_path: Path):
    """Dense and sparse ids, fewer records than parts, and those that come after the plan."""
    source = random.Random(seed)
    count, parts = source.choice([(0, 3), (1, 4), (3, 5), (700, 3), (900, 7), (40, 1)])
    ids = source.sample(range(1, 1 + count * source.choice([1, 2, 1_000])), count)
    share = str(tmp_path / "quota")
    async with account(quota_share=share) as (sandbox, connect):
        fill(sandbox, ids)
        planned = await plan("customer", connect, split_by="ids", parts=parts)
        assert 1 <= len(planned) <= parts
        fill(sandbox, [10_000_000])
        found = [row["customer_id"] for row in await rows(planned)]
        assert found == [*sorted(ids), 10_000_000]


async def test_an_account_is_a_part_and_its_name_a_column():
    """No request is needed to plan it."""
    async with account() as (one, first), account() as (two, second):
        fill(one, range(1, 6))
        fill(two, range(3, 5))
        accounts = [
            connect_to(one, account="one"),
            connect_to(two, account="two"),
        ]
        parts = plan_parts("customer", accounts, account_column="account", fields=["customer_id"])
        assert requests(one) == requests(two) == []
        assert len(parts) == 2
        found = await rows(parts)
        assert found == [
            *({"account": "one", "customer_id": number} for number in range(1, 6)),
            *({"account": "two", "customer_id": number} for number in range(3, 5)),
        ]
        assert (first.account, second.account) == ("127.0.0.1", "127.0.0.1")


async def test_filters_fields_and_nested_parts_are_those_of_an_export():
    async with account() as (sandbox, connect):
        fill(sandbox, range(1, 40))
        parts = plan_parts(
            "customers",
            connect,
            where=["customer_id >= 5", F.customer_id < 9],
            fields=["customer_id", "balance"],
        )
        assert await rows(parts) == [
            {"customer_id": number, "balance": Decimal(number) / 100} for number in range(5, 9)
        ]


async def test_leaving_early_sends_nothing_more():
    async with account() as (sandbox, connect):
        fill(sandbox, range(1, 60_000))
        [part] = plan_parts("customer", connect, fields=["customer_id"])

        def begin() -> int:
            batches = read_part(part)
            first = next(batches)
            batches.close()
            return first.num_rows

        assert await asyncio.to_thread(begin) == 500
        sent = len(sandbox.log)
        await asyncio.sleep(0)
        assert len(sandbox.log) == sent < 12


async def test_datetimes_that_are_not_as_declared_are_refused_and_never_shifted():
    async with account() as (sandbox, connect):
        fill(sandbox, [1])
        [local] = plan_parts("customer", connect, fields=["customer_id", "write_datetime"])
        [utc] = plan_parts(
            "customer", connect, fields=["customer_id", "write_datetime"], moments="utc"
        )
        aware = str(part_schema(utc).field("write_datetime").type)
        assert aware == "timestamp[us, tz=UTC]"
        with pytest.raises(DecodeError, match='set moments to "local"'):
            await rows([utc])
        assert [row["customer_id"] for row in await rows([local])] == [1]


async def test_an_object_without_records_has_no_batch():
    async with account() as (_, connect):
        assert await rows(plan_parts("invoice", connect)) == []


async def test_wrong_credentials_show_where_the_part_is_read():
    async with account() as (sandbox, _):
        [part] = plan_parts("customer", connect_to(sandbox, login=_nobody))
        with pytest.raises(AuthFailed):
            await rows([part])


async def test_an_account_that_cannot_be_planned_is_named(tmp_path: Path):
    share = str(tmp_path / "quota")
    async with account() as (sandbox, _):
        wrong = connect_to(sandbox, login=_nobody, quota_share=share, account="acme")
        with pytest.raises(ExceptionGroup) as caught:
            await plan("customer", wrong, split_by="ids")
        [error] = caught.value.exceptions
        assert "acme" in error.__notes__[0]


def _nobody() -> tuple[str, str]:
    return "nobody", "wrong"


def test_what_cannot_be_meant_is_refused_before_anything_is_sent():
    connect = Connect(url="https://acme.chargeover.com/api/v3")
    shared = Connect(url="https://acme.chargeover.com/api/v3", quota_share=SHARE)
    other = Connect(url="https://acme.chargeover.com/api/v3/", account="other")
    for options, said in (
        ({"object": "nonsense"}, "nonsense"),
        ({"fields": ["no_such"]}, "no_such"),
        ({"where": ["nonsense"]}, "not a filter"),
        ({"split_by": "ids"}, "quota"),
        ({"split_by": "pages"}, "split_by"),
        ({"split_by": "ids", "accounts": [shared], "object": "usage"}, "by ids"),
        ({"split_by": "ids", "accounts": [shared], "parts": 0}, "parts"),
        ({"accounts": [connect, other]}, "same url"),
        ({"account_column": "company"}, "company"),
        ({"moments": "mine"}, "moments"),
    ):
        given: dict[str, Any] = {"object": "customer", "accounts": [connect], **options}
        with pytest.raises(UsageError, match=said):
            plan_parts(**given)


def test_a_schema_is_known_without_reading():
    connect = Connect(url="https://acme.chargeover.com/api/v3")
    [part] = plan_parts("invoice", connect, account_column="account")
    schema = part_schema(part)
    assert schema.names[:2] == ["account", "invoice_id"]
    assert schema.field("total").type == pa.decimal128(38, 18)
    assert pa.types.is_list(schema.field("line_items").type)
