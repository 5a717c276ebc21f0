"""Lists that the API does not filter, or that cannot be paged by their primary key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, TypeVar, Unpack, overload

from chargeover_async.models import Record
from chargeover_async.operation import Operation
from chargeover_async.query import MAX_PAGE, Order, QueryPairs, Where, check_count, page_pairs
from chargeover_async.retry import Repeat

from .answers import OnUnreadable, Reading
from .base import BaseResource
from .kinds import Listable, Pages, Paging, pages

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
        reading: Reading,
        query: QueryPairs = (),
    ) -> AsyncIterator[Any]:
        order = self.primary if order is None else order
        return super()._pages(where, order, page, reading, query)


class Unfiltered(BaseResource[T]):
    """An object that the API neither filters nor sorts, as a connector of a third party found.

    It is a short list, as a rule. UNVERIFIED: that its pages are asked for by ``limit`` and
    ``offset`` like any other list's; the same connector does so.
    """

    __slots__ = ()

    @overload
    def list(self, **asked: Unpack[Paging]) -> Operation[Sequence[T]]: ...

    @overload
    def list(self, *, as_: type[R], **asked: Unpack[Paging]) -> Operation[Sequence[R]]: ...

    @overload
    def list(
        self, *, raw: Literal[True], **asked: Unpack[Paging]
    ) -> Operation[Sequence[bytes]]: ...

    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        as_: type[Any] | None = None,
        raw: bool = False,
        on_unreadable: OnUnreadable = None,
    ) -> Operation[Any]:
        """One page of records, in the API's order; the rest is as in `Listable.list`.

        ``limit`` is 1 to 500; left out, the API takes 10. Use `iterate` for all pages.
        """
        reading = self._reading(as_, raw=raw, on_unreadable=on_unreadable)
        return _listed(self, reading, page_pairs(limit, offset))

    @overload
    def iterate(self, **asked: Unpack[Pages]) -> AsyncIterator[T]: ...

    @overload
    def iterate(self, *, as_: type[R], **asked: Unpack[Pages]) -> AsyncIterator[R]: ...

    @overload
    def iterate(self, *, raw: Literal[True], **asked: Unpack[Pages]) -> AsyncIterator[bytes]: ...

    def iterate(
        self,
        *,
        page: int = MAX_PAGE,
        as_: type[Any] | None = None,
        raw: bool = False,
        on_unreadable: OnUnreadable = None,
    ) -> AsyncIterator[Any]:
        """Every record, page by page, by offset; one request for ``page`` records (1 to 500).

        The rest is as in `Listable.iterate`.
        """
        page = check_count("page", page, 1, MAX_PAGE)
        reading = self._reading(as_, raw=raw, on_unreadable=on_unreadable)
        return pages(self, (), None, page, reading, by_key=False)


class AllAtOnce(BaseResource[T]):
    """An object whose list takes neither filter nor paging, as a connector found."""

    __slots__ = ()

    @overload
    def list(self, *, on_unreadable: OnUnreadable = None) -> Operation[Sequence[T]]: ...

    @overload
    def list(
        self, *, as_: type[R], on_unreadable: OnUnreadable = None
    ) -> Operation[Sequence[R]]: ...

    @overload
    def list(self, *, raw: Literal[True]) -> Operation[Sequence[bytes]]: ...

    def list(
        self,
        *,
        as_: type[Any] | None = None,
        raw: bool = False,
        on_unreadable: OnUnreadable = None,
    ) -> Operation[Any]:
        """All records, in the API's order; the rest is as in `Listable.list`."""
        return _listed(self, self._reading(as_, raw=raw, on_unreadable=on_unreadable), ())


def _listed(resource: BaseResource[Any], reading: Reading, query: QueryPairs) -> Operation[Any]:
    return resource._call("GET", f"/{resource.object}", reading.many, Repeat.READ, query)
