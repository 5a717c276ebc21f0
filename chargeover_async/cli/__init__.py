"""The command line, a thin face of the library: parse, call, map what came of it to an exit code.

Needs the extra ``cli`` (click and rich).
"""

from __future__ import annotations

import click

from .check import check_command
from .diff import diff_command
from .export import export_command
from .import_ import import_command
from .journal import journal_command
from .sandbox import sandbox_command
from .say import take_any_text
from .sync import sync_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chargeover-async")
def cli() -> None:
    """Move billing data into and out of ChargeOver, as fast as the quota allows.

    Credentials come from the environment: CHARGEOVER_URL (such as
    https://example.chargeover.com/api/v3), CHARGEOVER_USERNAME, CHARGEOVER_PASSWORD.
    """
    take_any_text()


cli.add_command(check_command)
cli.add_command(diff_command)
cli.add_command(export_command)
cli.add_command(import_command)
cli.add_command(journal_command)
cli.add_command(sandbox_command)
cli.add_command(sync_command)

__all__ = ("cli",)
