"""Stored credit cards.

Source: pages "Store a credit card", "Querying for credit cards"; recordings `destroy_card`,
`recurring_package_with_credit_card`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from chargeover_async.models import Created, CreditCard, CreditCardCreate
from chargeover_async.operation import Operation

from ._calls.kinds import Listable, Readable
from ._calls.target import Target


class CreditCards(Readable[CreditCard], Listable[CreditCard]):
    """``/creditcard``; no source shows a count, revisions or an update."""

    object = "creditcard"
    attribute = "creditcards"
    model = CreditCard
    writes: ClassVar = {"create": CreditCardCreate}
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[CreditCardCreate]
    ) -> Operation[Created]:
        """Store a card; the number of one that is stored updates that one.

        The number is in no message, label or log. Source: page "Store a credit card"; no recording.
        UNVERIFIED: which fields must be sent, and what an ``external_key`` does to an update.
        """
        return self._create(fields, extra)

    def delete(self, target: Target) -> Operation[bool]:
        """Delete a stored card. Source: recording `destroy_card`."""
        return self._delete(target)


__all__ = ("CreditCards",)
