"""One HTTP request, before it is sent."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from chargeover_async.query import QueryPairs

JSON = "application/json"
API_PATH = "/api/v3"  # what every URL starts with; vendor's text, "Bulk / Batch Requests"


class Request(msgspec.Struct, frozen=True):
    """What to send: ``path`` is relative to the API's base and already percent-encoded."""

    method: str
    path: str
    query: QueryPairs = ()
    body: bytes | None = None

    @property
    def target(self) -> str:
        """Path and query string."""
        return self.path + query_string(self.query)


def query_string(pairs: QueryPairs) -> str:
    """``?name=value&...``; colons and commas stay readable, all else is percent-encoded."""
    if not pairs:
        return ""
    return "?" + "&".join(
        f"{quote(name, safe='')}={quote(text, safe=':,')}" for name, text in pairs
    )


def segment(text: str) -> str:
    """``text`` as one segment of a path: no character of it can change the path."""
    return quote(text, safe="")
