"""What messages have in common: the nearest name, the extra to install, another's exception."""

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


def describe(error: BaseException) -> str:
    """Name and text of an exception that is not ours, whose text may fail to be made, too."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - a `__str__` may raise what it likes
        return type(error).__name__


__all__ = ("describe", "did_you_mean", "needs_extra")
