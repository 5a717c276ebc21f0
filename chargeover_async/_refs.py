"""References: a value that another operation's answer will hold, found and put in its place.

The only importer of jsonpath-ng.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol, cast

from ._hints import describe
from .errors import AlreadyExists, ChargeOverError, DependencyFailed, UsageError

DEFAULT_PATH = "$.response.id"
REF_IN_PATH = "{ref}"
PayloadPath = tuple[str | int, ...]


class Ended(Protocol):
    """What is asked of an outcome."""

    @property
    def state(self) -> str:
        """How it ended."""
        ...

    @property
    def error(self) -> ChargeOverError | None:
        """Why it has no value."""
        ...


class Answered(Protocol):
    """What is asked of an operation that others refer to."""

    @property
    def entry(self) -> Any:
        """The notes of the engine that it is in, if it is in one."""
        ...

    @property
    def label(self) -> str:
        """Names it in messages."""
        ...

    @property
    def done(self) -> bool:
        """Whether its outcome is known."""
        ...

    @property
    def outcome(self) -> Ended | None:
        """What came of it, once that is known."""
        ...

    async def wait(self) -> Ended:
        """The same, when it is known."""
        ...

    def value_at(self, path: str) -> Any:
        """The value that ``path`` finds in the answer; raises LookupError or UsageError."""
        ...


class Ref:
    """Stands for a value that another operation's answer will hold; made by `Operation.ref`.

    ``path`` is a JSONPath, evaluated on the whole envelope of the target's answer, so that
    ``$.response.id`` is the id of what it created (vendor's text, "JSONPath in Batches").
    """

    __slots__ = ("path", "target")

    def __init__(self, target: Answered, path: str = DEFAULT_PATH) -> None:
        self.target = target
        self.path = path

    def __repr__(self) -> str:
        return f"<Ref {self.path} of {self.target.label}>"


# -- finding the value -----------------------------------------------------------------------


class NoSingleMatch(LookupError):
    """The path found nothing, or more than one value."""


@lru_cache(maxsize=256)
def _compiled(path: str) -> Any:
    # Imported on first use: jsonpath-ng builds its grammar then.
    from jsonpath_ng.ext.parser import parse

    try:
        return parse(path)
    except Exception as error:  # noqa: BLE001 - jsonpath-ng raises bare Exception for some input
        raise UsageError(f"{path!r} is not a JSONPath: {error}") from None


def check_path(path: str) -> str:
    """``path`` if it is a JSONPath; raises UsageError otherwise."""
    if path != DEFAULT_PATH:
        if not isinstance(path, str) or not path.startswith("$"):
            raise UsageError(f"a JSONPath starts with $, not {path!r}")
        _compiled(path)
    return path


def find_one(path: str, document: Any) -> Any:
    """The one value that ``path`` finds in ``document``; raises NoSingleMatch otherwise."""
    matches: list[Any] = _compiled(path).find(document)
    if len(matches) != 1:
        count = f"{len(matches)} values" if matches else "nothing"
        raise NoSingleMatch(f"{path} matches {count}")
    value: Any = matches[0].value
    return value


def resolve(ref: Ref, user: str, *, existing_will_do: bool = False) -> Any:
    """The value of a reference to a settled operation; raises DependencyFailed or UsageError.

    ``user`` names the operation that refers. With ``existing_will_do`` a target that was refused
    because its key is taken stands for the record that has the key.
    """
    outcome = ref.target.outcome
    assert outcome is not None
    if (
        existing_will_do
        and ref.path == DEFAULT_PATH
        and isinstance(outcome.error, AlreadyExists)
        and outcome.error.existing_id is not None
    ):
        return outcome.error.existing_id
    if outcome.error is not None and outcome.state != "done":
        cause: BaseException = outcome.error
        if isinstance(cause, DependencyFailed) and cause.__cause__ is not None:
            cause = cause.__cause__  # the first of a chain, not the chain
        raise DependencyFailed(
            f"{ref.target.label}, which this refers to, was not done: {cause}", operation=user
        ) from cause
    try:
        value = ref.target.value_at(ref.path)
    except LookupError as error:
        raise UsageError(
            f"{user} refers to {ref.target.label}, where {error}; nothing was sent"
        ) from None
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - an answer holds what it likes, a path does, too
        raise DependencyFailed(
            f"{ref.target.label}, which this refers to, was done, but {ref.path} cannot be read "
            f"from its answer: {describe(error)}",
            operation=user,
        ) from error.with_traceback(None)
    if isinstance(value, (dict, list)) or value is None:
        shown = repr(cast("object", value))[:80]
        raise UsageError(
            f"{user} refers to {ref.path} of {ref.target.label}, which is no single value "
            f"but {shown}; nothing was sent"
        )
    return value


def resolve_in_path(ref: Ref, user: str, *, existing_will_do: bool = False) -> str:
    """The same as text for one segment of a path; raises UsageError for what is no name."""
    text = str(resolve(ref, user, existing_will_do=existing_will_do))
    if text in {"", ".", ".."}:
        raise UsageError(
            f"{user} refers to {ref.path} of {ref.target.label}, which is {text!r}: no name of a "
            "record; nothing was sent"
        )
    return text


# -- putting it in ---------------------------------------------------------------------------


def with_values(payload: Any, values: list[tuple[PayloadPath, Any]]) -> Any:
    """A copy of ``payload`` with each value put at its path; the original is not changed."""
    copy = payload
    for path, value in values:
        copy = _put(copy, path, value)
    return copy


def _put(node: Any, path: PayloadPath, value: Any) -> Any:
    if not path:
        return value
    copy = node.copy()
    copy[path[0]] = _put(copy[path[0]], path[1:], value)
    return copy
