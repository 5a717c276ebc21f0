"""Is what the server holds what was sent? Field by field, exactly, by the kind of the field.

Three answers: the same, another value, or *not shown*: a record that leaves a field out (a list
leaves out a customer's ``tags``), or shows it in a form that cannot be told from others, is never
taken for equal. What a server does to a value when it stores it is written down here, each with
its source; whatever else differs is a difference. The kinds are those of the models' TypedDicts.

=================== ==================================== ==========================================
kind                is the same as                       source
=================== ==================================== ==========================================
text, key           ``""`` as null                       `Addresses`: null once created, ``""`` once
                                                         edited (recordings)
..                  the first 32 characters of a         recording `create_and_apply_credit`
                    ``transaction_detail``
..                  the month and year of a card as      vendor's page "Credit cards": ``08`` and 8
                    numbers
flag                0, 1, ``"0"``, ``"1"``; false as     recordings (``is_taxed`` is ``"0"``)
                    null
id                  its digits; 0 as null                recordings of 2017 (``class_id``)
integer, money      its digits, by value: 2.95 and       recordings (``"base": "0.000000"``)
                    ``"2.950000"``
day, moment         the same moment; a date is its       recording `update_package_invoice_date`
                    midnight
a key or a token    what is shown under its own name, or vendor's text, "External Keys"
that names another  the id of the record that has it
``tags``            in any order                         UNVERIFIED
``pricemodel``      the one entry of ``tiersets``        recordings `create_item`, `one_item`
``type``            an item's ``item_type``              the same recordings
a list of objects   entry by entry, in order; of each    recordings (`one_invoice`); PHP writes a
                    what was sent                        list with gaps as an object
=================== ==================================== ==========================================
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
# Values are JSON, of any type until they are looked at here.
from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, is_typeddict

import msgspec

from chargeover_async import models
from chargeover_async._refs import Ref
from chargeover_async.models._json.checks import SECRETS
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.models._json.shape import shape_of

Resolve = Callable[[str, str], "int | None"]

CUT = {"transaction_detail": 32}
_NUMBERS_IN_TEXT = frozenset({"expdate_month", "expdate_year"})
_RECORDS = ("Create", "Update")
_UNORDERED = frozenset({"tags"})
_OTHER_NAMES = {"type": "item_type"}  # as sent -> as shown
KEY_SUFFIXES = ("_external_key", "_token")
_NOTHING = (None, "")
_ABSENT: Any = msgspec.UNSET


class Comparison(msgspec.Struct, frozen=True, gc=False):
    """What a record says of what was sent.

    ``differs`` are the fields it holds with another value, ``{name: (sent, held)}``, ``unseen``
    those of which it does not show what they hold.
    """

    differs: dict[str, tuple[Any, Any]]
    unseen: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether everything that was sent is shown, and equal."""
        return not self.differs and not self.unseen


def compare(
    sent: Mapping[str, Any],
    held: Mapping[str, Any],
    *,
    resolve: Resolve | None = None,
    dates: DateFormat | None = None,
) -> Comparison:
    """Compare the fields ``sent``, as they go out, with the record ``held``, as it came in.

    ``resolve`` gives the id of a record that a field names by its key or token (``resolve(
    "customer_external_key", "C1")``), None for what it does not know; ``dates`` is how the account
    writes dates. A secret is never compared: no message may show it.
    """
    comparing = _Comparing(resolve, dates)
    differs: dict[str, tuple[Any, Any]] = {}
    unseen: list[str] = []
    for name, value in sent.items():
        shown = held.get(name, _ABSENT)
        # Most of what is compared: a text, or nothing, that is as it was.
        if (value is shown or (type(value) is str and value == shown)) and name not in SECRETS:
            continue
        same, shown = comparing.field(name, value, shown, held)
        if same is None:
            unseen.append(name)
        elif not same:
            differs[name] = (value, shown)
    return Comparison(differs, tuple(unseen))


def shown_as(name: str) -> tuple[str, ...]:
    """The names under which a record may show what a field was sent as."""
    if name == "pricemodel":
        return name, "tiersets"
    if name in _OTHER_NAMES:
        return name, _OTHER_NAMES[name]
    for suffix in KEY_SUFFIXES:
        if name.endswith(suffix):
            return name, f"{name.removesuffix(suffix)}_id"
    return (name,)


