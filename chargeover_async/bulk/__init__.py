"""Many operations in few requests: bulk scopes and streams."""

from __future__ import annotations

from .journal import StreamJournal
from .scope import Bulk
from .settings import BulkReport, BulkSettings, ServerAssumptions

__all__ = ("Bulk", "BulkReport", "BulkSettings", "ServerAssumptions", "StreamJournal")
