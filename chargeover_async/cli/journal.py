"""``chargeover-async journal``: where an import stands, and settling what it cannot know."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click
import msgspec

from chargeover_async.errors import ChargeOverError, UsageError
from chargeover_async.migrate import Journal, JournalRow, JournalState, read_rows, read_state

from .exits import fail
from .say import say

STATES = (
    "sent",
    "created",
    "updated",
    "existing",
    "refused",
    "not_sent",
    "unknown",
    "open",
)


@click.group("journal", epilog="Example: chargeover-async journal show import.journal --unknown")
def journal_command() -> None:
    """Look into the journal of an import, and settle rows in doubt."""


@journal_command.command("show", epilog="Example: chargeover-async journal show import.journal")
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("--unknown", is_flag=True, help="All that is known of each row in doubt.")
@click.option("--state", type=click.Choice(STATES), help="The rows in one state.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object a line.")
def show_command(journal: Path, unknown: bool, state: str | None, as_json: bool) -> None:
    """Tell where the import of JOURNAL stands, also while it runs."""
    try:
        if unknown or state:
            wanted = ("unknown", "sent") if unknown else (state or "",)
            for row in read_rows(journal, wanted):
                if not say(msgspec.json.encode(row) if as_json else _row(row)):
                    return
            return
        found = read_state(journal)
    except ChargeOverError as error:
        fail(error)
    if as_json:
        say(msgspec.json.encode(found))
    else:
        _tell(found)


@journal_command.command(
    "resolve", epilog="Example: chargeover-async journal resolve import.journal a.csv:12 --id 345"
)
@click.argument("journal", type=click.Path(path_type=Path))
@click.argument("row")
@click.option("--id", "identity", type=click.IntRange(min=1), help="It is there, with this id.")
@click.option("--absent", is_flag=True, help="It is not there: the next run sends it.")
def resolve_command(journal: Path, row: str, identity: int | None, absent: bool) -> None:
    """Settle ROW (FILE:ROW, as in customers.csv:12), of which nobody knows what came of it.

    Look in ChargeOver whether the record is there before you say so.
    """
    if (identity is None) != absent:
        raise click.UsageError("give either --id ID or --absent")
    try:
        file, _, number = row.rpartition(":")
        if not file or not number.isdecimal():
            raise UsageError(f"{row!r} is not FILE:ROW, as in customers.csv:12")
        read_state(journal)  # a wrong name makes no new journal
        with Journal(journal) as found:
            found.resolve(found.load_of(file), int(number), identity)
    except ChargeOverError as error:
        fail(error)
    say(f"{row} is settled: " + ("the next run sends it" if absent else f"id {identity}"))


def _tell(found: JournalState) -> None:
    say(f"{found.plan} into {found.account}, begun {found.created}")
    say(f"running: {found.running}" if found.running else "not running")
    for load in found.loads:
        counts = [f"{number} {state}" for state, number in sorted(load.states.items())]
        if load.untouched:
            counts.append(f"{load.untouched} not reached")
        if counts:
            say(f"{load.file} ({load.object}): {load.rows} rows: {', '.join(counts)}")


def _row(row: JournalRow) -> str:
    text = f"{row.file}:{row.row} {row.object} {row.state}"
    if row.key:
        text += f", key {row.key}"
    if row.id is not None:
        text += f", id {row.id}"
    if row.sent_at is not None:
        when = dt.datetime.fromtimestamp(row.sent_at, dt.UTC)
        text += f", sent {row.sends} times, last {when:%Y-%m-%d %H:%M:%S} UTC"
    for more in (row.message, row.data):
        if more:
            text += f"\n  {more}"
    return text


__all__ = ("journal_command",)
