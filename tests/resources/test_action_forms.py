"""Every action can be sent in the query or in the path: sources disagree, and accounts may."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from support.scripted import World

from chargeover_async import UsageError
from chargeover_async.resources import RESOURCES

ACTIONS = sorted(
    (resource.attribute, name)
    for resource in RESOURCES.values()
    for name, method in vars(resource).items()
    if inspect.isfunction(method) and "self._action(" in inspect.getsource(method)
)
# What an action needs besides its record.
ARGUMENTS: dict[str, Any] = {
    "customers.email": {"action": "x"},
    "currencies.get_exchange_rate": {"from_": "USD", "to": "CAD"},
    "currencies.set_exchange_rate": {"from_": "USD", "to": "CAD", "exchange": 1},
    "invoices.pay_ach": {"number": "1"},
    "invoices.pay_credit_card": {"number": "1"},
    "invoices.schedule_payments": {"schedule": [{"amount": 1, "date": "2026-01-31"}]},
    "subscriptions.hold": {"holduntil_datetime": "2026-01-31"},
    "subscriptions.set_paycycle": {"paycycle": "mon"},
    "subscriptions.set_paymethod": {"paymethod": "inv"},
    "subscriptions.upgrade": {"line_items": [{"line_item_id": 1}]},
    "transactions.change_applied_amounts": {"applied_to": []},
    "transactions.pay": {"customer_id": 1, "amount": 1},
    "users.set_password": {"password": "x"},
}
OF_THE_OBJECT = {"transactions.pay", "currencies.get_exchange_rate", "currencies.set_exchange_rate"}


@pytest.mark.parametrize(("attribute", "name"), ACTIONS)
def test_an_option_sends_the_other_form(attribute: str, name: str):
    """With the same body, on the same record."""
    co = World().co
    method = getattr(getattr(co, attribute), name)
    key = f"{attribute}.{name}"
    target = () if key in OF_THE_OBJECT else (5,)
    calls = {
        form: method(*target, **ARGUMENTS.get(key, {}), form=form) for form in ("query", "path")
    }
    for call in calls.values():
        call.close()
    in_query, in_path = calls["query"], calls["path"]
    assert set(dict(in_query.query)) == {"action"}
    assert in_path.query == ()
    assert in_path.path.startswith(f"{in_query.path}/_action/")
    assert in_query.payload == in_path.payload
    assert in_query.repeat is in_path.repeat
    with pytest.raises(UsageError, match="form must be"):
        method(*target, **ARGUMENTS.get(key, {}), form="body")


def test_there_are_actions_to_try():
    """The source is read for them."""
    assert len(ACTIONS) > 30
