"""Customers. Source: vendor's text and pages "Customers"; recordings `new_customer` and others."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar, TypedDict, Unpack

from chargeover_async.errors import UsageError
from chargeover_async.models import Created, Customer, CustomerCreate, CustomerUpdate, SetPayMethod
from chargeover_async.models._json.checks import Integer
from chargeover_async.models._json.plain import plain
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat

from ._calls.kinds import Resource
from ._calls.options import ActionForm
from ._calls.target import Target
from ._calls.upserting import Upserted, upsert


class _Email(TypedDict, total=False):
    message_id: Integer


class Customers(Resource[Customer]):
    """``/customer``."""

    object = "customer"
    attribute = "customers"
    model = Customer
    writes: ClassVar = {
        "create": CustomerCreate,
        "update": CustomerUpdate,
        "set_default_payment_method": SetPayMethod,
        "email": _Email,
    }
    needs: ClassVar = ()
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[CustomerCreate]
    ) -> Operation[Created]:
        """Create a customer; ``superuser_*`` fields create its main contact at the same time.

        With an ``external_key`` a lost answer is settled by looking the key up; without one it is
        OutcomeUnknown. Source: recording `new_customer`.
        """
        return self._create(fields, extra)

    def update(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        **fields: Unpack[CustomerUpdate],
    ) -> Operation[Created]:
        """Change the fields given; the others keep their value.

        Source: recording `update_customer`.
        """
        return self._update(target, fields, extra)

    def upsert(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[CustomerCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The customer with this key as the fields say: created, or changed to them.

        Costs one call for a new one; else it is looked at, and changed in the fields that differ,
        as far as an update takes them. Await it; in a bulk scope its calls travel with the others.
        Raises UsageError without a key, and what `create`, `get` and `update` raise.
        """
        return upsert(self, fields, extra)

    def get_or_create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[CustomerCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The customer with this ``external_key``, created with the fields if there is none.

        One that is there is neither changed nor compared. Otherwise as `upsert`.
        """
        return upsert(self, fields, extra, change=False)

    def delete(self, target: Target) -> Operation[bool]:
        """Delete a customer without active subscriptions and open invoices.

        Source: vendor's text "Delete a customer"; recording `delete_customer`.
        """
        return self._delete(target)

    def set_active(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Mark a customer active. Source: vendor's text, "Set a customer as active"."""
        return self._action(
            target,
            "setActive",
            Repeat.IDEMPOTENT,
            verb="set_active",
            form=form,
        )

    def set_inactive(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Mark a customer inactive. Source: vendor's text, "Set a customer as inactive"."""
        return self._action(
            target,
            "setInactive",
            Repeat.IDEMPOTENT,
            verb="set_inactive",
            form=form,
        )

    def set_default_payment_method(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "path",
        **fields: Unpack[SetPayMethod],
    ) -> Operation[bool]:
        """Set the default payment method, by default of existing subscriptions, too.

        Source: page "Set the default payment method for a customer".
        """
        return self._action(
            target,
            "setPayMethod",
            Repeat.IDEMPOTENT,
            verb="set_default_payment_method",
            fields=fields,
            extra=extra,
            form=form,
        )

    def disconnect_parent(self, target: Target, *, form: ActionForm = "path") -> Operation[bool]:
        """Detach a customer from its parent, which must not have paid anything for it.

        Source: page "Disconnect a customer from its parent customer".
        """
        return self._action(
            target, "disconnectParent", Repeat.IDEMPOTENT, verb="disconnect_parent", form=form
        )

    def set_primary_contact(self, target: Target, user_id: int) -> Operation[Created]:
        """Make a contact the customer's main one.

        UNVERIFIED: the vendor's text gives this action no name, so the documented field
        ``superuser_id`` is updated.
        """
        return self.update(target, superuser_id=user_id)

    def email(
        self,
        target: Target,
        *,
        action: str,
        message_id: int | None = None,
        form: ActionForm = "query",
    ) -> Operation[bool]:
        """Send a customer a mail from a template, the welcome message when ``message_id`` is None.

        UNVERIFIED: the vendor's text describes this and gives the action no name; pass the one
        that your account's documentation shows.
        """
        if not isinstance(action, str) or not action.isidentifier():
            raise UsageError(f"customers.email: action must be a name, not {action!r}")
        fields = {} if message_id is None else {"message_id": message_id}
        action = plain(action)
        return self._action(target, action, Repeat.ONCE, verb="email", fields=fields, form=form)


__all__ = ("Customers",)
