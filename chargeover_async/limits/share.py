"""Where a quota is shared, in one word: a URL of Redis or the path of a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chargeover_async.errors import UsageError

from .base import QuotaSettings

if TYPE_CHECKING:  # most processes share nothing, and need not wait for the import
    from .shared import SharedLimiter

_SCHEMES = ("redis://", "rediss://", "unix://")


def share(
    where: str | os.PathLike[str], account: str, settings: QuotaSettings | None = None
) -> SharedLimiter:
    """The limiter for ``where``: ``redis://``, ``rediss://`` or ``unix://``, else a file.

    ``account`` tells quotas in one Redis apart; a file is for one account. Raises UsageError.
    """
    text = os.fspath(where)
    if not isinstance(text, str) or not text.strip():
        raise UsageError("name a URL of Redis or a file to share the quota by")
    if text.startswith(_SCHEMES):
        from .redis import RedisLimiter

        return RedisLimiter(text, account, settings)
    if "://" in text:
        raise UsageError(
            f"a quota is shared through {', '.join(_SCHEMES)} or a file,"
            f" not {text.partition('://')[0]}://"
        )
    from .file import FileLimiter

    return FileLimiter(text, settings)


__all__ = ("share",)
