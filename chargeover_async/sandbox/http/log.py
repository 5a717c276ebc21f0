"""What is kept of each request."""

from __future__ import annotations

from dataclasses import dataclass, field

from chargeover_async.sandbox.api.bulk import Outcome
from chargeover_async.sandbox.protocol.caller import Caller, caller_of
from chargeover_async.sandbox.protocol.where import parse_query


@dataclass(slots=True)
class LogEntry:
    """One request as it arrived, and what came of it.

    ``at`` is a time of the sandbox's clock. ``path`` and ``query`` are as they were sent.
    ``status`` is 0 while there is no answer, and stays 0 if the connection was dropped. ``items``
    are the requests inside a ``_bulk``. ``fault`` is the fault that was played. ``number`` counts
    the requests of one application from 1; ``took`` is the seconds from arrival to the answer, None
    while it is worked on. ``body`` is what was sent, kept only if the sandbox was told to
    (``keep_bodies``), with card numbers and other secrets masked; no repr and no page shows it.
    """

    at: float
    method: str
    path: str
    query: str
    status: int = 0
    items: list[Outcome] = field(default_factory=list[Outcome])
    fault: str | None = None
    number: int = 0
    took: float | None = None
    body: bytes | None = field(default=None, repr=False)

    @property
    def caller(self) -> Caller:
        """The end customer that the request names (``on_behalf_*``), and its flags."""
        return caller_of(parse_query(self.query))
