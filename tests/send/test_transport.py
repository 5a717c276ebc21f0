"""URLs, credentials, and what the network does: never left, or sent and lost."""

# ruff: noqa: S301 - what is unpickled is what was pickled a line before
from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import socket
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses
from aioresponses import core as aioresponses_core
from support.places import TESTS
from support.ports import free_port
from support.raw_server import OK, RawServer, http
from support.scripted import CountedPermit
from yarl import URL

from chargeover_async import (
    ChargeOver,
    ChargeOverError,
    ConnectFailed,
    NoLimit,
    NotSent,
    OutcomeUnknown,
    RetryPolicy,
    Timeouts,
    TransportError,
    UsageError,
)
from chargeover_async._send import transport as module
from chargeover_async._send.transport import LARGE, AiohttpTransport, TraceConfig, check_url
from chargeover_async._wire.envelope import Answer, NoAnswer
from chargeover_async._wire.request import Request
from chargeover_async.auth import BasicAuth, auth_of
from chargeover_async.retry import Fault

CERTIFICATE = TESTS / "support" / "self_signed.pem"  # of localhost and 127.0.0.1
SECRET = "s3cret-private-key"
BASIC = BasicAuth("public", SECRET).headers()["Authorization"].removeprefix("Basic ")


# -- the URL ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://example.chargeover.com/api/v3", "https://example.chargeover.com/api/v3"),
        ("https://example.chargeover.com/api/v3/", "https://example.chargeover.com/api/v3"),
        ("https://example.chargeover.com/", "https://example.chargeover.com/api/v3"),
        ("https://example.chargeover.com", "https://example.chargeover.com/api/v3"),
        ("  https://example.chargeover.com/api/v3\n", "https://example.chargeover.com/api/v3"),
        ("HTTPS://Example.ChargeOver.com/api/v3", "https://example.chargeover.com/api/v3"),
        ("https://example.com:8443/api/v3", "https://example.com:8443/api/v3"),
        ("https://proxy.example.com/co/api/v3", "https://proxy.example.com/co/api/v3"),
        ("https://[2001:db8::1]/api/v3", "https://[2001:db8::1]/api/v3"),
        ("https://münchen.example/api/v3", "https://xn--mnchen-3ya.example/api/v3"),
        ("http://localhost:8080/api/v3", "http://localhost:8080/api/v3"),
        ("http://co.localhost/api/v3", "http://co.localhost/api/v3"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v3"),
        ("http://127.8.9.1/api/v3", "http://127.8.9.1/api/v3"),
        ("http://[::1]:8080/api/v3", "http://[::1]:8080/api/v3"),
    ],
)
def test_a_url_that_is_right_is_taken(given: str, used: str):
    """With or without the path, on any port, plain http to loopback only."""
    assert str(check_url(given)) == used


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (None, "empty"),
        (5, "empty"),
        ("example.chargeover.com/api/v3", "must look like"),
        ("example.chargeover.com", "must look like"),
        ("/api/v3", "must look like"),
        ("https://", "must look like"),
        ("https:/example.com/api/v3", "must look like"),
        ("https:///api/v3", "(must look like|cannot be read)"),
        ("ftp://example.com/api/v3", "must look like"),
        ("file:///api/v3", "must look like"),
        ("https://example.com:0/api/v3", "must look like"),
        ("https://example.com:99999/api/v3", "cannot be read"),
        ("https://example.com:port/api/v3", "cannot be read"),
        ("https://[::1/api/v3", "cannot be read"),
        ("https://exa mple.com/api/v3", "blanks"),
        ("https://example.com/api /v3", "blanks"),
        ("https://example.com/a\npi/v3", "blanks"),
        ("https://example.com/api/v2", "must end in /api/v3"),
        ("https://example.com/API/V3", "must end in /api/v3"),
        ("https://example.com/xapi/v3", "must end in /api/v3"),
        ("https://example.com/api/v3/customer", "must end in /api/v3"),
        ("https://example.com/api/v3?limit=5", "query"),
        ("https://example.com/api/v3?", "query"),
        ("https://example.com/api/v3#x", "query"),
        ("http://example.com/api/v3", "clear text"),
        ("http://10.0.0.1/api/v3", "clear text"),
        ("http://0.0.0.0/api/v3", "clear text"),
        ("http://localhost.example.com/api/v3", "clear text"),
        ("http://127.0.0.1.example.com/api/v3", "clear text"),
        ("http://notlocalhost/api/v3", "clear text"),
        ("http://2130706433/api/v3", "clear text"),
        ("http://[2001:db8::1]/api/v3", "clear text"),
    ],
)
def test_a_url_that_cannot_be_right_is_refused(url: Any, words: str):
    """At once, with what is wrong about it."""
    with pytest.raises(UsageError, match=words):
        ChargeOver(url, "public", SECRET)


