"""References between operations: in one batch, by waiting, in paths and nested keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.bulk_world import Gated, client, customer, outcome_of, states
from support.fake_loop import run
from support.server_model import ServerModel, Trouble, Ways

from chargeover_async import (
    AlreadyExists,
    BadRequest,
    BulkSettings,
    ChargeOverError,
    DependencyFailed,
    ServerAssumptions,
    UsageError,
)
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat

LINE: Any = [{"item_id": 1}]


def invoice(resource: Any, mark: int, customer_id: Any, **fields: Any) -> Operation[Any]:
    fields.setdefault("line_items", LINE)
    return resource.create(customer_id=customer_id, extra={"mark": mark}, **fields)  # type: ignore[no-any-return]


def test_invariant_4_a_family_goes_together_with_its_target_in_front() -> None:
    """One request, the child behind its target, by a name of the engine's own."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1)
            children = [invoice(bulk.invoices, mark, parent.ref()) for mark in (2, 3)]
            gate.opened.set()
        assert server.sizes == [3]
        items = server.sent[0].items
        assert [item["payload"].get("customer_jsonpath") for item in items] == [
            None,
            "op0:$.response.id",
            "op0:$.response.id",
        ]
        assert states([parent, *children]) == ["done"] * 3
        assert {effect.payload["customer_id"] for effect in server.effects[1:]} == {1}

    run(main())


@pytest.mark.parametrize("references", ["server", "client"])
@pytest.mark.parametrize("kind", ["400", "item_400", "401"])
def test_invariant_4_a_failed_target_fails_its_dependants(references: Any, kind: Any) -> None:
    """The child gets DependencyFailed with the target's error as its cause; nothing came of it."""

    async def main() -> None:
        server, gate = ServerModel(plan=lambda _: Trouble(kind)), Gated()
        async with client(server, limiter=gate, references=references).bulk() as bulk:
            parent = customer(bulk.customers, 1)
            child = invoice(bulk.invoices, 2, parent.ref())
            paid = bulk.invoices.pay(child)
            gate.opened.set()
        assert outcome_of(parent).state == "refused"
        for operation in (child, paid):
            error = outcome_of(operation).error
            assert isinstance(error, DependencyFailed)
            assert error.__cause__ is outcome_of(parent).error
            assert outcome_of(operation).state in {"refused", "not_sent"}
        assert server.effects == []

    run(main())


@pytest.mark.parametrize("kind", ["lost_before", "lost_after", "502_after", "500_after", "short"])
def test_invariant_4_an_open_target_holds_its_dependants_until_it_is_settled(kind: Any) -> None:
    """The keyed parent is lost and looked up; the keyed child ends at the right parent."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble(kind)]), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1, external_key="p")
            child = invoice(bulk.invoices, 2, parent.ref(), external_key="c")
            gate.opened.set()
        assert states([parent, child]) == ["done", "done"]
        assert [effect.mark for effect in server.effects] == [1, 2]
        record = server.by_key("invoice", "c")
        assert record is not None
        assert record["customer_id"] == outcome_of(parent).value.id

    run(main())


@pytest.mark.parametrize("kind", ["item_500", "item_429", "item_code_0", "item_garbage"])
def test_a_child_refused_because_its_target_had_trouble_goes_again(kind: Any) -> None:
    """The target's own entry fails for now, so the child is refused for it: both end done."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble(kind, 0)]), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1, external_key="p")
            child = invoice(bulk.invoices, 2, parent.ref())
            gate.opened.set()
        assert states([parent, child]) == ["done", "done"]
        assert sorted(effect.mark for effect in server.effects) == [1, 2]

    run(main())


def test_an_unknown_target_fails_its_dependants_unsent() -> None:
    """The parent has no key: nobody can tell its id."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("item_code_0", 0)]), Gated()
        async with client(server, limiter=gate, references="client").bulk() as bulk:
            parent = customer(bulk.customers, 1)
            child = invoice(bulk.invoices, 2, parent.ref())
            other = customer(bulk.customers, 3)
            gate.opened.set()
        assert states([parent, child, other]) == ["unknown", "not_sent", "done"]
        assert isinstance(outcome_of(child).error, DependencyFailed)

    run(main())


def test_a_reference_in_a_path_waits_and_is_escaped() -> None:
    """Whatever value the target answered with, it cannot change the path."""

    async def main() -> None:
        server = ServerModel()
        async with client(server).bulk() as bulk:
            one = customer(bulk.customers, 1, external_key="a/../b?c")
            read = bulk.customers.get(external_key="a/../b?c")
            held = bulk.customers.get(read.ref("$.response.external_key"))
        assert outcome_of(one).state == "done"
        assert outcome_of(read).state == "done"
        assert server.sent[-1].request.path == "/customer/a%2F..%2Fb%3Fc"
        assert outcome_of(held).state == "refused"

    run(main())


def test_a_nested_reference_is_put_in_by_value() -> None:
    """``line_items[0].item_id`` of an item that is created in the same scope."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        one = server.seed("customer")
        async with client(server, limiter=gate).bulk() as bulk:
            item = bulk.items.create(name="x")
            bill = invoice(bulk.invoices, 1, one, line_items=[{"item_id": item.ref()}])
            gate.opened.set()
        assert states([item, bill]) == ["done", "done"]
        assert server.sizes == [1, 1]
        assert server.effects[-1].payload["line_items"][0]["item_id"] == outcome_of(item).value.id

    run(main())


