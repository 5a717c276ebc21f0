"""What a process does while the shared ledger cannot be reached: tries again, or goes on alone."""

from __future__ import annotations

import logging
import math
import random as _random
from typing import Literal

from chargeover_async.errors import UsageError

from .base import QuotaSettings
from .books import Books, BooksAway
from .ledger import SECOND, Rules
from .window import QuotaWindow

_log = logging.getLogger("chargeover_async.limits")

WhenAway = Literal["wait", "alone"]

_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 2.0
_WARN_AGAIN_S = 60.0


class Away:
    """Since when the ledger is away, when to try again, and the quota of one who goes on alone.

    ``alone`` is that quota, a share of the whole, from the time on at which nothing counts any more
    of what was granted before; None before it, and when the ledger is to be waited for.
    """

    def __init__(
        self,
        books: Books,
        settings: QuotaSettings,
        *,
        when_away: WhenAway,
        alone_share: float,
        random: _random.Random,
    ) -> None:
        if when_away not in {"wait", "alone"}:
            raise UsageError(f'when_away must be "wait" or "alone", not {when_away!r}')
        if not 0 < alone_share <= 1:
            raise UsageError(f"alone_share must be above 0 and at most 1, not {alone_share!r}")
        self._books = books
        self._settings = settings
        self._recovery_s = Rules.of(settings).recovery / SECOND
        self._when_away = when_away
        self._alone_share = alone_share
        self._random = random
        self._contact_at = -math.inf
        self._warned_at = -math.inf
        self._failures = 0
        self.since: float | None = None
        self.retry_at = -math.inf
        self.alone: QuotaWindow | None = None

    def failed(self, error: BooksAway, now: float, waiting: int) -> None:
        """An exchange has failed, for which ``waiting`` requests wait."""
        if self.since is None:
            self.since = now
            if self._contact_at == -math.inf:
                self._contact_at = now
        self.retry_later(now)
        alone_at = self._contact_at + self._recovery_s
        if self._when_away == "alone" and self.alone is None and now >= alone_at:
            self._go_on_alone()
        elif now - self._warned_at < _WARN_AGAIN_S or error.lasting:
            return
        _log.warning(
            "the quota at %s is away (%s): %s",
            self._books.place,
            error.reason,
            f"{waiting} requests wait until it is back"
            if self.alone is None
            else f"going on alone with {self._share} requests per {self._settings.window_s:g} s",
        )
        self._warned_at = now

    @property
    def _share(self) -> int:
        return max(1, int(self._settings.limit * self._alone_share))

    def _go_on_alone(self) -> None:
        whole = self._settings
        self.alone = QuotaWindow(
            QuotaSettings(
                self._share,
                whole.window_s,
                burst=0,
                guard_s=whole.guard_s,
                bulk_share=whole.bulk_share,
                margin_s=whole.margin_s,
                pause_s=whole.pause_s,
            )
        )

    def retry_later(self, now: float) -> None:
        """Do not ask before a pause that grows from try to try."""
        doubled = _FIRST_RETRY_S * 2.0 ** min(self._failures, 10)
        pause = min(doubled, _LONGEST_RETRY_S) * (0.75 + self._random.random() / 2)
        self._failures += 1
        self.retry_at = now + pause

    def back(self, now: float) -> None:
        """An exchange went well."""
        self._contact_at = now
        self._failures = 0
        if self.since is None:
            return
        _log.warning("the quota at %s is back after %.1f s", self._books.place, now - self.since)
        self.since = None
        self._warned_at = -math.inf
        self.alone = None


__all__ = ("Away", "WhenAway")