@pytest.mark.parametrize(
    "url",
    [
        f"https://public:{SECRET}@example.com/api/v3",
        f"https://{SECRET}@example.com/api/v3",
        f"https://:{SECRET}@example.com/api/v3",
        f"http://public:{SECRET}@example.com/api/v3",
        f"ftp://public:{SECRET}@example.com/api/v3",
        f"https://public:{SECRET}@example.com:99999/api/v3",
        f"https://public:{SECRET}@[::1/api/v3",
        f"https://public:{SECRET}@/api/v3",
        f"//public:{SECRET}@example.com/api/v3",
        f"https://example.com/api/v3?key={SECRET}",
        f"https://example.com/api/v3#{SECRET}",
        f"example.com?key={SECRET}",
    ],
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url: str):
    """The message names the fault, never the URL."""
    with pytest.raises(UsageError) as caught:
        check_url(url, insecure_http=True)
    assert SECRET not in f"{caught.value!s} {caught.value!r}"


def test_plain_http_may_be_asked_for_by_name():
    """For a test network, say."""
    assert check_url("http://10.0.0.1/api/v3", insecure_http=True).scheme == "http"


# -- credentials -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("", "p"),
        ("u", ""),
        (None, "p"),
        ("u", None),
        ("u", 5),
        ("u\n", "p"),
        ("u", "p\r\n"),
        ("u", "p\x00"),
        ("u", "p\x7f"),
        ("u:v", "p"),
        ("u", "\ud800"),
    ],
)
def test_credentials_that_cannot_be_right_are_refused(username: Any, password: Any):
    """Before any request, without repeating them."""
    with pytest.raises(UsageError) as caught:
        BasicAuth(username, password)
    assert repr(password) not in str(caught.value) or not password


def test_from_env_names_every_variable_that_is_missing(monkeypatch: pytest.MonkeyPatch):
    """All at once, not one after the other; blanks count as missing."""
    monkeypatch.delenv("CHARGEOVER_URL", raising=False)
    monkeypatch.setenv("CHARGEOVER_USERNAME", "u")
    monkeypatch.setenv("CHARGEOVER_PASSWORD", "  ")
    with pytest.raises(UsageError, match="set CHARGEOVER_URL, CHARGEOVER_PASSWORD in"):
        ChargeOver.from_env()
    monkeypatch.setenv("CHARGEOVER_URL", "https://example.chargeover.com")
    monkeypatch.setenv("CHARGEOVER_PASSWORD", SECRET)
    assert repr(ChargeOver.from_env()) == "<ChargeOver https://example.chargeover.com/api/v3>"


def leaks(shown: str) -> bool:
    return SECRET in shown or BASIC in shown


