"""Whole programs against the model of the server: whatever happens, the books must agree.

A program is data (a list of steps), made by Hypothesis and run in a loop of its own whose time
jumps, which is fast enough for thousands of runs of up to 50 steps. ``CHARGEOVER_MACHINE_RUNS``
sets their number (2,000 by default; 20,000 once before a release).
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_loop import run
from support.server_model import Kind, ServerModel, Trouble, Ways

from chargeover_async import BulkSettings, LocalLimiter, NoLimit, QuotaSettings, RetryPolicy
from chargeover_async._refs import REF_IN_PATH
from chargeover_async._send.direct import Direct
from chargeover_async._send.pipeline import Pipeline
from chargeover_async.bulk import ServerAssumptions
from chargeover_async.bulk.engine import Engine
from chargeover_async.errors import ChargeOverError
from chargeover_async.models._json.read import untyped
from chargeover_async.operation import Operation, Outcome
from chargeover_async.resources._calls.answers import read_created
from chargeover_async.retry import Repeat

RUNS = int(os.environ.get("CHARGEOVER_MACHINE_RUNS", "2000"))
KINDS = [kind for kind in get_args(Kind) if kind != "raise"]
QUOTA = 20  # per 10 s, in the runs with a limiter
SEEDED = 3


@dataclass
class World:
    """One run: the parts, and what is known of each operation beside the engine's own books."""

    server: ServerModel
    pipeline: Pipeline
    engine: Engine
    settings: BulkSettings
    operations: list[Operation[Any]] = field(default_factory=list)
    settled: Counter[int] = field(default_factory=Counter)
    waiters: dict[int, asyncio.Task[Any]] = field(default_factory=dict)
    submits: dict[int, asyncio.Task[Any]] = field(default_factory=dict)
    admitted: list[int] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    most_waiting: int = 0
    targets: dict[int, list[int]] = field(default_factory=dict)

    def build(self, step: tuple[Any, ...]) -> Operation[Any] | None:
        mark = len(self.operations)
        kind, which, key, where = step[0], step[1], step[2], step[3]
        older = [
            operation
            for operation in self.operations
            if operation.method == "POST" and operation.path.count("/") == 1
        ]
        target = older[-1 - which % len(older)] if older and which >= 0 else None
        payload: dict[str, Any] = {"mark": mark}
        more: dict[str, Any] = {}
        refs: list[Any] = []
        name = "invoice" if kind == "invoice" else "customer"
        if kind in {"customer", "invoice"}:
            method, path, repeat, reader = "POST", f"/{name}", Repeat.ONCE, read_created
            if key is not None:
                payload["external_key"] = more["key"] = f"k{key}"
                more["record"] = (name, "external_key", f"k{key}")
                repeat = Repeat.KEYED
            if target is not None:
                # A record's own id stands under its object's name.
                field_ = f"{target.object}_id"
                if target.object == name:
                    field_ = f"parent_{field_}"
                ref = target.ref("$.response.made.of" if where == "text" else "$.response.id")
                if where == "nested":
                    payload["lines"] = [{field_: ref}]
                    refs.append((("lines", 0, field_), ref))
                elif where == "text":
                    payload["note"] = ref
                    refs.append((("note",), ref))
                else:
                    payload[field_] = ref
                    refs.append(((field_,), ref))
                if where == "twice":
                    payload[f"second_{field_}"] = ref
                    refs.append(((f"second_{field_}",), ref))
                self.targets[mark] = [self.operations.index(target)]
            if name == "invoice":
                payload.setdefault("customer_id", 1)
        else:
            if kind == "get":
                method, repeat, reader, payload = "GET", Repeat.READ, untyped, None  # type: ignore[assignment]
            elif kind == "update":
                method, repeat, reader = "PUT", Repeat.IDEMPOTENT, read_created
            elif kind == "delete":
                method, repeat, reader, payload = "DELETE", Repeat.IDEMPOTENT, untyped, None  # type: ignore[assignment]
            else:
                method, repeat, reader = "POST", Repeat.ONCE, untyped
            if kind == "update" and where != "flat" and target is not None:
                # A record of its own, and a reference in what is written to it.
                number = 1 + which % SEEDED
                spot, more["record"] = str(number), (name, "id", number)
                field_ = f"parent_{target.object}_id"
                payload[field_] = target.ref()
                refs.append(((field_,), payload[field_]))
                self.targets[mark] = [self.operations.index(target)]
            elif target is not None:
                name = target.object
                more["path_ref"], spot = target.ref(), REF_IN_PATH
                more["record"] = (name, "ref", target)
                self.targets[mark] = [self.operations.index(target)]
            else:
                number = 1 + (-which) % SEEDED
                spot, more["record"] = str(number), (name, "id", number)
            path = f"/{name}/{spot}"
            if kind == "action" and where == "nested":
                path += "/_action/pay"
            elif kind == "action":
                more["query"] = (("action", "pay"),)
        operation: Operation[Any] = Operation(
            Direct(self.pipeline),
            name,
            method,
            path,
            reader,
            repeat,
            payload=payload,
            refs=refs,
            **more,
        )
        operation.tag = mark
        return operation

    async def submit(self, operation: Operation[Any]) -> None:
        try:
            await self.engine.submit(operation)
        except ChargeOverError:
            return
        self.admitted.append(operation.tag)

    def accept(self, operation: Operation[Any]) -> None:
        try:
            self.engine.accept(operation)
        except ChargeOverError:
            return
        self.admitted.append(operation.tag)

    def note(self, outcome: Outcome[Any]) -> None:
        self.settled[outcome.operation.tag] += 1

    def look(self, *_: Any) -> None:
        self.most_waiting = max(self.most_waiting, self.engine.unsettled)


