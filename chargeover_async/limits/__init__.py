"""The request quota: permits for each HTTP request, so that the server never has to refuse one."""

from __future__ import annotations

from chargeover_async.limits._base import Limiter, Permit, Priority, QuotaSettings, QuotaStats
from chargeover_async.limits.local import LocalLimiter
from chargeover_async.limits.share import share
from chargeover_async.limits.unlimited import NoLimit

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
