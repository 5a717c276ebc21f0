"""REST hooks, and the deliveries that wait or are done."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from chargeover_async.models import Resthook
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import text
from chargeover_async.sandbox.store.row import Draft
from chargeover_async.sandbox.store.tables import Spec, Tables


def _create(_store: Tables, _draft: Draft, fields: dict[str, Any]) -> None:
    """UNVERIFIED: what is checked. An event that the sandbox never sends is taken all the same.

    The real account takes public host names on ports 80 and 443 only (page "Webhooks"); here
    any address is taken, and `delivering` decides which of them is posted to.
    """
    for name in ("target_url", "event"):
        if fields.get(name) is None:
            raise missing(name)
    try:
        url = urlsplit(text(fields["target_url"]))
        sound = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        sound = False
    object_, _, event = text(fields["event"]).partition(".")
    if not sound or not object_ or not event:
        raise Refused(INVALID)


RESTHOOK = Spec(
    name="_resthook",
    key="resthook_id",
    model=Resthook,
    commands=frozenset(("create", "delete")),
    on_create=_create,
)


class _Delivery(msgspec.Struct, kw_only=True):
    """One event for one hook.

    ``status`` is pending, delivered, failed or, for an address that is not this machine's, refused.
    ``answer`` is the last status code, or what went wrong instead. ``pending`` is 1 or None.
    """

    delivery_id: int
    resthook_id: int
    target_url: str
    event: str
    context_id: int
    body: str
    status: str
    attempts: int
    answer: str | None = None
    pending: int | None = None


DELIVERY = Spec(
    name="_delivery",
    key="delivery_id",
    model=_Delivery,
    internal=True,
    indexes=("pending",),
)