@pytest.mark.parametrize(
    "step",
    [
        b"",
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "close"),
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        http(401, b'{"code":401,"status":"Error","message":"no","response":false}'),
        None,
    ],
)
async def test_credentials_are_in_no_error_no_log_and_no_traceback(step: Any, caplog):
    """Not even where a tool prints the locals of every frame, or the repr of every cause."""
    caplog.set_level(logging.DEBUG)
    async with RawServer(step) as server, calling(server, total_s=0.2) as co:
        operation = co.customers.create(company="Acme")
        with pytest.raises(ChargeOverError) as caught:
            await operation
    shown = [repr(co), repr(co.__dict__), repr(operation), caplog.text]
    error: BaseException | None = caught.value
    while error is not None:
        shown += [repr(error), str(error), repr(error.__dict__), repr(error.args)]
        shown.append("".join(traceback.format_exception(error)))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "chargeover_async" in frame.f_code.co_filename or "aiohttp" in str(
                frame.f_code.co_filename
            ):
                shown.append(repr(frame.f_locals))
        error = error.__cause__ or error.__context__
    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown.append("".join(line for line in captured.format() if "test_transport" not in line))
    assert BASIC in str(server.requests)
    assert not [text for text in shown if leaks(text)]
    assert not leaks(str(pickle.loads(pickle.dumps(caught.value)).__dict__))


def test_no_repr_shows_credentials():
    """Of the client, its parts, or their attributes."""
    co = ChargeOver("https://example.chargeover.com", "public", SECRET)
    transport = co._pipeline.transport
    for holder in (co, transport, transport._auth, co.__dict__, transport.__dict__, co.customers):
        assert not leaks(repr(holder))


# -- over a real socket ----------------------------------------------------------------------


@asynccontextmanager
async def calling(server: RawServer, **timeouts: float) -> AsyncIterator[ChargeOver]:
    async with ChargeOver(
        server.url,
        "public",
        SECRET,
        limiter=NoLimit(),
        timeouts=Timeouts(**timeouts),
        retry=RetryPolicy(attempts=1),
    ) as co:
        yield co


@asynccontextmanager
async def transport_to(
    url: str, tls: ssl.SSLContext | None = None, **timeouts: float
) -> AsyncIterator[AiohttpTransport]:
    transport = AiohttpTransport(
        URL(url),
        BasicAuth("public", SECRET),
        timeouts=Timeouts(**timeouts),
        connections=2,
        tls=tls,
    )
    try:
        yield transport
    finally:
        await transport.aclose()


