"""The kinds of reading that the API has for its objects: get, list, iterate, count, revisions."""

# ruff: noqa: A002 - id is the vendor's word
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from chargeover_async._refs import Ref
from chargeover_async.errors import DecodeError, UsageError
from chargeover_async.models import Created, Record, Revision
from chargeover_async.models._json.checks import check_key
from chargeover_async.models._json.read import read_many
from chargeover_async.operation import Operation
from chargeover_async.query import (
    MAX_PAGE,
    MAX_REVISIONS,
    Order,
    QueryPairs,
    Where,
    check_count,
    order_pair,
    page_pairs,
    where_pair,
)
from chargeover_async.retry import Repeat

from .answers import OnUnreadable, Reading, read_count
from .base import BaseResource
from .target import ExternalKey, Target, Token

T = TypeVar("T", bound=Record)
R = TypeVar("R", bound=Record)


Id = int | Ref | Operation[Created] | None


class ByKey(TypedDict, total=False):
    """What names a record in the place of its id."""

    external_key: str | None
    token: str | None


class Paging(TypedDict, total=False):
    """Which page of a list."""

    limit: int | None
    offset: int | None
    on_unreadable: OnUnreadable


class Listing(Paging, total=False):
    """Which records of a list, and which page of them."""

    where: Where
    order: Order


class Pages(TypedDict, total=False):
    """How all pages of a list are read."""

    page: int
    on_unreadable: OnUnreadable


class Iterating(Pages, total=False):
    """Which records of a list, all pages of them."""

    where: Where
    order: Order


class Addressable(BaseResource[T]):
    """An object of which one record can be asked for, by id, external key or token."""

    __slots__ = ()

    def _get(
        self,
        id: Id,
        external_key: str | None,
        token: str | None,
        reading: Reading,
        query: QueryPairs = (),
    ) -> Operation[Any]:
        given = [name for name in (id, external_key, token) if name is not None]
        if len(given) != 1:
            raise UsageError(f"{self.attribute}.get takes one of id, external_key and token")
        target: Target
        if external_key is not None:
            target = ExternalKey(check_key(external_key, "external_key"))
        elif token is not None:
            target = Token(check_key(token, "token"))
        else:
            assert id is not None
            target = id
        return self._on(target, "GET", reading.one, Repeat.READ, query=query, verb="get")


class Readable(Addressable[T]):
    """An object whose records can be read one by one."""

    __slots__ = ()

    @overload
    def get(self, id: Id = None, **key: Unpack[ByKey]) -> Operation[T]: ...

    @overload
    def get(self, id: Id = None, *, as_: type[R], **key: Unpack[ByKey]) -> Operation[R]: ...

    @overload
    def get(
        self, id: Id = None, *, raw: Literal[True], **key: Unpack[ByKey]
    ) -> Operation[bytes]: ...

    def get(
        self,
        id: Id = None,
        *,
        external_key: str | None = None,
        token: str | None = None,
        as_: type[Any] | None = None,
        raw: bool = False,
    ) -> Operation[Any]:
        """One record, by exactly one of id, external key and token.

        ``as_`` is a subclass with names of your own (`Record`); ``raw=True`` returns the JSON of
        the record as it came. Raises NotFound when there is none. Source: vendor's text, "External
        Keys", "Object Tokens".
        """
        return self._get(id, external_key, token, self._reading(as_, raw=raw))


class Pageable(BaseResource[T]):
    """An object of which pages of records can be asked for, filtered and sorted."""

    __slots__ = ()

    def _list(
        self,
        where: Where,
        order: Order,
        limit: int | None,
        offset: int | None,
        reading: Reading,
        query: QueryPairs = (),
    ) -> Operation[Any]:
        query = (*where_pair(where), *order_pair(order), *page_pairs(limit, offset), *query)
        return self._call("GET", f"/{self.object}", reading.many, Repeat.READ, query)

    def _pages(
        self,
        where: Where,
        order: Order,
        page: int,
        reading: Reading,
        query: QueryPairs = (),
    ) -> AsyncIterator[Any]:
        page = check_count("page", page, 1, MAX_PAGE)
        order_pair(order)
        return pages(self, where_pair(where), order, page, reading, query)


