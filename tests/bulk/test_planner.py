"""Planning is pure: no loop, no clock, no server."""

from __future__ import annotations

import random
from math import ceil
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeover_async._send.result import End, Result
from chargeover_async._wire.envelope import Reply
from chargeover_async.bulk import ServerAssumptions
from chargeover_async.bulk.batch import measure, request_of
from chargeover_async.bulk.entry import Entry, Stage
from chargeover_async.bulk.planner import LOOK_AHEAD, Waiting
from chargeover_async.bulk.unsettled import Unsettled
from chargeover_async.models._json.read import untyped
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat, RetryPolicy

ANSWER = Result(None, Reply(201, "OK", response=msgspec.Raw(b'{"id":7}')))


class Bench:
    """A planner with the books it needs, and no engine."""

    def __init__(self, ops: int = 25, size: int = 10**9, **assumptions: Any) -> None:
        self.assumptions = ServerAssumptions(**assumptions)
        self.waiting = Waiting(self.assumptions, ops, size)
        self.ledger = Unsettled(
            existing_will_do=False,
            on_ready=self.waiting.add,
            on_settled=lambda _, was, __: self.waiting.drop() if was is Stage.READY else None,
        )
        self.seq = 0

    def add(self, *targets: Entry, path: str = "/customer", **more: Any) -> Entry:
        names = ("customer_id", "parent_customer_id")
        payload: dict[str, Any] = {"company": "x"}
        refs: list[Any] = []
        for name, target in zip(names, targets, strict=False):
            payload[name] = target.operation.ref()
            refs.append(((name,), payload[name]))
        operation: Operation[Any] = Operation(
            None,  # type: ignore[arg-type]  # nobody runs it
            "customer",
            "POST",
            path,
            untyped,
            Repeat.ONCE,
            payload=payload,
            refs=refs,
            **more,
        )
        operation.take()
        entry = Entry(self, operation, self.seq)  # type: ignore[arg-type]  # only compared
        self.seq += 1
        measure(entry, self.assumptions)
        self.ledger.admit(entry, self.ledger.targets(entry))
        return entry

    def family(self, size: int) -> list[Entry]:
        parent = self.add()
        return [parent, *(self.add(parent) for _ in range(size - 1))]

    def land(self, batch: list[Entry]) -> None:
        for entry in batch:
            end = entry.answered(entry.operation, ANSWER, RetryPolicy(), 0.0)
            assert isinstance(end, End)
            self.ledger.settle(entry, end)

    def drain(self, flying: int = 1) -> list[list[Entry]]:
        """All batches, with ``flying`` of them under way at a time."""
        under_way: list[list[Entry]] = []
        every: list[list[Entry]] = []
        while self.waiting.count or under_way:
            while self.waiting.count and len(under_way) < flying:
                batch = self.waiting.take()
                assert batch, "something is ready, and nothing was taken"
                under_way.append(batch)
                every.append(batch)
            self.land(under_way.pop(0))
        assert not self.ledger.entries
        return every


def check_batch(batch: list[Entry], ops: int = 25) -> None:
    assert 1 <= len(batch) <= ops
    seen: set[Operation[Any]] = set()
    for entry in batch:
        for _, ref in entry.open_refs():
            assert ref.target in seen
        seen.add(entry.operation)


def test_independent_operations_fill_batches_in_order() -> None:
    """60 operations take three requests, oldest first."""
    bench = Bench()
    entries = [bench.add() for _ in range(60)]
    batches = bench.drain()
    assert [len(batch) for batch in batches] == [25, 25, 10]
    assert [entry for batch in batches for entry in batch] == entries


@pytest.mark.parametrize("flying", [1, 4, 24])
def test_families_of_eight_cost_at_most_a_tenth_more_requests(flying: int) -> None:
    """A parent with 7 children by ``customer_id``, 500 of them: 1.1 x ceil(n / 25)."""
    bench = Bench()
    for _ in range(500):
        bench.family(8)
    assert len(bench.drain(flying)) <= 1.1 * ceil(4000 / 25)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 4, 24]))
