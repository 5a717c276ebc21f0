"""``chargeover-async export``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.export import ExportJob, ExportSummary
from chargeover_async.export.wanted import FORMATS
from chargeover_async.migrate.job import first_contact

from .account import IMPATIENT, Opener, account_options, opener
from .exits import Exit, fail
from .interrupt import sigterm_as_ctrl_c
from .many import folder_of, one_object, run_many
from .progress import of_export, show
from .say import give_up, say


@click.command(
    "export",
    epilog='Example: chargeover-async export invoice --where "total > 100" --output big.jsonl',
)
@click.argument("object_names", metavar="OBJECT", nargs=-1)
@click.option(
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    default="-",
    help="File to write, replaced in one step once all is read. [default: standard output]",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    help="[default: by the ending of the file; jsonl]",
)
@click.option(
    "--where",
    multiple=True,
    help='Filter, such as "total > 100", "date >= 2026-01-01", "company ~ Acme", '
    '"paid_date = null"; several must all hold.',
)
@click.option("--since", help="Only what was changed at that date or datetime, or later.")
@click.option("--fields", help="Names of fields, separated by commas. [default: all]")
@click.option(
    "--nested",
    is_flag=True,
    help="With the parts that lists leave out, such as line_items; one request for 25 records.",
)
@click.option("--restart", is_flag=True, help="Start anew, whatever an earlier run has left.")
@click.option(
    "--accounts",
    type=click.Path(path_type=Path),
    help="A TOML file of accounts, each of which gets a folder: OBJECT may be several then.",
)
@click.option("--all-objects", is_flag=True, help="Every object; with --accounts.")
@click.option("--json", "as_json", is_flag=True, help="Last line of stderr: the summary as JSON.")
@account_options
def export_command(
    object_names: tuple[str, ...],
    output: Path,
    format_name: str | None,
    where: tuple[str, ...],
    since: str | None,
    fields: str | None,
    nested: bool,
    restart: bool,
    accounts: Path | None,
    all_objects: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Write every record of OBJECT (customer, invoice, package, ...) to a file.

    An export that was stopped goes on where it was when the same command is given again. Exit
    codes: 0 all written; 1 stopped, or fewer records than the API counts; 2 wrong usage; 4 bad
    input, nothing was sent; 5 no connection or wrong credentials, nothing was read.
    """
    wanted: dict[str, Any] = {
        "where": where or None,
        "since": since,
        "fields": None if fields is None else [name.strip() for name in fields.split(",")],
        "nested": nested,
        "restart": restart,
    }
    if accounts is not None:
        form = format_name or "jsonl"
        run_many(
            accounts,
            object_names,
            folder_of(output),
            lambda name, folder: ExportJob(name, folder / f"{name}.{form}", format=form, **wanted),
            every=all_objects,
            as_json=as_json,
            url=url,
        )
        return
    object_name = one_object(object_names, every=all_objects)
    job: ExportJob | None = None
    interrupted = False
    try:
        job = ExportJob(
            object_name,
            _standard_output() if str(output) == "-" else output,
            format=format_name,
            **wanted,
        )
        try:
            asyncio.run(_run(job, opener(url)))
        except KeyboardInterrupt:
            interrupted = True
    except ChargeOverError as error:
        if job is None or isinstance(error, UsageError) or not job.summary().requests:
            fail(error, "Nothing was read")
        _stopped(job, str(error), as_json)
    except BrokenPipeError:  # who reads our output has seen enough
        give_up(sys.stdout)
        raise SystemExit(Exit.SOME_FAILED) from None
    except OSError as error:
        assert job is not None
        if str(output) == "-":
            output = Path("standard output")
            give_up(sys.stdout)
        _stopped(job, f"{output} cannot be written: {error.strerror or error}", as_json)
    if interrupted:
        assert job is not None
        _stopped(job, "interrupted", as_json)
    assert job is not None
    _tell(job.summary(), as_json)


def _standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise UsageError("standard output is closed: name a file with --output")
    return sys.stdout.buffer


async def _run(job: ExportJob, open_account: Opener) -> None:
    async with open_account() as co:
        async with open_account(limiter=co.limiter, retry=IMPATIENT) as contact:
            await first_contact(contact)
        with sigterm_as_ctrl_c(), show(sys.stderr, of_export) as observe:
            await job.run(co, observe=observe)


def _stopped(job: ExportJob, why: str, as_json: bool) -> None:
    summary = job.summary()
    say(f"Stopped: {why}", err=True)
    if job.part is not None and job.part.exists():
        what = f"{summary.records} records are in {job.part}; the same command goes on from there"
        say(what if job.can_go_on else "The same command begins anew.", err=True)
    if as_json:
        say(summary.json(), err=True)
    raise SystemExit(Exit.SOME_FAILED)


def _tell(summary: ExportSummary, as_json: bool) -> None:
    text = f"{summary.records} records of {summary.object}: {summary.requests} requests"
    if summary.resumed_at:
        text += f", {summary.resumed_at} records were there from an earlier run"
    say(summary.json() if as_json else f"{text}, {summary.seconds:.1f} s", err=True)
    if summary.is_short:
        say(
            f"Warning: the API counts {summary.counted} records and has listed "
            f"{summary.records}; some are missing",
            err=True,
        )
        raise SystemExit(Exit.SOME_FAILED)


__all__ = ("export_command",)
