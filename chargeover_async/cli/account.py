"""The account that a command works on; credentials come from the environment and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click
from msgspec.structs import replace

from chargeover_async.client import ChargeOver, options_of_env
from chargeover_async.errors import UsageError
from chargeover_async.models import DateFormat
from chargeover_async.retry import RetryPolicy

Opener = Callable[..., ChargeOver]
Command = TypeVar("Command", bound=Callable[..., Any])

# Somebody is waiting at a terminal: a wrong URL shall show within seconds, not after a minute of
# patience that is right in the middle of a long import.
IMPATIENT = RetryPolicy(attempts=2, attempts_after_500=1, base_s=0.2, total_s=10)


_DATES = "chargeover_async.dates"


def date_options(command: Command) -> Command:
    """``--date-format`` and ``--datetime-format``, which `opener` takes from the context."""
    for name, what in (("datetime", "a date with its time"), ("date", "a date")):
        command = click.option(
            f"--{name}-format",
            metavar="PATTERN",
            expose_value=False,
            callback=_keep,
            help=f"How the account writes {what}, as for strptime, instead of "
            f"CHARGEOVER_{name.upper()}_FORMAT.",
        )(command)
    return command


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    assert option.name is not None
    if value is not None:
        context.meta.setdefault(_DATES, {})[option.name.removesuffix("_format")] = value


def opener(url: str | None) -> Opener:
    """What makes clients of the account; call it with the options of `ChargeOver`.

    ``url`` stands in for CHARGEOVER_URL, and `date_options` for their variables. Raises UsageError
    naming what is missing.
    """
    context = click.get_current_context(silent=True)
    patterns = context.meta.get(_DATES) if context is not None else None
    given = {"dates": replace(_dates_of_env(), **patterns)} if patterns else {}
    if url is None:
        return partial(ChargeOver.from_env, **given)
    names = ("CHARGEOVER_USERNAME", "CHARGEOVER_PASSWORD")
    missing = [name for name in names if not os.environ.get(name, "").strip()]
    if missing:
        raise UsageError(f"set {', '.join(missing)} in the environment")
    username, password = (os.environ[name] for name in names)

    def open_account(**options: Any) -> ChargeOver:
        options = {**options_of_env(options), **given, **options}
        return ChargeOver(url, username, password, **options)

    return open_account


def _dates_of_env() -> DateFormat:
    found: DateFormat = options_of_env({}).get("dates", DateFormat())
    return found


__all__ = ("IMPATIENT", "Opener", "date_options", "opener")
