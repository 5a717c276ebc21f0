"""Every recorded exchange of the modelled objects, replayed against the sandbox.

Before a recorded read, the record it returned is seeded, unless an earlier write of the same
recording made or changed it; so reads judge what the sandbox keeps and shows, and writes judge what
it makes of a request. The recordings are not part of this repository; without them the tests skip.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chargeover_async.sandbox import Sandbox
from chargeover_async.sandbox._objects import OBJECTS

RECORDINGS = Path(
    os.environ.get("CHARGEOVER_RECORDINGS", "")
    or Path(__file__).resolve().parents[3] / "shared" / "recordings" / "recordings.jsonl"
)
PATH = re.compile(r"/api/v3/(customer|user|invoice|item)(?:/(\d+))?")

# Values of a record that the request before it does not determine, and why.
UNDETERMINED = {
    "token": "random",
    "username": "random unless it is sent",
    "superuser_username": "random unless it is sent",
    "superuser_id": "the number of users the account had",
    "tierset_id": "the number of prices the account had",
    "write_datetime": "the time of the recording",
    "mod_datetime": "the time of the recording",
    "write_ipaddr": "the address of the recorded client",
    "mod_ipaddr": "the address of the recorded client",
    "url_paymethodlink": "holds the token",
}
# What differs on purpose.
DIFFERENCES: dict[tuple[str, int], str] = {}


def exchanges() -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if RECORDINGS.is_file():
        for line in RECORDINGS.read_text(encoding="utf-8").splitlines():
            exchange = json.loads(line, parse_float=Decimal)
            if PATH.match(exchange["path"]):
                grouped[exchange["recording"]].append(exchange)
    return dict(grouped)


GROUPS = exchanges()


@pytest.fixture(autouse=True)
def _present() -> None:
    if not RECORDINGS.is_file():
        pytest.skip("recordings absent")


def seeds(exchange: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records that an answer shows, by object."""
    match = PATH.match(exchange["path"])
    assert match is not None
    answered = exchange["response"]["response"]
    if exchange["method"] == "GET":
        for record in answered if isinstance(answered, list) else [answered]:
            if record is not None:
                yield match[1], record


def compare(ours: Any, recorded: Any, where: str, skip: frozenset[str]) -> list[str]:
    """Where ours lacks a recorded key, has another type, or another value."""
    if isinstance(recorded, dict):
        if not isinstance(ours, dict):
            return [f"{where}: {ours!r} is no object"]
        found = [f"{where}.{key} is missing" for key in recorded if key not in ours]
        for key in recorded.keys() & ours.keys():
            if key in skip:
                if type(ours[key]) is not type(recorded[key]):
                    found.append(f"{where}.{key}: {ours[key]!r} for {recorded[key]!r}")
            else:
                found += compare(ours[key], recorded[key], f"{where}.{key}", skip)
        return found
    if isinstance(recorded, list):
        if not isinstance(ours, list) or len(ours) != len(recorded):
            return [f"{where}: {ours!r} for {recorded!r}"]
        return [
            each
            for position, pair in enumerate(zip(ours, recorded, strict=True))
            for each in compare(*pair, f"{where}[{position}]", skip)
        ]
    if type(ours) is not type(recorded) or ours != recorded:
        return [f"{where}: {ours!r} for {recorded!r}"]
    return []


def prepare(sandbox: Sandbox, group: list[dict[str, Any]], position: int, written: set) -> None:
    """Seed what the exchange at ``position`` needs and no earlier write made."""
    exchange = group[position]
    match = PATH.match(exchange["path"])
    assert match is not None
    name, number = match[1], match[2]
    if exchange["method"] == "GET":
        for object_, record in seeds(exchange):
            id_ = record[OBJECTS[object_].key]
            if (object_, id_) not in written:
                # A list lacks nested parts that other exchanges of the recording may show.
                known: dict[str, Any] = {}
                for other in group:
                    for other_object, shown in seeds(other):
                        if other_object == object_ and shown[OBJECTS[object_].key] == id_:
                            known |= shown
                sandbox.store.seed(object_, known | record)
    elif exchange["method"] == "POST" and number is None:
        sandbox.store.table(name).next_id = exchange["response"]["response"]["id"]
        customer_id = exchange["request"].get("customer_id")
        if customer_id is not None:
            company = next(
                each["company"]
                for other in group
                for _, record in seeds(other)
                for each in record.get("customers", [])
            )
            sandbox.store.seed("customer", {"customer_id": customer_id, "company": company})
    elif number is not None and sandbox.store.find(name, int(number)) is None:
        sandbox.store.seed(name, {OBJECTS[name].key: int(number)})


