"""What a request says about who it is made for, in its query string.

Source: the vendor's text, "On Behalf Of..." and "Send a password reset" (``_flag_emails=0``); its
PHP client (the other flags).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_FLAG = "_flag_"
_NONE: Mapping[str, str] = {}


class Caller(NamedTuple):
    """The end customer that a request is made on behalf of, and its flags.

    ``addr`` and ``details`` are None when the request does not say; ``flags`` are as they were
    sent, by name: ``{"emails": "0"}``. ``query`` is all of it, of this request alone.
    """

    addr: str | None = None
    details: str | None = None
    flags: Mapping[str, str] = _NONE
    query: Mapping[str, str] = _NONE

    @property
    def wants_webhooks(self) -> bool:
        """False with ``_flag_webhooks=0`` (UNVERIFIED: no source says what the flag does)."""
        return self.flags.get("webhooks") != "0"


_NOBODY = Caller()


def caller_of(query: Mapping[str, str], outer: Caller | None = None) -> Caller:
    """The caller that a query names; what it leaves out is that of the batch around it.

    UNVERIFIED: that the query of a ``_bulk`` holds for the requests inside.
    """
    outer = outer or _NOBODY
    if not query:
        return outer._replace(query=query) if outer.query else outer
    flags = {n.removeprefix(_FLAG): v for n, v in query.items() if n.startswith(_FLAG)}
    return Caller(
        query.get("on_behalf_addr", outer.addr),
        query.get("on_behalf_details", outer.details),
        {**outer.flags, **flags} if flags else outer.flags,
        query,
    )
