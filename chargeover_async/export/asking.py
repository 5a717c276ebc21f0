"""Single requests of an export, sent as a job's: direct calls of the same client go first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeVar

import msgspec

from chargeover_async._send.direct import Direct
from chargeover_async._wire.bulk import PATH, decode_entries, parse_batch
from chargeover_async._wire.envelope import Answer, Decoded, Reply, WholeReader
from chargeover_async._wire.request import API_PATH, query_string
from chargeover_async.errors import ConnectFailed, DecodeError, UsageError
from chargeover_async.limits import Priority
from chargeover_async.operation import Operation
from chargeover_async.query import QueryPairs
from chargeover_async.resources._calls.base import BaseResource
from chargeover_async.retry import Repeat

T = TypeVar("T")

HASTY = 2  # sends of a batch before it is halved
_HASTY = object()

Get = tuple[str, QueryPairs]  # path and query of a GET


class Asker:
    """Sends GETs, alone or several as one ``_bulk``; all of it may be repeated."""

    def __init__(self, resource: BaseResource[Any]) -> None:
        direct = resource._runner
        if not isinstance(direct, Direct):
            raise UsageError(
                f"{resource.attribute}: export from the client (co.{resource.attribute}), not from "
                "a bulk scope"
            )
        self._direct = direct
        # A batch that fails is halved, which helps sooner than asking for the whole for minutes.
        pipeline = copy(direct.pipeline)
        policy = pipeline.policy
        pipeline.policy = msgspec.structs.replace(
            policy,
            attempts=min(policy.attempts, HASTY),
            attempts_after_500=min(policy.attempts_after_500, HASTY),
        )
        self._hasty = Direct(pipeline)
        self._more = resource._options.query
        self.object = resource.object
        self.requests = 0

    def accept(self, operation: Operation[Any]) -> None:
        """An operation is sent when it is awaited."""

    async def run(self, operation: Operation[Any]) -> None:
        """Send one operation and settle it."""
        direct = self._hasty if operation.tag is _HASTY else self._direct
        try:
            await direct.run(operation, Priority.BULK)
        finally:
            outcome = operation.outcome
            self.requests += 1 if outcome is None else outcome.attempts

    async def get(self, get: Get, reader: Callable[[msgspec.Raw], T]) -> T:
        """One GET; raises what a direct call raises."""
        path, query = get
        operation: Operation[T] = Operation(
            self,
            self.object,
            "GET",
            path,
            reader,
            Repeat.READ,
            query=query + self._more,
        )
        return await operation

    async def get_many(self, gets: Sequence[Get]) -> list[Reply | None]:
        """Up to 25 GETs in one request, an answer each; None for one that is not the API's.

        Gives up soon when it is answered badly or not at all, so that the caller can ask for less;
        a connection that does not come to be is waited for like any other. Raises DecodeError when
        the number of answers is not asked for.
        """
        try:
            return await self._send_many(gets, _HASTY)
        except ConnectFailed:
            return await self._send_many(gets, None)

    async def _send_many(self, gets: Sequence[Get], tag: object) -> list[Reply | None]:
        payload = [
            {
                "request_method": "GET",
                "uri": API_PATH + path + query_string(query + self._more),
                "payload": None,
            }
            for path, query in gets
        ]
        # A POST that only reads: repeating it changes nothing.
        operation: Operation[list[Reply | None]] = Operation(
            self, self.object, "POST", PATH, _Entries(len(gets)), Repeat.READ, payload=payload
        )
        operation.tag = tag
        return await operation


class _Entries(WholeReader):
    """Reads as many answers as there were requests in a batch."""

    __slots__ = ("_count",)

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, response: msgspec.Raw) -> list[Reply | None]:
        entries = decode_entries(response)
        if entries is None or len(entries) != self._count:
            found = "no" if entries is None else len(entries)
            raise DecodeError(f"{found} answers to the {self._count} requests of a batch")
        return entries

    def whole(self, answer: Answer) -> Decoded[list[Reply]] | None:
        whole = parse_batch(answer)
        return whole if whole is not None and len(whole.response) == self._count else None


__all__ = ("Asker", "Get")
