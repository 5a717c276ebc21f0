"""Webhooks: is this payload from the account, and what does it say?

::

    webhooks = Webhooks(token)                            # once
    event = webhooks.parse(body, headers)                 # for each POST; raises WebhookError
    if event.name == "invoice.status" and event.data.invoice is not None:
        print(event.data.invoice.invoice_status_str)

Answer 200, and within 14 s: anything else counts as failed, and the account posts it again. Events
may come late, in another order, and more than once, so do what they ask in a way that can be done
twice; work that takes long belongs behind the answer.

Source: pages "Webhooks", "Verifying and validating webhooks", "Network errors and timeouts" and
"Order of events"; the samples in the vendor's PHP repository.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import msgspec

from ._hints import needs_extra
from .errors import DecodeError, UsageError, WebhookError
from .models import (
    AchAccount,
    CreditCard,
    Customer,
    Invoice,
    Item,
    Quote,
    Record,
    Subscription,
    TokenizedPayMethod,
    Transaction,
    User,
)
from .models._json.mend import DateFormat
from .models._json.read import check_kind, read, read_untyped

X = TypeVar("X")

EVENTS: Mapping[str, str] = {
    "ach.autopay": "a bank account is opted into autopay",
    "creditcard.delete": "a card is deleted",
    "customer.delete": "a customer is deleted",
    "customer.insert": "a customer is created; data has the main contact as user",
    "customer.super": "the main contact changes; data has user_id",
    "invoice.insert": "an invoice is created, by hand or by a subscription",
    "invoice.status": "an invoice changes its status: paid, overdue",
    "invoice.update": "an invoice is edited; not when a payment marks it paid",
    "item.insert": "a product is created",
    "package.hold": "the next invoice date of a subscription is moved",
    "package.insert": "a subscription is created",
    "package.paycycle": "the payment cycle of a subscription changes",
    "package.status": "a subscription changes its status",
    "package.update": "a subscription is edited",
    "package.upgrade": "a line of a subscription is added, removed or changed",
    "quote.status": "a quote changes its status; data has what it became",
    "transaction.insert": "a transaction is made, whether or not it succeeded",
    "transaction.status": "a transaction changes its status: voided",
    "user.insert": "a contact is created",
    "user.update": "a contact is changed",
}
"""The events that a source shows, as `Event.name` has them; there are very likely more."""

MAX_BYTES = 1 << 20
_TOKEN_HEADER = "x-chargeover-key"  # noqa: S105 - a name
_SOURCE_HEADER = "x-chargeover-source"
_AES_BLOCK = 16
_AES_KEYS = (16, 24, 32)


class EventData(msgspec.Struct, frozen=True, kw_only=True):
    """The objects that came with an event, each None when it did not.

    ``other`` has everything else as it came, numbers with a fraction as Decimal: objects without a
    model, and those named in ``unfit``, which do not fit theirs.
    """

    customer: Customer | None = None
    user: User | None = None
    invoice: Invoice | None = None
    transaction: Transaction | None = None
    package: Subscription | None = None
    quote: Quote | None = None
    item: Item | None = None
    creditcard: CreditCard | None = None
    ach: AchAccount | None = None
    tokenized: TokenizedPayMethod | None = None
    # What a quote became (quote.status); the page shows them as objects keyed "0".
    invoices: list[Invoice] | None = None
    packages: list[Subscription] | None = None
    # The new main contact (customer.super).
    user_id: int | None = None
    other: dict[str, Any] = {}
    unfit: dict[str, DecodeError] = {}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in the account: ``event`` to the object that ``context_*`` name.

    ``source`` is the host name of the account, where the header says it; it is not verified.
    ``raw`` has the JSON of each entry of ``data``.
    """

    context_str: str
    context_id: int | None
    event: str
    data: EventData
    source: str | None = None
    raw: dict[str, bytes] = {}
    dates: DateFormat | None = None

    @property
    def name(self) -> str:
        """``customer.insert``, as it is subscribed to (`EVENTS`)."""
        return f"{self.context_str}.{self.event}"

    @property
    def record(self) -> Record | None:
        """The object that the event is about, if it came with it and fits its model."""
        value = getattr(self.data, self.context_str, None)
        return value if isinstance(value, Record) else None

    def read(self, name: str, as_: type[X]) -> X | None:
        """One entry of ``data`` as a type of yours, None when it did not come.

        ``event.read("customer", MyCustomer)``, for custom fields under your own names. Raises
        DecodeError when it does not fit.
        """
        kind = check_kind(as_)
        raw = self.raw.get(name)
        return None if raw is None or raw == b"null" else read(raw, kind, self.dates)

    def __repr__(self) -> str:
        return f"<Event {self.name} {self.context_id}>"


