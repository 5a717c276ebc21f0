"""What can be known before anything is sent."""

from __future__ import annotations

from .check import BadInput, Forecast

__all__ = ("BadInput", "Forecast")
