"""Rows out of files: what a file holds, record by record, whatever its format."""

from __future__ import annotations

from .failure_rows import FailureSource
from .formats import FORMATS, guess_format
from .held import Held
from .problem import Problem
from .row import BadFile, BadRow, Row, Skip
from .source import Source

__all__ = (
    "FORMATS",
    "BadFile",
    "BadRow",
    "FailureSource",
    "Held",
    "Problem",
    "Row",
    "Skip",
    "Source",
    "guess_format",
)
