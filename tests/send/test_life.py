"""Every script of answers up to a length, against a server of which only one thing is known.

That is whether it has done what was asked, and how often. A script is a path through `Life`: each
answer a server may give there, in each truth that may be behind it. Prefixes that lead to the same
state are played once and counted as often as they come.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from support.scripted import broken, created, envelope, lost, missing, never_left, refused, taken
from support.scripted import throttled as too_many

from chargeover_async._send.life import Life
from chargeover_async._send.result import End, Result, result_of
from chargeover_async.errors import (
    AlreadyExists,
    BadRequest,
    ChargeOverError,
    ConnectFailed,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    TransportError,
    UsageError,
)
from chargeover_async.models._json.read import untyped
from chargeover_async.operation import Operation
from chargeover_async.resources._calls.answers import read_created
from chargeover_async.retry import Next, Repeat, RetryPolicy

LONGEST = 5
STEP_S = 10.0  # passes with every answer
SENT = {"company": "Acme", "external_key": "k-1"}
HELD = {"customer_id": 7, "company": "Acme", "external_key": "k-1"}

PATIENT = RetryPolicy()
HASTY = RetryPolicy(attempts=2, attempts_after_500=2, total_s=25.0)
CALLS = {
    "get": ("GET", Repeat.READ),
    "update": ("PUT", Repeat.IDEMPOTENT),
    "delete": ("DELETE", Repeat.IDEMPOTENT),
    "keyed create": ("POST", Repeat.KEYED),
    "create": ("POST", Repeat.ONCE),
}


def operation_of(call: str) -> Operation[Any]:
    method, repeat = CALLS[call]
    keyed = repeat is Repeat.KEYED
    operation: Operation[Any] = Operation(
        None,  # type: ignore[arg-type]  # nobody runs it
        "customer",
        method,
        "/customer" if method == "POST" else "/customer/7",
        read_created if method in {"POST", "PUT"} else untyped,
        repeat,
        payload=SENT if method in {"POST", "PUT"} else None,
        key="k-1" if keyed else None,
    )
    operation.take()
    return operation


GOOD = {
    "GET": result_of(envelope(200, HELD)),
    "PUT": result_of(envelope(202, {"id": 7})),
    "DELETE": result_of(envelope(200, True)),
    "POST": result_of(created(7)),
}
ANSWERS: dict[str, Result] = {
    "never left": result_of(never_left()),
    "429": result_of(too_many()),
    "lost before": result_of(lost()),
    "lost after": result_of(lost()),
    "500 before": result_of(broken()),
    "500 after": result_of(broken()),
    "400": result_of(refused()),
    "401": result_of(refused("Who are you?", 401)),
    "404": result_of(missing()),
    "taken": result_of(taken()),
    "taken by a late one": result_of(taken()),
    "found": result_of(envelope(200, HELD)),
    "found other": result_of(envelope(200, {**HELD, "company": "Other"})),
    "found and more to ask": result_of(envelope(200, {"customer_id": 7, "external_key": "k-1"})),
    "found unreadable": result_of(envelope(200, ["?"])),
    "404 not sure": result_of(missing()),
    "lost": result_of(lost()),
    "500": result_of(broken()),
}


class Server(NamedTuple):
    """All that is known of it."""

    done: int = 0  # how often it has done what was asked
    others: bool = False  # the key is that of somebody else's record
    late: bool = False  # a request is under way that nobody waits for


def to_operation(call: str, server: Server) -> Iterator[tuple[str, Server]]:
    """Each answer to a send of the operation, and the truth after it."""
    method, repeat = CALLS[call]
    can = True
    if repeat is Repeat.KEYED:
        can = not server.done and not server.others
    elif method == "DELETE":
        can = not server.done
    does = server._replace(done=server.done + (method != "GET"))
    yield "never left", server
    yield "429", server
    yield "400", server
    yield "lost before", server._replace(late=True)
    yield "500 before", server
    if can:
        yield "good", does
        yield "lost after", does
        yield "500 after", does
    if method != "POST":
        yield "404", server
    if repeat is Repeat.KEYED and not can:
        yield "taken", server
    if repeat is Repeat.KEYED and can and server.late:
        yield "taken by a late one", does


def to_question(server: Server) -> Iterator[str]:
    """Each answer to the question for the key."""
    yield from ("never left", "429", "lost", "500", "400", "401", "404 not sure")
    if server.done:
        yield from ("found", "found other", "found unreadable", "found and more to ask")
    elif server.others:
        yield from ("found other", "found unreadable", "found and more to ask")
    else:
        yield "404"


class Play:
    """All scripts of one call under one policy."""

    def __init__(self, call: str, policy: RetryPolicy) -> None:
        self.call = call
        self.policy = policy
        self.operation = operation_of(call)
        self.repeat = CALLS[call][1]
        self.method = CALLS[call][0]
        self.seen: dict[Any, int] = {}
        self.states: set[str] = set()

    def scripts(self, length: int) -> int:
        count = self.send(Life(), Server(), 0.0, length, may=False)
        if self.repeat is Repeat.KEYED:
            count += self.send(Life(), Server(others=True), 0.0, length, may=False)
        return count

    def send(self, life: Life, server: Server, now: float, left: int, *, may: bool) -> int:
        """The operation leaves; ``may`` says whether, for all its sender knows, it is done."""
        key = ("operation", _state(life), server, now, left, may)
        if key in self.seen:
            return self.seen[key]
        assert not (may and self.repeat in {Repeat.ONCE, Repeat.KEYED}), "sent again blind"
        life.leaves(now)
        self.cut(life, server)
        count = 0
        for kind, after in to_operation(self.call, server):
            own = _copy(life)
            result = GOOD[self.method] if kind == "good" else ANSWERS[kind]
            step = own.answered(self.operation, result, self.policy, now + STEP_S)
            assert own.attempts == life.attempts + (kind != "never left")
            maybe = may or kind.startswith(("lost", "500", "taken"))
            count += 1 + self.go_on(own, step, after, now + STEP_S, left - 1, may=maybe)
        self.seen[key] = count
        return count

    def ask(
        self, life: Life, question: Life, server: Server, now: float, left: int, *, may: bool
    ) -> int:
        """The question for its key leaves."""
        key = ("question", _state(life), _state(question), server, now, left, may)
        if key in self.seen:
            return self.seen[key]
        self.cut(life, server, flying=False)
        count = 0
        for kind in to_question(server):
            own, asked = _copy(life), _copy(question)
            step = own.looked_up(
                self.operation,
                asked,
                ANSWERS[kind],
                SENT,
                self.policy,
                now + STEP_S,
                sure=kind != "404 not sure",
            )
            maybe = may and not kind.startswith("404")
            assert own.attempts == life.attempts
            count += 1 + self.go_on(
                own, step, server, now + STEP_S, left - 1, may=maybe, asked=asked
            )
        self.seen[key] = count
        return count

    def go_on(
        self,
        life: Life,
        step: Next | End,
        server: Server,
        now: float,
        left: int,
        *,
        may: bool,
        asked: Life | None = None,
    ) -> int:
        if isinstance(step, End):
            self.check(step, server)
            return 0
        if step in {Next.LOOK_UP, Next.LOOK_ON}:
            assert self.repeat is Repeat.KEYED
        self.cut(life, server, flying=False)
        if left == 0:
            self.settles(life, step, now)
            return 0
        if step is Next.LOOK_UP:
            return self.ask(life, asked or Life(), server, now, left, may=may)
        if step is Next.LOOK_ON:
            return self.ask(life, Life(), server, now, left, may=may)
        return self.send(life, server, now, left, may=may)

    def check(self, end: End, server: Server) -> None:
        """What is said at the end is true."""
        outcome = end.outcome
        state, error = outcome.state, outcome.error
        self.states.add(state)
        if state in {"refused", "not_sent"}:
            assert not server.done, outcome
        if state == "done" and self.method in {"POST", "PUT"}:
            assert server.done, outcome
        if self.method == "POST":
            assert server.done <= 1
        if self.method == "GET":
            assert state != "unknown"
        assert (error is None) == (state == "done")
        if error is not None:
            assert error.may_have_happened == (state == "unknown"), outcome
            assert error.operation == self.operation.label
            assert (error.attempts, error.batch) == (outcome.attempts, outcome.batch)

    def cut(self, life: Life, server: Server, *, flying: bool = True) -> None:
        """It is cancelled, closed or withdrawn here: what is said then is true as well."""
        if flying:
            for after in {server, *(after for _, after in to_operation(self.call, server))}:
                self.check(_copy(life).cut_off(self.operation, "cancelled"), after)
            return
        self.check(_copy(life).given_up(self.operation, "closed"), server)
        self.check(_copy(life).stopped_by(self.operation, UsageError("no"), "no"), server)
        withdrawn = _copy(life).withdrawn(self.operation)
        if withdrawn is None:
            assert life.in_doubt
        else:
            self.check(withdrawn, server)

    def settles(self, life: Life, step: Next | End, now: float) -> None:
        """Whatever goes on for ever ends."""
        for kind in ("never left", "429", "lost", "500", "400", "404", "taken", "404 not sure"):
            own, asked, then, at = _copy(life), Life(), step, now
            for _ in range(64):
                if isinstance(then, End):
                    break
                at += STEP_S
                if then in {Next.LOOK_UP, Next.LOOK_ON}:
                    sure = kind != "404 not sure"
                    answer = ANSWERS[kind]
                    then = own.looked_up(
                        self.operation, asked, answer, SENT, self.policy, at, sure=sure
                    )
                else:
                    asked = Life()
                    then = own.answered(self.operation, ANSWERS[kind], self.policy, at)
            assert isinstance(then, End), (kind, "never ends")


def _copy(life: Life) -> Life:
    own = copy.copy(life)
    if life.found is not None:
        own.found = copy.copy(life.found)
    return own


def _state(life: Life) -> tuple[Any, ...]:
    lost_ = life.lost.story if life.lost is not None else None
    asking = life.found.asking if life.found is not None else None
    return (life.attempts, life.tries, life.since, life.sent_before, life.in_doubt, lost_, asking)


@pytest.mark.parametrize(("policy", "fewest"), [(PATIENT, 36_000), (HASTY, 1_400)])
def test_every_script_of_answers_ends_in_the_truth(policy: RetryPolicy, fewest: int) -> None:
    """Never refused or unsent when it was done, never sent again blind, never done twice."""
    counts, states = dict[str, int](), set[str]()
    for call in CALLS:
        play = Play(call, policy)
        counts[call] = play.scripts(LONGEST)
        states |= play.states
    print(f"{sum(counts.values()):,} scripts: {counts}")
    assert sum(counts.values()) > fewest
    assert states == {"done", "refused", "not_sent", "unknown"}


# -- the table, row by row -------------------------------------------------------------------------

AGAIN, FEW, LOOK_UP = Next.AGAIN, Next.AFTER_500, Next.LOOK_UP
NO_MORE = RetryPolicy(attempts=1, attempts_after_500=1, total_s=0)
COLUMNS = ("get", "update", "keyed create", "create")
UNKNOWN = ("unknown", OutcomeUnknown)
ROWS: list[tuple[str, str, tuple[Any, ...]]] = [
    # What came before, what comes now, and what is next for each class: a step, or state and error.
    ("", "good", (("done", None),) * 4),
    ("", "never left", (AGAIN,) * 4),
    ("", "429", (AGAIN,) * 4),
    ("", "lost", (AGAIN, AGAIN, LOOK_UP, UNKNOWN)),
    ("", "500", (FEW, FEW, LOOK_UP, ("unknown", ServerError))),
    ("", "400", (("refused", BadRequest),) * 4),
    ("", "taken", (("refused", AlreadyExists),) * 4),
    ("", "404", (("refused", NotFound),) * 4),
    ("lost", "400", (("refused", BadRequest), ("unknown", BadRequest), ("unknown", BadRequest))),
    ("lost", "taken", (("refused", AlreadyExists), ("unknown", AlreadyExists), LOOK_UP)),
    ("500", "taken", (("refused", AlreadyExists), ("unknown", AlreadyExists), LOOK_UP)),
    # No try is left.
    ("no more", "never left", (("not_sent", ConnectFailed),) * 4),
    ("no more", "429", (("refused", RateLimited),) * 4),
    ("no more", "lost", (("refused", TransportError), UNKNOWN, LOOK_UP, UNKNOWN)),
    (
        "no more",
        "500",
        (("refused", ServerError), ("unknown", ServerError), LOOK_UP, ("unknown", ServerError)),
    ),
    ("lost, no more", "never left", (("not_sent", ConnectFailed), UNKNOWN, UNKNOWN)),
    ("lost, no more", "429", (("refused", RateLimited), UNKNOWN, UNKNOWN)),
]


@pytest.mark.parametrize(
    ("before", "answer", "call", "expected"),
    [
        (before, answer, call, expected)
        for before, answer, row in ROWS
        for call, expected in zip(COLUMNS, row, strict=False)
    ],
)
def test_the_table(before: str, answer: str, call: str, expected: Any) -> None:
    """What is next after each answer, cell by cell."""
    life, operation = Life(), operation_of(call)
    if before.startswith(("lost", "500")):
        life.answered(operation, ANSWERS[before.partition(",")[0]], PATIENT, 1.0)
    policy = NO_MORE if before.endswith("no more") else PATIENT
    result = GOOD[operation.method] if answer == "good" else ANSWERS[answer]
    _meets(life.answered(operation, result, policy, 2.0), expected)


@pytest.mark.parametrize(
    ("answer", "policy", "expected"),
    [
        ("found", PATIENT, ("done", None)),
        ("found other", PATIENT, ("unknown", AlreadyExists)),
        ("found unreadable", PATIENT, UNKNOWN),
        ("found and more to ask", PATIENT, Next.LOOK_ON),
        ("404", PATIENT, AGAIN),
        ("404 not sure", PATIENT, AGAIN),
        ("404", NO_MORE, UNKNOWN),
        ("404 not sure", NO_MORE, UNKNOWN),
        *[(answer, PATIENT, LOOK_UP) for answer in ("never left", "429", "lost", "500")],
        *[(answer, NO_MORE, UNKNOWN) for answer in ("never left", "429", "lost", "500")],
        ("400", PATIENT, UNKNOWN),
        ("401", PATIENT, UNKNOWN),
    ],
)
def test_the_table_of_look_ups(answer: str, policy: RetryPolicy, expected: Any) -> None:
    """A 404 that is sure ends the doubt, one that is not does not."""
    life, operation = Life(), operation_of("keyed create")
    assert life.answered(operation, ANSWERS["lost"], PATIENT, 1.0) is LOOK_UP
    sure = answer != "404 not sure"
    step = life.looked_up(operation, Life(), ANSWERS[answer], SENT, policy, 2.0, sure=sure)
    _meets(step, expected)
    if step is AGAIN:
        assert life.in_doubt is not sure
        assert life.sent_before


def test_a_delete_that_is_gone_was_done_only_if_an_earlier_send_may_have_done_it() -> None:
    """A first 404 is an error; a 429 before it did nothing."""
    for before, expected in [("lost", ("done", None)), ("429", ("refused", NotFound))]:
        life, operation = Life(), operation_of("delete")
        assert life.answered(operation, ANSWERS[before], PATIENT, 1.0) is AGAIN
        _meets(life.answered(operation, ANSWERS["404"], PATIENT, 2.0), expected)


def test_429s_use_up_time_and_no_tries() -> None:
    """A hundred of them leave a lost answer all its repeats; the time ends them."""
    life, operation = Life(), operation_of("update")
    for second in range(100):
        assert life.answered(operation, ANSWERS["429"], PATIENT, second) is AGAIN
    assert (life.attempts, life.tries) == (100, 0)
    for _ in range(PATIENT.attempts - 1):
        assert life.answered(operation, ANSWERS["lost"], PATIENT, 101.0) is AGAIN
    _meets(life.answered(operation, ANSWERS["lost"], PATIENT, 102.0), UNKNOWN)
    late, operation = Life(), operation_of("update")
    late.leaves(1_000.0)
    assert late.answered(operation, ANSWERS["429"], PATIENT, 1_299.0) is AGAIN
    _meets(late.answered(operation, ANSWERS["429"], PATIENT, 1_300.0), ("refused", RateLimited))


def test_the_time_runs_from_the_first_send() -> None:
    """Later ones do not put it off, whether the first left or not."""
    for first in ("never left", "429", "lost"):
        life, operation = Life(), operation_of("get")
        life.leaves(5_000.0)
        assert life.answered(operation, ANSWERS[first], PATIENT, 5_001.0) is AGAIN
        life.leaves(5_100.0)
        assert life.since == 5_000.0


def test_a_look_up_has_the_time_of_its_operation_and_tries_of_its_own() -> None:
    """The create's are not used up by it."""
    life, question, operation = Life(), Life(), operation_of("keyed create")
    life.leaves(100.0)
    assert life.answered(operation, ANSWERS["lost"], PATIENT, 101.0) is LOOK_UP
    for _ in range(PATIENT.attempts - 1):
        step = life.looked_up(operation, question, ANSWERS["500"], SENT, PATIENT, 102.0)
        assert step is LOOK_UP
    assert (life.attempts, life.tries) == (1, 1)
    assert (question.attempts, question.tries) == (PATIENT.attempts - 1,) * 2
    assert life.looked_up(operation, Life(), ANSWERS["lost"], SENT, PATIENT, 399.0) is LOOK_UP
    step = life.looked_up(operation, Life(), ANSWERS["lost"], SENT, PATIENT, 400.0)
    _meets(step, UNKNOWN)


