"""What every object can do, once, for direct calls, bulk scopes and streams alike.

A method builds an `Operation`: what to send, what comes back, how safe it is to repeat. Who runs
it is decided by whoever owns the resource (the ``runner``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

import msgspec

from chargeover_async._ref import Ref
from chargeover_async._wire.request import segment
from chargeover_async.errors import DecodeError, UsageError
from chargeover_async.models import Created, Record, Revision
from chargeover_async.models._codec import (
    DateFormat,
    check_kind,
    decoder,
    read,
    read_many,
    read_untyped,
)
from chargeover_async.models._write import Refs, check_id, check_key, shape_of
from chargeover_async.operation import REF_IN_PATH, Operation, Reader, Runner
from chargeover_async.query import (
    MAX_PAGE,
    MAX_REVISIONS,
    Order,
    QueryPairs,
    Where,
    filter_text,
    order_pair,
    page_pairs,
    where_pair,
)
from chargeover_async.retry import Repeat

T = TypeVar("T", bound=Record)
R = TypeVar("R", bound=Record)
X = TypeVar("X")


KEYED, ONCE = Repeat.KEYED, Repeat.ONCE


class ExternalKey(str):
    """An external key in the place of an id: ``co.customers.update(ExternalKey("a-1"), ...)``."""

    __slots__ = ()


class Token(str):
    """A token in the place of an id: ``co.invoices.void(Token("0q7fx5652k18"))``."""

    __slots__ = ()


Target = int | ExternalKey | Token | Ref | Operation[Created]
"""Names one record: its id, `ExternalKey`, `Token`, or the operation that creates it."""


CUSTOMER = ("customer_id", "customer_external_key", "customer_token")

ActionForm = Literal["query", "path"]
"""How an action is written, by methods that know both: ``?action=paymethod``, as in recordings and
the vendor's clients, or ``/_action/setPayMethod``, as on the vendor's newer pages."""


def is_path_form(form: ActionForm) -> bool:
    """Whether an action goes into the path; raises UsageError for what is no form."""
    if form not in {"query", "path"}:
        raise UsageError(f'form must be "query" or "path", not {form!r}')
    return form == "path"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a client or a call adds to every request and how it reads dates."""

    query: QueryPairs = ()
    dates: DateFormat | None = None


def call_query(
    on_behalf_addr: str | None,
    on_behalf_details: str | None,
    flags: Mapping[str, int] | None,
) -> QueryPairs:
    """Query parameters that pass the end customer on, and flags.

    Source: vendor's text, "On Behalf Of..."; ``_flag_emails=0`` in "Send a password reset". What
    the other flags do is UNVERIFIED (names: quickbooks, emails, webhooks, events).
    """
    pairs: list[tuple[str, str]] = []
    for name, value in (
        ("on_behalf_addr", on_behalf_addr),
        ("on_behalf_details", on_behalf_details),
    ):
        if value is not None:
            if not isinstance(value, str) or not value:
                raise UsageError(f"{name} must be text, not {value!r}")
            pairs.append((name, filter_text(value, name)))
    for flag, number in (flags or {}).items():
        if not isinstance(flag, str) or not flag.isidentifier() or not isinstance(number, int):
            raise UsageError(f"a flag is a name and a whole number, not {flag!r}: {number!r}")
        pairs.append((f"_flag_{flag.removeprefix('_flag_')}", str(int(number))))
    return tuple(pairs)


def read_true(raw: msgspec.Raw) -> bool:
    """The answer of a delete or an action: true, or false when there was nothing to do."""
    value = read(raw, msgspec.Raw)
    if bytes(value) in {b"true", b"false"}:
        return bytes(value) == b"true"
    # Some answers to actions are shown by no source; whatever it is, the API called it OK.
    return bytes(value) not in {b"null", b"0", b'""'}


def read_count(raw: msgspec.Raw) -> int:
    """The answer of ``_count``."""
    return read(raw, int)


def read_text(raw: msgspec.Raw) -> str:
    """An answer that is plain text."""
    value = read_untyped(raw)
    if not isinstance(value, str):
        raise DecodeError(f"expected text, got {str(value)[:80]}", raw=bytes(raw))
    return value


