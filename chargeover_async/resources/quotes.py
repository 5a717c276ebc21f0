"""Quotes. Source: pages "Create a quote", "Get a specific quote", "Query for quotes"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from chargeover_async.errors import UsageError
from chargeover_async.models import Created, Quote, QuoteCreate
from chargeover_async.operation import Operation

from ._calls.base import CUSTOMER
from ._calls.kinds import Resource


class Quotes(Resource[Quote]):
    """``/quote``; no source shows an update, a delete or an action.

    A quote is accepted and rejected by the customer, at its ``url_acceptlink`` and
    ``url_rejectlink``.
    """

    object = "quote"
    attribute = "quotes"
    model = Quote
    writes: ClassVar = {"create": QuoteCreate}
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[QuoteCreate]
    ) -> Operation[Created]:
        """Create a quote for a customer, with a ``paycycle`` and at least one line.

        Raises UsageError without one of them: page "Create a quote" requires all three. No
        recording shows a quote.
        """
        self._need("create", fields, extra, CUSTOMER, "paycycle")
        if not (fields.get("line_items") or (extra or {}).get("line_items")):
            raise UsageError("quotes.create needs at least one entry in line_items")
        return self._create(fields, extra)


__all__ = ("Quotes",)
