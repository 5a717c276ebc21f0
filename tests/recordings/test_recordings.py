"""Every recorded answer is read without loss; every recorded request is a call of the library."""

# ruff: noqa: DTZ001 - the API's datetimes are naive
from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any, get_args, get_type_hints, is_typeddict
from urllib.parse import parse_qsl, unquote

import msgspec
import pytest
from support.raw_server import RawServer, http
from support.recorded import FILE, Recorded, call_of, differences, recordings, to_json
from support.scripted import World

from chargeover_async import (
    ApiError,
    ChargeOver,
    Created,
    Invoice,
    LineItem,
    NoLimit,
    RetryPolicy,
    Subscription,
    UsageError,
)
from chargeover_async.models._json import read as reading
from chargeover_async.models._json.read import encode, read, read_many
from chargeover_async.models._json.shape import shape_of
from chargeover_async.resources import RESOURCES

ALL = recordings()
MODELS = {name: resource.model for name, resource in RESOURCES.items()}
SHOWN = {"creditcard", "customer", "invoice", "item", "package", "tokenized", "transaction", "user"}

needed = pytest.mark.skipif(not ALL, reason=f"the recordings are not there ({FILE})")
each = pytest.mark.parametrize(
    "recorded", ALL or [pytest.param(None, marks=needed)], ids=lambda one: one and one.name
)


async def play(recorded: Recorded) -> tuple[str, str, str, bytes, Any]:
    """Make the call against a server that gives the recorded answer."""
    async with RawServer(http(recorded.status, recorded.answer)) as server:
        co = ChargeOver(server.url, "u", "p", limiter=NoLimit(), retry=RetryPolicy(attempts=1))
        async with co:
            try:
                value: Any = await call_of(co, recorded)
            except ApiError as error:
                value = error
    assert len(server.requests) == 1
    method, target, _ = server.lines[0].split(" ")
    path, _, query = target.partition("?")
    return method, path, query, server.requests[0][1], value


@each
async def test_a_recorded_request_is_a_call_of_the_library(recorded: Recorded):
    """Method, path, query and body as they were, the call derived from their shape alone."""
    method, path, query, body, _ = await play(recorded)
    assert method == recorded.method
    assert unquote(path) == unquote(recorded.path)
    assert parse_qsl(query, keep_blank_values=True) == parse_qsl(
        recorded.query, keep_blank_values=True
    )
    if recorded.request is None:
        assert body == b""
    else:
        sent = json.loads(body, parse_float=Decimal)
        assert sent == recorded.request
        assert str(sent) == str(recorded.request)  # 4500.0 is not 4500.00, and the order stays


def writable(record: Any, table: Any) -> Any:
    """What of a record may be written, at every depth."""
    if isinstance(record, list):
        return [writable(entry, table) for entry in record]
    if not isinstance(record, dict):
        return record
    hints = get_type_hints(table, include_extras=True)
    nested = {name: typed_dict_in(hint) for name, hint in hints.items()}
    return {
        name: writable(value, nested[name]) if nested[name] else value
        for name, value in record.items()
        if name in hints
    }


def typed_dict_in(hint: Any) -> Any:
    if is_typeddict(hint):
        return hint
    return next((found for part in get_args(hint) if (found := typed_dict_in(part))), None)


@each
def test_a_recorded_record_can_be_written_back(recorded: Recorded):
    """As it came, and as it was read: nulls, empty texts, ids that are text."""
    resource = RESOURCES[recorded.object]
    held = recorded.response if isinstance(recorded.response, list) else [recorded.response]
    for record in held:
        if not isinstance(record, dict) or resource.primary not in record:
            continue
        struct = read(encode(record), resource.model)
        plain = msgspec.to_builtins(struct, builtin_types=(Decimal, dt.date, dt.datetime))
        for verb in {"create", "update"} & set(resource.writes):
            table = resource.writes[verb]
            for form in (record, plain):
                fields = writable(form, table)
                lists = {name for name, value in fields.items() if value is None} - shape_of(
                    table
                ).nullable
                for name in lists:
                    del fields[name]  # a list that this answer leaves out
                payload, refs = shape_of(table).prepare(fields, verb)
                assert refs == []
                assert list(payload) == list(fields)
                if form is record:
                    assert payload == fields


async def test_an_invoice_is_named_as_it_was_recorded():
    """By its id as text, as answers of 2015 have it."""
    co = World().co
    held = [{"invoice_id": "10041", "applied": 4500}]
    for operation in (
        co.transactions.pay(customer_id=1, applied_to=held),
        co.transactions.change_applied_amounts(1, held),
    ):
        assert operation.payload["applied_to"] == held
        operation.close()
    for wrong in ("x", "", 1.5, True, "1" * 20, -1):
        with pytest.raises(UsageError, match="applied_to"):
            co.transactions.pay(customer_id=1, applied_to=[{"invoice_id": wrong}])  # type: ignore[typeddict-item]


@each
async def test_a_recorded_answer_is_read_without_loss(recorded: Recorded):
    """Every key of the raw JSON is in the struct, with the same value, at every depth."""
    *_, value = await play(recorded)
    raw = recorded.response
    if isinstance(value, ApiError):
        envelope = json.loads(recorded.answer)
        assert (value.status, value.message) == (envelope["code"], envelope["message"])
        assert envelope["status"] == "Error"
        return
    assert differences(raw, value) == []
    if isinstance(raw, dict):
        assert isinstance(value, (MODELS[recorded.object], Created))
    elif isinstance(raw, list):
        assert all(isinstance(record, MODELS[recorded.object]) for record in value)


