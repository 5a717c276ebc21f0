"""A quota shared by processes on any number of machines, through Redis or Valkey."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Sequence
from importlib.resources import files
from inspect import isawaitable
from typing import Any, Protocol, Unpack, cast

import msgspec

from chargeover_async._hints import needs_extra
from chargeover_async.errors import UsageError

from .base import QuotaSettings
from .books import BooksAway
from .ledger import Call, Grant, Reply
from .shared import SharedLimiter, SharedOptions

SCRIPT = files("chargeover_async.limits").joinpath("ledger.lua").read_text("utf-8")
_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

_LASTING = ("WRONGTYPE", "can't run this command", "ACL failure")
"""No such error passes by itself; the second is Redis's word for it, the third Valkey's."""

_BLOCKING = (
    "this client of Redis blocks the event loop while it waits: pass one of redis.asyncio, such as"
    ' redis.asyncio.Redis.from_url("redis://localhost:6379/0"), or the URL itself'
)

_TIMEOUT_S = 2.0
"""For a connection and for an answer; somebody waits, and a permit's lease runs."""


class RedisClient(Protocol):
    """What is needed of a client: redis-py's asyncio ``Redis`` and ``RedisCluster`` have it."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script that the server knows."""
        ...

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script."""
        ...


class RedisLimiter(SharedLimiter):
    """One quota for all who name the same ``account`` in the same Redis or Valkey.

    ``async with RedisLimiter("redis://localhost/0", "acme") as limiter``, and
    ``ChargeOver(..., limiter=limiter)``; or in short ``ChargeOver(..., quota_share="redis://...")``.

    ``redis`` is a URL as redis-py reads it (``redis://``, ``rediss://``, ``unix://``), or a client
    of redis-py's asyncio (``Redis``, ``RedisCluster``, a Sentinel's master), which stays yours to
    close. ``account`` names the quota: the key is ``chargeover:{account}:quota``, a single one, so
    that a cluster keeps it in one place. It never expires, is about ten kilobytes, and need not
    survive: an absent one costs a wait of about a window (see ``trust_empty``).

    The user needs the commands ``evalsha``, ``eval``, ``time``, ``info``, ``hgetall``, ``hset``,
    ``hdel`` and ``del``. Everything else is as in `SharedLimiter`; `ledger` holds the promise.

    Raises UsageError without the extra ``redis``, or for a URL or an account that cannot be right.
    """

    def __init__(
        self,
        redis: str | RedisClient,
        account: str,
        settings: QuotaSettings | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        super().__init__(_RedisBooks(redis, _key(account)), settings, **options)


def _key(account: object) -> str:
    if not isinstance(account, str) or not account or len(account) > 200:
        raise UsageError("account must be a name of 1 to 200 characters")
    if not account.isprintable() or any(char in "{} " for char in account):
        raise UsageError(f"account must have no blanks and no braces, not {account!r}")
    return f"chargeover:{{{account}}}:quota"


class _RedisBooks:
    """A ledger in Redis: one command an exchange."""

    def __init__(self, where: str | RedisClient, key: str) -> None:
        try:
            import redis
            import redis.asyncio
            from redis import exceptions
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise UsageError(needs_extra("a quota in Redis needs", "redis")) from None
        self._errors = exceptions
        self._key = key
        self._own: Any = None
        if isinstance(where, str):
            connect = cast("Any", redis.asyncio.Redis).from_url
            try:
                self._own = connect(
                    where,
                    socket_timeout=_TIMEOUT_S,
                    socket_connect_timeout=_TIMEOUT_S,
                    # Once, for a connection that was dropped while idle; beyond that we know
                    # better when to try again.
                    retry=Retry(NoBackoff(), 1),
                )
            except ValueError as error:
                # The text of a bad port names what stands before it, which may be a password.
                raise UsageError(
                    "the URL of Redis cannot be read; it looks like redis://host:6379/0,"
                    " rediss://... or unix://..."
                ) from (None if "@" in where else error)
            self._client = cast("RedisClient", self._own)
        else:
            if isinstance(where, (redis.Redis, redis.RedisCluster)):
                raise UsageError(_BLOCKING)
            if not callable(getattr(where, "evalsha", None)):
                raise UsageError(
                    f"pass a URL of Redis or a client of redis.asyncio, not {type(where).__name__}"
                )
            self._client = where

    @property
    def place(self) -> str:
        return f"Redis, {self._key}"

    async def exchange(self, call: Call) -> Reply:
        errors = self._errors
        word = msgspec.json.encode(call)
        try:
            try:
                answer = await _awaitable(self._client.evalsha(_SHA, 1, self._key, word))
            except errors.NoScriptError:
                answer = await _awaitable(self._client.eval(SCRIPT, 1, self._key, word))
        except (errors.AuthenticationError, errors.AuthorizationError) as error:
            raise BooksAway(f"Redis refuses the credentials: {error}", lasting=True) from error
        except errors.NoPermissionError as error:
            raise BooksAway(f"the user of Redis may not do this: {error}", lasting=True) from error
        except (errors.RedisError, OSError, TimeoutError) as error:
            text = str(error)
            # The key is somebody else's, or the user may run the script and not what is in it.
            lasting = any(words in text for words in _LASTING)
            reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
            raise BooksAway(reason, lasting=lasting) from error
        return reply_of(answer)

    async def aclose(self) -> None:
        if self._own is not None:
            await self._own.aclose()


def _awaitable(answer: Any) -> Awaitable[Any]:
    if not isawaitable(answer):
        raise BooksAway(_BLOCKING, lasting=True)
    return answer


def reply_of(answer: Sequence[Any]) -> Reply:
    """The script's answer."""
    if len(answer) == 1:
        rules = answer[0]
        return Reply(quarrel=rules.decode() if isinstance(rules, bytes) else str(rules))
    books, now, paused_in, lost_in, limit, in_window, pauses, ask_in, *rest = answer
    grants = tuple(
        Grant(str(slot), due_in, bool(early))
        for slot, due_in, early in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    )
    return Reply(books, now, paused_in, lost_in, limit, in_window, pauses, ask_in, grants)


__all__ = ("SCRIPT", "RedisClient", "RedisLimiter", "reply_of")