def test_one_target_may_be_referred_to_several_times_in_one_operation() -> None:
    """In the same payload at the top and nested: each place gets the value."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1)
            extra = {"mark": 2, "other_customer_id": parent.ref(), "deep": [{"a": parent.ref()}]}
            child = bulk.invoices.create(customer_id=parent.ref(), line_items=LINE, extra=extra)
            gate.opened.set()
        assert states([parent, child]) == ["done", "done"]
        payload = server.effects[-1].payload
        assert payload["customer_id"] == payload["other_customer_id"] == 1
        assert payload["deep"] == [{"a": 1}]

    run(main())


def test_an_operation_may_refer_to_two_targets() -> None:
    """Both ride in the same batch in front of it when the server may be told both."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        assumed = ServerAssumptions(jsonpath_keys=None)
        async with client(server, limiter=gate, assumptions=assumed).bulk() as bulk:
            one, two = customer(bulk.customers, 1), customer(bulk.customers, 2)
            extra = {"mark": 3, "other_customer_id": two.ref()}
            bill = bulk.invoices.create(customer_id=one.ref(), line_items=LINE, extra=extra)
            gate.opened.set()
        assert server.sizes == [3]
        payload = server.effects[-1].payload
        assert (payload["customer_id"], payload["other_customer_id"]) == (1, 2)
        assert outcome_of(bill).state == "done"

    run(main())


@pytest.mark.parametrize("server_does_it", [True, False])
def test_other_jsonpaths_are_resolved(server_does_it: bool) -> None:
    """``$.response.made.of`` by the server if it may, else by the engine."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        assumed = ServerAssumptions(jsonpath_any_path=server_does_it)
        async with client(server, limiter=gate, assumptions=assumed).bulk() as bulk:
            one = customer(bulk.customers, 1)
            two = invoice(bulk.invoices, 2, one.ref("$.response['id']"))
            gate.opened.set()
        assert states([one, two]) == ["done", "done"]
        assert len(server.sent) == (1 if server_does_it else 2)
        assert server.effects[-1].payload["customer_id"] == 1

    run(main())


@pytest.mark.parametrize(
    "path", ["$.response.nothing", "$.response.made.both[*]", "$.response.made"]
)
def test_a_path_without_a_single_value_is_that_operations_error(path: str) -> None:
    """Nothing, several values, an object: UsageError, unsent; the target is done."""

    async def main() -> None:
        server = ServerModel()
        async with client(server).bulk() as bulk:
            one = customer(bulk.customers, 1)
            two = invoice(bulk.invoices, 2, one.ref(path))
            three = invoice(bulk.invoices, 3, one.ref())
        assert states([one, two, three]) == ["done", "not_sent", "done"]
        assert isinstance(outcome_of(two).error, UsageError)
        assert "nothing was sent" in str(outcome_of(two).error)

    run(main())


def test_references_to_settled_operations_are_put_in_at_once() -> None:
    """To one of this scope, of a closed one, and to a direct call."""

    async def main() -> None:
        server = ServerModel()
        co = client(server)
        direct = customer(co.customers, 1)
        direct.ref()
        await direct
        async with co.bulk() as earlier:
            old = customer(earlier.customers, 2)
        async with co.bulk() as bulk:
            first = customer(bulk.customers, 3)
            await first
            bills = [invoice(bulk.invoices, 10, parent.ref()) for parent in (direct, old, first)]
        assert states(bills) == ["done"] * 3
        assert [effect.payload["customer_id"] for effect in server.effects[3:]] == [1, 2, 3]

    run(main())


def test_a_reference_to_a_settled_failure_fails_at_once() -> None:
    """The handle is returned, and settled."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble("400")])
        async with client(server).bulk() as bulk:
            one = customer(bulk.customers, 1)
            with pytest.raises(BadRequest):
                await one
            two = invoice(bulk.invoices, 2, one.ref())
            assert isinstance(outcome_of(two).error, DependencyFailed)
            assert bulk.unsettled == 0
        assert bulk.report.not_sent == 1

    run(main())