def let_pass(seconds: float) -> None:
    """The running loop's clock goes on by so much: what is due by then is due now."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


GET = Request("GET", "/customer")
POST = Request("POST", "/customer", (), b"{}")


async def test_an_answer_comes_with_status_headers_and_body():
    """And the request with everything it needs, once."""
    async with (
        RawServer(http(202, OK, "X-One: 1")) as server,
        transport_to(server.url) as transport,
    ):
        permit = CountedPermit()
        answer = await transport.send(Request("PUT", "/customer/2", (("a", "b c"),), b"{}"), permit)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.headers["X-One"]) == (202, OK, "1")
    head, body = server.requests[0]
    assert server.lines == ["PUT /api/v3/customer/2?a=b%20c HTTP/1.1"]
    assert body == b"{}"
    lines = head.decode().lower()
    assert "content-type: application/json\r\n" in lines
    assert "accept: application/json\r\n" in lines
    assert "user-agent: chargeover-async " in lines
    assert f"authorization: basic {BASIC}".lower() in lines
    assert permit.ends == ["sent"]


@pytest.mark.parametrize("extra", [0, 1, 3 * 2**20])
async def test_a_body_of_any_size_is_sent_whole(extra: int):
    """Of more than a megabyte, too: with its length, in pieces, and without a warning."""
    body = b"[" + b"1" * (LARGE - 2 + extra) + b"]"
    async with RawServer() as server, transport_to(server.url) as transport:
        answer = await transport.send(Request("POST", "/usage", (), body), CountedPermit())
    assert isinstance(answer, Answer)
    head, received = server.requests[0]
    assert received == body
    assert f"content-length: {len(body)}\r\n" in head.decode().lower()
    assert "content-type: application/json\r\n" in head.decode().lower()


async def test_a_request_without_a_body_has_no_content_type():
    """A GET sends nothing, and says nothing about it."""
    async with RawServer() as server, transport_to(server.url) as transport:
        await transport.send(GET, CountedPermit())
    assert b"content-type" not in server.requests[0][0].lower()


async def test_a_refused_connection_never_left():
    """Nobody listens: the permit saw nothing."""
    permit = CountedPermit()
    async with transport_to(f"http://127.0.0.1:{free_port()}/api/v3") as transport:
        answer = await transport.send(POST, permit)
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.NEVER_LEFT
    assert "ClientConnectorError" in answer.reason
    assert permit.ends == []


async def test_a_name_that_does_not_resolve_never_left(monkeypatch: pytest.MonkeyPatch):
    """DNS is before the first byte."""

    async def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nowhere)
    async with transport_to("http://no-such-host.invalid/api/v3") as transport:
        answer = await transport.send(POST, CountedPermit())
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.NEVER_LEFT


async def test_tls_is_on_and_verified_by_default():
    """A server with a certificate that nobody vouches for gets nothing, unless it is named."""
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    async with RawServer(tls=ours) as server:
        url = server.url.replace("http:", "https:")
        async with transport_to(url) as transport:
            answer = await transport.send(POST, CountedPermit())
        assert isinstance(answer, NoAnswer)
        assert answer.fault is Fault.NEVER_LEFT
        assert "CertificateError" in answer.reason
        assert server.requests == []
        async with transport_to(url, tls=trusting) as transport:
            assert isinstance(await transport.send(POST, CountedPermit()), Answer)
        async with transport_to(url.replace("127.0.0.1", "127.0.0.2"), tls=trusting) as transport:
            answer = await transport.send(POST, CountedPermit())
        assert isinstance(answer, NoAnswer)
        assert answer.fault is Fault.NEVER_LEFT
    assert len(server.requests) == 1


async def test_a_server_that_speaks_no_tls_gets_nothing():
    """Not even a request line in clear text."""
    heard = []

    async def answer_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(10_000))
        writer.write(http())
        writer.close()

    server = await asyncio.start_server(answer_at_once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, transport_to(f"https://127.0.0.1:{port}/api/v3") as transport:
        answer = await transport.send(POST, CountedPermit())
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.NEVER_LEFT
    assert heard
    assert b"HTTP" not in b"".join(heard)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int):
    """Credentials go to the one address that was given."""
    async with (
        RawServer() as elsewhere,
        RawServer(http(status, b"", f"Location: {elsewhere.url}")) as server,
        calling(server) as co,
    ):
        with pytest.raises(ChargeOverError, match="redirects are not followed"):
            await co.customers.count()
    assert len(server.requests) == 1
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "step",
    [
        b"",
        (b"HTTP/1.1 200 OK\r\nContent-Le", "close"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "close"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", "close"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"nonsense\r\n\r\n",
    ],
)
async def test_a_connection_that_fails_after_the_request_is_lost(step: Any):
    """It was sent; whether it was done is not known."""
    permit = CountedPermit()
    async with RawServer(step) as server, transport_to(server.url) as transport:
        answer = await transport.send(POST, permit)
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.LOST
    assert len(server.requests) == 1
    assert permit.ends == ["sent"]


async def test_no_answer_in_time_is_lost():
    """The total timeout counts after the request was sent."""
    async with RawServer(None) as server, transport_to(server.url, total_s=900) as transport:
        sending = asyncio.create_task(transport.send(POST, CountedPermit()))
        await server.wait_for(1)
        let_pass(901)
        answer = await sending
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.LOST
    assert "Timeout" in answer.reason


async def test_no_connection_in_time_never_left(monkeypatch: pytest.MonkeyPatch):
    """A connect that hangs sent nothing."""

    async def hang(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", hang)
    permit = CountedPermit()
    async with transport_to("http://127.0.0.1:1/api/v3", pool_s=0.05) as transport:
        answer = await transport.send(POST, permit)
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.NEVER_LEFT
    assert permit.ends == []


async def test_no_free_connection_in_time_never_left():
    """The pool is full: the third request waits, and gives up unsent."""
    async with (
        RawServer(None, None) as server,
        transport_to(server.url, pool_s=900, total_s=1_000_000) as transport,
    ):
        held = [asyncio.create_task(transport.send(POST, CountedPermit())) for _ in range(2)]
        await server.wait_for(2)
        permit = CountedPermit()
        third = asyncio.create_task(transport.send(POST, permit))
        while not third.done():
            await asyncio.sleep(0)
            let_pass(100)
        answer = await third
        assert not any(task.done() for task in held)
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.NEVER_LEFT
    assert permit.ends == []
    assert len(server.requests) == 2


async def test_a_closed_transport_sends_nothing_and_opens_nothing():
    """What comes after the close never left."""
    async with RawServer() as server, transport_to(server.url) as transport:
        await transport.send(GET, CountedPermit())
        await transport.aclose()
        answer = await transport.send(GET, CountedPermit())
        assert isinstance(answer, NoAnswer)
        assert answer.fault is Fault.NEVER_LEFT
        assert transport._session is None
    assert len(server.requests) == 1


async def test_closing_the_client_loses_what_is_under_way():
    """The call ends, with an error that says that it may have happened."""
    async with RawServer(None) as server, calling(server) as co:
        task = asyncio.create_task(co.customers.create(company="Acme"))
        await server.wait_for(1)
        await co.aclose()
        with pytest.raises(OutcomeUnknown):
            await task
        with pytest.raises(NotSent):
            await co.customers.count()


async def test_cookies_are_not_kept():
    """No state but the credentials goes from one request to the next."""
    async with (
        RawServer(http(200, OK, "Set-Cookie: session=1; Path=/")) as server,
        transport_to(server.url.replace("127.0.0.1", "localhost")) as transport,
    ):
        for _ in range(2):
            await transport.send(GET, CountedPermit())
    assert len(server.requests) == 2
    assert not any(b"cookie" in head.lower() for head, _ in server.requests)


async def test_the_environments_proxy_and_netrc_are_ignored(monkeypatch: pytest.MonkeyPatch):
    """Credentials go to the address that was given, not to one that the environment names."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with RawServer() as server, transport_to(server.url) as transport:
        assert isinstance(await transport.send(GET, CountedPermit()), Answer)