def test_a_look_up_that_fails_names_both_errors() -> None:
    """What the create met and what the question met; the second is the cause."""
    life, operation = Life(), operation_of("keyed create")
    life.answered(operation, ANSWERS["500"], PATIENT, 1.0)
    end = life.looked_up(operation, Life(), ANSWERS["401"], SENT, PATIENT, 2.0)
    error = _error(end)
    assert "the server failed: Internal error" in error.message
    assert "its key could not be looked up: the API said: Who are you?" in error.message
    cause = error.__cause__
    assert isinstance(cause, ChargeOverError)
    assert "the look-up of POST /customer external_key='k-1'" in str(cause)


def test_after_taken_the_words_are_the_apis() -> None:
    """ "The server failed" is for a 500."""
    life, operation = Life(), operation_of("keyed create")
    life.answered(operation, ANSWERS["lost"], PATIENT, 1.0)
    life.answered(operation, ANSWERS["taken"], PATIENT, 1.0)
    error = _error(life.looked_up(operation, Life(), ANSWERS["400"], SENT, PATIENT, 2.0))
    assert "the API said: A customer already exists" in error.message
    assert "the server failed" not in error.message


def test_who_is_behind_a_failed_target_is_unknown_only_in_doubt() -> None:
    """Else the target's failure is the error, with the sends that it had."""
    cause = UsageError("the target failed")
    life, operation = Life(), operation_of("update")
    life.answered(operation, ANSWERS["429"], PATIENT, 1.0)
    end = life.behind(operation, cause)
    assert (end.outcome.error, end.outcome.attempts) == (cause, 1)
    life.answered(operation, ANSWERS["lost"], PATIENT, 1.0)
    _meets(life.behind(operation, cause), UNKNOWN)