def test_forests_of_families_up_to_sixty_never_exceed_their_share(seed: int, flying: int) -> None:
    """Any mix of families of 1 to 60: 1.15 x ceil(n / 25), and one request for the last rest."""
    bench, source = Bench(), random.Random(seed)
    for _ in range(60):
        bench.family(source.randint(1, 60))
    batches = bench.drain(flying)
    for batch in batches:
        assert len(batch) <= 25
    # The +1: the rest of the last family waits for its parent's answer with nothing beside it.
    assert len(batches) <= 1.15 * ceil(bench.seq / 25) + 1


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_batch_is_sound_and_something_ready_always_leaves(data: st.DataObject) -> None:
    """Random graphs, caps, sizes, suspects and lone ones: targets stand first, bounds hold."""
    ops = data.draw(st.integers(1, 25))
    bench = Bench(ops, data.draw(st.sampled_from([400, 2000, 10**9])), jsonpath_keys=None)
    source = random.Random(data.draw(st.integers(0, 2**32)))
    entries: list[Entry] = []
    for _ in range(source.randint(1, 120)):
        targets = source.sample(entries[-20:], min(len(entries[-20:]), source.choice([0, 0, 1, 2])))
        lone = source.random() < 0.1
        record = ("customer", "id", source.randint(1, 5)) if source.random() < 0.2 else None
        path = "/customer/1/_action/x" if lone else "/customer"
        entry = bench.add(*targets, path=path, record=record)
        entry.cap = source.choice([0, 0, 0, 1, 3, 12])
        entry.suspect = source.random() < 0.1
        entries.append(entry)
    for batch in bench.drain(source.randint(1, 5)):
        check_batch(batch, ops)
        assert sum(entry.size for entry in batch) <= bench.waiting.max_bytes or len(batch) == 1
        caps = [entry.cap for entry in batch if entry.cap]
        assert len(batch) <= min([25, *caps])
        assert not any(entry.suspect for entry in batch[1:])
        assert len(batch) == 1 or not any(entry.alone for entry in batch)


def test_the_oldest_is_never_passed_over() -> None:
    """A family that never fits beside others, in bytes, still leaves with the first batch."""
    bench = Bench(size=1000)
    oldest = bench.family(20)
    for _ in range(200):
        bench.add()
    first = bench.waiting.take()
    assert first[0] is oldest[0]


def test_a_capped_entry_with_a_family_leaves_when_it_is_the_oldest() -> None:
    """Its family is cut to the cap instead of being passed over for ever."""
    bench = Bench()
    parent = bench.family(10)[0]
    parent.cap = 3
    for _ in range(100):
        bench.add()
    assert parent in bench.waiting.take()


def test_lone_operations_and_batches_take_turns_by_age() -> None:
    """Neither kind starves the other."""
    bench = Bench(ops=2)
    for index in range(6):
        bench.add(path="/customer/1/_action/x" if index % 3 == 0 else "/customer")
    assert [[entry.seq for entry in batch] for batch in bench.drain()] == [[0], [1, 2], [3], [4, 5]]


def test_what_goes_again_keeps_the_place_of_its_age() -> None:
    """An old operation that was sent before stands in front of all younger ones."""
    bench = Bench(ops=1)
    first, *_ = [bench.add() for _ in range(3)]
    assert bench.waiting.take() == [first]
    bench.waiting.add(first)
    assert bench.waiting.take() == [first]


def test_a_family_too_large_for_one_batch_is_split_at_the_edge() -> None:
    """60 of one family: its parent with 24 children, then the rest by values."""
    bench = Bench()
    bench.family(60)
    assert [len(batch) for batch in bench.drain()] == [25, 25, 10]


def test_a_small_family_is_not_split_to_fill_two_places() -> None:
    """Families of 12 go in pairs; one place stays empty."""
    bench = Bench()
    for _ in range(4):
        bench.family(12)
    assert [len(batch) for batch in bench.drain()] == [24, 24]


def test_a_grandchild_rides_with_its_grandparent() -> None:
    """Chains within a batch go out as a chain of names."""
    bench = Bench()
    last = bench.add()
    for _ in range(24):
        last = bench.add(last)
    batch = bench.waiting.take()
    assert len(batch) == 25
    check_batch(batch)
    assert b'"customer_jsonpath":"op23:$.response.id"' in (request_of(batch).body or b"")


def test_a_payload_that_has_the_key_already_waits_for_the_value() -> None:
    """``customer_jsonpath`` given by the caller would meet our own: the child waits instead."""
    bench = Bench()
    parent = bench.add()
    child = bench.add(parent)
    child.operation.payload["customer_jsonpath"] = "mine"
    assert bench.waiting.take() == [parent]


def test_the_search_for_what_fits_is_bounded() -> None:
    """With thousands of large families waiting, a batch looks at a bounded number of them."""
    bench = Bench()
    for _ in range(LOOK_AHEAD + 50):
        bench.family(13)
    bench.waiting.take()
    assert bench.waiting.count == LOOK_AHEAD + 48  # one whole, and as much of a second as fits


def test_nothing_settled_is_kept_in_the_queue() -> None:
    """When the last ready entry is withdrawn the queue lets go of all."""
    bench = Bench()
    entries = [bench.add() for _ in range(10)]
    bench.land(entries)
    assert not bench.waiting._queue
    assert bench.waiting.take() == []
