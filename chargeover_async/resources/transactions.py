"""Transactions: payments, refunds and credits.

Source: the vendor's text and pages on transactions; recordings `create_and_apply_payment`,
`create_one_credit`, `create_and_apply_credit`, `list_transactions`. No source shows an update or a
delete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Unpack

from chargeover_async._refs import Ref
from chargeover_async.errors import UsageError
from chargeover_async.models import (
    AppliedAmountIn,
    Created,
    CreditCreate,
    RefundCreate,
    Transaction,
    TransactionApply,
    TransactionCreate,
    TransactionEmail,
    TransactionPay,
    TransactionRefunding,
)
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat
from chargeover_async.vocabulary import GatewayMethod, TransactionType

from ._calls.answers import read_created
from ._calls.base import CUSTOMER
from ._calls.kinds import Resource
from ._calls.options import ActionForm
from ._calls.target import Target


class Transactions(Resource[Transaction]):
    """``/transaction``."""

    object = "transaction"
    attribute = "transactions"
    model = Transaction
    writes: ClassVar = {
        "create": TransactionCreate,
        "create_credit": CreditCreate,
        "create_refund": RefundCreate,
        "pay": TransactionPay,
        "refund": TransactionRefunding,
        "email": TransactionEmail,
        "change_applied_amounts": TransactionApply,
    }
    __slots__ = ()

    # -- recording what happened elsewhere ---------------------------------------------------

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[TransactionCreate]
    ) -> Operation[Created]:
        """Record a transaction that happened elsewhere; nothing is charged.

        Every sample sends a customer, ``transaction_type`` (`TransactionType`) and ``amount``.
        Source: recording `create_and_apply_payment`.
        """
        return self._create(fields, extra)

    def create_credit(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[CreditCreate]
    ) -> Operation[Created]:
        """Record a credit memo: type ``cre``, method ``credit``.

        Source: recording `create_one_credit`.
        """
        kind = {
            "transaction_type": TransactionType.CREDIT,
            "gateway_method": GatewayMethod.CREDIT,
        }
        return self._create_as("create_credit", kind, fields, extra)

    def create_refund(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[RefundCreate]
    ) -> Operation[Created]:
        """Record a refund that was made elsewhere: type ``ref``.

        ``amount`` and each ``applied`` are negative (a client of the vendor; no recording). What
        gives money back is `refund`.
        """
        kind = {"transaction_type": TransactionType.REFUND}
        return self._create_as("create_refund", kind, fields, extra)

    def _create_as(
        self,
        verb: str,
        kind: Mapping[str, str],
        fields: Mapping[str, Any],
        extra: Mapping[str, Any] | None,
    ) -> Operation[Created]:
        for name, value in kind.items():
            if name in (extra or ()):
                raise UsageError(f"transactions.{verb}: {name} is {value!r}, not for extra to say")
        return self._create(fields, {**(extra or {}), **kind}, verb=verb)

    # -- moving money ------------------------------------------------------------------------

    def pay(
        self,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
        **fields: Unpack[TransactionPay],
    ) -> Operation[Created]:
        """Charge a customer now; a decline is a BadRequest with the gateway's words.

        Needs a customer, and ``amount`` or the invoices in ``applied_to``. Without ``paymethods``
        the subscription's method, the customer's default and then every stored one are tried. Never
        sent twice by itself. Source: vendor's text, "On Behalf Of..."; page "Make a payment".
        """
        self._need("pay", fields, extra, CUSTOMER, ("amount", "applied_to"))
        self._need_positive("pay", fields.get("amount"))
        return self._action(
            None,
            "pay",
            Repeat.ONCE,
            verb="pay",
            fields=fields,
            extra=extra,
            reader=read_created,
            form=form,
        )

    def refund(
        self,
        target: Target,
        *,
        amount: Decimal | int | str | None = None,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
    ) -> Operation[Created]:
        """Give a payment back through its gateway, all of it or ``amount`` (positive).

        Returns the new transaction. Never sent twice by itself. Source: clients of the vendor; no
        recording. UNVERIFIED: ``form="path"``.
        """
        self._need_positive("refund", amount)
        fields = {} if amount is None else {"amount": amount}
        return self._action(
            target,
            "refund",
            Repeat.ONCE,
            verb="refund",
            fields=fields,
            extra=extra,
            reader=read_created,
            form=form,
        )

    def void(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Void a transaction. Never sent twice by itself.

        Source: a client of the vendor; no recording. UNVERIFIED: ``form="path"``.
        """
        return self._action(target, "void", Repeat.ONCE, verb="void", form=form)

    # -- the rest ----------------------------------------------------------------------------

    def email(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
        **fields: Unpack[TransactionEmail],
    ) -> Operation[bool]:
        """Mail the receipt, or the notice of a failure; the fields override the template.

        Source: page "Email a receipt".
        """
        return self._action(
            target,
            "email",
            Repeat.ONCE,
            verb="email",
            fields=fields,
            extra=extra,
            form=form,
        )

    def change_applied_amounts(
        self,
        target: Target,
        applied_to: Sequence[AppliedAmountIn | int | str | Ref],
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
    ) -> Operation[bool]:
        """Apply a payment or credit to these invoices and to no others; ``[]`` to none.

        The list is complete, so a repeat changes nothing. Refunds cannot be changed. Source: page
        "Adjust applied amounts", where the list has the keys 0 and 1; a client sends a list.
        """
        return self._action(
            target,
            "changeAppliedAmounts",
            Repeat.IDEMPOTENT,
            verb="change_applied_amounts",
            fields={"applied_to": applied_to},
            extra=extra,
            form=form,
        )


__all__ = ("Transactions",)
