"""How operations end, with their evidence; reports, counters and events add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of, states
from support.fake_loop import elapsed, run
from support.scripted import World, lost, missing, refused, taken
from support.server_model import ServerModel, Trouble

from chargeover_async import (
    AlreadyExists,
    AuthFailed,
    DecodeError,
    NoLimit,
    NotSent,
    OutcomeUnknown,
)
from chargeover_async._wire.envelope import Answer
from chargeover_async.limits import Permit, Priority
from chargeover_async.observe import Settled


def _entries(*entries: str) -> Any:
    """A server whose every batch is answered with these entries, as text."""

    class Fixed(ServerModel):
        async def send(self, request: Any, permit: Any) -> Any:
            answer = await super().send(request, permit)
            if request.path != "/_bulk" or len(self.sent) > 1:
                return answer
            body = '{"code":200,"status":"OK","message":"","response":{"_bulk":[%s]}}'
            return Answer(200, {}, (body % ",".join(entries)).encode())

    return Fixed()


GOOD = '{"code":201,"status":"OK","message":"","response":{"id":1}}'
ENTRIES = {
    '{"code":200,"status":"Error","message":"no","response":false}': "unknown",
    '{"code":0,"status":"Error","message":"no","response":false}': "unknown",
    '{"code":404,"status":"Error","message":null,"response":null}': "refused",
    '{"code":"400","status":"Error","message":"x"}': "refused",
    '{"code":500,"status":"Error","message":"x","response":false}': "unknown",
    '{"code":503,"status":"Error","message":"x","response":false}': "unknown",
    '{"code":302,"status":"Error","message":"x","response":false}': "unknown",
    '{"code":200,"status":"OK","message":"","response":null}': "done",
    '{"code":201,"status":"OK","message":null,"response":{"id":"5"}}': "done",
    '{"code":299,"status":"OK","message":"","response":{"id":5},"details":[]}': "done",
    '{"code":201,"status":"ok","message":"","response":{"id":5}}': "unknown",
    "null": "unknown",
    "[]": "unknown",
    '"text"': "unknown",
    "7": "unknown",
    "{}": "unknown",
}


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_an_unusual_entry_is_its_own_operations_affair(entry: str) -> None:
    """Its neighbours are done; it ends by what can be known."""

    async def main() -> None:
        server, gate = _entries(GOOD, entry, GOOD), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(3)]
            gate.opened.set()
        assert states(made) == ["done", ENTRIES[entry], "done"]

    run(main())


def test_an_answer_that_cannot_be_read_as_the_type_asked_for_is_done() -> None:
    """It happened: DecodeError with state done, and its neighbours have their values."""

    async def main() -> None:
        bad = '{"code":201,"status":"OK","message":"","response":{"id":"x"}}'
        server, gate = _entries(GOOD, bad, GOOD), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(3)]
            gate.opened.set()
        assert states(made) == ["done"] * 3
        assert isinstance(outcome_of(made[1]).error, DecodeError)
        assert outcome_of(made[2]).value.id == 1

    run(main())


def test_a_reader_that_raises_what_it_likes_is_a_decode_error() -> None:
    """The caller's own type may be broken; nothing else is."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(3)]

            def broken(_: Any) -> Any:
                raise KeyError("surprise")

            made[1].reader = broken
            gate.opened.set()
        assert states(made) == ["done"] * 3
        assert isinstance(outcome_of(made[1]).error, DecodeError)

    run(main())


def test_our_own_duplicate_is_adopted_and_a_true_conflict_is_told_apart() -> None:
    """Lost, then "already exists": ours by what it holds; or somebody else's."""

    async def main() -> None:
        for theirs in (False, True):
            server = ServerModel(plan=[Trouble("lost_after")])
            if theirs:
                server.seed("customer", external_key="a", company="Theirs")
            async with client(server).bulk() as bulk:
                made = customer(bulk.customers, 1, external_key="a")
            if theirs:
                error = outcome_of(made).error
                assert isinstance(error, AlreadyExists)
                assert error.differences["company"] == ("Company 1", "Theirs")
                assert server.effects == []
            else:
                assert outcome_of(made).value.id == server.effects[0].id

    run(main())