def test_what_is_withdrawn_says_whether_it_was_sent() -> None:
    """Before the first send, or before the next; with the sends that it had."""
    life, operation = Life(), operation_of("create")
    first = life.withdrawn(operation)
    assert first is not None
    _meets(first, ("not_sent", NotSent))
    assert _error(first).message.endswith("before it was sent; nothing came of it")
    life.answered(operation, ANSWERS["429"], PATIENT, 1.0)
    second = life.withdrawn(operation)
    assert second is not None
    assert _error(second).message.endswith("before it was sent again; nothing came of it")
    assert _error(second).attempts == 1


def _error(step: Next | End) -> ChargeOverError:
    assert isinstance(step, End)
    assert step.outcome.error is not None
    return step.outcome.error


def _meets(step: Next | End, expected: Any) -> None:
    if isinstance(expected, Next):
        assert step is expected
        return
    assert isinstance(step, End)
    state, error = expected
    assert step.outcome.state == state
    assert type(step.outcome.error) is (error or type(None))


# -- what a found record is compared by ------------------------------------------------------------


def _asked(sent: dict[str, Any], *answers: Any) -> tuple[list[str], Next | End]:
    """The paths of the questions, and what came of the answers to them."""
    life, operation, asked = Life(), operation_of("keyed create"), list[str]()
    life.answered(operation, ANSWERS["lost"], PATIENT, 1.0)
    step: Next | End = LOOK_UP
    for answer in answers:
        asked.append(life.question(operation).path)
        result = answer if isinstance(answer, Result) else result_of(envelope(200, answer))
        step = life.looked_up(operation, Life(), result, sent, PATIENT, 2.0)
    return asked, step


