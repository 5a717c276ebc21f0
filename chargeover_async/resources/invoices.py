"""Invoices. Source: vendor's text and pages "Invoices"; recordings `one_invoice` etc."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypedDict, Unpack, cast

from chargeover_async.errors import UsageError
from chargeover_async.models import (
    AchPayment,
    CardPayment,
    Created,
    Invoice,
    InvoiceCreate,
    InvoiceEmail,
    InvoiceUpdate,
    ScheduledPayment,
)
from chargeover_async.models._json.checks import Flag
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat

from ._calls.base import CUSTOMER
from ._calls.kinds import Resource
from ._calls.options import ActionForm
from ._calls.target import Target
from ._calls.upserting import Upserted, upsert


class _Schedule(TypedDict, total=False):
    schedule: Sequence[ScheduledPayment]


class _Balance(TypedDict, total=False):
    use_customer_balance: Flag


def _need(verb: str, fields: Any, *names: str) -> None:
    if isinstance(fields, Mapping):  # what is none is refused by the check of its list
        given = cast("Mapping[str, Any]", fields)
        missing = [name for name in names if given.get(name) in (None, "")]
        if missing:
            raise UsageError(f"invoices.{verb} needs {' and '.join(missing)}")


class Invoices(Resource[Invoice]):
    """``/invoice``."""

    object = "invoice"
    attribute = "invoices"
    model = Invoice
    writes: ClassVar = {
        "create": InvoiceCreate,
        "update": InvoiceUpdate,
        "pay_credit_card": CardPayment,
        "pay_ach": AchPayment,
        "apply_balance": _Balance,
        "schedule_payments": _Schedule,
        "email": InvoiceEmail,
    }
    needs: ClassVar = (CUSTOMER, ("line_items",))  # vendor's text, "Create an invoice"
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[InvoiceCreate]
    ) -> Operation[Created]:
        """Create an invoice for a customer, with at least one line.

        Raises UsageError without a customer or a line: the vendor's text requires both.
        """
        return self._create(fields, extra)

    def update(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        **fields: Unpack[InvoiceUpdate],
    ) -> Operation[Created]:
        """Change the fields given; ``line_items``, when given, is the complete new list.

        A line with its ``line_item_id`` alone stays as it is, a line left out is dropped.
        Source: vendor's text, "Update an invoice".
        """
        return self._update(target, fields, extra)

    def upsert(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[InvoiceCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The invoice with this key as the fields say: created, or changed to them.

        Costs one call for a new one; else it is looked at, and changed in the fields that differ,
        as far as an update takes them. Await it; in a bulk scope its calls travel with the others.
        Raises UsageError without a key, and what `create`, `get` and `update` raise.
        """
        return upsert(self, fields, extra)

    def get_or_create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[InvoiceCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The invoice with this ``external_key``, created with the fields if there is none.

        One that is there is neither changed nor compared. Otherwise as `upsert`.
        """
        return upsert(self, fields, extra, change=False)

    def delete(self, target: Target) -> Operation[bool]:
        """Delete an invoice. UNVERIFIED: a client sample only; its answer is not recorded."""
        return self._delete(target)

    def pay(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Try to pay with the method on file. Never sent twice by itself."""
        return self._action(target, "pay", Repeat.ONCE, verb="pay", form=form)

    def pay_credit_card(
        self, target: Target, *, form: ActionForm = "query", **fields: Unpack[CardPayment]
    ) -> Operation[bool]:
        """Pay with a card given here; a decline is a BadRequest with the gateway's words.

        Raises UsageError without ``number``: the same call without a card pays with the method on
        file.
        """
        _need("pay_credit_card", fields, "number")
        return self._action(
            target,
            "pay",
            Repeat.ONCE,
            verb="pay_credit_card",
            fields=fields,
            form=form,
        )

    def pay_ach(
        self, target: Target, *, form: ActionForm = "query", **fields: Unpack[AchPayment]
    ) -> Operation[bool]:
        """Pay from a bank account given here; raises UsageError without ``number``, as above."""
        _need("pay_ach", fields, "number")
        return self._action(
            target,
            "pay",
            Repeat.ONCE,
            verb="pay_ach",
            fields=fields,
            form=form,
        )

    def apply_balance(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Apply the customer's open balance; False when there was nothing to apply."""
        return self._action(
            target,
            "pay",
            Repeat.ONCE,
            verb="apply_balance",
            fields={"use_customer_balance": True},
            form=form,
        )

    def schedule_payments(
        self,
        target: Target,
        schedule: Sequence[ScheduledPayment],
        *,
        form: ActionForm = "path",
    ) -> Operation[bool]:
        """Schedule payments, each with ``amount`` and ``date``.

        Source: page "Schedule payments".
        """
        if isinstance(schedule, (str, bytes, Mapping)) or not isinstance(schedule, Iterable):
            raise UsageError("invoices.schedule_payments takes a list of payments")
        payments = list(schedule)
        if not payments:
            raise UsageError("invoices.schedule_payments was given no payment")
        for index, payment in enumerate(payments):
            verb = f"schedule_payments: [{index}]"
            _need(verb, payment, "amount", "date")
            if isinstance(payment, Mapping):
                self._need_positive(verb, payment.get("amount"))
        return self._action(
            target,
            "schedule",
            Repeat.ONCE,
            verb="schedule_payments",
            fields={"schedule": payments},
            form=form,
        )

    def void(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Bring the balance to zero and stop dunning; the total stays.

        Source: page "Void an invoice".
        """
        return self._action(target, "void", Repeat.ONCE, verb="void", form=form)

    def email(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
        **fields: Unpack[InvoiceEmail],
    ) -> Operation[bool]:
        """Mail the invoice; the fields override the template. Source: recording `send_invoice`."""
        return self._action(
            target, "email", Repeat.ONCE, verb="email", fields=fields, extra=extra, form=form
        )

    def print(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Print the invoice and send it by post; needs a print vendor subscription."""
        return self._action(target, "print", Repeat.ONCE, verb="print", form=form)

    def approve(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Approve an invoice. UNVERIFIED: a client sample only."""
        return self._action(target, "approve", Repeat.ONCE, verb="approve", form=form)


__all__ = ("Invoices",)