class Webhooks:
    """Reads what one account posts, and believes none of it before it is verified.

    ``tokens`` are the shared secrets of the webhooks that post here, compared in constant time.
    With ``encrypted`` they are the keys that payloads are encrypted with, and plain ones are
    refused. ``max_bytes`` bounds what is looked at, ``dates`` is the account's own way to write
    dates.

    Encryption (AES, 8-bit output feedback, as the vendor's sample) hides a payload; it does not
    seal it. Who can change one on its way can change single characters unnoticed, so take webhooks
    over https only. It needs the extra ``webhooks``.
    """

    __slots__ = ("_dates", "_decrypt", "_max_bytes", "_tokens")

    def __init__(
        self,
        *tokens: str,
        encrypted: bool = False,
        max_bytes: int = MAX_BYTES,
        dates: DateFormat | None = None,
    ) -> None:
        if not tokens:
            raise UsageError("Webhooks needs the token of the webhook")
        for token in tokens:
            if not isinstance(token, str) or not token.strip():
                raise UsageError("the token of a webhook must be text, and not empty")
        if max_bytes < 1:
            raise UsageError(f"max_bytes must be at least 1, not {max_bytes}")
        self._tokens = tuple(token.encode() for token in tokens)
        if encrypted and any(len(token) not in _AES_KEYS for token in self._tokens):
            raise UsageError("a token that payloads are encrypted with has 32 characters")
        self._decrypt = _decrypter() if encrypted else None
        self._max_bytes = max_bytes
        self._dates = dates

    def parse(self, body: bytes, headers: Mapping[str, str] | None = None) -> Event:
        """The event that ``body`` tells; raises WebhookError for what cannot be believed or read.

        It raises nothing else, whatever it is given. ``body`` is what was posted, byte for byte.
        The token is looked for in the payload and in ``headers``: it must be in one of them and
        wrong in neither. An object that does not fit its model does not stop the event
        (`EventData`). No error shows the token or the payload.
        """
        found: dict[str, list[str]] = {_TOKEN_HEADER: [], _SOURCE_HEADER: []}
        for name, value in _pairs(headers):
            found.get(name.lower(), []).append(value)
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise WebhookError(
                f"pass the body as bytes, as it was posted, not {type(body).__name__}"
            )
        try:
            size = memoryview(body).nbytes
            body = bytes(body) if size <= self._max_bytes else b""
        except ValueError:
            raise WebhookError("the body is a memoryview that was released") from None
        if size > self._max_bytes:
            raise WebhookError(f"the payload is larger than {self._max_bytes} bytes")
        self._check(found[_TOKEN_HEADER])
        if self._decrypt is None:
            envelope = _envelope(body)
            if envelope is None:
                raise WebhookError("the payload is no event in JSON (is it encrypted?)")
            if envelope.security_token is not None:
                self._check([envelope.security_token])
            elif not found[_TOKEN_HEADER]:
                raise WebhookError("neither payload nor headers hold a token")
        else:
            envelope = self._decrypted(body)
        return self._event(envelope, next(iter(found[_SOURCE_HEADER]), None))

    def _check(self, given: list[str]) -> None:
        for token in given:
            try:
                sent = token.encode("utf-8", "surrogateescape")  # as aiohttp reads headers
            except UnicodeEncodeError:
                raise WebhookError("the token is wrong") from None
            # All of them, so that the time does not tell which was nearest.
            if not any([hmac.compare_digest(sent, known) for known in self._tokens]):  # noqa: C419
                raise WebhookError("the token is wrong")

    def _decrypted(self, body: bytes) -> _Envelope:
        assert self._decrypt is not None
        try:
            sealed = b64decode(b"".join(body.split()), validate=True)
        except (Base64Error, ValueError):
            raise WebhookError("the payload is not base64 (is it encrypted at all?)") from None
        if len(sealed) <= _AES_BLOCK:
            raise WebhookError("the payload is too short to be encrypted")
        for token in self._tokens:
            text = self._decrypt(token, sealed[:_AES_BLOCK], sealed[_AES_BLOCK:])
            # The vendor's sample cuts what PHP's trim() cuts.
            envelope = _envelope(text.strip(b" \t\n\r\0\x0b"))
            if envelope is not None:
                return envelope
        raise WebhookError("the payload decrypts to no event: another key, or changed on its way")

    def _event(self, envelope: _Envelope, source: str | None) -> Event:
        raw: dict[str, bytes] = {}
        if bytes(envelope.data) not in {b"null", b"[]"}:  # PHP writes an empty object as []
            try:
                raw = {k: bytes(v) for k, v in _entries.decode(envelope.data).items()}
            except (msgspec.DecodeError, ValueError, RecursionError):
                raise WebhookError("data is no object") from None
        known: dict[str, Any] = {}
        other: dict[str, Any] = {}
        unfit: dict[str, DecodeError] = {}
        for name, text in raw.items():
            kind = _KINDS.get(name)
            try:
                if kind is not None and text == b"null":
                    known[name] = None
                elif kind is None:
                    other[name] = read_untyped(text)
                else:
                    known[name] = read(text, kind, self._dates)
            except DecodeError as error:
                unfit[name] = error
                try:
                    other[name] = read_untyped(text)
                except DecodeError:  # nested without end
                    raise WebhookError(f"data.{name} cannot be read") from None
        return Event(
            context_str=envelope.context_str,
            context_id=envelope.context_id,
            event=envelope.event,
            data=EventData(**known, other=other, unfit=unfit),
            source=source,
            raw=raw,
            dates=self._dates,
        )

    def __repr__(self) -> str:
        return f"<Webhooks {'encrypted' if self._decrypt else 'plain'} ***>"


