"""How many records a second are read from a page of 500, as typed records.

    python -m benchmarks.decode [--json] [--full] [--records N] [--rounds N]

The pages are what the sandbox sends for a list of invoices and of customers: the fields, the order
and the forms of the recordings. What is measured is the processor time from the bytes of the whole
answer to the records, in the best of the rounds: for the library the envelope, its checks and
structs with Decimal and datetime, as a direct call does it; for the others the same bytes to dicts
(json, orjson), which leaves money as binary fractions and dates as text, and to pydantic models
with the same fields and types. ``without`` is how fast the library's decoder would be if it did
less, to show where its time goes: binary fractions for Decimal, text for dates, and no field kept
at all.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
import typing
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import aiohttp
import msgspec
import orjson
import pydantic

from benchmarks._common import finish, options_of, rates, report
from chargeover_async import ChargeOver, Customer, Invoice
from chargeover_async._send.result import result_of
from chargeover_async._wire.envelope import Answer, Decoded, WholeReader
from chargeover_async.limits import NoLimit
from chargeover_async.models import Record
from chargeover_async.resources._calls.answers import Reading
from chargeover_async.sandbox import Sandbox

PAGE = 500
KINDS: dict[str, type[Record]] = {"invoice": Invoice, "customer": Customer}
TO_REACH = {"json": 3.0, "pydantic": 3.5, "orjson": 1.0}


async def pages() -> dict[str, bytes]:
    """The bytes of a full page of each kind."""
    async with (
        Sandbox(quota=None) as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        item = await co.items.create(name="Tea")
        async with co.bulk() as bulk:
            for number in range(PAGE):
                customer = bulk.customers.create(
                    company=f"Company {number}",
                    bill_addr1="16 Dog Lane",
                    bill_addr2="Suite D",
                    bill_city="Storrs",
                    bill_state="CT",
                    external_key=f"k{number}",
                    superuser_name="Johann Dough",
                    superuser_email=f"johann-{number}@example.com",
                )
                bulk.invoices.create(
                    customer_id=customer.ref(),
                    line_items=[{"item_id": item.id, "line_rate": "29.95", "line_quantity": 3}],
                )
        auth = aiohttp.encode_basic_auth(sandbox.username, sandbox.password)
        found: dict[str, bytes] = {}
        async with aiohttp.ClientSession(headers={"Authorization": auth}) as session:
            for kind in KINDS:
                async with session.get(f"{sandbox.url}/{kind}?limit={PAGE}") as answer:
                    found[kind] = await answer.read()
        return found


# -- the contenders ------------------------------------------------------------------------------


def library(reader: WholeReader, page: bytes) -> int:
    """What the library does with the answer to a list."""
    result = result_of(Answer(200, {}, page), None, reader)
    assert result.fault is None
    assert result.whole is not None
    return len(result.whole.response)


def with_json(page: bytes) -> int:
    """json to dicts."""
    return len(json.loads(page)["response"])


def with_orjson(page: bytes) -> int:
    """orjson to dicts."""
    return len(orjson.loads(page)["response"])


def pydantic_model(kind: type[Record]) -> type[pydantic.BaseModel]:
    """An envelope of pydantic models with the fields and types of a struct."""
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        nested = [
            argument for argument in typing.get_args(hint) if typing.get_origin(argument) is list
        ]
        fields[field.name] = (list[dict[str, Any]] | None if nested else hint, None)
    model = pydantic.create_model(kind.__name__, **fields)
    return pydantic.create_model(
        "Envelope",
        code=(int, ...),
        status=(str, ...),
        message=(str | None, None),
        response=(list[model], ...),  # type: ignore[valid-type]  # made above
    )


def with_pydantic(model: Any, page: bytes) -> int:
    """pydantic models, read from the bytes in one go."""
    return len(model.model_validate_json(page).response)


def without(kind: type[Record], page: bytes) -> dict[str, Callable[[], int]]:
    """The library's decoder with less to do, to show what each kind of value costs."""
    hints = typing.get_type_hints(kind)

    def reading(*as_others: tuple[type, Any]) -> Callable[[], int]:
        fields = dict(hints)
        for of, other in as_others:
            fields |= {name: other for name, hint in hints.items() if of in typing.get_args(hint)}
        return _reader([(name, hint, None) for name, hint in fields.items()], page)

    numbers = (Decimal, float | None)
    texts = [(kind, str | None) for kind in (dt.date, dt.datetime)]
    return {
        "decimals": reading(numbers),
        "decimals_and_dates": reading(numbers, *texts),
        "any_field": _reader([], page),
    }


def _reader(fields: list[Any], page: bytes) -> Callable[[], int]:
    record: Any = msgspec.defstruct("Less", fields, frozen=True, kw_only=True)
    decode = msgspec.json.Decoder(Decoded[list[record]]).decode
    return lambda: len(decode(page).response)


# -- measuring -----------------------------------------------------------------------------------


async def run(records: int, rounds: int) -> dict[str, Any]:
    """Records a second of everyone, for each kind of page."""
    times = max(records // PAGE, 1)
    figures: dict[str, Any] = {}
    for name, page in (await pages()).items():
        kind = KINDS[name]
        ways: dict[str, Callable[[], int]] = {
            "library": partial(library, Reading(kind, None, None).many, page),
            "json": partial(with_json, page),
            "orjson": partial(with_orjson, page),
            "pydantic": partial(with_pydantic, pydantic_model(kind), page),
        }
        less = without(kind, page)
        every = ways | less
        for way, read in every.items():
            if read() != PAGE:
                raise SystemExit(f"{way} did not read the page: these figures mean nothing")
        seen = await rates(
            {way: (times * PAGE, partial(again, read, times)) for way, read in every.items()},
            rounds,
            clock=time.process_time,
            of=max,
        )
        figures[name] = {
            "page_bytes": len(page),
            "per_second": {way: round(seen[way]) for way in ways},
            "without": {way: round(seen[way]) for way in less},
            "library_over": {
                way: round(seen["library"] / rate, 2)
                for way, rate in seen.items()
                if way in TO_REACH
            },
        }
    return report(
        "decode",
        {"records": times * PAGE, "rounds": rounds, **figures, "to_reach": TO_REACH},
        ("orjson", "pydantic"),
    )


async def again(read: Callable[[], int], times: int) -> None:
    """One run: the page, so many times."""
    for _ in range(times):
        read()


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The figures for a reader."""
    for name in KINDS:
        row = result[name]
        yield f"a page of {PAGE} records, {name}, {row['page_bytes']} bytes"
        for way, rate in row["per_second"].items():
            over = row["library_over"].get(way)
            ratio = (
                "" if over is None else f"   library is {over:.2f} x (to reach {TO_REACH[way]:g})"
            )
            yield f"{way:12}{rate:>10} records/s{ratio}"
        for way, rate in row["without"].items():
            yield f"{'':12}{rate:>10} records/s   the library without {way.replace('_', ' ')}"


def main(arguments: list[str] | None = None) -> None:
    """Read the options, measure, print."""
    options = options_of("decode", __doc__, arguments, records=(500, 500), rounds=(60, 500))
    result = asyncio.run(run(options.records, options.rounds))
    finish(result, table(result), as_json=options.json)


if __name__ == "__main__":
    main()
