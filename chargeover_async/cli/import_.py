"""``chargeover-async import``."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import click
import msgspec

from chargeover_async.client import ChargeOver
from chargeover_async.errors import ChargeOverError
from chargeover_async.limits import NoLimit
from chargeover_async.migrate import (
    Forecast,
    ImportJob,
    LoadSummary,
    Outlook,
    Preview,
    Summary,
    read_plan,
)
from chargeover_async.sandbox import Sandbox

from .account import IMPATIENT, PATIENT, Opener, account_options, opener
from .exits import Exit, exit_of, fail
from .interrupt import interruptible
from .outage import Outage
from .progress import of_import, show
from .say import say

# The second makes the first contact; what happens to the first one is told.
Clients = tuple[ChargeOver, ChargeOver, Outage]
Account = AbstractAsyncContextManager[Clients]

_encoder = msgspec.json.Encoder(decimal_format="number")

SANDBOX_NOTE = "Importing into a sandbox in this process, without a quota; nothing leaves it."


@click.command("import", epilog="Example: chargeover-async import shop/plan.toml --dry-run")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check all files, tell what it takes, send nothing.")
@click.option("--sandbox", is_flag=True, help="Import into a sandbox made for this run.")
@click.option("--json", "as_json", is_flag=True, help="Last line of stdout: the summary as JSON.")
@click.option(
    "--failures",
    type=click.Path(path_type=Path),
    help="File for rows that were not imported. [default: NAME-OF-PLAN.failures.jsonl]",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path),
    help="File by which an import that was stopped or killed goes on. Made if it is not there.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="CSV file for the rows that are there: external key and new id.",
)
@click.option("--skip-bad-rows", is_flag=True, help="Send the good rows although some are bad.")
@click.option("--stop-on-failure", is_flag=True, help="Take up no further row after a failure.")
@click.option("--allow-existing", is_flag=True, help="Pass over rows whose key is taken.")
@click.option(
    "--continue-on-existing",
    is_flag=True,
    help="Compare rows whose key is taken; send what refers to them in any case.",
)
@click.option("--update", is_flag=True, help="Change the record of a row whose key is taken.")
@account_options
def import_command(
    plan: Path,
    dry_run: bool,
    sandbox: bool,
    as_json: bool,
    failures: Path | None,
    journal: Path | None,
    results: Path | None,
    skip_bad_rows: bool,
    stop_on_failure: bool,
    allow_existing: bool,
    continue_on_existing: bool,
    update: bool,
    url: str | None,
) -> None:
    """Import the files that PLAN (a TOML file) names; or a corrected failure file, again.

    Everything is checked before the first request. Ctrl-C sends nothing more and waits for what is
    under way; a second Ctrl-C does not wait. Exit codes: 0 all imported; 1 some failed;
    2 wrong usage; 3 some unknown (they may have been imported: look them up); 4 bad input, nothing
    was sent; 5 no connection or wrong credentials, nothing was imported.
    """
    if sandbox and url is not None:
        raise click.UsageError("--sandbox imports into no account: leave out --url")
    job: ImportJob | None = None
    try:
        job = ImportJob(
            read_plan(plan),
            skip_bad_rows=skip_bad_rows,
            stop_on_failure=stop_on_failure,
            allow_existing=allow_existing,
            continue_on_existing=continue_on_existing,
            update=update,
            journal=journal,
            results=results,
            failures=failures or Path(f"{plan.stem}.failures.jsonl"),
        )
        say(f"Checking {plan} and its files ...", err=True)
        forecast = job.check()
        for problem in forecast.warnings:
            say(f"Warning: {problem}", err=True)
        if dry_run:
            outlook: Outlook | str | None = None
            if (allow_existing or continue_on_existing or update) and not sandbox:
                outlook = _look_ahead(job, url) if journal is None else "there is a journal"
            _tell_forecast(forecast, job.preview(), outlook, as_json)
            return
        account = _sandbox() if sandbox else _account(url)
        with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(_run(job, account))
        summary = job.summary()
    except ChargeOverError as error:
        summary = job.summary() if job else Summary(operations=0)
        if summary.operations == summary.not_reached:  # nothing was sent
            if as_json:
                say(msgspec.structs.replace(summary, stopped=str(error)).json())
            fail(error)
        say(f"Error: {error}", err=True)
    except OSError as error:
        summary = job.summary() if job else Summary(operations=0)
        say(f"Error: {error}", err=True)
        if summary.operations == summary.not_reached:
            raise SystemExit(Exit.BAD_INPUT) from None
    _tell(summary, as_json)
    if journal is not None:
        _tell_how_to_go_on(summary, journal)
    raise SystemExit(exit_of(summary))


async def _run(job: ImportJob, account: Account) -> None:
    async with account as (co, contact, outage):
        with interruptible(), show(sys.stderr, of_import) as observe:
            async with outage.watch(co.stats):
                await job.run(co, contact=contact, observe=observe)


@contextlib.asynccontextmanager
async def _account(url: str | None) -> AsyncGenerator[Clients]:
    """The real account: a patient client, and one for the first contact that gives up soon."""
    open_account, outage = opener(url), Outage()
    async with (
        open_account(retry=PATIENT, on_event=outage) as co,
        open_account(limiter=co.limiter, retry=IMPATIENT) as contact,
    ):
        yield co, contact, outage


@contextlib.asynccontextmanager
async def _sandbox() -> AsyncGenerator[Clients]:
    say(SANDBOX_NOTE, err=True)
    async with (
        Sandbox(quota=None) as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        yield co, co, Outage()


def _look_ahead(job: ImportJob, url: str | None) -> Outlook | str:
    """What the import would do by what the account holds, or why that is not known."""

    async def look(open_account: Opener) -> Outlook:
        async with open_account(retry=IMPATIENT) as co:
            return await job.look_ahead(co)

    try:
        return asyncio.run(look(opener(url)))
    except ChargeOverError as error:
        return error.message


def _tell_forecast(
    forecast: Forecast,
    first: Sequence[Preview],
    outlook: Outlook | str | None,
    as_json: bool,
) -> None:
    by_account = isinstance(outlook, Outlook)
    if as_json:
        found = {
            **msgspec.structs.asdict(forecast),
            **(msgspec.structs.asdict(outlook) if isinstance(outlook, Outlook) else {}),
            "by": "account" if by_account else "files",
            "first": [msgspec.structs.asdict(row) for row in first],
        }
        say(_encoder.encode(found))
        return
    before = ""
    if forecast.before:
        before = f", {forecast.before} settled already by the journal"
    likely = outlook if isinstance(outlook, Outlook) else forecast
    say(
        f"{forecast.operations} operations, {forecast.bad_rows} of them bad rows{before}: "
        f"{likely.requests} requests, {likely.seconds / 60:.1f} minutes at the default quota "
        f"of 250 requests a minute. Nothing was {'changed' if by_account else 'sent'}."
    )
    if isinstance(outlook, Outlook):
        say(
            f"By what the account holds now: {outlook.creates} to create, {outlook.changes} to "
            f"change, {outlook.leaves} as they are."
        )
    elif outlook is not None:
        say(f"By the files alone, as if nothing were there yet: {outlook}.")
    for problem in forecast.problems:
        say(f"Bad: {problem}")
    if forecast.bad_rows > len(forecast.problems):
        say(f"... and more: {forecast.bad_rows} bad rows in all")
    for row in first:
        say(f"{row.file} row {row.row} as {row.object}: {_encoder.encode(row.data).decode()}")


def _tell_how_to_go_on(summary: Summary, journal: Path) -> None:
    if summary.not_reached:
        say(f"To go on, run the same command again: {journal} knows what was done.", err=True)
    if summary.unknown:
        say(
            f"Unknown rows: chargeover-async journal show {journal} --unknown. Running again looks "
            "up those that have a key; chargeover-async journal resolve settles the others.",
            err=True,
        )


def _tell(summary: Summary, as_json: bool) -> None:
    files = Counter(load.file for load in summary.loads)
    for load in summary.loads:
        if load.rows or files[load.file] == 1:  # a failure file is read for every object
            rows = f"{load.rows} row" + "s" * (load.rows != 1)
            say(f"{load.file} ({load.object}): {rows}, {_counts(load)}")
    if summary.stopped:
        say(f"Stopped: {summary.stopped}", err=True)
    if summary.failures:
        doubt = "look up the unknown ones, as they may be there; " if summary.unknown else ""
        say(
            f"Rows that were not imported, with the reasons: {summary.failures}; {doubt}"
            'correct "data" in it and import that file.',
            err=True,
        )
    took = f"{summary.requests} requests, {summary.seconds:.1f} s"
    text = f"{summary.operations} operations: {_counts(summary)}; {took}"
    found = summary.json() if as_json else text
    if not say(found):
        say(found, err=True)


def _counts(found: Summary | LoadSummary) -> str:
    text = f"{found.created} created, {found.failed} failed, {found.unknown} unknown"
    for name in ("updated", "existing", "not_reached"):
        if count := getattr(found, name):
            text += f", {count} {name.replace('_', ' ')}"
    return text


__all__ = ("import_command",)
