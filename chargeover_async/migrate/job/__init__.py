"""A run: stage by stage, row by row, until each is accounted for."""

from __future__ import annotations

from .books import LoadSummary, Progress, Summary
from .first import first_contact
from .job import ImportJob, Preview
from .outputs import Failure

__all__ = (
    "Failure",
    "ImportJob",
    "LoadSummary",
    "Preview",
    "Progress",
    "Summary",
    "first_contact",
)
