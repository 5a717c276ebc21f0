"""Which refusals behind a failed item are believed: those that only the item itself can have."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bulk_world import Gated, client, customer, outcome_of, states
from support.fake_loop import run
from support.server_model import ServerModel, Trouble, Ways

LATER: Any = ("run", "skip", "truncate", "copy")


@given(
    st.sampled_from(LATER),
    st.lists(st.sampled_from(["new", "there", "bad", "twin"]), min_size=2, max_size=60),
    st.sampled_from(["fail", "continue"]),
    st.integers(1, 4),
)
def test_refusals_are_told_apart_whatever_the_server_does_behind_one(
    later: Any, kinds: list[str], on_existing: Any, in_flight: int
) -> None:
    """Keyed creates: what is new is made once, what is there is refused, and nothing else is.

    A twin is a record of another object with the key of the one before it: the same words name
    both, so they prove nothing of either.
    """

    async def main() -> None:
        server, gate = ServerModel(Ways(later_items=later)), Gated()
        for mark, kind in enumerate(kinds):
            if kind == "there":
                server.seed("customer", external_key=f"k{mark}", company="other")
        co = client(server, limiter=gate, max_in_flight=in_flight, on_existing=on_existing)
        async with co.bulk() as bulk:
            made: list[Any] = []
            for mark, kind in enumerate(kinds):
                if kind == "bad":  # there is no such customer
                    made.append(bulk.users.create(customer_id=10**6, extra={"mark": mark}))
                elif kind == "twin":
                    key = f"k{mark - 1}"
                    made.append(bulk.users.create(external_key=key, extra={"mark": mark}))
                else:
                    made.append(customer(bulk.customers, mark, external_key=f"k{mark}"))
            gate.opened.set()
        for mark, (kind, operation) in enumerate(zip(kinds, made, strict=True)):
            refused = kind in {"there", "bad"}
            effects = server.effects_of(mark)
            state = outcome_of(operation).state
            if later == "truncate" and state == "unknown":
                assert refused  # the answer is short: it is never matched
                assert not effects
                continue
            assert (state, len(effects)) == (("refused", 0) if refused else ("done", 1)), mark

    run(main())


@pytest.mark.parametrize("in_flight", [1, 4, 24])
@pytest.mark.parametrize("on_existing", ["fail", "continue"])
def test_what_is_there_already_is_refused_once(in_flight: int, on_existing: Any) -> None:
    """Each key is named by its own refusal: no create goes out twice, however many fly at a time.

    With "continue" each is looked up, too, and that is all.
    """

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        for mark in range(1_000):
            server.seed("customer", external_key=f"k{mark}", company=f"Company {mark}", mark=mark)
        co = client(server, limiter=gate, max_in_flight=in_flight, on_existing=on_existing)
        async with co.bulk() as bulk:
            made = [
                customer(bulk.customers, mark, external_key=f"k{mark}") for mark in range(1_000)
            ]
            gate.opened.set()
        assert states(made) == ["refused"] * 1_000
        each = 1 if on_existing == "fail" else 2
        assert co.stats.operations == each * 1_000
        assert len(server.sent) <= 1.05 * each * math.ceil(1_000 / 25)

    run(main())


def test_a_key_that_stands_twice_in_a_batch_proves_nothing() -> None:
    """The words of the first, repeated for what was not run, would name the second's key, too."""

    async def main() -> None:
        server, gate = ServerModel(Ways(later_items="copy")), Gated()
        server.seed("customer", external_key="k")
        async with client(server, limiter=gate).bulk() as bulk:
            made = [
                customer(bulk.customers, 0, external_key="k"),
                bulk.users.create(external_key="k", extra={"mark": 1}),
                customer(bulk.customers, 2, external_key="k2"),
            ]
            gate.opened.set()
        assert states(made) == ["refused", "done", "done"]
        assert [len(server.effects_of(mark)) for mark in range(3)] == [0, 1, 1]

    run(main())


def test_a_refused_item_between_proven_ones_is_believed() -> None:
    """It stands before an item that was run, so it was run itself, and is not sent again."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("item_400", 1)]), Gated()
        for mark in (0, 2):
            server.seed("customer", external_key=f"k{mark}")
        co = client(server, limiter=gate)
        async with co.bulk() as bulk:
            made = [customer(bulk.customers, mark, external_key=f"k{mark}") for mark in range(3)]
            gate.opened.set()
        assert states(made) == ["refused"] * 3
        assert len(server.sent) == 1

    run(main())