class BaseResource(Generic[T]):
    """What every resource is built on; it has no calls of its own.

    A subclass names the object, takes the calls that the object has from `Readable`, `Listable`,
    `Countable` and `Revisable` (or all four at once: `Resource`), and adds what is its own.
    Wherever a method takes a target, it is an id, `ExternalKey`, `Token`, or an operation (or
    `Operation.ref`) that creates the record.
    """

    object: ClassVar[str]  # the vendor's name, singular
    attribute: ClassVar[str]  # our name on the client, plural
    model: ClassVar[type[Record]]
    primary: ClassVar[str]  # the primary key; left out, the object's name with _id
    writes: ClassVar[Mapping[str, type[Any]]] = {}  # verb -> TypedDict of what may be written

    __slots__ = ("_options", "_runner")

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        if "object" in cls.__dict__ and "primary" not in cls.__dict__:
            cls.primary = f"{cls.object.lstrip('_')}_id"

    def __init__(self, runner: Runner, options: Options) -> None:
        self._runner = runner
        self._options = options

    def _reader(self, as_: type[Any] | None) -> Reader:
        kind, dates = check_kind(as_ or self.model), self._options.dates
        return lambda raw: read(raw, kind, dates)

    def _call(
        self,
        method: str,
        path: str,
        reader: Reader,
        repeat: Repeat,
        query: QueryPairs = (),
        **more: Any,
    ) -> Operation[Any]:
        operation: Operation[Any] = Operation(
            self._runner,
            self.object,
            method,
            path,
            reader,
            repeat,
            query=query + self._options.query,
            **more,
        )
        self._runner.accept(operation)
        return operation

    def _on(
        self,
        target: Target,
        method: str,
        reader: Reader,
        repeat: Repeat,
        *,
        verb: str,
        suffix: str = "",
        query: QueryPairs = (),
        payload: Any = None,
        refs: Refs | None = None,
    ) -> Operation[Any]:
        """An operation on one record."""
        record: tuple[str, str, Any]
        path_ref: Ref | None = None
        if isinstance(target, Operation):
            target = target.ref()
        if isinstance(target, Ref):
            path_ref, name = target, REF_IN_PATH
            record = (self.object, "ref", target.target)
        elif isinstance(target, ExternalKey):
            key = check_key(target, "external_key")
            name = f"external_key:{segment(key)}"
            record = (self.object, "external_key", key)
        elif isinstance(target, Token):
            token = check_key(target, "token")
            name = f"token:{segment(token)}"
            record = (self.object, "token", token)
        else:
            number = self._number(target, verb)
            if number == 0:
                raise UsageError(f"{self.attribute}.{verb}: an id is at least 1")
            name = str(number)
            record = (self.object, "id", number)
        return self._call(
            method,
            f"/{self.object}/{name}{suffix}",
            reader,
            repeat,
            query,
            payload=payload,
            refs=refs,
            path_ref=path_ref,
            record=record,
        )

    def _number(self, target: Any, verb: str) -> int:
        if isinstance(target, str):
            raise UsageError(
                f"{self.attribute}.{verb} takes an id; write ExternalKey({target!r}) or Token(...)"
            )
        return check_id(target, f"{self.attribute}.{verb}: the id")

    def _prepare(
        self, verb: str, fields: Mapping[str, Any], extra: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Refs]:
        written: Any = self.writes[verb]
        payload, refs = shape_of(written).prepare(fields, f"{self.attribute}.{verb}", extra)
        if not payload and verb in {"create", "update"}:
            raise UsageError(f"{self.attribute}.{verb} was given no field")
        return payload, refs

    def _need(
        self,
        verb: str,
        fields: Mapping[str, Any],
        extra: Mapping[str, Any] | None,
        *names: str | Sequence[str],
    ) -> None:
        """Raise UsageError unless each name, or one name of each group, is given a value."""
        given = {**(extra or {}), **fields}
        for name in names:
            group = (name,) if isinstance(name, str) else tuple(name)
            if all(given.get(one) in (None, "") for one in group):
                wanted = group[0] if len(group) == 1 else f"one of {', '.join(group)}"
                raise UsageError(f"{self.attribute}.{verb} needs {wanted}")

    def _create(
        self,
        fields: Mapping[str, Any],
        extra: Mapping[str, Any] | None,
        *,
        verb: str = "create",
    ) -> Operation[Created]:
        payload, refs = self._prepare(verb, fields, extra)
        key = payload.get("external_key")
        name = self.object
        # As `_call` does, spelt out: a migration does this a million times.
        operation: Operation[Created] = Operation(
            self._runner,
            name,
            "POST",
            f"/{name}",
            read_created,
            ONCE if key is None else KEYED,
            query=self._options.query,
            payload=payload,
            refs=refs,
            key=key,
            record=None if key is None else (name, "external_key", key),
        )
        self._runner.accept(operation)
        return operation

    def _update(
        self, target: Target, fields: Mapping[str, Any], extra: Mapping[str, Any] | None
    ) -> Operation[Created]:
        payload, refs = self._prepare("update", fields, extra)
        # A change of the key that addresses the record cannot be sent twice: the second would 404.
        renames = isinstance(target, ExternalKey) and "external_key" in payload
        repeat = Repeat.ONCE if renames else Repeat.IDEMPOTENT
        return self._on(
            target, "PUT", read_created, repeat, verb="update", payload=payload, refs=refs
        )

    def _delete(self, target: Target) -> Operation[bool]:
        return self._on(target, "DELETE", read_true, Repeat.IDEMPOTENT, verb="delete")

    def _action(
        self,
        target: Target | None,
        action: str,
        repeat: Repeat,
        *,
        verb: str,
        fields: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        reader: Callable[[msgspec.Raw], Any] = read_true,
        in_path: bool = False,
    ) -> Operation[Any]:
        """An action, as ``?action=name`` or, ``in_path``, as ``/_action/name``.

        ``target`` is the record it is done to, or None for an action of the object as a whole
        (``transaction?action=pay``). The body is ``{}`` when there is nothing to say (recording
        `send_invoice`).
        """
        payload: dict[str, Any] = {}
        refs: Refs = []
        if verb in self.writes:
            payload, refs = self._prepare(verb, fields or {}, extra)
        suffix = f"/_action/{action}" if in_path else ""
        query: QueryPairs = () if in_path else (("action", action),)
        if target is None:
            return self._call(
                "POST",
                f"/{self.object}{suffix}",
                reader,
                repeat,
                query,
                payload=payload,
                refs=refs,
            )
        return self._on(
            target,
            "POST",
            reader,
            repeat,
            verb=verb,
            suffix=suffix,
            query=query,
            payload=payload,
            refs=refs,
        )


