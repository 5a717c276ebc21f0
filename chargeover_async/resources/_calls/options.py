"""What may go with any call: the end customer, flags, and the form of an action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from chargeover_async.errors import UsageError
from chargeover_async.models._json.checks import MAX_ID, check_mapping, shown
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.models._json.plain import plain, whole
from chargeover_async.query import QueryPairs, filter_text

ActionForm = Literal["query", "path"]
"""How an action is written, by methods that know both: ``?action=paymethod``, as in recordings and
the vendor's clients, or ``/_action/setPayMethod``, as on the vendor's newer pages."""


def is_path_form(form: ActionForm) -> bool:
    """Whether an action goes into the path; raises UsageError for what is no form."""
    if form not in {"query", "path"}:
        raise UsageError(f'form must be "query" or "path", not {form!r}')
    return form == "path"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a client or a call adds to every request and how it reads dates."""

    query: QueryPairs = ()
    dates: DateFormat | None = None


def call_query(
    on_behalf_addr: str | None,
    on_behalf_details: str | None,
    flags: Mapping[str, int] | None,
) -> QueryPairs:
    """Query parameters that pass the end customer on, and flags.

    Source: vendor's text, "On Behalf Of..."; ``_flag_emails=0`` in "Send a password reset". What
    the other flags do is UNVERIFIED (names: quickbooks, emails, webhooks, events).
    """
    pairs: list[tuple[str, str]] = []
    for name, value in (
        ("on_behalf_addr", on_behalf_addr),
        ("on_behalf_details", on_behalf_details),
    ):
        if value is not None:
            if not isinstance(value, str) or not value:
                raise UsageError(f"{name} must be text, not {shown(value)}")
            pairs.append((name, filter_text(value, name)))
    check_mapping(flags or {}, "flags")
    for flag, number in (flags or {}).items():
        code = whole(int(number) if isinstance(number, bool) else number)
        if (
            not isinstance(flag, str)
            or not flag.isidentifier()
            or code is None
            or abs(code) > MAX_ID
        ):
            raise UsageError(
                f"a flag is a name and a whole number, not {shown(flag)}: {shown(number)}"
            )
        pairs.append((f"_flag_{plain(flag).removeprefix('_flag_')}", str(code)))
    return tuple(pairs)
