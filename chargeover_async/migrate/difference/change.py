"""What is to be done so that a record is what a row says; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, cast

import msgspec

from chargeover_async._send.comparison import Resolve, compare, shown_as
from chargeover_async.migrate.plan.fields import KEY, find_object
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.models._json.shape import shape_of
from chargeover_async.resources import RESOURCES


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is to be done with one row: ``"create"`` a record, ``"change"`` it, ``"leave"`` it.

    ``differs`` are the fields that the record holds with another value, as ``{name: (row's,
    record's)}``, ``unseen`` those that it does not show. ``fields`` are those of both that a change
    sends: what the API changes. The others stay as they are, however much they differ.
    """

    what: Literal["create", "change", "leave"]
    id: int | None = None
    fields: tuple[str, ...] = ()
    differs: Mapping[str, tuple[Any, Any]] = msgspec.field(
        default_factory=dict[str, tuple[Any, Any]]
    )
    unseen: tuple[str, ...] = ()

    @property
    def fixed(self) -> tuple[str, ...]:
        """Fields with another value that the API does not change."""
        return tuple(name for name in self.differs if name not in self.fields)


def find_change(
    name: str,
    row: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    *,
    resolve: Resolve | None = None,
    dates: DateFormat | None = None,
) -> Change:
    """What is to be done so that ``record`` of the object ``name`` is what ``row`` says.

    ``row`` holds ChargeOver's names with values as they are sent, ``record`` is one as the API
    shows it (JSON, numbers as Decimal), None where there is none. Only what the row says is
    compared: exactly, by the kind of each field. ``resolve`` gives the id of the record that a
    field names by its key (``resolve("customer_external_key", "C1")``), None for one that it does
    not know. Raises KeyError for an object that cannot be created.

    It says nothing of what a list leaves out (a customer's ``tags``): pass a record that was read
    by itself.
    """
    found = find_object(name)
    if found is None:
        raise KeyError(name)
    if record is None:
        return Change(what="create")
    identity = record.get(RESOURCES[found].primary)
    comparison = compare(row, record, resolve=resolve, dates=dates)
    wanted = (*comparison.differs, *comparison.unseen)
    known = updatable_fields(found)
    fields = tuple(field for field in wanted if field in known)
    return Change(
        what="change" if fields else "leave",
        id=None if identity is None else int(identity),
        fields=fields,
        differs=comparison.differs,
        unseen=comparison.unseen,
    )


@cache
def updatable_fields(name: str) -> frozenset[str]:
    """The fields of an object that an update takes, its key apart, which it is addressed by."""
    written = RESOURCES[name].writes.get("update")
    return (
        frozenset() if written is None else frozenset(shape_of(cast("Any", written)).kinds) - {KEY}
    )


def needed(names: Iterable[str]) -> frozenset[str]:
    """The names under which a record may show these fields."""
    return frozenset(shown for name in names for shown in shown_as(name))


__all__ = ("Change", "find_change", "needed", "updatable_fields")
