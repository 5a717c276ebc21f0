"""From the outcome of an operation to what became of its row; pure."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from chargeover_async.errors import (
    AlreadyExists,
    AuthFailed,
    ChargeOverError,
    ConnectFailed,
    NotFound,
    NotSent,
    RateLimited,
)
from chargeover_async.migrate.difference.change import Change, updatable_fields
from chargeover_async.operation import Outcome

Existing = Literal["fail", "pass", "continue", "update"]
Became = Literal[
    "created",
    "updated",
    "existing",
    "refused",
    "not_sent",
    "unknown",
    "open",
    "to_update",
    "to_create",
]
# Surely not done, and not for anything that is wrong with the row.
_NOT_ITS_FAULT = (NotSent, ConnectFailed, RateLimited, AuthFailed)


class Verdict(msgspec.Struct, frozen=True):
    """What became of a row: ``open`` may be tried again later, ``to_update`` must be changed now.

    ``to_create`` was to be changed, and is there no more.

    ``there`` says that a record with the row's key exists, whatever became of the row.
    """

    became: Became
    id: int | None = None
    error: ChargeOverError | None = None
    there: bool = False

    @property
    def message(self) -> str:
        """Why, in words; ``""`` when it went well."""
        error = self.error
        if error is None:
            return ""
        text = error.message
        if isinstance(error, AlreadyExists) and error.differences and self.became == "refused":
            held = ", ".join(
                f"{name} is {held!r}, not {sent!r}"
                for name, (sent, held) in sorted(error.differences.items())
            )
            text += f"; record {error.existing_id} holds other values: {held}"
        elif isinstance(error, AlreadyExists) and error.unseen and self.became == "refused":
            text += (
                f"; record {error.existing_id} does not tell whether it holds what was sent in "
                f"{', '.join(error.unseen)}"
            )
        return text


def verdict(
    outcome: Outcome[Any],
    *,
    updating: bool,
    existing: Existing,
    resumable: bool,
    cut_off: bool = False,
    went: bool = False,
) -> Verdict:
    """What became of a row by this outcome of its operation.

    ``updating`` says that the operation was the change of a record that exists. ``resumable`` says
    that a journal keeps what is open: without one, what was not sent now never will be. ``cut_off``
    says that this journal has failed: nothing is sent any more, whatever the row is like. ``went``
    says that its record was found to be gone before.
    """
    error = outcome.error
    if error is None:
        identity = getattr(outcome.value, "id", None)
        return Verdict("updated" if updating else "created", identity, there=True)
    if isinstance(error, AlreadyExists) and not updating:
        identity = error.existing_id
        if existing == "pass":
            return Verdict("existing", identity, error, there=True)
        if existing == "update":
            return Verdict("to_update", identity, error, there=True)
        if existing == "continue" and identity is not None and not error.may_have_happened:
            same = not error.differences and not error.unseen
            return Verdict("existing" if same else "refused", identity, error, there=True)
    if updating and isinstance(error, NotFound) and not went:
        return Verdict("to_create", error=error)
    if outcome.state in {"unknown", "done"}:
        # "done" with an error is an answer that could not be read: it must be looked at.
        return Verdict("unknown", error=error)
    if cut_off and outcome.state == "not_sent":
        return Verdict("open", error=error)
    if resumable and isinstance(error, _NOT_ITS_FAULT):
        return Verdict("open", error=error)
    return Verdict("refused" if outcome.state == "refused" else "not_sent", error=error)


def of_change(name: str, change: Change, existing: Existing, *, updating: bool) -> Verdict | None:
    """What becomes of a row whose record was read and is left as it is; None if it is changed.

    ``updating`` says that an earlier run has sent the change, which is seen to have been done.
    """
    if existing == "update" and change.fields:
        return None
    can_change = existing == "update" and updatable_fields(name)
    if change.differs and existing != "pass" and not can_change:
        error = AlreadyExists(
            f"a {name} with this external_key exists already",
            existing_id=change.id,
            differences=dict(change.differs),
            status=400,
        )
        return Verdict("refused", change.id, error, there=True)
    return Verdict("updated" if updating else "existing", change.id, there=True)


__all__ = ("Existing", "Verdict", "of_change", "verdict")