def test_a_conflict_at_the_first_send_is_a_plain_refusal() -> None:
    """No look-up: we have not sent it before."""

    async def main() -> None:
        server = ServerModel()
        server.seed("customer", external_key="a")
        co = client(server)
        async with co.bulk() as bulk:
            made = customer(bulk.customers, 1, external_key="a")
        assert isinstance(outcome_of(made).error, AlreadyExists)
        assert (outcome_of(made).state, co.stats.lookups) == ("refused", 0)

    run(main())


def test_an_update_that_was_lost_and_then_refused_may_have_happened() -> None:
    """The first send may have been done, whatever the second met."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble("lost_after"), Trouble("401")])
        one = server.seed("customer")
        async with client(server).bulk() as bulk:
            made = bulk.customers.update(one, bill_city="x", extra={"mark": 1})
        outcome = outcome_of(made)
        assert isinstance(outcome.error, AuthFailed)
        assert (outcome.state, outcome.error.may_have_happened) == ("unknown", True)
        assert len(server.effects) == 1

    run(main())


def test_a_delete_that_was_lost_is_done_when_the_record_is_gone() -> None:
    """404 for the repeat means that the first one worked."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble("lost_after")])
        one = server.seed("customer")
        async with client(server).bulk() as bulk:
            made = bulk.customers.delete(one)
        assert (outcome_of(made).state, outcome_of(made).value) == ("done", True)

    run(main())


@pytest.mark.parametrize("kind", ["401", "no_list"])
def test_a_look_up_that_fails_leaves_the_create_unknown_with_its_cause(kind: Any) -> None:
    """Whether it is refused, or says something that cannot be read."""

    async def main() -> None:
        server = ServerModel(plan=lambda _: Trouble("lost_after" if not server.sent else kind))
        async with client(server).bulk() as bulk:
            made = customer(bulk.customers, 1, external_key="a")
        if kind == "401":
            error = outcome_of(made).error
            assert isinstance(error, OutcomeUnknown)
            assert isinstance(error.__cause__, AuthFailed)
        else:
            assert outcome_of(made).state == "done"

    run(main())


@pytest.mark.parametrize("bulk", [True, False], ids=["bulk", "direct"])
@pytest.mark.parametrize("then", [refused("Bad login", 401), lost()], ids=["401", "lost"])
def test_a_key_that_is_taken_after_it_was_absent_may_be_taken_by_ourselves(
    then: Any, bulk: bool
) -> None:
    """The first send may have arrived after the look-up: "already exists" is a doubt again.

    If that cannot be resolved either, the record may be there: unknown, never "not sent".
    """

    async def main() -> None:
        steps = [lost(), missing(), taken(), *[then] * 8]
        world = World(*steps)
        async with world.co, world.co.bulk() as scope:
            customers = scope.customers if bulk else world.co.customers
            made = customers.create(company="Acme", external_key="k-1")
            outcome = await made.wait()
        assert outcome.state == "unknown"
        assert isinstance(outcome.error, OutcomeUnknown)
        assert outcome.error.may_have_happened

    run(main())


