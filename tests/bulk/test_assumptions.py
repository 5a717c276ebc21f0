"""What the vendor's documents leave open: right whichever way the server behaves."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of, states
from support.fake_loop import run
from support.server_model import ServerModel, Trouble, Ways

from chargeover_async import ServerAssumptions

LATER: Any = ("run", "skip", "truncate")


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("assumed", ["unknown", "true"])
@pytest.mark.parametrize("bad", [(3,), (0, 1, 2), (24,), (0, 12, 24)])
def test_items_behind_a_failed_one_end_as_they_should(
    later: Any, assumed: str, bad: tuple[int, ...]
) -> None:
    """Keyed creates: the bad ones refused, all others done, each once."""

    async def main() -> None:
        server, gate = ServerModel(Ways(later_items=later)), Gated()
        for mark in bad:
            server.seed("customer", external_key=f"k{mark}", company="other")
        says: Any = "unknown"
        if assumed == "true":
            says = "run" if later == "run" else "not_run"
        assumptions = ServerAssumptions(later_items=says)
        async with client(server, limiter=gate, assumptions=assumptions).bulk() as bulk:
            made = [customer(bulk.customers, mark, external_key=f"k{mark}") for mark in range(25)]
            gate.opened.set()
        for mark, operation in enumerate(made):
            assert len(server.effects_of(mark)) == (mark not in bad)
            if mark in bad and later == "truncate" and assumed == "unknown":
                # The answer was short, so even the refusal is not matched: it is told apart later.
                assert outcome_of(operation).state in {"refused", "unknown"}
            else:
                assert outcome_of(operation).state == ("refused" if mark in bad else "done")

    run(main())


@pytest.mark.parametrize("later", LATER)
def test_creates_without_a_key_behind_a_failed_one_are_never_doubled(later: Any) -> None:
    """Done, or unknown where the answer does not say; never twice."""

    async def main() -> None:
        server, gate = ServerModel(Ways(later_items=later), [Trouble("item_400", 4)]), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(25)]
            gate.opened.set()
        ended = states(made)
        if later == "truncate":
            assert ended == ["unknown"] * 25
        else:
            assert ended == ["done"] * 4 + ["refused"] + ["done"] * 20
        assert all(len(server.effects_of(mark)) <= 1 for mark in range(25))

    run(main())


def test_once_the_server_is_seen_to_go_on_refusals_are_believed() -> None:
    """A success behind a refusal is the proof; from then on nothing is tried twice."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        for mark in (3, 4, 30, 31, 32):
            server.seed("customer", external_key=f"k{mark}")
        co = client(server, limiter=gate, max_in_flight=1)
        async with co.bulk() as bulk:
            for mark in range(50):
                customer(bulk.customers, mark, external_key=f"k{mark}")
            gate.opened.set()
        # 3 fails, 4 fails behind it, 5 shows that the server goes on, and so has run 4.
        assert co.stats.operations == 50

    run(main())


@pytest.mark.parametrize(
    ("allowed", "taken"), list(itertools.product([True, False], [True, False]))
)
def test_deletes_queries_and_actions_go_alone_unless_they_are_said_to_be_taken(
    allowed: bool, taken: bool
) -> None:
    """By default each is a request of its own, so that it works either way."""

    async def main() -> None:
        ways = Ways(deletes=taken, queries=taken, actions=taken)
        server, gate = ServerModel(ways), Gated()
        ids = [server.seed("customer") for _ in range(8)]
        assumptions = ServerAssumptions(deletes=allowed, queries=allowed, actions=allowed)
        async with client(server, limiter=gate, assumptions=assumptions).bulk() as bulk:
            made: list[Any] = [bulk.customers.delete(number) for number in ids[:4]]
            made += [bulk.customers.set_active(number) for number in ids[4:]]
            made += [bulk.customers.disconnect_parent(number) for number in ids[4:]]
            made += [bulk.customers.list(limit=3) for _ in range(2)]
            gate.opened.set()
        if not allowed:
            assert set(server.sizes) == {1}
        if taken or not allowed:
            assert states(made) == ["done"] * 14
        else:
            assert "refused" in states(made)  # a wrong assumption costs errors

    run(main())


def test_an_action_with_other_parameters_needs_both_to_be_taken() -> None:
    """``?action=pay&on_behalf_addr=...`` is a query string, too."""

    async def main() -> None:
        server, gate = ServerModel(Ways(queries=False)), Gated()
        one = server.seed("customer")
        assumptions = ServerAssumptions(actions=True)
        co = client(server, limiter=gate, assumptions=assumptions)
        co = co.with_options(on_behalf_addr="192.0.2.1")
        async with co.bulk() as bulk:
            made = [bulk.customers.set_active(one), bulk.customers.set_inactive(one)]
            other = bulk.customers.set_active(server.seed("customer"))
            gate.opened.set()
        assert states([*made, other]) == ["done"] * 3
        assert set(server.sizes) == {1}

    run(main())


VARIANTS = [
    Ways(later_items=later, bad_reference=bad, any_key=keys, deletes=taken, actions=taken)
    for later in LATER
    for bad in ("refuse", "ignore")
    for keys in (True, False)
    for taken in (True, False)
]


@pytest.mark.parametrize("ways", VARIANTS, ids=str)
def test_a_mixed_job_is_reported_truly_in_every_variant(ways: Ways) -> None:
    """Creates, children, updates, deletes and actions under faults; the store is the witness."""

    async def main() -> None:
        source = random.Random(7)
        kinds: Any = ["ok"] * 6 + ["lost_after", "cut", "500_before", "429", "item_400", "item_500"]
        server = ServerModel(ways, lambda _: Trouble(source.choice(kinds), source.randint(0, 9)))
        made: dict[int, Any] = {}
        there = [server.seed("customer") for _ in range(40)]
        async with client(server).bulk() as bulk:
            for mark in range(0, 400, 4):
                key = {"external_key": f"k{mark}"} if source.random() < 0.7 else {}
                made[mark] = parent = customer(bulk.customers, mark, **key)
                made[mark + 1] = bulk.invoices.create(
                    customer_id=parent.ref(), line_items=[{"item_id": 1}], extra={"mark": mark + 1}
                )
                made[mark + 2] = bulk.customers.update(
                    parent, bill_city="x", extra={"mark": mark + 2}
                )
                if mark % 10 == 0:
                    made[-1 - mark] = bulk.customers.delete(there[mark // 10])
        for mark, operation in made.items():
            count, state = len(server.effects_of(mark)), outcome_of(operation).state
            if mark < 0:
                if state == "done":
                    assert ("customer", there[(-1 - mark) // 10]) not in server.records
                continue
            if state == "done":
                assert count >= 1
            if state in {"refused", "not_sent"}:
                assert count == 0
            if operation.method == "POST":
                assert count <= 1
        report = bulk.report
        assert report.done + report.refused + report.not_sent + report.unknown == len(made)

    run(main())
