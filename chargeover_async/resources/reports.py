"""Reports and aggregates. Source: page "Run a report"; the vendor's PHP client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeVar, overload

from chargeover_async.errors import UsageError
from chargeover_async.models._json.base import Mixed, Record
from chargeover_async.models._json.read import read_untyped
from chargeover_async.models.report import AggregateQuery, Report
from chargeover_async.operation import Operation, Reader
from chargeover_async.query import Order, Where, order_pair, page_pairs, where_texts
from chargeover_async.retry import Repeat

from ._calls.base import BaseResource
from ._calls.lists import AllAtOnce
from ._calls.options import ActionForm, is_path_form
from ._calls.target import Target

X = TypeVar("X")

MAX_REPORT_PAGE = 1_000  # page "Run a report": against 500 of a list


class Reports(AllAtOnce[Report]):
    """``/_report``.

    UNVERIFIED: the list is known from a connector only.
    """

    object = "_report"
    attribute = "reports"
    model = Report
    __slots__ = ()

    @overload
    def report_data(
        self,
        target: Target,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
        form: ActionForm = "path",
    ) -> Operation[Mixed]: ...

    @overload
    def report_data(
        self,
        target: Target,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
        form: ActionForm = "path",
        as_: type[X],
    ) -> Operation[X]: ...

    @overload
    def report_data(
        self,
        target: Target,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
        form: ActionForm = "path",
        raw: Literal[True],
    ) -> Operation[bytes]: ...

    def report_data(
        self,
        target: Target,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
        form: ActionForm = "path",
        as_: type[Any] | None = None,
        raw: bool = False,
    ) -> Operation[Any]:
        """Run a report and return its data; ``limit`` is 1 to 1000, ``offset`` needs ``order``.

        Columns join object and field: ``F.invoice_invoice_date >= date(2017, 5, 2)``. UNVERIFIED:
        no source shows the shape of the rows, so they come as they are, numbers with a fraction as
        Decimal, unless ``as_`` says what they are (``list[MyRow]``); ``raw=True`` gives the JSON.
        Source: page "Run a report".
        """
        if offset is not None and not order:
            raise UsageError('reports.report_data: offset needs order (page "Run a report")')
        in_path = is_path_form(form)
        query = (*order_pair(order), *page_pairs(limit, offset, most=MAX_REPORT_PAGE))
        return self._on(
            target,
            "POST",
            _reader(self, as_, raw=raw),
            Repeat.READ,
            verb="report_data",
            suffix="/_action/reportData" if in_path else "",
            query=query if in_path else (("action", "reportData"), *query),
            payload=where_texts(where),
        )


class Aggregate(BaseResource[Record]):
    """``/_aggregate``: sums and counts over an object. Source: the vendor's PHP client."""

    object = "_aggregate"
    attribute = "aggregate"
    model = Record
    writes: ClassVar = {"aggregate": AggregateQuery}
    __slots__ = ()

    def __call__(
        self,
        object: str,  # noqa: A002 - the vendor's word for it
        fields: Sequence[str],
        *,
        where: Where = None,
        group: Sequence[str] = (),
        as_: type[Any] | None = None,
        raw: bool = False,
    ) -> Operation[Any]:
        """Aggregate: ``await co.aggregate("invoice", ["SUM(total)"], group=["customer_id"])``.

        ``fields`` are names or ``FUNC(name)``, as the vendor's PHP client builds them. UNVERIFIED:
        which functions there are, and the reply, which comes as it is, numbers with a fraction as
        Decimal, unless ``as_`` says what it is, or ``raw`` asks for the JSON.
        """
        if not isinstance(object, str) or not object:
            raise UsageError("aggregate needs an object, such as 'invoice'")
        if isinstance(fields, str) or not fields:
            raise UsageError("aggregate needs a list of fields, such as ['SUM(total)']")
        if isinstance(group, str):
            raise UsageError("aggregate: group takes a list of fields")
        query: dict[str, Any] = {
            "object": object,
            "fields": fields,
            "where": where_texts(where),
            # As the PHP client's builder: an empty text for no group.
            "group": [*group] or "",
        }
        payload, refs = self._prepare("aggregate", query, None)
        reader = _reader(self, as_, raw=raw)
        return self._call("POST", "/_aggregate", reader, Repeat.READ, payload=payload, refs=refs)


def _reader(resource: BaseResource[Any], as_: type[Any] | None, *, raw: bool) -> Reader:
    return resource._reading(as_, raw=raw).one if raw or as_ is not None else read_untyped


__all__ = ("Aggregate", "Reports")