@pytest.mark.parametrize("recording", sorted(GROUPS) or ["absent"])
async def test_recording_is_answered_as_recorded(recording, sandbox, call):
    """Status, headers, envelope, keys, types and values of each exchange come out as recorded."""
    group, written = GROUPS[recording], set()
    for position, exchange in enumerate(group):
        prepare(sandbox, group, position, written)
        match = PATH.match(exchange["path"])
        assert match is not None
        url = sandbox.url.removesuffix("/api/v3") + exchange["path"]
        if exchange["query"]:
            url += f"?{exchange['query']}"
        body = exchange["request"]
        data = None if body is None else json.dumps(body, default=float).encode()
        async with call.session.request(exchange["method"], url, data=data) as response:
            status, headers = response.status, response.headers
            envelope = json.loads(await response.read(), parse_float=Decimal)
        recorded = exchange["response"]
        assert status == exchange["status"]
        assert headers["Content-Type"] == exchange["headers"]["Content-Type"]
        location = exchange["headers"].get("Location")
        if location is not None:
            tail = location[location.index("/api/v3/") :]
            assert headers["Location"].endswith(tail)
        assert envelope.keys() == recorded.keys()
        id_ = int(match[2] or 0)
        skip = frozenset(UNDETERMINED) if (match[1], id_) in written else frozenset()
        if exchange["method"] != "GET":
            answered = recorded["response"]
            written.add((match[1], answered["id"] if isinstance(answered, dict) else id_))
        differences = compare(envelope, recorded, "", skip)
        assert (differences == []) != ((recording, exchange["n"]) in DIFFERENCES), differences


def test_all_recordings_of_the_four_objects_are_replayed():
    """The recordings are complete: reads, writes, an action and a delete are among them."""
    kinds = {
        (exchange["method"], PATH.match(exchange["path"])[1])
        for group in GROUPS.values()
        for exchange in group
    }
    assert {("DELETE", "customer"), ("PUT", "customer"), ("POST", "user")} <= kinds
    assert {("POST", "item"), ("POST", "invoice"), ("GET", "invoice"), ("GET", "user")} <= kinds
    assert sum(map(len, GROUPS.values())) >= 40


# Derived fields that depend on records which the recordings do not show.
NOT_ALONE = {
    "total": "of a customer: the sum of invoices that are not recorded",
    "balance": "likewise",
    "paid": "likewise",
    "customers": "of a contact: the customer is another record",
}


def test_derived_fields_come_out_as_recorded(make_account, wall):
    """Seeded without its derived fields, each recorded record shows them as recorded."""
    checked: dict[str, int] = defaultdict(int)
    for group in GROUPS.values():
        for exchange in group:
            for name, record in seeds(exchange):
                spec = OBJECTS[name]
                if record.get("due_date"):
                    day = dt.date.fromisoformat(record["due_date"])
                    late = dt.timedelta(days=record["days_overdue"])
                    wall.value = dt.datetime.combine(day + late, dt.time(12), dt.UTC)
                account = make_account()
                stored = {key: each for key, each in record.items() if key not in spec.derived}
                contact = {key: each for key, each in record.items() if key in spec.through}
                account.store.seed(name, stored | contact)
                ours = account.ok("GET", f"/{name}/{record[spec.key]}")
                for key in spec.derived.keys() & record.keys():
                    if key in NOT_ALONE and name != "invoice":
                        continue
                    assert compare(ours[key], record[key], f"{name}.{key}", frozenset()) == []
                    checked[name] += 1
    assert min(checked["customer"], checked["invoice"], checked["user"]) > 5
