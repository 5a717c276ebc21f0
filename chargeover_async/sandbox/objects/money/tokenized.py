"""The rules of pay methods that a gateway keeps, known by the gateway's token."""

from __future__ import annotations

from typing import Any

from chargeover_async.models import TokenizedPayMethod
from chargeover_async.sandbox.protocol.answers import missing
from chargeover_async.sandbox.protocol.values import TEXT, text
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import NestedField, Spec, Tables

from .gateway import DECLINED_TOKEN

_TOKEN = "gateway_token"  # noqa: S105 - a name


def decline_of(token: str) -> str | None:
    """Why the gateway declines a token; None when it takes it."""
    return "Your pay method was declined." if DECLINED_TOKEN in token.lower() else None


def gateway_token(row: Row) -> str:
    """The gateway's own token."""
    token: str = row.data.get(_TOKEN) or ""
    return token


def _create(_store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    # UNVERIFIED: what is required; the examples always send these.
    for name in ("customer_id", "type", "token"):
        if fields.get(name) is None:
            raise missing(name)
    draft.data[_TOKEN] = text(fields["token"])


def _seed(_store: Tables, draft: Draft, record: dict[str, Any]) -> None:
    draft.data[_TOKEN] = record.get("token") or draft.data["token"]
    draft.forget(("token",))


def _of_customer(name: str) -> Any:
    def values(store: Tables, row: Row) -> list[Any]:
        customer = store.row("customer", row.data.get("customer_id"))
        return [] if customer is None else [customer.data.get(name)]

    return values


TOKENIZED = Spec(
    name="tokenized",
    key="tokenized_id",
    model=TokenizedPayMethod,
    commands=frozenset(("create", "delete")),
    create_only=frozenset(("customer_id",)),
    private=frozenset((_TOKEN,)),
    references={"customer": "customer"},
    # ``token`` is the gateway's here, not the sandbox's own (recording create_tokenized_card).
    derived={"token": lambda _store, row: gateway_token(row)},
    nested={
        "customer_external_key": NestedField(TEXT, _of_customer("external_key")),
        "customer_token": NestedField(TEXT, _of_customer("token")),
    },
    indexes=("customer_id",),
    on_create=_create,
    on_seed=_seed,
)
