"""Every record of an object, for a program that reads them itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeVar, overload

import msgspec

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.models import Record
from chargeover_async.query import Where
from chargeover_async.resources import OnUnreadable
from chargeover_async.resources._calls.base import BaseResource

from .fetch import MAX_BYTES_IN_FLIGHT
from .reader import Reader

T = TypeVar("T", bound=Record)
R = TypeVar("R", bound=Record)


@overload
def records(
    resource: BaseResource[T],
    *,
    where: Where = None,
    nested: bool = False,
    after: int = 0,
    pages_per_request: int = MAX_ITEMS,
    max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT,
    on_unreadable: OnUnreadable = None,
) -> AsyncGenerator[T]: ...


@overload
def records(
    resource: BaseResource[T],
    *,
    where: Where = None,
    nested: bool = False,
    after: int = 0,
    pages_per_request: int = MAX_ITEMS,
    max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT,
    as_: type[R],
    on_unreadable: OnUnreadable = None,
) -> AsyncGenerator[R]: ...


def records(
    resource: BaseResource[Any],
    *,
    where: Where = None,
    nested: bool = False,
    after: int = 0,
    pages_per_request: int = MAX_ITEMS,
    max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT,
    as_: type[Any] | None = None,
    on_unreadable: OnUnreadable = None,
) -> AsyncGenerator[Any]:
    """Every record of ``co.invoices``, say, by rising id, in as few requests as the server allows.

    12,000 a request where queries may travel in ``_bulk`` (tried once, by itself), 500 otherwise;
    several requests are under way at once, in bounded memory. ``nested`` brings the parts that
    lists leave out (``line_items``), for a GET a record, 25 a request. ``after`` begins behind that
    id. ``pages_per_request=1`` uses plain lists only. ``max_bytes_in_flight`` bounds the memory, of
    which it takes about twice as much: where records are large, fewer travel in a request. ``as_``
    is a struct of your own to read as. ``on_unreadable`` is told of each record that does
    not fit its struct, with a DecodeError, and the others go on; without it that error is raised.

    A record is met once. One that is created meanwhile is met, one that is changed is met as it
    was or as it is, one that is deleted may be. Leave early with `contextlib.aclosing`, which
    sends nothing more. Raises UsageError for an object without a list, and what a list raises.
    """
    read = resource._reading(as_, on_unreadable=on_unreadable).many
    reader = Reader(
        resource,
        where=where,
        nested=nested,
        after=after,
        pages_per_request=pages_per_request,
        max_bytes_in_flight=max_bytes_in_flight,
    )

    async def every() -> AsyncGenerator[Any]:
        async with aclosing(reader.pages()) as pages:
            async for page in pages:
                raw = page.raw
                for record in read(raw if isinstance(raw, msgspec.Raw) else msgspec.Raw(raw)):
                    yield record

    return every()


__all__ = ("records",)
