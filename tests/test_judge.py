"""What a record that was found by its key is compared by."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chargeover_async._judge import differences


@pytest.mark.parametrize("name", ["number", "cvv", "routing", "password"])
def test_a_secret_is_never_among_the_differences(name: str) -> None:
    """Differences go into messages, and a card number must not."""
    assert differences({name: "4111111111111111"}, {name: "x1111"}) == {}


def test_only_what_was_sent_and_is_held_otherwise_differs() -> None:
    """Numbers are compared as numbers, and what the record does not show is left alone."""
    sent = {"company": "Acme", "base": Decimal("2.50"), "memo": "a", "unseen": 1}
    held = {"company": "Acme Ltd", "base": 2.5, "memo": "a", "other": 2}
    assert differences(sent, held) == {"company": ("Acme", "Acme Ltd")}
