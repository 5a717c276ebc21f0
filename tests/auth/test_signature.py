"""The vendor's signature: its vectors, what is signed, and that nothing secret shows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.raw_server import RawServer
from support.scripted import Script

from chargeover_async import AuthFailed, ChargeOver, F, NoLimit, UsageError
from chargeover_async._send.transport import AiohttpTransport
from chargeover_async.auth import Auth, BasicAuth, SignatureAuth
from chargeover_async.sandbox import Sandbox

PRIVATE = "private-key"
PAIR = re.compile(r'(co_[a-z_]+)="([^"]*)"')


def fixed(**changes: Any) -> SignatureAuth:
    options: dict[str, Any] = {"nonce": lambda: "abcdefgh", "clock": lambda: 1_500_000_000.9}
    return SignatureAuth("public-key", PRIVATE, **(options | changes))


def parts(headers: dict[str, str]) -> dict[str, str]:
    scheme, _, rest = headers["Authorization"].partition(" ")
    assert scheme == "ChargeOver"
    return dict(PAIR.findall(rest))


VECTORS = [
    (
        "GET",
        "https://example.chargeover.com/api/v3/customer?limit=5",
        None,
        "9027e7b2b42fbade82121ee64bb8bc39f91fdb51ec44793a66c7eb1a3601bee5",
    ),
    (
        "POST",
        "https://Example.chargeover.com/api/v3/customer",
        b'{"company":"Test"}',
        "c9e76db66e68733877b118439356a5a5ca197a06e8510b1a75fed2d23c179751",
    ),
]


@pytest.mark.parametrize(("method", "url", "body", "expected"), VECTORS)
def test_the_signature_is_that_of_the_vendors_clients(
    method: str, url: str, body: bytes | None, expected: str
):
    """Vectors computed by the algorithm of the PHP client."""
    assert parts(fixed().headers(method, url, body))["co_signature"] == expected


def test_the_header_is_written_as_the_vendors_clients_write_it():
    """All parts in their order, whole seconds, no blank at the end."""
    method, url, body, signature = VECTORS[0]
    assert fixed().headers(method, url, body)["Authorization"] == (
        'ChargeOver co_public_key="public-key" co_nonce="abcdefgh" co_timestamp="1500000000" '
        f'co_signature_method="HMAC-SHA256" co_version="1.0" co_signature="{signature}"'
    )


@pytest.mark.parametrize(
    ("url", "body", "nonce", "clock"),
    [
        ("https://example.chargeover.com/api/v3/customer?limit=6", b"{}", "abcdefgh", 1.0),
        ("https://example.chargeover.com/api/v3/customer", b"{} ", "abcdefgh", 1.0),
        ("https://example.chargeover.com/api/v3/customer", b"{}", "abcdefgi", 1.0),
        ("https://example.chargeover.com/api/v3/customer", b"{}", "abcdefgh", 2.0),
    ],
)
def test_the_signature_covers_url_body_nonce_and_time(
    url: str, body: bytes, nonce: str, clock: float
):
    """A change of any of them changes it."""
    base = fixed(clock=lambda: 1.0).headers(
        "POST", "https://example.chargeover.com/api/v3/customer", b"{}"
    )
    changed = fixed(nonce=lambda: nonce, clock=lambda: clock).headers("POST", url, body)
    assert parts(base)["co_signature"] != parts(changed)["co_signature"]


def test_every_send_has_a_nonce_of_its_own():
    """Eight distinct characters of a-z and 0-9, from the system's random source."""
    auth = SignatureAuth("public-key", PRIVATE)
    nonces = [parts(auth.headers("GET", "https://x/", None))["co_nonce"] for _ in range(50)]
    assert len(set(nonces)) == 50
    assert all(re.fullmatch(r"[a-z0-9]{8}", nonce) and len(set(nonce)) == 8 for nonce in nonces)


@pytest.mark.parametrize(
    ("public", "private"),
    [("", "p"), ("u", ""), (None, "p"), ("u", None), ('u"v', "p"), ("ü", "p"), ("u", "p\n")],
)
def test_keys_that_cannot_be_right_are_refused(public: Any, private: Any):
    """When the object is made, without repeating them."""
    with pytest.raises(UsageError) as caught:
        SignatureAuth(public, private)
    assert not private or repr(private) not in str(caught.value)