@pytest.mark.parametrize(
    ("held_by", "expected"), [(5, ("done", None)), (6, ("unknown", AlreadyExists))]
)
def test_a_reference_by_key_is_compared_by_the_record_that_has_the_key(
    held_by: int, expected: Any
) -> None:
    """The found record shows an id: whose key that is must be asked."""
    sent = {"external_key": "k-1", "parent_customer_external_key": "a/b"}
    held = {"customer_id": 7, "external_key": "k-1", "parent_customer_id": held_by}
    asked, step = _asked(sent, held, {"customer_id": 5})
    assert asked == ["/customer/external_key:k-1", "/customer/external_key:a%2Fb"]
    _meets(step, expected)


def test_references_inside_of_lists_are_asked_for_as_well() -> None:
    """Each key once; a token by its own name."""
    lines = [{"item_external_key": "tea"}, {"item_external_key": "tea"}, {"item_token": "t"}]
    held = [{"item_id": 1}, {"item_id": 1}, {"item_id": "2"}]
    sent = {"external_key": "k-1", "line_items": lines}
    asked, step = _asked(
        sent,
        {"customer_id": 7, "external_key": "k-1", "line_items": held},
        {"item_id": 1},
        {"item_id": 2},
    )
    assert asked[1:] == ["/item/external_key:tea", "/item/token:t"]
    _meets(step, ("done", None))


