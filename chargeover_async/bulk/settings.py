"""Bounds and choices of a bulk scope, what is assumed of the server, and the sums at the end."""

from __future__ import annotations

from typing import Literal

import msgspec

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.errors import UsageError


class ServerAssumptions(msgspec.Struct, frozen=True, kw_only=True):
    """How ``_bulk`` behaves where no source shows it; every default is on the safe side.

    All of it is UNVERIFIED. The engine is right whichever way the server behaves; an assumption
    that is true of your account saves requests; a wrong one costs errors or, where it says so,
    more.
    """

    later_items: Literal["unknown", "run", "not_run"] = "unknown"
    """Whether items behind a failed one are still run. ``"unknown"``: an item that was refused
    behind a failed one is tried once more at the head of a batch, until an answer shows that the
    server goes on: a success behind a refusal, or a refusal that names the item's own
    key. ``"not_run"``: they are sent again. If that is wrong, they are doubled."""

    deletes: bool = False
    """Whether ``_bulk`` takes DELETE. False: a delete is a request of its own."""

    queries: bool = False
    """Whether ``_bulk`` takes a query string in ``uri``. False: a request of its own."""

    actions: bool = False
    """Whether ``_bulk`` takes actions (``/_action/name``). False: a request of its own."""

    jsonpath_keys: frozenset[str] | None = frozenset({"customer_jsonpath"})
    """The ``*_jsonpath`` keys that the server replaces; None for all. Only this one is shown. For
    any other the engine waits for the target and puts in the value."""

    jsonpath_any_path: bool = False
    """Whether paths other than ``$.response.id`` are left to the server."""

    def allows(self, key: str, path: str) -> bool:
        """Whether a reference may go out as ``key`` (as in ``customer_jsonpath``)."""
        if path != "$.response.id" and not self.jsonpath_any_path:
            return False
        return self.jsonpath_keys is None or key in self.jsonpath_keys


class BulkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and choices of a bulk scope or a stream.

    ``max_batch_ops`` (1 to 25) and ``max_batch_bytes`` bound a request, ``max_waiting`` and
    ``max_waiting_bytes`` what is accepted and not settled, ``max_in_flight`` the requests under way
    at once (latency / 0.24 s of them use up the quota). ``references="client"`` never uses the
    server's ``*_jsonpath``. ``on_existing="continue"`` lets an operation go on whose target was
    refused because its external key is taken: it then refers to the record that has the key.

    ``carry_direct_calls`` lets direct calls of the same client travel at the head of the next batch
    while work of this scope or stream waits for the quota: one that can go into a batch then costs
    its place in it instead of a request of its own. Its answer takes as long as the batch, so this
    is for an account where the quota is scarcer than patience.
    """

    max_batch_ops: int = MAX_ITEMS
    max_batch_bytes: int = 1_000_000
    max_waiting: int = 10_000
    max_waiting_bytes: int = 64_000_000
    max_in_flight: int = 24
    references: Literal["server", "client"] = "server"
    on_existing: Literal["fail", "continue"] = "fail"
    carry_direct_calls: bool = False
    assumptions: ServerAssumptions = ServerAssumptions()

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch_ops <= MAX_ITEMS:
            raise UsageError(f"max_batch_ops must be 1 to {MAX_ITEMS}, not {self.max_batch_ops}")
        for name in ("max_batch_bytes", "max_waiting", "max_waiting_bytes", "max_in_flight"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} must be a whole number from 1, not {value!r}")
        for name, allowed in (
            ("references", {"server", "client"}),
            ("on_existing", {"fail", "continue"}),
        ):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} must be one of {sorted(allowed)}")


class BulkReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the operations of a closed scope ended; the numbers add up to what was accepted."""

    done: int = 0
    refused: int = 0
    not_sent: int = 0
    unknown: int = 0


__all__ = ("BulkReport", "BulkSettings", "ServerAssumptions")
