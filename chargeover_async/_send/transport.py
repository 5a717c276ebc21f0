"""One HTTP request out, one answer in: the only importer of aiohttp on the client side.

aiohttp by itself repeats a GET, PUT or DELETE once when a kept-alive connection turns out to be
dropped, past any limiter. A trace watches every send; at the second send of one request it stops
aiohttp, so that the repeat becomes our own decision and takes a permit. The same trace tells the
permit when the first bytes leave: with the headers, or, as headers wait for a body, with its first
piece, which another task writes a turn of the event loop later (before Python 3.12). A permit that
has lapsed by then is not used.
"""

from __future__ import annotations

import io
import ipaddress
import ssl
import sys
from types import SimpleNamespace
from typing import Any, Protocol, cast

import aiohttp
import msgspec
from yarl import URL

from chargeover_async._wire.envelope import Answer, NoAnswer
from chargeover_async._wire.request import API_PATH, JSON, Request
from chargeover_async.auth import Auth
from chargeover_async.errors import NotSent, UsageError
from chargeover_async.limits import Permit
from chargeover_async.retry import Fault

TraceConfig = aiohttp.TraceConfig
MB = 2**20
LARGE = MB  # bytes: aiohttp writes and warns of more in one piece, and a file in many


class Transport(Protocol):
    """What the pipeline needs of a transport."""

    async def send(self, request: Request, permit: Permit) -> Answer | NoAnswer:
        """Send once; never raises for what the network does."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: for the whole request, for a new connection, and for a free one in the pool."""

    total_s: float = 60.0
    connect_s: float = 10.0
    pool_s: float = 60.0


def check_url(url: str, *, insecure_http: bool = False) -> URL:
    """The base URL as it is used; raises UsageError for one that cannot be right.

    Plain http is allowed to a loopback address only, or when asked for by name.
    """
    if not isinstance(url, str) or not url.strip():
        raise UsageError("the URL is empty: it looks like https://example.chargeover.com/api/v3")
    try:
        parsed = URL(url.strip().rstrip("/"))
        host, port = parsed.host, parsed.port
    except ValueError as error:
        if "@" in url:
            raise UsageError("the URL cannot be read, and must not hold credentials") from None
        raise UsageError(f"the URL {url!r} cannot be read: {error}") from None
    # No message shows the URL before it is known to hold no secret.
    if parsed.user is not None or parsed.password is not None or "@" in url:
        raise UsageError("the URL must not hold credentials: pass username and password")
    if "?" in url or "#" in url:
        raise UsageError("the URL must not have a query or a fragment")
    if parsed.scheme not in {"http", "https"} or not host or not port:
        raise UsageError(f"the URL {url!r} must look like https://example.chargeover.com/api/v3")
    if not url.strip().isprintable() or " " in url.strip():
        raise UsageError(f"the URL {url!r} must not hold blanks or control characters")
    if parsed.path in {"", "/"}:
        parsed = parsed.with_path(API_PATH)
    if not parsed.path.endswith(API_PATH):
        raise UsageError(f"the URL {url!r} must end in {API_PATH}")
    if parsed.scheme == "http" and not insecure_http and not _is_loopback(host):
        raise UsageError(
            f"{url!r} would send the credentials in clear text to {host}: use https "
            "(insecure_http=True allows it by name)"
        )
    return parsed


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _TooLarge(aiohttp.ClientError):
    """An answer is larger than what is taken."""


class _Bounded:
    """The content of an answer, of which ``read`` takes ``most`` bytes, unpacked, and no more.

    aiohttp unpacks piece by piece where it is read so, and at once where it is read as a whole.
    """

    __slots__ = ("_content", "_most")

    def __init__(self, content: aiohttp.StreamReader, most: int) -> None:
        self._content = content
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := await self._content.readany():
            size += len(part)
            if size > self._most:
                raise _TooLarge(
                    f"the answer is larger than {self._most / MB:g} MB (max_answer_mb allows more)"
                )
            parts.append(part)
        return b"".join(parts)


class _Repeated(aiohttp.ClientError):
    """aiohttp was about to send one request a second time."""