def test_what_an_answer_by_key_leaves_out_is_read_by_id() -> None:
    """Shown there and equal is done, shown and other is not, and not shown is not either."""
    sent = {"external_key": "k-1", "tags": ["a"]}
    short = {"customer_id": 7, "external_key": "k-1"}
    asked, step = _asked(sent, short, {**short, "tags": ["a"]})
    assert asked[1] == "/customer/7"
    _meets(step, ("done", None))
    _meets(_asked(sent, short, {**short, "tags": ["b"]})[1], ("unknown", AlreadyExists))
    _meets(_asked(sent, short, short)[1], ("unknown", AlreadyExists))
    error = _error(_asked(sent, short, short)[1])
    assert isinstance(error, AlreadyExists)
    assert (error.existing_id, error.unseen) == (7, ("tags",))
    assert "does not tell whether it holds what was sent in tags" in error.message


@pytest.mark.parametrize("answer", ["404", "400", "401"])
def test_a_reference_that_cannot_be_asked_for_is_not_equal(answer: str) -> None:
    """Whatever the refusal is; the record itself is asked once more, by its id."""
    sent = {"external_key": "k-1", "parent_customer_external_key": "a"}
    held = {"customer_id": 7, "external_key": "k-1", "parent_customer_id": 5}
    asked, step = _asked(sent, held, ANSWERS[answer], held)
    assert len(asked) == 3
    _meets(step, ("unknown", AlreadyExists))


def test_a_secret_is_never_compared_and_keeps_nothing_from_being_ours() -> None:
    """No answer shows one."""
    sent = {"external_key": "k-1", "number": "4111111111111111"}
    asked, step = _asked(sent, {"customer_id": 7, "external_key": "k-1"})
    assert len(asked) == 1
    _meets(step, ("done", None))


def test_further_questions_meet_faults_as_the_first_does() -> None:
    """They are asked again, and with no try left it is unknown."""
    sent = {"external_key": "k-1", "tags": ["a"]}
    short = {"customer_id": 7, "external_key": "k-1"}
    asked, step = _asked(sent, short, ANSWERS["lost"])
    assert step is LOOK_UP
    asked, step = _asked(sent, short, ANSWERS["lost"], {**short, "tags": ["a"]})
    assert asked[1] == asked[2] == "/customer/7"
    _meets(step, ("done", None))
