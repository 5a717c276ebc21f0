"""The exit codes of the commands, and how errors become one."""

from __future__ import annotations

import enum
from typing import NoReturn

from chargeover_async.errors import (
    AuthFailed,
    ChargeOverError,
    ConnectFailed,
    JournalError,
    UsageError,
)
from chargeover_async.migrate import Summary

from .say import say


class Exit(enum.IntEnum):
    """What a command ends with; 2 is click's own, for wrong usage."""

    DONE = 0
    SOME_FAILED = 1  # or were not reached, because the job stopped
    DIFFERENT = 1  # `diff`: the account is not what the plan says
    SOME_UNKNOWN = 3  # wins over SOME_FAILED: somebody must look these up
    BAD_INPUT = 4  # plan, files, journal, URL or environment; nothing was sent
    NO_ACCOUNT = 5  # could not connect, or wrong credentials, at the start


def exit_of(summary: Summary) -> Exit:
    """The exit code for an import that was run."""
    if summary.unknown:
        return Exit.SOME_UNKNOWN
    if summary.failed or summary.not_reached or summary.stopped:
        return Exit.SOME_FAILED
    return Exit.DONE


def fail(error: ChargeOverError, so: str = "Nothing was imported") -> NoReturn:
    """Print what kept a command from starting, as one message, and exit."""
    say(f"Error: {explain(error, so)}", err=True)
    ours = isinstance(error, (UsageError, JournalError))
    raise SystemExit(Exit.BAD_INPUT if ours else Exit.NO_ACCOUNT)


def explain(error: ChargeOverError, so: str = "Nothing was imported") -> str:
    """The message of an error with what to do about it."""
    if isinstance(error, (UsageError, JournalError)):
        return str(error)
    if isinstance(error, AuthFailed):
        advice = "check CHARGEOVER_USERNAME and CHARGEOVER_PASSWORD"
    elif isinstance(error, ConnectFailed):
        advice = "check the URL and the network"
    else:
        advice = "check that the URL is that of the API, such as https://NAME.chargeover.com/api/v3"
    return f"{error}\n{so}; {advice}."


__all__ = ("Exit", "exit_of", "explain", "fail")