# How each known entry is read: the type of its field, without "or None".
_KINDS: dict[str, Any] = {
    field.name: get_args(field.type)[0]
    for field in msgspec.structs.fields(EventData)
    if field.name not in {"other", "unfit"}
}


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What is posted, once it is decrypted; a ``security_salt`` says nothing to us."""

    context_str: str
    context_id: int | None = None  # text in samples of 2014 and 2015
    event: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    security_token: str | None = None


_decode = msgspec.json.Decoder(_Envelope, strict=False).decode
_entries = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _pairs(headers: object) -> list[tuple[str, str]]:
    """Names and values of headers; a framework that has them as bytes has them in Latin-1."""
    if headers is None:
        return []
    if not isinstance(headers, Mapping):
        raise WebhookError("headers must be a mapping of names to values")
    pairs: list[tuple[str, str]] = []
    items: Any = headers.items()  # pyright: ignore[reportUnknownVariableType]
    for pair in items:
        name, value = (part.decode("latin-1") if isinstance(part, bytes) else part for part in pair)
        if not isinstance(name, str) or not isinstance(value, str):
            raise WebhookError("headers must be a mapping of names to values, all of them text")
        pairs.append((name, value))
    return pairs


def _envelope(text: bytes) -> _Envelope | None:
    try:
        envelope = _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return envelope if envelope.context_str and envelope.event else None


def _decrypter() -> Callable[[bytes, bytes, bytes], bytes]:
    """Key, IV and ciphertext -> plain text; raises UsageError without the extra."""
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
    except ImportError:
        raise UsageError(needs_extra("encrypted webhooks need", "webhooks")) from None
    try:
        from cryptography.hazmat.decrepit.ciphers.modes import CFB8
    except ImportError:  # where older versions have it
        from cryptography.hazmat.primitives.ciphers.modes import CFB8

    def decrypt(key: bytes, iv: bytes, sealed: bytes) -> bytes:
        # 8-bit output feedback, which no library offers, is the key stream that 8-bit cipher
        # feedback makes of zeros: there, too, each byte of the stream is what is shifted in.
        stream = Cipher(AES(key), CFB8(iv)).encryptor().update(bytes(len(sealed)))
        size = len(sealed)
        mixed = int.from_bytes(sealed, "big") ^ int.from_bytes(stream, "big")
        return mixed.to_bytes(size, "big")

    return decrypt


__all__ = ("EVENTS", "MAX_BYTES", "Event", "EventData", "Webhooks")
