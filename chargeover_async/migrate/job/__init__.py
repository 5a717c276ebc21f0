"""A run: stage by stage, row by row, until each is accounted for."""

from __future__ import annotations

from .job import ImportJob, Preview, Progress, first_contact
from .outputs import Failure, LoadSummary, Summary

__all__ = (
    "Failure",
    "ImportJob",
    "LoadSummary",
    "Preview",
    "Progress",
    "Summary",
    "first_contact",
)
