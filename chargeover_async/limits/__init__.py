"""The request quota: permits for each HTTP request, so that the server never has to refuse one."""

from __future__ import annotations

from .base import Limiter, Permit, Priority, QuotaSettings, QuotaStats
from .local import LocalLimiter
from .share import share
from .unlimited import NoLimit

__all__ = (
    "Limiter",
    "LocalLimiter",
    "NoLimit",
    "Permit",
    "Priority",
    "QuotaSettings",
    "QuotaStats",
    "share",
)
