"""Bounds and choices of a bulk scope, and the sums at its end."""

from __future__ import annotations

from typing import Literal

import msgspec

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.errors import UsageError

from .assumptions import ServerAssumptions


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


__all__ = ("BulkReport", "BulkSettings")
