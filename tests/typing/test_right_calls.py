"""``api.py``, which both type checkers read, uses the whole public face."""

from __future__ import annotations

import inspect
import re

import pytest
from support.places import TESTS

from chargeover_async.resources import RESOURCES

TEXT = (TESTS / "typing" / "api.py").read_text("utf-8")

CALLS = sorted(
    f"{resource.attribute}.{name}"
    for resource in RESOURCES.values()
    for name, _ in inspect.getmembers(resource, inspect.isfunction)
    if not name.startswith("_")
) + sorted(resource.attribute for resource in RESOURCES.values() if "__call__" in vars(resource))


@pytest.mark.parametrize("call", CALLS)
def test_every_call_is_made_with_its_result_asserted(call: str) -> None:
    """A method that is added has its types checked, too."""
    assert re.search(rf"\bco\.{re.escape(call)}\(", TEXT), f"api.py does not use {call}"


def test_there_are_calls_to_look_for() -> None:
    """Every object has some."""
    assert len(CALLS) > 100
