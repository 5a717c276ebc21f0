"""The exception tree: what each class says, and that it survives being sent elsewhere."""

# ruff: noqa: S301 - what is unpickled is what was pickled a line before
from __future__ import annotations

import copy
import inspect
import pickle
from decimal import Decimal
from typing import Any

import pytest

import chargeover_async
from chargeover_async import errors

CONTEXT: dict[str, Any] = {
    "operation": "POST /customer external_key='a'",
    "attempts": 2,
    "batch": 3,
}
OWN: dict[type[errors.ChargeOverError], dict[str, Any]] = {
    errors.ApiError: {"status": 400, "body": "{}"},
    errors.AlreadyExists: {"existing_id": 7, "differences": {"total": (Decimal("1.10"), 2)}},
    errors.RateLimited: {"retry_after_s": 2.5},
    errors.DecodeError: {"object": "Customer", "id": 7, "field": "total", "raw": b"{}"},
}
CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.ChargeOverError)
]
UNKNOWN = {errors.OutcomeUnknown, errors.ServerError}


def build(kind: type[errors.ChargeOverError]) -> errors.ChargeOverError:
    more = {k: v for base, own in OWN.items() if issubclass(kind, base) for k, v in own.items()}
    return kind("it failed", **CONTEXT, **more)


def test_there_is_a_tree():
    """The list above is of every class, and the tree in the docstring draws each of them."""
    assert len(CLASSES) >= 19
    for kind in CLASSES:
        assert kind.__name__ in (errors.__doc__ or "")
        assert kind.__doc__
        assert getattr(chargeover_async, kind.__name__) is kind


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_and_copying(kind: type[errors.ChargeOverError]):
    """With everything it says, so that it can come from another process or a journal."""
    error = build(kind)
    error.may_have_happened = True
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is kind
        assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
    assert vars(copy.copy(error)) == vars(error)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_of_ours_keeps_its_cause(kind: type[errors.ChargeOverError]):
    """A failed dependency names what failed, pickled or not; a foreign cause may not pickle."""
    error = build(kind)
    error.__cause__ = errors.BadRequest("no", status=400)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again.__cause__, errors.BadRequest)
    assert str(again.__cause__) == str(error.__cause__)
    error.__cause__ = OSError(lambda: None)
    assert pickle.loads(pickle.dumps(error)).__cause__ is None


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_says_whether_it_may_have_happened_and_what_it_was_about(
    kind: type[errors.ChargeOverError],
):
    """The class decides, unless the case knows better."""
    error = build(kind)
    assert error.may_have_happened is (kind in UNKNOWN)
    assert str(error).startswith("POST /customer external_key='a': it failed")
    assert (error.attempts, error.batch) == (2, 3)
    assert ("HTTP 400" in str(error)) is issubclass(kind, errors.ApiError)
    assert str(kind("alone")).startswith("alone")


def test_a_usage_error_is_a_value_error():
    """So that code which does not know us catches it as what it is."""
    assert issubclass(errors.UsageError, ValueError)


def test_one_except_catches_everything_of_ours():
    """Whatever it was."""
    assert {kind for kind in CLASSES if not issubclass(kind, errors.ChargeOverError)} == set()