class _Comparing:
    """Compares values; True, False, or None for what is not shown."""

    __slots__ = ("_dates", "_resolve")

    def __init__(self, resolve: Resolve | None, dates: DateFormat | None) -> None:
        self._resolve = resolve
        self._dates = dates

    def field(
        self, name: str, sent: Any, held: Any, record: Mapping[str, Any]
    ) -> tuple[bool | None, Any]:
        """Whether a field is held as it was sent, and what is shown of it."""
        if name in SECRETS or isinstance(sent, Ref):
            return None, None
        if held is _ABSENT:
            return self._under_another_name(name, sent, record)
        if sent is None:
            return held in (None, "", 0, [], {}), held
        if isinstance(sent, Mapping):
            return self._object(sent, held), held
        if isinstance(sent, (list, tuple)):
            return self._list(name, sent, held), held
        return self._scalar(name, kind_of(name), sent, held), held

    def _under_another_name(
        self, name: str, sent: Any, record: Mapping[str, Any]
    ) -> tuple[bool | None, Any]:
        if name == "pricemodel" and isinstance(sent, Mapping):
            prices = record.get("tiersets")
            if isinstance(prices, list) and len(prices) == 1:
                return self._object(sent, prices[0]), prices[0]
            return None, None
        other = _OTHER_NAMES.get(name)
        if other is not None and other in record:
            return self.field(other, sent, record[other], record)
        for suffix in KEY_SUFFIXES:
            if name.endswith(suffix) and isinstance(sent, str) and self._resolve is not None:
                named = record.get(f"{name.removesuffix(suffix)}_id", _ABSENT)
                identity = self._resolve(name, sent)
                if named is not _ABSENT and identity is not None:
                    return _number(named) == identity, named
        return None, None

    def _object(self, sent: Mapping[str, Any], held: Any) -> bool | None:
        if not isinstance(held, Mapping):
            return False
        result: bool | None = True
        for name, value in sent.items():
            same, _ = self.field(name, value, held.get(name, _ABSENT), held)
            if same is False:
                return False
            if same is None:
                result = None
        return result

    def _list(self, name: str, sent: list[Any] | tuple[Any, ...], held: Any) -> bool | None:
        if isinstance(held, Mapping):  # a list with gaps, as PHP writes it
            held = list(held.values())
        if held is None:
            held = []
        if not isinstance(held, list) or len(held) != len(sent):
            return False
        if name in _UNORDERED and all(isinstance(entry, str) for entry in [*sent, *held]):
            return Counter(sent) == Counter(held)
        result: bool | None = True
        for ours, theirs in zip(sent, held, strict=True):
            same, _ = self.field("", ours, theirs, {})
            if same is False:
                return False
            if same is None:
                result = None
        return result

    def _scalar(self, name: str, kind: str, sent: Any, held: Any) -> bool | None:
        if isinstance(sent, bool):
            return _flag(held) is sent
        if kind in {"day", "moment"} and isinstance(sent, str):
            return self._same_moment(sent, held, whole_days=kind == "day")
        if kind in {"money", "integer", "id"} or not isinstance(sent, str):
            number = _number(sent)
            if number is None:
                return type(sent) is type(held) and bool(sent == held)
            if held in _NOTHING:
                return kind == "id" and number == 0
            return not isinstance(held, bool) and _number(held) == number
        if name in _NUMBERS_IN_TEXT and _number(sent) is not None:
            return _number(sent) == _number(held)
        if held is None:
            return sent == ""
        if isinstance(held, (int, Decimal)) and not isinstance(held, bool):
            held = str(held)  # a number where text is documented
        cut = CUT.get(name)
        return bool(sent == held) or (cut is not None and held in (sent[:cut], sent[:cut].rstrip()))

    def _same_moment(self, sent: str, held: Any, *, whole_days: bool) -> bool | None:
        if held in _NOTHING:
            return sent == ""
        ours, theirs = _moment(sent, None), _moment(held, self._dates)
        if ours is None or theirs is None:
            return bool(sent == held)
        if whole_days:
            return ours.date() == theirs.date()
        if ours.tzinfo is not None and theirs.tzinfo is not None:
            return ours == theirs
        if ours.tzinfo is not None:
            return None  # the account's zone is not known
        return ours == theirs.replace(tzinfo=None)  # the account's own clock, both of them


_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?", re.ASCII)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    return Decimal(str(value)) if isinstance(value, (int, Decimal, float)) else None


def _flag(held: Any) -> bool | None:
    if held is None or held == "":
        return False
    if isinstance(held, bool):
        return held
    return {"0": False, "1": True}.get(str(held))


def _moment(text: Any, dates: DateFormat | None) -> dt.datetime | None:
    if not isinstance(text, str):
        return None
    for pattern in (dates.datetime, dates.date) if dates else ():
        try:
            return dt.datetime.strptime(text, pattern)  # noqa: DTZ007 - the API's are naive
        except ValueError:
            continue
    try:
        return dt.datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:
        return None


@cache
def _kinds() -> dict[str, str]:
    """Field -> its kind; a name means the same in all that can be created or changed."""
    found: dict[str, str] = {}
    every = (kind for kind in vars(models).values() if is_typeddict(kind))
    # What an action sends may use a name otherwise, and is not kept under it.
    for written in sorted(every, key=lambda kind: not kind.__name__.endswith(_RECORDS)):
        for name, kind in shape_of(written).kinds.items():
            if kind not in {"list", "object"}:
                found.setdefault(name, kind)
    return found


def kind_of(name: str) -> str:
    """The kind of a field by its name; ``"mixed"`` for one that no model has."""
    return _kinds().get(name, "mixed")


__all__ = ("Comparison", "Resolve", "compare", "kind_of", "shown_as")
