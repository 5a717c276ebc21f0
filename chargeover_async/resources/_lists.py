"""Lists that the API does not filter, or that cannot be paged by their primary key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar, overload

from chargeover_async.models import Record
from chargeover_async.models._codec import check_kind, read_many
from chargeover_async.operation import Operation
from chargeover_async.query import MAX_PAGE, Order, QueryPairs, Where, page_pairs
from chargeover_async.retry import Repeat

from ._base import BaseResource, Listable, _iterate

T = TypeVar("T", bound=Record)
R = TypeVar("R", bound=Record)


class OffsetListable(Listable[T]):
    """An object whose primary key is not among the fields that its page filters by.

    `iterate` counts offsets, by rising primary key when no ``order`` is given.
    """

    __slots__ = ()

    def _pages(
        self,
        where: Where,
        order: Order,
        page: int,
        kind: type[Any] | None,
        query: QueryPairs = (),
    ) -> AsyncIterator[Any]:
        order = self.primary if order is None else order
        return super()._pages(where, order, page, kind, query)


class Unfiltered(BaseResource[T]):
    """An object that the API neither filters nor sorts, as a connector of a third party found.

    It is a short list, as a rule. UNVERIFIED: that its pages are asked for by ``limit`` and
    ``offset`` like any other list's; the same connector does so.
    """

    __slots__ = ()

    @overload
    def list(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Operation[Sequence[T]]: ...

    @overload
    def list(
        self, *, limit: int | None = None, offset: int | None = None, as_: type[R]
    ) -> Operation[Sequence[R]]: ...

    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        as_: type[Any] | None = None,
    ) -> Operation[Any]:
        """One page of records, in the API's order.

        ``limit`` is 1 to 500; left out, the API takes 10. Use `iterate` for all pages.
        """
        return _listed(self, as_, page_pairs(limit, offset))

    @overload
    def iterate(self, *, page: int = MAX_PAGE) -> AsyncIterator[T]: ...

    @overload
    def iterate(self, *, page: int = MAX_PAGE, as_: type[R]) -> AsyncIterator[R]: ...

    def iterate(self, *, page: int = MAX_PAGE, as_: type[Any] | None = None) -> AsyncIterator[Any]:
        """Every record, page by page, by offset; one request for ``page`` records (1 to 500)."""
        page_pairs(page, None)
        return _iterate(self, (), (), page, check_kind(as_ or self.model), ())


class Whole(BaseResource[T]):
    """An object whose list takes neither filter nor paging, as a connector found."""

    __slots__ = ()

    @overload
    def list(self) -> Operation[Sequence[T]]: ...

    @overload
    def list(self, *, as_: type[R]) -> Operation[Sequence[R]]: ...

    def list(self, *, as_: type[Any] | None = None) -> Operation[Any]:
        """All records, in the API's order."""
        return _listed(self, as_, ())


def _listed(
    resource: BaseResource[Any], as_: type[Any] | None, query: QueryPairs
) -> Operation[Any]:
    kind, dates = check_kind(as_ or resource.model), resource._options.dates
    path = f"/{resource.object}"
    return resource._call("GET", path, lambda raw: read_many(raw, kind, dates), Repeat.READ, query)