class Readable(BaseResource[T]):
    """An object whose records can be read one by one."""

    __slots__ = ()

    @overload
    def get(
        self,
        id: int | Ref | Operation[Created] | None = None,
        *,
        external_key: str | None = None,
        token: str | None = None,
    ) -> Operation[T]: ...

    @overload
    def get(
        self,
        id: int | Ref | Operation[Created] | None = None,
        *,
        external_key: str | None = None,
        token: str | None = None,
        as_: type[R],
    ) -> Operation[R]: ...

    def get(
        self,
        id: int | Ref | Operation[Created] | None = None,  # noqa: A002 - the vendor's word
        *,
        external_key: str | None = None,
        token: str | None = None,
        as_: type[Any] | None = None,
    ) -> Operation[Any]:
        """One record, by exactly one of id, external key and token.

        Raises NotFound when there is none. Source: vendor's text, "External Keys", "Object Tokens".
        """
        return self._get(id, external_key, token, as_)

    def _get(
        self,
        id: int | Ref | Operation[Created] | None,  # noqa: A002 - the vendor's word
        external_key: str | None,
        token: str | None,
        as_: type[Any] | None,
        query: QueryPairs = (),
    ) -> Operation[Any]:
        given = [one for one in (id, external_key, token) if one is not None]
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
        return self._on(target, "GET", self._reader(as_), Repeat.READ, query=query, verb="get")