class Listable(Pageable[T]):
    """An object whose records can be listed."""

    __slots__ = ()

    @overload
    def list(self, **asked: Unpack[Listing]) -> Operation[Sequence[T]]: ...

    @overload
    def list(self, *, as_: type[R], **asked: Unpack[Listing]) -> Operation[Sequence[R]]: ...

    @overload
    def list(
        self, *, raw: Literal[True], **asked: Unpack[Listing]
    ) -> Operation[Sequence[bytes]]: ...

    def list(
        self,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
        as_: type[Any] | None = None,
        raw: bool = False,
        on_unreadable: OnUnreadable = None,
    ) -> Operation[Any]:
        """One page of records, in the API's order (by rising id, unless ``order`` is given).

        ``limit`` is 1 to 500; left out, the API takes 10. ``offset`` counts records from 0. Lists
        leave out nested parts. Use `iterate` for all pages.

        ``as_`` and ``raw`` are as in `get`, record by record. A record that does not fit its struct
        raises DecodeError; with ``on_unreadable`` it is left out and the error handed to that
        function: it names object, id and field and carries the raw JSON.
        Source: vendor's text, "Paging"; recordings `customer_list`, `customer_with_invoices`.
        """
        reading = self._reading(as_, raw=raw, on_unreadable=on_unreadable)
        return self._list(where, order, limit, offset, reading)

    @overload
    def iterate(self, **asked: Unpack[Iterating]) -> AsyncIterator[T]: ...

    @overload
    def iterate(self, *, as_: type[R], **asked: Unpack[Iterating]) -> AsyncIterator[R]: ...

    @overload
    def iterate(
        self, *, raw: Literal[True], **asked: Unpack[Iterating]
    ) -> AsyncIterator[bytes]: ...

    def iterate(
        self,
        *,
        where: Where = None,
        order: Order = None,
        page: int = MAX_PAGE,
        as_: type[Any] | None = None,
        raw: bool = False,
        on_unreadable: OnUnreadable = None,
    ) -> AsyncIterator[Any]:
        """Every record that fits, page by page; one request for ``page`` records (1 to 500).

        Without ``order`` it goes by the primary key and asks for what comes after the last one
        seen, so that records created or deleted meanwhile shift nothing. With ``order`` it counts
        offsets: a record that changes its place meanwhile may be seen or not, but once.
        It ends with a page that is empty, and raises DecodeError where pages do not go on.

        ``as_``, ``raw`` and ``on_unreadable`` are as in `list`: with the last, a record that cannot
        be read does not stop the iteration.
        """
        reading = self._reading(as_, raw=raw, on_unreadable=on_unreadable)
        return self._pages(where, order, page, reading)


class Countable(BaseResource[T]):
    """An object whose records can be counted."""

    __slots__ = ()

    def count(self, *, where: Where = None) -> Operation[int]:
        """How many records there are. Source: vendor's text, "Counting Objects"."""
        path = f"/{self.object}/_count"
        return self._call("GET", path, read_count, Repeat.READ, where_pair(where))


class Revisable(BaseResource[T]):
    """An object that keeps a history of its records."""

    __slots__ = ()

    def revisions(
        self, target: Target, *, limit: int | None = None
    ) -> Operation[Sequence[Revision]]:
        """The record's latest changes, newest first; ``limit`` is 1 to 10, left out 10.

        Source: vendor's text, "Object Revisions".
        """
        dates = self._options.dates
        return self._on(
            target,
            "GET",
            lambda raw: read_many(raw, Revision, dates),
            Repeat.READ,
            suffix="/_revision",
            query=page_pairs(limit, None, most=MAX_REVISIONS),
            verb="revisions",
        )


class Resource(Readable[T], Listable[T], Countable[T], Revisable[T]):
    """The four kinds of reading that the API has for its main objects."""

    __slots__ = ()


async def pages(
    resource: BaseResource[Any],
    where: QueryPairs,
    order: Order,
    page: int,
    reading: Reading,
    more: QueryPairs = (),
    *,
    by_key: bool = True,
) -> AsyncIterator[Any]:
    """Pages by key or by offset, until one is empty: one that is not full may be a server's own.

    Raises DecodeError where ids do not rise, or where a page repeats what was there before and is
    full, or fewer than the API counts; before it hands out anything of that page.
    """
    primary = resource.primary
    by_key = by_key and order is None
    clauses = where[0][1] if where else ""
    last: int | None = None
    seen: set[int | str] = set()
    offset = listed = 0
    while True:
        condition = clauses
        if by_key and last is not None:
            condition = f"{clauses},{primary}:GT:{last}" if clauses else f"{primary}:GT:{last}"
        query: QueryPairs = (("where", condition),) if condition else ()
        query += order_pair(primary if by_key else order)
        query += page_pairs(page, None if by_key else offset) + more
        records = await resource._call(
            "GET", f"/{resource.object}", reading.every, Repeat.READ, query
        )
        if not records:
            return
        ids = [reading.identity(record, primary) for record in records]
        marks = {
            repr(record) if number is None else number
            for number, record in zip(ids, records, strict=True)
        }
        if marks <= seen and len(records) < page and await _is_all(resource, where, listed):
            return  # a list that is not paged, and whole: it was no full page
        again: set[int | str] = set()
        if by_key:
            last = _last_of(resource, ids, last)
            seen = marks  # the others are below
        elif marks <= seen:
            raise DecodeError(
                f"the API does not page {resource.attribute} by offset: it answered offset "
                f"{offset} with records that it had listed before",
                object=resource.object,
            )
        else:
            again = seen & marks
            seen |= marks
        offset += len(records)
        listed += sum(number not in again for number in ids)
        for number, record in zip(ids, records, strict=True):
            if number not in again and reading.is_readable(record):
                yield record


async def _is_all(resource: BaseResource[Any], where: QueryPairs, listed: int) -> bool:
    """Whether the API counts no more than were listed, as far as it counts them."""
    if not isinstance(resource, Countable):
        return True
    path = f"/{resource.object}/_count"
    counted: int = await resource._call("GET", path, read_count, Repeat.READ, where)
    return counted <= listed


def _last_of(resource: BaseResource[Any], ids: Sequence[int | None], last: int | None) -> int:
    """The last id of a page; raises DecodeError if they do not rise above ``last``."""
    before, number = last, ids[-1]
    if number is not None:
        for number in ids:
            if number is not None:
                if before is not None and number <= before:
                    break
                before = number
        else:
            assert before is not None
            return before
    raise DecodeError(
        f"the API does not page {resource.attribute} by {resource.primary}: after {before} came "
        f"{number}; pass order= to page by offset",
        object=resource.object,
    )