def test_what_cannot_be_referred_to_is_refused_on_submission() -> None:
    """An unsettled operation of another scope, one nobody has taken, and itself."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        co = client(server, limiter=gate)
        async with co.bulk() as other, co.bulk() as bulk:
            elsewhere = customer(other.customers, 1)
            with pytest.raises(UsageError, match="same bulk scope"):
                invoice(bulk.invoices, 2, elsewhere.ref())
            nobodys = customer(co.customers, 3)
            with pytest.raises(UsageError, match="same bulk scope"):
                invoice(bulk.invoices, 4, nobodys.ref())
            nobodys.close()
            loop: Operation[Any] = Operation(
                co._direct,
                "customer",
                "POST",
                "/customer",
                lambda raw: raw,
                Repeat.ONCE,
                payload={"customer_id": None},
            )
            loop.refs = [(("customer_id",), loop.ref())]
            with pytest.raises(UsageError, match="refers to itself"):
                await bulk.submit(loop)
            assert bulk.unsettled == 0
            gate.opened.set()

    run(main())


def test_a_chain_of_ten_thousand_references_settles() -> None:
    """No recursion: done from one end to the other, in 25s."""

    async def main() -> None:
        server, gate = ServerModel(delay=0.001), Gated()
        made = []
        async with client(server, limiter=gate, max_waiting=20_000).bulk() as bulk:
            made.append(customer(bulk.customers, 0))
            for mark in range(1, 10_000):
                extra = {"mark": mark, "parent_customer_id": made[-1].ref()}
                made.append(bulk.customers.create(company="x", extra=extra))
            gate.opened.set()
        assert states(made) == ["done"] * 10_000

    run(main())


def test_a_chain_of_ten_thousand_fails_with_the_first_cause() -> None:
    """Each error names the root, and none holds a chain of messages."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("400")]), Gated()
        made = []
        async with client(server, limiter=gate, max_waiting=20_000).bulk() as bulk:
            made.append(customer(bulk.customers, 0))
            for mark in range(1, 10_000):
                extra = {"mark": mark, "parent_customer_id": made[-1].ref()}
                made.append(bulk.customers.create(company="x", extra=extra))
            gate.opened.set()
        assert states(made) == ["refused"] + ["not_sent"] * 9_999
        last = outcome_of(made[-1]).error
        assert last is not None
        assert last.__cause__ is outcome_of(made[0]).error
        assert last.__traceback__ is None
        assert len(str(last)) < 500

    run(main())


def test_a_family_larger_than_a_batch_is_split_and_every_child_finds_its_parent() -> None:
    """60 children of one parent: the first 24 by name, the others by value."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 0)
            made = [invoice(bulk.invoices, mark, parent.ref()) for mark in range(1, 61)]
            gate.opened.set()
        assert states(made) == ["done"] * 60
        assert {effect.payload["customer_id"] for effect in server.effects[1:]} == {1}
        assert len(server.sent) == 3

    run(main())


def test_the_callers_payload_is_not_changed() -> None:
    """References are put into copies."""

    async def main() -> None:
        server = ServerModel()
        lines: list[dict[str, Any]] = [{"item_id": 1, "descrip": "x"}]
        async with client(server).bulk() as bulk:
            one = customer(bulk.customers, 1)
            invoice(bulk.invoices, 2, one.ref(), line_items=lines)
        assert lines == [{"item_id": 1, "descrip": "x"}]

    run(main())


def _existing(server: ServerModel) -> int:
    return server.seed("customer", external_key="taken", company="Somebody's")


def test_on_existing_fail_stops_who_refers() -> None:
    """The default."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        _existing(server)
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1, external_key="taken")
            child = invoice(bulk.invoices, 2, parent.ref())
            gate.opened.set()
        assert isinstance(outcome_of(parent).error, AlreadyExists)
        assert isinstance(outcome_of(child).error, DependencyFailed)

    run(main())


