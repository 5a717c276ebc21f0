"""Is what the server holds what was sent? Asked of a record that was found by its key."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import msgspec

from chargeover_async._refs import Ref
from chargeover_async.models._json.checks import SECRETS
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

    Only plain values that the record shows under the same name are compared, and by their meaning:
    what a server does to a value when it stores it makes no difference (`_same`).
    """
    found: dict[str, tuple[Any, Any]] = {}
    for name, value in sent.items():
        if name not in held or value is None or isinstance(value, (dict, list, Ref)):
            continue
        if name in SECRETS:  # the result goes into messages
            continue
        if not _same(value, held[name]):
            found[name] = (value, held[name])
    return found


def _same(sent: Any, held: Any) -> bool:
    """Whether ``held`` is what a server holds that was sent ``sent``.

    Numbers are compared as numbers, in text too (``"08"`` and 8, ``"2.95"`` and ``"2.950000"``),
    moments as moments (a date with the midnight it is stored as), text without regard to blanks.
    Text may be held cut (``transaction_detail`` at 32 characters, recording
    `create_and_apply_credit`).
    """
    if sent == held:
        return True
    if held is None:
        return not sent
    if isinstance(sent, bool) or isinstance(held, bool):
        return _flag_text(sent) == _flag_text(held)
    numbers = _number(sent), _number(held)
    if None not in numbers:
        return numbers[0] == numbers[1]
    if not isinstance(sent, str) or not isinstance(held, str):
        return False
    moments = _moment(sent), _moment(held)
    if moments[0] is not None and moments[1] is not None:
        return _same_moment(moments[0], moments[1])
    sent, held = " ".join(sent.split()), " ".join(held.split())
    return sent == held or (len(held) >= SHORTEST_CUT - 1 and sent.startswith(held))


SHORTEST_CUT = 32  # characters; one less where the cut left a blank at the end


def _number(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    return Decimal(str(value)) if isinstance(value, (int, Decimal, float)) else None


_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?", re.ASCII)


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:
        return None


def _same_moment(sent: dt.datetime, held: dt.datetime) -> bool:
    """Two aware moments are compared as such, others by what their clocks show."""
    if sent.tzinfo and held.tzinfo:
        return sent == held
    return sent.replace(tzinfo=None) == held.replace(tzinfo=None)


def _flag_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