@needed
def test_the_recordings_show_every_kind_of_call():
    """A derivation that fell through to one shape would show here."""
    shapes = {(recorded.method, recorded.path.count("/"), bool(recorded.query)) for recorded in ALL}
    assert {("GET", 4, False), ("GET", 3, True), ("POST", 3, False), ("PUT", 4, False)} <= shapes
    assert {("DELETE", 4, False), ("POST", 4, True)} <= shapes
    assert {recorded.object for recorded in ALL} >= SHOWN
    assert len(ALL) >= 80


@pytest.mark.parametrize(
    ("path", "query", "body"),
    [
        ("transaction", "action=pay", {"customer_id": 5, "amount": 5}),
        ("transaction", "action=pay", {"customer_id": 5, "amount": "1.5", "new": "x"}),
        ("invoice/7", "action=email", {"email": "a@example.com", "new": [1]}),
        ("package/7", "action=upgrade", {"line_items": [{"line_item_id": 1}]}),
        ("package/external_key:a%2Fb", "action=cancel", {}),
        ("user/token:x", "action=login", {}),
    ],
)
def test_an_action_of_any_shape_finds_its_method(path: str, query: str, body: Any):
    """Of a record or of the object as a whole, with fields that our tables do not know."""
    recorded = Recorded("x", "POST", f"/api/v3/{path}", query, body, 200, b"")
    call = call_of(World().co, recorded)
    call.close()
    assert (call.method, f"/api/v3{call.path}") == ("POST", recorded.path)
    assert dict(call.query) == dict(parse_qsl(query))
    assert call.payload == body


# -- the comparison itself -------------------------------------------------------------------

RAW: dict[str, Any] = {
    "invoice_id": "7",
    "total": Decimal("2.950"),
    "balance": "2.950000",
    "is_paid": "0",
    "is_void": False,
    "memo": "",
    "package_id": "",
    "date": "2015-03-30",
    "due_date": "2015-04-29 00:00:00",
    "write_datetime": "2015-03-30 17:41:19",
    "mod_datetime": "2026-10-05T10:11:57-05:00",
    "custom_1": {"a": [Decimal("1.10"), None, "x"]},
    "line_items": [{"line_item_id": 1, "is_taxed": "1", "descrip": "Ä"}],
}


def test_forms_may_differ():
    """Numbers and flags in strings, "" for an absent number, dates in either form."""
    value = read(to_json(RAW), Invoice)
    assert differences(RAW, value) == []
    assert (value.package_id, value.memo) == (None, "")
    assert value.mod_datetime is not None
    assert value.mod_datetime.utcoffset() == dt.timedelta(hours=-5)
    assert [
        differences(RAW, invoice) for invoice in read_many(b"[" + to_json(RAW) + b"]", Invoice)
    ] == [[]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("invoice_id", 8),
        ("total", Decimal("2.95")),
        ("total", Decimal("2.951")),
        ("balance", None),
        ("is_paid", True),
        ("is_paid", None),
        ("is_void", None),
        ("memo", None),
        ("memo", " "),
        ("package_id", 0),
        ("date", dt.date(2015, 3, 31)),
        ("date", None),
        ("due_date", dt.date(2015, 4, 28)),
        ("write_datetime", dt.datetime(2015, 3, 30, 17, 41, 20)),
        ("write_datetime", dt.datetime(2015, 3, 30, 17, 41, 19, tzinfo=dt.UTC)),
        ("mod_datetime", dt.datetime(2026, 10, 5, 10, 11, 57)),
        ("custom_1", {"a": [Decimal("1.10"), None]}),
        ("custom_1", None),
        ("line_items", None),
        ("line_items", []),
        ("line_items", [LineItem(line_item_id=1, is_taxed=False, descrip="Ä")]),
        ("line_items", [LineItem(line_item_id=1, is_taxed=True)]),
        ("terms_id", 3),
    ],
)
def test_the_comparison_sees_what_is_lost_or_changed(name: str, value: Any):
    """One field at a time."""
    changed = msgspec.structs.replace(read(to_json(RAW), Invoice), **{name: value})
    assert len(differences(RAW, changed)) == 1
    assert name in differences(RAW, changed)[0]


def test_the_comparison_sees_a_field_that_no_struct_has():
    """A key that the model does not know is a loss."""
    value = read(to_json(RAW), Invoice)
    assert differences({**RAW, "new_field": None}, value) == ["$.new_field is lost"]
    assert differences([RAW], [value, value]) == ["$: 1 became 2"]


@needed
def test_the_list_of_packages_is_read_in_one_go(monkeypatch: pytest.MonkeyPatch):
    """Not record by record, although ``""`` says in most that nothing is invoiced again."""

    def impatient(*_: Any) -> None:
        raise AssertionError("read record by record")

    monkeypatch.setattr(reading, "mend", impatient)
    (listed,) = (recorded for recorded in ALL if recorded.name == "list_packages-0")
    found = read_many(to_json(listed.response), Subscription)
    told = [record["next_invoice_datetime"] for record in listed.response]
    assert "" in told
    assert [subscription.next_invoice_datetime is None for subscription in found] == [
        not moment for moment in told
    ]
    assert {subscription.nickname for subscription in found} == {
        record["nickname"] for record in listed.response
    }
