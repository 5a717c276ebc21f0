"""What can be known before anything is sent."""

from __future__ import annotations

from .found import BadInput, Forecast

__all__ = ("BadInput", "Forecast")
