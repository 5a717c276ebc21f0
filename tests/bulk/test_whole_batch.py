"""Trouble that befalls a batch as a whole."""

from __future__ import annotations

import asyncio
from math import ceil
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of, states
from support.fake_loop import run
from support.server_model import Sent, ServerModel, Trouble

from chargeover_async import BadRequest, LocalLimiter, QuotaSettings, RetryPolicy, ServerError
from chargeover_async._wire.envelope import Answer


def _send_25(plan: Any, *, keyed: bool, **options: Any) -> tuple[ServerModel, list[Any], Any]:
    server, made = ServerModel(plan=plan), []
    result: list[Any] = []

    async def main() -> None:
        gate = Gated()
        co = client(server, limiter=gate, **options)
        async with co.bulk() as bulk:
            for mark in range(25):
                key = {"external_key": f"k{mark}"} if keyed else {}
                made.append(customer(bulk.customers, mark, **key))
            gate.opened.set()
        result.append(co.stats)

    run(main())
    for mark in range(25):
        assert len(server.effects_of(mark)) <= 1
    return server, made, result[0]


WHOLE = [
    "lost_before", "lost_after", "502_before", "502_after", "cut", "short", "many", "no_list",
    "500_before", "500_after", "proxy_302_after", "proxy_404_before", "proxy_404_after",
    "proxy_413_before", "proxy_429_before",
]  # fmt: skip


@pytest.mark.parametrize("kind", WHOLE)
def test_invariant_3_keyed_creates_are_looked_up_and_none_is_doubled(kind: Any) -> None:
    """25 creates with a key, whatever happens to the answer: all are done, each once."""
    server, made, stats = _send_25([Trouble(kind, 7)], keyed=True)
    assert states(made) == ["done"] * 25
    assert [len(server.effects_of(mark)) for mark in range(25)] == [1] * 25
    assert stats.lookups == 25


@pytest.mark.parametrize("kind", WHOLE)
def test_invariant_3_creates_without_a_key_are_sent_once_and_unknown(kind: Any) -> None:
    """They are never sent again by themselves, and the error says that they may have happened."""
    server, made, stats = _send_25([Trouble(kind, 7)], keyed=False)
    assert states(made) == ["unknown"] * 25
    assert len(server.sent) == 1
    assert stats.unknown == 25
    kinds = {type(outcome_of(operation).error) for operation in made}
    assert (kinds == {ServerError}) == kind.startswith("500")
    assert all(outcome_of(operation).error.may_have_happened for operation in made)


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("kind", ["429", "never_left", "400", "413"])
def test_what_did_nothing_is_sent_again(kind: Any, keyed: bool) -> None:
    """With and without a key."""
    server, made, _ = _send_25([Trouble(kind)], keyed=keyed)
    assert states(made) == ["done"] * 25
    assert len(server.effects) == 25


def test_invariant_2_an_answer_with_another_number_of_entries_is_matched_not_at_all() -> None:
    """24 good entries for 25 operations: not one is called done on the strength of them."""
    kinds: list[Any] = ["short", "many"]
    for kind in kinds:
        _, made, _ = _send_25([Trouble(kind, 24)], keyed=False)
        assert states(made) == ["unknown"] * 25


def test_invariant_2_a_batch_holds_one_to_twenty_five() -> None:
    """Also when thousands wait, and after splits and repeats."""

    async def main() -> None:
        server = ServerModel(plan=lambda sent: Trouble("429" if len(server.sent) % 3 else "ok"))
        async with client(server).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(500)]
        assert all(1 <= size <= 25 for size in server.sizes)
        assert set(states(made)) <= {"done", "refused", "not_sent"}

    run(main())


@pytest.mark.parametrize("poisonous", range(0, 25, 4))
@pytest.mark.parametrize("status", ["400", "413"])
def test_one_poisonous_operation_does_not_fail_its_neighbours(poisonous: int, status: Any) -> None:
    """The batch is halved until the one is alone; at most 11 requests."""

    def plan(sent: Sent) -> Trouble:
        poison = any(item["payload"]["mark"] == poisonous for item in sent.items)
        return Trouble(status if poison else "ok")

    server, made, _ = _send_25(plan, keyed=False)
    assert [operation.tag for operation in made] == [None] * 25
    for mark, operation in enumerate(made):
        assert outcome_of(operation).state == ("refused" if mark == poisonous else "done")
    assert isinstance(outcome_of(made[poisonous]).error, BadRequest)
    assert len(server.sent) <= 11


def test_an_operation_that_makes_the_server_cut_its_answers_is_found() -> None:
    """Updates are repeated in halves, so that one of them does not make the others unknown."""

    async def main() -> None:
        server = ServerModel(
            plan=lambda sent: Trouble(
                "short"
                if (sent.size > 1 and '"mark":3,' in (sent.request.body or b"").decode())
                or (sent.size > 1 and '"mark":3}' in (sent.request.body or b"").decode())
                else "ok"
            )
        )
        records = [server.seed("customer") for _ in range(25)]
        gate = Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = [
                bulk.customers.update(record, bill_city="x", extra={"mark": mark})
                for mark, record in enumerate(records)
            ]
            gate.opened.set()
        assert states(made) == ["done"] * 25

    run(main())


