"""Building the operations of an object, once, for direct calls, bulk scopes and streams alike.

A method builds an `Operation`: what to send, what comes back, how safe it is to repeat. Who runs
it is decided by whoever owns the resource (the ``runner``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from chargeover_async.errors import UsageError
from chargeover_async.models import Created, Record
from chargeover_async.models._json.checks import Refs, check_mapping, shown
from chargeover_async.models._json.plain import plain
from chargeover_async.models._json.shape import shape_of
from chargeover_async.operation import Operation, Reader, Runner
from chargeover_async.query import QueryPairs
from chargeover_async.retry import Repeat

from .answers import OnUnreadable, Reading, read_created, read_true
from .options import ActionForm, Options, is_path_form
from .target import ExternalKey, Target, named

T = TypeVar("T", bound=Record)

KEYED, ONCE = Repeat.KEYED, Repeat.ONCE

CUSTOMER = ("customer_id", "customer_external_key", "customer_token")


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
    # Groups of fields of which a new one must have one each, where that and the types of `writes`
    # are all that `create` checks; None where it does more.
    needs: ClassVar[Sequence[Sequence[str]] | None] = None

    __slots__ = ("_options", "_runner")

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        if "object" in cls.__dict__ and "primary" not in cls.__dict__:
            cls.primary = f"{cls.object.lstrip('_')}_id"

    def __init__(self, runner: Runner, options: Options) -> None:
        self._runner = runner
        self._options = options

    def _reading(
        self, as_: type[Any] | None, *, raw: bool = False, on_unreadable: OnUnreadable = None
    ) -> Reading:
        return Reading(self.model, as_, self._options.dates, raw=raw, on_unreadable=on_unreadable)

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
        name = named(target, f"{self.attribute}.{verb}")
        return self._call(
            method,
            f"/{self.object}/{name.segment}{suffix}",
            reader,
            repeat,
            query,
            payload=payload,
            refs=refs,
            path_ref=name.ref,
            record=(self.object, name.how, name.value),
        )

    def _prepare(
        self, verb: str, fields: Mapping[str, Any], extra: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Refs]:
        written: Any = self.writes[verb]
        payload, refs = shape_of(written, self.model).prepare(
            fields, f"{self.attribute}.{verb}", extra
        )
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
        if extra is not None:
            check_mapping(extra, f"{self.attribute}.{verb}: extra")
        given = {**(extra or {}), **fields}
        for name in names:
            group = (name,) if isinstance(name, str) else tuple(name)
            if all(_is_absent(given.get(field)) for field in group):
                wanted = group[0] if len(group) == 1 else f"one of {', '.join(group)}"
                raise UsageError(f"{self.attribute}.{verb} needs {wanted}")

    def _need_positive(self, verb: str, amount: Any, name: str = "amount") -> None:
        """Raise UsageError for nothing or less than that: a server may take 0 for all there is."""
        try:
            if amount is None or Decimal(plain(amount)) > 0:
                return
        except (InvalidOperation, TypeError, ValueError):
            return  # what is no number is refused by the check of its field
        raise UsageError(
            f"{self.attribute}.{verb}: {name} must be more than 0, not {shown(amount)}"
        )

    def _create(
        self,
        fields: Mapping[str, Any],
        extra: Mapping[str, Any] | None,
        *,
        verb: str = "create",
    ) -> Operation[Created]:
        if self.needs and verb == "create":
            check_needs(type(self), {**(extra or {}), **fields}, f"{self.attribute}.{verb}")
        payload, refs = self._prepare(verb, fields, extra)
        return self._create_checked(payload, refs)

    def _create_checked(self, payload: dict[str, Any], refs: Refs | None) -> Operation[Created]:
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
        form: ActionForm = "query",
        in_path: str | None = None,
    ) -> Operation[Any]:
        """An action, as ``?action=name`` or, by its ``form``, as ``/_action/name``.

        ``in_path`` is its name in the path, where that is another one.
        ``target`` is the record it is done to, or None for an action of the object as a whole
        (``transaction?action=pay``). The body is ``{}`` when there is nothing to say (recording
        `send_invoice`).
        """
        payload: dict[str, Any] = {}
        refs: Refs = []
        if verb in self.writes:
            payload, refs = self._prepare(verb, fields or {}, extra)
        is_in_path = is_path_form(form)
        suffix = f"/_action/{in_path or action}" if is_in_path else ""
        query: QueryPairs = () if is_in_path else (("action", action),)
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


_EMPTY: tuple[Any, ...] = ("", [], ())


def _is_absent(value: Any) -> bool:
    """Nothing, or empty; never asks a value whether it is equal, as pandas' NA has no answer."""
    return value is None or (isinstance(value, (str, list, tuple)) and value in _EMPTY)


def check_needs(resource: type[BaseResource[Any]], given: Mapping[str, Any], where: str) -> None:
    """Raise UsageError that names ``where`` for a new record that lacks what it needs."""
    written: Any = resource.writes["create"]
    for group in resource.needs or ():
        if all(_is_absent(given.get(name)) for name in group):
            wanted = group[0] if len(group) == 1 else f"one of {', '.join(group)}"
            lists = shape_of(written, resource.model).kinds.get(group[0]) == "list"
            raise UsageError(f"{where} needs {'at least one entry in ' * lists}{wanted}")


def create_checked(resource: BaseResource[Any], payload: dict[str, Any]) -> Operation[Created]:
    """The creation of a record of which everything has been checked: see `BaseResource.needs`."""
    return resource._create_checked(payload, None)
