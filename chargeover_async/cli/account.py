"""The account that a command works on; credentials come from the environment and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from chargeover_async.client import ChargeOver, options_of_env
from chargeover_async.errors import UsageError
from chargeover_async.models import DateFormat
from chargeover_async.retry import RetryPolicy

Opener = Callable[..., ChargeOver]
F = TypeVar("F", bound=Callable[..., Any])

DATES = (("date", "a date", "%m/%d/%Y"), ("datetime", "a date with time", "%m/%d/%Y %H:%M"))

# Somebody is waiting at a terminal: a wrong URL shall show within seconds, not after a minute of
# patience that is right in the middle of a long import.
IMPATIENT = RetryPolicy(attempts=2, attempts_after_500=1, base_s=0.2, total_s=10)
# In the middle of an import nobody shall wait for long once the server is back. It is the time that
# ends it, not the number of tries.
PATIENT = RetryPolicy(attempts=1_000, cap_s=2.0, total_s=300.0)


def account_options(command: F) -> F:
    """``--url``, and how the account writes dates; `opener` knows what was said of the latter."""
    for name, what, example in reversed(DATES):
        command = click.option(
            f"--{name}-format",
            envvar=f"CHARGEOVER_{name.upper()}_FORMAT",
            show_envvar=True,
            callback=_keep,
            expose_value=False,
            help=f"How the account writes {what}, as for strptime: {example}.",
        )(command)
    return click.option("--url", help="Base URL of the API, instead of CHARGEOVER_URL.")(command)


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    context.meta[f"{__name__}.{option.name}"] = value


def _dates() -> dict[str, DateFormat]:
    """The formats that were given, as an option of `ChargeOver`."""
    context = click.get_current_context(silent=True)
    said = {} if context is None else context.meta
    found = {name: said.get(f"{__name__}.{name}_format") for name, *_ in DATES}
    given = {name: pattern for name, pattern in found.items() if pattern and pattern.strip()}
    return {"dates": DateFormat(**given)} if given else {}


def opener(url: str | None) -> Opener:
    """What makes clients of the account; call it with the options of `ChargeOver`.

    ``url`` stands in for CHARGEOVER_URL. Raises UsageError naming what is missing.
    """
    dates = _dates()
    if url is None:
        return partial(ChargeOver.from_env, **dates)
    names = ("CHARGEOVER_USERNAME", "CHARGEOVER_PASSWORD")
    missing = [name for name in names if not os.environ.get(name, "").strip()]
    if missing:
        raise UsageError(f"set {', '.join(missing)} in the environment")
    username, password = (os.environ[name] for name in names)

    def open_account(**options: Any) -> ChargeOver:
        options = {**options_of_env(options), **dates, **options}
        return ChargeOver(url, username, password, **options)

    return open_account


__all__ = ("IMPATIENT", "PATIENT", "Opener", "account_options", "opener")
