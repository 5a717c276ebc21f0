"""A source for dlt (extra ``dlt``): every object a table, kept up to date by what changed.

::

    import dlt
    from chargeover_async.cluster import Connect
    from chargeover_async.dlt import chargeover

    pipeline = dlt.pipeline("billing", destination="duckdb", dataset_name="chargeover")
    pipeline.run(chargeover(Connect.from_env(), ["customers", "invoices"], nested=["invoices"]))

A run asks first for the newest ``mod_datetime`` there is, as a record may change while later ones
are read, and notes that in dlt's state, which is loaded together with the rows. The next run reads
what is that new or newer, and ``overlap`` before it, and what no such filter shows
(`chargeover_async.cluster.changes`). Rows that come twice are merged by their primary key.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# dlt is no dependency and comes in as Any.
from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from typing import Any

import msgspec

from chargeover_async._extras import arrow
from chargeover_async.client import ChargeOver
from chargeover_async.cluster import Connect, Part, plan_parts
from chargeover_async.cluster.changes import OVERLAP, Mark, since_mark, take_mark, tells_changes
from chargeover_async.cluster.loop import Loop
from chargeover_async.cluster.plan import Moments
from chargeover_async.cluster.read import batches_of
from chargeover_async.errors import BadRequest, UsageError
from chargeover_async.export import records
from chargeover_async.export.columns import Column, columns_of
from chargeover_async.export.formats import mixed_text
from chargeover_async.export.wanted import resource_class
from chargeover_async.limits import Limiter, LocalLimiter

logger = logging.getLogger("chargeover_async.dlt")

ACCOUNT = "account"
EVERYTHING = (
    "customers",
    "users",
    "items",
    "subscriptions",
    "invoices",
    "transactions",
    "quotes",
    "item_categories",
    "notes",
)
# For rows that are dicts the types that Arrow columns have: by itself dlt would leave out a column
# that has no value yet, and keep 9 decimal places.
TYPES: dict[str, dict[str, Any]] = {
    "id": {"data_type": "bigint"},
    "text": {"data_type": "text"},
    "mixed": {"data_type": "text"},
    "flag": {"data_type": "bool"},
    "money": {"data_type": "decimal", "precision": 38, "scale": 18},
    "day": {"data_type": "date"},
    "moment": {"data_type": "timestamp"},
}
ROWS = 500  # that are handed to dlt at a time


def chargeover(
    accounts: Connect | Iterable[Connect],
    objects: Sequence[str] = EVERYTHING,
    *,
    nested: Sequence[str] = (),
    overlap: dt.timedelta = OVERLAP,
    moments: Moments = "local",
) -> Any:
    """The source (a DltSource) of one account, or of several with a first column ``account``.

    Each object is a resource by the client's name, with its primary key, to be merged. One that
    has no ``mod_datetime``, or is not filtered by it, is read whole each time. Amounts are exact
    decimals, datetimes the account's own, without an offset; for one that sends an offset, say
    ``moments="utc"``.

    Lists leave parts out (``line_items``): an object that is named in ``nested`` is read record by
    record, 25 a request, and its parts become tables of their own (``invoices__line_items``).

    The resources share the account's quota; where other processes use it, too, set ``quota_share``.
    Records that were deleted stay in the tables. Raises UsageError for what cannot be meant, and
    when dlt is missing.
    """
    dlt = _dlt()
    given = [accounts] if isinstance(accounts, Connect) else list(accounts)
    names = [resource_class(name).attribute for name in objects]
    parts_of = [resource_class(name).attribute for name in nested]
    if len(set(names)) != len(names) or not names:
        raise UsageError(f"name each object once, not {', '.join(names) or 'none'}")
    if not set(parts_of) <= set(names):
        raise UsageError(f"nested names {', '.join({*parts_of} - {*names})}, not among the objects")
    if overlap < dt.timedelta():
        raise UsageError(f"overlap must not be negative, as {overlap} is")
    column = ACCOUNT if not isinstance(accounts, Connect) else None
    shared = {connect.url: _Shared(connect) for connect in given}
    resources = [
        _resource(
            dlt,
            _plan(name, given, column, moments, nested=name in parts_of),
            shared,
            overlap,
        )
        for name in names
    ]
    return dlt.source(lambda: resources, name="chargeover")()


def _dlt() -> Any:
    try:
        return import_module("dlt")
    except ImportError:
        raise UsageError('dlt is missing: pip install "chargeover-async[dlt]"') from None


def _plan(
    name: str, given: Sequence[Connect], column: str | None, moments: Moments, *, nested: bool
) -> list[Part]:
    cls = resource_class(name)
    # Lists do not show nested parts: an empty column would say that there are none.
    flat = [entry.name for entry in columns_of(cls.model) if entry.kind != "nested"]
    return plan_parts(
        name,
        given,
        fields=None if nested else flat,
        nested=nested,
        account_column=column,
        moments=moments,
    )


def _resource(
    dlt: Any, parts: Sequence[Part], shared: dict[str, _Shared], overlap: dt.timedelta
) -> Any:
    cls = resource_class(parts[0].object)
    name = cls.attribute
    columns = columns_of(cls.model)
    account = parts[0].account_column
    key = [cls.primary] if account is None else [account, cls.primary]

    def read(part: Part, loop: Loop, co: ChargeOver) -> Iterator[Any]:
        if part.nested:
            yield from _dicts(part, loop, co, columns)
        else:
            for batch in batches_of(part, loop, co):
                yield _with_key(batch, key)

    def rows() -> Iterator[Any]:
        state: dict[str, Any] = dlt.current.resource_state(name)
        for part in parts:
            with shared[part.connect.url].opened() as (loop, co):
                mark = _mark(part, loop, co)
                before = msgspec.convert(state.get(part.connect.account, {}), Mark)
                asked = [part] if mark is None else since_mark(part, before, overlap)
                try:
                    for entry in asked:
                        yield from read(entry, loop, co)
                except BadRequest as error:
                    if asked == [part]:
                        raise
                    logger.warning("%s are read whole: %s", name, error)
                    yield from read(part, loop, co)
                if mark is not None:
                    state[part.connect.account] = msgspec.to_builtins(mark)

    hints: dict[str, Any] = {}
    if parts[0].nested:
        hints = {
            "columns": _types(columns, parts[0].moments),
            "nested_hints": _nested_hints(dlt, columns, parts[0].moments),
        }
    return dlt.resource(
        rows,
        name=name,
        primary_key=key,
        write_disposition="merge",
        **hints,
    )


def _with_key(batch: Any, key: Sequence[str]) -> Any:
    """The batch with a key that is never null, as dlt has it: it warns of every other."""
    pa = arrow()
    fields = [field.with_nullable(field.name not in key) for field in batch.schema]
    return pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema(fields))


def _mark(part: Part, loop: Loop, co: ChargeOver) -> Mark | None:
    """How far this run will reach; None where the API does not tell changes."""
    if not tells_changes(part):
        return None
    try:
        return loop.run(take_mark(part, co))
    except BadRequest as error:
        logger.warning("%s are read whole, as changes cannot be seen: %s", part.object, error)
        return None


def _dicts(part: Part, loop: Loop, co: ChargeOver, columns: Sequence[Column]) -> Iterator[Any]:
    """Records with their nested parts, as rows of dicts."""
    resource = part.resource_of(co)
    given = records(resource, where=part.clauses() or None, nested=True)

    async def some() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        async for record in given:
            rows.append(_row(part, record, columns))
            if len(rows) == ROWS:
                break
        return rows

    try:
        while rows := loop.run(some()):
            yield rows
    finally:
        loop.run(given.aclose())


def _row(part: Part, record: Any, columns: Sequence[Column]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if part.account_column is not None:
        row[part.account_column] = part.connect.account
    for entry in columns:
        value = getattr(record, entry.attribute)
        if entry.kind == "mixed" and value is not None:
            value = mixed_text(value)  # one kind of column, whatever the records hold
        row[entry.name] = msgspec.to_builtins(value, builtin_types=(Decimal, dt.datetime, dt.date))
    return row


def _nested_hints(dlt: Any, columns: Sequence[Column], moments: Moments) -> dict[str, Any]:
    """The columns of the tables of nested parts."""
    found: dict[str, Any] = {}
    for entry in columns:
        inner = getattr(entry.type, "__args__", (None,))[0]
        if entry.kind == "nested" and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            found[entry.name] = dlt.mark.make_nested_hints(
                columns=_types(columns_of(inner), moments)
            )
    return found


def _types(columns: Sequence[Column], moments: Moments) -> dict[str, Any]:
    """A new dict for each column: dlt writes into them."""
    types = {entry.name: {**TYPES[entry.kind]} for entry in columns if entry.kind in TYPES}
    for column in types.values():
        if column["data_type"] == "timestamp":
            column["timezone"] = moments == "utc"
    return types


class _Shared:
    """One client of an account for all resources that are read at a time, and one quota."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._users = 0
        self._limiter: Limiter | None = None
        if connect.quota_share is None:
            self._limiter = LocalLimiter(connect.quota)
        self._loop: Loop | None = None
        self._co: ChargeOver | None = None

    @contextmanager
    def opened(self) -> Generator[tuple[Loop, ChargeOver]]:
        with self._lock:
            if self._loop is None or self._co is None:
                self._co = self._connect.open(limiter=self._limiter)
                self._loop = Loop()
            self._users += 1
            loop, co = self._loop, self._co
        try:
            yield loop, co
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    loop.run(co.aclose())
                    loop.end()
                    self._loop = self._co = None


__all__ = ("chargeover",)
