"""Many accounts in one process: each with a client and a quota of its own, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import msgspec

from chargeover_async.client import ChargeOver
from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.export import arrow_batches

from .connect import Connect
from .plan import plan_parts

T = TypeVar("T")

AT_ONCE = 8  # accounts; what is read of one may take some ten megabytes


class AccountOutcome(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What became of the work on one account: ``error`` is None exactly when it was done."""

    account: str
    value: T | None = None
    error: ChargeOverError | OSError | None = None


class Accounts:
    """Does the same with many accounts; the trouble of one leaves the others alone.

    ``at_once`` of them are worked on at a time, so memory does not grow with their number.
    Raises UsageError for none, and for two of one name or URL.
    """

    def __init__(self, connects: Iterable[Connect], *, at_once: int = AT_ONCE) -> None:
        self.connects = tuple(connects)
        if not self.connects:
            raise UsageError("there must be an account")
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise UsageError(f"at_once must be a whole number from 1, not {at_once!r}")
        for what in ("account", "url"):
            words = [getattr(connect, what).rstrip("/") for connect in self.connects]
            twice = sorted({word for word in words if words.count(word) > 1})
            if twice:
                raise UsageError(f"two accounts have the same {what}: {', '.join(twice)}")
        self._at_once = at_once

    async def run(
        self, work: Callable[[Connect, ChargeOver], Awaitable[T]]
    ) -> AsyncGenerator[AccountOutcome[T]]:
        """Call ``work`` with each account and its client; yield each outcome as it comes.

        Errors of ours and of the operating system are outcomes; any other is raised, as it is one
        of the program. Leaving early cancels what is under way: use `contextlib.aclosing`.
        """
        waiting = iter(self.connects)
        tasks: set[asyncio.Task[AccountOutcome[T]]] = set()
        try:
            while True:
                while len(tasks) < self._at_once:
                    connect = next(waiting, None)
                    if connect is None:
                        break
                    tasks.add(asyncio.create_task(_one(connect, work)))
                if not tasks:
                    return
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def batches(
        self,
        object: str,  # noqa: A002 - the vendor's word for it
        **options: Any,
    ) -> AsyncGenerator[tuple[str, Any]]:
        """Every record of ``object`` of all accounts, as (account, pyarrow.RecordBatch).

        ``options`` are ``where``, ``fields`` and ``nested`` of `plan_parts`. Batches of several
        accounts come in turn, those of one by rising id. When all are read, raises an
        ExceptionGroup of the errors of the accounts that were not, each with a note that names it.
        """
        parts = {
            part.connect.account: part for part in plan_parts(object, self.connects, **options)
        }
        ready: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(self._at_once)
        errors: list[Exception] = []

        async def read(connect: Connect, co: ChargeOver) -> None:
            part = parts[connect.account]
            found = arrow_batches(
                part.resource_of(co),
                where=part.clauses() or None,
                fields=part.fields,
                nested=part.nested,
            )
            async with aclosing(found):
                async for batch in found:
                    await ready.put((connect.account, batch))

        async def read_all() -> None:
            async with aclosing(self.run(read)) as outcomes:
                async for outcome in outcomes:
                    if outcome.error is not None:
                        outcome.error.add_note(f"account {outcome.account}")
                        errors.append(outcome.error)

        work = asyncio.create_task(read_all())
        try:
            while True:
                if not ready.empty():
                    yield ready.get_nowait()
                    continue
                if work.done():
                    break
                following = asyncio.create_task(ready.get())
                await asyncio.wait({following, work}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    yield following.result()
                else:
                    following.cancel()
            work.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        if errors:
            count = len(self.connects)
            raise ExceptionGroup(f"{len(errors)} of {count} accounts were not read whole", errors)


async def _one(
    connect: Connect, work: Callable[[Connect, ChargeOver], Awaitable[T]]
) -> AccountOutcome[T]:
    try:
        async with connect.open() as co:
            return AccountOutcome(account=connect.account, value=await work(connect, co))
    except (ChargeOverError, OSError) as error:
        return AccountOutcome(account=connect.account, error=error)


__all__ = ("AccountOutcome", "Accounts")
