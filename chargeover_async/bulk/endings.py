"""The errors of operations that end otherwise than by an answer of their own."""

from __future__ import annotations

from chargeover_async.errors import ChargeOverError, NotSent, OutcomeUnknown
from chargeover_async.retry import Repeat

from .entry import Entry


def given_up(entry: Entry, why: str) -> ChargeOverError:
    """The error of an operation that will not be sent (again), and has no answer."""
    operation = entry.operation
    if entry.in_doubt and operation.repeat is not Repeat.READ:
        return OutcomeUnknown(
            f"it was sent, its answer is lost, and {why}: it may have happened, once. "
            "Look it up before you repeat it",
            operation=operation.label,
            attempts=entry.attempts,
            batch=entry.batch,
        )
    return NotSent(f"{why}; nothing came of it", operation=operation.label, attempts=entry.attempts)


def behind(entry: Entry) -> ChargeOverError:
    """The error of an operation whose target failed, when it has been out already itself."""
    cause = entry.failed_by
    assert cause is not None
    if entry.in_doubt:
        error = given_up(entry, "what it refers to was not done")
        error.__cause__ = cause
        return error
    cause.attempts, cause.batch = entry.attempts, entry.batch
    return cause


def withdrawn(entry: Entry) -> ChargeOverError:
    """The error of an operation that nobody waits for any more."""
    when = "before it was sent again" if entry.attempts else "before it was sent"
    return NotSent(f"withdrawn {when}: nobody waited for it; nothing came of it")


__all__ = ("behind", "given_up", "withdrawn")
