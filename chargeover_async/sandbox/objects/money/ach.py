"""The rules of stored bank accounts; their numbers are not kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chargeover_async.models import AchAccount
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import text
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import Spec, Tables

from .creditcard import forget_default
from .gateway import DECLINED_ACCOUNTS, digits, mask_account

# "Checking" is the page's; UNVERIFIED: the names of the others.
TYPES: Mapping[str, str] = {
    "chec": "Checking",
    "busi": "Business Checking",
    "savi": "Savings",
}
_ROUTING = 9


def account_number(fields: dict[str, Any]) -> tuple[str, str]:
    """Routing and account number, checked; no message ever holds them.

    UNVERIFIED: what is required and checked. The client tests send number, routing and type.
    """
    for name in ("number", "routing"):
        if fields.get(name) is None:
            raise missing(name)
    routing, number = digits(text(fields["routing"])), digits(text(fields["number"]))
    if not (routing.isascii() and routing.isdigit() and len(routing) == _ROUTING):
        raise Refused("The routing number is not valid.")
    if not (number.isascii() and number.isalnum() and 1 <= len(number) <= 34):
        raise Refused("The account number is not valid.")
    return routing, number


def account_type(fields: dict[str, Any]) -> str:
    """One of `TYPES`; checking unless said otherwise (UNVERIFIED)."""
    kind = "chec" if fields.get("type") is None else text(fields["type"])
    if kind not in TYPES:
        raise Refused(INVALID)
    return kind


def decline_of(number: str) -> str | None:
    """Why the gateway declines an account; None when it takes it."""
    return DECLINED_ACCOUNTS.get(number)


def _create(_store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    if fields.get("customer_id") is None:
        raise missing("customer_id")
    routing, number = account_number(fields)
    draft.data |= {
        **_known(routing, number),
        "type": account_type(fields),
        "mask_bank": "" if fields.get("bank") is None else text(fields["bank"]),
    }


def _known(routing: str, number: str) -> dict[str, Any]:
    """What is kept of the numbers."""
    return {
        "mask_number": mask_account(number),
        "mask_routing": mask_account(routing),
        "number_length": len(number),
        "decline": decline_of(number),
    }


def _same(store: Tables, fields: dict[str, Any]) -> Row | None:
    """The stored account with the numbers that are sent: posting them again updates it.

    As no number is kept, it is told by customer, the last four of both, and length.
    """
    if any(fields.get(name) is None for name in ("customer_id", "number", "routing")):
        return None
    routing, number = account_number(fields)
    wanted = (mask_account(routing), mask_account(number), len(number))
    for row in store.of_customer("ach", int(fields["customer_id"])):
        kept = tuple(row.data.get(n) for n in ("mask_routing", "mask_number", "number_length"))
        if kept == wanted:
            return row
    return None


def _update(_store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    if fields.get("type") is not None:
        draft.data["type"] = account_type(fields)
    if fields.get("bank") is not None:
        draft.data["mask_bank"] = text(fields["bank"])


def _seed(_store: Tables, draft: Draft, record: dict[str, Any]) -> None:
    """A seed may bring numbers or masks; the numbers are not kept."""
    if record.get("number") is not None:
        draft.data |= _known(*account_number(record))
    draft.forget(("number", "routing"))


def _delete(store: Tables, row: Row) -> None:
    forget_default(store, row, "ach", "default_ach_id")


ACH = Spec(
    name="ach",
    key="ach_id",
    model=AchAccount,
    commands=frozenset(("create", "delete")),
    defaults={"name": "", "mask_bank": ""},
    read_only=frozenset(("mask_number", "mask_routing", "mask_bank")),
    create_only=frozenset(("customer_id",)),
    private=frozenset(("number_length", "decline")),
    references={"customer": "customer"},
    derived={
        "type_name": lambda _store, row: TYPES.get(row.data.get("type", ""), ""),
        "url_verifylink": lambda store, row: f"{store.site}/r/paymethod/v/{row.data['token']}",
    },
    seeds=frozenset(("number", "routing")),
    indexes=("customer_id",),
    events={"autopay": ()},
    on_create=_create,
    on_update=_update,
    on_delete=_delete,
    on_seed=_seed,
    same=_same,
)
