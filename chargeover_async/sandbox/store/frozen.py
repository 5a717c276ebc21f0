"""Values that refuse to be changed in place, so that records change by the store's door alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from chargeover_async.sandbox.protocol.values import is_array, is_object

_NESTED = (dict, list, tuple)


def _refuse(self: Any, *_args: Any, **_options: Any) -> NoReturn:
    raise TypeError(
        f"a stored record is changed by Store.change alone, not in place: {self!r:.100}"
    )


class FrozenDict(dict[str, Any]):
    """A JSON object; ``{**it}`` is one that can be changed, and so is a copy."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> Any:
        """Copies, deep ones too, and pickles are plain."""
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A JSON array; ``[*it]`` is one that can be changed, and so is a copy."""

    __slots__ = ()

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> Any:
        """Copies, deep ones too, and pickles are plain."""
        return list, (list(self),)


def freeze(value: Any) -> Any:
    """``value``, in which no object and no array can be changed, however deep it lies."""
    if is_object(value):
        return value if type(value) is FrozenDict else freeze_fields(value)
    if isinstance(value, tuple):
        value = [*value]
    if is_array(value):
        return value if type(value) is FrozenList else FrozenList(map(freeze, value))
    return value


def freeze_fields(fields: Mapping[str, Any]) -> FrozenDict:
    """An object like ``fields`` that cannot be changed."""
    try:
        frozenset(fields.values())  # the shortest way to see that nothing is nested
    except TypeError:  # not hashable
        fields = dict(fields)
        for name in [name for name, value in fields.items() if isinstance(value, _NESTED)]:
            fields[name] = freeze(fields[name])
    return FrozenDict(fields)
