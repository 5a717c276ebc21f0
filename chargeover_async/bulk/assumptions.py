"""What the engine assumes of the server where the vendor's documents say nothing."""

from __future__ import annotations

from typing import Literal

import msgspec


class ServerAssumptions(msgspec.Struct, frozen=True, kw_only=True):
    """How ``_bulk`` behaves where no source shows it; every default is on the safe side.

    All of it is UNVERIFIED. The engine is right whichever way the server behaves; an assumption
    that is true of your account saves requests; a wrong one costs errors or, where it says so,
    more.
    """

    later_items: Literal["unknown", "run", "not_run"] = "unknown"
    """Whether items behind a failed one are still run. ``"unknown"``: an item that was refused
    behind a failed one is tried once more at the head of a batch, until an answer shows that the
    server goes on. ``"not_run"``: they are sent again. If that is wrong, they are doubled."""

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


__all__ = ("ServerAssumptions",)
