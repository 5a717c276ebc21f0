"""What a record that was found by its key is compared by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from chargeover_async._send.same import differences


@pytest.mark.parametrize("name", ["number", "cvv", "routing", "password"])
def test_a_secret_is_never_among_the_differences(name: str) -> None:
    """Differences go into messages, and a card number must not."""
    assert differences({name: "4111111111111111"}, {name: "x1111"}) == {}


def test_only_what_was_sent_and_is_held_otherwise_differs() -> None:
    """Numbers are compared as numbers, and what the record does not show is left alone."""
    sent = {"company": "Acme", "base": Decimal("2.50"), "memo": "a", "unseen": 1}
    held = {"company": "Acme Ltd", "base": 2.5, "memo": "a", "other": 2}
    assert differences(sent, held) == {"company": ("Acme", "Acme Ltd")}


@pytest.mark.parametrize(
    ("sent", "held"),
    [
        ("08", 8),
        ("08", "8"),
        (8, "08"),
        ("2.95", "2.950000"),
        (Decimal("2.95"), "2.95"),
        (Decimal("2.95"), 2.95),
        (True, "1"),
        (False, 0),
        (False, None),
        ("", None),
        (0, None),
        ("Credit for unused Image Relay Small", "Credit for unused Image Relay Sm"),
        ("My refund of the last bill, the one of May", "My refund of the last bill, the"),
        ("a  b\r\nc ", "a b\nc"),
        ("2026-01-31", "2026-01-31 00:00:00"),
        ("2026-01-31", "2026-01-31T00:00:00-06:00"),
        ("2026-01-31 09:30:15", "2026-01-31T09:30:15-06:00"),
        ("2026-01-31T09:30:15-05:00", "2026-01-31T08:30:15-06:00"),
    ],
)
def test_what_a_server_does_to_a_value_is_no_difference(sent: Any, held: Any) -> None:
    """A create whose answer was lost is found again, however its values are held."""
    assert differences({"x": sent}, {"x": held}) == {}


@pytest.mark.parametrize(
    ("sent", "held"),
    [
        ("08", 9),
        ("2.95", "2.96"),
        (Decimal("2.95"), None),
        ("x", None),
        (True, "0"),
        (True, None),
        ("Acme", "Acm"),
        ("Credit for unused Image Relay Small", "Credit for unused Image Relay La"),
        ("Credit for unused Image", "Credit for unused Image Relay Small and more"),
        ("2026-01-31", "2026-02-01 00:00:00"),
        ("2026-01-31T09:30:15-05:00", "2026-01-31T09:30:15-06:00"),
        ("2026-01-31", "soon"),
        ("1e5", "100000"),
        ("x", 5),
        ("x", ["x"]),
    ],
)
def test_another_value_is_a_difference(sent: Any, held: Any) -> None:
    """Then it may be somebody else's record."""
    assert differences({"x": sent}, {"x": held}) == {"x": (sent, held)}
