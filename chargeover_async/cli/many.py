"""``export`` and ``sync`` of many accounts at once: ``--accounts FILE``, several objects."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import click
import msgspec

from chargeover_async.client import ChargeOver
from chargeover_async.cluster import Accounts, Connect, read_accounts
from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.export import ExportJob, ExportSummary, SyncJob, SyncSummary
from chargeover_async.export.wanted import resource_class
from chargeover_async.migrate.job import first_contact
from chargeover_async.resources import RESOURCES

from .account import IMPATIENT, _dates
from .exits import Exit, fail
from .say import say

MakeJob = Callable[[str, Path], ExportJob | SyncJob]
_FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", re.ASCII)


class Told(msgspec.Struct, kw_only=True):
    """What became of one account: records by object, and what went wrong, by object or ``""``."""

    account: str
    records: dict[str, int] = {}
    errors: dict[str, str] = {}
    requests: int = 0
    seconds: float = 0.0

    def line(self) -> str:
        """One line for a person."""
        read = ", ".join(f"{count} {name}" for name, count in self.records.items())
        text = f"{self.account}: {read or 'nothing'}, {self.requests} requests"
        wrong = [f"{name}: {why}" if name else why for name, why in self.errors.items()]
        return "; ".join([f"{text}, {self.seconds:.1f} s", *wrong])


def one_object(names: Sequence[str], *, every: bool) -> str:
    """The object of a command without ``--accounts``."""
    if not names and not every:
        raise click.UsageError("Missing argument 'OBJECT'.")
    if len(names) != 1 or every:
        raise click.UsageError("several objects, and --all-objects, are for --accounts FILE")
    return names[0]


def run_many(
    path: Path,
    names: Sequence[str],
    folder: Path,
    make_job: MakeJob,
    *,
    every: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Run a job for each object of each account of a file, into a folder for each account.

    Accounts are independent: what goes wrong with one is told at the end, and the exit code is 1.
    """
    if url is not None:
        raise click.UsageError("--url is for one account, --accounts for those of a file")
    if bool(names) is every:
        raise click.UsageError("name objects, or --all-objects")
    told: list[Told] = []
    began = time.monotonic()
    interrupted = False
    try:
        connects = read_accounts(path, **_dates())
        for connect in connects:
            if not _FOLDER.fullmatch(connect.account):
                raise UsageError(
                    f"[{connect.account}] cannot name a folder: letters, digits, . _ -"
                )
        objects = _every(make_job, folder) if every else _chosen(make_job, names, folder)
        try:
            asyncio.run(_all(connects, objects, folder, make_job, told))
        except KeyboardInterrupt:
            interrupted = True
    except ChargeOverError as error:
        fail(error, "Nothing was read")
    failed = [entry for entry in told if entry.errors]
    if as_json:
        say(msgspec.json.encode(sorted(told, key=lambda entry: entry.account)).decode())
    records = sum(sum(entry.records.values()) for entry in told)
    requests = sum(entry.requests for entry in told)
    say(
        f"{len(told) - len(failed)} of {len(connects)} accounts are complete: {records} records, "
        f"{requests} requests, {time.monotonic() - began:.1f} s",
        err=True,
    )
    if interrupted:
        say("Stopped: interrupted; the same command goes on", err=True)
    if failed or interrupted:
        raise SystemExit(Exit.SOME_FAILED)


def _chosen(make_job: MakeJob, names: Sequence[str], folder: Path) -> list[str]:
    """The objects by the vendor's names; raises UsageError for what no job can be made of."""
    objects = [resource_class(name).object.lstrip("_") for name in names]
    twice = sorted({name for name in objects if objects.count(name) > 1})
    if twice:
        raise UsageError(f"{', '.join(twice)} is named twice")
    for name in objects:
        make_job(name, folder)
    return objects


def _every(make_job: MakeJob, folder: Path) -> list[str]:
    found: list[str] = []
    for cls in RESOURCES.values():
        name = cls.object.lstrip("_")
        try:
            make_job(name, folder)
        except UsageError:  # no list of it, or nothing tells its changes
            continue
        found.append(name)
    if not found:
        raise UsageError("no object can be read in this way: look at --fields, --where and --since")
    return found


async def _all(
    connects: Sequence[Connect],
    objects: Sequence[str],
    folder: Path,
    make_job: MakeJob,
    told: list[Told],
) -> None:
    async def work(connect: Connect, co: ChargeOver) -> Told:
        return await _account(connect, co, objects, folder, make_job)

    async with aclosing(Accounts(connects).run(work)) as outcomes:
        async for outcome in outcomes:
            entry = outcome.value or Told(account=outcome.account, errors={"": str(outcome.error)})
            told.append(entry)
            say(entry.line(), err=True)


async def _account(
    connect: Connect,
    co: ChargeOver,
    objects: Sequence[str],
    folder: Path,
    make_job: MakeJob,
) -> Told:
    told = Told(account=connect.account)
    began = time.monotonic()
    contact = msgspec.structs.replace(connect, retry=IMPATIENT).open(limiter=co.limiter)
    async with contact:
        await first_contact(contact)
    place = folder / connect.account
    place.mkdir(parents=True, exist_ok=True)
    for name in objects:
        try:
            summary: ExportSummary | SyncSummary = await make_job(name, place).run(co)
        except (ChargeOverError, OSError) as error:
            told.errors[name] = str(error)
        else:
            told.records[name] = summary.records
            if summary.is_short:
                told.errors[name] = "the API counts more records than it has listed"
    told.requests = co.stats.requests + contact.stats.requests
    told.seconds = round(time.monotonic() - began, 3)
    return told


def folder_of(output: Path) -> Path:
    """The folder of an export of many accounts."""
    if str(output) == "-":
        raise click.UsageError("--accounts needs --output FOLDER")
    return output


__all__ = ("Told", "folder_of", "one_object", "run_many")