def test_nothing_secret_shows():
    """Neither key is in the repr of the object, of the client or of its parts."""
    co = ChargeOver("https://example.chargeover.com", "pub-1", "priv-1", auth="signature")
    transport = co._pipeline.transport
    assert isinstance(transport, AiohttpTransport)
    for holder in (transport._auth, transport, co, transport.__dict__, co.__dict__):
        assert "pub-1" not in repr(holder)
        assert "priv-1" not in repr(holder)
    assert not hasattr(transport._auth, "__dict__")


# -- over a real socket ------------------------------------------------------------------------


async def test_the_signed_url_is_the_url_that_is_sent():
    """Escapes, colons, capitals and flags included, as the server reads them from the wire."""
    async with RawServer() as server:
        seen: list[tuple[str, str, bytes | None]] = []

        class Spy:
            def headers(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
                seen.append((method, url, body))
                return {"Authorization": "spy"}

        async with ChargeOver.from_auth(server.url, Spy(), limiter=NoLimit()) as co:
            await co.with_options(flags={"emails": 0}).request(
                "GET", "/customer/external_key:a%2Fb%20C", query={"where": "company:EQUALS:Ä, x"}
            )
    line, *headers = server.requests[0][0].decode().split("\r\n")
    host = next(head for head in headers if head.lower().startswith("host:")).split(": ", 1)[1]
    method, target, _ = line.split(" ")
    assert seen == [(method, f"http://{host}{target}", None)]
    assert "%2Fb%20C" in target
    assert "_flag_emails=0" in target


async def test_the_sandbox_accepts_a_signed_client():
    """Reads, writes and a bulk scope, whose URL and body are signed like any other."""
    async with (
        Sandbox() as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, auth="signature") as co,
    ):
        made = await co.customers.create(company="Ä & B", external_key="a/b c")
        found = await co.customers.list(where=F.company == "Ä & B")
        assert [customer.customer_id for customer in found] == [made.id]
        assert (await co.customers.get(external_key="a/b c")).customer_id == made.id
        async with co.bulk() as bulk:
            handles = [bulk.customers.create(company=f"c{n}") for n in range(3)]
        assert len({(await handle).id for handle in handles}) == 3


async def test_the_sandbox_refuses_a_wrong_private_key():
    """The same answer as for a wrong password."""
    async with Sandbox() as sandbox:
        auth = SignatureAuth(sandbox.username, "wrong")
        async with ChargeOver.from_auth(sandbox.url, auth) as co:
            with pytest.raises(AuthFailed):
                await co.customers.list()


# -- how the client is told --------------------------------------------------------------------


def test_basic_stays_the_default():
    """And may be asked for by name."""
    for options in ({}, {"auth": "basic"}):
        co = ChargeOver("https://example.chargeover.com", "u", "p", **options)  # type: ignore[arg-type]
        transport = co._pipeline.transport
        assert isinstance(transport, AiohttpTransport)
        assert isinstance(transport._auth, BasicAuth)


def test_both_kinds_are_auth_objects():
    """What the transport asks of them."""
    objects: list[Auth] = [BasicAuth("u", "p"), SignatureAuth("u", "p")]
    for auth in objects:
        assert set(auth.headers("GET", "https://x/", None)) == {"Authorization"}


def test_from_env_signs_when_told(monkeypatch: pytest.MonkeyPatch):
    """Its options are those of the client."""
    monkeypatch.setenv("CHARGEOVER_URL", "https://example.chargeover.com")
    monkeypatch.setenv("CHARGEOVER_USERNAME", "u")
    monkeypatch.setenv("CHARGEOVER_PASSWORD", "p")
    transport = ChargeOver.from_env(auth="signature")._pipeline.transport
    assert isinstance(transport, AiohttpTransport)
    assert isinstance(transport._auth, SignatureAuth)


@pytest.mark.parametrize(
    "options",
    [
        {"auth": "digest"},
        {"auth": object()},
        {"auth": None},
        {"auth": BasicAuth("a", "b")},  # and credentials
        {"auth": "signature", "transport": Script()},
    ],
)
def test_an_auth_that_cannot_be_meant_is_refused(options: dict[str, Any]):
    """Before any request."""
    with pytest.raises(UsageError, match="auth"):
        ChargeOver("https://example.chargeover.com", "u", "p", **options)


async def test_a_transport_of_ones_own_auth_cannot_be_changed_by_the_request():
    """Headers that an auth object hands out are copied, not added to."""
    shared = {"Authorization": "mine"}

    class Own:
        def headers(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
            return shared

    async with (
        RawServer() as server,
        ChargeOver.from_auth(server.url, Own(), limiter=NoLimit()) as co,
    ):
        await co.request("POST", "/customer", json={})
    assert shared == {"Authorization": "mine"}
