"""Rows out of files: what a file holds, record by record, whatever its format."""

from __future__ import annotations

from .source import BadFile, BadRow, Row, Source

__all__ = ("BadFile", "BadRow", "Row", "Source")
