"""The client of one account: builds the parts, owns them, closes them."""

from __future__ import annotations

import os
import random
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import unquote

import msgspec

from ._send.direct import Direct
from ._send.pipeline import Pipeline
from ._send.transport import (
    AiohttpTransport,
    Timeouts,
    TraceConfig,
    Transport,
    check_url,
)
from .auth import Auth, AuthKind, auth_of
from .bulk import Bulk, BulkSettings, StreamJournal
from .bulk.stream import stream
from .errors import NotSent, UsageError
from .limits import Limiter, LocalLimiter, Permit, Priority, QuotaSettings, QuotaStats, share
from .models import Created
from .models._json.checks import check_json, check_mapping
from .models._json.mend import DateFormat
from .models._json.plain import plain
from .models._json.read import read_untyped
from .observe import Observer, Stats
from .operation import Operation, Outcome, Reader
from .query import filter_text
from .resources import Resources
from .resources._calls.answers import Reading
from .resources._calls.options import Options, call_query
from .retry import Repeat, RetryPolicy

T = TypeVar("T")

METHODS = {"GET": Repeat.READ, "PUT": Repeat.IDEMPOTENT, "DELETE": Repeat.IDEMPOTENT}


class ChargeOver(Resources):
    """One account: ``async with ChargeOver(url, username, password) as co``.

    ``url`` looks like ``https://example.chargeover.com/api/v3``; plain http is taken for loopback
    addresses only, unless ``insecure_http`` is set. ``quota`` says what the account allows (250
    requests in any 60 s); pass a ``limiter`` instead to share one between clients. ``quota_share``
    shares it with other processes: those that name the same Redis (``redis://...``, extra
    ``redis``) or, on one host, the same file, and the same account. ``retry``,
    ``timeouts`` and ``bulk`` hold the bounds of repeating, waiting and batching. ``on_event`` is
    told what happens (`observe`).

    ``auth="signature"`` signs every request instead of sending the private key (`SignatureAuth`);
    `from_auth` takes an object of your own.

    ``on_behalf_addr``, ``on_behalf_details`` and ``flags`` go with every call; `with_options` sets
    them for some. ``dates`` is for an account that does not write dates as ISO 8601. An answer that
    is larger than ``max_answer_mb`` (2**20 bytes each), once it is unpacked, is not read to its end
    and counts as none.

    Raises UsageError for an URL or credentials that cannot be right. No attribute, repr, log line
    or error holds the credentials.
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        auth: AuthKind | Auth = "basic",
        quota: QuotaSettings | None = None,
        limiter: Limiter | None = None,
        quota_share: str | os.PathLike[str] | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        bulk: BulkSettings | None = None,
        connections: int = 32,
        max_answer_mb: float = 256,
        tls: ssl.SSLContext | None = None,
        insecure_http: bool = False,
        on_event: Observer | None = None,
        on_behalf_addr: str | None = None,
        on_behalf_details: str | None = None,
        flags: Mapping[str, int] | None = None,
        dates: DateFormat | None = None,
        transport: Transport | None = None,
        trace_configs: list[TraceConfig] | None = None,
        random: random.Random | None = None,
    ) -> None:
        for name, part, kind in (
            ("quota", quota, QuotaSettings),
            ("retry", retry, RetryPolicy),
            ("timeouts", timeouts, Timeouts),
            ("bulk", bulk, BulkSettings),
            ("dates", dates, DateFormat),
        ):
            if part is not None and not isinstance(part, kind):
                raise UsageError(f"{name} takes a {kind.__name__}, not {part!r}")
        if not isinstance(connections, int) or connections < 1:
            raise UsageError(f"connections must be at least 1, not {connections!r}")
        if not isinstance(max_answer_mb, (int, float)) or not max_answer_mb > 0:
            raise UsageError(f"max_answer_mb must be more than 0, not {max_answer_mb!r}")
        base = check_url(url, insecure_http=insecure_http)
        if transport is None:
            transport = AiohttpTransport(
                base,
                auth_of(auth, username, password),
                timeouts=timeouts or Timeouts(),
                connections=connections,
                tls=tls,
                trace_configs=trace_configs,
                max_answer_mb=max_answer_mb,
            )
        elif auth != "basic":
            raise UsageError("pass auth or transport, not both: a transport proves itself")
        if limiter is not None and (quota is not None or quota_share is not None):
            raise UsageError("pass quota and quota_share, or limiter, not both")
        if limiter is not None:
            owned: Limiter = _Shared(limiter)
        elif quota_share is not None:
            owned = share(quota_share, base.host or "", quota)
        else:
            owned = LocalLimiter(quota or QuotaSettings())
        self._pipeline = Pipeline(
            transport,
            owned,
            retry or RetryPolicy(),
            observer=on_event,
            source=random,
            dates=dates,
        )
        self._direct = Direct(self._pipeline)
        self._bulk = bulk or BulkSettings()
        self._url = str(base)
        options = Options(query=call_query(on_behalf_addr, on_behalf_details, flags), dates=dates)
        self._set_options(options)

    def _set_options(self, options: Options) -> None:
        self._options = options
        self._set_resources(self._direct, options)

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """A client from CHARGEOVER_URL, CHARGEOVER_USERNAME and CHARGEOVER_PASSWORD.

        CHARGEOVER_QUOTA_SHARE, if set, is ``quota_share``, unless that or a limiter is given;
        CHARGEOVER_DATE_FORMAT and CHARGEOVER_DATETIME_FORMAT (patterns as for ``strptime``) are
        ``dates``, unless that is given.
        Raises UsageError naming every one that is missing.
        """
        names = ("CHARGEOVER_URL", "CHARGEOVER_USERNAME", "CHARGEOVER_PASSWORD")
        values = [os.environ.get(name, "") for name in names]
        missing = [name for name, value in zip(names, values, strict=True) if not value.strip()]
        if missing:
            raise UsageError(f"set {', '.join(missing)} in the environment")
        return cls(*values, **{**options_of_env(options), **options})

    @classmethod
    def from_auth(cls, url: str, auth: Auth, **options: Any) -> Self:
        """A client whose requests ``auth`` signs: ``SignatureAuth(...)``, or your own (`Auth`)."""
        return cls(url, "", "", auth=auth, **options)

    def with_options(
        self,
        *,
        on_behalf_addr: str | None = None,
        on_behalf_details: str | None = None,
        flags: Mapping[str, int] | None = None,
    ) -> Self:
        """The same client with more options for the calls made through it.

        ``await co.with_options(flags={"emails": 0}).users.send_password_reset(5)``. What is not
        given stays as it is, flag by flag. Connections, quota and counters are shared; closing
        either closes both.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        given = call_query(on_behalf_addr, on_behalf_details, flags)
        query = tuple((dict(self._options.query) | dict(given)).items())
        other._set_options(msgspec.structs.replace(self._options, query=query))
        return other

    @property
    def stats(self) -> Stats:
        """Counters since the client was made, and the limit that is kept to now.

        More of the quota is in ``co.limiter.stats`` (`QuotaStats`).
        """
        stats = self._pipeline.stats
        stats.limit = self._pipeline.limiter.stats.limit
        return stats

    @property
    def url(self) -> str:
        """The base URL of the account."""
        return self._url

    @property
    def limiter(self) -> Limiter:
        """The quota, to share with another client of the same account."""
        limiter = self._pipeline.limiter
        return limiter.limiter if isinstance(limiter, _Shared) else limiter

    def bulk(self, settings: BulkSettings | None = None) -> Bulk:
        """A scope that sends what is queued in it in as few requests as possible."""
        if settings is not None and not isinstance(settings, BulkSettings):
            raise UsageError(f"bulk takes BulkSettings, not {settings!r}")
        return Bulk(self._pipeline, settings or self._bulk, self._options)

    def stream(
        self,
        operations: Iterable[Operation[T]] | AsyncIterable[Operation[T]],
        *,
        ordered: bool = False,
        window: int = 1_000,
        settings: BulkSettings | None = None,
        journal: StreamJournal | None = None,
    ) -> AsyncIterator[Outcome[T]]:
        """Send operations of any number in batches; yield each outcome as it settles.

        ``operations`` is taken lazily: at most ``window`` operations are taken and not yielded.
        With ``ordered`` outcomes come in input order. Errors of operations are in their outcome;
        one that ``operations`` raises comes after the outcomes of what was taken before.
        Breaking off sends nothing more and awaits what is in flight. A ``journal`` knows of each
        operation before it is sent (see `bulk.StreamJournal`).
        """
        if not isinstance(operations, (Iterable, AsyncIterable)):
            raise UsageError(f"stream takes operations, not {type(operations).__name__}")
        if window < 1:
            raise UsageError(f"window must be at least 1, not {window}")
        settings = settings or self._bulk
        if settings.max_waiting < window:
            settings = msgspec.structs.replace(settings, max_waiting=window)
        return stream(
            self._pipeline,
            settings,
            operations,
            ordered=ordered,
            window=window,
            journal=journal,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        json: Any = None,
        as_: Any = None,
        raw: bool = False,
        repeat: Repeat | None = None,
    ) -> Operation[Any]:
        """A call that is not wrapped: ``co.request("POST", "/customer/2", json={...})``.

        ``path`` is below the API's base and already percent-encoded. Returns what ``response``
        holds, decoded as ``as_`` or as dicts and lists (fractions as Decimal), or with ``raw`` the
        JSON as it came. ``repeat`` says how safe it is to send twice; left out, GET, PUT and DELETE
        are repeated and POST is not.
        """
        method = str(plain(method)).upper()
        if method not in {*METHODS, "POST"}:
            raise UsageError(f"method must be GET, POST, PUT or DELETE, not {method!r}")
        _check_path(path)
        if repeat is not None and not isinstance(repeat, Repeat):
            raise UsageError(f"repeat takes a Repeat, not {repeat!r}")
        check_mapping(query or {}, "query")
        pairs = tuple(
            (filter_text(name, "a name in query"), filter_text(value, name))
            for name, value in (query or {}).items()
        )
        payload = None if json is None else check_json(json)
        key: str | None = None
        if repeat is Repeat.KEYED:
            fields = cast("dict[str, Any]", payload if isinstance(payload, dict) else {})
            key = fields.get("external_key")
            if method != "POST" or not isinstance(key, str) or path.count("/") != 1:
                raise UsageError("Repeat.KEYED is for a create with an external_key in json")
        reader: Reader = read_untyped
        if as_ is not None or raw:
            reader = Reading(Created, as_, self._options.dates, raw=raw).one
        operation: Operation[Any] = Operation(
            self._direct,
            path.split("/")[1],
            method,
            path,
            reader,
            repeat or METHODS.get(method, Repeat.ONCE),
            query=pairs + self._options.query,
            payload=payload,
            key=key,
        )
        return operation

    async def aclose(self) -> None:
        """Close the connections; calling it again does nothing.

        What is under way fails, and says whether it may have happened; nothing is sent afterwards.
        """
        await self._pipeline.limiter.aclose()
        await self._pipeline.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ChargeOver {self._url}>"


