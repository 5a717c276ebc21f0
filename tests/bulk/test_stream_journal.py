"""A stream with a journal: nothing leaves before it is noted, and each outcome is told once."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from support.bulk_world import client, customer
from support.fake_loop import run
from support.server_model import Sent, ServerModel, Trouble

from chargeover_async import ChargeOver, NotSent, Operation, Outcome, OutcomeUnknown

NOTES: list[Notes] = []


@pytest.fixture(autouse=True)
def _nothing_was_found() -> Iterator[None]:
    NOTES.clear()
    yield
    assert [notes.faults for notes in NOTES] == [[]] * len(NOTES)


class Notes:
    """A journal in memory; a note takes ``takes_s``, and the call ``fail_at`` fails."""

    def __init__(self, *, takes_s: float = 0.0, fail_at: int = 0) -> None:
        self.takes_s = takes_s
        self.fail_at = fail_at
        self.in_doubt: set[Any] = set()
        self.sent: set[Any] = set()
        self.calls: list[list[Any]] = []
        self.told: list[list[Any]] = []
        self.ended: dict[Any, str] = {}
        self.faults: list[str] = []  # what a callback finds: who calls it swallows what it raises
        NOTES.append(self)

    def was_sent(self, operation: Operation[Any]) -> bool:
        return operation.tag in self.in_doubt

    async def sending(self, operations: Sequence[Operation[Any]]) -> None:
        self.calls.append([operation.tag for operation in operations])
        number = len(self.calls)
        await asyncio.sleep(self.takes_s)
        if number == self.fail_at:
            raise OSError(28, "No space left on device")
        self.sent.update(operation.tag for operation in operations)

    def settled(self, outcomes: Sequence[Outcome[Any]]) -> None:
        self.told.append([outcome.operation.tag for outcome in outcomes])
        for outcome in outcomes:
            if outcome.operation.tag in self.ended:
                self.faults.append(f"{outcome.operation.tag} was told twice")
            self.ended[outcome.operation.tag] = outcome.state


def source(co: ChargeOver, count: int, *, keyed: bool = True) -> Iterator[Operation[Any]]:
    for mark in range(count):
        fields = {"external_key": f"k{mark}"} if keyed else {}
        operation = customer(co.customers, mark, **fields)
        operation.tag = mark
        yield operation


def watched(server: ServerModel, notes: Notes) -> None:
    """From now on an operation that the server sees before the journal has it is a failure."""

    def watch(sent: Sent) -> None:
        marks = {mark for mark in sent.marks if mark is not None}
        notes.faults += [f"{mark} was sent before it was noted" for mark in marks - notes.sent]

    server.watch = watch


@pytest.mark.parametrize("keyed", [True, False])
def test_invariant_10_nothing_is_sent_before_it_is_noted(keyed: bool) -> None:
    """Under faults of every kind, on the first attempt and on each later one."""

    async def main() -> None:
        dice = random.Random(5)
        kinds: Any = [
            "ok",
            "ok",
            "429",
            "item_400",
            "lost_before",
            "lost_after",
            "502_after",
            "cut",
        ]
        notes = Notes(takes_s=0.01)
        server = ServerModel(plan=lambda _: Trouble(dice.choice(kinds), 3, dice.random()))
        watched(server, notes)
        co = client(server)
        states = Counter[str]()
        async for outcome in co.stream(source(co, 600, keyed=keyed), journal=notes):
            states[outcome.state] += 1
        assert len(notes.ended) == 600
        assert Counter(notes.ended.values()) == states
        assert all(1 <= len(call) <= 25 for call in notes.calls)

    run(main())


def test_one_note_before_a_request_and_one_after() -> None:
    """200 creates are 8 requests, 8 notes before and 8 after; not one for each row."""

    async def main() -> None:
        notes = Notes()
        server = ServerModel(delay=1.0)
        co = client(server, max_in_flight=1)
        async for _ in co.stream(source(co, 200), journal=notes):
            pass
        assert [len(call) for call in notes.calls] == [25] * 8
        assert notes.told == notes.calls

    run(main())


def test_a_journal_that_fails_stops_the_sending() -> None:
    """What could not be noted is not sent; what was under way ends; the rest is not sent."""

    async def main() -> None:
        notes = Notes(takes_s=0.01, fail_at=4)
        server = ServerModel(delay=1.0)
        watched(server, notes)
        co = client(server)
        outcomes = [outcome async for outcome in co.stream(source(co, 300), journal=notes)]
        assert len(outcomes) == 300
        states = {outcome.operation.tag: outcome.state for outcome in outcomes}
        assert set(states.values()) == {"done", "not_sent"}
        done = {tag for tag, state in states.items() if state == "done"}
        assert done == {effect.mark for effect in server.effects} == notes.sent
        unsent = [outcome.error for outcome in outcomes if outcome.state == "not_sent"]
        assert all(isinstance(error, NotSent) for error in unsent)
        assert "the journal failed: [Errno 28] No space left on device" in str(unsent[0])
        assert notes.ended == states

    run(main())


def test_a_journal_that_cannot_be_told_stops_the_sending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An outcome that cannot be noted stays what it is, and nothing more is sent."""

    class Deaf(Notes):
        def settled(self, outcomes: Sequence[Outcome[Any]]) -> None:
            raise RuntimeError("deaf")

    async def main() -> None:
        server = ServerModel(delay=1.0)
        co = client(server, max_in_flight=1)
        states = Counter(
            [outcome.state async for outcome in co.stream(source(co, 300), journal=Deaf())]
        )
        assert states["done"] == len(server.effects) == 25
        assert states["not_sent"] == 275

    with caplog.at_level(logging.ERROR, "chargeover_async"):
        run(main())
    assert "the journal failed" in caplog.text


