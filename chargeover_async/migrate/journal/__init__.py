"""What survives a kill: a file of what is about to be sent, and of what came of it."""

from __future__ import annotations

from .journal import Journal
from .reading import JournalLoad, JournalRow, JournalState, read_rows, read_state

__all__ = ("Journal", "JournalLoad", "JournalRow", "JournalState", "read_rows", "read_state")