def _creates(operation: Operation[Any]) -> bool:
    return operation.method == "POST" and operation.path.count("/") == 1


async def play(config: dict[str, Any], program: list[tuple[Any, ...]]) -> World:
    ways: Ways = config["ways"]
    assumed = ServerAssumptions()
    if config["knows"]:
        assumed = ServerAssumptions(
            later_items="run" if ways.later_items == "run" else "not_run",
            deletes=ways.deletes,
            queries=ways.queries,
            actions=ways.actions,
            jsonpath_keys=None if ways.any_key else frozenset({"customer_jsonpath"}),
            jsonpath_any_path=True,
        )
    settings_ = BulkSettings(
        max_batch_ops=config["ops"],
        max_waiting=config["waiting"],
        max_in_flight=config["flying"],
        references=config["references"],
        on_existing=config["on_existing"],
        assumptions=assumed,
    )
    troubles: list[Trouble] = []
    server = ServerModel(
        ways, lambda _: troubles.pop(0) if troubles else Trouble(), delay=config["delay"]
    )
    for _ in range(SEEDED):
        server.seed("customer")
    limiter: Any = NoLimit()
    if config["quota"]:
        quota = QuotaSettings(QUOTA, 10.0, guard_s=1.0)
        limiter = LocalLimiter(quota, random=random.Random(1))
    policy = RetryPolicy(attempts=config["attempts"])
    pipeline = Pipeline(server, limiter, policy, source=random.Random(1))
    world = World(server, pipeline, None, settings_)  # type: ignore[arg-type]
    world.engine = engine = Engine(pipeline, settings_, world.note)
    server.watch = world.look
    for step in program:
        if step[0] == "advance":
            await asyncio.sleep(step[1])
        elif step[0] == "trouble":
            troubles.append(step[1])
        elif step[0] == "cancel":
            tasks = [world.waiters, world.submits][step[2]].get(step[1])
            if tasks is not None:
                tasks.cancel()
        else:
            operation = world.build(step)
            assert operation is not None
            mark = operation.tag
            world.operations.append(operation)
            if step[5] and engine.unsettled < settings_.max_waiting:
                world.accept(operation)
            else:
                world.submits[mark] = asyncio.create_task(world.submit(operation))
                await asyncio.sleep(0)
            if step[4] and operation.outcome is None and operation._taken:
                world.waiters[mark] = asyncio.create_task(operation.wait())
        world.look()
    ending = config["ending"]
    if ending == "drain":
        await asyncio.gather(*world.submits.values(), return_exceptions=True)
        await engine.aclose()
    elif ending == "deadline":
        await engine.aclose(0.35)
    elif ending == "abort":
        await engine.abort()
    elif ending == "twice":
        first = asyncio.create_task(engine.aclose())
        await asyncio.sleep(0.25)
        await engine.aclose()
        await first
    elif ending == "cancelled":
        closing = asyncio.create_task(engine.aclose())
        await asyncio.sleep(0.15)
        closing.cancel()
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
    await asyncio.gather(*world.submits.values(), *world.waiters.values(), return_exceptions=True)
    await limiter.aclose()
    return world


