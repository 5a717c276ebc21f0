"""The rules of stored credit cards; their numbers are not kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

from chargeover_async.models import CreditCard
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import date, text
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import Spec, Tables

from .gateway import BRANDS, DECLINED_CARDS, brand_of, card_number, mask_bin, mask_card

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def expiry(fields: dict[str, Any]) -> str | None:
    """The first of the month a card expires in, from ``expdate`` or from year and month."""
    if fields.get("expdate") is not None:
        return date(fields["expdate"])[:8] + "01"
    if fields.get("expdate_year") is None and fields.get("expdate_month") is None:
        return None
    for name in ("expdate_year", "expdate_month"):
        if fields.get(name) is None:
            raise missing(name)
    year, month = (text(fields[name]).strip() for name in ("expdate_year", "expdate_month"))
    if not (year.isascii() and year.isdigit() and month.isascii() and month.isdigit()):
        raise Refused(INVALID)
    try:
        return dt.date(int(year) if len(year) > 2 else 2000 + int(year), int(month), 1).isoformat()
    except (ValueError, OverflowError):
        raise Refused(INVALID) from None


def is_expired(store: Tables, expdate: str | None) -> bool:
    """Whether the month that a card expires in is over."""
    return expdate is not None and expdate[:7] < store.today().isoformat()[:7]


def decline_of(number: str) -> str | None:
    """Why the gateway declines a card, whatever it expires; None when it takes it."""
    return DECLINED_CARDS.get(number)


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    # UNVERIFIED: what is required; the examples always send these.
    for name in ("customer_id", "number"):
        if fields.get(name) is None:
            raise missing(name)
    number = card_number(text(fields["number"]))
    expdate = expiry(fields)
    if expdate is None:
        raise missing("expdate")
    addr = store.caller.addr or "127.0.0.1"
    draft.data |= {**_known(number), "expdate": expdate, "write_ipaddr": addr}


def _known(number: str) -> dict[str, Any]:
    """What is kept of a number."""
    return {
        "type": brand_of(number).type,
        "mask_number": mask_card(number),
        "mask_and_bin_number": mask_bin(number),
        "number_length": len(number),
        "decline": decline_of(number),
    }


def _same(store: Tables, fields: dict[str, Any]) -> Row | None:
    """The stored card with the number that is sent: posting it again updates it.

    As no number is kept, it is told by customer, first six, last four and length.
    """
    if fields.get("customer_id") is None or fields.get("number") is None:
        return None
    number = card_number(text(fields["number"]))
    wanted = (mask_bin(number), len(number))
    for row in store.of_customer("creditcard", int(fields["customer_id"])):
        if (row.data.get("mask_and_bin_number"), row.data.get("number_length")) == wanted:
            return row
    return None


def _update(_store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    draft.data["expdate"] = expiry(fields) or draft.data.get("expdate")


def _seed(_store: Tables, draft: Draft, record: dict[str, Any]) -> None:
    """A seed may bring a number or a mask; the number is not kept."""
    if record.get("number") is not None:
        draft.data |= _known(card_number(text(record["number"])))
    draft.forget(("number", "cvv"))
    expdate = expiry(record)
    if expdate is not None:
        draft.data["expdate"] = expdate
    draft.forget(("expdate_year", "expdate_month"))


def _delete(store: Tables, row: Row) -> None:
    forget_default(store, row, "crd", "default_creditcard_id")


def forget_default(store: Tables, row: Row, paymethod: str, field: str) -> None:
    """Take a deleted method away from a customer whose default it was (UNVERIFIED)."""
    customer = store.row("customer", row.data.get("customer_id"))
    if customer is None or customer.data.get(field) != row.id:
        return
    changes: dict[str, Any] = {field: None}
    if customer.data.get("default_paymethod") == paymethod:
        changes["default_paymethod"] = None
    store.change(customer, **changes)


def _month(row: Row) -> str:
    return str(int((row.data.get("expdate") or "0000-00")[5:7]))


CREDITCARD = Spec(
    name="creditcard",
    key="creditcard_id",
    model=CreditCard,
    # No update: the same number is posted again.
    commands=frozenset(("create", "delete")),
    defaults={"name": "", "write_ipaddr": "127.0.0.1"},
    read_only=frozenset(("type", "mask_number", "mask_and_bin_number", "write_ipaddr")),
    create_only=frozenset(("customer_id",)),
    private=frozenset(("number_length", "decline")),
    references={"customer": "customer"},
    derived={
        "type_name": lambda _store, row: BRANDS.get(row.data.get("type", ""), BRANDS[""]).name,
        "expdate_year": lambda _store, row: (row.data.get("expdate") or "")[:4],
        "expdate_month": lambda _store, row: _month(row),
        "expdate_formatted": lambda _store, row: (
            f"{_MONTHS[int(_month(row)) - 1]} {row.data['expdate'][:4]}"
            if row.data.get("expdate")
            else ""
        ),
        "url_updatelink": lambda store, row: f"{store.site}/r/paymethod/u/{row.data['token']}",
    },
    seeds=frozenset(("number", "cvv")),
    indexes=("customer_id",),
    events={"delete": ("customer",)},
    on_create=_create,
    on_update=_update,
    on_delete=_delete,
    on_seed=_seed,
    same=_same,
)