class Listable(BaseResource[T]):
    """An object whose records can be listed."""

    __slots__ = ()

    @overload
    def list(
        self,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Operation[Sequence[T]]: ...

    @overload
    def list(
        self,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
        as_: type[R],
    ) -> Operation[Sequence[R]]: ...

    def list(
        self,
        *,
        where: Where = None,
        order: Order = None,
        limit: int | None = None,
        offset: int | None = None,
        as_: type[Any] | None = None,
    ) -> Operation[Any]:
        """One page of records, in the API's order (by rising id, unless ``order`` is given).

        ``limit`` is 1 to 500; left out, the API takes 10. ``offset`` counts records from 0. Lists
        leave out nested parts. Use `iterate` for all pages.
        Source: vendor's text, "Paging"; recordings `customer_list`, `customer_with_invoices`.
        """
        return self._list(where, order, limit, offset, as_)

    def _list(
        self,
        where: Where,
        order: Order,
        limit: int | None,
        offset: int | None,
        as_: type[Any] | None,
        query: QueryPairs = (),
    ) -> Operation[Any]:
        query = (*where_pair(where), *order_pair(order), *page_pairs(limit, offset), *query)
        kind, dates = check_kind(as_ or self.model), self._options.dates
        return self._call(
            "GET", f"/{self.object}", lambda raw: read_many(raw, kind, dates), Repeat.READ, query
        )

    def _pages(
        self,
        where: Where,
        order: Order,
        page: int,
        kind: type[Any] | None,
        query: QueryPairs = (),
    ) -> AsyncIterator[Any]:
        page_pairs(page, None)
        order_pair(order)
        checked = check_kind(kind or self.model)
        return _iterate(self, where_pair(where), order, page, checked, query)

    @overload
    def iterate(
        self, *, where: Where = None, order: Order = None, page: int = MAX_PAGE
    ) -> AsyncIterator[T]: ...

    @overload
    def iterate(
        self, *, where: Where = None, order: Order = None, page: int = MAX_PAGE, as_: type[R]
    ) -> AsyncIterator[R]: ...

    def iterate(
        self,
        *,
        where: Where = None,
        order: Order = None,
        page: int = MAX_PAGE,
        as_: type[Any] | None = None,
    ) -> AsyncIterator[Any]:
        """Every record that fits, page by page; one request for ``page`` records (1 to 500).

        Without ``order`` it goes by the primary key and asks for what comes after the last one
        seen, so that records created or deleted meanwhile shift nothing. With ``order`` it counts
        offsets: a record that changes its place meanwhile may be seen twice or not at all.
        """
        return self._pages(where, order, page, as_)


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


def read_created(raw: msgspec.Raw) -> Created:
    """The answer of a create or an update."""
    try:
        return _decode_created(raw)  # in one step: it is by far the most frequent answer
    except (msgspec.DecodeError, ValueError, RecursionError):
        return read(raw, Created)


_decode_created: Callable[[msgspec.Raw], Created] = decoder(Created).decode


async def _iterate(
    resource: BaseResource[Any],
    where: QueryPairs,
    order: Order,
    page: int,
    kind: type[Any],
    more: QueryPairs,
) -> AsyncIterator[Any]:
    """Pages by key or by offset; ends with a page that is not full (vendor's clients do so)."""
    primary = resource.primary
    by_key = order is None
    clauses = where[0][1] if where else ""
    last: int | None = None
    offset = 0
    dates = resource._options.dates
    while True:
        condition = clauses
        if by_key and last is not None:
            condition = f"{clauses},{primary}:GT:{last}" if clauses else f"{primary}:GT:{last}"
        query: QueryPairs = (("where", condition),) if condition else ()
        query += order_pair(primary if by_key else order)
        query += page_pairs(page, None if by_key else offset) + more
        records = await resource._call(
            "GET",
            f"/{resource.object}",
            lambda raw: read_many(raw, kind, dates),
            Repeat.READ,
            query,
        )
        for record in records:
            yield record
        if len(records) < page:
            return
        offset += len(records)
        if by_key:
            newest = getattr(records[-1], primary, None)
            if not isinstance(newest, int) or (last is not None and newest <= last):
                raise DecodeError(
                    f"the API does not page {resource.attribute} by {primary}: after {last} came "
                    f"{newest}; pass order= to page by offset",
                    object=resource.object,
                )
            last = newest
