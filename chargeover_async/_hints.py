"""What a message adds to help: the nearest name that is known, the extra to install."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``'; did you mean "email"?'``, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def needs_extra(what: str, extra: str) -> str:
    """``'zstd needs the extra "zstd": pip install "chargeover-async[zstd]"'``.

    ``what`` has its verb with it: ``"zstd needs"``, ``"Parquet and Arrow need"``.
    """
    return f'{what} the extra "{extra}": pip install "chargeover-async[{extra}]"'


__all__ = ("did_you_mean", "needs_extra")
