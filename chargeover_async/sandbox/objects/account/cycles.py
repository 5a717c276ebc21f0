"""Payment cycles: how long each is, and when the next invoice is due; pure."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping
from fractions import Fraction

from chargeover_async.sandbox.protocol.answers import INVALID, Refused

# Names: page "Create a subscription".
NAMES: Mapping[str, str] = {
    "dly": "Daily",
    "1wk": "Every week",
    "2wk": "Every other week",
    "116": "1st and the 16th",
    "4wk": "Every four weeks",
    "8wk": "Every eight weeks",
    "30d": "Every 30 days",
    "mon": "Monthly",
    "2mn": "Every other month",
    "12w": "Every twelve weeks",
    "qtr": "Quarterly",
    "six": "Every six months",
    "yrl": "Yearly",
    "2yr": "Every 2 years",
    "3yr": "Every 3 years",
    "4yr": "Every 4 years",
    "5yr": "Every 5 years",
    "10y": "Every 10 years",
}
DEFAULT_CYCLE = "mon"  # UNVERIFIED: an account has a default, no source says which
EVERY = "evy"  # of a price: whatever the cycle of the subscription is

_DAYS = {"dly": 1, "1wk": 7, "2wk": 14, "4wk": 28, "8wk": 56, "30d": 30, "12w": 84}
_MONTHS = {"mon": 1, "2mn": 2, "qtr": 3, "six": 6}
_YEARS = {"yrl": 1, "2yr": 2, "3yr": 3, "4yr": 4, "5yr": 5, "10y": 10}

# What the recordings add: a calendar month for "mon" (2015-03-25 -> 04-25); 7,889,229 s, which is
# three months of 2,629,743 s, for "qtr" (2015-04-01 00:00:01 -> 07-01 07:27:10); 365.25 days for
# "yrl" (2015-03-23 00:00:01 -> 2016-03-22 06:00:01). The other cycles are UNVERIFIED.
_QUARTER = dt.timedelta(seconds=7_889_229)
_YEAR = dt.timedelta(days=365, hours=6)
_FIRST_SECOND = dt.time(0, 0, 1)  # of the day: all recorded dates that are not held


def first_second(day: dt.date) -> str:
    """The moment of a day at which an invoice falls due."""
    return dt.datetime.combine(day, _FIRST_SECOND).isoformat(" ", "seconds")


def after(day: dt.date, cycle: str) -> str:
    """When the next invoice comes if one of ``day`` was the last."""
    start = dt.datetime.combine(day, _FIRST_SECOND)
    try:
        return _next(start, cycle).isoformat(" ", "seconds")
    except (OverflowError, ValueError):
        raise Refused(INVALID) from None


def before(moment: str, cycle: str) -> dt.date:
    """The day whose next invoice comes at ``moment``: `after`, turned around."""
    end = dt.datetime.fromisoformat(moment)
    try:
        if cycle in ("mon", "2mn"):
            return _months(end.date(), -_MONTHS[cycle])
        if cycle == "116":
            return (end.date() - dt.timedelta(days=1)).replace(day=1 if end.day > 1 else 16)
        return (end - (_next(end, cycle) - end)).date()
    except (OverflowError, ValueError):
        raise Refused(INVALID) from None


def _next(start: dt.datetime, cycle: str) -> dt.datetime:
    if cycle in _DAYS:
        return start + dt.timedelta(days=_DAYS[cycle])
    if cycle in ("qtr", "six"):
        return start + _QUARTER * (_MONTHS[cycle] // 3)
    if cycle in _YEARS:
        return start + _YEAR * _YEARS[cycle]
    if cycle == "116":
        day = start.date()
        day = day.replace(day=16) if day.day < 16 else _months(day.replace(day=1), 1)
        return dt.datetime.combine(day, start.time())
    return dt.datetime.combine(_months(start.date(), _MONTHS[cycle]), start.time())


def _months(day: dt.date, months: int) -> dt.date:
    """The same day of another month, or its last one (UNVERIFIED)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not dt.MINYEAR <= year <= dt.MAXYEAR:
        raise OverflowError
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def per_year(cycle: str) -> Fraction:
    """How often a cycle comes in a year (UNVERIFIED: 52 weeks, 365 days)."""
    if cycle in _DAYS:
        days = _DAYS[cycle]
        return Fraction(364 if days % 7 == 0 else 365, days)
    if cycle in _YEARS:
        return Fraction(1, _YEARS[cycle])
    return Fraction(24) if cycle == "116" else Fraction(12, _MONTHS[cycle])


def times(price_cycle: str, cycle: str) -> int:
    """How often a price is charged in one cycle of a subscription.

    Recording `create_and_apply_payment`: a monthly price stands three times on the invoice of a
    quarter. UNVERIFIED: once where the one is no multiple of the other.
    """
    if price_cycle == EVERY:
        return 1
    ratio = per_year(price_cycle) / per_year(cycle)
    return ratio.numerator if ratio.denominator == 1 else 1


def known_cycle(cycle: str) -> str:
    """``cycle``, if there is such a one; else the request is refused."""
    if cycle not in NAMES:
        raise Refused(INVALID)
    return cycle
