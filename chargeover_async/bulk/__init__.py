"""Many operations in few requests: bulk scopes and streams."""

from __future__ import annotations

from .assumptions import ServerAssumptions
from .engine import BulkReport, BulkSettings
from .scope import Bulk

__all__ = ("Bulk", "BulkReport", "BulkSettings", "ServerAssumptions")
