"""Objects into whose records related ones can be put."""

# ruff: noqa: A002 - id is the vendor's word
from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal, TypeVar, Unpack, overload

from chargeover_async.errors import UsageError
from chargeover_async.models import Record
from chargeover_async.models._json.plain import plain
from chargeover_async.operation import Operation
from chargeover_async.query import MAX_PAGE, Order, QueryPairs, Where

from .answers import OnUnreadable
from .kinds import Addressable, ByKey, Countable, Id, Iterating, Listing, Pageable, Revisable

T = TypeVar("T", bound=Record)
R = TypeVar("R", bound=Record)

Expand = str | Sequence[str] | None


class ExpandingKey(ByKey, total=False):
    """What names a record, and what is put into it."""

    expand: Expand


class ExpandingListing(Listing, total=False):
    """Which records of a list, which page of them, and what is put into them."""

    expand: Expand


class ExpandingIterating(Iterating, total=False):
    """Which records of a list, all pages of them, and what is put into them."""

    expand: Expand


class Expandable(Addressable[T], Pageable[T], Countable[T], Revisable[T]):
    """An object whose records are read with ``expand``."""

    __slots__ = ()

    @overload
    def get(self, id: Id = None, **key: Unpack[ExpandingKey]) -> Operation[T]: ...

    @overload
    def get(self, id: Id = None, *, as_: type[R], **key: Unpack[ExpandingKey]) -> Operation[R]: ...

    @overload
    def get(
        self, id: Id = None, *, raw: Literal[True], **key: Unpack[ExpandingKey]
    ) -> Operation[bytes]: ...

    def get(
        self,
        id: Id = None,
        *,
        external_key: str | None = None,
        token: str | None = None,
        expand: Expand = None,
        as_: type[Any] | None = None,
        raw: bool = False,
    ) -> Operation[Any]:
        """One record with its lines, by exactly one of id, external key and token.

        ``expand`` names related nodes to put in; which there are besides ``line_items`` is shown
        by no source. The rest is as in `Readable.get`. Source: recording `one_recurring_package`.
        """
        reading = self._reading(as_, raw=raw)
        return self._get(id, external_key, token, reading, _expand(expand))

    @overload
    def list(self, **asked: Unpack[ExpandingListing]) -> Operation[Sequence[T]]: ...

    @overload
    def list(
        self, *, as_: type[R], **asked: Unpack[ExpandingListing]
    ) -> Operation[Sequence[R]]: ...

    @overload
    def list(
        self, *, raw: Literal[True], **asked: Unpack[ExpandingListing]
    ) -> Operation[Sequence[bytes]]: ...

    def list(
        self,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
        expand: Expand = None,
        as_: type[Any] | None = None,
        raw: bool = False,
        on_unreadable: OnUnreadable = None,
    ) -> Operation[Any]:
        """One page of records; with ``expand="line_items"`` each has its lines.

        Otherwise as in `Listable.list`. Source: page "Querying for subscriptions" (newest version);
        recording `list_packages` shows that the lines are absent without it.
        """
        reading = self._reading(as_, raw=raw, on_unreadable=on_unreadable)
        return self._list(where, order, limit, offset, reading, _expand(expand))

    @overload
    def iterate(self, **asked: Unpack[ExpandingIterating]) -> AsyncIterator[T]: ...

    @overload
    def iterate(self, *, as_: type[R], **asked: Unpack[ExpandingIterating]) -> AsyncIterator[R]: ...

    @overload
    def iterate(
        self, *, raw: Literal[True], **asked: Unpack[ExpandingIterating]
    ) -> AsyncIterator[bytes]: ...

    def iterate(
        self,
        *,
        where: Where = None,
        order: Order = None,
        page: int = MAX_PAGE,
        expand: Expand = None,
        as_: type[Any] | None = None,
        raw: bool = False,
        on_unreadable: OnUnreadable = None,
    ) -> AsyncIterator[Any]:
        """Every record that fits, page by page, as in `Listable.iterate`; ``expand`` as in `list`.

        Source: recording `list_packages`.
        """
        reading = self._reading(as_, raw=raw, on_unreadable=on_unreadable)
        return self._pages(where, order, page, reading, _expand(expand))


def _expand(expand: Expand) -> QueryPairs:
    if expand is None:
        return ()
    if not isinstance(expand, Iterable):
        raise UsageError(f'expand takes names such as "line_items", not {expand!r}')
    nodes = [plain(node) for node in ([expand] if isinstance(expand, str) else expand)]
    for node in nodes:
        if not isinstance(node, str) or not node.replace(".", "_").isidentifier():
            raise UsageError(f'expand takes names such as "line_items", not {node!r}')
    return (("expand", ",".join(nodes)),) if nodes else ()
