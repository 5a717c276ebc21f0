"""ChargeOver.js requests. Source: "Get a list of pending requests", "Commit or reject ..."."""

from __future__ import annotations

from typing import ClassVar

from chargeover_async.models._json.checks import check_key
from chargeover_async.models.chargeoverjs import CommitRequest, PendingRequest, RejectRequest
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat

from ._calls.answers import read_true
from ._calls.lists import AllAtOnce


class Chargeoverjs(AllAtOnce[PendingRequest]):
    """``/_chargeoverjs``: what waits for review, where the account has that switched on."""

    object = "_chargeoverjs"
    attribute = "chargeoverjs"
    model = PendingRequest
    writes: ClassVar = {"commit": CommitRequest, "reject": RejectRequest}
    __slots__ = ()

    def commit(self, token: str) -> Operation[bool]:
        """Do what the pending request with this token asks.

        The page says it answers true; the vendor's C# client reads an id, which counts as true.
        """
        return self._decide("commit", token)

    def reject(self, token: str) -> Operation[bool]:
        """Discard the pending request with this token."""
        return self._decide("reject", token)

    def _decide(self, verb: str, token: str) -> Operation[bool]:
        # Once, both of them: the second of two would be refused, as the token is used up.
        token = check_key(token, f"{self.attribute}.{verb}: the token")
        payload, refs = self._prepare(verb, {verb: token}, None)
        return self._call(
            "POST", f"/{self.object}", read_true, Repeat.ONCE, payload=payload, refs=refs
        )


__all__ = ("Chargeoverjs",)