@pytest.mark.parametrize("at_s", [0.0, 0.005, 0.5, 1.5, 2.0])
def test_a_stream_that_is_left_has_told_everything(at_s: float) -> None:
    """Cancelled at any moment: what the server saw was noted, and what was noted has an end."""

    async def main() -> None:
        notes = Notes(takes_s=0.01)
        server = ServerModel(delay=1.0)
        watched(server, notes)
        co = client(server)

        async def consume() -> None:
            async for _ in co.stream(source(co, 2_000), window=500, journal=notes):
                pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(at_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        done = {tag for tag, state in notes.ended.items() if state == "done"}
        assert done <= {effect.mark for effect in server.effects} <= notes.sent
        assert notes.sent <= set(notes.ended)

    run(main())


def test_keyed_creates_of_an_earlier_process_are_looked_up_first() -> None:
    """100 in doubt, half of them there: 100 look-ups in 4 requests, and nothing is doubled."""

    async def main() -> None:
        server = ServerModel()
        co = client(server, max_in_flight=1)
        half = [customer(co.customers, mark, external_key=f"k{mark}") for mark in range(0, 100, 2)]
        async for _ in co.stream(half):
            pass
        assert len(server.effects) == 50
        server.sent.clear()
        notes = Notes()
        notes.in_doubt = set(range(100))
        outcomes = [outcome async for outcome in co.stream(source(co, 100), journal=notes)]
        assert {outcome.state for outcome in outcomes} == {"done"}
        assert Counter(effect.mark for effect in server.effects) == Counter(range(100))
        for outcome in outcomes:
            record = server.by_key("customer", f"k{outcome.operation.tag}")
            assert record is not None
            assert record["customer_id"] == outcome.value.id  # type: ignore[union-attr]
        assert len(server.sent) <= 8  # not one for each key
        verbs = Counter(item["request_method"] for sent in server.sent for item in sent.items)
        assert verbs == {"GET": 100, "POST": 50}
        assert co.stats.lookups == 100

    run(main())


def test_creates_without_a_key_of_an_earlier_process_stay_unknown() -> None:
    """They are not sent again; they say that they may have happened."""

    async def main() -> None:
        server = ServerModel()
        co = client(server)
        notes = Notes()
        notes.in_doubt = {1}
        outcomes = [
            outcome async for outcome in co.stream(source(co, 3, keyed=False), journal=notes)
        ]
        states = {outcome.operation.tag: outcome.state for outcome in outcomes}
        assert states == {0: "done", 1: "unknown", 2: "done"} == notes.ended
        error = next(outcome.error for outcome in outcomes if outcome.error)
        assert isinstance(error, OutcomeUnknown)
        assert "it has no key to look up" in error.message

    run(main())


def test_a_change_of_an_earlier_process_is_sent_again() -> None:
    """What may be repeated is simply repeated."""

    async def main() -> None:
        server = ServerModel()
        co = client(server)
        made = await co.customers.create(company="A", external_key="a")
        change = co.customers.update(made.id, company="B")
        notes = Notes()
        notes.in_doubt = {None}
        outcomes = [outcome async for outcome in co.stream([change], journal=notes)]
        assert [outcome.state for outcome in outcomes] == ["done"]
        assert co.stats.lookups == 0

    run(main())


def test_a_user_in_doubt_never_travels_with_its_target() -> None:
    """A create that refers to another waits for it, then is looked up, and not sent blind."""

    async def main() -> None:
        server = ServerModel()
        co = client(server)
        notes = Notes()
        notes.in_doubt = {"invoice"}

        def family() -> Iterator[Operation[Any]]:
            parent = customer(co.customers, 1, external_key="c")
            parent.tag = "customer"
            yield parent
            invoice = co.invoices.create(
                customer_id=parent.ref(),
                external_key="i",
                line_items=[{"item_id": 1}],
                extra={"mark": 2},
            )
            invoice.tag = "invoice"
            yield invoice

        outcomes = [outcome async for outcome in co.stream(family(), journal=notes)]
        assert [outcome.state for outcome in outcomes] == ["done", "done"]
        assert [item["request_method"] for sent in server.sent for item in sent.items] == [
            "POST",
            "GET",
            "POST",
        ]

    run(main())
