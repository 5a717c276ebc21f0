"""A mixed stream against a sandbox that loses answers: its own store is the witness.

``CHARGEOVER_STREAM_OPERATIONS`` sets the size; 50,000 takes a minute or two.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from chargeover_async import (
    BulkSettings,
    ChargeOver,
    NoLimit,
    Operation,
    RetryPolicy,
    ServerAssumptions,
)
from chargeover_async.sandbox import Faults, Sandbox, Variant

pytestmark = pytest.mark.process

SIZE = int(os.environ.get("CHARGEOVER_STREAM_OPERATIONS", "5000"))
TROUBLE = {
    "lost": 0.10,
    "reset_before": 0.025,
    "reset_after": 0.025,
    "500": 0.025,
    "500_after": 0.025,
    "429": 0.02,
}
VARIANTS = {
    "goes on": (Variant(), ServerAssumptions()),
    "skips the rest": (Variant(stop_after_failure="skip"), ServerAssumptions()),
    "truncates": (Variant(stop_after_failure="truncate"), ServerAssumptions()),
    "refuses what is not shown": (
        Variant(accept_delete=False, accept_query=False, accept_actions=False),
        ServerAssumptions(),
    ),
    "takes everything": (
        Variant(),
        ServerAssumptions(
            later_items="run", deletes=True, queries=True, actions=True, jsonpath_keys=None
        ),
    ),
}


def mixed(
    co: ChargeOver, size: int, item_id: int, source: random.Random
) -> Iterator[Operation[Any]]:
    """Creates with and without keys, invoices that refer to them, and updates of both."""
    made = 0
    while made < size:
        keyed = source.random() < 0.8
        fields = {"external_key": f"c{made}"} if keyed else {}
        customer = co.customers.create(company=f"customer {made}", **fields)
        customer.tag = ("create", "customer", f"c{made}" if keyed else None, f"customer {made}")
        yield customer
        made += 1
        for _ in range(source.randrange(3)):
            invoice = co.invoices.create(
                customer_id=customer.ref(),
                external_key=f"i{made}",
                memo=f"memo {made}",
                line_items=[{"item_id": item_id, "line_rate": "1.25"}],
            )
            invoice.tag = ("create", "invoice", f"i{made}", f"memo {made}")
            yield invoice
            made += 1
        if source.random() < 0.3:
            update = co.customers.update(customer, bill_city=f"city {made}")
            update.tag = ("update", customer, f"city {made}")
            yield update
            made += 1


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", VARIANTS)
async def test_nothing_is_lost_doubled_or_misreported(kind: str) -> None:
    """Every keyed create is settled, every record is there once, and unknown is true."""
    variant, assumptions = VARIANTS[kind]
    size = SIZE if kind == "goes on" else min(SIZE, 2_000)
    policy = RetryPolicy(attempts=30, attempts_after_500=30, base_s=0.001, cap_s=0.01, total_s=300)
    async with (
        Sandbox(quota=None, variant=variant, faults=Faults(TROUBLE, seed=7)) as sandbox,
        ChargeOver(
            sandbox.url,
            sandbox.username,
            sandbox.password,
            limiter=NoLimit(),  # these 429s come by chance: there is no quota to learn
            retry=policy,
        ) as co,
    ):
        sandbox.faults.set_rates({})
        item = await co.items.create(name="thing")
        sandbox.faults.set_rates(TROUBLE)
        source = random.Random(11)
        stream = co.stream(
            mixed(co, size, item.id, source), settings=BulkSettings(assumptions=assumptions)
        )
        outcomes: list[Any] = [outcome async for outcome in stream]
        assert len(outcomes) >= size

        records = {name: sandbox.store.records(name) for name in ("customer", "invoice")}
        primary = {"customer": "customer_id", "invoice": "invoice_id"}
        text = {"customer": "company", "invoice": "memo"}
        by_text = {
            name: Counter(record[text[name]] for record in found) for name, found in records.items()
        }
        by_id = {
            name: {record[primary[name]]: record for record in found}
            for name, found in records.items()
        }
        states: Counter[Any] = Counter()
        for outcome in outcomes:
            action, *rest = outcome.operation.tag
            if action == "update":
                target, city = rest
                states["update", outcome.state] += 1
                if outcome.state == "done":
                    assert by_id["customer"][target.outcome.value.id]["bill_city"] == city
                continue
            name, key, label = rest
            states[name, key is not None, outcome.state] += 1
            copies = by_text[name][label]
            if outcome.state == "done":
                assert copies == 1
                record = by_id[name][outcome.value.id]
                assert record[text[name]] == label
                assert record["external_key"] == key
            elif outcome.state == "unknown":
                # The invoice of a customer that nobody can name cannot be told from another's.
                whose = outcome.operation.refs
                assert key is None or whose[0][1].target.outcome.state == "unknown", outcome.error
                assert copies <= 1
            else:
                assert copies == 0, outcome.error
        for (name, keyed, state), count in (
            (key, count) for key, count in states.items() if len(key) == 3
        ):
            if name == "customer" and keyed:
                assert state == "done", (state, count)
        # Whoever has a key is done, but for the invoices of customers whose fate is unknown.
        orphans = {
            outcome.operation.tag[3]
            for outcome in outcomes
            if outcome.operation.tag[0] == "create" and outcome.state != "done"
        }
        for outcome in outcomes:
            if outcome.operation.tag[:2] == ("create", "invoice") and outcome.state != "done":
                parent = outcome.operation.refs[0][1].target
                assert parent.outcome.state != "done", outcome.error
        assert len(records["customer"]) + len(records["invoice"]) <= len(outcomes)
        assert orphans or not any(state == "unknown" for *_, state in states)
        assert co.stats.lookups > 0
        assert co.stats.rate_limited > 0
