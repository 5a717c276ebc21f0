"""Is what the server holds what was sent? Asked of a record that was found by its key."""

from __future__ import annotations

from typing import Any

import msgspec

from chargeover_async import _same
from chargeover_async.models._json.read import untyped


def compare(
    name: str, record: msgspec.Raw, sent: dict[str, Any]
) -> tuple[int, dict[str, tuple[Any, Any]]]:
    """The id of a record of the object ``name``, and its `differences` from what was ``sent``.

    Raises an Exception of any kind where the record cannot be read or compared.
    """
    held = untyped(record)
    return int(held[f"{name}_id"]), differences(sent, held)


def differences(sent: dict[str, Any], held: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields that were sent and are held with another value, as ``{name: (sent, held)}``.

    What the record does not show is left alone (`_same`).
    """
    return _same.compare(sent, held).differs