def options_of_env(options: Mapping[str, Any]) -> dict[str, Any]:
    """``quota_share`` and ``dates`` from the environment.

    That is CHARGEOVER_QUOTA_SHARE, where ``options`` name no limiter, and CHARGEOVER_DATE_FORMAT
    and CHARGEOVER_DATETIME_FORMAT. Raises UsageError for what is no pattern.
    """
    found: dict[str, Any] = {}
    share_ = os.environ.get("CHARGEOVER_QUOTA_SHARE", "")
    if share_.strip() and not options.get("limiter"):
        found["quota_share"] = share_
    patterns = {
        name: pattern
        for name in ("date", "datetime")
        if (pattern := os.environ.get(f"CHARGEOVER_{name.upper()}_FORMAT", "")).strip()
    }
    if patterns:
        found["dates"] = DateFormat(**patterns)
    return found


def _check_path(path: str) -> None:
    # Nothing that a server, or a proxy before it, would read as another path.
    if not isinstance(path, str):
        raise UsageError(f"path must be text such as /customer/2, not {path!r}")
    if not path.startswith("/") or not path.isascii() or not path.isprintable():
        raise UsageError(f"path must start with / and be percent-encoded, not {path!r}")
    if any(char in path for char in "?#\\ ") or {".", ".."} & set(unquote(path).split("/")):
        raise UsageError(f"path must have no query, no blank and no dots for a segment: {path!r}")


class _Shared:
    """Another's limiter, seen from one client: that client's closing does not close it."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.closed = False

    @property
    def stats(self) -> QuotaStats:
        return self.limiter.stats

    async def acquire(self, priority: Priority) -> Permit:
        self._check()
        permit = await self.limiter.acquire(priority)
        try:
            self._check()
        except NotSent:
            permit.unused()
            raise
        return permit

    def _check(self) -> None:
        if self.closed:
            raise NotSent("the client is closed; nothing more is sent")

    def throttled(
        self, retry_after_s: float | None = None, *, permit: Permit | None = None
    ) -> None:
        self.limiter.throttled(retry_after_s, permit=permit)

    async def aclose(self) -> None:
        self.closed = True


__all__ = ("ChargeOver",)