def test_the_evidence_tells_attempts_and_batch() -> None:
    """Sends that left are counted, a refused one included; the batch has its number."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("429"), Trouble("never_left")]), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            made = [customer(bulk.customers, mark) for mark in range(2)]
            gate.opened.set()
            await asyncio.gather(*made)
            lone = customer(bulk.customers, 3)
        assert [
            (outcome_of(operation).attempts, outcome_of(operation).batch) for operation in made
        ] == [(2, 3)] * 2
        assert (outcome_of(lone).attempts, outcome_of(lone).batch) == (1, 0)

    run(main())


def test_a_lone_operation_goes_to_its_plain_endpoint_at_once() -> None:
    """An idle engine waits for nothing."""

    async def main() -> None:
        server = ServerModel()
        async with client(server).bulk() as bulk:
            await customer(bulk.customers, 1)
            assert elapsed() == pytest.approx(0.2)
        assert server.sent[0].request.path == "/customer"
        assert server.sent[0].at == 0.0

    run(main())


def test_report_counters_and_events_agree() -> None:
    """One event for each operation, with the state it was reported in."""

    async def main() -> None:
        events: list[Settled] = []
        server = ServerModel(
            plan=[Trouble("item_400", 2), Trouble("lost_after"), Trouble("429"), Trouble("cut")]
        )
        co = client(server, on_event=lambda e: events.append(e) if isinstance(e, Settled) else None)
        async with co.bulk() as bulk:
            for mark in range(90):
                customer(bulk.customers, mark, **({"external_key": f"{mark}"} if mark % 3 else {}))
        seen = Counter(event.state for event in events)
        report = bulk.report
        assert seen == +Counter(
            done=report.done,
            refused=report.refused,
            not_sent=report.not_sent,
            unknown=report.unknown,
        )
        assert sum(seen.values()) == 90
        assert co.stats.unknown == report.unknown > 0
        assert co.stats.requests == len(server.sent)
        assert co.stats.operations == sum(server.sizes)

    run(main())


def test_a_look_up_is_patient_with_a_server_that_fails() -> None:
    """Five times 500 where another read would have given up: the create is found all the same."""

    async def main() -> None:
        plan = [Trouble("lost_after"), *[Trouble("500_before")] * 5]
        server = ServerModel(plan=plan)
        async with client(server).bulk() as bulk:
            made = [customer(bulk.customers, mark, external_key=f"{mark}") for mark in range(3)]
        assert {outcome_of(operation).state for operation in made} == {"done"}
        assert len(server.effects) == 3
        assert len(server.sent) == 7

    run(main())


def test_an_observer_that_raises_disturbs_nothing() -> None:
    """Its faults stay its own."""

    async def main() -> None:
        def broken(_: Any) -> None:
            raise RuntimeError("observer")

        server = ServerModel(plan=[Trouble("429")])
        async with client(server, on_event=broken).bulk() as bulk:
            made = customer(bulk.customers, 1)
        assert outcome_of(made).state == "done"

    run(main())


def test_invariant_7_the_quota_is_asked_once_for_each_request() -> None:
    """Repeats and look-ups included; every permit is ended."""

    class Counting(NoLimit):
        asked = 0

        async def acquire(self, priority: Priority) -> Permit:
            assert priority is Priority.BULK
            self.asked += 1
            return await super().acquire(priority)

    async def main() -> None:
        limiter = Counting()
        kinds: list[Any] = ["429", "lost_after", "502_before", "cut", "short", "500_after"]
        server = ServerModel(plan=[Trouble(kind) for kind in kinds])
        async with client(server, limiter=limiter).bulk() as bulk:
            for mark in range(100):
                customer(bulk.customers, mark, external_key=f"{mark}")
        assert limiter.asked == len(server.sent) + limiter.asked - limiter.granted
        assert limiter.granted == len(server.sent)
        assert limiter.in_flight == 0

    run(main())


def test_invariant_3_an_operation_is_in_flight_at_most_once() -> None:
    """Whatever is repeated and looked up, the server never sees two of one at a time."""

    async def main() -> None:
        kinds: list[Any] = ["lost_after", "429", "cut", "item_500", "500_before"] * 5
        server = ServerModel(plan=[Trouble(kind, 2) for kind in kinds])
        async with client(server).bulk() as bulk:
            for mark in range(300):
                customer(bulk.customers, mark, external_key=f"{mark}")
        assert server.doubled == []

    run(main())


def test_what_was_never_sent_says_so() -> None:
    """state_of NotSent is not_sent, with no attempt."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        bulk = client(server, limiter=gate).bulk()
        made = customer(bulk.customers, 1)
        await bulk._engine.abort()
        outcome = outcome_of(made)
        assert isinstance(outcome.error, NotSent)
        assert (outcome.state, outcome.attempts, server.sent) == ("not_sent", 0, [])

    run(main())
