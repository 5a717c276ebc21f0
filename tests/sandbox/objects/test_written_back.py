"""A record that was read can be written back as it stands, and nothing but its date changes."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.places import SHARED

from chargeover_async.sandbox.objects.table import OBJECTS
from chargeover_async.sandbox.protocol.values import DATE, FLAG, INTEGER, MOMENT, NUMBER, TEXTS

UPDATED = sorted(
    name
    for name, spec in OBJECTS.items()
    if "modify" in spec.commands and spec.reads and not spec.internal
)
SAMPLES = {
    INTEGER: [1, "1"],
    NUMBER: ["2.50", 7],
    FLAG: [True, False, "1"],
    DATE: ["2026-05-01"],
    MOMENT: ["2026-05-01 07:08:09"],
    TEXTS: [[], ["a", "b"]],
}
# They name records, or are given by the account below.
LEFT_OUT = {"customer_id", "superuser_id", "parent_customer_id", "external_key", "paymethod"}
LEFT_OUT |= {"creditcard_id", "ach_id", "tokenized_id", "paycycle"}


def values_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some fields of a new record; each with nothing, an empty text or a value."""
    return st.fixed_dictionaries(
        {},
        optional={
            field: st.sampled_from([None, "", *SAMPLES.get(kind, ["x", "a/b\r\nc"])])
            for field, kind in OBJECTS[name].writable.items()
            if field not in LEFT_OUT
        },
    )


def unchanged(account: Any, path: str, sent: dict[str, Any]) -> None:
    before = account.ok("GET", path)
    account.ok("PUT", path, sent)
    after = account.ok("GET", path)
    assert {**after, "mod_datetime": ""} == {**before, "mod_datetime": ""}


@pytest.mark.parametrize("name", UPDATED)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_was_read_can_be_written(make_account, name, data):
    """Single or from a list, with all that is empty in it."""
    account = make_account()
    account.customer(superuser_name="Jo Miller")
    needed = {"line_items": [{"item_id": account.item("9.99")}]}
    fields = {"custom_1": None} | data.draw(values_of(name))
    if name != "customer":
        fields["customer_id"] = 1
    if name in ("invoice", "package"):
        fields |= needed
    if name == "package":
        fields |= {"creditcard_id": account.card(1)}
    id_ = account.ok("POST", f"/{name}", fields)["id"]
    path = f"/{name}/{id_}"
    unchanged(account, path, account.ok("GET", path))
    key = OBJECTS[name].key
    (listed,) = account.ok("GET", f"/{name}?where={key}:EQUALS:{id_}")
    unchanged(account, path, listed)


@pytest.mark.parametrize("name", UPDATED)
def test_what_a_seed_says_of_others_can_be_written(make_account, name):
    """A record whose card, terms or customer are in the real account only stays what it is."""
    account = make_account()
    spec = OBJECTS[name]
    others = {f"{prefix}_id": 900 for prefix in spec.references if f"{prefix}_id" in spec.kinds}
    id_ = account.store.seed(name, {**others, **dict.fromkeys(spec.choices, 77)})
    path = f"/{name}/{id_}"
    unchanged(account, path, account.ok("GET", path))
    for field in others:
        assert "900" not in account.refused("PUT", path, {field: 901})


RECORDINGS = Path(
    os.environ.get("CHARGEOVER_RECORDINGS", "") or SHARED / "recordings" / "recordings.jsonl"
)


@pytest.mark.skipif(not RECORDINGS.exists(), reason=f"the recordings are not there ({RECORDINGS})")
def test_every_recorded_record_can_be_written(make_account, wall):
    """As it was read in 2015, with its empty texts and nulls."""
    written = 0
    for line in RECORDINGS.read_text("utf-8").splitlines():
        exchange = json.loads(line, parse_float=Decimal)
        name = exchange["path"].split("/")[3]
        if exchange["method"] != "GET" or exchange["status"] != 200 or name not in UPDATED:
            continue
        shown = exchange["response"]["response"]
        for record in shown if isinstance(shown, list) else [shown]:
            wall.value = email.utils.parsedate_to_datetime(exchange["recorded_at"])
            if record.get("days_overdue"):  # the day of the account's own zone
                day = dt.date.fromisoformat(record["due_date"])
                day += dt.timedelta(days=record["days_overdue"])
                wall.value = dt.datetime.combine(day, dt.time(12), dt.UTC)
            account = make_account()
            account.store.seed(name, record)
            if name != "customer" and record.get("customer_id"):
                account.store.seed("customer", {"customer_id": record["customer_id"]})
            unchanged(account, f"/{name}/{record[OBJECTS[name].key]}", record)
            written += 1
    assert written > 50
