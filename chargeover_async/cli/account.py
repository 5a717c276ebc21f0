"""The account that a command works on; credentials come from the environment and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from chargeover_async.client import ChargeOver, quota_share_of_env
from chargeover_async.errors import UsageError
from chargeover_async.retry import RetryPolicy

Opener = Callable[..., ChargeOver]

# Somebody is waiting at a terminal: a wrong URL shall show within seconds, not after a minute of
# patience that is right in the middle of a long import.
IMPATIENT = RetryPolicy(attempts=2, attempts_after_500=1, base_s=0.2, total_s=10)


def opener(url: str | None) -> Opener:
    """What makes clients of the account; call it with the options of `ChargeOver`.

    ``url`` stands in for CHARGEOVER_URL. Raises UsageError naming what is missing.
    """
    if url is None:
        return ChargeOver.from_env
    names = ("CHARGEOVER_USERNAME", "CHARGEOVER_PASSWORD")
    missing = [name for name in names if not os.environ.get(name, "").strip()]
    if missing:
        raise UsageError(f"set {', '.join(missing)} in the environment")
    username, password = (os.environ[name] for name in names)

    def open_account(**options: Any) -> ChargeOver:
        options = {**quota_share_of_env(options), **options}
        return ChargeOver(url, username, password, **options)

    return open_account


__all__ = ("IMPATIENT", "Opener", "opener")