def check(world: World, config: dict[str, Any]) -> None:
    server, engine, ways = world.server, world.engine, config["ways"]
    admitted = set(world.admitted)
    # Each handle settles exactly once, and the report adds up.
    for operation in world.operations:
        assert operation.outcome is not None, operation
        assert world.settled[operation.tag] == (operation.tag in admitted), operation
    states = Counter(world.operations[mark].outcome.state for mark in admitted)  # type: ignore[union-attr]
    report = engine.report
    assert states == +Counter(
        done=report.done,
        refused=report.refused,
        not_sent=report.not_sent,
        unknown=report.unknown,
    )
    # Exactly the effects that are reported.
    effects = Counter(effect.mark for effect in server.effects)
    for operation in world.operations:
        outcome, count = operation.outcome, effects[operation.tag]
        assert outcome is not None
        if operation.method == "DELETE" or operation.method == "GET":
            assert count == 0  # a delete carries no mark
            continue
        most = outcome.attempts if operation.repeat is Repeat.IDEMPOTENT else 1
        assert count <= max(1, most), (operation, outcome, count)
        if outcome.state == "done":
            assert count >= 1, (operation, outcome)
        if outcome.state in {"refused", "not_sent"}:
            assert count == 0, (operation, outcome)
        if outcome.state == "done" and _creates(operation):
            made = [effect for effect in server.effects if effect.mark == operation.tag]
            assert made[0].id == outcome.value.id  # type: ignore[union-attr]
        if outcome.attempts == 0:
            assert outcome.state == "not_sent"
    deleted = Counter(effect.id for effect in server.effects if effect.verb == "DELETE")
    assert all(count == 1 for count in deleted.values())
    # No dependant before its target, and with the target's own value.
    where: dict[Any, int] = {}
    for index, effect in enumerate(server.effects):
        where.setdefault(effect.mark, index)
    for user, targets in world.targets.items():
        for target in targets:
            outcome = world.operations[target].outcome
            assert outcome is not None
            if user not in where:
                if outcome.state != "done" and config["on_existing"] == "fail":
                    assert world.operations[user].outcome.state != "done" or (  # type: ignore[union-attr]
                        world.operations[user].method in {"GET", "DELETE"}
                        and outcome.state == "unknown"
                    )
                continue
            if target in where:
                assert where[target] < where[user] or ways.bad_reference == "ignore"
            else:
                assert config["on_existing"] == "continue" or ways.bad_reference == "ignore"
    # Order per record, repeats included.
    by_record: dict[Any, list[int]] = {}
    for effect in server.effects:
        if effect.mark is not None:
            record = world.operations[effect.mark].record
            if record is not None:
                by_record.setdefault(record, []).append(world.admitted.index(effect.mark))
    for record, order in by_record.items():
        assert order == sorted(order), (record, order)
    # Bounds.
    assert world.most_waiting <= world.settings.max_waiting
    assert not server.doubled
    assert server.most_in_flight <= world.settings.max_in_flight
    assert all(1 <= size <= world.settings.max_batch_ops for size in server.sizes)
    if config["quota"]:
        arrivals = [sent.at + server.delay for sent in server.sent]
        for index in range(len(arrivals) - QUOTA):
            assert arrivals[index + QUOTA] - arrivals[index] > 10.0
    assert world.pipeline.limiter.stats.in_flight == 0
    # Nothing is left.
    assert engine.unsettled == 0
    assert engine._gate.count == 0
    assert engine._gate.bytes == 0
    assert engine._waiting.count == 0
    assert not engine._sender._timers
    assert not engine._books._last