def test_on_existing_continue_goes_on_with_the_record_that_has_the_key() -> None:
    """The parent stays refused and says which record there is; the child refers to that one."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        there = _existing(server)
        async with client(server, limiter=gate, on_existing="continue").bulk() as bulk:
            parent = customer(bulk.customers, 1, external_key="taken")
            child = invoice(bulk.invoices, 2, parent.ref())
            gate.opened.set()
        error = outcome_of(parent).error
        assert isinstance(error, AlreadyExists)
        assert (outcome_of(parent).state, error.existing_id) == ("refused", there)
        assert error.differences["company"] == ("Company 1", "Somebody's")
        assert outcome_of(child).state == "done"
        assert server.effects[-1].payload["customer_id"] == there

    run(main())


@pytest.mark.parametrize("kind", ["401", "item_400"])
def test_on_existing_continue_with_a_look_up_that_fails_stays_a_refusal(kind: Any) -> None:
    """The parent keeps its AlreadyExists; the child fails for it."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble(), Trouble(kind)])
        _existing(server)
        async with client(server, on_existing="continue").bulk() as bulk:
            parent = customer(bulk.customers, 1, external_key="taken")
            child = invoice(bulk.invoices, 2, parent.ref())
        error = outcome_of(parent).error
        assert isinstance(error, AlreadyExists)
        assert error.existing_id is None
        assert states([parent, child]) == ["refused", "refused"]
        assert isinstance(outcome_of(child).error, DependencyFailed)

    run(main())


def test_a_keyed_child_of_a_parent_that_is_looked_up_is_adopted_too() -> None:
    """Both were lost after commit: both are found, neither is made twice."""

    async def main() -> None:
        server, gate = ServerModel(plan=[Trouble("lost_after")]), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1, external_key="p")
            child = invoice(bulk.invoices, 2, parent.ref(), external_key="c")
            grandchild = bulk.invoices.pay(child)
            gate.opened.set()
        assert states([parent, child, grandchild]) == ["done"] * 3
        assert [effect.verb for effect in server.effects] == ["create", "create", "pay"]

    run(main())


def test_halves_of_a_refused_batch_keep_references_across_the_edge() -> None:
    """400 for the whole; the child lands in the other half than its parent."""

    async def main() -> None:
        server = ServerModel(plan=lambda sent: Trouble("400" if sent.size > 4 else "ok"))
        gate = Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 0)
            others = [customer(bulk.customers, mark) for mark in range(1, 10)]
            children = [invoice(bulk.invoices, mark, parent.ref()) for mark in range(20, 30)]
            gate.opened.set()
        assert states([parent, *others, *children]) == ["done"] * 20
        assert len(server.effects) == 20

    run(main())


@pytest.mark.parametrize("bad", ["refuse", "ignore"])
def test_a_bad_reference_never_makes_a_false_report(bad: Any) -> None:
    """However the server answers a reference to a failed item, reports match what is there."""

    async def main() -> None:
        server, gate = ServerModel(Ways(bad_reference=bad), [Trouble("item_400", 0)]), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1)
            child = invoice(bulk.invoices, 2, parent.ref())
            gate.opened.set()
        assert states([parent, child]) == ["refused", "refused"]
        assert server.effects == []

    run(main())


def test_a_lost_update_whose_target_failed_is_unknown() -> None:
    """It was in one batch with its target and the answer was cut: it may have happened."""

    async def main() -> None:
        server = ServerModel(plan=[Trouble("cut"), Trouble("400")])
        gate = Gated()
        one = server.seed("customer")
        async with client(server, limiter=gate).bulk() as bulk:
            parent = customer(bulk.customers, 1)
            extra = {"mark": 2, "customer_id": parent.ref()}
            child = bulk.invoices.update(one, extra=extra)
            gate.opened.set()
        assert states([parent, child]) == ["unknown", "unknown"]

    run(main())


def test_names_sent_are_the_engines_own() -> None:
    """Two scopes may send the same names; within one scope none is used twice."""

    async def main() -> None:
        server, gate = ServerModel(), Gated()
        async with client(server, limiter=gate).bulk() as bulk:
            for mark in range(12):
                parent = customer(bulk.customers, 2 * mark)
                invoice(bulk.invoices, 2 * mark + 1, parent.ref())
            gate.opened.set()
        names = [
            item.get("id") for sent in server.sent for item in json.loads(sent.request.body or b"")
        ]
        named = [name for name in names if name]
        assert len(named) == len(set(named)) == 12

    run(main())


def test_settings_that_make_no_sense_are_refused() -> None:
    """At once, by name."""
    with pytest.raises(ChargeOverError, match="max_batch_ops"):
        BulkSettings(max_batch_ops=26)
    with pytest.raises(ChargeOverError, match="max_waiting"):
        BulkSettings(max_waiting=0)
    wrong: Any = "both"
    with pytest.raises(ChargeOverError, match="references"):
        BulkSettings(references=wrong)
