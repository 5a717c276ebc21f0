"""What a plan would change in an account: found out by reading, before anything is sent."""

from __future__ import annotations

from .change import Change, find_change

__all__ = ("Change", "find_change")