WAYS = st.builds(
    Ways,
    later_items=st.sampled_from(["run", "skip", "truncate"]),
    deletes=st.booleans(),
    queries=st.booleans(),
    actions=st.booleans(),
    bad_reference=st.sampled_from(["refuse", "refuse", "ignore"]),
    any_key=st.booleans(),
)
CONFIG = st.fixed_dictionaries(
    {
        "ways": WAYS,
        "knows": st.booleans(),
        "ops": st.sampled_from([25, 1, 2, 3, 5]),
        "waiting": st.sampled_from([1000, 1000, 20, 3, 1]),
        "flying": st.sampled_from([1, 2, 4]),
        "references": st.sampled_from(["server", "server", "client"]),
        "on_existing": st.sampled_from(["fail", "continue"]),
        "delay": st.sampled_from([0.0, 0.1]),
        "quota": st.booleans(),
        "attempts": st.sampled_from([3, 8]),
        "ending": st.sampled_from(["drain"] * 4 + ["deadline", "abort", "twice", "cancelled"]),
    }
)
KIND_OF_SUBMIT = ("customer", "invoice", "customer", "update", "action", "delete", "get")
REFERENCE = ("flat", "flat", "nested", "text", "twice")
WAITS = (0.0, 0.05, 0.1, 0.3, 5.0)


def step_of(number: int) -> tuple[Any, ...]:
    """A step of a program. A number is drawn much faster than its parts, and shrinks as well."""
    number, what = divmod(number, 16)
    if what < 10:
        number, kind = divmod(number, len(KIND_OF_SUBMIT))
        number, key = divmod(number, 5)
        number, reference = divmod(number, len(REFERENCE))
        number, hows = divmod(number, 8)
        # Which earlier create it refers to, often a late one; none below 0.
        which = number % 24 - 8
        return (
            KIND_OF_SUBMIT[kind],
            which,
            key - 2 if key > 1 else None,
            REFERENCE[reference],
            bool(hows & 1),  # somebody waits for it
            hows > 1,  # at once, without a task, when there is room
        )
    if what < 12:
        number, delay = divmod(number, 3)
        number, kind = divmod(number, len(KINDS))
        return "trouble", Trouble(KINDS[kind], number % 8, 2.0 if delay == 2 else 0.0)
    if what < 14:
        return "advance", WAITS[number % len(WAITS)]
    number, task = divmod(number, 2)
    return "cancel", number % 50, task


NUMBERS = st.integers(0, 2**24 - 1)
PROGRAM = st.one_of(
    st.lists(NUMBERS, min_size=25, max_size=50), st.lists(NUMBERS, min_size=1, max_size=50)
).map(lambda numbers: [step_of(number) for number in numbers])

_runs = itertools.count(1)


@pytest.mark.timeout(3600)
@settings(
    max_examples=RUNS,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@pytest.mark.process
@given(config=CONFIG, program=PROGRAM)
def test_the_books_agree_with_the_server_whatever_happens(
    config: dict[str, Any], program: list[tuple[Any, ...]]
) -> None:
    """Each handle settles once, with exactly the effects reported; order, bounds and quota hold."""
    world = run(play(config, program))
    check(world, config)
    del world
    if next(_runs) % 100 == 0:
        gc.collect()  # an exception that was never retrieved is told now
