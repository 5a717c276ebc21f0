"""REST hooks. Source: pages "Subscribing", "Unsubscribing"; the vendor's clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from chargeover_async.models import Created
from chargeover_async.models.resthook import Resthook, ResthookCreate
from chargeover_async.operation import Operation

from ._calls.lists import Unfiltered
from ._calls.target import Target


class Resthooks(Unfiltered[Resthook]):
    """``/_resthook``: the subscriptions to events; `webhooks` reads what they deliver."""

    object = "_resthook"
    attribute = "resthooks"
    model = Resthook
    writes: ClassVar = {"create": ResthookCreate}
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[ResthookCreate]
    ) -> Operation[Created]:
        """Have an event such as ``customer.insert`` posted to ``target_url`` (`webhooks.EVENTS`).

        A lost answer is OutcomeUnknown: look through `list` before you subscribe again, or events
        come twice. Source: page "Subscribing".
        """
        self._need("create", fields, extra, "target_url", "event")
        return self._create(fields, extra)

    def delete(self, target: Target) -> Operation[bool]:
        """End a subscription. Source: the vendor's PHP and C# clients; page "Unsubscribing"."""
        return self._delete(target)

    # The vendor's words for them.
    subscribe = create
    unsubscribe = delete


__all__ = ("Resthooks",)
