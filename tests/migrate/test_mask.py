"""Secrets stay out of files."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeover_async.migrate.mask import holds_mask, mask, mask_payload, mask_text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("4111111111111111", "[masked]1111"),
        ("card 4111 1111 1111 1111, exp 12/30", "card [masked]1111, exp 12/30"),
        ("5500-0000-0000-0004", "[masked]0004"),
        ("378282246310005", "[masked]0005"),
        ("DE89370400440532013000", "[masked]3000"),
        ("GB82 WEST 1234 5698 7654 32", "[masked]5432"),
        ("2223003122003222", "[masked]3222"),  # Mastercard's newer numbers
        ("2720992593319364", "[masked]9364"),
        ("3566002020360505", "[masked]0505"),
        ("6011111111111117", "[masked]1117"),
        ("30569309025904", "[masked]5904"),
        ("4111 1111 1111 1111 12/30", "[masked]1111 12/30"),
        ("3 x 4111  1111  1111  1111", "3 x [masked]1111"),
        ("4111.1111.1111.1111", "[masked]1111"),
        ("4111, 1111, 1111, 1111", "[masked]1111"),
        ("4111\u00a01111\u20131111\u20131111", "[masked]1111"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[masked]1111"),
        ("3782 822463 10005", "[masked]0005"),
        ("No.4111111111111111, no. 5500000000000004", "No.[masked]1111, no. [masked]0004"),
        ("4111111111111111 and 4111111111111111", "[masked]1111 and [masked]1111"),
        (
            "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11",
            "[masked]1111",
        ),
        ("de89 3704 0044 0532 0130 00 of ACME", "[masked]3000 of ACME"),
        ("DE89370400440532013000 ACME AG", "[masked]3000 ACME AG"),
        ("NO9386011117947", "[masked]7947"),
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
        "0.4111111111111111",
        "4111.11 1111.11 1111.11",
        "+4111111111111111",
        "20240105" + "00017",  # a date and a number, and Luhn's check holds
        "2721000000000004",  # behind the last of Mastercard
        "41111111111111111111",
        "DE893704004405320130001",
        "XX89370400440532013000",
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


@given(st.from_regex(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9][0-9]{4,9}", fullmatch=True))
def test_a_number_that_begins_with_a_date_is_no_card(number: str) -> None:
    """One in ten passes Luhn's check."""
    assert mask_text(number) == number


def test_identifiers_are_kept_in_any_text() -> None:
    """Whatever they look like, alone and in a sentence; another card is masked beside them."""
    key, card, iban = "4111111111111111", "5500000000000004", "DE89370400440532013000"
    text = f"key {key} ({iban}): {card}"
    assert mask_text(text, {key, iban}) == f"key {key} ({iban}): [masked]0004"
    assert mask({"No": key, "Note": [card, int(key)]}, keep={key}) == {
        "No": key,
        "Note": ["[masked]0004", int(key)],
    }


@pytest.mark.parametrize(
    "name",
    ["Security Code", "security_code", "SecurityCode", "Bank Account", "BankAccount", "CVC2", "CSC",
     "Card Numbers", "Account No.", "API-Key", "credit card"],
)  # fmt: skip
def test_columns_are_masked_by_what_they_are_called(name: str) -> None:
    """As people write it."""
    assert mask({name: "12"}) == {name: "[masked]"}


@pytest.mark.parametrize("name", ["Number", "Code", "Account", "Bank", "Pinned", "Discard Note"])
def test_columns_that_only_sound_like_secrets_stay(name: str) -> None:
    """An invoice has a number, and a customer an account."""
    assert mask({name: "12"}) == {name: "12"}


def test_masks_are_found_at_any_depth() -> None:
    """In lists, too."""
    assert holds_mask({"a": [1, {"b": ["x", "[masked]1111"]}]})
    assert not holds_mask({"a": [1, {"b": ["x", None]}]})
