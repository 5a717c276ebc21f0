"""Every exception of the library, split by what the caller does next.

::

    ChargeOverError
      UsageError              you broke our contract; nothing was sent
        QueueFull             a bulk scope has no room; nothing was queued
      TransportError          there is no answer
        ConnectFailed         nothing was sent: the connection never came to be
        OutcomeUnknown        it was sent and the answer is lost: it may have happened
      ApiError                the API answered no
        BadRequest            400, and any other 4xx that has no class of its own
          AlreadyExists       400 for an external_key that is taken
        AuthFailed            401, 403
        NotFound              404
        RateLimited           429, and the retry policy gave up
        ServerError           5xx in the API's own envelope: it may have happened
      DecodeError             the API answered something we cannot read; it was done
      BulkError
        DependencyFailed      unsent: what this operation refers to was not done
        NotSent               never sent: the engine was closed, or the operation withdrawn
      WebhookError            a payload that fails verification
      JournalError            a job's journal cannot be used

Every error of an operation says in ``may_have_happened`` whether the server may hold its effect.
No error carries credentials.
"""

from __future__ import annotations

from typing import Any

EXCERPT = 500


class ChargeOverError(Exception):
    """Base of everything this library raises.

    ``operation`` names what was tried (``"POST /customer external_key='a'"``), ``attempts`` how
    often it was sent, ``batch`` the batch it last travelled in (0 when it went alone).
    """

    may_have_happened: bool = False

    def __init__(
        self, message: str, *, operation: str = "", attempts: int = 0, batch: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.attempts = attempts
        self.batch = batch

    def __str__(self) -> str:
        where = f"{self.operation}: " if self.operation else ""
        return f"{where}{self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions with keyword arguments do not survive pickling by themselves, nor do causes;
        # of these only our own are kept, as any other may hold what cannot be pickled.
        cause = self.__cause__ if isinstance(self.__cause__, ChargeOverError) else None
        return _rebuild, (type(self), self.args, self.__dict__.copy(), cause)


def _rebuild(
    cls: type[ChargeOverError],
    args: tuple[Any, ...],
    state: dict[str, Any],
    cause: ChargeOverError | None,
) -> ChargeOverError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class UsageError(ChargeOverError, ValueError):
    """The call cannot be right as it stands; nothing was sent."""


class QueueFull(UsageError):
    """The bulk scope's queue is at its bound; nothing was queued. Use ``await bulk.submit(op)``."""


class TransportError(ChargeOverError):
    """There is no answer."""


class ConnectFailed(TransportError):
    """The request never left: refused, DNS, TLS, or no free connection in time."""


class OutcomeUnknown(TransportError):
    """The request was sent and its answer is lost: it may have happened, once.

    It is never sent again by itself. Look the record up before you repeat it.
    """

    may_have_happened = True


class ApiError(ChargeOverError):
    """The API answered with an error.

    ``status`` is the HTTP status, ``message`` the API's own text, ``body`` an excerpt of at most
    500 characters of what it sent.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        body: str = "",
        operation: str = "",
        attempts: int = 0,
        batch: int = 0,
    ) -> None:
        super().__init__(message, operation=operation, attempts=attempts, batch=batch)
        self.status = status
        self.body = body[:EXCERPT]

    def __str__(self) -> str:
        return f"{super().__str__()} (HTTP {self.status})"


class BadRequest(ApiError):
    """The API refused the request; it did nothing."""


class AlreadyExists(BadRequest):
    """The external key is taken by a record that is not the one we sent.

    ``existing_id`` is that record's id where it is known, ``differences`` maps each field that was
    sent and is held with another value to ``(sent, held)``, ``unseen`` names the fields that were
    sent and are not shown, so that nobody can tell.
    """

    def __init__(
        self,
        message: str,
        *,
        existing_id: int | None = None,
        differences: dict[str, tuple[Any, Any]] | None = None,
        unseen: tuple[str, ...] = (),
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.existing_id = existing_id
        self.differences = differences or {}
        self.unseen = unseen


class AuthFailed(ApiError):
    """The credentials are wrong, or do not allow this."""


class NotFound(ApiError):
    """There is no such record."""


class RateLimited(ApiError):
    """The quota was exceeded and the policy gave up; ``retry_after_s`` if the API said so."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.retry_after_s = retry_after_s


class ServerError(ApiError):
    """The API failed in its own words (5xx); for a write, it may have happened."""

    may_have_happened = True


class DecodeError(ChargeOverError):
    """The answer does not fit; for a write, it was done all the same.

    ``object`` and ``id`` name the record, ``field`` the place, ``raw`` holds what was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        object: str = "",  # noqa: A002 - the vendor's word for it
        id: object = None,  # noqa: A002 - likewise
        field: str = "",
        raw: bytes = b"",
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.object = object
        self.id = id
        self.field = field
        self.raw = raw


class BulkError(ChargeOverError):
    """What can go wrong between operations."""


class DependencyFailed(BulkError):
    """What this operation refers to was not done, so this one was not sent, or was refused.

    Or it was done, and its answer does not hold what is referred to in a form that can be read.

    ``__cause__`` is the error of the operation it refers to.
    """


class NotSent(BulkError):
    """The operation was never sent: its engine was closed, or it was withdrawn."""


class WebhookError(ChargeOverError):
    """A webhook payload that is malformed or cannot be verified."""


class JournalError(ChargeOverError):
    """A job's journal cannot be opened, or does not belong to this job."""


__all__ = (
    "AlreadyExists",
    "ApiError",
    "AuthFailed",
    "BadRequest",
    "BulkError",
    "ChargeOverError",
    "ConnectFailed",
    "DecodeError",
    "DependencyFailed",
    "JournalError",
    "NotFound",
    "NotSent",
    "OutcomeUnknown",
    "QueueFull",
    "RateLimited",
    "ServerError",
    "TransportError",
    "UsageError",
    "WebhookError",
)
