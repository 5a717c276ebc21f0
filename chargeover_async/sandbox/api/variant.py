"""The behaviours of the server that no source shows, each a switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way in which the real server may turn out to behave, or an account may be set.

    Whatever is not said to be documented is UNVERIFIED.

    Attributes:
        stop_after_failure: what happens to the items of a ``_bulk`` behind one that failed: they
            run ("continue"), each is answered with an error without running ("skip"), or the
            answer ends after the failed one ("truncate").
        accept_delete: DELETE may stand in a ``_bulk`` (the vendor's table does not list it).
        accept_query: a ``uri`` in a ``_bulk`` may have a query string.
        accept_actions: a ``_bulk`` may call actions, in either spelling.
        nested_jsonpath: ``X_jsonpath`` is also replaced inside nested objects of a payload.
        bad_reference: an ``X_jsonpath`` that names nothing fails its item ("error"), or is dropped
            and the item runs without it ("ignore").
        deleted_keys: what becomes of the external key of a record that is deleted: it stays taken
            ("kept", the default of an account), or may be used again ("freed", as it is when the
            account has such keys cleared or mangled).
        cancelled_keys: what becomes of the external key of a subscription that is cancelled: it is
            "kept", "cleared", or "mangled" by a random string at its end. Both kinds of policies
            are the vendor's text, "External Keys".
        iso_datetimes: datetimes go out as ``2026-10-05T10:11:57+00:00`` (the vendor's text on
            dates) and not as ``2026-10-05 10:11:57`` (the recordings); an account can be set
            either way.
    """

    stop_after_failure: Literal["continue", "skip", "truncate"] = "continue"
    accept_delete: bool = True
    accept_query: bool = True
    accept_actions: bool = True
    nested_jsonpath: bool = True
    bad_reference: Literal["error", "ignore"] = "error"
    deleted_keys: Literal["kept", "freed"] = "kept"
    cancelled_keys: Literal["kept", "cleared", "mangled"] = "kept"
    iso_datetimes: bool = False
