"""Reading split up: one part an account, or several by ranges of ids."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from chargeover_async.client import ChargeOver
from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.export.columns import choose, parse_where
from chargeover_async.export.reader import can_page_by_key
from chargeover_async.export.wanted import resource_class
from chargeover_async.query import Clause, Field

from .connect import Connect
from .loop import running_loop
from .write import need_share

Moments = Literal["local", "utc"]
AT_ONCE = 32  # accounts that are asked at a time


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one task reads: the records of one account with ids above ``after``, up to ``upto``.

    ``upto`` is None in the last part of an account, which has what is created meanwhile, too.
    ``account_column`` is the name of a first column that holds the account's name, or None.
    """

    connect: Connect
    object: str
    where: tuple[Clause, ...] = ()
    fields: tuple[str, ...] | None = None
    nested: bool = False
    after: int = 0
    upto: int | None = None
    account_column: str | None = None
    moments: Moments = "local"

    def clauses(self) -> list[Clause]:
        """The filters, the last id among them."""
        if self.upto is None:
            return [*self.where]
        return [*self.where, Field(resource_class(self.object).primary) <= self.upto]

    def resource_of(self, co: ChargeOver) -> Any:
        """The resource of a client that is to be read."""
        return getattr(co, resource_class(self.object).attribute)

    def __repr__(self) -> str:
        end = "" if self.upto is None else self.upto
        ids = f" ids {self.after + 1}-{end}" if self.after or self.upto is not None else ""
        return f"<Part {self.object} of {self.connect.account}{ids}>"


def plan_parts(
    object: str,  # noqa: A002 - the vendor's word for it
    accounts: Connect | Iterable[Connect],
    *,
    split_by: Literal["account", "ids"] = "account",
    parts: int = 4,
    where: Sequence[str | Clause] = (),
    fields: Sequence[str] | None = None,
    nested: bool = False,
    account_column: str | None = None,
    moments: Moments = "local",
) -> list[Part]:
    """What tasks are to read so that every record of ``object`` is read once.

    One part for each account: an account has a quota of its own, so this is what makes it faster;
    no request is sent. ``split_by="ids"`` cuts each account into up to ``parts`` ranges of ids, at
    two requests an account. They share its quota (``quota_share`` is required) and spread the
    decoding only, so it is for accounts of some million records.

    ``where``, ``fields`` and ``nested`` are as for an export. ``moments`` says how the accounts
    write datetimes, as a table needs one type: "local" without an offset, "utc" with one.

    Raises UsageError for what cannot be meant, an account that is there twice, and an object that
    is not filtered by its ids; and with ids, what a direct call raises, naming the account.
    """
    given = [accounts] if isinstance(accounts, Connect) else list(accounts)
    cls = resource_class(object)
    columns = choose(cls.model, fields, cls.attribute)
    urls = [connect.url.rstrip("/") for connect in given]
    names = [connect.account for connect in given]
    for what, found in (("url", urls), ("account", names)):
        twice = sorted({word for word in found if found.count(word) > 1})
        if twice:
            raise UsageError(f"two accounts have the same {what}: {', '.join(twice)}")
    if moments not in {"local", "utc"}:
        raise UsageError(f'moments must be "local" or "utc", not {moments!r}')
    if account_column is not None and account_column in {column.name for column in columns}:
        raise UsageError(
            f"{cls.attribute} have a field {account_column}: name the column otherwise"
        )
    clauses = tuple(
        parse_where([clause], cls.model, cls.attribute)[0] if isinstance(clause, str) else clause
        for clause in where
    )
    whole = [
        Part(
            connect=connect,
            object=cls.object,
            where=clauses,
            fields=None if fields is None else tuple(fields),
            nested=nested,
            account_column=account_column,
            moments=moments,
        )
        for connect in given
    ]
    if split_by == "account":
        return whole
    if split_by != "ids":
        raise UsageError(f'split_by must be "account" or "ids", not {split_by!r}')
    if not can_page_by_key(cls):
        raise UsageError(f"{cls.attribute} cannot be split by ids: the API does not filter by them")
    if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
        raise UsageError(f"parts must be a whole number from 1, not {parts!r}")
    need_share(given, parts)
    with running_loop() as loop:
        bounds = loop.run(_all_bounds(whole))
    return [
        piece
        for part, (lowest, highest) in zip(whole, bounds, strict=True)
        for piece in _pieces(part, lowest, highest, parts)
    ]


def _pieces(part: Part, lowest: int, highest: int, parts: int) -> list[Part]:
    """Ranges of one width that cover every id from 1 on, each once."""
    span = highest - lowest + 1
    parts = max(1, min(parts, span))
    cuts = [lowest - 1 + span * number // parts for number in range(1, parts)]
    return [
        msgspec.structs.replace(part, after=after, upto=upto)
        for after, upto in zip([0, *cuts], [*cuts, None], strict=True)
    ]


async def _all_bounds(parts: Sequence[Part]) -> list[tuple[int, int]]:
    room = asyncio.Semaphore(AT_ONCE)

    async def bounds(part: Part) -> tuple[int, int]:
        async with room, part.connect.open() as co:
            cls = resource_class(part.object)
            resource = part.resource_of(co)
            where = [*part.where] or None
            try:
                found = await asyncio.gather(
                    *(
                        resource.list(where=where, order=f"{sign}{cls.primary}", limit=1)
                        for sign in ("", "-")
                    )
                )
            except ChargeOverError as error:
                error.add_note(f"while the ids of {part.connect.account} were asked for")
                raise
            ids = [getattr(record, cls.primary) for page in found for record in page]
            return min(ids, default=1), max(ids, default=0)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bounds(part)) for part in parts]
    return [task.result() for task in tasks]


__all__ = ("Moments", "Part", "plan_parts")