def test_a_429_pauses_every_sender_once_and_restarts_slowly() -> None:
    """Four batches are refused together: one pause, and no storm behind it."""

    async def main() -> None:
        kinds: list[Any] = ["429"] * 4
        server = ServerModel(plan=[Trouble(kind) for kind in kinds], delay=2.0)
        limiter = LocalLimiter(QuotaSettings(250, 60.0))
        co = client(server, limiter=limiter)
        async with co.bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(100)]
        assert states(made) == ["done"] * 100
        assert limiter.stats.pauses == 1
        assert co.stats.rate_limited == 4
        first, *_, refused = server.sent[:4]
        again = server.sent[4].at
        assert again - (first.at + 4.0) >= 5.0  # window / 12, from the first refusal
        assert refused.at < again
        gaps = [b.at - a.at for a, b in zip(server.sent[4:], server.sent[5:], strict=False)]
        assert all(gap >= 0.24 for gap in gaps)

    run(main())


def test_an_entry_that_says_429_pauses_once_for_the_batch() -> None:
    """The others in it are done."""
    server, made, stats = _send_25([Trouble("item_429", 3)], keyed=False)
    assert states(made) == ["done"] * 25
    assert (stats.rate_limited, len(server.effects)) == (1, 25)


def test_the_operations_of_a_lost_batch_go_on_together() -> None:
    """One pause for all 25: the updates leave again as one request, the look-ups as one."""
    server, made, stats = _send_25([Trouble("lost_before")], keyed=True)
    assert states(made) == ["done"] * 25
    assert server.sizes == [25, 25, 25]
    assert stats.requests == 3


def test_keyed_children_of_an_unknown_parent_are_known_not_to_be_there() -> None:
    """The batch was lost; nobody can tell the parent's id, and each child's key is looked up."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("lost_before")]), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 0)
            made = [
                bulk.invoices.create(
                    customer_id=parent.ref(), external_key=f"i{mark}", line_items=[{"item_id": 1}]
                )
                for mark in range(1, 6)
            ]
            gate.opened.set()
        assert outcome_of(parent).state == "unknown"
        assert states(made) == ["refused"] * 5

    run(main())


def test_a_retry_budget_keeps_a_sick_server_from_being_hammered() -> None:
    """Each request costs one retry, not each of its operations; with none left, `cap_s`."""

    async def main() -> None:
        server = ServerModel(plan=lambda _: Trouble("502_before"), delay=0.0)
        records = [server.seed("customer") for _ in range(25)]
        policy = RetryPolicy(attempts=8, base_s=0.01, budget=3, cap_s=10.0, total_s=1000)
        gate = Gated()
        async with client(server, limiter=gate, retry=policy).bulk() as bulk:
            for record in records:
                bulk.customers.update(record, bill_city="x")
            gate.opened.set()
        assert len(server.sent) == 8
        times = [sent.at for sent in server.sent]
        assert times[3] < 0.1
        assert times[7] - times[3] == pytest.approx(40.0, abs=0.1)

    run(main())


def test_attempts_and_time_are_bounded() -> None:
    """A server that never recovers: everything settles, in finite time, after `attempts` sends."""
    policy = RetryPolicy(attempts=4)
    server, made, _ = _send_25(lambda _: Trouble("lost_before"), keyed=True, retry=policy)
    assert states(made) == ["unknown"] * 25
    assert len(server.sent) == 1 + 4


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"<html>", b'{"code":200,"status":"OK","message":"","response":[]}',
        b'{"code":200,"status":"OK","message":"","response":{"_bulk":{"0":1}}}',
        b'{"code":200,"status":"OK","message":"","response":{"_bulk":"x"}}',
        b"[" * 100_000, b"\xff\xfe", b'{"code":200,"status":"OK","response":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_body_that_is_no_answer_is_an_answer_that_was_lost(body: bytes) -> None:
    """Whatever it is, it raises nothing inside, and nothing is called done for it."""

    async def main() -> None:
        class Odd(ServerModel):
            async def send(self, request: Any, permit: Any) -> Any:
                answer = await super().send(request, permit)
                return Answer(200, {}, body) if request.path == "/_bulk" else answer

        server, gate = Odd(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            keyed = [customer(bulk.customers, mark, external_key=f"{mark}") for mark in range(3)]
            once = customer(bulk.customers, 9)
            gate.opened.set()
            await asyncio.wait({asyncio.create_task(once.wait())})
        assert outcome_of(once).state == "unknown"
        assert states(keyed) in (["done"] * 3, ["unknown"] * 3)

    run(main())


def test_a_million_is_forty_thousand_requests() -> None:
    """The arithmetic of the promise, on 10,000: ceil(n / 25)."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            for mark in range(10_000):
                customer(bulk.customers, mark)
            gate.opened.set()
        assert len(server.sent) == ceil(10_000 / 25)

    run(main())
