"""The rules of users (contacts)."""

from __future__ import annotations

from typing import Any

from chargeover_async.models import User
from chargeover_async.sandbox.protocol.values import INTEGER, text
from chargeover_async.sandbox.store.row import Draft, Row
from chargeover_async.sandbox.store.tables import NestedField, Spec, Tables

from .shared import split_name

_PARTS = ("first_name", "last_name")


def set_name(data: dict[str, Any], fields: dict[str, Any]) -> None:
    """Keep ``name`` and its parts in step; parts win over a whole name sent with them.

    A whole name is split (recording of an update in the vendor's Ruby client); parts are joined by
    a blank (recording `create_contact`).
    """
    if any(part in fields for part in _PARTS):
        names = (data.get(part) or "" for part in _PARTS)
        data["name"] = " ".join(name for name in names if name)
    elif "name" in fields:
        data["first_name"], data["last_name"] = split_name(data["name"] or "")


def _create(store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    set_name(draft.data, fields)
    if not draft.data.get("username"):
        draft.data["username"] = store.token()  # recording create_contact: 12 random characters


def _update(_store: Tables, draft: Draft, fields: dict[str, Any]) -> None:
    set_name(draft.data, fields)


def _delete(store: Tables, row: Row) -> None:
    # UNVERIFIED: the vendor's help says a main contact cannot be deleted in the interface; no
    # answer of the API is shown. Here it can, and the customer is left without one.
    customer = store.row("customer", row.data.get("customer_id"))
    if customer is not None and customer.data.get("superuser_id") == row.id:
        store.change(customer, superuser_id=None)


def _seed(_store: Tables, draft: Draft, record: dict[str, Any]) -> None:
    customers: Any = record.get("customers")
    if draft.data.get("customer_id") is None and customers:
        draft.data["customer_id"] = int(customers[0]["customer_id"])
    draft.data.setdefault("username", draft.data["token"])
    if "name" not in record:
        set_name(draft.data, record)


def _customers(store: Tables, row: Row) -> list[dict[str, Any]]:
    """The customers of a contact; their id is a string (recording `one_contact`)."""
    customer = store.row("customer", row.data.get("customer_id"))
    if customer is None:
        return []
    return [{"customer_id": str(customer.id), "company": customer.data.get("company") or ""}]


def _customer_ids(_store: Tables, row: Row) -> list[int]:
    customer_id = row.data.get("customer_id")
    return [] if customer_id is None else [customer_id]


def _password(_store: Tables, _row: Row, fields: dict[str, Any]) -> bool:
    """Mails a link, or sets the password that is given; either way nothing of it can be read."""
    if fields.get("password") is not None:
        text(fields["password"])
    return True


def _login(store: Tables, _row: Row, fields: dict[str, Any]) -> str:
    """A login address, as a plain string (vendor's page "Log in a user", older form)."""
    if fields.get("destination") is not None:
        text(fields["destination"])
    return f"{store.site}/r/user/login/{store.token()}"


USER = Spec(
    name="user",
    key="user_id",
    model=User,
    defaults={
        "name": "",
        "first_name": "",
        "last_name": "",
        "title": "",
        "email": "",
        "phone": "",
        "user_type_id": 1,
    },
    create_only=frozenset(("customer_id",)),
    single_only=("customers",),
    references={"customer": "customer"},
    derived={
        "customers": _customers,
        "display_as": lambda _store, row: row.data.get("name") or "",
        # "Billing" for 1 is the only name seen.
        "user_type_name": lambda _store, row: (
            "Billing" if row.data.get("user_type_id", 1) == 1 else ""
        ),
        "url_self": lambda store, row: f"{store.site}/admin/r/user/view/{row.id}",
    },
    sticky=frozenset(("customers",)),  # the seeded customer may not be in the store
    nested={"customers.customer_id": NestedField(INTEGER, _customer_ids, "customer_id")},
    indexes=("customer_id",),
    events={"insert": (), "update": ()},
    on_create=_create,
    on_update=_update,
    on_delete=_delete,
    on_seed=_seed,
    actions={
        "password": _password,
        "reset_password": _password,
        "login": _login,
        "getLoginURL": _login,
    },
)