class AiohttpTransport:
    """A pool of connections to one account."""

    def __init__(
        self,
        base: URL,
        auth: Auth,
        *,
        timeouts: Timeouts,
        connections: int,
        tls: ssl.SSLContext | None = None,
        trace_configs: list[TraceConfig] | None = None,
        max_answer_mb: float = 256,
        user_agent: str = "chargeover-async",
    ) -> None:
        self._base = str(base)
        self._auth = auth
        self._timeout = aiohttp.ClientTimeout(
            total=timeouts.total_s, sock_connect=timeouts.connect_s, connect=timeouts.pool_s
        )
        self._connections = connections
        self._tls = tls
        self._most = int(max_answer_mb * MB)
        self._traces = [_watch_sends(), *(trace_configs or [])]
        self._headers = {
            "Accept": JSON,
            "User-Agent": f"{user_agent} aiohttp/{aiohttp.__version__} "
            f"Python/{sys.version_info.major}.{sys.version_info.minor}",
        }
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<AiohttpTransport {self._base}>"

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections,
                    # Shorter than the 5 s after which common servers drop an idle connection: a
                    # POST that meets a dropped one has an unknown outcome.
                    keepalive_timeout=4.0,
                    ssl=self._tls if self._tls is not None else True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                timeout=self._timeout,
                trace_configs=self._traces,
                trust_env=False,
                auto_decompress=True,
            )
        return self._session

    async def send(self, request: Request, permit: Permit) -> Answer | NoAnswer:
        """Send once; never raises for what the network does."""
        if self._closed:
            return NoAnswer(Fault.NEVER_LEFT, "the client is closed")
        context = _Sending(permit, has_body=request.body is not None)
        try:
            return await self._exchange(request, context)
        except NotSent as error:
            return NoAnswer(Fault.NEVER_LEFT, error.message)
        except _Repeated:
            # The first send met a dropped connection; whether it was read is not known.
            fault = Fault.LOST if context.sent else Fault.NEVER_LEFT
            return NoAnswer(fault, "the connection was dropped")
        except Exception as error:  # noqa: BLE001 - aiohttp's, or of an Auth or a trace passed in
            if context.lapsed is not None:
                return NoAnswer(Fault.NEVER_LEFT, context.lapsed.message)
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if context.sent:
                return NoAnswer(Fault.LOST, f"sent, then {reason}", _without_secrets(error))
            return NoAnswer(Fault.NEVER_LEFT, reason, _without_secrets(error))
        except BaseException as error:  # noqa: BLE001 - raised again
            # A cancellation goes on from here: the frames it has come through hold our headers.
            raise _without_secrets(error) from None

    async def _exchange(self, request: Request, context: _Sending) -> Answer:
        url = URL(self._base + request.target, encoded=True)
        # aiohttp sends this URL as it stands, so a signature of it is one of what is sent.
        headers = dict(self._auth.headers(request.method, str(url), request.body))
        if request.body is not None:
            headers["Content-Type"] = JSON
        async with self._open().request(
            request.method,
            url,
            data=_data(request.body),
            headers=headers,
            allow_redirects=False,
            trace_request_ctx=context,
        ) as response:
            response.content = cast("Any", _Bounded(response.content, self._most))
            body = await response.read()
            return Answer(response.status, dict(response.headers), body)

    async def aclose(self) -> None:
        """Close every connection; nothing is sent afterwards."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None


def _data(body: bytes | None) -> bytes | io.BytesIO | None:
    return body if body is None or len(body) <= LARGE else io.BytesIO(body)


def _without_secrets(error: BaseException) -> BaseException:
    """``error`` as a cause: its frames, and some of aiohttp's own errors, hold our headers."""
    if isinstance(error, aiohttp.ClientResponseError):
        return aiohttp.ClientError(f"{type(error).__name__}: {error}")
    seen: BaseException | None = error
    while seen is not None:
        seen.__traceback__ = None
        seen = seen.__cause__ or seen.__context__
    return error


class _Sending:
    """What is known of one request while it is sent."""

    __slots__ = ("begun", "has_body", "lapsed", "permit", "sent")

    def __init__(self, permit: Permit, *, has_body: bool) -> None:
        self.permit = permit
        self.has_body = has_body
        self.begun = False  # its headers were made
        self.sent = False  # its first bytes may have left
        self.lapsed: NotSent | None = None  # why it may not leave

    def leaves(self) -> None:
        """The first bytes are written in this turn; raises NotSent if they may not be."""
        try:
            self.permit.sent()
        except NotSent as error:
            self.lapsed = error
            raise
        self.sent = True


def _watch_sends() -> aiohttp.TraceConfig:
    # aiohttp calls these right before the headers are made, at every send of a request, and right
    # before each piece of a body is written; headers are written with the first piece.
    async def on_headers(_session: Any, context: SimpleNamespace, _params: Any) -> None:
        sending: _Sending = context.trace_request_ctx
        if sending.begun:
            raise _Repeated
        sending.begun = True
        if not sending.has_body:
            sending.leaves()

    async def on_piece(_session: Any, context: SimpleNamespace, _params: Any) -> None:
        sending: _Sending = context.trace_request_ctx
        if not sending.sent:
            sending.leaves()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(on_headers)
    trace.on_request_chunk_sent.append(on_piece)
    return trace
