"""Whatever raises while an answer is taken in: everything settles, and says which operation it was.

Answers that are the API's envelope and hold what nobody expects, paths that fail on them, and
readers, observers and journals that raise: as a direct call, and in a batch, where neighbours that
were done stay done.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from support.bulk_world import Gated
from support.fake_loop import run
from support.scripted import URL

from chargeover_async import BulkSettings, ChargeOver, NoLimit
from chargeover_async._wire.envelope import Answer, NoAnswer
from chargeover_async._wire.request import Request
from chargeover_async.errors import ChargeOverError, DecodeError
from chargeover_async.limits import Permit
from chargeover_async.operation import Operation, Outcome
from chargeover_async.retry import Repeat

DEEP = b'{"id":7,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
RESPONSES = {
    "an exponent": b'{"id":1e5000}',
    "a negative exponent": b'{"id":1e-5000}',
    "5,000 digits": b'{"id":' + b"9" * 5_000 + b"}",
    "5,000 digits as text": b'{"id":"' + b"9" * 5_000 + b'"}',
    "not UTF-8 elsewhere": b'{"id":7,"company":"M\xfcller"}',
    "not UTF-8 in the id": b'{"id":"\xfc"}',
    "half a surrogate pair": b'{"id":"\\ud800"}',
    "half a pair elsewhere": b'{"id":7,"company":"\\ud800"}',
    "deep": DEEP,
    "deep id": b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a list": b"[]",
    "null": b"null",
    "true": b"true",
    "text": b'"ok"',
    "a number": b"7",
    "id null": b'{"id":null}',
    "id true": b'{"id":true}',
    "id an object": b'{"id":{"id":7}}',
    "id a list": b'{"id":[7]}',
    "id empty": b'{"id":""}',
    "id blank": b'{"id":" "}',
    "id a dot": b'{"id":"."}',
    "id two dots": b'{"id":".."}',
    "id a path": b'{"id":"1/../2?x=1#y"}',
    "id negative": b'{"id":-1}',
    "id NUL": b'{"id":"\\u0000"}',
    "id twice": b'{"id":7,"id":8}',
    "a fraction": b'{"id":7.5}',
}
PATHS = ["$.response.id", "$.response.id.`sub(/a/, b)`", "$.response.*", "$..id", "$.response[0]"]


def entry(response: bytes) -> bytes:
    return b'{"code":201,"status":"OK","message":"","response":%b}' % response


class Hostile:
    """Answers the first create with ``response``, and everything else well."""

    def __init__(self, response: bytes) -> None:
        self.response = response
        self.requests: list[str] = []
        self.made = 100

    async def send(self, request: Request, permit: Permit) -> Answer | NoAnswer:
        permit.sent()
        self.requests.append(f"{request.method} {request.path}")
        await asyncio.sleep(0.1)
        if request.path != "/_bulk":
            return Answer(200, {}, entry(self._entry(request.body or b"")))
        items = json.loads(request.body or b"")
        entries = [entry(self._entry(json.dumps(item).encode())) for item in items]
        return Answer(200, {}, entry(b'{"_bulk":[' + b",".join(entries) + b"]}"))

    def _entry(self, sent: bytes) -> bytes:
        if b"hostile" in sent:
            return self.response
        self.made += 1
        return b'{"id":%d}' % self.made

    async def aclose(self) -> None:
        pass


def client(response: bytes, **more: Any) -> ChargeOver:
    return ChargeOver(URL, "user", "pw", transport=Hostile(response), limiter=NoLimit(), **more)


def names_it(operation: Operation[Any]) -> None:
    outcome = operation.outcome
    assert outcome is not None
    if outcome.error is not None:
        assert isinstance(outcome.error, ChargeOverError)
        assert operation.label in str(outcome.error)
        assert str(outcome.error).count("\n") == 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", RESPONSES)
def test_a_batch_settles_whatever_an_answer_holds(kind: str, path: str) -> None:
    """The target is done, its neighbours are, and who refers is sent, or says why it is not."""

    async def main() -> None:
        co = client(RESPONSES[kind], bulk=BulkSettings(references="client"))
        async with co.bulk() as bulk:
            target = bulk.customers.create(company="hostile", external_key="a")
            users = [
                bulk.invoices.create(customer_id=target.ref(path), line_items=[{"item_id": 1}]),
                bulk.customers.update(target.ref(path), company="b"),
                bulk.customers.create(company="c", parent_customer_id=target.ref(path)),
            ]
            neighbours = [
                bulk.customers.create(company="d", external_key=f"n{n}") for n in range(5)
            ]
        for operation in (target, *users, *neighbours):
            names_it(operation)
        assert {operation.outcome.state for operation in (target, *neighbours)} == {"done"}  # type: ignore[union-attr]
        for user in users:
            assert user.outcome is not None
            if user.outcome.error is not None:
                assert (user.outcome.state, user.outcome.attempts) == ("not_sent", 0)
                assert target.label in str(user.outcome.error)
        assert bulk.unsettled == 0

    run(main())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", RESPONSES)
def test_a_direct_call_settles_whatever_an_answer_holds(kind: str, path: str) -> None:
    """And who refers to it is sent, or was not, and says so."""

    async def main() -> None:
        co = client(RESPONSES[kind])
        target = co.customers.create(company="hostile", external_key="a")
        reference = target.ref(path)
        outcome = await target.wait()
        assert outcome.state == "done"
        assert outcome.error is None or isinstance(outcome.error, DecodeError)
        for user in (
            co.invoices.create(customer_id=reference, line_items=[{"item_id": 1}]),
            co.customers.get(reference),
        ):
            found = await user.wait()
            names_it(user)
            if user.method == "POST" and found.error is not None:
                assert (found.state, found.attempts) == ("not_sent", 0)
        names_it(target)

    run(main())


@pytest.mark.parametrize("text", [".", "..", ""])
def test_a_name_that_would_change_the_path_is_never_sent(text: str) -> None:
    """An id is a segment of the path, and these are none."""

    async def main() -> None:
        co = client(json.dumps({"id": text}).encode())
        target = co.customers.create(company="hostile")
        await target.wait()
        user = await co.customers.delete(target).wait()
        assert user.state == "not_sent"
        assert "no name of a record" in str(user.error)
        transport: Any = co._pipeline.transport
        assert transport.requests == ["POST /customer"]

    run(main())


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_look_up_settles_whatever_the_record_holds(kind: str) -> None:
    """Found and unreadable is unknown; nobody hangs, directly and in a batch."""

    class Lost(Hostile):
        async def send(self, request: Request, permit: Permit) -> Answer | NoAnswer:
            permit.sent()
            await asyncio.sleep(0.1)
            if request.method == "POST" and request.path != "/_bulk":
                return Answer(502, {}, b"")
            if request.path == "/_bulk":
                items = json.loads(request.body or b"")
                if items[0]["request_method"] == "POST":
                    return Answer(502, {}, b"")
                entries = [entry(self._record()) for _ in items]
                return Answer(200, {}, entry(b'{"_bulk":[' + b",".join(entries) + b"]}"))
            return Answer(200, {}, entry(self._record()))

        def _record(self) -> bytes:
            return self.response.replace(b'"id"', b'"customer_id"')

    async def main() -> None:
        lost = Lost(RESPONSES[kind])
        co = ChargeOver(URL, "user", "pw", transport=lost, limiter=NoLimit())
        alone = await co.customers.create(company="a", external_key="a").wait()
        async with co.bulk() as bulk:
            made = [bulk.customers.create(company="a", external_key=f"k{n}") for n in range(3)]
        for outcome in (alone, *(operation.outcome for operation in made)):
            assert outcome is not None
            assert outcome.state in {"unknown", "done"}
            names_it(outcome.operation)

    run(main())


class Mute(Exception):
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "error", [ValueError("bad"), RecursionError(), MemoryError(), Mute(), AssertionError()]
)
def test_a_reader_that_raises_loses_nothing(error: Exception) -> None:
    """It was done, with a DecodeError in place of a value; the neighbours have theirs."""

    def read(_: Any) -> Any:
        raise error

    def odd(co: ChargeOver) -> Operation[Any]:
        return Operation(
            co._direct, "customer", "POST", "/customer", read, Repeat.ONCE, payload={"company": "x"}
        )

    async def main() -> None:
        co = client(b"{}")
        alone = await odd(co).wait()
        async with co.bulk() as bulk:
            before = bulk.customers.create(company="a")
            among = await bulk.submit(odd(co))
            after = bulk.customers.create(company="b")
        for outcome in (alone, among.outcome):
            assert outcome is not None
            assert (outcome.state, type(outcome.error)) == ("done", DecodeError)
            assert outcome.attempts == 1
            assert type(error).__name__ in str(outcome.error)
        assert (await before).id
        assert (await after).id

    run(main())


def test_an_observer_that_raises_loses_nothing() -> None:
    """Each event fails; every operation settles all the same."""

    def fail(_: Any) -> None:
        raise Mute

    async def main() -> None:
        co = client(b"{}", on_event=fail)
        assert (await co.customers.create(company="a").wait()).state == "done"
        async with co.bulk() as bulk:
            made = [bulk.customers.create(company="a") for _ in range(30)]
        assert bulk.report.done == 30
        assert all(operation.done for operation in made)

    run(main())


class Journal:
    """Fails at one of its three calls."""

    def __init__(self, fails_at: str) -> None:
        self.fails_at = fails_at

    def _call(self, name: str) -> None:
        if name == self.fails_at:
            raise Mute

    def was_sent(self, operation: Operation[Any]) -> bool:
        self._call("was_sent")
        return False

    async def sending(self, operations: Sequence[Operation[Any]]) -> None:
        self._call("sending")

    def settled(self, outcomes: Sequence[Outcome[Any]]) -> None:
        self._call("settled")


@pytest.mark.parametrize("call", ["was_sent", "sending", "settled"])
def test_a_journal_that_raises_stops_the_stream_and_every_operation_has_its_outcome(
    call: str,
) -> None:
    """What was sent is done; what was not says that the journal failed."""

    async def main() -> None:
        co = client(b"{}")
        made = [co.customers.create(company="a") for _ in range(60)]
        states = [
            (outcome.state, outcome.error is None or "the journal failed" in str(outcome.error))
            async for outcome in co.stream(made, journal=Journal(call))
        ]
        assert len(states) == 60
        assert all(told for _, told in states)
        done = sum(state == "done" for state, _ in states)
        assert (done > 0) is (call == "settled")

    run(main())


def test_a_payload_that_was_spoilt_since_it_was_queued_fails_alone() -> None:
    """Its neighbours go out without it, and it says that it cannot be written."""

    async def main() -> None:
        gate = Gated()
        co = ChargeOver(URL, "user", "pw", transport=Hostile(b"{}"), limiter=gate)
        async with co.bulk(BulkSettings(references="client")) as bulk:
            target = bulk.customers.create(company="t")
            gate.opened.set()
            await target
            gate.opened.clear()
            bad = bulk.invoices.create(customer_id=target.ref(), line_items=[{"item_id": 1}])
            good = [bulk.customers.create(company="a") for _ in range(3)]
            bad.payload["line_items"][0]["item_id"] = object()
            gate.opened.set()
        assert [operation.outcome.state for operation in good] == ["done"] * 3  # type: ignore[union-attr]
        assert bad.outcome is not None
        assert bad.outcome.state == "not_sent"
        assert "cannot be written as JSON" in str(bad.outcome.error)
        names_it(bad)

    run(main())


def test_a_payload_that_cannot_be_written_is_not_sent() -> None:
    """Said of a direct call, too, and never that it may have happened."""

    async def main() -> None:
        co = client(b"{}")
        operation = co.customers.create(company="a")
        operation.payload["company"] = object()
        outcome = await operation.wait()
        assert (outcome.state, outcome.attempts) == ("not_sent", 0)
        assert "cannot be written as JSON" in str(outcome.error)

    run(main())