# -- aiohttp's silent repeat -----------------------------------------------------------------


async def drop_a_kept_connection(method: str) -> tuple[RawServer, Answer | NoAnswer, Any]:
    """Send a request over a connection that the server closes when it has read it."""
    async with RawServer(http(), b"") as server, transport_to(server.url) as transport:
        assert isinstance(await transport.send(GET, CountedPermit()), Answer)
        permit = CountedPermit()
        answer = await transport.send(Request(method, "/customer/1"), permit)
    return server, answer, permit


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_one_permit_is_one_send_at_the_server(method: str):
    """aiohttp would repeat GET, PUT and DELETE on a dropped connection; here it may not."""
    server, answer, permit = await drop_a_kept_connection(method)
    assert server.lines == [
        "GET /api/v3/customer HTTP/1.1",
        f"{method} /api/v3/customer/1 HTTP/1.1",
    ]
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.LOST
    assert permit.ends == ["sent"]


async def test_without_our_guard_aiohttp_repeats(monkeypatch: pytest.MonkeyPatch):
    """So the test above can fail: with the guard away the server reads the request twice."""

    def blind() -> aiohttp.TraceConfig:
        return aiohttp.TraceConfig()

    monkeypatch.setattr(module, "_watch_sends", blind)
    server, answer, _ = await drop_a_kept_connection("GET")
    assert len(server.requests) == 3
    assert isinstance(answer, Answer)


async def test_a_dropped_connection_is_repeated_by_us_under_a_permit():
    """The read succeeds, with one permit for each send."""
    limiter = NoLimit()
    async with RawServer(http(), b"") as server:
        co = ChargeOver(
            server.url, "u", "p", limiter=limiter, retry=RetryPolicy(base_s=0.0, cap_s=0.0)
        )
        async with co:
            for _ in range(2):
                assert await co.request("GET", "/customer/1") is True
    assert len(server.requests) == 3
    assert limiter.granted == 3
    assert co.stats.requests == 3


