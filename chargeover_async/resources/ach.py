"""Stored bank accounts. Source: pages "Store an ACH account", "Querying for ACH accounts"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from chargeover_async.models import AchAccount, AchAccountCreate, Created
from chargeover_async.operation import Operation

from ._calls.kinds import Listable
from ._calls.target import Target


class AchAccounts(Listable[AchAccount]):
    """``/ach``; no source shows reading one by its id, a count, revisions or an update."""

    object = "ach"
    attribute = "ach"
    model = AchAccount
    writes: ClassVar = {"create": AchAccountCreate}
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[AchAccountCreate]
    ) -> Operation[Created]:
        """Store a bank account; number and routing of one that is stored update that one.

        The numbers are in no message, label or log. Source: page "Store an ACH account"; no
        recording. UNVERIFIED: that a lost answer can be settled by looking the key up, as for every
        object; where it cannot, the outcome stays unknown.
        """
        return self._create(fields, extra)

    def delete(self, target: Target) -> Operation[bool]:
        """Delete a stored bank account.

        Source: clients of the vendor. UNVERIFIED: the answer, taken to be that of a card.
        """
        return self._delete(target)


__all__ = ("AchAccounts",)
