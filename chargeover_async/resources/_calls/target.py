"""Naming one record: by id, external key or token, or as what another operation creates."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from chargeover_async._refs import REF_IN_PATH, Ref
from chargeover_async._wire.request import segment
from chargeover_async.errors import UsageError
from chargeover_async.models import Created
from chargeover_async.models._json.checks import check_id, check_key
from chargeover_async.models._json.plain import plain
from chargeover_async.operation import Operation


class ExternalKey(str):
    """An external key in the place of an id: ``co.customers.update(ExternalKey("a-1"), ...)``."""

    __slots__ = ()

    def __new__(cls, key: str) -> Self:
        """The key itself, where ``key`` is of a kind of text that writes itself otherwise."""
        return super().__new__(cls, plain(key))


class Token(str):
    """A token in the place of an id: ``co.invoices.void(Token("0q7fx5652k18"))``."""

    __slots__ = ()

    def __new__(cls, token: str) -> Self:
        """The token itself, as in `ExternalKey`."""
        return super().__new__(cls, plain(token))


Target = int | ExternalKey | Token | Ref | Operation[Created]
"""Names one record: its id, `ExternalKey`, `Token`, or the operation that creates it."""


class Named(NamedTuple):
    """A record as it stands in a path; ``how`` and ``value`` tell operations on one apart."""

    segment: str
    how: str
    value: Any
    ref: Ref | None = None


def named(target: Target, where: str) -> Named:
    """How a request names its record; raises UsageError, beginning with ``where``."""
    if isinstance(target, Operation):
        target = target.ref()
    if isinstance(target, Ref):
        return Named(REF_IN_PATH, "ref", target.target, target)
    if isinstance(target, ExternalKey):
        key = check_key(target, "external_key")
        return Named(f"external_key:{segment(key)}", "external_key", key)
    if isinstance(target, Token):
        token = check_key(target, "token")
        return Named(f"token:{segment(token)}", "token", token)
    other: object = target  # an id, as far as type checkers know
    if isinstance(other, str):
        raise UsageError(f"{where} takes an id; write ExternalKey({plain(other)!r}) or Token(...)")
    number = check_id(other, f"{where}: the id")
    if number == 0:
        raise UsageError(f"{where}: an id is at least 1")
    return Named(str(number), "id", number)
