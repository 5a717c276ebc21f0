"""What a plan would change in an account: found out by reading, before anything is sent."""

from __future__ import annotations

from .change import Change, find_change
from .plan import FieldDifference, Outlook, RowDifference, compare_plan

__all__ = (
    "Change",
    "FieldDifference",
    "Outlook",
    "RowDifference",
    "compare_plan",
    "find_change",
)
