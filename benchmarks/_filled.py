"""A sandbox that is full of customers, without a quota; prints where it listens."""

from __future__ import annotations

import argparse
import asyncio
import random

from chargeover_async.sandbox import Sandbox


def fill(sandbox: Sandbox, records: int, gaps: int) -> None:
    """Customers with the fields that a business has, and other text in each."""
    source = random.Random(0)
    for number in range(1, records + 1):
        sandbox.store.seed(
            "customer",
            {
                "customer_id": number * gaps,
                "company": f"Çompany {number}",
                "external_key": f"k{number}",
                "bill_addr1": f"{source.randrange(999)} Dog Lane",
                "bill_city": "Storrs",
                "bill_state": "CT",
                "balance": f"{source.randrange(10**6)}.{number % 100:02}",
                "custom_1": f"{source.random()}",
            },
        )


async def serve(records: int, gaps: int) -> None:
    """Fill, listen, and wait for the end."""
    sandbox = Sandbox(quota=None)
    fill(sandbox, records, gaps)
    async with sandbox:
        print(sandbox.url, sandbox.username, sandbox.password, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--gaps", type=int, default=1)
    options = parser.parse_args()
    asyncio.run(serve(options.records, options.gaps))
