"""``chargeover-async diff``."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click
import msgspec

from chargeover_async.errors import ChargeOverError
from chargeover_async.migrate import FieldDifference, RowDifference, compare_plan, read_plan

from .account import Opener, account_options, opener
from .exits import Exit, fail
from .say import say

_encoder = msgspec.json.Encoder(decimal_format="number")


@click.command("diff", epilog="Example: chargeover-async diff shop/plan.toml")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row, and the counts.")
@click.option(
    "--fail-on-difference",
    is_flag=True,
    help="Exit with 1 if a row is not there, or its record holds other values.",
)
@click.option("--skip-bad-rows", is_flag=True, help="Compare the good rows although some are bad.")
@account_options
def diff_command(
    plan: Path, as_json: bool, fail_on_difference: bool, skip_bad_rows: bool, url: str | None
) -> None:
    """Tell what `import PLAN --update` would create, change and leave; it only reads.

    Of a change every field is told with what the record holds and what the row says, behind the
    rows of an object what the account has of it besides. Exit codes: 0 compared; 1 there are
    differences, with --fail-on-difference; 2 wrong usage; 4 bad input, nothing was sent; 5 no
    connection or wrong credentials.
    """
    try:
        counts, requests = asyncio.run(_diff(plan, skip_bad_rows, as_json, opener(url)))
    except ChargeOverError as error:
        fail(error, "Nothing was changed")
    differ = counts["create"] + counts["change"] + counts["fixed"]
    if as_json:
        say(json.dumps({"counts": dict(counts), "requests": requests}))
    else:
        say(
            f"{counts['create']} to create, {counts['change']} to change, {counts['leave']} as "
            f"they are, {counts['besides']} besides; {requests} requests"
        )
    if differ and fail_on_difference:
        raise SystemExit(Exit.DIFFERENT)


async def _diff(
    path: Path, skip_bad_rows: bool, as_json: bool, open_account: Opener
) -> tuple[Counter[str], int]:
    counts = Counter[str](create=0, change=0, leave=0, besides=0, fixed=0)
    plan = read_plan(path)
    async with open_account() as co:
        rows = compare_plan(plan, co, skip_bad_rows=skip_bad_rows)
        async with aclosing(rows):
            async for row in rows:
                counts[row.what] += 1
                # Left as it is, and yet it holds something else that the API does not change.
                is_fixed = row.what == "leave" and any(field.is_shown for field in row.fields)
                counts["fixed"] += is_fixed
                if as_json:
                    say(_encoder.encode(row).decode())
                elif row.what != "leave" or is_fixed:
                    _tell(row)
        return counts, co.stats.requests


def _tell(row: RowDifference) -> None:
    key = f' "{row.key}"' if row.key else ""
    record = "" if row.id is None else f", record {row.id}"
    place = f" ({row.file} row {row.row})" if row.file else ""
    say(f"{row.what} {row.object}{key}{record}{place}")
    for field in row.fields:
        say(f"    {_told(field)}")


def _told(field: FieldDifference) -> str:
    after = _text(field.after)
    if not field.is_shown:
        return f"{field.name}: not shown -> {after}" + ("" if field.is_sent else _FIXED)
    return f"{field.name}: {_text(field.before)} -> {after}" + ("" if field.is_sent else _FIXED)


_FIXED = " (the API does not change it)"


def _text(value: Any) -> str:
    text = json.dumps(json.loads(_encoder.encode(value)), ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_LONGEST = 200


__all__ = ("diff_command",)
