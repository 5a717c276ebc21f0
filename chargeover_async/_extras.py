"""What only some files need, imported when one of them is met: pyarrow, and zstd."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from chargeover_async._hints import needs_extra
from chargeover_async.errors import UsageError


def arrow() -> Any:
    """The module pyarrow, with ``parquet`` and ``ipc``; raises UsageError naming the extra."""
    try:
        import_module("pyarrow.parquet")
        import_module("pyarrow.ipc")
        return import_module("pyarrow")
    except ImportError:
        raise UsageError(needs_extra("Parquet and Arrow need", "parquet")) from None


def zstd() -> Any:
    """The module compression.zstd (Python 3.14), or its backport; raises UsageError."""
    try:
        return import_module(
            "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        )
    except ImportError:
        raise UsageError(needs_extra("zstd needs", "zstd")) from None


__all__ = ("arrow", "zstd")