# -- every exception of aiohttp --------------------------------------------------------------


# Not raised by a request: websockets, and the end of a stream that we do not read.
ELSEWHERE = {"EofStream", "WSMessageTypeError", "WSServerHandshakeError", "WebSocketError"}


def aiohttp_errors() -> list[type[BaseException]]:
    found = {
        one
        for name in (*dir(aiohttp), *dir(aiohttp.client_exceptions))
        if inspect.isclass(
            one := getattr(aiohttp, name, getattr(aiohttp.client_exceptions, name, None))
        )
        and issubclass(one, Exception)
        and not issubclass(one, Warning)
        and one.__module__.startswith("aiohttp")
        and not one.__module__.startswith("aiohttp.web")
        and one.__name__ not in ELSEWHERE
    }
    return sorted(found, key=lambda one: one.__name__)


def build(kind: type[BaseException]) -> BaseException:
    # Their constructors want much that cannot be made up; their class is what is judged.
    own = type(kind.__name__, (kind,), {"__str__": lambda _: "built", "__init__": lambda *_: None})
    return own()


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("kind", aiohttp_errors(), ids=lambda kind: kind.__name__)
async def test_every_error_of_aiohttp_is_never_left_or_lost(
    kind: type[BaseException], sent: bool, monkeypatch: pytest.MonkeyPatch
):
    """By whether the headers went out, whatever its class; a new class cannot slip through."""

    class Failing:
        async def __aenter__(self) -> Any:
            raise build(kind)

        async def __aexit__(self, *_: object) -> None:
            pass

    class Session:
        def request(self, *_: Any, trace_request_ctx: Any, **__: Any) -> Failing:
            trace_request_ctx.sent = sent
            return Failing()

    async with transport_to("http://127.0.0.1/api/v3") as transport:
        monkeypatch.setattr(transport, "_open", Session)
        answer = await transport.send(GET, CountedPermit())
    assert isinstance(answer, NoAnswer)
    assert answer.fault is (Fault.LOST if sent else Fault.NEVER_LEFT)
    assert kind.__name__ in answer.reason or kind.__name__ == "_Repeated"


def test_there_are_errors_of_aiohttp_to_walk():
    """The walk above is not empty, and has the ones that matter."""
    names = {kind.__name__ for kind in aiohttp_errors()}
    assert len(names) > 20
    assert {"ClientConnectorError", "ServerDisconnectedError", "ClientPayloadError"} <= names


@pytest.mark.parametrize(
    "error", [TimeoutError(), ConnectionResetError(), BrokenPipeError(), OSError(), ssl.SSLError()]
)
async def test_errors_of_the_system_are_mapped_too(error: BaseException):
    """They come through aiohttp as they are, at times."""
    with mocked() as mock:
        mock.get("https://h/api/v3/customer", exception=error)
        async with transport_to("https://h/api/v3") as transport:
            answer = await transport.send(GET, CountedPermit())
    assert isinstance(answer, NoAnswer)
    assert answer.fault is Fault.NEVER_LEFT
    assert type(error).__name__ in answer.reason


# -- with aioresponses -----------------------------------------------------------------------


