"""Secrets stay out of files."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chargeover_async.migrate.mask import mask, mask_payload, mask_text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("4111111111111111", "[masked]1111"),
        ("card 4111 1111 1111 1111, exp 12/30", "card [masked]1111, exp 12/30"),
        ("5500-0000-0000-0004", "[masked]0004"),
        ("378282246310005", "[masked]0005"),
        ("DE89370400440532013000", "[masked]3000"),
        ("GB82 WEST 1234 5698 7654 32", "[masked]5432"),
    ],
)
def test_card_and_bank_numbers_are_masked_in_any_text(text: str, wanted: str) -> None:
    """Whatever the column is called; the last four digits stay."""
    assert mask_text(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # Luhn's check fails: no card
        "+49 0711 2842222",
        "chinook-invoice-412",
        "1234567890123456789012345",
        "DE00370400440532013000",
        "2021-01-01 00:00:00",
        "0.123456789012345678",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    """A failure file must be importable again, so nothing is masked on suspicion."""
    assert mask_text(text) == text


def test_secret_names_are_masked_at_any_depth() -> None:
    """Passwords, security codes and bank details are masked for their name."""
    found = mask(
        {
            "password": "hunter2",
            "CVV": 123,
            "Routing": "072403004",
            "account_number": "12345",
            "Card Number": "4000",
            "list": [{"iban": "x"}],
            "number": 4111111111111111,
            "empty": {"password": "", "secret": None},
            "Account": "00017",
            "amount": Decimal("12.50"),
            "flag": True,
        }
    )
    assert found == {
        "password": "[masked]",
        "CVV": "[masked]",
        "Routing": "[masked]",
        "account_number": "[masked]",
        "Card Number": "[masked]",
        "list": [{"iban": "[masked]"}],
        "number": "[masked]1111",
        "empty": {"password": "", "secret": None},
        "Account": "00017",
        "amount": Decimal("12.50"),
        "flag": True,
    }


def test_what_is_sent_is_masked_by_the_names_of_the_api() -> None:
    """A bank account's `number` and `routing` have no form by which they could be known."""
    sent = {
        "number": "00123456",
        "routing": "072403004",
        "cvv": "123",
        "name": "A",
        "nested": [{"password": "x", "number": "4111111111111111", "memo": "4111111111111111"}],
        "empty": None,
    }
    assert mask_payload(sent) == {
        "number": "[masked]",
        "routing": "[masked]",
        "cvv": "[masked]",
        "name": "A",
        "nested": [{"password": "[masked]", "number": "[masked]1111", "memo": "[masked]1111"}],
        "empty": None,
    }
