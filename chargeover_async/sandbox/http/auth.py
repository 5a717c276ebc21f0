"""Who may ask: HTTP Basic, and the signature that older clients of the vendor send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from chargeover_async.sandbox.protocol.answers import Refused

_PAIR = re.compile(r'(co_[a-z_]+)="([^"]*)"')


def check(
    header: str | None, username: str, password: str, *, url: str = "", body: bytes = b""
) -> None:
    """Raise a 401 unless ``header`` proves the credentials.

    The text for a missing header is the vendor's sample; that for wrong credentials is UNVERIFIED.
    """
    if not header:
        raise Refused(
            "Invalid or incorrect authorization [Missing (basic) authorization header.]", 401
        )
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "basic":
        sound = _same(rest.strip(), _basic(username, password))
    elif scheme == "ChargeOver":
        sound = _is_signed(dict(_PAIR.findall(rest)), username, password, url, body)
    else:
        sound = False
    if not sound:
        raise Refused("Invalid or incorrect authorization [Incorrect credentials.]", 401)


def signature(
    username: str, password: str, url: str, *, nonce: str, timestamp: str, body: bytes
) -> str:
    """The hex signature of one request (vendor's PHP and Python clients, "signature-v1")."""
    text = f"{username}||{url.lower()}||{nonce}||{timestamp}||".encode() + body
    return hmac.new(password.encode(), text, hashlib.sha256).hexdigest()


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def _is_signed(sent: dict[str, str], username: str, password: str, url: str, body: bytes) -> bool:
    # UNVERIFIED: limits on the reuse of a nonce and on the clock are not shown; none are set here.
    if not _same(sent.get("co_public_key", ""), username):
        return False
    expected = signature(
        username,
        password,
        url,
        nonce=sent.get("co_nonce", ""),
        timestamp=sent.get("co_timestamp", ""),
        body=body,
    )
    return _same(sent.get("co_signature", ""), expected)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
