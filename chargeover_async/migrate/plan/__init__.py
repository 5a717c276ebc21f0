"""What is to become of the rows: a plan, how it is read, and the records that it makes."""

from __future__ import annotations

from .given import rows_plan
from .plan import (
    Children,
    Choice,
    Constant,
    Field,
    Load,
    Nested,
    Plan,
    Rows,
    Several,
    plan_digest,
)
from .read import failures_plan, parse_plan, read_plan

__all__ = (
    "Children",
    "Choice",
    "Constant",
    "Field",
    "Load",
    "Nested",
    "Plan",
    "Rows",
    "Several",
    "failures_plan",
    "parse_plan",
    "plan_digest",
    "read_plan",
    "rows_plan",
)