class Response(aiohttp.ClientResponse):
    """aioresponses 0.7.9 does not know the argument ``stream_writer`` of aiohttp 3.14."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


class mocked(aioresponses):
    """aioresponses whose answers are of `Response`."""

    def __enter__(self) -> Any:
        self._class = aioresponses_core.ClientResponse
        aioresponses_core.ClientResponse = Response
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        aioresponses_core.ClientResponse = self._class
        super().__exit__(*exc)


@pytest.mark.parametrize("status", [200, 201, 202, 400, 404, 429, 500, 502])
async def test_any_status_is_an_answer(status: int):
    """The transport does not judge."""
    with mocked() as mock:
        mock.get("https://h/api/v3/customer", status=status, body=OK, headers={"Retry-After": "3"})
        async with transport_to("https://h/api/v3") as transport:
            answer = await transport.send(GET, CountedPermit())
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (status, OK, "3")


async def test_a_connection_error_is_a_connect_failure_for_the_caller():
    """End to end through the client."""
    with mocked() as mock:
        mock.get("https://h/api/v3/customer/_count", exception=aiohttp.ClientConnectionError("no"))
        async with ChargeOver(
            "https://h", "u", "p", limiter=NoLimit(), retry=RetryPolicy(attempts=1)
        ) as co:
            with pytest.raises(ConnectFailed, match="no") as caught:
                await co.customers.count()
    assert isinstance(caught.value, TransportError)


# -- the moment in which the first bytes leave -------------------------------------------------


class Stale:
    """A permit that says in which turn of the loop it is used, and lapses when it is told to."""

    def __init__(self) -> None:
        self.lapsed = False
        self.used = 0
        self.unused_ = False

    def sent(self) -> None:
        if self.lapsed:
            raise NotSent("the permit has lapsed")
        self.used += 1

    def done(self) -> None:
        pass

    def unused(self) -> None:
        self.unused_ = True


@pytest.mark.parametrize("size", [None, 10, LARGE + 10])
async def test_a_permit_that_lapses_while_the_body_waits_to_be_written_is_not_used(
    size: int | None,
) -> None:
    """Headers wait for the body, which another task writes: what counts is when that happens."""
    permit = Stale()

    async def lapse(*_: Any) -> None:  # after ours, which saw the headers first
        permit.lapsed = True

    trace = TraceConfig()
    trace.on_request_headers_sent.append(lapse)
    body = None if size is None else b"[" + b"1," * (size // 2) + b"1]"
    async with RawServer() as server:
        transport = AiohttpTransport(
            check_url(server.url),
            auth_of("basic", "public", SECRET),
            timeouts=Timeouts(),
            connections=1,
            trace_configs=[trace],
        )
        answer = await transport.send(Request("POST", "/_bulk", (), body), permit)
        await transport.aclose()
    if body is None:
        assert isinstance(answer, Answer)
        assert (permit.used, len(server.requests)) == (1, 1)
    else:
        assert isinstance(answer, NoAnswer)
        assert (answer.fault, answer.reason) == (Fault.NEVER_LEFT, "the permit has lapsed")
        assert (permit.used, server.requests) == (0, [])


async def test_a_permit_is_told_once_however_many_pieces_a_body_has() -> None:
    """A repeat would be charged as another request."""
    permit = Stale()
    async with RawServer() as server, transport_to(server.url) as transport:
        body = b"[" + b"1," * LARGE + b"1]"
        answer = await transport.send(Request("POST", "/_bulk", (), body), permit)
        assert isinstance(answer, Answer)
        assert permit.used == 1


@pytest.mark.parametrize("how", ["timeout", "wait_for", "cancel"])
async def test_what_breaks_a_call_off_shows_no_credentials(how: str) -> None:
    """A tool that prints the locals of every frame prints those of a cancellation, too."""
    async with RawServer(None) as server, calling(server) as co:
        operation = co.customers.create(company="Acme")
        task = asyncio.ensure_future(operation.wait())
        try:
            if how == "timeout":
                async with asyncio.timeout(0.2):
                    await task
            elif how == "wait_for":
                await asyncio.wait_for(task, 0.2)
            else:
                await server.wait_for(1)
                task.cancel()
                await task
        except (TimeoutError, asyncio.CancelledError) as error:
            caught = error
        seen: BaseException | None = caught
        shown = []
        while seen is not None:
            captured = traceback.TracebackException.from_exception(seen, capture_locals=True)
            shown.append("".join(captured.format()))
            seen = seen.__cause__ or seen.__context__
        assert BASIC in str(server.requests)
        assert not [text for text in shown if leaks(text.replace(str(server.requests), ""))]
