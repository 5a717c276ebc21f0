"""The base of every record that is read, and the types its fields may have.

Fields keep the vendor's names. Every field but the primary key has a default, so that an answer of
an older or newer version of the API still decodes; a field we do not know is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, dataclass_transform, get_type_hints

import msgspec

if TYPE_CHECKING:
    from decimal import Decimal

    # A custom field: text, as a rule, but the vendor calls it mixed.
    Mixed = str | int | bool | Decimal | list[Any] | dict[str, Any] | None
else:
    Mixed = Any


class _RecordMeta(msgspec.StructMeta):
    """Lets a subclass give a field of its base another name, and inherited fields their place.

    msgspec refuses two fields with one wire name; the inherited one is therefore moved to a wire
    name that the API never sends, and stays None.

    ``inherited_after`` names the field behind which the inherited ones stand, where msgspec would
    put them first. It looks for a field from the place of the last one on, so a record whose fields
    stand as the API sends them is read in two thirds of the time.
    """

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        ns: dict[str, Any],
        inherited_after: str | None = None,
        **kw: Any,
    ) -> Any:
        kw.setdefault("kw_only", True)
        kw.setdefault("frozen", True)
        if inherited_after is not None:
            bases = _move_in(ns, bases, inherited_after)
        taken = {
            value.name: attribute
            for attribute, value in ns.items()
            if isinstance(value, type(_FIELD)) and value.name is not None
        }
        if taken:
            for base in bases:
                for inherited in getattr(base, "__struct_fields__", ()):
                    if inherited in taken and taken[inherited] != inherited:
                        ns.setdefault("__annotations__", {})[inherited] = Any
                        ns[inherited] = msgspec.field(default=None, name=f"renamed {inherited}")
        return super().__new__(mcls, name, bases, ns, **kw)


def _move_in(ns: dict[str, Any], bases: tuple[type, ...], after: str) -> tuple[type, ...]:
    """Make the fields of the base own ones of the class, all optional; returns its new bases."""
    (base,) = bases
    hints, own = get_type_hints(base), ns["__annotations__"]
    annotations: dict[str, Any] = {}
    for name, hint in own.items():
        annotations[name] = hint
        if name == after:
            for inherited in cast("type[msgspec.Struct]", base).__struct_fields__:
                annotations[inherited] = hints[inherited]
                ns[inherited] = None
    ns["__annotations__"] = annotations
    return (Record,)


_FIELD: Any = msgspec.field(default=None)


# Says to type checkers what the metaclass does: a subclass is frozen without being told.
@dataclass_transform(field_specifiers=(msgspec.field,), kw_only_default=True, frozen_default=True)
class Record(msgspec.Struct, metaclass=_RecordMeta, frozen=True, kw_only=True):
    """A record as the API returned it; frozen.

    Subclass a model to read a custom field under your own name, and pass the class as ``as_=``::

        class MyCustomer(Customer):
            tier: str | None = msgspec.field(name="custom_1", default=None)
    """
