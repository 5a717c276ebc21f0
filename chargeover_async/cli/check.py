"""``chargeover-async check``."""

from __future__ import annotations

import asyncio

import click

from chargeover_async.errors import ApiError, AuthFailed, ChargeOverError
from chargeover_async.migrate.job import first_contact

from .account import IMPATIENT, Opener, account_options, opener
from .exits import fail
from .say import say


@click.command(
    "check", epilog="Example: chargeover-async check --url https://example.chargeover.com/api/v3"
)
@account_options
def check_command(url: str | None) -> None:
    """Try URL and credentials, with two requests that change nothing.

    Exit codes: 0 they work; 2 wrong usage; 4 a URL or environment that cannot be right, nothing was
    sent; 5 no connection or wrong credentials.
    """
    try:
        say(asyncio.run(_check(opener(url))))
    except ChargeOverError as error:
        fail(error, "Nothing was changed")


async def _check(open_account: Opener) -> str:
    async with open_account(retry=IMPATIENT) as co:
        # The vendor's way to try credentials; what it answers beside 401 no source shows.
        try:
            await co.request("GET", "/teapot")
        except AuthFailed:
            raise
        except ApiError:
            pass
        customers = await first_contact(co)
        return f"{co!r}: the credentials are accepted, the account has {customers} customers"


__all__ = ("check_command",)
