"""The base of every record that is read, and the types its fields may have.

Fields keep the vendor's names. Every field but the primary key has a default, so that an answer of
an older or newer version of the API still decodes; a field we do not know is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, dataclass_transform

import msgspec

if TYPE_CHECKING:
    from decimal import Decimal

    # A custom field: text, as a rule, but the vendor calls it mixed.
    Mixed = str | int | bool | Decimal | list[Any] | dict[str, Any] | None
else:
    Mixed = Any


class _RecordMeta(msgspec.StructMeta):
    """Lets a subclass give a field of its base another name.

    msgspec refuses two fields with one wire name; the inherited one is therefore moved to a wire
    name that the API never sends, and stays None.
    """

    def __new__(mcls, name: str, bases: tuple[type, ...], ns: dict[str, Any], **kw: Any) -> Any:
        kw.setdefault("kw_only", True)
        kw.setdefault("frozen", True)
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


_FIELD: Any = msgspec.field(default=None)


# Says to type checkers what the metaclass does: a subclass is frozen without being told.
@dataclass_transform(field_specifiers=(msgspec.field,), kw_only_default=True, frozen_default=True)
class Record(msgspec.Struct, metaclass=_RecordMeta, frozen=True, kw_only=True):
    """A record as the API returned it; frozen.

    Subclass a model to read a custom field under your own name, and pass the class as ``as_=``::

        class MyCustomer(Customer):
            tier: str | None = msgspec.field(name="custom_1", default=None)
    """
