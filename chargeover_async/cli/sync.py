"""``chargeover-async sync``."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from pathlib import Path

import click

from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.export import SyncJob, SyncSummary
from chargeover_async.export.sync import OVERLAP
from chargeover_async.export.wanted import FORMATS
from chargeover_async.migrate.job import first_contact

from .account import IMPATIENT, Opener, account_options, opener
from .exits import Exit, fail
from .interrupt import sigterm_as_ctrl_c
from .many import one_object, run_many
from .progress import of_export, show
from .say import say


@click.command("sync", epilog="Example: chargeover-async sync invoice --folder invoices")
@click.argument("object_names", metavar="OBJECT", nargs=-1)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Where the files go, one for each run, and the note of how far they reach.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="jsonl",
    show_default=True,
    help="Of the files.",
)
@click.option("--where", multiple=True, help="Filter, as for export; several must all hold.")
@click.option("--fields", help="Names of fields, separated by commas. [default: all]")
@click.option("--nested", is_flag=True, help="With the parts that lists leave out, as for export.")
@click.option(
    "--overlap",
    default=OVERLAP / dt.timedelta(minutes=1),
    show_default=True,
    help="Minutes before the last change that are looked at again.",
)
@click.option(
    "--accounts",
    type=click.Path(path_type=Path),
    help="A TOML file of accounts, each of which gets a folder: OBJECT may be several then.",
)
@click.option("--all-objects", is_flag=True, help="Every object; with --accounts.")
@click.option("--json", "as_json", is_flag=True, help="Last line of stdout: the summary as JSON.")
@account_options
def sync_command(
    object_names: tuple[str, ...],
    folder: Path,
    format_name: str,
    where: tuple[str, ...],
    fields: str | None,
    nested: bool,
    overlap: float,
    accounts: Path | None,
    all_objects: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Write what is new or changed since the last run: the first brings every record.

    A run that was stopped is made once more by the next. Exit codes: 0 all written; 1 stopped, or
    fewer records than the API counts; 2 wrong usage; 4 bad input, nothing was sent; 5 no connection
    or wrong credentials.
    """
    started = False

    def make_job(name: str, place: Path) -> SyncJob:
        return SyncJob(
            name,
            place,
            format=format_name,
            where=where or None,
            fields=None if fields is None else [name.strip() for name in fields.split(",")],
            nested=nested,
            overlap=_minutes(overlap),
        )

    if accounts is not None:
        run_many(
            accounts, object_names, folder, make_job, every=all_objects, as_json=as_json, url=url
        )
        return
    object_name = one_object(object_names, every=all_objects)

    async def run(open_account: Opener) -> SyncSummary:
        nonlocal started
        async with open_account() as co:
            async with open_account(limiter=co.limiter, retry=IMPATIENT) as contact:
                await first_contact(contact)
            started = True
            with sigterm_as_ctrl_c(), show(sys.stderr, of_export) as observe:
                return await job.run(co, observe=observe)

    why = "interrupted"
    try:
        job = make_job(object_name, folder)
        say(f"Reading {object_name} ...", err=True)
        _tell(asyncio.run(run(opener(url))), as_json)
        return
    except ChargeOverError as error:
        if isinstance(error, UsageError) or not started:
            fail(error, "Nothing was read")
        why = str(error)
    except OSError as error:
        why = f"{folder} cannot be written: {error.strerror or error}"
    except KeyboardInterrupt:
        pass
    say(f"Stopped: {why}\nThe next run does all of it once more.", err=True)
    raise SystemExit(Exit.SOME_FAILED)


def _minutes(overlap: float) -> dt.timedelta:
    try:
        return dt.timedelta(minutes=overlap)
    except (OverflowError, ValueError):
        raise UsageError(f"--overlap must be a number of minutes, not {overlap}") from None


def _tell(summary: SyncSummary, as_json: bool) -> None:
    if summary.by == "id":
        say(
            f"Warning: the API does not tell when a {summary.object} was changed: these are new "
            "ones only",
            err=True,
        )
    if as_json:
        say(summary.json())
    else:
        what = f"{summary.records} records of {summary.object}"
        where = f" in {summary.file}" if summary.file else ""
        say(f"{what}{where}: {summary.requests} requests, {summary.seconds:.1f} s")
    if summary.is_short:
        say(
            "Warning: the API counts more records than it has listed; some are missing, and the "
            "next run begins where this one did",
            err=True,
        )
        raise SystemExit(Exit.SOME_FAILED)


__all__ = ("sync_command",)
