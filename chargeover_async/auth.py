"""How a request proves who is asking: HTTP Basic, or a signature that covers the request.

Source: vendor's text, "Authentication" (Basic); the vendor's PHP and Python clients (signature).
"""

from __future__ import annotations

import hashlib
import hmac
import random
import string
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Literal, Protocol

from .errors import UsageError

AuthKind = Literal["basic", "signature"]

# Eight distinct ones of these, as the vendor's PHP and Python clients make it.
_NONCE_OF = string.ascii_lowercase + string.digits
_NONCE_LENGTH = 8


class Auth(Protocol):
    """What a transport needs: the headers that prove who sends one request."""

    def headers(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
        """The headers for this request, asked for at every send.

        ``url`` is what is sent, with its query; ``body`` the bytes that are sent, or None.
        """
        ...


def _check(name: str, value: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name} is empty: set the API credentials")
    if not value.isprintable():
        raise UsageError(f"{name} holds a character that cannot be in it (a line break?)")
    return value


class BasicAuth:
    """HTTP Basic: the public key as user name, the private key as password."""

    __slots__ = ("_header",)

    def __init__(self, username: str, password: str) -> None:
        _check("username", username)
        _check("password", password)
        if ":" in username:
            raise UsageError("username must not hold a colon (HTTP Basic cannot carry it)")
        self._header = "Basic " + b64encode(f"{username}:{password}".encode()).decode()

    def headers(
        self,
        method: str = "",  # noqa: ARG002 - the same for every request
        url: str = "",  # noqa: ARG002
        body: bytes | None = None,  # noqa: ARG002
    ) -> dict[str, str]:
        """The same header for every request."""
        return {"Authorization": self._header}

    def __repr__(self) -> str:
        return "<BasicAuth ***>"


class SignatureAuth:
    """The vendor's signature, version 1: HMAC-SHA256 over URL, nonce, time and body.

    It keeps the private key off the wire and makes a changed or repeated request detectable.
    UNVERIFIED: today's documentation names Basic only, so the API may have retired it; how far
    the clock may be off, and how long a nonce is remembered, no source shows.

    ``nonce`` makes a new text for every send; ``clock`` gives Unix seconds.
    """

    __slots__ = ("_clock", "_key", "_nonce", "_public")

    def __init__(
        self,
        public_key: str,
        private_key: str,
        *,
        nonce: Callable[[], str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._public = _check("public_key", public_key)
        if '"' in public_key or not public_key.isascii():
            raise UsageError("public_key holds a character that cannot be in it")
        self._key = _check("private_key", private_key).encode()
        self._nonce = nonce or _new_nonce
        self._clock = clock

    def headers(
        self,
        method: str,  # noqa: ARG002 - not covered, see below
        url: str,
        body: bytes | None,
    ) -> dict[str, str]:
        """A signature of this send; every call has a nonce and a time of its own.

        The method is not covered: the vendor's clients leave it out.
        """
        nonce, moment = self._nonce(), str(int(self._clock()))
        # The vendor's clients put the whole URL in lower case, the query included.
        signed = f"{self._public}||{url.lower()}||{nonce}||{moment}||".encode() + (body or b"")
        signature = hmac.new(self._key, signed, hashlib.sha256).hexdigest()
        parts = {
            "co_public_key": self._public,
            "co_nonce": nonce,
            "co_timestamp": moment,
            "co_signature_method": "HMAC-SHA256",
            "co_version": "1.0",
            "co_signature": signature,
        }
        header = "ChargeOver " + " ".join(f'{name}="{text}"' for name, text in parts.items())
        return {"Authorization": header}

    def __repr__(self) -> str:
        return "<SignatureAuth ***>"


def _new_nonce() -> str:
    return "".join(random.SystemRandom().sample(_NONCE_OF, _NONCE_LENGTH))


def auth_of(auth: AuthKind | Auth, username: str, password: str) -> Auth:
    """The object that ``ChargeOver(..., auth=...)`` asks for; raises UsageError."""
    if auth == "basic":
        return BasicAuth(username, password)
    if auth == "signature":
        return SignatureAuth(username, password)
    if isinstance(auth, str) or not callable(getattr(auth, "headers", None)):
        raise UsageError('auth must be "basic", "signature" or an object with headers()')
    if username or password:
        raise UsageError("pass an auth object (ChargeOver.from_auth) or credentials, not both")
    return auth


__all__ = ("Auth", "BasicAuth", "SignatureAuth")
